"""The Coordinator: from the sentence to the reasons, a wish seen and applied, an override and its
end, and the way there from the Overview."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from core.coordinator.view import TrainingRun
from scripts.app_process import AppProcess
from services.coordinator.rl.progress import Progress
from store.records import open_coordinator
from tests.browser.driver import POLL_MS, WAIT_MS
from tests.browser.patience import expect
from tests.coordinator_rl.cases import SHIPPED

Lend = Callable[..., Page]
SITE = """
[[sources]]
kind = "packs"
name = "packs"
[sources.options]
packs = 4
cells = 40
past_hours = 0
[[sources]]
kind = "site"
name = "packs-site"
[coordinator.sites.packs]
house = "packs_site"
[coordinator.sites.packs.tariff]
kind = "time_of_use"
currency = "EUR"
import_per_kwh = 0.1
export_per_kwh = 0.05
[[coordinator.sites.packs.tariff.periods]]
from_hour = 8
to_hour = 20
import_per_kwh = 0.5
[operators]
mode = "local"
demo = true
[history]
backfill_hours = 0
[twin]
enabled = false
"""
DESKTOP, PHONE = (1440, 900), (390, 844)
TOGETHER = ["Load, expected", "Grid, planned", "Import price 0.", "EUR", "Charge, planned"]
TOLD = """parts => {
  const told = document.querySelector("[class*=st-key-coordinator_plan] .hoverlayer")?.textContent;
  return parts.every(part => told?.includes(part));
}"""
LOOKING = "You are looking only. Sign in as operator first."
WIDE = ("[document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".every(one => one.scrollWidth <= one.clientWidth)")


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("coordinator")
    (folder / "orrery.toml").write_text(SITE)
    started = app_server(history=folder / "h", config=folder / "orrery.toml")
    yield started
    started.stop()


def visit(app: AppProcess, lend: Lend, size: tuple[int, int], address: str) -> Page:
    page = lend(reduced_motion="reduce", viewport={"width": size[0], "height": size[1]})
    page.goto(f"{app.url}/{address}")
    return page


def head(page: Page) -> Locator:
    return page.locator("h1")


def main(page: Page) -> Locator:
    return page.locator(".stMain")


def room(page: Page, name: str) -> None:
    main(page).get_by_role("radio", name=name, exact=True).click()


def test_from_the_sentence_to_the_reasons_and_to_a_pack(
        app: AppProcess, lend: Lend, tmp_path: Path) -> None:
    page = visit(app, lend, DESKTOP, "coordinator")
    expect(head(page)).to_contain_text(re.compile(r"^MPC (has|lets) the fleet"), timeout=WAIT_MS)
    expect(main(page)).to_contain_text("next plan in", timeout=WAIT_MS)
    expect(main(page)).to_contain_text("Limits broken today", timeout=WAIT_MS)
    expect(main(page).locator("[class*=st-key-coordinator_plan] .js-plotly-plot")).to_be_visible(
        timeout=WAIT_MS)
    _hover(page)
    _reasons(page)
    _export(page, tmp_path)
    room(page, "Packs")
    packs = page.locator(".o-copack:not(.hd)")
    expect(packs).to_have_count(4, timeout=WAIT_MS)
    expect(packs.filter(has_text="delivered")).to_have_count(4, timeout=WAIT_MS)
    page.get_by_role("button", name="Open Pack 002").click()
    expect(page).to_have_url(re.compile(r"/fleet\?pack=system_packs_rack_002"), timeout=WAIT_MS)


def _hover(page: Page) -> None:
    """The present moment of the plan tells power, price and charge together."""
    field = page.locator("[class*=st-key-coordinator_plan] .js-plotly-plot .nsewdrag").first
    for share in (0.6, 0.61, 0.62, 0.63, 0.64):  # it may be drawn anew in between
        field.hover(position={"x": share * field.bounding_box()["width"], "y": 20})
        with suppress(PlaywrightTimeout):
            page.wait_for_function(TOLD, arg=TOGETHER, polling=POLL_MS, timeout=WAIT_MS / 5)
            return
    raise AssertionError(f"not told together: {', '.join(TOGETHER)}")


def _reasons(page: Page) -> None:
    """The last time of the plan is pressed; the address remembers it. It may be the only one:
    whether the fleet does one thing for all of the plan depends on the hour of the day."""
    times = page.locator(".o-cowhy:not(.hd)")
    expect(times.last).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("button", name=re.compile("^Why from")).last.click()
    expect(page).to_have_url(re.compile(r"hour=\d{8}T\d{4}Z"), timeout=WAIT_MS)
    expect(times.last).to_have_class(re.compile(r"\bon\b"), timeout=WAIT_MS)
    page.reload()
    expect(times.last).to_have_class(re.compile(r"\bon\b"), timeout=WAIT_MS)


def _export(page: Page, folder: Path) -> None:
    page.get_by_role("button", name="Export").click()
    with page.expect_download(timeout=WAIT_MS) as wanted:
        page.get_by_role("button", name="CSV of this room: Plan").click()
    wanted.value.save_as(folder / "plan.csv")
    lines = (folder / "plan.csv").read_text().splitlines()
    assert lines[0].startswith("from,kind,import_price_per_kwh")
    assert sum(",planned," in line for line in lines) == 144
    page.keyboard.press("Escape")


def test_a_wish_is_seen_applied_and_audited_and_an_override_ends(
        app: AppProcess, lend: Lend, tmp_path: Path) -> None:
    page = visit(app, lend, DESKTOP, "coordinator?room=Objectives")
    expect(head(page)).to_contain_text(re.compile("^MPC"), timeout=WAIT_MS)
    slider = page.get_by_role("slider", name="Keep for an outage, % of capacity")
    slider.focus()
    page.keyboard.press("End")
    page.get_by_role("button", name="Put back").click(timeout=WAIT_MS)
    expect(main(page)).to_contain_text("Nothing is changed yet", timeout=WAIT_MS)
    expect(slider).to_have_value("0", timeout=WAIT_MS)
    slider.focus()
    page.keyboard.press("End")
    expect(main(page)).to_contain_text("kept for an outage: 90 % instead of 0", timeout=WAIT_MS)
    expect(main(page)).to_contain_text("Through the packs, kWh", timeout=WAIT_MS)
    apply = main(page).get_by_role("button", name="Apply", exact=True)
    expect(apply).to_be_disabled()
    expect(main(page)).to_contain_text(LOOKING)
    _sign_in(page)
    expect(apply).to_be_enabled(timeout=WAIT_MS)
    apply.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Kept for an outage: 90 % instead of 0.", timeout=WAIT_MS)
    dialog.get_by_role("button", name="Apply").click()
    expect(main(page)).to_contain_text("Anna: ", timeout=WAIT_MS)
    expect(main(page)).to_contain_text("Nothing is changed yet", timeout=WAIT_MS)
    room(page, "Plan")
    expect(main(page)).to_contain_text("What could not be met", timeout=WAIT_MS)
    expect(main(page)).to_contain_text(re.compile(r"the reserve is \d+\.\d kWh"))
    _override(page)
    _curves(page, app.history / "coordinator", tmp_path)
    _policies(page)
    _price_files(page)
    page.goto(f"{app.url}/alarms?view=Audit")
    for action in ("set the coordinator", "override the coordinator",
                   "end the coordinator's override", "deploy: outcome", "roll_back: outcome",
                   "take prices in"):
        expect(main(page)).to_contain_text(action, timeout=WAIT_MS)


def _sign_in(page: Page) -> None:
    main(page).get_by_role("button", name="Sign in").click()
    page.get_by_label("Name", exact=True).last.fill("Anna")
    page.get_by_role("button", name="Sign in as operator").click()
    expect(main(page).get_by_role("button", name="Anna")).to_be_visible(timeout=WAIT_MS)


def _override(page: Page) -> None:
    """Held, said, and given back."""
    main(page).get_by_role("button", name="Override").click()
    page.get_by_role("radiogroup", name="The fleet shall").get_by_text(
        "Charge", exact=True).click(timeout=WAIT_MS)
    page.get_by_label("At, kW").fill("5")
    page.get_by_label("Why").fill("a test of the feeder")
    page.get_by_role("button", name="Continue").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It ends by itself at", timeout=WAIT_MS)
    dialog.get_by_role("button", name="Hold the fleet").click()
    expect(head(page)).to_contain_text("Anna holds the fleet charging at 5.00 kW",
                                       timeout=WAIT_MS)
    expect(main(page)).to_contain_text("a test of the feeder")
    main(page).get_by_role("button", name="End override").click()
    page.get_by_role("dialog").get_by_role("button", name="End override").click(timeout=WAIT_MS)
    expect(head(page)).to_contain_text(re.compile("^MPC"), timeout=WAIT_MS)


def _curves(page: Page, kept: Path, folder: Path) -> None:
    """A run that goes on elsewhere: its curve grows before the eyes of who looks."""
    room(page, "Training")
    expect(main(page)).to_contain_text("No training has run here", timeout=WAIT_MS)
    store = open_coordinator(kept)
    run = TrainingRun("run-1-cloned", "cloned", datetime.now(UTC))
    progress = Progress(folder, run, store.keep_training, lambda: datetime.now(UTC))
    for steps in (100.0, 200.0):
        progress.point(steps, 330.0, 80.0, 0.2, "round 1")
    plot = page.locator("[class*=st-key-panel_coordinator_curves] .js-plotly-plot")
    points = plot.locator(".scatterlayer .point")
    expect(points).to_have_count(2, timeout=WAIT_MS)
    expect(main(page)).to_contain_text("running, 20 %")
    plot.evaluate("one => { window.before = one }")
    progress.point(300.0, 329.0, 84.5, 0.5)
    expect(main(page)).to_contain_text("running, 50 %", timeout=WAIT_MS)
    expect(points).to_have_count(3, timeout=WAIT_MS)
    assert plot.evaluate("one => one === window.before && one.isConnected"), "mounted anew"
    progress.end("")
    store.close()


def _policies(page: Page) -> None:
    """The shipped policy to all packs, and back; the coordinator's own place is refused."""
    room(page, "Training")
    expect(main(page)).to_contain_text(
        f"{SHIPPED.version} (as shipped): refused as a site's controller", timeout=WAIT_MS)
    expect(page.locator(".o-coeval .line")).to_have_count(len(SHIPPED.captured_pct))
    rows = page.locator(".o-cover:not(.hd)")
    all_of_them = rows.filter(has_text="4 packs")
    expect(rows).to_have_count(2, timeout=WAIT_MS)
    expect(all_of_them).to_contain_text("none: at rest")
    deploy, back = (main(page).get_by_role("button", name=name, exact=True)
                    for name in ("Deploy", "Roll back"))
    expect(back).to_be_disabled()
    deploy.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"All 4 packs follow {SHIPPED.version}", timeout=WAIT_MS)
    dialog.get_by_role("button", name=f"Deploy {SHIPPED.version}").click()
    expect(all_of_them).to_contain_text("deploy by Anna: accepted", timeout=WAIT_MS)
    expect(all_of_them).to_contain_text(SHIPPED.version, timeout=WAIT_MS)
    expect(deploy).to_be_disabled(timeout=WAIT_MS)
    back.click(timeout=WAIT_MS)
    expect(dialog).to_contain_text(f"4 packs go back from {SHIPPED.version} to none",
                                   timeout=WAIT_MS)
    dialog.get_by_role("button", name="Roll back").click()
    expect(all_of_them).to_contain_text("roll back by Anna: accepted", timeout=WAIT_MS)
    expect(all_of_them).to_contain_text("none: at rest", timeout=WAIT_MS)
    page.get_by_role("combobox", name="Where").click()
    page.get_by_role("option", name="The coordinator").click()
    expect(main(page)).to_contain_text("Deploy: Refused: on 64 days it costs", timeout=WAIT_MS)
    expect(deploy).to_be_disabled()


