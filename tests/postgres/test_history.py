"""The tree's history in PostgreSQL beside the embedded one: the same answers to the same frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest

from core.alarms.records import AlarmQuery
from core.config import HistoryConfig
from core.errors import HistoryLockedError, RetryLaterError
from core.frames import Frame
from core.ports import Store
from core.registry import (
    make_alarm_store,
    make_channel_history,
    make_site_records,
    make_store,
)
from core.vocabulary import METRIC_NAMES
from store.embedded import EmbeddedStore
from store.postgres import open_history
from store.postgres.alarms import PostgresAlarmStore
from store.postgres.history import PostgresStore
from store.spool import SpooledChannels, SpooledStore
from tests.postgres.test_nothing_lost import end_sessions
from tests.store.support import CELL, SITE, at, fill, frame, seconds_of, values_at, voltages

BUDGET = 1 << 30
STEP_S = 13
HOURS = 3.4
Opened = Callable[..., PostgresStore]


@pytest.fixture
def opened(variable: str) -> Iterator[Opened]:
    """Opens the history of one test again, its process having ended."""
    held: list[PostgresStore] = []

    def again(budget_bytes: int = BUDGET) -> PostgresStore:
        for one in held:
            one.close()
        held.append(open_history(variable, SITE, budget_bytes))
        return held[-1]

    yield again
    for one in held:
        one.close()


def random_frames() -> Iterator[Frame]:
    """Hours with missing values, a silent cell and a pause."""
    rng = np.random.default_rng(7)
    for second in range(-1800, int(HOURS * 3600), STEP_S):
        values = rng.normal(50, 10, (len(METRIC_NAMES), SITE.size)).astype(np.float32)
        values[rng.random(values.shape) < 0.1] = np.nan
        stale = np.zeros(SITE.size, bool)
        stale[-2] = second > 2000
        if not 5000 < second < 6000:
            yield frame(second, values, stale=stale)


def assert_same(one: Store, other: Store, start: float, end: float, max_points: int) -> None:
    asked = ([SITE.ids[0], CELL, SITE.ids[-2]], list(METRIC_NAMES), at(start), at(end), max_points)
    for ours, theirs in zip(one.series(*asked), other.series(*asked), strict=True):
        assert (ours.node_id, ours.metric) == (theirs.node_id, theirs.metric)
        assert ours.resolution_s == theirs.resolution_s
        for part in ("time_s", "minimum", "maximum"):
            np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-5)
        assert (ours.known_s is None) == (theirs.known_s is None)
        if ours.known_s is not None:
            np.testing.assert_array_equal(ours.known_s, theirs.known_s)


def test_it_answers_as_the_embedded_history_does(opened: Opened, tmp_path: Path) -> None:
    ours = opened()
    theirs = EmbeddedStore(tmp_path, SITE, seal_after_s=600.0)
    for one in random_frames():
        ours.append(one)
        theirs.append(one)
    theirs.settle()
    end = HOURS * 3600
    for hours in (0.1, 1.0, 40.0, 24 * 40.0):
        for max_points in (5, 60, 10_000):
            assert_same(ours, theirs, end - hours * 3600, end, max_points)
    for second in (-1700, 0, 3333, 5050, 5500, end):
        found, expected = ours.frame_at(at(second)), theirs.frame_at(at(second))
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert found.time == expected.time
            for name in METRIC_NAMES:
                np.testing.assert_array_equal(found.columns[name], expected.columns[name])
    theirs.close()


def test_minutes_and_hours_go_on_over_a_restart_and_a_lost_session(opened: Opened,
                                                                  variable: str) -> None:
    store = opened()
    fill(store, range(3500, 3595, 5))
    store = opened()
    fill(store, range(3595, 3630, 5))
    end_sessions(os.environ[variable])
    with pytest.raises(RetryLaterError):
        fill(store, [3630])
    assert "see that it runs" in store.health().error
    fill(store, range(3635, 7300, 5))
    assert store.health().error == ""
    minutes = rows_of(os.environ[variable], "history_minute")
    assert {minute: count for minute, count in minutes if minute in (3480, 3540, 3600)} == {
        3480: 8, 3540: 12, 3600: 11}
    assert rows_of(os.environ[variable], "history_hour") == [(0, 20), (3600, 719)]


def rows_of(url: str, table: str) -> list[tuple[int, int]]:
    """(second after NOON, samples) of the last cell."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            f"SELECT time_us / 1000000, voltage_v_n FROM {table} JOIN history_nodes USING (sid) "
            "WHERE id = %s ORDER BY 1".encode(), (CELL,)).fetchall()
    return [(seconds - int(at(0).timestamp()), count) for seconds, count in found]


