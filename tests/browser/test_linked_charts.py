"""Charts that are bound together, in a real browser: one zoom in time, one moment pointed at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from scripts.app_process import AppProcess
from tests.browser.patience import expect
from tests.sources.mosquitto import until

ROOT = Path(__file__).resolve().parents[2]
WAIT_MS = 60_000
END_S = 1.79e9
HOUR_MS = 3.6e6
MOST_MS = 1.0

APP = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
END_S = {END_S}
""" + '''
import numpy as np
import streamlit as st

from components import blocks, charts, plot
from components.drawing import Drawing

st.set_page_config(layout="wide")
state, theme = st.session_state, st.context.theme.type
blocks.show_style(theme)
state.setdefault("tick", 0)
state.setdefault("hours", 24)
state.setdefault("turn", 0)


def begin_anew():
    state.update(tick=0, hours=24, more=False, turn=state.turn + 1)


def line(figure, end_s, number, **more):
    time_s = np.arange(end_s - 3600 * state.hours, end_s, 60.0)
    value = (20.0 + number + np.sin(time_s / 5000)).astype(np.float32)
    value[(time_s > END_S - 9 * 3600) & (time_s < END_S - 7 * 3600)] = np.nan
    figure.add_scatter(x=time_s * 1000, y=value, name=f"T{number}", mode="lines",
                       hovertemplate=f"T{number} %{{y:.1f}} °C &amp; more<extra></extra>", **more)


def single(end_s, count):
    figure = charts.blank(theme, None, (end_s - 3600 * state.hours, end_s), "UTC",
                          charts.tokens(theme))
    for number in range(count):
        line(figure, end_s, number)
    return figure


def stacked(end_s):
    figure = single(end_s, 1)
    figure.update_xaxes("xaxis2", **{**figure.layout["xaxis"], "matches": "x", "anchor": "y2"})
    figure.update_yaxes(domain=[0.6, 1])
    figure.add_vline(1e3 * end_s - 43.2e6, line={"width": 1})
    figure.add_annotation(text="noon", x=1e3 * end_s - 43.2e6, y=20)
    figure.update_yaxes("yaxis2", domain=[0, 0.4], anchor="x2")
    time_s = end_s - 3600 * state.hours * (1 - np.array([0, 0.25, 0.5, 2 / 3, 1]))
    figure.add_scatter(x=time_s * 1000, y=np.array([0, 1, 0, 1, 1]), name="Compressor",
                       line={"shape": "hv"}, xaxis="x2", yaxis="y2", mode="lines",
                       hovertemplate="Compressor %{customdata}<extra></extra>",
                       customdata=["off", "on", "off", "on", "on"])
    return figure


def scatter():
    figure = Drawing(template=charts.template(theme), xaxis={"type": "linear"})
    figure.add_scatter(x=np.arange(50.0), y=np.arange(50.0), mode="lines")
    return figure


def draw(name, figure, link="pump"):
    figure.layout["meta"] = state.turn
    with st.container(key=f"panel_{name}"):
        plot.show(figure, key=name, alt=f"{name}, tick {state.tick}", height=180, link=link,
                  view=f"{state.hours} {state.turn}")


@st.fragment
def body():
    with st.container(horizontal=True):
        state.tick += st.button("More data")
        state.hours = 6 if st.button("6 hours") else state.hours
        late = st.toggle("Late", key="more")
        st.button("Begin anew", on_click=begin_anew)
    end_s = END_S + 600 * state.tick
    draw("many", single(end_s, 7))
    draw("stacked", stacked(end_s))
    draw("alone", single(end_s, 1), link="")
    draw("linear", scatter())
    if late:
        draw("late", single(end_s, 2))


body()
'''


