"""The coordinator as a process of its own: a simulated week over a real broker that restarts in the
middle, and its command line."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench._fleet import Mosquitto
from core.clock import ManualClock
from core.config import (
    Config,
    CoordinatedSite,
    CoordinatorConfig,
    HistoryConfig,
    SourceConfig,
    TwinConfig,
)
from core.coordinator.loop import Cadence
from core.errors import ConfigurationError
from core.fleet.messages import VERSION, Allocation, Body, Status, column, packed, read_small, said
from core.fleet.topics import device_topic
from core.registry import make_sources
from core.topology import DEFAULT_LEVELS
from scripts.app_process import ROOT
from services.coordinator.service import CoordinatorService, signed_in, wanted_sources
from services.edge.pack import SILENT_S, Centre
from services.fleet_source import Options, create
from services.report import Report
from tests.coordinator.fleet import CELLS, KWH, SITE, PackOfTest, plates
from tests.fleet.examples import envelope
from tests.fleet.site import Talker, broker_of
from tests.sources.mosquitto import until

MONDAY = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
STEP_S = 1800.0
STEPS_A_DAY = 48
KINDS = ("LFP", "NMC", "LCO", "LFP")
SITE_METER = SourceConfig("site", "meter", {"homes": 8.0, "solar_kw": 1.0})


def soon(holds: Callable[[], bool], what: str) -> None:
    """As `until`, for what takes a millisecond and is awaited some hundred times."""
    pause = threading.Event()
    for _ in range(200):
        if holds():
            return
        pause.wait(0.001)
    until(holds, what)


@dataclass
class Edge:
    """Devices of a whole site: simulated packs behind what real ones believe of their centre."""

    clock: ManualClock
    talker: Talker
    packs: list[PackOfTest] = field(
        default_factory=lambda: [PackOfTest(plate, limit_a=100.0) for plate in plates(*KINDS)])
    seq: int = 0
    moved_kwh: float = 0.0

    def __post_init__(self) -> None:
        self.centres = {pack.plate.device: Centre(1.5 * STEP_S) for pack in self.packs}

    def live(self) -> None:
        """One step, at what the centre last asked."""
        self._hear()
        now_s = self.clock.now().timestamp()
        self.clock.advance(STEP_S)
        for pack in self.packs:
            pack.asked_kw = self.centres[pack.plate.device].wish(now_s).power_kw
            pack.live(STEP_S)
            self.moved_kwh += pack.power_kw * STEP_S / 3600.0

    def _hear(self) -> None:
        heard, self.talker.heard[:] = list(self.talker.heard), []
        now_s = self.clock.now().timestamp()
        for _, payload in heard:
            message = read_small(payload, Allocation)
            for device, centre in self.centres.items():
                if centre.allocate(device, message, now_s):
                    centre.heard(now_s)

    def tell(self) -> None:
        self.seq += 1
        for pack in self.packs:
            now_s = self.clock.now().timestamp()
            inside = packed(_body(pack, now_s))
            self.talker.say(device_topic(SITE, pack.plate.device, "telemetry"), packed(envelope(
                inside, device=pack.plate.device, seq=self.seq, floor=1, base=0, sent_s=now_s)), 0)

    def greet(self) -> None:
        now_s = self.clock.now().timestamp()
        for pack in self.packs:
            self.talker.say(device_topic(SITE, pack.plate.device, "status"), said(Status(
                v=VERSION, site=SITE, device=pack.plate.device, state="online", time_s=now_s,
                chemistry=pack.plate.chemistry, cells=CELLS, capacity_kwh=KWH)))


def _body(pack: PackOfTest, now_s: float) -> Body:
    cells: Any = {"voltage_v": column(np.full(CELLS, pack.volts / CELLS, np.float32)),
                  "temperature_c": column(np.full(CELLS, 25.0, np.float32))}
    return Body(time_s=now_s, samples=10, safety="normal", cells=cells, power_kw=pack.power_kw,
                voltage_v=pack.volts, current_a=1000.0 * pack.power_kw / pack.volts,
                soc_pct=100.0 * pack.soc, allocation_kw=pack.power_kw, charge_limit_a=pack.limit_a,
                discharge_limit_a=pack.limit_a)


def config_of(broker: str, folder: Path) -> Config:
    packs = {plate.device: {"chemistry": plate.chemistry, "cells": CELLS, "capacity_kwh": KWH}
             for plate in plates(*KINDS)}
    fleet = SourceConfig("fleet-mqtt", "fleet", {"packs": packs, "site": SITE, "broker": broker,
                                                 "stale_after_s": 3600.0})
    return Config(sources=[fleet, SITE_METER], file="orrery.toml",
                  history=HistoryConfig(directory=str(folder)),
                  twin=TwinConfig(enabled=False),  # these packs have no cell's curve
                  coordinator=CoordinatorConfig(sites={SITE: CoordinatedSite("packs_site")}))


class Week:
    """A broker, devices and a coordinator that a test drives step by step."""

    def __init__(self, folder: Path) -> None:
        self.mosquitto = Mosquitto(folder / "broker")
        self.mosquitto.start()
        self.clock = ManualClock(MONDAY)
        self.config = config_of(self.mosquitto.url, folder)
        self.edge = Edge(self.clock, Talker(broker_of(self.mosquitto), "edge",
                                            f"pulsebms/{SITE}/coordinator/allocation"))
        self.service = self.started()

    def started(self) -> CoordinatorService:
        options = msgspec.convert(self.config.sources[0].options, Options)
        self.fleet = create("fleet", options, DEFAULT_LEVELS, self.clock)
        meter = make_sources(msgspec.structs.replace(self.config, sources=[SITE_METER]))
        found = CoordinatorService(self.config, [self.fleet, *meter], self.clock, Cadence(
            STEP_S, STEP_S, STEPS_A_DAY, 5.0, 1.2 * STEP_S))
        until(self.hears, "the coordinator hears the devices")
        return found

    def hears(self) -> bool:
        """It is connected some time before its subscriptions hold."""
        self.edge.greet()
        return all(pack.link == "online" for pack in self.fleet.packs())

    def connected(self) -> bool:
        return self.fleet.counts().connected

    def step(self, answered: bool = True) -> None:
        """Half an hour: devices live and tell, the coordinator plans and sends."""
        self.edge.live()
        before = self.fleet.counts().received
        if answered:
            self.edge.tell()
            soon(lambda: self.fleet.counts().received >= before + len(KINDS), "telemetry comes")
        self.service.engine.tick()
        self.service.desk.turn()
        if answered:
            soon(lambda: bool(self.edge.talker.heard), "the allocation comes")

    def words(self) -> str:
        notes = self.service.desk.store.notes(SITE, 100)
        return "\n".join(note.words for note in reversed(notes))

    def close(self) -> None:
        self.service.close()
        self.edge.talker.close()
        self.mosquitto.kill()


@pytest.fixture
def week(tmp_path: Path) -> Iterator[Week]:
    found = Week(tmp_path)
    yield found
    found.close()


def test_a_week_in_closed_loop_with_a_broker_and_a_coordinator_that_restart(week: Week) -> None:
    began_kwh = sum(pack.soc * KWH for pack in week.edge.packs)
    for _ in range(3 * STEPS_A_DAY + 20):
        week.step()
    week.mosquitto.kill()
    until(lambda: not week.connected(), "the connection is lost")
    for _ in range(3):
        week.step(answered=False)
    assert [pack.power_kw for pack in week.edge.packs] == [0.0] * len(KINDS), "left to themselves"
    week.mosquitto.start()
    until(week.connected, "the coordinator is back", 20.0)
    until(week.edge.talker.link.connected.is_set, "the devices are back", 20.0)
    until(week.hears, "the coordinator hears the devices", 20.0)
    for _ in range(STEPS_A_DAY):
        week.step()
    week.service.close()
    week.service = week.started()
    for _ in range(3 * STEPS_A_DAY - 23):
        week.step()

    words = week.words()
    assert "no pack can be planned with" in words, "without a word of them nothing is planned"
    assert words.count("goes on with the plan of") == 1
    store = week.service.desk.store
    days = sorted(store.days(SITE, MONDAY - timedelta(days=2)), key=lambda day: day.start)
    whole = [day for day in days if day.known > 0.95 and not day.words]
    assert len(whole) >= 6
    for day in whole:
        assert day.happened is not None
        assert day.no_battery is not None
        assert day.perfect is not None
        assert day.happened.total < day.no_battery.total
        assert day.perfect.total <= day.happened.total + 0.05
    assert sum(day.violations for day in days) == 0
    # Half an hour between two looks: a load that comes and goes is always met too late.
    assert float(np.median([day.captured_pct for day in whole])) > 50.0
    ended_kwh = sum(pack.soc * KWH for pack in week.edge.packs)
    lost_kwh = began_kwh - ended_kwh - week.edge.moved_kwh
    assert 0.0 < lost_kwh < 0.1 * 7 * len(KINDS) * KWH, "what is lost is lost as heat"
    assert all(0.05 < pack.soc < 0.95 for pack in week.edge.packs)


def test_its_report_is_new_with_each_turn_and_no_more_often(week: Week, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    kept = Report(report)
    for turn in (1, 2):
        week.step()
        week.service.tell(kept)
        told = msgspec.json.decode(report.read_bytes())
        assert (told["turns"], told["drives"], told["problems"]) == (turn, [SITE], {})
        assert told["time_s"] == week.clock.now().timestamp()
        report.unlink()
        week.service.tell(kept)
        assert not report.exists(), "a turn that hangs leaves it old"


def test_a_report_that_cannot_be_written_is_told_once_and_coordination_goes_on(
        week: Week, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    report = tmp_path / "report.json"
    kept, in_the_way = Report(report), tmp_path / "report.json.new"
    in_the_way.mkdir()
    for _ in range(3):
        week.step()
        week.service.tell(kept)
    assert caplog.text.count("report.json is not written") == 1
    assert week.service.desk.turns == 3
    in_the_way.rmdir()
    week.step()
    week.service.tell(kept)
    assert msgspec.json.decode(report.read_bytes())["turns"] == 4
    report.unlink()
    in_the_way.mkdir()
    week.step()
    week.service.tell(kept)
    assert caplog.text.count("report.json is not written") == 2, "a new failure is told anew"


WATCHED = """
import ctypes, sys, time
from pathlib import Path
from core.clock import SystemClock
from core.coordinator.loop import Cadence
from services.command_line import until_a_signal
from services.coordinator import service
from tests.coordinator.test_coordinator_service import STEPS_A_DAY, STEP_S, config_of