def _price_files(page: Page) -> None:
    """One that is no price is refused in words, a day-ahead series is taken in and chosen."""
    room(page, "Objectives")
    main(page).get_by_text("Prices out of a file").click(timeout=WAIT_MS)
    file = page.locator("input[type=file]")
    file.set_input_files({"name": "<img src=x onerror=alert(1)>.csv", "mimeType": "text/csv",
                          "buffer": b"time,price\n2026-01-01T00:00:00Z,<img src=x>\n"})
    take = main(page).get_by_role("button", name="Take in")
    take.click(timeout=WAIT_MS)
    expect(main(page).get_by_role("alert")).to_contain_text("<img src=x>", timeout=WAIT_MS)
    expect(main(page).locator("img[src=x]")).to_have_count(0)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = "".join(f"{start + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},{0.2 + hour / 100}\n"
                   for hour in range(36))
    file.set_input_files({"name": "day-ahead.csv", "mimeType": "text/csv",
                          "buffer": f"time,price\n{rows}".encode()})
    expect(main(page)).to_contain_text("day-ahead.csv", timeout=WAIT_MS)
    take.click(timeout=WAIT_MS)
    expect(main(page)).to_contain_text("36 prices taken in", timeout=WAIT_MS)
    page.get_by_role("combobox", name="Tariff").click()
    page.get_by_role("option", name="Prices: day-ahead.csv (fresh)").click(timeout=WAIT_MS)
    expect(main(page)).to_contain_text("Fresh: known until", timeout=WAIT_MS)
    expect(main(page)).to_contain_text("prices: the series day-ahead.csv", timeout=WAIT_MS)
    expect(main(page)).to_contain_text("Through the packs, kWh", timeout=WAIT_MS)


def test_on_a_phone_from_the_overview(app: AppProcess, lend: Lend) -> None:
    page = visit(app, lend, PHONE, "overview")
    page.get_by_role("button", name="Coordinator of Packs").click(timeout=WAIT_MS)
    expect(page).to_have_url(re.compile("/coordinator"), timeout=WAIT_MS)
    expect(head(page)).to_contain_text(re.compile("^MPC"), timeout=WAIT_MS)
    for name, told in (("Plan", "Why?"), ("Packs", "Last allocation"),
                       ("Objectives", "What is wanted"), ("Training", "Learnt policies")):
        room(page, name)
        expect(main(page)).to_contain_text(told, timeout=WAIT_MS)
        assert page.evaluate(WIDE), name
