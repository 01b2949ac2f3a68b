"""What the viewer draws and how it is used: layouts, colours, marks, keys, exports, without
Streamlit. How it talks to Python is in test_viewer_component.py."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.patience import expect
from tests.browser.viewer_page import META, SIZE, Lone, columns, tree

SCALE = {"by": "temperature_c", "label": "Temperature", "unit": "°C", "kind": "sequential",
         "low": 20.0, "high": 60.0, "decimals": 1}
SITE = tree(4, 6, 12)
STOPPED = ("() => { const now = window.__spheres[0].frames; const same = window.__frames === now;"
           "  window.__frames = now; return same; }")
PHONE = {"width": 390, "height": 460}
SMALL = {"width": 420, "height": 260}
LOW = {"width": 740, "height": 300}
INSIDE = {"width": SMALL["width"] - 2, "height": SMALL["height"] - 2}
PAST = {"time": "2026-11-21T16:20:05Z", "words": "Sat 21 Nov 16:20:05"}


@pytest.fixture(scope="module")
def page_once(browser: Browser) -> Iterator[Lone]:
    context = browser.new_context(viewport={"width": 1100, "height": 700},
                                  accept_downloads=True)
    yield Lone(context)
    context.close()


@pytest.fixture
def lone(page_once: Lone, console: Callable[[Page], list[str]]) -> Lone:
    console(page_once.page)
    page_once.open()
    return page_once


def spheres(lone: Lone) -> np.ndarray:
    """x, y, z and radius of every item [scene units]."""
    return np.array(lone.get("[...l.spheres]")).reshape(-1, 4)


def overlap(a: dict[str, float], b: dict[str, float]) -> bool:
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


def no_two_touch(lone: Lone) -> None:
    found = spheres(lone)
    apart = np.linalg.norm(found[:, None, :3] - found[None, :, :3], axis=2)
    room = apart - found[:, None, 3] - found[None, :, 3]
    np.fill_diagonal(room, np.inf)
    assert room.min() > 0
    assert (np.linalg.norm(found[:, :3], axis=1) > found[:, 3] + lone.get("l.centreRadius")).all()


def test_all_tiers_are_seen_in_two_calls(lone: Lone) -> None:
    alarm = [3 if i == 200 else 0 for i in range(len(SITE))]
    lone.show(columns(SITE, alarm=alarm, alarm_count=alarm))
    lone.rests()
    assert lone.get("h.drawCalls") == 2
    assert lone.get("h.pixelStats()") > 5000
    no_two_touch(lone)
    found = spheres(lone)
    for tier in (2, 3):
        rows = [i for i in range(len(SITE)) if columns(SITE)["tier"][i] == tier]
        above = [i for i in range(len(SITE)) if columns(SITE)["tier"][i] == tier - 1]
        apart = np.linalg.norm(found[rows][:, None, :3] - found[above][None, :, :3], axis=2)
        assert [above[k] for k in apart.argmin(axis=1)] == [SITE[row] for row in rows]
    labels = lone.get("h.labels()")
    panels = lone.page.evaluate("window.rects('.legend, .tools > *, .corner > *, .note')")
    assert len(labels) >= 8
    assert not any(overlap(a, b) for a, b in combinations(labels, 2))
    assert not any(overlap(a, b) for a in labels for b in panels)
    assert "labels" in lone.text(".note")


def test_what_is_picked_is_what_is_in_front(lone: Lone) -> None:
    lone.show(columns(SITE))
    lone.rests()
    lone.get("(v.scene.camera.drag(190, -60, 0), v.scene.camera.zoom(0.5), v.drawNow())")
    dice = random.Random(6)
    points = [[dice.uniform(0, SIZE["width"]), dice.uniform(0, SIZE["height"])] for _ in range(300)]
    found = lone.page.evaluate("""points => {
      const { scene } = window.viewer, { spheres: s, count } = scene.layout, { camera } = scene;
      const all = Array.from({ length: count }, (_, i) => camera.project(
        s[i * 4], s[i * 4 + 1], s[i * 4 + 2], s[i * 4 + 3], { x: 0, y: 0, r: 0, depth: 0 }));
      const brute = (x, y) => {
        const away = (p) => Math.hypot(p.x - x, p.y - y);
        const hit = all.map((p, i) => [p, i]).filter(([p]) => p.depth > 0 && away(p) <= p.r)
          .sort(([a], [b]) => a.depth - b.depth);
        if (hit.length) return hit[0][1];
        const near = all.map((p, i) => [away(p), i, p])
          .filter(([d, , p]) => p.depth > 0 && d <= Math.max(p.r * 1.22, 12))
          .sort(([a], [b]) => a - b);
        return near.length ? near[0][1] : -1;
      };
      return points.map(([x, y]) => [scene.pickAt(x, y, 12), brute(x, y)]);
    }""", points)
    assert [a for a, _ in found] == [b for _, b in found]
    assert len({a for a, _ in found}) > 20


@pytest.mark.parametrize("parents", [tree(40), tree(5, 9)], ids=["one tier", "two tiers"])
def test_every_layout_keeps_items_apart(lone: Lone, parents: list[int]) -> None:
    items = columns(parents, group=[i % 3 for i in range(len(parents))])
    seen = set()
    for layout in ("auto", "ring", "disc", "wall", "shell", "orbits"):
        lone.show(items, layout=layout)
        assert lone.get("h.resting"), "nothing moves when motion is not wanted"
        no_two_touch(lone)
        assert lone.get("h.pixelStats()") > 3000
        seen.add(tuple(spheres(lone).round(1).ravel()))
        for i in range(0, len(parents), 7):
            spot = lone.get(f"h.screenOf('item_{i}')")
            for axis, room in (("x", SIZE["width"]), ("y", SIZE["height"])):
                assert spot["r"] <= spot[axis] <= room - spot["r"]
    assert len(seen) >= 4
    lone.show(items, groups=["LFP", "NMC", "<b>Lead</b>"])
    no_two_touch(lone)
    clusters = lone.get("l.clusters")
    assert [c["name"] for c in clusters] == ["LFP", "NMC", "<b>Lead</b>"]
    for i, (x, _, z, _) in enumerate(spheres(lone)):
        if parents[i] < 0:
            home = clusters[i % 3]
            assert np.hypot(x - home["x"], z - home["z"]) <= home["r"]


def test_a_new_layout_is_reached_in_less_than_400_ms(lone: Lone) -> None:
    items = columns(tree(30))
    lone.show(items, reduced_motion=False)
    lone.rests()
    before = spheres(lone)
    found = lone.page.evaluate("""([spec, meta]) => {
      const { scene } = window.viewer, places = () => [...scene.layout.spheres];
      window.show(spec, meta);
      const began = performance.now(), first = places();
      const more = scene.step(began + 120, false), between = places();
      return { first, more, between, ended: !scene.step(began + 399, false), last: places() };
    }""", [items, {**META, "layout": "wall", "reduced_motion": False}])
    assert np.allclose(np.reshape(found["first"], (-1, 4)), before), "it begins where it was"
    assert found["more"]
    assert found["ended"]
    assert found["between"] not in (found["first"], found["last"])
    lone.show(items, layout="wall")
    assert np.allclose(spheres(lone).ravel(), found["last"])


def middle(lone: Lone, i: int) -> tuple[int, int, int]:
    spot = lone.get(f"v.scene.spot({i})")
    found = lone.page.evaluate("([x, y]) => window.pixel(x, y)", [spot["x"], spot["y"]])
    return tuple(found)


def bright(colour: tuple[int, int, int]) -> float:
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def test_colours_tell_a_value_and_the_legend_its_range(lone: Lone) -> None:
    lone.open(LOW)
    values = [20.0, 30.0, 40.0, 50.0, 60.0, float("nan")]
    for theme, rises in (("dark", 1), ("light", -1)):
        for palette in ("safe", "seed", "grey"):
            colour = {**SCALE, "by": "soc_pct"} if palette == "seed" else SCALE
            lone.show(columns(tree(6), value=values), colour=colour, palette=palette, theme=theme)
            shown = [middle(lone, i) for i in range(6)]
            assert len(set(shown[:5])) == 5
            if palette != "seed":
                steps = [rises * (bright(b) - bright(a)) for a, b in pairwise(shown[:5])]
                assert min(steps) > 0, "a value that is higher is always brighter (or darker)"
    legend = lone.text(".legend")
    for word in ("Temperature", "20.0 °C", "60.0 °C", "(auto)", "Not known"):
        assert word in legend
    lone.show(columns(tree(6), value=values), colour={**SCALE, "fixed": True})
    assert "(fixed)" in lone.text(".legend")
    assert "60.0 °C" in lone.get("v.scene.shown && document.querySelector('.list').textContent")
    deviation = {**SCALE, "kind": "diverging", "by": "deviation_voltage_v", "label": "Deviation",
                 "unit": "mV", "low": -30.0, "high": 30.0, "decimals": 0}
    values = [-30.0, -10.0, 0.0, 10.0, 30.0, float("nan")]
    lone.show(columns(tree(6), value=values), colour=deviation)
    low, _, zero, _, high, _ = (middle(lone, i) for i in range(6))
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert bright(low) > bright(zero) < bright(high), "what does not deviate fades"
    assert {"−30 mV", "+30 mV"} <= set(lone.text(".legend").splitlines())
    lone.show(columns(tree(6)), colour={**SCALE, "low": None, "high": None})
    assert "no value known" in lone.text(".legend")


def test_the_filter_dims_what_does_not_match(lone: Lone) -> None:
    lone.show(columns(tree(8)))
    lone.rests()
    before = [bright(middle(lone, i)) for i in range(8)]
    lone.show(columns(tree(8), dim=[0, 1, 0, 1, 0, 1, 0, 1]), match={"shown": 4, "of": 8})
    after = [bright(middle(lone, i)) for i in range(8)]
    assert after[::2] == before[::2]
    assert all(b < 0.6 * a for a, b in zip(before[1::2], after[1::2], strict=True))
    assert lone.text(".match") == "4 of 8 match the filter"


def test_alarms_are_rings_that_differ_in_shape(lone: Lone) -> None:
    """Along a ray from the middle: two bands for a trip, one for a warning; info is broken."""
    items = columns(tree(4), alarm=[0, 1, 2, 3], alarm_count=[0, 1, 1, 7],
                    soc_pct=[float("nan")] * 4)
    lone.show(items)
    lone.rests()
    profile = """([i, red]) => {
      const s = window.viewer.scene.spot(i);
      window.viewer.drawNow();
      const canvas = document.querySelector('#host canvas.scene');
      const paper = new OffscreenCanvas(canvas.width, canvas.height);
      const pen = paper.getContext('2d');
      pen.drawImage(canvas, 0, 0);
      const { data, width } = pen.getImageData(0, 0, canvas.width, canvas.height);
      const alarm = (x, y) => {
        const k = (Math.round(y) * width + Math.round(x)) * 4;
        const [r, g, b] = data.subarray(k, k + 3);
        return red ? r > 120 && r > 1.7 * g && r > 1.7 * b : r > 90 && Math.abs(r - b) < 40;
      };
      const bands = [], turns = [];
      for (let k = 0; k < 72; k++) {
        const [c, d] = [Math.cos(k * Math.PI / 36), Math.sin(k * Math.PI / 36)];
        let count = 0, on = false, any = false;
        for (let rho = s.r * 1.16; rho < s.r * 1.55 + 10; rho += 0.5) {
          const now = alarm(s.x + c * rho, s.y + d * rho);
          if (now && !on) count++;
          any ||= now;
          on = now;
        }
        bands.push(count);
        turns.push(any);
      }
      return { bands, share: turns.filter(Boolean).length / turns.length };
    }"""
    none, warning, trip = (lone.page.evaluate(profile, [i, True]) for i in (0, 2, 3))
    assert none["share"] == 0
    assert min(warning["share"], trip["share"]) > 0.9
    assert (np.median(warning["bands"]), np.median(trip["bands"])) == (1, 2)
    info = lone.page.evaluate(profile, [1, False])
    assert 0.3 < info["share"] < 0.95, "a dashed ring"


def test_the_past_is_framed_and_dated(lone: Lone) -> None:
    lone.show(columns(tree(5)))
    assert lone.page.locator("#host .os.past").count() == 0
    lone.show(columns(tree(5)), past=PAST)
    assert lone.text(".then") == "Not live · Sat 21 Nov 16:20:05"
    style = lone.page.locator("#host .frame").evaluate("e => getComputedStyle(e).borderTopStyle")
    assert style == "dashed"
    assert "Not live" in lone.page.locator("#host .scene").get_attribute("aria-label")


def test_an_alarm_is_acknowledged_from_the_scene(lone: Lone) -> None:
    items = columns(tree(4), alarm=[0, 2, 3, 3], alarm_count=[0, 1, 1, 2], fresh_alarm=[0, 0, 1, 1])
    lone.show(items, selected="item_0", can_acknowledge=True)
    chip = lone.page.locator("#host .ack")
    act = chip.locator("button")
    expect(chip).to_be_hidden()
    lone.show(items, selected="item_2", select_seq=1, can_acknowledge=True)
    expect(chip).to_contain_text("Part 2: 1 trip")
    act.click()
    assert lone.heard() == [["acknowledge", "item_2"]]
    lone.show(items, selected="item_1", select_seq=2, can_acknowledge=True)
    expect(act).to_be_disabled()
    expect(act).to_have_text("Acknowledged")
    lone.show(items, selected="item_3", select_seq=3, can_acknowledge=False,
              acknowledge_reason="Viewers may not acknowledge")
    expect(act).to_be_disabled()
    expect(chip).to_contain_text("Viewers may not acknowledge")


def test_keys_walk_among_siblings_and_the_list_is_the_twin(lone: Lone) -> None:
    lone.show(columns(tree(3, 4), can_drill=[1] * 3 + [0] * 12), path=["a"])
    scene = lone.page.locator("#host .scene")
    keys = lone.page.keyboard
    scene.focus()
    for key, selected in (("ArrowRight", 0), ("ArrowDown", 1), ("ArrowLeft", 0), ("ArrowUp", 2),
                          ("Home", 0), ("End", 2)):
        keys.press(key)
        assert lone.get("h.selected") == f"item_{selected}"
    frame = lone.page.locator("#host .frame").evaluate("e => getComputedStyle(e).borderTopColor")
    assert frame != "rgba(0, 0, 0, 0)", "the focus is seen"
    keys.press("Enter")
    keys.press("Backspace")
    keys.press(" ")
    assert lone.heard()[-3:] == [["drill", "item_2"], ["up", None], ["playback", None]]
    lone.show(columns(tree(3, 4)), path=["a"], selected="item_5", select_seq=1)
    keys.press("ArrowRight")
    assert lone.get("h.selected") == "item_6", "the next child of the same parent"
    keys.press("End")
    assert lone.get("h.selected") == "item_6"
    keys.press("?")
    help_ = lone.page.get_by_role("dialog", name="Keys")
    expect(help_).to_be_visible()
    keys.press("Escape")
    expect(help_).to_be_hidden()
    expect(scene).to_be_focused()
    keys.press("Escape")
    assert lone.get("h.selected") is None
    twin = lone.page.get_by_role("listbox")
    twin.focus()
    keys.press("End")
    assert lone.get("h.selected") == "item_14"
    chosen = lone.page.get_by_role("option", selected=True)
    expect(chosen).to_contain_text("Part 2 · Part 14, state of charge 14 %")
    assert twin.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    expect(lone.page.locator("#host .voice")).to_contain_text("Part 14")


def test_a_long_list_is_virtual_and_data_alone_is_not_spoken(lone: Lone) -> None:
    lone.open(SMALL)
    lone.show(columns(tree(1500)))
    twin = lone.page.get_by_role("listbox")
    twin.focus()
    for _ in range(3):
        lone.page.keyboard.press("PageDown")
    lone.show(columns(tree(1500)), selected="item_1200", select_seq=1)
    assert 0 < lone.page.get_by_role("option").count() <= 200
    expect(lone.page.get_by_role("option", selected=True)).to_contain_text("Part 1200")
    setsize = lone.page.get_by_role("option").first.get_attribute("aria-setsize")
    assert setsize == "1500"
    lone.open()
    lone.page.evaluate("""() => {
      const voice = document.querySelector('.voice');
      window.spoken = [];
      new MutationObserver(() => window.spoken.push(voice.textContent)).observe(voice,
        { childList: true, characterData: true, subtree: true });
    }""")
    for tick in range(6):
        lone.show(columns(tree(5), power_kw=[float(tick)] * 5))
    lone.show(columns(tree(5), alarm=[3, 0, 0, 0, 0], alarm_count=[1, 0, 0, 0, 0]))
    lone.page.wait_for_function("window.spoken.length > 0")
    said = "Grid POC: 5 racks, 1 tripped, 0 with warnings, live"
    assert lone.page.evaluate("window.spoken") == [said]


def test_it_flies_to_an_item_of_any_tier_and_stays_there(lone: Lone) -> None:
    lone.show(columns(SITE))
    lone.rests()
    far = lone.get("v.scene.spot(250)")
    lone.show(columns(SITE), fly_to="item_250", fly_seq=1)
    near = lone.get("v.scene.spot(250)")
    assert near["r"] > max(20, 3 * far["r"])
    assert np.hypot(near["x"] - SIZE["width"] / 2, near["y"] - SIZE["height"] / 2) < 60
    pose = lone.get("h.cameraState()")
    lone.show(columns(SITE, soc_pct=[50.0] * len(SITE)), fly_to="item_250", fly_seq=1)
    assert lone.get("h.cameraState()") == pose, "a refresh keeps the camera"
    seen = lone.get("(v.flyTo('item_5'), v.scene.spot(5).x)")
    assert abs(seen - SIZE["width"] / 2) < 60, "known before the next picture"


def test_motion_only_where_it_is_wanted(lone: Lone) -> None:
    """Orbits and alarms that wait move; under reduced motion nothing is drawn again."""
    items = columns(tree(6), alarm=[3, 0, 0, 0, 0, 0], alarm_count=[1, 0, 0, 0, 0, 0],
                    fresh_alarm=[1, 0, 0, 0, 0, 0],
                    power_kw=[10.0, 5.0, 2.0, -8.0, 0.0, float("nan")])
    lone.show(items, layout="orbits", reduced_motion=False)
    lone.until("h.ready")
    before, frames = spheres(lone), lone.get("h.frames")
    lone.until(f"h.frames > {frames + 6}")
    after = spheres(lone)
    turned = np.degrees(np.arctan2(*after[:, [0, 2]].T) - np.arctan2(*before[:, [0, 2]].T))
    turned = (turned + 180) % 360 - 180
    assert turned[0] > turned[1] > turned[2] > 0 > turned[3]
    assert abs(turned[4]) < 1e-3
    distance = np.hypot(after[:, 0], after[:, 2])
    assert distance[0] < distance[3] < distance[1] < distance[2] < distance[4]
    no_two_touch(lone)
    lone.show(items, layout="orbits", reduced_motion=True)
    lone.page.wait_for_function(STOPPED, polling=300)
    still = spheres(lone)
    lone.get("v.drawNow()")
    assert (spheres(lone) == still).all()


def test_an_alarm_beats_only_until_it_is_acknowledged(lone: Lone) -> None:
    idle = columns(tree(4), alarm=[3, 0, 0, 0], alarm_count=[1, 0, 0, 0], power_kw=[0.0] * 4,
                   state=[0] * 4)
    lone.open(SMALL)
    lone.show({**idle, "fresh_alarm": [1, 0, 0, 0]}, reduced_motion=False)
    lone.until("h.ready")
    lone.until(f"h.frames > {lone.get('h.frames') + 5}")
    lone.show({**idle, "fresh_alarm": [0] * 4}, reduced_motion=False)
    lone.page.wait_for_function(STOPPED, polling=300)


def test_what_cannot_be_is_drawn_all_the_same(lone: Lone) -> None:
    """Parents that come later, are the item itself or do not exist; no capacity; one child."""
    lone.open(SMALL)
    odd = columns([-1] * 6, parent_row=[5, 1, -7, 99, 0, 4], capacity_kwh=[0.0, -3.0, float("nan"),
                  1e30, 40.0, 40.0], id=["same"] * 6, tier=[1, 1, 1, 1, 2, 3])
    for items in (odd, columns([-1]), columns([-1, 0, 1])):
        lone.show(items)
        lone.rests()
        assert np.isfinite(spheres(lone)).all()
        assert lone.get("h.pixelStats()") > 500
    lone.show(columns([]), path=["empty"])
    assert lone.get("h.ids") == []


def test_trails_are_drawn_up_to_a_number_and_say_so_beyond(lone: Lone) -> None:
    items = columns(tree(9))
    lone.show(items)
    lone.rests()
    bare = lone.get("h.pixelStats()")
    points = [(row, age, 40.0 + row + 5 * math.sin(age / 40))
              for row in range(9) for age in range(0, 300, 10)]
    trails = {"row": [p[0] for p in points], "age_s": [float(p[1]) for p in points],
              "value": [float(p[2]) for p in points]}
    lone.show(items, trails)
    lone.rests()
    assert lone.get("h.drawCalls") == 2
    assert lone.get("h.pixelStats()") > bare + 200
    lone.open(SMALL)
    lone.show(columns(tree(2001)), {"row": [0, 0], "age_s": [0.0, 9.0], "value": [1.0, 2.0]})
    assert "no trails: 2,001 items, at most 2000" in lone.text(".note")


def test_a_picture_has_the_size_asked_for(lone: Lone) -> None:
    lone.open(SMALL)
    lone.show(columns(tree(9), value=[float(20 + i) for i in range(9)]), colour=SCALE,
              past=PAST)
    lone.rests()
    inked = {}
    for scale in (1, 2, 4):
        found = lone.get(f"h.picture({scale})")
        assert (found["w"], found["h"]) == (scale * INSIDE["width"], scale * INSIDE["height"])
        inked[scale] = found["inked"] / scale**2
    assert 0.9 < inked[2] / inked[4] < 1.1
    lone.page.get_by_role("button", name="Scene menu").click()
    with lone.page.expect_download() as told:
        lone.page.get_by_role("button", name="Save a PNG picture at 2 times the size").click()
    assert told.value.suggested_filename == "orrery-grid-poc-2026-11-21T16-20-05Z.png"
    head = Path(told.value.path()).read_bytes()[:24]
    assert head[1:4] == b"PNG"
    assert int.from_bytes(head[16:20], "big") == 2 * INSIDE["width"]


READINGS = [{"label": "Voltage", "unit": "V", "decimals": 3, "spread_unit": "mV",
             "spread_decimals": 0},
            {"label": "Temp.", "unit": "°C", "decimals": 1, "spread_unit": "K",
             "spread_decimals": 1}]
BELOW = {"row": [0, 0, 90], "kind": [0, 1, 1], "low": [3.2, -4.0, 21.5], "high": [3.25, 30.0, 22.0],
         "spread": [float("nan"), 34.0, 0.5], "low_at": ["M2 · Cell 9", "Cell 1", "<b>Cell</b>"],
         "high_at": ["M0 · Cell 3", "Cell 2", "Cell 4"]}


def test_any_of_many_items_tells_the_lowest_and_the_highest_below_it(lone: Lone) -> None:
    lone.show(columns(tree(100)), None, BELOW, readings=READINGS)
    lone.rests()
    told_by = {90: [["Temp.", "21.5 °C<b>Cell</b>", "22.0 °CCell 4", "0.5 K"]], 50: [],
               0: [["Voltage", "3.200 VM2 · Cell 9", "3.250 VM0 · Cell 3", "–"],
                   ["Temp.", "−4.0 °CCell 1", "30.0 °CCell 2", "34.0 K"]]}
    for item, told in told_by.items():
        spot = lone.get(f"h.screenOf('item_{item}')")
        lone.page.mouse.move(spot["x"], spot["y"])
        expect(lone.page.locator("#host .tip b")).to_have_text(f"Part {item}")
        cells = lone.page.locator("#host .tip .ends > span").all_text_contents()
        assert cells == [cell for line in told for cell in line]
    lone.page.mouse.click(spot["x"], spot["y"])
    expect(lone.page.locator("#host .voice")).to_contain_text(
        "Voltage 3.200 V (M2 · Cell 9) to 3.250 V (M0 · Cell 3), Temp. −4.0 °C (Cell 1) to")


def test_a_saved_page_opens_without_a_network(lone: Lone, browser: Browser, tmp_path: Path,
                                              console: Callable[[Page], list[str]]) -> None:
    names = ["</script><script>window.hacked = 1</script>", "<!-- 'quoted' \"twice\"", "שלום 🔋"]
    lone.show(columns(tree(3), name=names, value=[20.0, float("nan"), 60.0]), None, BELOW,
              colour=SCALE, readings=READINGS)
    lone.rests()
    lone.page.get_by_role("button", name="Scene menu").click()
    with lone.page.expect_download() as told:
        lone.page.get_by_role("button", name="Offline page (HTML)").click()
    name = told.value.suggested_filename
    assert re.fullmatch(r"orrery-grid-poc-\d{4}-\d\d-\d\dT[\d-]+Z\.html", name)
    file = tmp_path / "scene.html"
    told.value.save_as(file)
    context = browser.new_context(viewport={"width": 900, "height": 600}, offline=True)
    page = context.new_page()
    console(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function("window.__spheres?.[0]?.ready")
    assert page.evaluate("window.__spheres[0].pixelStats()") > 3000
    assert page.evaluate("window.hacked") is None
    assert page.get_by_role("option").all_inner_texts()[0].startswith(names[0])
    expect(page.locator(".then")).to_contain_text("Not live · snapshot of")
    spot = page.evaluate("window.__spheres[0].screenOf('item_0')")
    page.mouse.move(spot["x"], spot["y"])
    expect(page.locator(".tip .ends")).to_contain_text("Voltage3.200 VM2 · Cell 93.250 V")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def test_vr_is_offered_where_the_browser_has_it(lone: Lone) -> None:
    """With a browser's side of WebXR that we play: no headset runs here."""
    lone.show(columns(SITE))
    aimed = lone.page.evaluate("""async () => {
      const { pickRay } = await import('/index.js'), { layout } = window.viewer.scene;
      const from = { x: 40, y: 2 * layout.extent, z: layout.extent };
      return [0, 9, 100, 200, 300].map((i) => {
        const [x, y, z] = [0, 1, 2].map((k) => layout.spheres[i * 4 + k]);
        const way = [x - from.x, y - from.y, z - from.z], far = Math.hypot(...way);
        return [i, pickRay(layout, from, { x: way[0] / far, y: way[1] / far, z: way[2] / far }),
          pickRay(layout, from, { x: 0, y: 1, z: 0 })];
      });
    }""")
    assert all(i == hit and none == -1 for i, hit, none in aimed)
    menu = lone.page.get_by_role("button", name="Scene menu")
    menu.click()
    assert lone.page.get_by_role("button", name="VR (experimental)").count() == 0
    lone.page.evaluate("""() => Object.defineProperty(navigator, 'xr', { configurable: true,
      value: {
        isSessionSupported: async (mode) => mode === 'immersive-vr',
        requestSession: async (mode) => { window.asked = mode; throw new Error('no headset'); },
      } })""")
    lone.open()
    lone.show(columns(tree(3)))
    menu.click()
    lone.page.get_by_role("button", name="VR (experimental)").click()
    expect(lone.page.locator("#host .toast")).to_have_text("VR did not start: no headset")
    assert lone.page.evaluate("window.asked") == "immersive-vr"
    lone.page.evaluate("delete navigator.xr")


