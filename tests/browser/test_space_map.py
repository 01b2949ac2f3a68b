"""Map, table and alarms beside the scene as a person uses them; one selection for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Page

from components.space import table
from core.alarms.journal import AlarmJournal
from core.alarms.records import Finding
from core.clock import ManualClock
from scripts.app_process import AppProcess
from tests.browser.alarm_site import start
from tests.browser.barriers import SCRIPT, violations
from tests.browser.driver import WAIT_MS, open_scene, select, settle, wait_path
from tests.browser.patience import expect

RACK = "system_0_cluster_0_rack_0"
MODULE = f"{RACK}_module_0"
TRIPPED = f"{RACK}_module_0_cell_1"
NEAR = "System 0 · Cluster 0 · Rack 0 · Module 0"
TWO = (f"{RACK}_module_1_cell_3", f"{RACK}_module_1_cell_4")
# Client coordinates of the middle of a square.
SQUARE = """at => {
  const map = document.querySelector('.o-map'), box = map.canvas.getBoundingClientRect();
  const half = map.plan.size / 2;
  return [box.left + map.x[at] + half, box.top + 2 + map.y[at] + half];
}"""
LABEL = """index => {
  const map = document.querySelector('.o-map'), box = map.canvas.getBoundingClientRect();
  return [box.left + 8, box.top + 4 + Math.floor(index / map.plan.across) * map.plan.block];
}"""


def three_tripped(journal: AlarmJournal, clock: ManualClock) -> None:
    """Three cells tripped, and nobody has looked at them."""
    tripped = [Finding(cell, "voltage_high", 3, "voltage_v", 3.667, 3.65)
               for cell in (TRIPPED, *TWO)]
    for findings in (tripped, []):
        for _ in range(30):
            clock.advance(2)
            journal.tick(findings)


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    started = start(app_server, tmp_path_factory.mktemp("map"), timedelta(minutes=5),
                    three_tripped)
    yield started
    started.stop()


@pytest.fixture
def page(app: AppProcess, lend: Callable[..., Page]) -> Page:
    return lend(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")


def wait_map(page: Page, count: int) -> None:
    page.wait_for_function("n => document.querySelector('.o-map')?.meta?.count === n",
                           arg=count, timeout=WAIT_MS)


def selected_square(page: Page, at: int) -> None:
    page.wait_for_function("at => document.querySelector('.o-map').meta.selected === at", arg=at,
                           timeout=WAIT_MS)


def tip(page: Page) -> Locator:
    return page.locator(".o-map .tip")


def next_refresh(page: Page) -> None:
    """The engine's next frame has come to the page."""
    title = page.locator("h1.o-h")
    words = title.inner_text()
    expect(title).not_to_have_text(words, timeout=WAIT_MS)


def test_map_and_scene_have_one_selection(app: AppProcess, page: Page) -> None:
    open_scene(page, app.url, f"/space_balls?path={MODULE}&show=map")
    wait_path(page, MODULE)
    cells = page.evaluate("window.__spheres[0].ids.length")
    wait_map(page, cells)
    details = page.locator(".st-key-panel_details")

    page.mouse.move(*page.evaluate(SQUARE, 3))
    expect(tip(page)).to_contain_text("Cell 3")
    expect(tip(page)).to_contain_text("from the median of its rack")
    page.mouse.click(*page.evaluate(SQUARE, 3))
    page.wait_for_function("id => window.__spheres[0].selected === id", arg=f"{MODULE}_cell_3",
                           timeout=WAIT_MS)
    expect(details).to_contain_text("Cell 3", timeout=WAIT_MS)

    settle(page)
    select(page, f"{MODULE}_cell_5")
    selected_square(page, 5)
    next_refresh(page)
    selected_square(page, 5)

    page.locator(".o-map .sc").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".o-map [aria-live]")).to_contain_text("Cell 6")
    page.keyboard.press("Enter")
    expect(details).to_contain_text("Cell 6", timeout=WAIT_MS)
    page.get_by_role("radio", name="Voltage", exact=True).click()
    expect(page.locator(".o-map .key")).to_contain_text("mV", timeout=WAIT_MS)
    page.get_by_role("radio", name="Value", exact=True).click()
    page.wait_for_function("document.querySelector('.o-map').meta.paint === 'value'",
                           timeout=WAIT_MS)
    selected_square(page, 6)
    expect(page).to_have_url(re.compile("map=voltage_v.*map_kind=value"), timeout=WAIT_MS)
    page.reload()
    wait_map(page, cells)
    page.wait_for_function("document.querySelector('.o-map').meta.paint === 'value'",
                           timeout=WAIT_MS)
    expect(page.get_by_role("radio", name="Voltage", exact=True)).to_be_checked()


def test_the_blocks_of_the_map_are_ways_in(app: AppProcess, page: Page) -> None:
    open_scene(page, app.url, f"/space_balls?path={RACK}&show=map")
    wait_path(page, RACK)
    page.wait_for_function("document.querySelector('.o-map')?.meta?.groups?.length > 1",
                           timeout=WAIT_MS)
    page.mouse.click(*page.evaluate(LABEL, 1))
    page.wait_for_function("id => window.__spheres[0].selected === id", arg=f"{RACK}_module_1",
                           timeout=WAIT_MS)
    page.wait_for_function("document.querySelector('.o-map').meta.group === 1", timeout=WAIT_MS)
    page.mouse.dblclick(*page.evaluate(SQUARE, 2))
    expect(page.locator(".st-key-panel_details")).to_contain_text("Cell 2", timeout=WAIT_MS)
    page.mouse.dblclick(*page.evaluate(LABEL, 1))
    wait_path(page, f"{RACK}_module_1")


