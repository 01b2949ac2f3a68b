"""What `core.ports.Store` promises, held against every store.

A new store joins by one line in FACTORIES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench._postgres import PostgresServer
from core.alarms.records import Key
from core.clock import ManualClock
from core.engine import Engine, Snapshot
from core.errors import OrreryError, UnknownIdError
from core.ports import Hole, Store
from core.replay import Replay
from core.topology import DEFAULT_LEVELS, Topology
from core.vocabulary import METRIC_NAMES
from store.embedded import EmbeddedStore
from store.postgres import open_history
from store.records import open_alarms
from store.several import SeveralStores
from store.spool import SpooledStore
from tests.core.sites import ScriptedReadings, system
from tests.store.support import CELL, NOON, SITE, at, fill, frame, seconds_of, values_at, voltages

RACK = "system_0_cluster_0_rack_0"
HOT_CELL, QUIET_CELL = f"{RACK}_module_1_cell_2", f"{RACK}_module_0_cell_1"

Factory = Callable[[Path, Topology], Any]



def embedded(directory: Path, topology: Topology) -> EmbeddedStore:
    return EmbeddedStore(directory, topology, seal_after_s=60.0)


def postgres(directory: Path, topology: Topology) -> SpooledStore:
    return SpooledStore(directory / "spool",
                        lambda: open_history("HISTORY_URL", topology, 1 << 30), topology,
                        budget_bytes=1 << 26)


def several(directory: Path, topology: Topology) -> SeveralStores:
    return SeveralStores({"embedded": embedded(directory, topology),
                          "postgres": postgres(directory, topology)})


FACTORIES: dict[str, Factory] = {
    "embedded": embedded, "postgres": postgres, "several": several}


def settle(store: Store) -> None:
    """Let a store that works in the background finish what it has begun."""
    getattr(store, "settle", lambda: None)()


@pytest.fixture(params=FACTORIES)
def make(request: pytest.FixtureRequest, tmp_path: Path,
         monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Opens the history of one test, again and with another topology if asked."""
    opened: list[Any] = []
    if request.param != "embedded":
        server: PostgresServer = request.getfixturevalue("postgres")
        monkeypatch.setenv("HISTORY_URL", server.new_schema())

    def make_one(topology: Topology = SITE) -> Any:
        opened.append(FACTORIES[request.param](tmp_path, topology))
        return opened[-1]

    yield make_one
    for store in opened:
        store.close()


@pytest.fixture
def store(make: Callable[..., Any]) -> Any:
    return make()


def test_an_empty_history_says_so(store: Store) -> None:
    health = store.health()
    assert (health.oldest, health.newest, health.error, health.set_aside) == (None, None, "", ())
    assert store.frame_at(NOON) is None
    assert len(voltages(store, 0, 60).time_s) == 0


def test_a_frame_comes_back_with_all_metrics(store: Store) -> None:
    fill(store, [0.0, 1.0, 2.0])
    found = store.frame_at(at(1.4))
    assert found is not None
    assert found.time == at(1.0)
    for index, name in enumerate(METRIC_NAMES):
        np.testing.assert_array_equal(found.columns[name], values_at(1.0, SITE.size)[index])
        assert found.columns[name].dtype == np.float32
    np.testing.assert_allclose(found.age_s, 0.4, atol=1e-5)
    assert not found.stale.any()
    np.testing.assert_array_equal(found.coverage, 1.0)


@pytest.mark.parametrize("sealed", [False, True])
def test_stale_and_missing_values_are_stored_as_missing(store: Store, sealed: bool) -> None:
    for second in range(130):
        values = values_at(second, SITE.size)
        values[2, 5] = np.nan
        stale = np.zeros(SITE.size, bool)
        stale[-1] = True
        store.append(frame(second, values, stale=stale))
    if sealed:
        settle(store)
    found = store.frame_at(at(30))
    assert found is not None
    assert np.isnan([found.columns[name][-1] for name in METRIC_NAMES]).all()
    assert np.isnan(found.columns["voltage_v"][5])
    assert found.columns["power_kw"][5] == values_at(30, SITE.size)[0, 5]
    assert found.stale[-1]
    assert np.isnan(found.age_s[-1])
    assert found.coverage[0] == pytest.approx(5 / 6)
    assert len(voltages(store, 0, 200).time_s) == 0