def test_it_waits_and_fits_a_phone(lone: Lone) -> None:
    lone.open(PHONE)
    expect(lone.page.locator("#host .waiting")).to_be_visible()
    lone.show(columns(SITE), match={"shown": 3, "of": 316}, colour=SCALE,
              past=PAST)
    lone.rests()
    expect(lone.page.locator("#host .waiting")).to_be_hidden()
    boxes = lone.page.evaluate("window.rects('.legend, .tools > *, .corner > *, .note')")
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
    assert all(b["x"] >= 0 and b["x"] + b["w"] <= PHONE["width"] for b in boxes)
    lone.page.get_by_role("button", name="Scene menu").click()
    for name in ("Offline page (HTML)", "List of items", "Keys"):
        box = lone.page.get_by_role("button", name=name).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= PHONE["width"] - box["width"]


@pytest.fixture(scope="module")
def touched(browser: Browser) -> Iterator[Lone]:
    context = browser.new_context(viewport={"width": 390, "height": 700}, has_touch=True,
                                  is_mobile=True)
    yield Lone(context)
    context.close()


def test_fingers_turn_zoom_hold_and_scroll(touched: Lone) -> None:
    touched.open(PHONE)
    touched.show(columns(tree(9)))
    touched.rests()
    cdp = touched.page.context.new_cdp_session(touched.page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [
            {"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)]})

    before = touched.get("h.cameraState()")
    fingers("touchStart", (60, 60))
    for x in range(70, 200, 20):
        fingers("touchMove", (x, 62))
    fingers("touchEnd")
    turned = touched.get("h.cameraState()")
    assert abs(turned["azimuth"] - before["azimuth"]) > 0.1
    assert touched.page.evaluate("scrollY") == 0
    fingers("touchStart", (150, 200), (240, 200))
    for k in range(1, 6):
        fingers("touchMove", (150 - 12 * k, 200 + 8 * k), (240 + 12 * k, 200 + 8 * k))
    fingers("touchEnd")
    zoomed = touched.get("h.cameraState()")
    assert zoomed["zoom"] < 0.75 * turned["zoom"]
    assert math.dist(*([pose[axis] for axis in "xyz"] for pose in (zoomed, turned))) > 1
    touched.open(PHONE)
    touched.show(columns(tree(9)))
    touched.rests()
    spot = touched.get("v.screenOf('item_3')")
    fingers("touchStart", (spot["x"], spot["y"]))
    touched.page.wait_for_function("window.heard.some(([name]) => name === 'drill')")
    fingers("touchEnd")
    assert ["drill", "item_3"] in touched.heard()
    rested = touched.get("h.cameraState()")
    fingers("touchStart", (200, 400))
    for y in range(390, 130, -20):
        fingers("touchMove", (200, y))
    fingers("touchEnd")
    touched.page.wait_for_function("scrollY > 100")
    assert touched.get("h.cameraState()") == rested, "a page that scrolls does not turn the scene"
