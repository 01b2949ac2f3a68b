"""Find, the worst cells of the details panel, and what limits an element, as a person uses them."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page

from scripts.app_process import AppProcess
from tests.browser.driver import WAIT_MS, open_scene, settle, sphere_at, wait_path
from tests.browser.patience import expect

Lend = Callable[..., Page]
FOUND = ".st-key-rows_space_found"
CUT_OFF = "system_4_cluster_0_rack_0"


def first_found(page: Page) -> str:
    """Id of the worst element that Find shows."""
    row = page.locator(f"{FOUND} div[class*='st-key-hit_space_found_']").first
    expect(row).to_be_visible(timeout=WAIT_MS)
    named = re.search(r"st-key-hit_space_found_(\S+)", row.get_attribute("class") or "")
    assert named is not None
    return named[1]


def expect_there(page: Page, node_id: str) -> None:
    """The scene stands at the element's parent, with the element selected and in the details."""
    wait_path(page, node_id.rpartition("_")[0].rpartition("_")[0])
    page.wait_for_function("id => window.__spheres[0].selected === id", arg=node_id,
                           timeout=WAIT_MS)
    expect(page.locator(".st-key-panel_details")).to_contain_text(node_id, timeout=WAIT_MS)


def choose(page: Page, key: str, option: str) -> None:
    page.locator(f".st-key-{key} [role=combobox], .st-key-{key} input").first.click()
    page.get_by_role("option", name=option, exact=True).click()


def press(button: Locator) -> str:
    """Press what lies on top in the middle of a button, and say whose id was written on it then:
    the worst may be another one a second later."""
    expect(button).to_be_visible(timeout=WAIT_MS)
    label = button.evaluate(
        "button => { button.scrollIntoView({block: 'center'}); const box = "
        "button.getBoundingClientRect(); const top = document.elementFromPoint("
        "box.left + box.width / 2, box.top + box.height / 2); top.click();"
        "return button.contains(top) ? button.textContent : 'covered'; }")
    return id_of(label)


def id_of(label: str) -> str:
    """Of "Go to the highest voltage: System 4 · Cluster 0 · Cell 1", or "Go to System 4"."""
    where = label.strip().rpartition(": ")[2].removeprefix("Go to ")
    return where.lower().replace(" · ", "_").replace(" ", "_")


def number(cell: Locator) -> float:
    found = re.search(r"[\d.]+", cell.inner_text())
    assert found is not None
    return float(found[0])


def test_the_worst_is_found_and_what_limits_is_told(app: AppProcess, lend: Lend) -> None:
    page = lend(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    open_scene(page, app.url)
    settle(page)
    details = page.locator(".st-key-panel_details")

    expect(page.locator(f"{FOUND} .o-find")).to_have_count(5, timeout=WAIT_MS)
    expect(page.get_by_text(re.compile(r"^Of [\d\u202f]+ cells"))).to_be_visible()
    expect_there(page, press(page.locator(f"{FOUND} button").first))

    choose(page, "space_find_what", "Widest spread of voltage")
    expect(page.locator(FOUND)).to_contain_text("mV", timeout=WAIT_MS)
    expect(page.locator(".st-key-space_find_level input")).to_have_value("Modules")
    widest = first_found(page)
    assert re.fullmatch(r"system_\w+_module_\d+", widest), widest
    page.get_by_role("radio", name="From here").click()
    expect(page.get_by_text("nothing below this place")).to_be_visible(timeout=WAIT_MS)

    open_scene(page, app.url, "/space_balls?path=system_4")
    wait_path(page, "system_4")
    page.mouse.move(*sphere_at(page, "system_4_cluster_0"))
    expect(page.locator(".tip .ends")).to_contain_text(
        re.compile(r"Voltage([\d.]+ VR\d · M\d · Cell \d+){2}\d+ mV"), timeout=WAIT_MS)
    lowest, highest = (page.get_by_role("button", name=f"Go to the {end} voltage: System 4")
                       for end in ("lowest", "highest"))
    expect(lowest).to_be_visible(timeout=WAIT_MS)
    line = page.locator(".o-worst .ln").first.locator("> span")
    assert number(line.nth(1)) <= number(line.nth(2))
    expect_there(page, press(highest))

    page.locator(".st-key-crumbs button", has_text="System 4").click()
    wait_path(page, "system_4")
    details.get_by_text("What limits this?").click()
    expect(details).to_contain_text("Discharge ends first in Cluster", timeout=WAIT_MS)
    expect(details).to_contain_text("strings together give")
    page.get_by_text("Simulated faults").click()
    page.locator("[class*='st-key-fault_fleet_open_contactor'] button").click()
    page.keyboard.press("Escape")
    expect(details).to_contain_text(
        "Cluster 0 · Rack 0 gives nothing: its contactor is open", timeout=WAIT_MS)
    details.get_by_role("button", name="Go to Cluster 0 · Rack 0").first.click()
    expect_there(page, CUT_OFF)


def test_on_a_phone_the_worst_cell_is_two_taps_away(app: AppProcess, lend: Lend) -> None:
    page = lend(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True,
                device_scale_factor=2, reduced_motion="reduce")
    open_scene(page, app.url)
    settle(page)
    hot = page.get_by_role("button", name=re.compile("^Go to the highest temperature"))
    expect(hot).to_be_attached(timeout=WAIT_MS)
    left, right = page.evaluate("() => { const box = document.querySelector('.o-worst')"
                                ".getBoundingClientRect(); return [box.left, box.right]; }")
    assert 0 <= left < right <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.get_by_test_id("stExpandSidebarButton").tap()
    page.wait_for_function("document.querySelector('[data-testid=stSidebar]')"
                           ".getBoundingClientRect().left === 0", timeout=WAIT_MS)
    expect_there(page, press(page.locator(f"{FOUND} button").first))