def test_zero_is_a_value(store: Store) -> None:
    store.append(frame(0, np.zeros((len(METRIC_NAMES), SITE.size), np.float32)))
    assert voltages(store, 0, 1).mean.tolist() == [0.0]


def test_times_must_rise(store: Store) -> None:
    fill(store, [5.0])
    for second in (5.0, 4.0):
        with pytest.raises(OrreryError):
            fill(store, [second])
    fill(store, [6.0])
    assert seconds_of(voltages(store, 0, 60)) == [5.0, 6.0]


def test_what_append_returned_from_is_there_after_opening_again(make: Callable[..., Any]) -> None:
    first = make()
    fill(first, range(200))
    first.close()
    again = make()
    assert seconds_of(voltages(again, 0, 300)) == list(range(200))
    assert again.health().newest == at(199)


def test_series_come_in_the_order_of_the_question(store: Store) -> None:
    fill(store, range(3))
    ids, metrics = [SITE.ids[7], SITE.ids[0]], ["soc_pct", "power_kw"]
    found = store.series(ids, metrics, NOON, at(10))
    assert [(one.node_id, one.metric) for one in found] == [
        (node_id, metric) for node_id in ids for metric in metrics]
    for one in found:
        row, node = METRIC_NAMES.index(one.metric), SITE.index(one.node_id)
        expected = [values_at(second, SITE.size)[row, node] for second in range(3)]
        np.testing.assert_array_equal(one.mean, np.array(expected, np.float32))


def test_raw_points_are_their_own_minimum_and_maximum(store: Store) -> None:
    fill(store, range(10))
    found = voltages(store, 2, 7)
    assert seconds_of(found) == [2, 3, 4, 5, 6, 7], "both ends belong to the range"
    np.testing.assert_array_equal(found.minimum, found.mean)
    np.testing.assert_array_equal(found.maximum, found.mean)
    assert (found.time_s.dtype, found.mean.dtype) == (np.float64, np.float32)
    assert found.resolution_s == 1.0


def test_series_keep_to_the_asked_number_and_rise(store: Store) -> None:
    fill(store, range(0, 3000, 5))
    settle(store)
    for hours, max_points in product((0.2, 3, 40, 24 * 5, 24 * 40), (1, 2, 7, 100, 1000)):
        start, end = at(2999 - hours * 3600), at(2999)
        (found,) = store.series([CELL], ["voltage_v"], start, end, max_points)
        assert 1 <= len(found.time_s) <= max_points, (hours, max_points)
        assert (np.diff(found.time_s) > 0).all(), (hours, max_points)
        assert start.timestamp() <= found.time_s[0] <= found.time_s[-1] <= end.timestamp()
        assert (found.minimum <= found.mean).all(), (hours, max_points)
        assert (found.mean <= found.maximum).all(), (hours, max_points)


def test_a_spike_of_one_sample_survives(store: Store) -> None:
    for second in range(0, 3300, 5):
        values = values_at(0, SITE.size)
        values[:, -1] = 99_999.0 if second == 1715 else 3.0
        store.append(frame(second, values))
    settle(store)
    for hours in (1.0, 24.0, 24 * 7, 24 * 30):
        (found,) = store.series([CELL], ["voltage_v"], at(3295 - hours * 3600), at(3295), 50)
        assert found.maximum.max() == 99_999.0, hours
        assert found.minimum.min() == 3.0


def test_a_gap_stays_a_gap(store: Store) -> None:
    fill(store, [*range(300), *range(900, 1300)])
    settle(store)
    for hours, max_points in ((0.5, 5000), (0.5, 300), (20, 1000)):
        (found,) = store.series([CELL], ["voltage_v"], at(1300 - hours * 3600), at(1300),
                                max_points)
        steps = np.diff(found.time_s)
        assert (steps > 2.5 * found.resolution_s).sum() == 1


