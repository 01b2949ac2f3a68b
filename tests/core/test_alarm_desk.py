"""An engine's alarms: judged from frames and from what devices say, kept over a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.alarms.records import AlarmQuery, AuditEntry, Batch, Finding, Key
from core.alarms.states import Event, State
from core.clock import ManualClock
from core.engine import Engine
from core.errors import RetryLaterError, SourceError
from core.topology import DEFAULT_LEVELS
from store.records import ALARMS, open_alarms
from store.records.alarms import AlarmTables
from store.records.sqlite import SqlitePlace
from tests.core.sites import NOON, ScriptedReadings, system

CELL = "system_0_cluster_0_rack_0_module_1_cell_2"
HOT = Key(CELL, "temperature_high")
RACK = "system_0_cluster_0_rack_0"


class Packs(ScriptedReadings):
    """Devices that guard themselves."""

    def __init__(self) -> None:
        super().__init__([system(0, chemistry="LFP")])
        self.set_cells({"power_kw": 1.0, "voltage_v": 3.3, "temperature_c": 25.0})
        self.told: list[Finding] = []
        self.broken = False

    def packs(self) -> Sequence[object]:
        return ()

    def findings(self) -> Sequence[Finding]:
        if self.broken:
            raise SourceError("packs", "the device does not answer; see its cable")
        return self.told


class FullDisk(AlarmTables):
    def append(self, batch: Batch) -> None:
        raise RetryLaterError("the disk is full")


class Site:
    def __init__(self, folder: Path) -> None:
        self.clock, self.folder = ManualClock(NOON), folder
        self.source = Packs()
        self.engine = self.started()

    def started(self) -> Engine:
        engine = Engine(DEFAULT_LEVELS, [self.source], self.clock)
        engine.keep_alarms(open_alarms(self.folder, self.clock))
        return engine

    def restart(self) -> None:
        self.engine.desk.close()
        self.engine = self.started()

    def after(self, seconds: float) -> list[tuple[str, str, str]]:
        """Element, condition and who acknowledged, of what the screens show."""
        self.clock.advance(seconds)
        topology = self.engine.topology
        return [(topology.ids[alarm.node], alarm.condition, alarm.acknowledged_by)
                for alarm in self.engine.tick().alarms.active]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.engine.desk.close()


def test_an_alarm_comes_after_its_delay_and_an_acknowledgement_outlives_a_restart(
        site: Site) -> None:
    site.source.set(CELL, {"temperature_c": 52.0})
    assert site.after(1) == []
    site.restart()
    assert site.after(3) == []
    assert site.after(3) == [(*HOT, "")]
    site.engine.desk.journal.acknowledge(HOT, "ada")
    assert site.after(1) == [(*HOT, "ada")]
    site.restart()
    assert site.after(1) == [(*HOT, "ada")]
    site.source.set(CELL, {"temperature_c": 25.0})
    site.after(1)
    assert site.after(60) == []


def test_a_trip_that_was_less_before_calls_again_and_is_kept(site: Site) -> None:
    site.source.set(CELL, {"temperature_c": 52.0})
    site.after(1)
    site.after(6)
    site.source.set(CELL, {"temperature_c": 61.0})
    assert site.after(1) == [(*HOT, "")]
    assert site.engine.desk.journal.rates().by_tier == (1, 0, 1)
    store = site.engine.desk.store
    assert store is not None
    newest = store.history(AlarmQuery(NOON, site.clock.now()))[0]
    assert (newest.event, newest.tier) == (Event.ESCALATE, 3)


def test_an_element_that_says_nothing_keeps_its_alarm(site: Site) -> None:
    site.source.told = [Finding(RACK, "cooling_failed", 2)]
    site.after(0)
    assert site.after(3) == [(RACK, "cooling_failed", "")]
    site.source.told = []
    site.source.heard = np.zeros(site.source.topology.size, dtype=bool)
    site.after(10)
    assert (RACK, "cooling_failed", "") in site.after(100)
    site.source.heard = None
    site.after(1)
    assert (RACK, "cooling_failed", "") not in site.after(61)


def test_a_device_that_cannot_say_its_findings_stops_nobody(site: Site) -> None:
    site.source.set(CELL, {"temperature_c": 61.0})
    site.source.broken = True
    assert site.after(1) == [(*HOT, "")]


def test_the_audit_keeps_what_was_done_beside_the_alarms(site: Site) -> None:
    entry = AuditEntry(NOON, "ada", "emergency stop", RACK, "", "smoke", "", "sent")
    site.engine.desk.audit(entry)
    site.restart()
    store = site.engine.desk.store
    assert store is not None
    assert store.audit(AlarmQuery(NOON, NOON)) == [entry]


def test_a_store_that_fails_is_told_and_alarms_go_on(site: Site) -> None:
    site.engine.desk.close()
    site.engine.keep_alarms(FullDisk(SqlitePlace(site.folder, ALARMS)))
    site.source.set(CELL, {"temperature_c": 61.0})
    assert site.after(1) == [(*HOT, "")]
    assert site.engine.desk.error == "the disk is full"
    with pytest.raises(RetryLaterError):
        site.engine.desk.journal.acknowledge(HOT, "ada")
    one = site.engine.desk.journal.get(HOT)
    assert one is not None
    assert one.state is State.UNACKNOWLEDGED
