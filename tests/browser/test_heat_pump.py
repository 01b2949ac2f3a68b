"""The Heat pump page as a person uses it: four simulated pumps with a simulated past."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from scripts.app_process import AppProcess
from tests.browser.driver import POLL_MS, WAIT_MS
from tests.browser.patience import expect

Open = Callable[..., "PumpPage"]
SITE = """
title = "Four pumps"
{sources}
"""
SOURCE = """
[[sources]]
kind = "heat-pump"
name = "{name}"
[sources.options]
profile = "{profile}"
house = "{house}"
label = "{label}"
{more}
"""
PUMPS = (
    ("thermia", "thermia_c60", "pine", "Thermia",
     "seed = 11\nassumed_flow_lpm = 21.5\nmachine_map = true"),
    ("ivt", "ivt_rego600_c00", "birch", "IVT",
     "seed = 12\npower_meter = false\nmachine_map = true"),
    ("nibe-ground", "nibe_s_series", "oak", "NIBE ground", "seed = 13\nmachine = \"nibe-f-8\""),
    ("nibe-air", "nibe_smo_air", "hill", "NIBE air",
     "seed = 14\nmachine = \"nibe-air-16\"\nhouse_w_per_k = 520\noutdoor_offset_c = -15.0\n"
     "heat_meter = true"),
)
"""The last where it is so cold that auxiliary heat is needed in any month, at whose time of the
year these tests may run."""
FIRST = "pine_heat_pump"
DESKTOP, PHONE = (1440, 900), (390, 844)
WHOLE_PX = 7000
PAST_MS = 120_000
ZONE = "Europe/Stockholm"
PANELS = {"sankey": "Energy", "cop": "COP over time", "runtime": "What ran when",
          "temperatures": "Temperatures", "performance": "Performance", "power": "Power",
          "valve": "Valve and hot water"}
BEYOND = ("scatter_flow", "scatter_source", "minutes", "spf", "starts")
DRAWN = tuple(key for key in PANELS if key != "runtime")
CARDS = ("COP", "Compressor", "Hot water", "Energy and cost", "Auxiliary heat", "Hot-water cycles")
HOURS = {"1 h": 1, "6 h": 6, "24 h": 24, "7 d": 168, "30 d": 720, "90 d": 2160}
LACKING = {
    "IVT": {"power": "this pump has no power meter", "minutes": "tells no degree minutes"},
    "NIBE ground": {"sankey": "by heat meter: ", "cop": "by assumed flow: nobody said"},
    "NIBE air": {"temperatures": "an air source has no brine"},
}
TRIES = 5
NO_DATA = ".js-plotly-plot :is(.scatterlayer, .barlayer, .fills) { display: none !important }"
FAR, LEAST_DRAWN = 30, 0.01
"""By how much, of 255, a pixel differs from the chart's without data; in which share of it."""