@pytest.mark.parametrize("later", [4000, 3 * 3600])
def test_an_hour_tells_how_much_of_it_is_known(store: Store, later: int) -> None:
    fill(store, [*range(0, 1500, 20), *range(3000, later, 20)])
    settle(store)
    (found,) = store.series([CELL], ["voltage_v"], at(-3600 * 24 * 20), at(later))
    assert found.resolution_s == 3600.0
    assert found.known_s is not None
    rest = [7 * 60.0] if later == 4000 else [3600.0, 3600.0]
    assert found.known_s.tolist() == [35 * 60.0, *rest]
    (minutes,) = store.series([CELL], ["voltage_v"], at(-3600 * 24), at(later))
    kwh = minutes.mean.astype(float).sum() * 60
    assert (found.mean * found.known_s).sum() == pytest.approx(kwh, rel=1e-6)
    assert minutes.known_s is None
    assert voltages(store, 0, 600).known_s is None


def test_ids_and_metrics_from_outside_are_checked(store: Store) -> None:
    fill(store, [0])
    for ids, metrics in ((["nobody"], ["voltage_v"]), ([CELL], ["ts; DROP TABLE frames"]),
                         (["x' OR 1=1 --"], ["voltage_v"]), ([CELL], ["sid"])):
        with pytest.raises(UnknownIdError):
            store.series(ids, metrics, NOON, at(1))


def test_nothing_asked_is_nothing_answered(store: Store) -> None:
    assert store.series([], ["voltage_v"], NOON, at(1)) == []
    assert store.series([CELL], [], NOON, at(1)) == []


@pytest.mark.parametrize("sealed", [False, True])
def test_the_site_at_a_time_is_at_most_90_s_old(store: Store, sealed: bool) -> None:
    fill(store, [*range(100), 1000.0])
    if sealed:
        settle(store)
    found = store.frame_at(at(99 + 89))
    assert found is not None
    assert found.time == at(99)
    np.testing.assert_allclose(found.age_s, 89.0)
    assert store.frame_at(at(99 + 91)) is None
    assert store.frame_at(at(-1)) is None


def past(start: float, end: float, step: float = 10.0) -> Iterator[Any]:
    return (frame(second) for second in np.arange(start, end, step))


def test_a_told_past_joins_what_was_appended(store: Store) -> None:
    fill(store, range(30, 90))
    reached: list[datetime] = []
    store.backfill(past(-7200 + 30, 30), reached.append)
    assert reached == sorted(reached)
    assert reached[0] == at(-3600)
    fill(store, range(90, 200))
    settle(store)
    found = voltages(store, -7200, 200)
    steps = np.diff(found.time_s)
    assert (steps == 60.0).all(), "no hole and no double at the seam"
    assert store.health().oldest == at(-7200)
    short = voltages(store, -300, 199)
    assert seconds_of(short)[-170:] == list(range(30, 200)), "then raw"
    assert seconds_of(short)[:5] == [-300, -240, -180, -120, -60], "minutes before"
    assert short.resolution_s == 60.0