def test_the_table_keeps_sort_focus_and_selection_while_it_is_live(
        app: AppProcess, page: Page) -> None:
    page.goto(f"{app.url}/space_balls?path={RACK}&show=table")
    table = page.locator(".o-tbl")
    expect(table.locator("caption")).to_contain_text("below Rack 0", timeout=WAIT_MS)
    expect(table.locator("tbody tr").first).to_have_attribute(
        "data-id", f"{RACK}_module_1", timeout=WAIT_MS)

    heat = table.locator("thead th", has_text="Temp.")
    heat.get_by_role("button").click()
    expect(heat).to_have_attribute("aria-sort", "descending", timeout=WAIT_MS)
    row = table.locator(f"tr[data-id='{MODULE}']")
    by_name = table.locator("thead th", has_text="Name")
    by_name.get_by_role("button").click()
    expect(by_name).to_have_attribute("aria-sort", "ascending", timeout=WAIT_MS)
    expect(table.locator("tbody tr").first).to_have_attribute("data-id", MODULE)
    name = row.get_by_role("button").first
    name.press("Enter")
    expect(name).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)
    expect(page.locator(".st-key-panel_details")).to_contain_text("Module 0", timeout=WAIT_MS)
    for _ in range(2):
        next_refresh(page)
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-pressed", "true")
    expect(by_name).to_have_attribute("aria-sort", "ascending")
    heat.get_by_role("button").click()
    expect(heat).to_have_attribute("aria-sort", "descending", timeout=WAIT_MS)
    name.focus()
    next_refresh(page)
    expect(name).to_be_focused()
    heard = table.locator("tbody tr").first.locator("td").last
    expect(heard).to_have_text(re.compile("^[0-2] s$"), timeout=WAIT_MS)
    expect(page).to_have_url(re.compile("sort=-temperature_c"), timeout=WAIT_MS)
    row.get_by_role("button", name="Go into Module 0").click()
    expect(table.locator("caption")).to_contain_text("below Module 0", timeout=WAIT_MS)
    expect(page).to_have_url(re.compile(f"path={MODULE}(&|$)"))

    page.goto(f"{app.url}/space_balls?path=system_0&show=table&depth=0")
    after = table.get_by_role("button", name="Rows after")
    expect(after).to_have_css("font-family", re.compile("Material Symbols"), timeout=WAIT_MS)
    after.click()
    expect(table.locator(".o-pages")).to_contain_text("51 to 100 of", timeout=WAIT_MS)
    table.get_by_role("button", name="Rows before").click()
    expect(table.locator(".o-pages")).to_contain_text("1 to 50 of", timeout=WAIT_MS)


DRAW = """async ([script, unit]) => {
  window.table ??= (await import(`data:text/javascript,${encodeURIComponent(script)}`)).default;
  const column = (name, unit) => ({name, label: name, unit, right: false, sorts: [name]});
  window.table({parentElement: document.body, setTriggerValue() {}, data: {
    place: "a", columns: [column("name", ""), column("power_kw", unit)], caption: "of a",
    rows: [{id: "b", name: "B", icon: "", tier: 0, stale: false, enter: true, cells: ["1"]}],
    sort: "name", down: false, first: 0, size: 50, total: 1, chosen: null, count: "1"}});
}"""


def test_a_row_stays_and_keeps_the_focus_when_a_unit_changes(lend: Callable[..., Page]) -> None:
    page, script = lend(viewport={"width": 600, "height": 400}), table.SCRIPT.read_text()
    page.evaluate(DRAW, [script, "W"])
    row = page.get_by_role("button", name="B", exact=True)
    row.focus()
    page.evaluate(DRAW, [script, "kW"])
    expect(row).to_be_focused()
    heads = page.locator("thead th")
    expect(heads).to_have_text(["namearrow_upward", "power_kwkW"])
    expect(heads.first.locator(".o-un")).to_be_hidden()


def sign_in(page: Page) -> None:
    page.locator(".st-key-operator_sidebar").get_by_role("button", name="Sign in").first.click()
    page.get_by_label("Name", exact=True).fill("Ada")
    page.get_by_role("button", name="Sign in as operator").click()
    expect(page.locator(".st-key-operator_sidebar")).to_contain_text("Ada", timeout=WAIT_MS)


def test_acknowledging_in_the_scene_and_beside_it_changes_the_one_list_of_alarms(
        app: AppProcess, page: Page) -> None:
    open_scene(page, app.url, f"/space_balls?path={RACK}")
    wait_path(page, RACK)
    shown = page.locator(".st-key-space_alarms")
    expect(shown).to_contain_text("3 alarms here", timeout=WAIT_MS)
    beside = shown.get_by_role("button", name=f"Acknowledge {NEAR}")
    expect(beside).to_be_disabled()
    page.add_script_tag(path=SCRIPT)
    assert violations(page) == []
    sign_in(page)
    settle(page)
    select(page, f"{RACK}_module_1")
    page.get_by_role("button", name="Acknowledge", exact=True).click()
    page.get_by_role("button", name="Acknowledge 2 alarms").click()
    expect(shown).to_contain_text("1 unacknowledged", timeout=WAIT_MS)

    shown.get_by_role("button", name=f"Go to {NEAR}").click()
    wait_path(page, f"{RACK}_module_0")
    page.wait_for_function("id => window.__spheres[0].selected === id", arg=TRIPPED,
                           timeout=WAIT_MS)
    beside.click()
    expect(page.get_by_text("1 alarm acknowledged.")).to_be_visible(timeout=WAIT_MS)
    expect(shown).to_contain_text("all acknowledged", timeout=WAIT_MS)

    page.get_by_role("link", name="Alarms").click()
    rows = page.locator(".o-alm", has_text="acknowledged by Ada")
    expect(rows).to_have_count(3, timeout=WAIT_MS)
