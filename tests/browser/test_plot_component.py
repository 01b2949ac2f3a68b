"""One chart in a real browser, in a small app of its own: changed in place, zoomed by a person."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from orrery_spheres import assets_dir
from playwright.sync_api import Browser, Page, Request
from plotly.offline import get_plotlyjs_version

from components.tokens import DARK, LIGHT, rgb
from scripts.app_process import AppProcess
from tests.browser.patience import expect
from tests.conftest import GUARD

ROOT = Path(__file__).resolve().parents[2]
WAIT_MS = 60_000
NEWEST_MS = "Date.parse(gd._fullData.at(-1).x.at(-1) + 'Z')"
DESKTOP = {"width": 1200, "height": 820}
PHONE = {"width": 390, "height": 844}
HEIGHT_PX = 260

APP = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
""" + '''
import numpy as np
import streamlit as st

from components import blocks, charts
from core.ports import Series

st.set_page_config(layout="wide")
state, theme = st.session_state, st.context.theme.type
blocks.show_style(theme)
state.setdefault("tick", 0)
state.setdefault("hours", 24)
state.setdefault("turn", 0)


def begin_anew():
    state.update(tick=0, hours=24, gone=False, narrow=False, turn=state.turn + 1)


@st.fragment
def body():
    state.tick += st.button("More data")
    state.hours = 6 if st.button("6 hours") else state.hours
    away = st.button("Take it away") or state.get("gone", False)
    state.gone = away and not st.button("Bring it back")
    st.text(f"tick {state.tick}.")
    st.button("Begin anew", on_click=begin_anew)
    narrow = st.toggle("Narrow", key="narrow")
    with st.container(key="panel_a", gap=None, width=700 if narrow else "stretch"):
        if away and state.gone:
            st.text("It is away.")
        else:
            chart()
    if st.query_params.get("long"):
        blocks.show(*[blocks.heading(f"Line {i}") for i in range(90)])


def chart():
    end_s = 1.79e9 + 600 * state.tick
    time_s = np.arange(end_s - 3600 * state.hours, end_s, 240.0)
    mean = np.sin(time_s / 5000).astype(np.float32) * 40
    span = (end_s - 3600 * state.hours, end_s)
    series = Series("a", "voltage_v", time_s, mean - 1, mean + 1, mean, 240.0)
    figure = charts.trend_range([series], "V", theme=theme, zone="UTC", span=span)
    figure.layout["meta"] = state.turn
    charts.show(figure, key="volts", alt=f"Voltage <b>, tick {state.tick}", height=260,
                view=f"{state.hours} {state.turn}")


body()
'''