class PumpPage:
    """The page of one viewer, whose clock is that of a zone."""

    def __init__(self, page: Page, zone: str) -> None:
        self.page, self._zone = page, ZoneInfo(zone)

    def ready(self) -> None:
        """The last chart of the page is there too."""
        expect(self.page.locator(".st-key-panel_pump_events")).to_be_visible(timeout=WAIT_MS)
        for key in ("temperatures", "valve", "starts"):
            expect(self.panel(key).locator(".js-plotly-plot .main-svg").first).to_be_attached(
                timeout=WAIT_MS)

    def panel(self, key: str) -> Locator:
        return self.page.locator(f".st-key-panel_pump_{key}")

    def card(self, label: str) -> str:
        """All words of the first card of that label."""
        return self.page.locator(".stMain .o-card", has=self.page.get_by_text(label, exact=True)
                                 ).first.inner_text()

    def plot(self, key: str) -> str:
        return f"document.querySelector('.st-key-panel_pump_{key} .js-plotly-plot')"

    def get(self, key: str, expression: str) -> Any:
        return self.page.evaluate(f"(() => {{ const gd = {self.plot(key)};"
                                  f" return {expression}; }})()")

    def until(self, key: str, expression: str) -> None:
        self.page.wait_for_function(
            f"(() => {{ const gd = {self.plot(key)};"
            f" return Boolean(gd?._fullLayout && ({expression})); }})()", polling=POLL_MS,
            timeout=WAIT_MS)

    def seen_ms(self, key: str) -> tuple[float, float]:
        """From and to of the axis of time, read as wall clock [ms]."""
        self.until(key, "gd._fullLayout.xaxis.range")
        start, end = self.get(key, "gd._fullLayout.xaxis.range.map(gd._fullLayout.xaxis.r2l)")
        return float(start), float(end)

    def wait_span_h(self, key: str, hours: float) -> None:
        """On the wall: one hour more or less where the clocks were changed meanwhile."""
        end = datetime.now(UTC)
        walls = [at.astimezone(self._zone).replace(tzinfo=UTC)
                 for at in (end - timedelta(hours=hours), end)]
        wall_h = (walls[1] - walls[0]).total_seconds() / 3600.0
        self.until(key, "Math.abs((r => r[1] - r[0])(gd._fullLayout.xaxis.range.map("
                        f"gd._fullLayout.xaxis.r2l)) / 3.6e6 - {wall_h}) < 0.1")

    def alt(self, key: str) -> str:
        return self.panel(key).locator(".js-plotly-plot").get_attribute("aria-label") or ""

    def range(self, name: str) -> Locator:
        return self.page.locator(".st-key-pump_tools").get_by_role("radio", name=name, exact=True)

    def choose(self, key: str, option: str) -> None:
        """One option of a select box; `key` is its own."""
        self.unfold(key)
        self.page.get_by_role("option", name=option, exact=True).click()

    def unfold(self, key: str) -> Locator:
        """The options of a select box; a page that is drawn anew at that moment folds them."""
        found = self.page.get_by_role("option")
        for _ in range(TRIES):
            self.page.locator(f".st-key-{key}").get_by_role("combobox").click()
            try:
                found.first.wait_for(timeout=WAIT_MS / TRIES)
            except PlaywrightTimeout:
                continue
            return found
        raise AssertionError(f"{key} does not unfold")

    def options(self, key: str) -> list[str]:
        told = self.unfold(key).all_inner_texts()
        self.page.keyboard.press("Escape")
        return told

    def table(self, key: str) -> pd.DataFrame:
        """What a download button gives, read as CSV."""
        with self.page.expect_download(timeout=WAIT_MS) as coming:
            self.page.locator(f".st-key-{key}").get_by_role("button").click()
        return pd.read_csv(Path(coming.value.path()))

    def drag(self, key: str, start: float, end: float) -> None:
        """Across shares 0..1 of the width of a chart's data."""
        box = self.panel(key).locator(".nsewdrag").first.bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + start * box["width"], middle)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + end * box["width"], middle + 3, steps=6)
        self.page.mouse.up()


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], browser: Browser,
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """With its past told; meanwhile the outdoor sensor of the IVT broke."""
    folder = tmp_path_factory.mktemp("pumps")
    sources = "".join(SOURCE.format(name=name, profile=profile, house=house, label=label,
                                    more=more) for name, profile, house, label, more in PUMPS)
    (folder / "orrery.toml").write_text(SITE.format(sources=sources))
    started = app_server(history=folder / "h", config=folder / "orrery.toml")
    page = browser.new_page(reduced_motion="reduce")
    page.goto(f"{started.url}/connections")
    page.get_by_role("button", name="Simulated faults").click(timeout=WAIT_MS)
    page.locator(".st-key-fault_ivt_heat_pump_sensor_break button").click()
    expect(page.get_by_role("button", name="Simulated faults · 1")).to_be_visible(timeout=WAIT_MS)
    wait_past(page)
    page.close()
    yield started
    started.stop()


def wait_past(page: Page) -> None:
    """The sidebar tells it every 10 s."""
    expect(page.locator("[data-testid=stSidebar]").get_by_text("History")).to_be_visible(
        timeout=WAIT_MS)
    expect(page.get_by_text("Simulating the past")).to_have_count(0, timeout=PAST_MS)


@pytest.fixture
def visit(app: AppProcess, lend: Callable[..., Page]) -> Open:
    """`visit(more, size=..., zone=...)`: a viewer of his own with the page open."""
    def make(more: str = "", size: tuple[int, int] = DESKTOP, zone: str = ZONE) -> PumpPage:
        page = lend(reduced_motion="reduce", viewport={"width": size[0], "height": size[1]},
                    timezone_id=zone)
        page.goto(f"{app.url}/heat_pump{more}")
        found = PumpPage(page, zone)
        found.ready()
        return found

    return make


def picture(page: Page) -> NDArray[np.int16]:
    shot = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    return np.asarray(shot, np.int16)