def test_a_hole_between_two_openings_is_filled(make: Callable[..., Any]) -> None:
    """Frames until 90 s, an hour and a half without the app, frames again; told until 2000 s and
    from 4000 s: what nobody told stays a hole."""
    before = make()
    fill(before, range(91))
    before.close()
    store = make()
    newest = store.health().newest
    assert newest == at(90)
    fill(store, range(5410, 5440))
    told = (frame(second) for second in range(0, 7200, 10) if not 2000 < second < 4000)
    store.backfill(told, lambda _: None, Hole(newest, at(5410)))
    fill(store, range(5440, 5560))
    settle(store)
    minutes = [*range(0, 2001, 60), *range(3960, 5521, 60)]
    wide = voltages(store, -7200, 5559)
    assert seconds_of(wide) == minutes, "each minute once, and the hole that nobody told"
    index, cell = METRIC_NAMES.index("voltage_v"), SITE.size - 1
    for second in (180, 1200, 4500):
        own = [values_at(one, SITE.size)[index, cell] for one in range(second, second + 60, 10)]
        at_it = seconds_of(wide).index(second)
        assert (wide.minimum[at_it], wide.maximum[at_it]) == (min(own), max(own))
        np.testing.assert_allclose(wide.mean[at_it], np.mean(own), rtol=1e-6)
    close = voltages(store, 0, 3600)
    assert seconds_of(close) == [*range(91), *range(120, 2001, 60)], "frames, then minutes"
    assert close.resolution_s == 60.0
    hours = voltages(store, -3600 * 24 * 20, 5559)
    assert seconds_of(hours)[:1] == [0]
    assert hours.maximum[0] == values_at(2000, SITE.size)[index, cell]
    known = store.frame_at(at(1234))
    assert known is not None
    assert 1144 <= (known.time - NOON).total_seconds() <= 1234
    assert store.frame_at(at(3000)) is None


def test_a_hole_is_filled_once_and_no_frame_is_written_over(make: Callable[..., Any]) -> None:
    before = make()
    fill(before, range(200))
    before.close()
    store = make()
    fill(store, range(630, 660))
    hole = Hole(at(199), at(630))
    lies = (frame(second, np.full((len(METRIC_NAMES), SITE.size), 7.0, np.float32))
            for second in range(0, 900, 10))
    store.backfill((frame(second) for second in range(0, 900, 10)), lambda _: None, hole)
    store.backfill(lies, lambda _: None, Hole(at(20), at(190)))
    settle(store)
    found = voltages(store, 0, 700)
    assert seconds_of(found) == [*range(200), *range(240, 600, 60), *range(630, 660)]
    index, cell = METRIC_NAMES.index("voltage_v"), SITE.size - 1
    assert found.mean[100] == values_at(100, SITE.size)[index, cell]
    assert 7.0 not in found.minimum


def test_the_site_at_a_time_of_a_told_past(store: Store) -> None:
    fill(store, [30])
    store.backfill(past(-7200, 30), lambda _: None)
    found = store.frame_at(at(-3600 + 25))
    assert found is not None
    assert at(-3600 + 25) - timedelta(seconds=90) <= found.time <= at(-3600 + 25)
    second = (found.time - NOON).total_seconds()
    np.testing.assert_array_equal(found.columns["voltage_v"], values_at(second, SITE.size)[2])


def test_a_moment_says_of_what_grain_it_is(store: Store) -> None:
    fill(store, [30])
    store.backfill(past(-7200, 30), lambda _: None)
    live, told = store.moment_at(at(30)), store.moment_at(at(-3600 + 25))
    assert live is not None
    assert told is not None
    assert (live.grain, told.grain) == ("frame", "minute")
    assert store.moment_at(at(-7200 - 100)) is None


class Site:
    """An engine over one rack whose cells wander; everything that it published is kept."""

    def __init__(self, store: Store, topology: Topology) -> None:
        self.clock = ManualClock(at(-70))
        self.source = ScriptedReadings([system()])
        self.engine = Engine(DEFAULT_LEVELS, [self.source], self.clock)
        assert self.engine.topology.ids == topology.ids
        self.engine.attach(store)
        self.snapshots: list[Snapshot] = []

    def live(self, seconds: int) -> None:
        """Cells wander, fall silent and come back; one is too hot until it trips."""
        rng = np.random.default_rng(6)
        cells = self.source.topology.child_count == 0
        for second in range(len(self.snapshots), len(self.snapshots) + seconds):
            self.clock.advance(1)
            for name in METRIC_NAMES:
                self.source.columns[name][cells] = rng.normal(20, 5, cells.sum())
            self.source.columns["voltage_v"][cells] = rng.normal(3.3, 0.02, cells.sum())
            self.source.columns["temperature_c"][cells] = 25.0
            self.source.set(HOT_CELL, {"temperature_c": 25.0 + second / 2})
            self.source.heard = np.ones(self.source.topology.size, bool)
            self.source.heard[self.source.topology.index(QUIET_CELL)] = second < 70
            self.snapshots.append(self.engine.tick())


