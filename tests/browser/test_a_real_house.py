"""From a real Mosquitto to the page: the recorded Victron, and a source that does not answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page

from components import formats
from scripts.app_process import AppProcess
from tests.browser.driver import WAIT_MS
from tests.browser.patience import expect
from tests.sources.mosquitto import Mosquitto
from tests.sources.venus_player import BANK_48V, TinyVenus, recorded, recorded_system

SITE = """
[[houses]]
id = "home"
label = "Home"
capacity_kwh = 9.6
nominal_v = 48
chemistry = "LFP"

[[sources]]
kind = "venus"
name = "gx"
[sources.options]
host = "127.0.0.1"
port = {port}
house = "home"
label = "Cerbo GX"
batteries = [{{ instance = {instance}, name = "48v House" }}]

[[sources]]
kind = "remote"
name = "neighbour"
[sources.options]
base_url = "http://127.0.0.1:9"
house = "home"
label = "Neighbour"

[history]
backfill_hours = 0
"""


@pytest.fixture
def venus(tmp_path: Path) -> Iterator[tuple[Mosquitto, TinyVenus]]:
    broker = Mosquitto(tmp_path)
    broker.start()
    player = TinyVenus(broker.port, {BANK_48V: recorded(BANK_48V)}, system=recorded_system())
    yield broker, player
    player.close()
    broker.kill()


@pytest.fixture
def app(app_server: Callable[..., AppProcess], tmp_path: Path,
        venus: tuple[Mosquitto, TinyVenus]) -> Iterator[AppProcess]:
    config = tmp_path / "orrery.toml"
    config.write_text(SITE.format(port=venus[0].port, instance=BANK_48V))
    started = app_server(history=tmp_path / "h", config=config)
    yield started
    started.stop()


@pytest.fixture
def page(browser: Browser, console: Callable[[Page], list[str]]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    opened = context.new_page()
    console(opened)
    yield opened
    context.close()


def card(page: Page, label: str) -> Locator:
    return page.locator(".stMain .o-card", has=page.get_by_text(label, exact=True)).first


def test_the_recorded_house_and_a_source_that_is_lost(
        app: AppProcess, page: Page, venus: tuple[Mosquitto, TinyVenus]) -> None:
    """The first row of the recording: 83.51 %, 52.42 V, 75.3 A discharging."""
    broker, _ = venus
    page.goto(f"{app.url}/energy_monitor?house=home&refresh=10+s")
    for label, text in (("State of charge", "83.5"), ("Voltage", "52.42"),
                        ("Current", "\u221275.3"), ("Power", "3\u202f947")):
        expect(card(page, label)).to_contain_text(text, timeout=WAIT_MS)
    expect(card(page, "Current")).to_contain_text("discharging")
    solar_w = json.loads(recorded_system()["/Dc/Pv/Power"])["value"]
    expect(card(page, "Solar")).to_contain_text(formats.power(solar_w / 1000).number)
    expect(page.get_by_text(re.compile(r"^Neighbour: .*127\.0\.0\.1:9"))).to_be_visible(
        timeout=WAIT_MS)
    broker.kill()
    expect(page.get_by_text(re.compile("Cerbo GX: .*(lost|does not answer)"))).to_be_visible(
        timeout=WAIT_MS)
    expect(page.locator("h1")).to_be_visible()