def drawn_share(differs: NDArray[np.bool_], chart: Locator) -> float:
    """Share of a chart's area in which its data have drawn something."""
    box = chart.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    left, top = round(box["x"]), round(box["y"])
    area = differs[top:top + round(box["height"]), left:left + round(box["width"])]
    return float(area.mean())


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_chart_and_card_is_drawn(visit: Open, size: tuple[int, int]) -> None:
    viewer = visit(f"?pump={FIRST}", size)
    page = viewer.page
    assert page.evaluate(
        "[document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".every(one => one.scrollWidth <= one.clientWidth)")
    for label in CARDS:
        assert re.search(r"\d", viewer.card(label)), label
    expect(page.get_by_role("img", name=re.compile("^Compressor (runs|stands), valve to")
                            )).to_be_visible()
    expect(page.locator("h1, .o-title").first).to_contain_text(
        re.compile(r"(Heating|Hot water|Idle), COP \d\.\d, hot water \d\d\.\d"))
    shares = viewer.panel("runtime").locator(".o-share").get_attribute("aria-label") or ""
    told = [float(one) for one in re.findall(r"([\d.]+) %", shares)]
    assert len(told) == 6
    assert sum(told) == pytest.approx(100, abs=0.3)
    page.set_viewport_size({"width": size[0], "height": WHOLE_PX})
    for key in (*DRAWN, *BEYOND):
        viewer.until(key, f"gd._fullLayout.width > {min(size[0], 600) / 2}")
    whole = picture(page)
    page.add_style_tag(content=NO_DATA)
    differs = (np.abs(picture(page) - whole) > FAR).any(axis=2)
    for key in (*DRAWN, *BEYOND):
        assert drawn_share(differs, viewer.panel(key)) > LEAST_DRAWN, key
    assert page.locator(".stMain .o-state.err").count() == 0


def _every_brand_has_all_parts_and_says_what_it_lacks(viewer: PumpPage) -> None:
    for name, lacking in LACKING.items():
        viewer.choose("pump", name)
        expect(viewer.page.locator(".stMain .o-title, .stMain").first).to_contain_text(
            f"{name}: live", timeout=WAIT_MS)
        for key, words in lacking.items():
            expect(viewer.panel(key)).to_contain_text(words, timeout=WAIT_MS)
        for key, heading in PANELS.items():
            expect(viewer.panel(key)).to_contain_text(heading)
        for label in CARDS:
            assert re.search(r"\d|not (known|told|measured)", viewer.card(label)), label
    viewer.choose("pump", "IVT")
    expect(viewer.panel("power")).to_contain_text("Not measured", timeout=WAIT_MS)
    assert "this pump has no power meter" in viewer.card("Energy and cost")


def test_every_brand_has_all_parts_and_brand_and_source_narrow_the_pumps(visit: Open) -> None:
    viewer = visit()
    _every_brand_has_all_parts_and_says_what_it_lacks(viewer)
    _brand_and_source_narrow_the_pumps(viewer)


def _brand_and_source_narrow_the_pumps(viewer: PumpPage) -> None:
    assert viewer.options("pump") == [label for _, _, _, label, _ in PUMPS]
    assert viewer.options("pump_brand") == ["All", "IVT", "NIBE", "Thermia"]
    viewer.choose("pump_brand", "NIBE")
    expect(viewer.page).to_have_url(re.compile("pump=oak_heat_pump"), timeout=WAIT_MS)
    assert viewer.options("pump") == ["NIBE ground", "NIBE air"]
    viewer.choose("pump_source", "NIBE air")
    expect(viewer.page).to_have_url(re.compile("pump=hill_heat_pump"), timeout=WAIT_MS)
    assert viewer.options("pump") == ["NIBE air"]


def test_every_range_changes_the_charts_and_the_cop_goes_by_the_tier(visit: Open) -> None:
    viewer = visit(f"?pump={FIRST}")
    _every_range_changes_the_charts_and_stands_in_the_address(viewer)
    _the_cop_by_another_tier_and_without_auxiliary_heat(viewer)


def _every_range_changes_the_charts_and_stands_in_the_address(viewer: PumpPage) -> None:
    for name in ("1 h", "6 h", "7 d", "30 d", "90 d", "24 h"):
        viewer.range(name).click()
        for key in ("temperatures", "valve"):
            viewer.wait_span_h(key, HOURS[name])
        if name != "24 h":
            expect(viewer.page).to_have_url(re.compile(f"pump_range={quote_plus(name)}".replace(
                "+", r"(%20|\+)")))
        known_h = viewer.get("temperatures", "(x => (Date.parse(x.at(-1)) - Date.parse(x[0]))"
                                             " / 3.6e6)(gd._fullData[0].x)")
        assert known_h > 0.95 * HOURS[name] - 0.1, name
    viewer.range("Custom").click()
    expect(viewer.page).to_have_url(re.compile("pump_range=Custom"))
    viewer.until("temperatures", "(r => (r[1] - r[0]) / 3.6e6 > 47)"
                                 "(gd._fullLayout.xaxis.range.map(gd._fullLayout.xaxis.r2l))")
    start_ms, end_ms = viewer.seen_ms("temperatures")
    assert start_ms % 86.4e6 == 0
    assert 48 <= (end_ms - start_ms) / 3.6e6 <= 72


def _the_cop_by_another_tier_and_without_auxiliary_heat(viewer: PumpPage) -> None:
    assert "by assumed flow" in viewer.alt("cop")
    expect(viewer.page.locator(".stMain")).to_contain_text("tier 3, by assumed flow")
    viewer.choose("pump_basis_choice", "Tier 4: performance map")
    expect(viewer.panel("cop").locator(".js-plotly-plot")).to_have_attribute(
        "aria-label", re.compile(r"performance map, mean \d\.\d\d"), timeout=WAIT_MS)
    viewer.choose("pump", "NIBE air")
    plot = viewer.panel("cop").locator(".js-plotly-plot")
    expect(plot).to_have_attribute("aria-label", re.compile("heat meter"), timeout=WAIT_MS)
    viewer.range("30 d").click()
    viewer.wait_span_h("cop", HOURS["30 d"])
    whole = _mean(viewer.alt("cop"))
    viewer.panel("cop").get_by_text("With auxiliary heat").click()
    expect(plot).not_to_have_attribute("aria-label", re.compile(f"mean {whole:.2f}"),
                                       timeout=WAIT_MS)
    assert _mean(viewer.alt("cop")) > whole


def test_two_viewers_keep_their_own_pump_range_and_clock(visit: Open) -> None:
    one = visit("?pump=birch_heat_pump&pump_range=30+d")
    one.wait_span_h("temperatures", HOURS["30 d"])
    expect(one.range("30 d")).to_be_checked()
    expect(one.page.locator(".st-key-pump").get_by_role("combobox")).to_have_value("IVT")
    other = visit(zone="Asia/Kolkata")
    wall = datetime.now(UTC).astimezone(ZoneInfo("Asia/Kolkata")).replace(tzinfo=UTC)
    for key in ("temperatures", "cop"):
        assert -60 < wall.timestamp() - other.seen_ms(key)[1] / 1000 < 120, key
    other.range("6 h").click()
    other.wait_span_h("temperatures", HOURS["6 h"])
    one.page.get_by_role("button", name="Refresh", exact=True).click()
    expect(one.page.get_by_text("Drawn anew.")).to_be_visible(timeout=WAIT_MS)
    one.wait_span_h("temperatures", HOURS["30 d"])
    expect(one.page).to_have_url(re.compile("pump=birch_heat_pump"))
    expect(other.range("6 h")).to_be_checked()
    expect(other.page).to_have_url(re.compile(f"pump={FIRST}"))


def _mean(alt: str) -> float:
    found = re.search(r"mean ([\d.]+)", alt)
    assert found is not None, alt
    return float(found[1])


def test_a_zoom_moves_all_charts_of_time_and_new_data_keep_it(visit: Open) -> None:
    viewer = visit(f"?pump={FIRST}")
    page = viewer.page
    page.set_viewport_size({"width": DESKTOP[0], "height": 3600})
    whole = viewer.seen_ms("temperatures")
    viewer.drag("temperatures", 0.3, 0.6)
    viewer.until("power", f"gd._fullLayout.xaxis.r2l(gd._fullLayout.xaxis.range[0]) > {whole[0]}")
    zoomed = viewer.seen_ms("temperatures")
    assert zoomed[0] - whole[0] == pytest.approx(0.3 * 86.4e6, rel=0.05)
    assert zoomed[1] - zoomed[0] == pytest.approx(0.3 * 86.4e6, rel=0.05)
    for key in ("power", "valve", "performance", "cop"):
        assert viewer.seen_ms(key) == pytest.approx(zoomed, abs=1000), key
    viewer.choose("pump_basis_choice", "Tier 4: performance map")
    expect(viewer.panel("cop").locator(".js-plotly-plot")).to_have_attribute(
        "aria-label", re.compile("performance map"), timeout=WAIT_MS)
    viewer.until("cop", "gd._fullData.length > 0")
    for key in ("temperatures", "cop"):
        assert viewer.seen_ms(key) == pytest.approx(zoomed, abs=1000), key
    box = viewer.panel("power").locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    viewer.wait_span_h("temperatures", 24)


def test_both_tables_hold_what_is_shown(visit: Open) -> None:
    viewer = visit(f"?pump={FIRST}&pump_range=7+d&pump_refresh=false")
    log = viewer.table("pump_csv")
    step_h = 1 / 60
    assert len(log) == 7 * 24 * 60
    shown = viewer.card("Hot water")
    assert f"{log['hot_water_c'].mean():.1f}" in shown, shown
    shown = viewer.card("Compressor")
    hours = re.search(r"(?m)^([\d.]+) h$", shown)
    assert hours is not None, shown
    assert float(hours[1]) == pytest.approx(log["compressor_on"].sum() * step_h, abs=0.1)
    kwh = re.search(r"([\d.]+)\s*kWh", viewer.card("Energy and cost"))
    assert kwh is not None
    assert float(kwh[1]) == pytest.approx(log["electric_power_kw"].sum() * step_h, rel=0.005)
    happened = viewer.table("pump_events_csv")
    times = pd.to_datetime(happened["time_utc"])
    assert times.is_monotonic_decreasing or times.is_monotonic_increasing
    newest = happened.iloc[int(times.argmax())]
    first = viewer.panel("events").locator(".o-evt").first.inner_text()
    at = pd.Timestamp(newest["time_utc"]).tz_convert(ZONE)
    assert f"{at:%H:%M}" in first
    expect(viewer.panel("events").locator(".o-evt")).to_have_count(20)
    starts = happened[(happened["kind"] == "compressor") & (happened["change"] == "on")]
    told = _inside(pd.to_datetime(starts["time_utc"]), log)
    on = log["compressor_on"].to_numpy() >= 0.5
    rose = pd.to_datetime(log["time_utc"])[1:][np.diff(on.astype(int)) == 1]
    heated = log["outdoor_c"].mean() < 2.0  # in summer hot water alone, three times a day
    assert len(told) > (50 if heated else 14)
    assert sorted(told) == sorted(_inside(rose, log))


def _inside(times: pd.Series[pd.Timestamp], log: pd.DataFrame) -> list[pd.Timestamp]:
    """Those that both tables hold: the page's parts are drawn one after the other, and a minute
    may pass between them."""
    whole = pd.to_datetime(log["time_utc"])
    minutes = pd.Timedelta(minutes=3)
    return [one for one in times if whole.iloc[0] + minutes < one < whole.iloc[-1] - minutes]


def test_as_much_energy_goes_in_as_comes_out(visit: Open) -> None:
    viewer = visit("?pump=hill_heat_pump&pump_range=30+d")
    into, out = viewer.alt("sankey").split(". Energy out: ")
    assert "Auxiliary" in into
    one, other = _kwh(into), _kwh(out)
    assert one[0] == pytest.approx(other[0], abs=one[1] + other[1])
    told = re.search(r"(\d+) % free energy", viewer.panel("sankey").inner_text())
    assert told is not None
    assert float(told[1]) == pytest.approx(100 * _kwh(into.split(",")[0])[0] / one[0], abs=1)


def _kwh(text: str) -> tuple[float, float]:
    """Sum of all energies of a text [kWh], and by how much rounding may have moved it."""
    scale = {"Wh": 1e-3, "kWh": 1.0, "MWh": 1e3}
    total = slack = 0.0
    for number, unit in re.findall(r"([\d.\u202f]+) (Wh|kWh|MWh)", text):
        decimals = len(number.partition(".")[2])
        total += scale[unit] * float(number.replace("\u202f", ""))
        slack += scale[unit] * 0.5 * math.pow(10, -decimals)
    return total, slack


def test_a_fault_is_told_in_words(visit: Open) -> None:
    """The sensor broke when the module began; its alarm comes after half a minute."""
    viewer = visit("?pump=birch_heat_pump&pump_range=1+h")
    expect(viewer.page.locator("h1")).to_contain_text(
        re.compile(r", .*outdoor.*, alarm \d+$", re.IGNORECASE), timeout=WAIT_MS)
    expect(viewer.page.locator(".stMain")).to_contain_text("outdoor \u2013")
    expect(viewer.page.get_by_role("button", name="Simulated faults · 1")).to_be_visible()
    expect(viewer.panel("events")).to_contain_text(re.compile("Alarm .*outdoor", re.IGNORECASE),
                                                   timeout=WAIT_MS)
