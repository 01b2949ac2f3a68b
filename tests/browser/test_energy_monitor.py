"""The Energy Monitor as a person uses it, against a simulated and a recorded house."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from scripts.app_process import AppProcess
from scripts.pictures import page_names
from tests.browser.driver import POLL_MS, WAIT_MS
from tests.browser.patience import expect

Lend = Callable[..., Page]
SITE = """
[[sources]]
kind = "house"
name = "house"

[[sources]]
kind = "recorded"
name = "recorded"

[twin]
enabled = false
"""
DESKTOP, PHONE = (1440, 900), (390, 844)
TILES = ("State of charge", "Solar", "Load", "Grid")
DETAILS = ("Voltage", "Current", "Power", "Temperature")
PANELS = ("house_voltage_v", "house_current_a", "house_temperature_c", "house_soc",
          "house_forecast", "house_normal", "house_totals")
PAST_MS = 120_000


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "orrery.toml").write_text(SITE)
    started = app_server(history=folder / "h", config=folder / "orrery.toml",
                         environment={"ORRERY_CHANGE_SOURCES": "1"})
    yield started
    started.stop()


def opened(lend: Lend, size: tuple[int, int]) -> Page:
    return lend(reduced_motion="reduce", viewport={"width": size[0], "height": size[1]})


@pytest.fixture
def page(app: AppProcess, lend: Lend) -> Page:
    return opened(lend, DESKTOP)


def open_house(page: Page, app: AppProcess, more: str = "") -> None:
    """Wait until the simulated past is there: the charts are drawn over all of their range."""
    page.goto(f"{app.url}/energy_monitor?house=simulated_house{more}")
    expect(page.locator(".st-key-panel_house_voltage_v .js-plotly-plot")).to_be_visible(
        timeout=WAIT_MS)


def wait_past(page: Page, app: AppProcess, more: str = "") -> None:
    open_house(page, app, more)
    expect(page.locator("[data-testid=stSidebar]").get_by_text("History")).to_be_visible(
        timeout=WAIT_MS)
    told = page.get_by_text("Simulating the past")
    if told.count() > 0:
        expect(told).to_have_count(0, timeout=PAST_MS)
        open_house(page, app, more)


def card(page: Page, label: str) -> str:
    """The whole text of the first card of that label."""
    return page.locator(".stMain .o-card", has=page.get_by_text(label, exact=True)
                        ).first.inner_text()


def test_a_deep_link_is_entered_through_the_frame_and_a_source_is_connected(
        app: AppProcess, page: Page) -> None:
    open_house(page, app)
    expect(page.locator("[data-testid=stSidebarNav] a")).to_have_count(len(page_names()))
    expect(page.locator("h1")).to_contain_text(re.compile("The house runs on|Battery at"))
    _the_form_tests_before_it_saves_and_says_what_is_wrong(page)


def _the_form_tests_before_it_saves_and_says_what_is_wrong(page: Page) -> None:
    page.get_by_role("button", name="Connect a source").click()
    dialog = page.get_by_role("dialog")
    dialog.locator(".st-key-connect_kind").get_by_role("combobox").click()
    page.get_by_role("option", name="Another Orrery").click()
    expect(dialog.get_by_text("Address is needed.")).to_be_visible(timeout=WAIT_MS)
    address = dialog.get_by_role("textbox", name="Address")
    address.fill("http://127.0.0.1:9")
    address.press("Enter")
    test = dialog.get_by_role("button", name="Test connection")
    expect(test).to_be_enabled(timeout=WAIT_MS)
    test.click()
    expect(dialog.get_by_text("No connection")).to_be_visible(timeout=WAIT_MS)
    expect(dialog.get_by_role("button", name="Save")).to_be_disabled()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_element_of_the_layout(app: AppProcess, lend: Lend,
                                     size: tuple[int, int]) -> None:
    page = opened(lend, size)
    wait_past(page, app)
    for label in (*TILES, *DETAILS):
        assert re.search(r"\d", card(page, label)), label
    assert "°F" in card(page, "Temperature")
    expect(page.get_by_role("img", name=re.compile("^Solar .* Home using"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"last updated \d+ seconds? ago · Healthy"))
           ).to_be_visible(timeout=WAIT_MS)
    for key in PANELS:
        panel = page.locator(f".st-key-panel_{key}")
        expect(panel.locator(".js-plotly-plot")).to_have_count(1, timeout=WAIT_MS)
        expect(panel.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    for words in ("Summary statistics", "Charging time", "Data comparison", "Difference now",
                  "Drift", "How long will it last", "Usable", "Was this normal?", "Energy",
                  "Self-consumption", "Self-sufficiency", "Cost", "Battery history"):
        expect(page.locator(".stMain").get_by_text(words, exact=True).first).to_be_visible()
    assert page.locator(".stMain .o-state.err").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_every_range_draws_one_chart_each_and_stands_in_the_address(app: AppProcess,
                                                                    page: Page) -> None:
    wait_past(page, app)
    tools = page.locator(".st-key-house_trend_tools")
    for name in ("6 h", "7 d", "30 d", "12 h", "48 h", "72 h"):
        tools.get_by_role("radio", name=name, exact=True).click()
        expect(page).to_have_url(re.compile("hours=" + name.replace(" ", "(%20|\\+)")))
        for key in PANELS[:3]:
            expect(page.locator(f".st-key-panel_{key} .js-plotly-plot")).to_have_count(
                1, timeout=WAIT_MS)
    _72_hours_are_72_hours(page)


def _72_hours_are_72_hours(page: Page) -> None:
    page.wait_for_function("""() => {
        const plot = document.querySelector('.st-key-panel_house_voltage_v .js-plotly-plot');
        const x = plot?._fullData?.find(one => one.name === 'Mean')?.x ?? [];
        const at = value => typeof value === 'number' ? value : Date.parse(value);
        const hours = (at(x[x.length - 1]) - at(x[0])) / 3.6e6;
        return 71.0 < hours && hours <= 72.1; }""", polling=POLL_MS, timeout=WAIT_MS)


def test_numbers_move_by_themselves_a_zoom_stays_and_the_sign_is_a_choice(
        app: AppProcess, page: Page) -> None:
    open_house(page, app)
    page.get_by_role("radio", name="10 s", exact=True).click()
    zoomed = "document.querySelector('.st-key-panel_house_voltage_v .js-plotly-plot').layout"
    box = page.locator(".st-key-panel_house_voltage_v .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 62, steps=8)
    page.mouse.up()
    page.wait_for_function(f"() => {zoomed}.xaxis.autorange === false")
    instants = ("range => range.map(at => typeof at === 'number' ? Math.round(at)"
                " : Math.round(Date.parse(at.replace(' ', 'T') + 'Z')))")
    before = page.evaluate(f"() => ({instants})({zoomed}.xaxis.range)")
    drawn = page.locator(".st-key-panel_house_voltage_v .js-plotly-plot").element_handle()
    assert drawn is not None
    drawn.evaluate("plot => plot.on('plotly_afterplot', () => { plot.dataset.drawn = '1'; })")
    page.wait_for_function("plot => plot.dataset.drawn === '1'", arg=drawn, timeout=WAIT_MS)
    assert page.evaluate(f"() => ({instants})({zoomed}.xaxis.range)") == pytest.approx(
        before, abs=1)
    assert drawn.evaluate("element => element.isConnected")
    _the_sign_is_a_choice(page)


def _the_sign_is_a_choice(page: Page) -> None:
    shown = card(page, "Current")
    negative = "\u2212" in shown
    page.get_by_role("button", name="Sign").click()
    page.get_by_text("Discharging +").click()
    page.keyboard.press("Escape")
    if "idle" not in shown:
        expect(page.locator(".stMain .o-card", has=page.get_by_text("Current", exact=True)).first
               ).not_to_contain_text("\u2212" if negative else "\u0000", timeout=WAIT_MS)


def test_another_house_is_one_choice_away(app: AppProcess, page: Page) -> None:
    open_house(page, app)
    page.locator("[data-testid=stSidebar] .st-key-house").get_by_role("combobox").click()
    page.get_by_role("option", name="Recorded house").click()
    expect(page).to_have_url(re.compile("house=recorded_house"), timeout=WAIT_MS)
    expect(page.locator(".stMain").get_by_text("Battery details")).to_be_visible(timeout=WAIT_MS)
    page.reload()
    expect(page).to_have_url(re.compile("house=recorded_house"))
    expect(page.get_by_role("combobox", name="House")).to_have_value(
        "Recorded house (Victron)", timeout=WAIT_MS)


def test_the_overview_has_the_houses_and_leads_there(app: AppProcess, page: Page) -> None:
    page.goto(f"{app.url}/overview")
    page.get_by_role("button", name="Open Simulated house").click(timeout=WAIT_MS)
    expect(page).to_have_url(re.compile("energy_monitor.*house=simulated_house"),
                             timeout=WAIT_MS)