service.STILL_S = 3.0
config = config_of("mqtt://127.0.0.1:1", Path(sys.argv[1]))
made = service.CoordinatorService(config, service.wanted_sources(config), SystemClock(),
                                  Cadence(STEP_S, STEP_S, STEPS_A_DAY, 0.1, STEP_S))
true_turn, stop = made.desk.turn, until_a_signal()

def a_turn():
    if made.desk.turns == 2 and sys.argv[2] == "waits":
        time.sleep(3600)
    if made.desk.turns == 2 and sys.argv[2] == "holds the interpreter":
        ctypes.PyDLL(None).sleep(3600)
    true_turn()
    if made.engine.clock.now().timestamp() > began_s + 3 * service.STILL_S:
        stop.set()

made.desk.turn, began_s = a_turn, made.engine.clock.now().timestamp()
made.run(stop)
"""


@pytest.mark.parametrize(("turn", "status"), [
    ("waits", 1), ("holds the interpreter", 1), ("ends", 0)])
def test_a_turn_that_stands_still_ends_the_process_which_says_where(
        tmp_path: Path, turn: str, status: int) -> None:
    ran = subprocess.run([sys.executable, "-c", WATCHED, str(tmp_path), turn], cwd=ROOT,
                         capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == status, ran.stderr
    assert ("in a_turn" in ran.stderr) == (status == 1), ran.stderr


def test_packs_help_themselves_after_the_time_that_is_told() -> None:
    centre = Centre()
    centre.allocate("pack_1", Allocation(v=VERSION, site=SITE, issued_s=0.0, valid_s=3600.0,
                                         power_kw={"pack_1": 5.0}), 0.0)
    centre.heard(0.0)
    assert centre.wish(SILENT_S).power_kw == 5.0
    after = centre.wish(SILENT_S + 0.1)
    assert (after.power_kw, after.reason) == (0.0, "the centre is silent")


def test_it_takes_the_fleets_and_what_knows_their_houses_and_no_more(tmp_path: Path) -> None:
    config = config_of("mqtt://127.0.0.1:1", tmp_path)
    market = SourceConfig("prices-http", "market", {"house": "other",
                                                    "base_url": "http://127.0.0.1:1"})
    more = [*config.sources, SourceConfig("house", "house"), SourceConfig("packs", "packs"), market]
    both = msgspec.structs.replace(config, sources=more)
    assert [source.info.name for source in wanted_sources(both)] == ["fleet", "meter", "market"]
    with pytest.raises(ConfigurationError, match="fleet-mqtt"):
        wanted_sources(msgspec.structs.replace(config, sources=more[1:3]))


def test_it_may_come_as_a_user_of_its_own(tmp_path: Path) -> None:
    config = signed_in(config_of("mqtt://127.0.0.1:1", tmp_path), "coordinator", "SECRET")
    assert config.sources[0].options["username"] == "coordinator"
    assert config.sources[0].options["password_secret"] == "SECRET"
    assert config.sources[1] == SITE_METER


def test_a_mistake_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "orrery.toml").write_text('[[sources]]\nkind = "house"\nname = "house"\n')
    ran = subprocess.run([sys.executable, "-m", "services.coordinator", "--config",
                          str(tmp_path / "orrery.toml")], cwd=ROOT, capture_output=True,
                         text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert "The coordinator cannot run" in ran.stderr
    assert "Traceback" not in ran.stderr
