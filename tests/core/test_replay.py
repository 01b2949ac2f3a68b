"""The site at a time of its past: what is known of it, what is not, and what is said of both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.alarms.records import Finding
from core.clock import ManualClock
from core.engine import Engine
from core.errors import RetryLaterError, UnknownIdError
from core.frames import CONTACTOR_OPEN, Frame
from core.replay import PastMoment, Replay
from core.strand import strand
from core.topology import DEFAULT_LEVELS, Topology
from core.trails import POINTS, SPAN_S, STEP_S, Trails
from store.embedded import EmbeddedStore
from store.records import open_alarms
from tests.core.sites import NOON, ScriptedReadings, system
from tests.store.support import frame

CELL = "system_0_cluster_0_rack_0_module_1_cell_2"


class Site:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOON)
        self.source = ScriptedReadings([system()])
        self.source.set_cells({"power_kw": 1.0, "voltage_v": 3.3, "temperature_c": 25.0,
                               "soc_pct": 50.0})
        self.engine = Engine(DEFAULT_LEVELS, [self.source], self.clock)
        self.store = EmbeddedStore(folder / "history", self.engine.topology, seal_after_s=60.0)
        self.alarms = open_alarms(folder / "alarms", self.clock)
        self.engine.attach(self.store)
        self.engine.keep_alarms(self.alarms)
        self.replay = Replay(self.engine)

    def after(self, seconds: float) -> datetime:
        self.clock.advance(seconds)
        self.engine.tick()
        return self.clock.now()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.store.close()
    found.alarms.close()


def nothing_is_known(moment: PastMoment) -> bool:
    frame_then = moment.snapshot.frame
    return bool(frame_then.stale.all() and np.isnan(frame_then.columns["soc_pct"]).all()
                and (frame_then.coverage == 0).all() and not moment.snapshot.alarms.active)


def test_a_time_without_readings_is_all_missing(site: Site) -> None:
    site.after(1)
    moment = site.replay.moment(NOON - timedelta(hours=1))
    assert nothing_is_known(moment)
    assert (moment.grain, moment.error) == (None, "")
    assert moment.snapshot.frame.time == NOON - timedelta(hours=1)


def test_devices_and_sources_are_not_told_as_they_are_now(site: Site) -> None:
    then = site.after(1)
    snapshot = site.replay.moment(then).snapshot
    assert snapshot.sources == ()
    assert snapshot.devices.stale.all()
    assert snapshot.number < 0


def test_where_alarms_were_not_kept_the_limits_of_that_moment_tell(site: Site) -> None:
    site.source.set(CELL, {"temperature_c": 57.0})
    then = site.after(1)
    moment = site.replay.moment(then)
    topology = site.engine.topology
    assert moment.alarms_from == "limits"
    (alarm,) = moment.snapshot.alarms.active
    assert (topology.ids[alarm.node], alarm.condition, alarm.tier) == (CELL, "temperature_high", 2)
    assert moment.snapshot.alarms.count[0] == 1
    assert [one.element for one in moment.instances] == [CELL]


def open_at(site: Site, when: datetime) -> list[str]:
    topology = site.engine.topology
    flags = site.replay.moment(when).snapshot.frame.flags
    return [topology.ids[node] for node in np.flatnonzero(flags & CONTACTOR_OPEN)]


def test_an_open_contactor_is_told_from_when_it_opened_until_it_closed(site: Site) -> None:
    rack = "system_0_cluster_0_rack_0"
    flags = np.zeros(site.source.topology.size, np.uint8)
    site.source.flags = flags
    site.source.set(CELL, {"temperature_c": 62.0})
    before = site.after(10)
    flags[site.source.topology.index(rack)] = CONTACTOR_OPEN
    opened = site.after(1)
    for _ in range(20):
        while_open = site.after(1)
    flags[:] = 0
    site.source.set(CELL, {"temperature_c": 25.0})
    closed = site.after(1)
    for _ in range(60):
        later = site.after(1)
    site.clock.advance(10)
    assert open_at(site, before) == []
    assert open_at(site, opened) == [rack]
    assert open_at(site, while_open) == [rack]
    assert open_at(site, closed) == []
    assert open_at(site, later) == []
    assert open_at(site, NOON + timedelta(seconds=1)) == [], "before the first alarm: not known"
    moment = site.replay.moment(opened)
    assert moment.alarms_from == "history"
    ends = strand(site.engine.topology, moment.snapshot.frame, 0, "discharge")
    assert ends.first is not None
    assert ends.first.reason == "contactor"


def test_a_history_that_fails_says_why_and_the_next_look_is_a_new_try(site: Site) -> None:
    then = site.after(1)
    site.store.close()
    moment = site.replay.moment(then)
    assert nothing_is_known(moment)
    assert "closed" in moment.error
    site.engine.attach(None, "the disk is full")
    assert "the disk is full" in site.replay.moment(then).error


def test_alarms_that_cannot_be_read_leave_the_frame_and_are_told(site: Site) -> None:
    site.source.set(CELL, {"temperature_c": 62.0})
    then = site.after(1)
    site.alarms.close()
    moment = site.replay.moment(then)
    assert moment.snapshot.frame.value("temperature_c", site.engine.topology.index(CELL)) == 62.0
    assert moment.alarms_from == "limits"
    assert "alarms" in moment.error
    with pytest.raises(RetryLaterError, match="alarms"):
        site.replay.marks(NOON, then, 10)


def test_marks_of_alarms_and_none_without_a_store(site: Site) -> None:
    site.source.set(CELL, {"temperature_c": 62.0})
    site.after(50)
    site.clock.advance(50)
    assert site.replay.marks(NOON, NOON + timedelta(seconds=100), 4).tolist() == [0, 0, 3, 0]
    assert not site.replay.marks(NOON, NOON, 4).any(), "no span"
    site.engine.keep_alarms(None)
    assert not site.replay.marks(NOON, NOON + timedelta(seconds=100), 4).any()


def test_a_finding_of_an_element_that_is_gone_hurts_nothing(site: Site) -> None:
    site.engine.desk.journal.tick([Finding("system_9", "silent", 3)])
    then = site.after(1)
    moment = site.replay.moment(then)
    assert moment.alarms_from == "history"
    assert not moment.snapshot.alarms.active


class TestTrails:
    def test_a_few_moments_of_the_last_minutes(self, site: Site) -> None:
        topology = site.engine.topology
        nodes = np.array([topology.index(CELL), 1])
        trails = Trails(site.engine)
        while (site.clock.now() - NOON).total_seconds() < SPAN_S:
            site.source.set(CELL, {"soc_pct": (site.clock.now() - NOON).total_seconds() / 10})
            end = site.after(5)
        for _ in range(POINTS):
            trail = trails.of(nodes, "soc_pct", end)
        own = trail.row == 0
        assert own.sum() == (~own).sum() == POINTS
        assert (np.diff(trail.age_s[own]) == -STEP_S).all(), "from old to new"
        assert 0 <= trail.age_s.min() < STEP_S
        seconds = (end - NOON).total_seconds() - trail.age_s[own]
        assert np.abs(trail.value[own] - (seconds - 5) / 10).max() <= 0.5
        assert trail.row.dtype == np.int32

    def test_it_reads_something_each_time_and_nothing_twice(self, site: Site) -> None:
        end, trails = site.after(1), Trails(site.engine)
        counted = Counting(site.store)
        site.engine.attach(counted)  # type: ignore[arg-type]
        nodes = np.arange(3)
        asked = []
        for _ in range(POINTS):
            trails.of(nodes, "soc_pct", end)
            asked.append(counted.asked)
        assert all(count >= min(number, POINTS) for number, count in enumerate(asked, 1))
        assert asked[-1] == POINTS

    def test_gaps_are_gaps_and_no_history_is_no_trail(self, site: Site) -> None:
        nodes = np.arange(3)
        assert Trails(site.engine).of(nodes, "soc_pct", site.clock.now()).row.size == 0
        site.engine.attach(None)
        assert Trails(site.engine).of(nodes, "power_kw", site.clock.now()).row.size == 0

    def test_another_metric_is_refused(self, site: Site) -> None:
        with pytest.raises(UnknownIdError):
            Trails(site.engine).of(np.arange(2), "ts; DROP", site.clock.now())


class Counting:
    def __init__(self, store: EmbeddedStore) -> None:
        self._store, self.asked = store, 0

    def moment_at(self, when: datetime) -> object:
        self.asked += 1
        return self._store.moment_at(when)


def hours_of(store: EmbeddedStore, topology: Topology, hours: int) -> None:
    frames: Iterator[Frame] = (frame(second, topology=topology)
                               for second in range(-3600 * hours, 0, 60))
    store.backfill(frames, lambda _: None)
    store.settle()


def test_where_hours_alone_are_kept_their_means_are_shown_and_named(tmp_path: Path) -> None:
    topology = Topology(DEFAULT_LEVELS, [system()])
    store = EmbeddedStore(tmp_path, topology, seal_after_s=60.0)
    hours_of(store, topology, 5)
    store.close()
    minutes = sorted((tmp_path / "minute").iterdir())
    minutes[0].unlink()
    store = EmbeddedStore(tmp_path, topology, seal_after_s=60.0)
    when = NOON - timedelta(hours=5) + timedelta(minutes=20)
    moment = store.moment_at(when)
    assert moment is not None
    assert moment.grain == "hour"
    expected = np.mean([frame(second, topology=topology).columns["voltage_v"]
                        for second in range(-18000, -14400, 60)], axis=0)
    np.testing.assert_allclose(moment.frame.columns["voltage_v"], expected, rtol=1e-5)
    assert store.frame_at(when) is None, "readings alone"
    assert not moment.frame.stale.any()
    assert moment.frame.age_s.max() == 0.0
    later = store.moment_at(NOON - timedelta(hours=3))
    assert later is not None
    assert later.grain == "minute"
    store.close()
