"""The Space Balls page as a person uses it, against the demo site."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from scripts.app_process import AppProcess
from scripts.pictures import page_names
from tests.browser.driver import (
    ONE_CELL_AWAY,
    WAIT_MS,
    drill,
    expect_crumbs,
    open_scene,
    select,
    settle,
    sphere_at,
    wait_drawn,
    wait_path,
)
from tests.browser.patience import expect

Console = Callable[[Page], list[str]]
MODULE = "system_0_cluster_0_rack_0_module_0"
MODULE_CRUMBS = ["Systems", "System 0", "Cluster 0", "Rack 0", "Module 0"]


def opened(browser: Browser, console: Console, **options: Any) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
    page = context.new_page()
    console(page)
    yield page
    context.close()


@pytest.fixture
def page(app: AppProcess, lend: Callable[..., Page]) -> Page:
    """Of somebody who wants no motion, for a moving scene keeps half a core busy."""
    return lend(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")


@pytest.fixture
def routed(browser: Browser, console: Console) -> Iterator[Page]:
    """Nobody uses it afterwards: a route to a server cannot be taken back."""
    yield from opened(browser, console, reduced_motion="reduce")


def test_a_deep_link_as_the_very_first_request_has_the_whole_frame(
        app: AppProcess, page: Page) -> None:
    open_scene(page, app.url, f"/space_balls?path={MODULE}")
    wait_path(page, MODULE)
    expect(page.locator("[data-testid=stSidebarNav] a")).to_have_count(len(page_names()))
    expect_crumbs(page, MODULE_CRUMBS)
    assert page.evaluate("getComputedStyle(document.documentElement)"
                         ".getPropertyValue('--o-charge')") != ""


def test_from_the_grid_to_a_cell_by_each_gesture_and_back(app: AppProcess, page: Page) -> None:
    open_scene(page, app.url)
    wait_path(page, None)
    assert page.evaluate("window.__spheres[0].ids.length") == 8
    for node_id, gesture in ONE_CELL_AWAY:
        drill(page, node_id, gesture)
    expect_crumbs(page, MODULE_CRUMBS)
    expect(page).to_have_url(re.compile(f"path={MODULE}$"))

    page.mouse.click(*sphere_at(page, f"{MODULE}_cell_3"), button="right")
    expect(page.locator(".toast", has_text="last level")).to_be_visible(timeout=WAIT_MS)

    page.go_back()
    wait_path(page, "system_0_cluster_0_rack_0")
    page.get_by_role("button", name="Back", exact=True).click()
    wait_path(page, "system_0_cluster_0")
    page.locator(".st-key-crumbs button", has_text="Systems").click()
    wait_path(page, None)
    expect_crumbs(page, ["Systems"])


def test_at_the_top_a_scene_is_looked_at_from_all_sides(app: AppProcess, page: Page) -> None:
    open_scene(page, app.url)
    settle(page)
    _a_lost_context_comes_back(page)
    _the_wheel_zooms(page)
    _camera_and_selection_survive_refreshes(page)
    _hover_names_a_sphere_and_a_click_fills_the_details(page)


def _a_lost_context_comes_back(page: Page) -> None:
    before = page.evaluate("window.__spheres[0].pixelStats()")
    page.evaluate("window.__spheres[0].loseContext()")
    page.wait_for_function("!window.__spheres[0].drawsNow()")
    page.evaluate("window.__spheres[0].restoreContext()")
    page.wait_for_function("window.__spheres[0].drawsNow()", timeout=WAIT_MS)
    page.wait_for_function("n => window.__spheres[0].pixelStats() > n / 2", arg=before,
                           timeout=WAIT_MS)


def _the_wheel_zooms(page: Page) -> None:
    settle(page)
    before = page.evaluate("window.__spheres[0].cameraState().zoom")
    page.mouse.move(*sphere_at(page, "system_0"))
    page.mouse.wheel(0, -400)
    settle(page)
    assert page.evaluate("window.__spheres[0].cameraState().zoom") != before


def _camera_and_selection_survive_refreshes(page: Page) -> None:
    select(page, "system_2")
    box = page.locator("[role=application]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 60, steps=4)
    page.mouse.up()
    settle(page)
    before = page.evaluate("window.__spheres[0].cameraState()")
    title = page.locator("h1.o-h")
    for _ in range(2):
        words = title.inner_text()
        expect(title).not_to_have_text(words, timeout=WAIT_MS)
    assert page.evaluate("window.__spheres[0].cameraState()") == pytest.approx(before)
    assert page.evaluate("window.__spheres[0].selected") == "system_2"
    assert page.evaluate("window.__spheres.length") == 1


def _hover_names_a_sphere_and_a_click_fills_the_details(page: Page) -> None:
    page.mouse.move(*sphere_at(page, "system_1"))
    expect(page.locator(".tip, [role=tooltip]").filter(has_text="System 1")).to_be_visible(
        timeout=WAIT_MS)
    select(page, "system_1")
    details = page.locator(".st-key-panel_details")
    expect(details).to_contain_text("Selected", timeout=WAIT_MS)
    expect(details).to_contain_text("System 1")
    for label in ("Power", "State of charge", "Capacity", "Voltage", "Highest"):
        expect(details).to_contain_text(label)
    details.get_by_role("button", name="Go into System 1").click()
    wait_path(page, "system_1")


def test_the_recorded_site_is_selectable_to_the_cell(app: AppProcess, page: Page) -> None:
    open_scene(page, app.url)
    settle(page)
    drill(page, "system_recorded", "double click")
    drill(page, "system_recorded_cluster_3", "double click")
    select(page, "system_recorded_cluster_3_cell_6")
    details = page.locator(".st-key-panel_details")
    expect(details).to_contain_text("Selected", timeout=WAIT_MS)
    expect(details).to_contain_text("Cell 7")
    expect(details).to_contain_text(re.compile(r"Voltage\s*3\.2\d\d\s*V"), use_inner_text=True)
    expect(details).to_contain_text(re.compile(r"State of charge\s*–"), use_inner_text=True)


def test_an_unknown_address_shows_the_nearest_ancestor_and_says_so(
        app: AppProcess, page: Page) -> None:
    open_scene(page, app.url, "/space_balls?path=system_0_cluster_0_rack_77_module_1")
    wait_path(page, "system_0_cluster_0")
    expect(page.get_by_text("This element does not exist")).to_be_visible(timeout=WAIT_MS)


def test_hostile_addresses_do_not_hurt(app: AppProcess, page: Page) -> None:
    open_scene(page, app.url, "/space_balls?path=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    wait_path(page, None)
    assert page.locator("img[src=x]").count() == 0
    open_scene(page, app.url, "/space_balls?path=" + "a_" * 2000 + "&range=99y")
    wait_path(page, None)


def test_the_place_is_kept_over_a_reload_and_over_the_overview(
        app: AppProcess, page: Page) -> None:
    open_scene(page, app.url, "/space_balls?path=system_0_cluster_0")
    wait_path(page, "system_0_cluster_0")
    page.reload()
    wait_drawn(page)
    wait_path(page, "system_0_cluster_0")
    page.get_by_role("link", name="Overview").click()
    expect(page.locator(".st-key-rows_systems")).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("link", name="Space Balls").click()
    wait_drawn(page)
    wait_path(page, "system_0_cluster_0")


def test_two_people_stand_at_different_places(app: AppProcess,
                                              lend: Callable[..., Page]) -> None:
    pages = [lend(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
             for _ in range(2)]
    for opened, place in zip(pages, ("system_0", "system_1"), strict=True):
        open_scene(opened, app.url, f"/space_balls?path={place}")
        wait_path(opened, place)
    drill(pages[0], "system_0_cluster_0", "double click")
    assert pages[1].evaluate("window.__spheres[0].path") == ["system_1"]


def test_trends_show_every_range_and_follow_the_selection(app: AppProcess, page: Page) -> None:
    open_scene(page, app.url, "/space_balls?path=system_0")
    wait_path(page, "system_0")
    select(page, "system_0_cluster_0")
    expect(page.get_by_text("Trends of Cluster 0")).to_be_visible(timeout=WAIT_MS)
    chart = page.locator(".st-key-panel_power .js-plotly-plot")
    for name in ("15 min", "6 h", "24 h", "7 d", "1 h"):
        page.get_by_role("radio", name=name, exact=True).click()
        expect(chart).to_have_count(1, timeout=WAIT_MS)
    line = page.locator(".st-key-panel_power .scatterlayer path.js-line").first
    expect(line).to_be_attached(timeout=WAIT_MS)


def end_early(page: Page) -> None:
    """Tell the page that every run of a fragment ended early: what Streamlit makes of the news
    when another fragment starts before it has left. The page then clears nothing up."""
    def told(message: str | bytes) -> str | bytes:
        news = ForwardMsg()
        if isinstance(message, str):
            return message
        news.ParseFromString(message)
        if news.script_finished != ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY:
            return message
        news.script_finished = ForwardMsg.FINISHED_EARLY_FOR_RERUN
        return news.SerializeToString()

    def stand_between(browser_side: WebSocketRoute) -> None:
        server_side = browser_side.connect_to_server()
        server_side.on_message(lambda message: browser_side.send(told(message)))

    page.route_web_socket(re.compile("/_stcore/stream"), stand_between)


def test_no_chart_is_left_over_when_runs_end_early(app: AppProcess, routed: Page) -> None:
    page = routed
    end_early(page)
    open_scene(page, app.url, "/space_balls?path=system_0")
    charts = [page.locator(f".st-key-panel_{name} .js-plotly-plot")
              for name in ("power", "voltage_v", "temperature_c")]
    shown = page.locator(".st-key-trend_power [role=img]")
    for name in ("24 h", "15 min", "24 h"):
        before = shown.first.get_attribute("aria-label", timeout=WAIT_MS)
        page.get_by_role("radio", name=name, exact=True).click()
        expect(shown.first).not_to_have_attribute("aria-label", before or "", timeout=WAIT_MS)
        for chart in charts:
            expect(chart).to_have_count(1, timeout=WAIT_MS)


def test_a_phone_shows_the_scene_and_the_details(app: AppProcess,
                                                 lend: Callable[..., Page]) -> None:
    opened = lend(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True,
                  device_scale_factor=2, reduced_motion="reduce")
    open_scene(opened, app.url)
    settle(opened)
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    opened.touchscreen.tap(*sphere_at(opened, "system_3"))
    expect(opened.locator(".st-key-panel_details")).to_contain_text("System 3", timeout=WAIT_MS)


def test_without_webgl_the_same_data_is_a_picture_and_a_table(
        app: AppProcess, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    opened.add_init_script("const get = HTMLCanvasElement.prototype.getContext;"
                           "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
                           "  return kind.startsWith("
                           "'webgl') ? null : get.call(this, kind, ...rest)};")
    opened.goto(app.url + "/space_balls")
    expect(opened.get_by_text("The 3D viewer cannot run here")).to_be_visible(timeout=WAIT_MS)
    expect(opened.locator("[data-testid=stDataFrame]")).to_be_visible(timeout=WAIT_MS)
    context.close()


def test_overview_tells_the_state_and_a_simulated_fault_and_jumps(
        app: AppProcess, page: Page) -> None:
    page.goto(app.url)
    title = page.locator("h1.o-h")
    expect(title).to_contain_text("8 systems", timeout=WAIT_MS)
    expect(page.locator(".st-key-rows_systems")).to_contain_text("Recorded site")
    page.get_by_role("button", name="Simulated faults").click()
    page.get_by_role("button", name="Open contactor").click()
    expect(title).to_contain_text("alarm", timeout=WAIT_MS)
    expect(page.get_by_text("Contactor open")).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("button", name="Stop all").click()
    expect(title).to_contain_text("no alarms", timeout=WAIT_MS)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="System 3").click()
    wait_drawn(page)
    wait_path(page, "system_3")