def test_the_budget_gives_up_the_oldest_frames_and_minutes_tell_of_them(
        opened: Opened, variable: str) -> None:
    store = opened(budget_bytes=1)
    fill(store, range(0, 4 * 3600, 20))
    assert seconds_of(voltages(store, 0, 900))[:5] == [0, 60, 120, 180, 240]
    assert seconds_of(voltages(store, 3 * 3600, 3 * 3600 + 60)) == [10800, 10820, 10840, 10860]
    with psycopg.connect(os.environ[variable]) as connection:
        parts = connection.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = "
                                   "'history_raw'::regclass").fetchone()
    assert parts == (1,)


def test_hours_of_an_older_version_count_as_whole(opened: Opened, variable: str) -> None:
    store = opened()
    fill(store, range(0, 3700, 600))
    store.close()
    with psycopg.connect(os.environ[variable]) as connection:
        for name in METRIC_NAMES:
            connection.execute(f"ALTER TABLE history_hour DROP COLUMN {name}_minutes".encode())
        connection.execute("DELETE FROM orrery_schema WHERE number = 4")
    store = opened()
    fill(store, range(4200, 7300, 600))
    found = voltages(store, -3600 * 24 * 20, 7300)
    assert found.known_s is not None
    assert found.known_s.tolist() == [3600.0, 6 * 60.0, 60.0]


def test_a_moment_of_which_hours_alone_are_kept_is_their_mean(opened: Opened,
                                                              variable: str) -> None:
    store = opened()
    store.backfill((frame(second) for second in range(0, 7200, 60)), lambda _: None)
    minutes = store.moment_at(at(1830))
    with psycopg.connect(os.environ[variable]) as connection:
        connection.execute("DELETE FROM history_minute WHERE time_us < %s",
                           (int(at(3600).timestamp()) * 1_000_000,))
    hours = store.moment_at(at(1830))
    assert minutes is not None
    assert hours is not None
    assert (minutes.grain, hours.grain) == ("minute", "hour")
    expected = np.mean([values_at(second, SITE.size) for second in range(0, 3600, 60)], axis=0)
    np.testing.assert_allclose(hours.frame.columns["voltage_v"], expected[2], rtol=1e-5)
    assert store.frame_at(at(1830)) is None
    later = store.moment_at(at(5400))
    assert later is not None
    assert later.grain == "minute"


def test_a_told_past_is_told_once(opened: Opened) -> None:
    store = opened()
    fill(store, [30])
    for _ in range(2):
        store.backfill((frame(second) for second in range(-7200, 30, 10)), lambda _: None)
    minutes = voltages(store, -7200, 30)
    assert seconds_of(minutes) == list(range(-7200, 1, 60))
    assert minutes.mean[0] == pytest.approx(values_at(-7175, SITE.size)[2, -1])


def test_the_house_keeps_its_history_where_its_configuration_says(variable: str,
                                                                 tmp_path: Path) -> None:
    config = HistoryConfig(kind="postgres", url_variable=variable, directory=str(tmp_path))
    store, alarms = make_store(config, SITE, "x"), make_alarm_store(config, "x")
    channels = make_channel_history(config, ["a"], "x")
    assert isinstance(store, SpooledStore)
    assert isinstance(alarms, PostgresAlarmStore)
    assert isinstance(channels, SpooledChannels)
    with pytest.raises(HistoryLockedError, match="writes history"):
        make_store(config, SITE, "x")
    for one in (store, alarms, channels):
        one.close()
    records = make_site_records(config, "x")
    assert records is not None
    records.save("operator", "ada", "h")
    records.close()
    with psycopg.connect(os.environ[variable]) as connection:
        kept = connection.execute("SELECT kind, name, told FROM site_saved").fetchall()
    assert kept == [("operator", "ada", "h")]
    own = make_alarm_store(HistoryConfig(directory=str(tmp_path)), "x")
    assert own is not None
    assert own.audit(AlarmQuery(at(0), at(1))) == []
    assert (tmp_path / "alarms" / "alarms.sqlite").exists()
    own.close()
