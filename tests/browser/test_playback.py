"""Turning the whole Space Balls page back in time, as a person does it, over two hours of history
that a test wrote: an hour at rest, an hour of discharging with a trip in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from core.alarms.records import Batch, Transition
from core.alarms.states import Event, State
from core.assembly import Assembler, place
from core.clock import ManualClock
from core.playback import time_text
from core.registry import ALARMS_DIRECTORY
from core.topology import DEFAULT_LEVELS
from scripts.app_process import AppProcess
from sim.fleet import Options, create
from store.embedded import EmbeddedStore
from store.records import open_alarms
from tests.browser.driver import WAIT_MS, drill, open_scene, settle, sphere_at
from tests.browser.patience import expect

OPTIONS = {"seed": 7, "systems": 2, "past_hours": 0}
CONFIG = """
title = "Two systems"
[[sources]]
kind = "fleet"
name = "fleet"
[sources.options]
seed = 7
systems = 2
past_hours = 0
[history]
kind = "embedded"
backfill_hours = 0
[twin]
enabled = false
"""
CELL = "system_1_cluster_0_rack_0_module_0_cell_0"
HOURS, STEP_S = 2, 30
TRIP = timedelta(minutes=40)
CLEAR = timedelta(minutes=20)
TOLD_KW = 100.0


def write_history(folder: Path, end: datetime) -> None:
    fleet = create("fleet", Options(**OPTIONS), DEFAULT_LEVELS)  # type: ignore[arg-type]
    topology, placements = place(DEFAULT_LEVELS, [fleet])
    fleet.start(end - timedelta(hours=HOURS), placements[0].topology)
    assembler = Assembler(topology, placements, [fleet.info.stale_after_s])
    clock = ManualClock(end)
    store = EmbeddedStore(folder, topology, clock=clock)
    for before_s in range(HOURS * 3600, 0, -STEP_S):
        at = end - timedelta(seconds=before_s)
        assembler.apply(0, fleet.poll(at))
        frame = assembler.frame(at)
        total = TOLD_KW if before_s <= 3600 else 0.0
        share = np.full(topology.size, total / 2, np.float32)
        share[0] = total
        store.append(replace(frame, columns={**frame.columns, "power_kw": share}))
    store.settle()
    store.close()
    alarms = open_alarms(folder / ALARMS_DIRECTORY, clock)
    alarms.append(Batch(transitions=(
        line(end - timedelta(minutes=100), State.NORMAL, State.UNACKNOWLEDGED, Event.ON, 1),
        line(end - timedelta(minutes=99), State.UNACKNOWLEDGED, State.NORMAL,
             Event.ACKNOWLEDGE, 1),
        line(end - TRIP, State.NORMAL, State.UNACKNOWLEDGED, Event.ON, 3),
        line(end - CLEAR, State.LATCHED_ACKNOWLEDGED, State.NORMAL, Event.RESET, 3))))
    alarms.close()


def line(at: datetime, before: State, after: State, event: Event, tier: int) -> Transition:
    return Transition(at, CELL, "temperature_high", event, before, after, tier, "temperature_c",
                      61.0, 60.0, "ada", 1)


@pytest.fixture(scope="module")
def end() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], tmp_path_factory: pytest.TempPathFactory,
        end: datetime) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("playback")
    config = folder / "orrery.toml"
    config.write_text(CONFIG)
    write_history(folder / "history", end)
    started = app_server(history=folder / "history", config=config)
    yield started
    started.stop()


@pytest.fixture
def page(app: AppProcess, lend: Callable[..., Page]) -> Page:
    return lend(viewport={"width": 1440, "height": 900}, reduced_motion="reduce",
                timezone_id="Europe/Stockholm")


@pytest.fixture
def phone(app: AppProcess, lend: Callable[..., Page]) -> Page:
    return lend(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True,
                device_scale_factor=2, reduced_motion="reduce", timezone_id="Europe/Stockholm")


def shown_time(page: Page) -> datetime:
    told = page.locator(".o-then time").get_attribute("datetime", timeout=WAIT_MS)
    assert told is not None
    return datetime.fromisoformat(told)


def wait_time(page: Page, since: datetime, until: datetime) -> None:
    """Title and time are parts of their own, drawn one after the other."""
    page.wait_for_function(
        """([since, until]) => {
            const shown = Date.parse(document.querySelector('.o-then time')?.dateTime);
            return since <= shown && shown <= until;
        }""", arg=[1000 * since.timestamp(), 1000 * until.timestamp()], timeout=WAIT_MS)


def title(page: Page) -> Locator:
    return page.locator("h1.o-h")


def camera(page: Page) -> object:
    settle(page)
    return page.evaluate("window.__spheres[0].cameraState()")


def borders(page: Page) -> list[str]:
    """Of the details, and of what stands together."""
    found: list[str] = page.evaluate(
        "['details', 'together'].map(name => getComputedStyle("
        "  document.querySelector('.st-key-panel_' + name)).borderTopStyle)")
    return found


def test_a_link_opens_its_moment_everywhere_and_it_plays_and_ends(
        app: AppProcess, page: Page, end: datetime) -> None:
    when = end - timedelta(minutes=30)
    open_scene(page, app.url, f"/space_balls?t={time_text(when)}")
    expect(title(page)).to_contain_text(
        re.compile("2 systems, 100.?kW discharging, 1 alarm"), timeout=WAIT_MS)
    assert shown_time(page) == when
    expect(page.locator(".o-then")).to_contain_text("not live")
    expect(page.locator(".o-title .o-pill").first).to_contain_text("Not live")
    expect(page.locator(".st-key-space_alarms, .st-key-scene_side")
           .get_by_text("Too hot").first).to_be_visible(timeout=WAIT_MS)
    assert borders(page) == ["dashed", "dashed"]
    expect(page.locator(".o-called i.t3")).to_have_count(1)
    expect(page.locator("[class*=st-key-panel_power] .shapelayer path").first).to_be_attached(
        timeout=WAIT_MS)

    x, y = sphere_at(page, "system_0")
    page.mouse.move(x + 120, y + 90)
    page.mouse.down()
    page.mouse.move(x + 260, y + 30, steps=4)
    page.mouse.up()
    stood = camera(page)
    page.get_by_role("slider", name="Time").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".o-then time")).not_to_have_attribute(
        "datetime", when.isoformat(), timeout=WAIT_MS)
    assert shown_time(page) == when - timedelta(seconds=1)
    expect(page).to_have_url(re.compile("t=" + re.escape(
        time_text(when - timedelta(seconds=1)).replace(":", "%3A"))))

    fastest = page.get_by_role("radio", name="600\u00d7")
    fastest.click()
    expect(fastest).to_be_checked()
    page.get_by_role("button", name="Play", exact=True).click()
    expect(title(page)).to_contain_text("no alarms", timeout=WAIT_MS)
    wait_time(page, end - CLEAR, end + timedelta(hours=HOURS))
    expect(page.locator(".o-then")).to_contain_text("paused", timeout=WAIT_MS)
    assert shown_time(page) > end - timedelta(minutes=1), "it rests at the end"
    assert camera(page) == stood

    page.get_by_role("button", name="Live", exact=True).click()
    expect(page.get_by_role("button", name="Play back")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".o-title .o-pill").first).to_have_text("Live")
    expect(page).not_to_have_url(re.compile("[?&]t="))
    assert borders(page) == ["solid", "solid"]
    assert camera(page) == stood
    page.go_back()
    expect(page.locator(".o-then")).to_be_visible(timeout=WAIT_MS)


def test_a_phone_holds_the_present_looks_at_all_of_it_and_drills_in_the_past(
        app: AppProcess, phone: Page, end: datetime) -> None:
    open_scene(phone, app.url)
    phone.get_by_role("button", name="Play back").tap()
    expect(phone.locator(".o-then")).to_contain_text("paused", timeout=WAIT_MS)
    held = shown_time(phone)
    assert held > end
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.get_by_role("radio", name="All").tap()
    expect(phone.locator(".o-called i")).to_have_count(2, timeout=WAIT_MS)
    assert shown_time(phone) == held, "another part of the line moves nothing"
    phone.get_by_role("slider", name="Time").focus()
    phone.keyboard.press("Home")
    expect(title(phone)).to_contain_text("2 systems, idle", timeout=WAIT_MS)
    start = end - timedelta(hours=HOURS)
    wait_time(phone, start, start + timedelta(minutes=2))
    began = shown_time(phone)
    settle(phone)
    drill(phone, "system_0", "right click")
    assert shown_time(phone) == began


def test_a_time_that_cannot_be_shown_is_told_and_the_page_is_there(
        app: AppProcess, page: Page, end: datetime) -> None:
    open_scene(page, app.url, "/space_balls?t=%3Cscript%3Ealert(1)%3C/script%3E")
    expect(page.get_by_text("is not a time")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".o-title .o-pill").first).to_have_text("Live")
    open_scene(page, app.url, f"/space_balls?t={time_text(end + timedelta(days=3))}")
    expect(page.get_by_text("outside of history")).to_be_visible(timeout=WAIT_MS)
    assert shown_time(page) > end
