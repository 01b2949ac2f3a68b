"""The Connections page over a real broker: packs that an edge process guards, an ingest that
stores, and strangers who say what they like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page

from bench._fleet import Mosquitto, Process, edge, ingest
from core.fleet.messages import VERSION, DoorReport, TurnedTold, said
from core.fleet.topics import turned_away_topic
from scripts.app_process import AppProcess
from tests.browser.driver import WAIT_MS
from tests.browser.patience import expect
from tests.fleet.site import Talker, broker_of

Open = Callable[..., Page]
SITE = """
[[sources]]
kind = "fleet-mqtt"
name = "packs"
[sources.options]
site = "home"
label = "Packs"
broker = "{url}"
[sources.options.packs.pack_1]
chemistry = "LFP"
cells = 24
capacity_kwh = 100.0
label = "First"
[sources.options.packs.pack_2]
chemistry = "LFP"
cells = 24
capacity_kwh = 100.0
label = "Second"
"""
DESKTOP, PHONE = (1440, 900), (390, 844)
HOSTILE = b"<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@dataclass
class Site:
    """All that runs, and a stranger whom the broker lets in."""

    app: AppProcess
    ingest: Process
    stranger: Talker


@pytest.fixture(scope="module")
def site(app_server: Callable[..., AppProcess],
         tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("fleet")
    broker = Mosquitto(folder / "broker")
    device = edge(folder, broker.url, ["pack_1", "pack_2"], "--cells", "24")
    keeper = ingest(folder, broker.url)
    (folder / "orrery.toml").write_text(SITE.format(url=broker.url))
    broker.start()
    try:
        device.start()
        keeper.start()
        stranger = Talker(broker_of(broker), "stranger")
        app = app_server(history=folder / "h", config=folder / "orrery.toml")
        yield Site(app, keeper, stranger)
        app.stop()
        stranger.close()
    finally:
        for process in (device, keeper, broker):
            process.kill()


@pytest.fixture
def visit(site: Site, lend: Open) -> Open:
    """`visit(size=...)`: a viewer of his own, when both packs are heard."""
    def make(size: tuple[int, int] = DESKTOP) -> Page:
        page = lend(reduced_motion="reduce", viewport={"width": size[0], "height": size[1]})
        page.goto(f"{site.app.url}/connections?source=packs")
        expect(page.locator(".stMain")).to_contain_text("2 of 2 Devices online", timeout=WAIT_MS)
        return page

    return make


def facts(page: Page, which: int) -> Locator:
    """0: of the live view, 1: of the ingest."""
    return page.locator(".stMain .o-facts").nth(which)


def refusal(page: Page, reason: str) -> Locator:
    return page.locator(".o-refusal", has=page.get_by_text(reason, exact=True))


def messages(page: Page, words: str) -> Locator:
    return page.locator(".o-talk > div").filter(has_text=words)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_figures_of_the_fleet_and_of_its_ingest_stand_there(
        visit: Open, size: tuple[int, int]) -> None:
    page = visit(size)
    expect(facts(page, 0)).to_contain_text(re.compile(r"2\.\d /s Messages"), timeout=WAIT_MS)
    expect(facts(page, 0)).to_contain_text(re.compile(r"[1-9]\d* Received"), timeout=WAIT_MS)
    expect(facts(page, 0)).to_contain_text("0 Missing", timeout=WAIT_MS)
    expect(facts(page, 1)).to_contain_text(re.compile(r"[1-9]\d* Stored"), timeout=WAIT_MS)
    expect(facts(page, 1)).to_contain_text(re.compile(r"\d\.\d\d s Lag to the commit"),
                                           timeout=WAIT_MS)
    assert page.evaluate(
        "[document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".every(one => one.scrollWidth <= one.clientWidth)")


def test_what_strangers_say_is_counted_and_shown_as_text(visit: Open, site: Site) -> None:
    """The live view hears one of them, the ingest both, the device a third."""
    page = visit()
    site.stranger.say("pulsebms/home/pack_1/telemetry", HOSTILE)
    site.stranger.say("pulsebms/home/pack_1/commands", HOSTILE)
    site.stranger.say("pulsebms/home/pack_1/secrets", HOSTILE)
    asked = TurnedTold(at_s=0.0, reason="rate", asked=HOSTILE.decode(), who="10.0.0.7")
    site.stranger.say(turned_away_topic("home"), said(DoorReport(
        v=VERSION, site="home", door="gateway-0:9999", counts={"rate": 7}, newest=(asked,))))
    expect(refusal(page, "wrong form").first).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".o-payload").first).to_contain_text("<img src=x onerror=", timeout=WAIT_MS)
    expect(refusal(page, "unknown topic")).to_contain_text("no topic of the fleet",
                                                          timeout=WAIT_MS)
    told = page.locator(".stMain").get_by_text("pulsebms/home/pack_1/secrets: no topic")
    expect(told).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".o-payload").last).to_contain_text("\\x3cimg src=x onerror=",
                                                            timeout=WAIT_MS)
    expect(page.locator(".stMain")).to_contain_text("Refused by the devices themselves",
                                                    timeout=WAIT_MS)
    expect(refusal(page, "wrong form").filter(has_text="First: a field")).to_be_visible(
        timeout=WAIT_MS)
    expect(page.locator(".stMain")).to_contain_text("Turned away by the gateway gateway-0:9999",
                                                    timeout=WAIT_MS)
    expect(page.locator(".o-turned")).to_contain_text("<img src=x onerror=")
    expect(page.locator(".o-payload")).to_have_count(3, timeout=WAIT_MS)
    expect(page.locator(".o-payload").nth(1)).to_contain_text("\\x3cimg src=x onerror=")
    expect(messages(page, "refused, wrong_form").first).to_contain_text("<img src=x",
                                                                           timeout=WAIT_MS)
    assert page.locator(".stMain img[src='x'], .stMain script").count() == 0
    assert page.title() != "owned"


def test_a_device_is_pinged_through_the_console(visit: Open) -> None:
    page = visit()
    expect(messages(page, "telemetry, number")).not_to_have_count(0, timeout=WAIT_MS)
    press(page, "Ping")
    expect(page.get_by_text(re.compile(r"^Answered after \d+\.\d ms"))).to_be_visible(
        timeout=WAIT_MS)
    expect(messages(page, '"action":"ping"')).not_to_have_count(0, timeout=WAIT_MS)


def test_the_connection_is_made_anew_on_a_persons_word(visit: Open) -> None:
    page = visit()
    press(page, "Reconnect home")
    expect(page.get_by_text("home left its broker and comes back")).to_be_visible(timeout=WAIT_MS)
    expect(messages(page, "anew")).not_to_have_count(0, timeout=WAIT_MS)
    expect(messages(page, "connect").first).to_contain_text("connected to 127.0.0.1",
                                                            timeout=WAIT_MS)
    expect(facts(page, 0)).to_contain_text(re.compile(r"2\.\d /s Messages"), timeout=WAIT_MS)


def test_an_ingest_that_is_killed_is_told(visit: Open, site: Site) -> None:
    page = visit()
    site.ingest.kill()
    expect(page.get_by_text("The ingest is gone")).to_be_visible(timeout=WAIT_MS)
    site.ingest.start()
    expect(page.get_by_text("The ingest is gone")).to_have_count(0, timeout=WAIT_MS)
    expect(facts(page, 1)).to_contain_text(re.compile(r"[1-9]\d* Stored"), timeout=WAIT_MS)