def alarms_of(snapshot: Snapshot) -> set[tuple[object, ...]]:
    """Without the measured age of what is silent, of which history keeps no value."""
    return {(one.node, one.condition, one.tier, one.acknowledged_by,
             one.condition == "silent" or (one.value, one.limit))
            for one in snapshot.alarms.active}


def test_playback_equals_what_was_live(make: Callable[..., Any], tmp_path: Path) -> None:
    store = make()
    site = Site(store, SITE)
    site.engine.keep_alarms(open_alarms(tmp_path / "alarms", site.clock))
    site.live(100)
    site.clock.advance(0.5)
    site.engine.desk.journal.acknowledge(Key(HOT_CELL, "temperature_high"), "ada")
    site.live(30)
    settle(store)
    replay = Replay(site.engine)
    seen: set[str] = set()
    for then in site.snapshots:
        moment = replay.moment(then.frame.time)
        now, quiet = moment.snapshot, then.frame.stale
        assert (moment.error, moment.grain, now.frame.time) == ("", "frame", then.frame.time)
        for name in METRIC_NAMES:
            expected = np.where(quiet, np.nan, then.frame.columns[name])
            np.testing.assert_array_equal(now.frame.columns[name], expected)
        np.testing.assert_array_equal(now.frame.stale, quiet)
        np.testing.assert_array_equal(now.frame.coverage, then.frame.coverage)
        seen.add(moment.alarms_from)
        if moment.alarms_from == "history":
            assert alarms_of(now) == alarms_of(then)
            np.testing.assert_array_equal(now.alarms.worst_tier, then.alarms.worst_tier)
            np.testing.assert_array_equal(now.alarms.count, then.alarms.count)
    assert seen == {"limits", "history"}
    assert len({alarm.condition for one in site.snapshots for alarm in one.alarms.active}) == 2
    assert len({one.number for one in site.snapshots}) == len(site.snapshots) == 130
    site.engine.desk.close()


def test_history_outlives_a_changed_topology(make: Callable[..., Any]) -> None:
    first = make()
    fill(first, range(150))
    settle(first)
    first.close()
    other = Topology(DEFAULT_LEVELS, [system(1), system(0, cells=4)])
    again = make(other)
    removed, added = set(SITE.ids) - set(other.ids), set(other.ids) - set(SITE.ids)
    assert added
    assert not removed
    for second in (20, 140):  # sealed, and in what was not sealed yet
        found = again.frame_at(at(second))
        for name, expected in zip(METRIC_NAMES, values_at(second, SITE.size), strict=True):
            for node_id in SITE.ids:
                assert found.columns[name][other.index(node_id)] == expected[SITE.index(node_id)]
        unknown = [other.index(node_id) for node_id in added if "cell" in node_id]
        assert np.isnan(found.columns["voltage_v"][unknown]).all()
        assert found.stale[unknown].all()
    fill(again, range(150, 300), other)
    settle(again)
    assert seconds_of(voltages(again, 0, 300)) == list(range(300))
    again.close()
    smaller = make(Topology(DEFAULT_LEVELS, [system(1)]))
    assert seconds_of(voltages(smaller, 0, 300)) == list(range(300)), "a removed node's history"


def test_health_tells_span_and_size(store: Store) -> None:
    fill(store, range(200))
    settle(store)
    health = store.health()
    assert (health.oldest, health.newest) == (NOON, at(199))
    assert 0 < health.size_bytes <= health.budget_bytes


def test_times_without_a_zone_are_refused(store: Store) -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match="law 3"):
        store.frame_at(naive)
    with pytest.raises(ValueError, match="law 3"):
        store.append(replace(frame(0), time=naive))
