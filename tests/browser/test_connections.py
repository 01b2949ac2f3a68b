"""The Connections page: one gateway that answers, one that does not, one simulated pump."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page

from scripts.app_process import AppProcess
from sources.husdata_http import ALL_DATA
from tests.browser.driver import WAIT_MS
from tests.browser.patience import expect
from tests.sources.husdata_player import IVT, answer
from tests.sources.web import Web, data

Open = Callable[..., Page]
SITE = """
[[sources]]
kind = "heat-pump"
name = "made"
[sources.options]
profile = "thermia_c60"
house = "pine"
label = "Made"

[[sources]]
kind = "husdata-http"
name = "cellar"
[sources.options]
profile = "{profile}"
house = "birch"
label = "Cellar"
base_url = "{url}"
period_s = 3600

[[sources]]
kind = "husdata-http"
name = "shed"
[sources.options]
profile = "{profile}"
house = "oak"
label = "Shed"
base_url = "http://127.0.0.1:9"

[history]
backfill_hours = 0
"""
DESKTOP, PHONE = (1440, 900), (390, 844)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Web]:
    with Web() as web:
        web.at(ALL_DATA, data(answer(IVT)))
        yield web


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], gateway: Web,
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("connections")
    (folder / "orrery.toml").write_text(SITE.format(profile=IVT, url=gateway.url))
    started = app_server(history=folder / "h", config=folder / "orrery.toml")
    yield started
    started.stop()


@pytest.fixture
def visit(app: AppProcess, lend: Open) -> Open:
    """`visit(source, size=...)`: a viewer of his own who looks at that source."""
    def make(source: str = "", size: tuple[int, int] = DESKTOP) -> Page:
        page = lend(reduced_motion="reduce", viewport={"width": size[0], "height": size[1]})
        page.goto(f"{app.url}/connections" + (f"?source={source}" if source else ""))
        expect(card(page, "State")).to_be_visible(timeout=WAIT_MS)
        return page

    return make


def card(page: Page, label: str) -> Locator:
    return page.locator(".stMain .o-card", has=page.get_by_text(label, exact=True)).first


def row(page: Page, label: str) -> Locator:
    return page.locator(".stMain .o-link", has=page.get_by_text(label)).first


def messages(page: Page, words: str = "") -> Locator:
    return page.locator(".o-talk > div").filter(has_text=words)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_source_has_its_row_and_the_silent_one_is_told_first(
        visit: Open, size: tuple[int, int]) -> None:
    page = visit(size=size)
    title = page.locator("h1")
    expect(title).to_contain_text("2 of 3 sources live", timeout=WAIT_MS)
    expect(title).to_contain_text("Shed never heard")
    for label, state in (("Made", "live"), ("Cellar", "live")):
        expect(row(page, label)).to_contain_text(state)
        expect(row(page, label)).to_contain_text(re.compile(r"live\d+ (s|min)"))
    silent = row(page, "Shed")
    expect(silent).to_contain_text("never heard")
    expect(silent.locator(".why")).to_contain_text("127.0.0.1:9")
    expect(silent.locator(".why")).to_contain_text(re.compile("check|is it on|look|see|correct"))
    expect(silent.locator(".says")).to_contain_text(
        re.compile(r"0/min heard.* asked in the last hour.*no answer yet.*[1-9]\d* failed"))
    expect(row(page, "Cellar").locator(".says")).to_contain_text("last answer")
    expect(row(page, "Made").locator(".says")).to_have_count(0)
    expect(page.get_by_role("button", name="Reconnect", exact=True)).to_be_disabled()
    expect(page.locator(".stMain .o-link").first).to_contain_text("Shed")
    assert page.evaluate(
        "[document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".every(one => one.scrollWidth <= one.clientWidth)")


def test_a_gateway_is_pinged_and_asked(visit: Open, gateway: Web) -> None:
    page = visit("cellar")
    press(page, "Ping")
    expect(page.get_by_text(re.compile(r"^Answered after \d+\.\d ms"))).to_be_visible(
        timeout=WAIT_MS)
    expect(card(page, "Round trip")).to_contain_text(re.compile(r"1 ping"), timeout=WAIT_MS)
    asked = len(gateway.asked_for(ALL_DATA))
    before = messages(page, "200, ").count()
    press(page, "Ask now")
    expect(page.get_by_text("Asked; what it answers stands below.")).to_be_visible(
        timeout=WAIT_MS)
    expect(messages(page, "200, ")).to_have_count(before + 1, timeout=WAIT_MS)
    assert len(gateway.asked_for(ALL_DATA)) == asked + 1
    press(page, "Reconnect")
    expect(messages(page, "anew")).to_have_count(1, timeout=WAIT_MS)
    expect(messages(page, "200, ")).to_have_count(before + 2, timeout=WAIT_MS)
    press(page, "Ping")
    expect(card(page, "Round trip")).to_contain_text("2 pings", timeout=WAIT_MS)
    page.reload()
    expect(page.get_by_role("combobox", name="Source")).to_have_value("Cellar", timeout=WAIT_MS)


def test_messages_are_filtered_and_cleared_for_one_viewer_alone(visit: Open) -> None:
    page, other = visit("cellar"), visit("cellar")
    for viewer in (page, other):
        expect(messages(viewer, "GET")).not_to_have_count(0, timeout=WAIT_MS)
        expect(messages(viewer, "200, ")).not_to_have_count(0, timeout=WAIT_MS)
    kinds = page.locator(".st-key-console_ways")
    kinds.get_by_role("button", name="Sent").click()
    expect(messages(page, "GET")).to_have_count(0, timeout=WAIT_MS)
    expect(messages(page, "200, ")).not_to_have_count(0)
    kinds.get_by_role("button", name="Sent").click()
    expect(messages(page, "GET")).not_to_have_count(0, timeout=WAIT_MS)
    word = page.get_by_placeholder("Find in the messages")
    word.fill("alldata")
    word.press("Enter")
    expect(messages(page, "200, ")).to_have_count(0, timeout=WAIT_MS)
    expect(messages(page, "GET")).not_to_have_count(0)
    word.fill("")
    word.press("Enter")
    expect(messages(page, "200, ")).not_to_have_count(0, timeout=WAIT_MS)
    press(page, "Clear")
    expect(page.get_by_text("No messages")).to_be_visible(timeout=WAIT_MS)
    expect(messages(other, "GET")).not_to_have_count(0)


def test_another_source_is_chosen_asked_for_its_past_and_remembered(visit: Open) -> None:
    page = visit()
    page.locator(".st-key-console_source").get_by_role("combobox").click()
    page.get_by_role("option", name="Shed").click()
    expect(page).to_have_url(re.compile("source=shed"), timeout=WAIT_MS)
    expect(messages(page, "127.0.0.1:9")).not_to_have_count(0, timeout=WAIT_MS)
    press(page, "Ping")
    expect(page.locator(".stMain .o-note", has_text="127.0.0.1:9")).to_be_visible(timeout=WAIT_MS)
    expect(card(page, "Failed")).to_contain_text(re.compile(r"[1-9]"))
    press(page, "Ask for its past")
    expect(page.get_by_text(re.compile(r"24\s?h: (0 % of the time is known|there is no history)")
                            )).to_be_visible(timeout=WAIT_MS)
    page.locator(".st-key-console_source").get_by_role("combobox").click()
    page.get_by_role("option", name="Made").click()
    expect(page.get_by_text("there is nobody to ping")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("button", name="Ping", exact=True)).to_be_disabled()
    press(page, "Ask for its past")
    expect(page.get_by_text(re.compile(r"\d+ % of the time is known; answered in \d+ ms"))
           ).to_be_visible(timeout=WAIT_MS)
