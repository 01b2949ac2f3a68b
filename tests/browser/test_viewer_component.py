"""The sphere viewer in a real browser, in a small app of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from scripts.app_process import AppProcess
from tests.browser.driver import POLL_MS
from tests.browser.patience import expect

WAIT_MS = 30_000
DESKTOP = {"width": 1200, "height": 820}
PHONE = {"width": 390, "height": 844}

APP = '''
import numpy as np
import pyarrow as pa
import streamlit as st
from orrery_spheres import DEEP, ITEMS, spheres

st.set_page_config(layout="wide")
query, state = st.query_params, st.session_state
count = int(query.get("n", 6))
state.setdefault("ids", [])
state.setdefault("log", [])
state.setdefault("tick", 0)


def items():
    steps = np.arange(count)
    power = 10.0 * np.sin(steps + 1.0) + 0.01 * state.tick
    return pa.table({
        "id": ["/".join([*state.ids, str(i)]) for i in steps],
        "name": [f"Rack {i}" for i in steps],
        "capacity_kwh": 40.0 + steps % 3 * 20,
        "power_kw": power,
        "soc_pct": 20.0 + steps % 60,
        "state": np.where(power > 0, 2, 1),
        "alarm": np.where(steps == 2, 3, 0),
        "alarm_count": np.where(steps == 2, 1, 0),
        "age_s": np.where(steps == 3, 840.0, 1.0),
        "stale": steps == 3,
        "can_drill": steps != 4,
    }).cast(ITEMS)


def deep_items():
    """Two children below each item, of which one has a value; a trip below item 2 is fresh."""
    top, rows = items(), np.repeat(np.arange(count), 2)
    below = top.take(rows).set_column(0, "id", pa.array(
        [f"{row}/{k}" for row in range(count) for k in range(2)], pa.string()))
    both = pa.concat_tables([top, below])
    parents = np.r_[np.full(count, -1), rows]
    added = {
        "parent_row": parents, "tier": np.where(parents < 0, 1, 2), "dim": parents == 1,
        "value": [None if i % 2 else float(i) for i in range(3 * count)],
        "fresh_alarm": both["alarm"].to_numpy() > 0, "group": np.zeros(3 * count),
    }
    for name, column in added.items():
        both = both.append_column(name, pa.array(column).cast(DEEP.field(name).type))
    return both


DEEP_META = {
    "colour": {"by": "temperature_c", "label": "Temperature", "unit": "C", "kind": "sequential",
               "low": 0.0, "high": 20.0, "decimals": 1},
    "layout": "disc", "past": {"time": "2026-11-21T16:20:05Z", "words": "Sat 21 Nov 16:20:05"},
    "can_acknowledge": True, "match": {"shown": 16, "of": 18}, "fly_to": None, "fly_seq": 0,
}
TRAIL = pa.table({"row": [0, 0, 0], "age_s": [60.0, 30.0, 0.0], "value": [1.0, None, 3.0]})


@st.fragment(run_every=float(query["tick"]) if "tick" in query else None)
def body():
    state.tick += 1
    meta = {
        "path": state.ids,
        "parent": {
            "id": "top", "name": state.ids[-1] if state.ids else "Grid POC",
            "power_kw": 1.0, "depth": len(state.ids),
        },
        "level": "racks", "no_drill_reason": "Rack 4 is the last level",
        "selected": None, "select_seq": 0, "palette": "safe", "theme": query.get("theme", "dark"),
        "label_cap": 64, "show_labels": True, "sign": "discharge",
        "reduced_motion": query.get("still") == "1" or None,
    }
    if st.button("Take it away"):
        state.was_away = True
        return
    if state.get("was_away"):
        st.text("It is back.")
    deep = "deep" in query
    result = spheres(deep_items() if deep else items(), {**meta, **(DEEP_META if deep else {})},
                     key="view", height=int(query.get("h", 560)), trails=TRAIL if deep else None)
    st.text(f"tick {state.tick}.")
    st.text(f"selected={result.selected}.")
    if result.drill is not None:
        state.ids = [*state.ids, result.drill]
        st.rerun()
    if result.up:
        state.ids = state.ids[:-1]
        st.rerun()
    if result.acknowledge:
        state.log.append(f"acknowledge={result.acknowledge}.")
    if result.playback:
        state.log.append(f"playback={result.playback}.")
    if result.failed:
        state.log.append(f"failed={result.failed}.")
    st.text(" ".join(state.log))


body()
'''


@pytest.fixture(scope="module")
def base(app_server: Callable[..., AppProcess],
         tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    script = tmp_path_factory.mktemp("viewer_app") / "app.py"
    script.write_text(APP, encoding="utf-8")
    app = app_server(script=str(script))
    yield app.url
    app.stop()


class View:
    """One page with a viewer."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(WAIT_MS)

    def open(self, address: str) -> View:
        self.page.goto(address)
        self.until("v.ready")
        return self

    def get(self, expression: str) -> Any:
        return self.page.evaluate(
            f"(() => {{ const v = window.__spheres[0]; return {expression}; }})()"
        )

    def until(self, expression: str) -> None:
        self.page.wait_for_function(
            f"(() => {{ const v = window.__spheres?.[0];"
            f" return Boolean(v && ({expression})); }})()", polling=POLL_MS)

    def says(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()

    def spot(self, item: str) -> tuple[float, float]:
        """Where a sphere is, once the camera rests."""
        self.until("v.resting")
        now = self.get(f"v.screenOf('{item}')")
        return now["x"], now["y"]


Open = Callable[..., View]


@pytest.fixture
def open_view(base: str, lend: Callable[..., Page]) -> Open:
    def make(query: str = "n=6", **options: Any) -> View:
        page = lend(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
        return View(page).open(f"{base}/?{query}")

    return make


@pytest.mark.parametrize("count", [6, 20, 40, 1000])
def test_draws_every_size_in_two_calls_with_labels_apart(open_view: Open, count: int) -> None:
    view = open_view(f"n={count}")
    assert len(view.get("v.ids")) == count
    assert view.get("v.drawCalls") == 2
    assert view.get("v.pixelStats()") > 8000
    rects = view.get("v.labels()")
    assert len(rects) >= 6
    for a, b in combinations(rects, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    box = view.page.locator("canvas.scene").bounding_box()
    for i in range(count if count <= 20 else 0):
        spot = view.get(f"v.screenOf('{i}')")
        for axis, size in (("x", "width"), ("y", "height")):
            assert box[axis] <= spot[axis] - spot["r"]
            assert spot[axis] + spot["r"] <= box[axis] + box[size]
    if count == 1000:
        view.says("of 1000 labels")


def test_python_tells_all_tiers_and_hears_every_event(open_view: Open) -> None:
    view = open_view("n=6&deep=1&still=1")
    assert len(view.get("v.ids")) == 18
    assert view.get("v.drawCalls") == 2
    scene = view.page.locator("canvas.scene")
    expect(view.page.locator(".then")).to_have_text("Not live · Sat 21 Nov 16:20:05")
    expect(view.page.locator(".match")).to_have_text("16 of 18 match the filter")
    expect(view.page.locator(".legend")).to_contain_text("Temperature")
    view.page.mouse.click(*view.spot("2"))
    view.says("selected=2.")
    view.page.get_by_role("button", name="Acknowledge").click()
    view.says("acknowledge=2.")
    scene.focus()
    view.page.keyboard.press("Space")
    view.says("playback=toggle.")
    view.page.mouse.click(*view.spot("2/1"), button="right")
    view.until("v.path.join() === '2/1'")


def test_hover_tells_a_click_selects_and_what_does_not_drill_says_why(open_view: Open) -> None:
    view = open_view()
    view.page.mouse.move(*view.spot("1"))
    tip = view.page.locator(".tip")
    tip.wait_for()
    text = tip.inner_text()
    assert all(part in text for part in ("Rack 1", "21 %", "discharging"))
    view.page.mouse.click(*view.spot("1"))
    view.says("selected=1.")
    assert view.get("v.selected") == "1"
    box = view.page.locator("canvas.scene").bounding_box()
    view.page.mouse.click(box["x"] + 12, box["y"] + 12)
    view.says("selected=None.")
    view.page.mouse.click(*view.spot("4"), button="right")
    view.says("Rack 4 is the last level")
    assert view.get("v.path.length") == 0


def _right_click(view: View) -> None:
    view.page.mouse.click(*view.spot("1"), button="right")


def _double_click(view: View) -> None:
    view.page.mouse.dblclick(*view.spot("1"))


def _long_press(view: View) -> None:
    view.page.mouse.move(*view.spot("1"))
    view.page.mouse.down()
    view.until("v.path.length === 1")
    view.page.mouse.up()


def _enter(view: View) -> None:
    view.page.locator("canvas.scene").focus()
    view.page.keyboard.press("ArrowRight")
    view.until("v.selected === '0'")
    view.page.keyboard.press("ArrowRight")
    view.until("v.selected === '1'")
    view.page.keyboard.press("Enter")


def test_each_gesture_drills_down_and_it_comes_back(open_view: Open) -> None:
    view = open_view(reduced_motion="no-preference")
    for gesture in (_enter, _right_click, _double_click, _long_press):
        gesture(view)
        view.until("v.path.join() === '1' && v.ids[0] === '1/0'")
        view.page.locator("canvas.scene").focus()
        view.page.keyboard.press("Backspace")
        view.until("v.path.length === 0 && v.ids[0] === '0'")


@pytest.mark.parametrize("taken_away", [False, True])
def test_refresh_keeps_viewer_camera_and_selection(open_view: Open, *, taken_away: bool) -> None:
    view = open_view("n=6&tick=0.4", reduced_motion="no-preference")
    x, y = view.spot("1")
    view.page.mouse.click(x, y)
    view.until("v.selected === '1'")
    view.get("(window.__first = v, true)")
    view.page.mouse.move(x + 60, y + 90)
    view.page.mouse.down()
    view.page.mouse.move(x + 160, y + 110, steps=5)
    view.page.mouse.up()
    view.page.mouse.wheel(0, -200)
    view.spot("1")
    pose = view.get("v.cameraState()")
    assert abs(pose["azimuth"]) > 0.05
    assert pose["zoom"] < 1
    if taken_away:
        view.page.get_by_role("button", name="Take it away").click()
        expect(view.page.get_by_text("It is back.")).to_be_visible(timeout=WAIT_MS)
    tick = int(view.page.get_by_text("tick ").first.inner_text().strip("tick ."))
    view.page.wait_for_function(
        "n => [...document.querySelectorAll('[data-testid=stText]')]"
        ".some(e => Number(/tick (\\d+)/.exec(e.textContent)?.[1]) >= n)",
        arg=tick + 3,
    )
    assert view.get("v === window.__first && window.__spheres.length === 1")
    assert view.get("v.cameraState()") == pose
    assert view.get("v.selected") == "1"
    assert view.get("v.lastUpdateBytes") <= 12 * 6


def test_picture_returns_after_a_lost_context(open_view: Open) -> None:
    view = open_view("n=6&still=1")
    view.spot("0")
    before = view.get("v.pixelStats()")
    view.get("v.loseContext()")
    view.page.wait_for_function("!window.__spheres[0].drawsNow()")
    view.get("v.restoreContext()")
    view.until(f"v.drawsNow() && v.pixelStats() === {before}")


def test_says_when_there_is_no_webgl(base: str, browser: Browser) -> None:
    context = browser.new_context(viewport=DESKTOP)
    context.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind.startsWith('webgl') ? null : real.call(this, kind, ...rest); };"
    )
    page = context.new_page()
    page.goto(f"{base}/?n=6")
    page.get_by_text("The 3D view needs WebGL 2").wait_for(timeout=WAIT_MS)
    page.get_by_text("failed=").wait_for(timeout=WAIT_MS)
    context.close()


def test_phone_fits_and_long_touch_drills(open_view: Open) -> None:
    view = open_view("n=9&h=480", viewport=PHONE, has_touch=True, is_mobile=True)
    assert view.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    x, y = view.spot("1")
    touch = view.page.context.new_cdp_session(view.page)
    finger = {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
    touch.send("Input.dispatchTouchEvent", finger)
    view.until("v.path.join() === '1'")
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_still_picture_stops_drawing(open_view: Open, theme: str) -> None:
    view = open_view(f"n=6&still=1&theme={theme}")
    view.spot("0")
    view.page.wait_for_function(
        "() => { const now = window.__spheres[0].frames; const same = window.__frames === now;"
        "  window.__frames = now; return same; }", polling=500)