@pytest.fixture(scope="module")
def base(app_server: Callable[..., AppProcess],
         tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    script = tmp_path_factory.mktemp("plot_app") / "app.py"
    script.write_text(APP, encoding="utf-8")
    app = app_server(script=str(script))
    yield app.url
    app.stop()


class Plot:
    """One page with a chart. turn: how often it began, None before it is loaded."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.turn: int | None = None
        page.set_default_timeout(WAIT_MS)
        self.asked: list[str] = []
        page.on("request", self._note)
        self.chart = page.locator(".st-key-panel_a .js-plotly-plot")

    def load(self, address: str) -> Plot:
        self.page.goto(address)
        self.chart.locator("path.js-line").first.wait_for(state="attached")
        return self

    def begin_anew(self) -> None:
        """As it was loaded: the first data, no zoom, in the same window."""
        self.turn = (self.turn or 0) + 1
        self.page.mouse.move(5, 5)
        self.page.set_viewport_size(DESKTOP)
        self.press("Begin anew")
        self.until(f"gd.layout.meta === {self.turn} && gd._fullLayout.width === gd.clientWidth")
        self.until("gd._fullLayout.xaxis.range[1].includes(':13:20')")

    def _note(self, request: Request) -> None:
        self.asked.append(request.url)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def more(self, tick: int) -> None:
        """New data, once they are drawn."""
        self.press("More data")
        expect(self.chart).to_have_attribute("aria-label", f"Voltage <b>, tick {tick}",
                                             timeout=WAIT_MS)
        self.until(f"{NEWEST_MS} > {(1.79e9 + 600 * tick - 300) * 1000}")

    def get(self, expression: str) -> Any:
        return self.page.evaluate(
            f"(() => {{ const gd = document.querySelector('.js-plotly-plot');"
            f" return {expression}; }})()")

    def until(self, expression: str) -> None:
        self.page.wait_for_function(
            f"(() => {{ const gd = document.querySelector('.js-plotly-plot');"
            f" return Boolean(gd && ({expression})); }})()")

    def seen_h(self) -> float:
        """Hours between the ends of the time axis."""
        return float(self.get("(gd._fullLayout.xaxis.r2l(gd._fullLayout.xaxis.range[1])"
                              " - gd._fullLayout.xaxis.r2l(gd._fullLayout.xaxis.range[0]))")
                     ) / 3.6e6

    def middle(self) -> tuple[float, float, float]:
        """Left and middle of the area of the data, and its width."""
        box = self.chart.locator(".nsewdrag").first.bounding_box()
        assert box is not None
        return box["x"], box["y"] + box["height"] / 2, box["width"]

    def zoom(self) -> float:
        left, middle, width = self.middle()
        self.page.mouse.move(left + 0.3 * width, middle)
        self.page.mouse.down()
        self.page.mouse.move(left + 0.6 * width, middle + 3, steps=6)
        self.page.mouse.up()
        self.until("gd._fullLayout.xaxis.range[0] !== gd._fullLayout.xaxis._rangeInitial0")
        return self.seen_h()

    def hold(self) -> None:
        """Remember the picture's nodes, to see that they are the same later."""
        self.get("(window.__was = [gd, gd.querySelector('.main-svg')], 0)")

    def same(self) -> bool:
        return bool(self.get("window.__was[0] === gd && window.__was[1].isConnected"
                             " && window.__was[1] === gd.querySelector('.main-svg')"
                             " && document.querySelectorAll('.js-plotly-plot').length === 1"))


@pytest.fixture(scope="module")
def one_page(browser: Browser) -> Iterator[Plot]:
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    yield Plot(context.new_page())
    context.close()


@pytest.fixture
def plot(base: str, one_page: Plot, console: Callable[[Page], list[str]]) -> Iterator[Plot]:
    """Loaded once for all tests."""
    console(one_page.page)
    if one_page.turn is None:
        one_page.load(base)
    yield one_page
    one_page.begin_anew()


def test_python_and_browser_have_the_same_plotly() -> None:
    wanted = ROOT / "components" / "spheres" / "frontend" / "package.json"
    pinned = json.loads(wanted.read_text(encoding="utf-8"))["dependencies"]
    assert pinned["plotly.js-basic-dist-min"] == get_plotlyjs_version()


def test_new_data_change_the_same_picture(plot: Plot) -> None:
    plot.hold()
    ends = [plot.get("gd._fullLayout.xaxis.range[1]")]
    for tick in (1, 2, 3):
        plot.more(tick)
        assert plot.same()
        ends.append(plot.get("gd._fullLayout.xaxis.range[1]"))
    assert len(set(ends)) == 4


def test_it_has_a_name_its_height_and_asks_nobody(plot: Plot, base: str) -> None:
    assert plot.chart.get_attribute("role") == "img"
    assert plot.chart.get_attribute("aria-label") == "Voltage <b>, tick 0"
    box, cell = plot.chart.bounding_box(), plot.page.locator(".st-key-volts").bounding_box()
    assert box is not None
    assert cell is not None
    assert (box["height"], cell["height"]) == (HEIGHT_PX, HEIGHT_PX)
    assert plot.get("gd.querySelector('.main-svg').height.baseVal.value") == HEIGHT_PX
    assert all(url.startswith((base, "data:", "blob:")) for url in plot.asked), plot.asked
    assert any("/plot.js" in url for url in plot.asked)
    assert not any("/index.js" in url and "bidi" in url for url in plot.asked)


def test_a_zoom_outlives_refreshes_and_ends_by_double_click(plot: Plot) -> None:
    plot.hold()
    heights = plot.get("gd._fullLayout.yaxis.range.join()")
    zoomed = plot.zoom()
    assert zoomed == pytest.approx(0.3 * 24, rel=0.05)
    assert plot.get("gd._fullLayout.yaxis.range.join()") == heights
    for tick in (1, 2):
        plot.more(tick)
        assert plot.seen_h() == pytest.approx(zoomed)
    left, middle, width = plot.middle()
    plot.page.mouse.dblclick(left + width / 2, middle)
    plot.until("gd._fullLayout.xaxis.range[1].includes(':33:20')")
    assert plot.seen_h() == pytest.approx(24)
    plot.more(3)
    assert plot.seen_h() == pytest.approx(24)
    assert plot.same()


def test_data_that_come_during_a_drag_wait_for_its_end(plot: Plot) -> None:
    plot.hold()
    left, middle, width = plot.middle()
    button = plot.page.get_by_role("button", name="More data", exact=True)
    plot.page.mouse.move(left + 0.3 * width, middle)
    plot.page.mouse.down()
    plot.page.mouse.move(left + 0.5 * width, middle, steps=4)
    button.evaluate("button => button.click()")
    expect(plot.chart).to_have_attribute("aria-label", "Voltage <b>, tick 1", timeout=WAIT_MS)
    assert plot.get(f"{NEWEST_MS} < 1.79e9 * 1000")
    plot.page.mouse.move(left + 0.6 * width, middle, steps=4)
    plot.page.mouse.up()
    plot.until(f"{NEWEST_MS} > (1.79e9 + 300) * 1000")
    assert plot.seen_h() == pytest.approx(0.3 * 24, rel=0.05)
    assert plot.same()


def test_another_range_ends_the_zoom(plot: Plot) -> None:
    plot.zoom()
    plot.press("6 hours")
    plot.until("Math.abs(gd._fullLayout.xaxis.r2l(gd._fullLayout.xaxis.range[1])"
               " - gd._fullLayout.xaxis.r2l(gd._fullLayout.xaxis.range[0]) - 6 * 3.6e6) < 1000")
    plot.more(1)
    assert plot.seen_h() == pytest.approx(6)


def test_it_follows_its_container(plot: Plot) -> None:
    plot.hold()
    zoomed = plot.zoom()
    fits = "gd._fullLayout.width === gd.clientWidth && gd.clientWidth"
    for width in (900, 640, 1400):
        plot.page.set_viewport_size({"width": width, "height": 820})
        plot.until(f"{fits} < {width} && {fits} > {width} * 0.6")
    plot.page.get_by_text("Narrow").click()
    plot.until(f"{fits} < 700")
    assert plot.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert plot.seen_h() == pytest.approx(zoomed)
    assert plot.same()


def test_it_comes_back_after_it_was_taken_away(plot: Plot) -> None:
    plot.hold()
    plot.press("Take it away")
    expect(plot.chart).to_have_count(0, timeout=WAIT_MS)
    # The patience of keeper.ts is over once the element that was drawn into is empty.
    plot.page.wait_for_function("window.__was[0].childElementCount === 0")
    plot.press("Bring it back")
    plot.press("More data")
    plot.chart.locator("path.js-line").first.wait_for(state="attached")
    expect(plot.chart).to_have_count(1)
    assert plot.get("gd !== window.__was[0]")
    plot.more(2)
    assert plot.zoom() < 8


def test_ticks_have_the_colours_of_the_theme(base: str, plot: Plot,
                                             lend: Callable[..., Page]) -> None:
    dark = Plot(lend(viewport=DESKTOP, color_scheme="dark")).load(base)
    for one, colour in ((dark, DARK), (plot, LIGHT)):
        fill = one.chart.locator(".xtick text").first.evaluate("e => getComputedStyle(e).fill")
        assert fill == "rgb({}, {}, {})".format(*rgb(colour["text3"]))


def swipe_up(page: Page, x: float, y: float) -> None:
    """One finger goes up by 180 pixels."""
    fingers = page.context.new_cdp_session(page)
    for step in range(13):
        fingers.send("Input.dispatchTouchEvent", {
            "type": "touchMove" if step else "touchStart",
            "touchPoints": [{"x": x, "y": y - 15 * step}]})
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_scrolls_the_page_and_does_not_zoom(base: str,
                                                     lend: Callable[..., Page]) -> None:
    plot = Plot(lend(viewport=PHONE, has_touch=True, is_mobile=True)).load(f"{base}/?long=1")
    assert plot.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert plot.get("gd._fullLayout.dragmode") is False
    left, middle, width = plot.middle()
    top = plot.get("gd.getBoundingClientRect().top")
    swipe_up(plot.page, left + width / 2, middle)
    plot.until(f"gd.getBoundingClientRect().top < {top} - 100")
    assert plot.seen_h() == pytest.approx(24)
    plot.more(1)


def test_without_the_bundle_the_page_says_what_to_do(
        app_server: Callable[..., AppProcess], browser: Browser, tmp_path: Path,
        console: Callable[[Page], list[str]]) -> None:
    package = assets_dir().parent
    shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("assets"))
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    app = app_server(script=str(tmp_path / "app.py"), environment={
        "PYTHONPATH": os.pathsep.join([str(GUARD), str(tmp_path)])})
    page = browser.new_page(viewport=DESKTOP)
    console(page)
    page.goto(app.url)
    box = page.locator(".st-key-panel_a .o-state")
    expect(box).to_contain_text("Charts cannot be drawn here", timeout=WAIT_MS)
    expect(box).to_contain_text("make setup")
    expect(page.locator("[data-testid=stException]")).to_have_count(0)
    page.close()
    app.stop()
