"""The Fleet page: 24 simulated packs seen, sorted, opened and commanded by people, on a machine
without PyBaMM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page

from scripts.app_process import AppProcess
from tests.browser.driver import WAIT_MS
from tests.browser.patience import expect
from tests.loopback.sitecustomize import WITHOUT

Open = Callable[..., Page]
SITE = """
[[sources]]
kind = "packs"
name = "packs"
[sources.options]
packs = 24
cells = 12
past_hours = 0
[operators]
mode = "local"
demo = true
"""
DESKTOP, PHONE = (1440, 900), (390, 844)
LOOKING = "You are looking only. Sign in as operator first."
ORDERS = ("Override", "Release", "Shut down", "Emergency stop", "Reset")


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "orrery.toml").write_text(SITE)
    started = app_server(history=folder / "h", config=folder / "orrery.toml",
                         environment={WITHOUT: "pybamm"})
    yield started
    started.stop()


@pytest.fixture
def visit(app: AppProcess, lend: Open) -> Open:
    """`visit(query, size=...)`: a viewer of his own on the Fleet page."""
    def make(query: str = "", size: tuple[int, int] = DESKTOP) -> Page:
        page = lend(reduced_motion="reduce", viewport={"width": size[0], "height": size[1]})
        page.goto(f"{app.url}/fleet{query}")
        expect(rows(page).first).to_be_visible(timeout=WAIT_MS)
        return page

    return make


def rows(page: Page) -> Locator:
    return page.locator(".o-pk[data-pack]")


def row(page: Page, name: str) -> Locator:
    return rows(page).filter(has=page.get_by_text(name, exact=True))


def panel(page: Page) -> Locator:
    return page.locator(".st-key-panel_pack")


def order(page: Page, name: str) -> Locator:
    return panel(page).get_by_role("button", name=name)


def sign_in(page: Page, name: str) -> None:
    page.locator(".stMain").get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Sign in as operator").click()
    expect(page.locator(".stMain").get_by_role("button", name=name)).to_be_visible(
        timeout=WAIT_MS)


def confirm(page: Page, title: str, *says: str, word: str = "") -> None:
    dialog = page.get_by_role("dialog", name=title)
    for text in says:
        expect(dialog).to_contain_text(text, timeout=WAIT_MS)
    if word:
        dialog.get_by_role("textbox").fill(word)
    dialog.locator(".st-key-confirm_press button").click()
    expect(dialog).to_have_count(0, timeout=WAIT_MS)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_pack_has_its_row_and_a_viewer_sees_why_he_may_not(
        visit: Open, size: tuple[int, int]) -> None:
    page = visit(size=size)
    expect(rows(page)).to_have_count(24, timeout=WAIT_MS)
    expect(page.locator("h1")).to_contain_text(
        re.compile(r"24 packs, (idle|[\d.]+.(W|kW|MW) (dis)?charging)"))
    first = row(page, "Pack 001")
    for words in (re.compile(r"LFP, 100.kWh"), "Normal", re.compile(r"\d+ %"), "SoH",
                  re.compile(r"Cell \d+, \d\.\d{3} V"), re.compile(r"(lowest|highest), \d+ mV"),
                  re.compile(r"\d+ \| \d+ A"), re.compile(r"\d s")):
        expect(first).to_contain_text(words)
    first.click()
    expect(panel(page)).to_contain_text("Cell voltages", timeout=WAIT_MS)
    for name in ORDERS:
        expect(order(page, name)).to_be_disabled()
    expect(panel(page).get_by_text(LOOKING)).to_be_visible()
    expect(page).to_have_url(re.compile("pack=system_packs_rack_001"))
    assert page.evaluate(
        "[document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".every(one => one.scrollWidth <= one.clientWidth)")
    panel(page).get_by_role("button", name="Close").click()
    expect(panel(page)).to_have_count(0, timeout=WAIT_MS)


def test_rows_are_found_filtered_and_sorted_and_the_address_remembers_it(visit: Open) -> None:
    page = visit()
    page.get_by_role("button", name="LCO", exact=True).click()
    expect(rows(page)).to_have_count(3, timeout=WAIT_MS)
    find = page.get_by_placeholder("Find a pack")
    find.fill("pack 012")
    find.press("Enter")
    expect(rows(page)).to_have_count(1, timeout=WAIT_MS)
    expect(row(page, "Pack 012")).to_be_visible()
    expect(page).to_have_url(re.compile(r"chemistry=LCO.*find=pack|find=pack.*chemistry=LCO"))
    find.fill("<img src=x>")
    find.press("Enter")
    expect(page.get_by_text("No pack fits")).to_be_visible(timeout=WAIT_MS)
    find.fill("")
    find.press("Enter")
    page.locator(".o-pk.hd").get_by_role("button", name="Power").click()
    expect(page).to_have_url(re.compile("sort=Most.power"), timeout=WAIT_MS)
    again = visit("?" + page.url.partition("?")[2])
    expect(rows(again)).to_have_count(3, timeout=WAIT_MS)
    expect(again.locator(".o-pk.hd .on")).to_have_text("Power", use_inner_text=True)
    told = again.locator(".o-pk[data-pack] .pow .a").evaluate_all(
        "all => all.map(one => [one.querySelector('span').innerText,"
        " one.querySelector('.o-un').innerText])")  # all of one refresh
    watts = [float(number) * {"W": 1.0, "kW": 1000.0}[unit.strip()] for number, unit in told]
    assert len(watts) == 3
    assert watts == sorted(watts, reverse=True)


def test_an_operator_bounds_a_pack_in_two_steps_and_stops_another(visit: Open) -> None:
    page = visit("?pack=system_packs_rack_003")
    sign_in(page, "Anna")
    order(page, "Override").click()
    page.get_by_label("At most, each pack [kW]").fill("5")
    page.get_by_label("For [min]").fill("10")
    page.get_by_role("button", name="Continue").click()
    confirm(page, "Bound Pack 003", "no more than 5.00 kW", "ends by itself after 10 min",
            "within 30 s")
    life = panel(page).locator(".o-cmd", has_text="Override: at most 5.00 kW for 10 min")
    expect(life).to_contain_text(re.compile(r"executedafter \d\.\d s"), timeout=WAIT_MS)
    expect(life).to_contain_text("Anna")
    row(page, "Pack 004").click()
    expect(panel(page)).to_contain_text("Pack 004", timeout=WAIT_MS)
    order(page, "Emergency stop").click()
    confirm(page, "Stop at once: Pack 004", "opens its contactors")
    expect(page.locator("h1")).to_contain_text("1 tripped", timeout=WAIT_MS)
    expect(rows(page).first).to_contain_text("Tripped")
    expect(rows(page).first).to_contain_text("Pack 004")
    order(page, "Reset").click()
    confirm(page, "Reset Pack 004", "leaves its latched state", word="Pack 004")
    expect(panel(page).locator(".o-cmd", has_text="Reset")).to_contain_text(
        re.compile("executed|refused"), timeout=WAIT_MS)
    other = visit("?pack=system_packs_rack_004")
    expect(other.get_by_text(LOOKING)).to_be_visible(timeout=WAIT_MS)


def test_no_form_that_is_left_open_lies_over_the_second_step(visit: Open) -> None:
    page = visit()
    sign_in(page, "Anna")
    page.get_by_role("button", name="Site", exact=True).click()
    page.get_by_role("dialog", name="Site").get_by_role("button", name="Override").click()
    page.get_by_label("At most, each pack [kW]").fill("5")
    page.get_by_role("button", name="Continue").click()
    step = page.get_by_role("dialog", name="Bound packs: 24 packs")
    expect(step).to_contain_text("no more than 5.00 kW", timeout=WAIT_MS)
    expect(page.get_by_role("dialog")).to_have_count(1)
    step.get_by_role("button", name="Override").click(trial=True)
    step.get_by_text("Confirm within 30 s").click()
    expect(page.locator("[data-testid=stPopoverBody]")).to_have_count(0, timeout=WAIT_MS)
    expect(step).to_be_visible()


def test_the_packs_are_spheres_too(visit: Open) -> None:
    page = visit()
    page.get_by_text("Spheres", exact=True).click()
    page.wait_for_function("window.__spheres?.[0]?.ready && window.__spheres[0].ids.length === 24",
                           timeout=WAIT_MS)
    page.get_by_text("Rows", exact=True).click()
    expect(rows(page)).to_have_count(24, timeout=WAIT_MS)
    rows(page).nth(2).click()
    panel(page).get_by_role("button", name="Digital twin").click(timeout=WAIT_MS)
    expect(page).to_have_url(re.compile(r"/digital_twin\?pack=system_packs_rack_"),
                             timeout=WAIT_MS)
    main = page.locator(".stMain")
    expect(main).to_contain_text("Charge, estimated", timeout=WAIT_MS)
    _without_its_physics(page, main)


def _without_its_physics(page: Page, main: Locator) -> None:
    """A twin without PyBaMM says what is missing, and shows what it knows by itself."""
    expect(main).to_contain_text("No physics: the models are not installed")
    expect(main).to_contain_text("pip install -r requirements.txt")
    expect(main).to_contain_text("Not without the physics, which is not installed here",
                                 timeout=WAIT_MS)
    expect(main).to_contain_text(re.compile(r"\d+ to \d+ %"), timeout=WAIT_MS)
    expect(page.get_by_role("button", name=re.compile("ageing model|Calibrate|Give a file"))
           ).to_have_count(0)
    page.get_by_role("button", name="All packs").click()
    expect(page.locator(".o-tw[data-pack]")).to_have_count(24, timeout=WAIT_MS)