@pytest.fixture(scope="module")
def base(app_server: Callable[..., AppProcess],
         tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    script = tmp_path_factory.mktemp("linked_app") / "app.py"
    script.write_text(APP, encoding="utf-8")
    app = app_server(script=str(script))
    yield app.url
    app.stop()


class Charts:
    """One page with five charts; three of them are bound together. turn: how often it began, None
    before it is loaded."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.turn: int | None = None
        page.set_default_timeout(WAIT_MS)

    def load(self, address: str) -> None:
        self.page.goto(address)
        for name in ("many", "stacked", "alone", "linear"):
            self.find(name, "path.js-line").first.wait_for(state="attached")
        self.until("alone", "gd._fullLayout.xaxis.range")
        self.whole = self.seen("alone")
        self.turn = 0

    def begin_anew(self) -> None:
        """As it was loaded: the first data, no zoom, nothing pointed at."""
        self.turn = (self.turn or 0) + 1
        self.page.mouse.move(5, 5)
        self.press("Begin anew")
        for name in ("many", "stacked", "alone", "linear"):
            self.until(name, f"gd.layout.meta === {self.turn}")
            expect(self.lines(name)).to_have_count(0, timeout=WAIT_MS)
        for name in ("many", "stacked", "alone"):
            self.wait_seen(name, self.whole)
        expect(self.find("late", "")).to_have_count(0, timeout=WAIT_MS)

    def find(self, name: str, inside: str) -> Any:
        return self.page.locator(f".st-key-panel_{name} .js-plotly-plot {inside}")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def get(self, name: str, expression: str) -> Any:
        return self.page.evaluate(_of(name, f"return {expression};"))

    def until(self, name: str, expression: str) -> None:
        self.page.wait_for_function(_of(name, f"return Boolean(gd && ({expression}));"))

    def seen(self, name: str, axis: str = "xaxis") -> tuple[float, float]:
        """What is seen of the time [ms since 1970]."""
        start, end = self.get(name, f"gd._fullLayout.{axis}.range.map(gd._fullLayout.{axis}.r2l)")
        return float(start), float(end)

    def wait_seen(self, name: str, span: tuple[float, float], axis: str = "xaxis") -> None:
        self.until(name, f"gd._fullLayout.{axis}.range.map(gd._fullLayout.{axis}.r2l).every("
                         f"(end, i) => Math.abs(end - {list(span)}[i]) < 1000)")

    def area(self, name: str, subplot: int = 0) -> tuple[float, float, float]:
        """Left and middle of the area of the data, and its width."""
        box = self.find(name, ".nsewdrag").nth(subplot).bounding_box()
        assert box is not None
        return box["x"], box["y"] + box["height"] / 2, box["width"]

    def zoom(self, name: str, subplot: int = 0) -> tuple[float, float]:
        before = self.seen(name)
        left, middle, width = self.area(name, subplot)
        self.page.mouse.move(left + 0.3 * width, middle)
        self.page.mouse.down()
        self.page.mouse.move(left + 0.6 * width, middle + 3, steps=6)
        self.page.mouse.up()
        self.until(name, f"gd._fullLayout.xaxis.r2l(gd._fullLayout.xaxis.range[0]) !== {before[0]}")
        return self.seen(name)

    def double_click(self, name: str) -> None:
        left, middle, width = self.area(name)
        self.page.mouse.dblclick(left + width / 2, middle)

    def point(self, name: str, share: float, subplot: int = 0) -> None:
        left, middle, width = self.area(name, subplot)
        self.page.mouse.move(left + share * width - 3, middle)
        self.page.mouse.move(left + share * width, middle)

    def lines(self, name: str) -> Any:
        return self.find(name, ".o-mark")

    def mark_px(self, name: str) -> float:
        """Where its first mark is; while it is drawn anew it is nowhere."""
        left = "gd?.querySelector('.o-mark')?.getBoundingClientRect().x"
        return float(self.page.wait_for_function(_of(name, f"return {left};")).json_value())

    def words(self, name: str) -> list[str]:
        return [text for text in
                self.find(name, ".o-marks > div:not(.o-mark) > div").all_text_contents() if text]

    def more(self, tick: int) -> None:
        self.press("More data")
        for name in ("many", "stacked", "alone"):
            expect(self.find(name, "").locator("..").locator(".js-plotly-plot")).to_have_attribute(
                "aria-label", f"{name}, tick {tick}", timeout=WAIT_MS)
            self.until(name, f"gd.calcdata[0].at(-1).x > {(END_S + 600 * tick - 90) * 1e3}")


def _of(name: str, body: str) -> str:
    return (f"(() => {{ const gd = document.querySelector('.st-key-panel_{name} .js-plotly-plot');"
            f" {body} }})()")


@pytest.fixture(scope="module")
def charts(browser: Browser) -> Iterator[Charts]:
    context = browser.new_context(viewport={"width": 1200, "height": 1300},
                                  timezone_id="Asia/Kolkata")
    yield Charts(context.new_page())
    context.close()


@pytest.fixture
def page(base: str, charts: Charts, console: Callable[[Page], list[str]]) -> Iterator[Charts]:
    """Loaded once for all tests."""
    console(charts.page)
    if charts.turn is None:
        charts.load(base)
    yield charts
    charts.begin_anew()


def test_the_axis_ends_where_python_said_in_every_zone(page: Charts) -> None:
    """Plotly takes a number for a moment in the browser's own zone."""
    for name in ("many", "stacked", "alone"):
        assert page.seen(name) == (1e3 * END_S - 24 * HOUR_MS, 1e3 * END_S), name
    first, last = page.get("stacked", "[gd.calcdata[1].at(0).x, gd.calcdata[1].at(-1).x]")
    assert (first, last) == (1e3 * END_S - 24 * HOUR_MS, 1e3 * END_S)
    for part, place in (("shapes", "x0"), ("annotations", "x")):
        at = page.get("stacked", f"gd._fullLayout.xaxis.r2l(gd._fullLayout.{part}[0].{place})")
        assert at == 1e3 * END_S - 12 * HOUR_MS, part


@pytest.mark.parametrize(("source", "subplot", "others"),
                         [("many", 0, ("stacked",)), ("stacked", 1, ("many",))])
def test_a_zoom_is_shared_kept_and_reset_by_all(page: Charts, source: str, subplot: int,
                                                others: tuple[str, ...]) -> None:
    linear = page.seen("linear")
    zoomed = page.zoom(source, subplot)
    assert zoomed[1] - zoomed[0] == pytest.approx(0.3 * 24 * HOUR_MS, rel=0.05)
    for name in others:
        page.wait_seen(name, zoomed)
    page.wait_seen("stacked", zoomed, "xaxis2")
    page.more(1)
    for name in ("many", "stacked"):
        page.wait_seen(name, zoomed)
    assert page.seen("linear") == linear
    whole = page.seen("alone")
    assert whole == (page.whole[0] + 6e5, page.whole[1] + 6e5)
    page.double_click(others[0])
    for name in ("many", "stacked"):
        page.wait_seen(name, whole)
    page.wait_seen("stacked", whole, "xaxis2")


def test_a_chart_that_comes_later_takes_part(page: Charts) -> None:
    zoomed = page.zoom("many")
    page.page.get_by_text("Late").click()
    page.find("late", "path.js-line").first.wait_for(state="attached")
    page.wait_seen("late", zoomed)
    page.double_click("late")
    for name in ("many", "stacked", "late"):
        page.wait_seen(name, page.whole)


def test_another_view_ends_the_zoom_of_all(page: Charts) -> None:
    page.zoom("many")
    page.press("6 hours")
    for name in ("many", "stacked", "alone"):
        page.wait_seen(name, (page.whole[1] - 6 * HOUR_MS, page.whole[1]))


def test_charts_that_are_not_bound_keep_to_themselves(page: Charts) -> None:
    alone = page.zoom("alone")
    linear = page.zoom("linear")
    page.more(1)
    assert page.seen("alone") == pytest.approx(alone, abs=1)
    assert page.seen("linear") == linear
    for name in ("many", "stacked"):
        page.wait_seen(name, (page.whole[0] + 6e5, page.whole[1] + 6e5))
    page.point("alone", 0.5)
    page.find("alone", ".hoverlayer .legendtext, .hoverlayer text").first.wait_for(
        state="attached")
    assert page.lines("many").count() == 0
    page.point("linear", 0.5)
    assert page.lines("many").count() == 0


def test_the_moment_that_is_pointed_at_is_marked_in_all(page: Charts) -> None:
    page.page.get_by_text("Late").click()
    page.find("late", "path.js-line").first.wait_for(state="attached")
    page.point("many", 0.55)
    for name, lines in (("stacked", 2), ("late", 1), ("alone", 0), ("linear", 0), ("many", 0)):
        expect(page.lines(name)).to_have_count(lines, timeout=WAIT_MS)
    expected = float(page.get("many", "gd._hoverdata.find(p => p.curveNumber === 0).y"))
    assert page.words("late") == [f"T0 {expected:.1f} °C & more",
                                  f"T1 {expected + 1:.1f} °C & more"]
    assert page.words("stacked") == [f"T0 {expected:.1f} °C & more", "Compressor off"]
    page.until("late", "Math.abs(gd.querySelector('.o-mark').getBoundingClientRect().x - (area => "
                       "area.x + 0.55 * area.width)(gd.querySelector('.nsewdrag')"
                       ".getBoundingClientRect())) < 2")
    page.page.mouse.move(5, 5)
    for name in ("stacked", "late"):
        expect(page.lines(name)).to_have_count(0, timeout=WAIT_MS)


def test_one_subplot_marks_the_others_of_its_own_chart(page: Charts) -> None:
    page.point("stacked", 0.25, subplot=1)
    expect(page.lines("stacked")).to_have_count(1, timeout=WAIT_MS)
    expect(page.lines("many")).to_have_count(1, timeout=WAIT_MS)
    assert len(page.words("many")) == 7
    assert page.words("stacked")[0].startswith("T0 ")


def test_where_nothing_is_known_a_mark_says_nothing(page: Charts) -> None:
    page.point("stacked", 2 / 3, subplot=1)  # eight hours before the end
    expect(page.lines("many")).to_have_count(1, timeout=WAIT_MS)
    assert page.words("many") == []
    assert page.words("stacked") == []


def test_a_mark_stays_at_its_moment_while_new_data_come(page: Charts) -> None:
    page.point("many", 0.5)
    expect(page.lines("stacked")).to_have_count(2, timeout=WAIT_MS)
    before = page.mark_px("stacked")
    button = page.page.get_by_role("button", name="More data", exact=True)
    button.evaluate("button => button.click()")
    page.until("stacked", f"gd.calcdata[0].at(-1).x > {(END_S + 510) * 1e3}")
    # The mark is drawn anew with the frame after the data.
    until(lambda: page.mark_px("stacked") < before, "the mark goes with its moment")


def test_a_mark_costs_little_and_is_not_told_back(page: Charts) -> None:
    for name in ("many", "stacked"):
        page.get(name, "(window.__told = window.__told ?? {}, "
                       f"gd.on('plotly_hover', () => {{ window.__told['{name}'] = "
                       f"(window.__told['{name}'] ?? 0) + 1; }}), 0)")
    page.point("stacked", 0.4)
    expect(page.lines("many")).to_have_count(1, timeout=WAIT_MS)
    assert page.page.evaluate("window.__told['many'] ?? 0") == 0
    assert page.page.evaluate("window.__told['stacked']") <= 2
    event = "{points: [{x: gd._hoverdata[0].x, xaxis: gd._hoverdata[0].xaxis, " \
            "yaxis: gd._hoverdata[0].yaxis}]}"
    took_ms = page.get("stacked", f"""(() => {{
        const event = {event}, times = [];
        for (let round = 0; round < 60; round++) {{
            const start = performance.now();
            gd.emit('plotly_hover', event);
            times.push(performance.now() - start);
        }}
        return times.sort((a, b) => a - b)[30];
    }})()""")
    assert took_ms / 2 < MOST_MS, f"{took_ms:.2f} ms for two charts"
