"""The Alarms page as a person uses it: a viewer looks, an operator works, both live."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Page

from core.alarms.journal import AlarmJournal
from core.alarms.records import Finding, Key
from core.clock import ManualClock
from scripts.app_process import AppProcess
from tests.browser.alarm_site import start
from tests.browser.driver import WAIT_MS
from tests.browser.patience import expect

Open = Callable[..., Page]
DESKTOP, PHONE = (1440, 900), (390, 844)
A_MINUTE_MS = 70_000
"""An age in minutes changes that seldom; one in seconds at each refresh."""
TRIPPED = Key("system_0_cluster_0_rack_0_module_0_cell_3", "voltage_high")
NASTY = "=1+1 <img src=x onerror=\"document.title='hit'\">"
RACK = "System 4 · Cluster 0 · Rack 0"


def one_was_there(journal: AlarmJournal, clock: ManualClock) -> None:
    """A cell tripped; somebody acknowledged it and said why; it is gone again."""
    tripped = [Finding(*TRIPPED, 3, "voltage_v", 3.667, 3.65)]
    for findings in (tripped, tripped, [], []):
        clock.advance(60)
        journal.tick(findings)
    journal.acknowledge(TRIPPED, "grace")
    journal.comment(TRIPPED, "grace", NASTY)


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    started = start(app_server, tmp_path_factory.mktemp("alarms"), timedelta(hours=1),
                    one_was_there)
    yield started
    started.stop()


@pytest.fixture
def visit(app: AppProcess, lend: Open) -> Open:
    """`visit("?view=History", size=...)`: somebody who looks at the page."""
    def make(address: str = "", size: tuple[int, int] = DESKTOP) -> Page:
        page = lend(reduced_motion="reduce", viewport={"width": size[0], "height": size[1]},
                    timezone_id="UTC")
        page.goto(f"{app.url}/alarms{address}")
        expect(page.locator("h1")).to_contain_text("trip", timeout=WAIT_MS)
        return page

    return make


def row(page: Page, words: str) -> Locator:
    return page.locator("[class*=st-key-hit_alarm_]", has=page.get_by_text(words, exact=True))


def box(page: Page, words: str) -> Locator:
    """The checkbox that lies over a row, by its own name: while the list is replaced, a row's words
    may lie for a moment beside another's box."""
    return page.get_by_role("checkbox", name=f"Select {words}")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def sign_in(page: Page) -> None:
    page.locator(".st-key-operator_page").get_by_role("button", name="Sign in").click()
    page.get_by_label("Name").fill("ada")
    press(page, "Sign in as operator")
    expect(page.locator(".o-sel")).to_contain_text("Select one alarm", timeout=WAIT_MS)


def break_contactor(page: Page) -> None:
    page.get_by_role("button", name="Simulated faults").click()
    press(page, "Open contactor")
    expect(row(page, RACK)).to_contain_text("Contactor open", timeout=WAIT_MS)
    page.keyboard.press("Escape")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_viewer_follows_a_link_and_may_only_look(visit: Open, size: tuple[int, int]) -> None:
    page = visit("?alarm=" + "|".join(TRIPPED), size)
    expect(page.locator("h1")).to_contain_text("1 trip")
    panel = page.locator(".st-key-panel_alarm")
    expect(panel).to_contain_text("latched, acknowledged by grace", timeout=WAIT_MS)
    expect(panel).to_contain_text(NASTY)
    expect(panel).to_contain_text("3.667")
    for name in ("Acknowledge", "Comment", "Reset", "Shelve"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    expect(page.locator(".o-sel")).to_contain_text("You are looking only")
    assert page.evaluate(
        "[document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".every(one => one.scrollWidth <= one.clientWidth)")
    assert page.title() != "hit"
    panel.get_by_role("button", name="Open in Space Balls").click()
    expect(page).to_have_url(re.compile("space_balls.*module_0"), timeout=WAIT_MS)


def test_an_operator_works_through_a_new_alarm(visit: Open) -> None:
    page = visit()
    sign_in(page)
    break_contactor(page)
    expect(row(page, RACK)).to_contain_text("unacknowledged")
    expect(page.locator("h1")).to_contain_text("1 unacknowledged", timeout=WAIT_MS)
    box(page, RACK).check(force=True)
    press(page, "Acknowledge")
    expect(row(page, RACK)).to_contain_text("acknowledged by ada", timeout=WAIT_MS)
    expect(page.locator("h1")).to_contain_text("all acknowledged", timeout=WAIT_MS)

    press(page, "Comment")
    page.get_by_label("Comment", exact=True).fill("Van is on its way")
    page.get_by_role("dialog").get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator(".st-key-panel_alarm")).to_contain_text("Van is on its way",
                                                                timeout=WAIT_MS)
    press(page, "Shelve")
    reason = page.get_by_label("Reason")
    reason.fill("contactor is exchanged")
    now = row(page, RACK).locator(".ag")
    expect(now).not_to_have_text(now.inner_text(), timeout=A_MINUTE_MS)
    expect(reason).to_have_value("contactor is exchanged")
    page.get_by_role("dialog").get_by_text("4 h", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Shelve", exact=True).click()
    expect(page.locator(".o-sel")).to_contain_text("1 alarm shelved for 4 h", timeout=WAIT_MS)
    expect(row(page, RACK)).to_have_count(0)

    choose(page, "State", "Shelved")
    expect(page).to_have_url(re.compile("state=Shelved"))
    expect(row(page, RACK)).to_contain_text("by ada", timeout=WAIT_MS)
    expect(box(page, RACK)).to_be_checked()
    press(page, "Unshelve")
    choose(page, "State", "Open")
    expect(row(page, RACK)).to_contain_text("unacknowledged", timeout=WAIT_MS)


def test_history_and_audit_are_filtered_and_exported(visit: Open) -> None:
    page = visit("?view=History&severity=Trips")
    lines = page.locator(".o-row.o-past:not(.hd)")
    expect(lines).not_to_have_count(0, timeout=WAIT_MS)
    shown = lines.count()
    rows = exported(page)
    assert len(rows) == shown
    assert {one["severity"] for one in rows} == {"trip"}
    assert {one["element"] for one in rows} == {TRIPPED.element}
    find = page.get_by_placeholder("Find")
    find.fill("no such words")
    find.press("Enter")
    expect(page.get_by_text("No line of this time passes the filters.")).to_be_visible(
        timeout=WAIT_MS)
    find.fill("")
    find.press("Enter")
    page.get_by_role("radio", name="Audit").click()
    expect(page.locator(".o-row.o-aud", has_text=NASTY)).to_be_visible(timeout=WAIT_MS)
    reasons = {one["reason"] for one in exported(page)}
    assert f"'{NASTY}" in reasons


def exported(page: Page) -> list[dict[str, str]]:
    """The rows of the CSV that the page offers."""
    with page.expect_download() as waiting:
        press(page, "CSV")
    text = waiting.value.path().read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))
