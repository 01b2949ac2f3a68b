"""What every `core.twin.trend.TrendStore` must do, in memory and in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.clock import ManualClock
from core.errors import ConfigurationError, GiveUpError, RetryLaterError
from core.registry import make_trend_store
from core.twin.counting import NO_COUNT
from core.twin.trend import (
    DAY_S,
    HOUR_S,
    MOST_POINTS,
    NO_TREND,
    YEAR_S,
    Line,
    Trend,
    TrendsInMemory,
    TrendStore,
    packed,
    unpacked,
)
from store.twin import FORGOTTEN, STEADY_S, TrendDatabase
from tests.core.sites import NOON

NOW_S = NOON.timestamp()
EVIL = "'); DROP TABLE trends; -- \n <script>"


def trend(value: float = 0.9) -> Trend:
    times = NOW_S + np.array([-7200.0, -3600.0, 0.0])
    line = Line.of(times, [value, value - 0.01, value - 0.02], [0.01, 0.02, 0.03])
    return Trend(line, Line.of(times[1:], [1.2, 1.3], [0.1, 0.1]))


def same(one: Trend, other: Trend) -> bool:
    return packed(one) == packed(other)


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TrendStore]:
    made = TrendsInMemory() if request.param == "memory" else make_trend_store(
        tmp_path / "twin" / "trends.sqlite")
    yield made
    made.close()
    made.close()


def test_what_was_kept_is_found(store: TrendStore) -> None:
    assert store.find(["a", "b"]) == {}
    store.keep({"a": trend(), EVIL: trend(0.8), "c": NO_TREND})
    found = store.find([EVIL, "a", "nobody", "c"])
    assert set(found) == {EVIL, "a", "c"}
    assert same(found["a"], trend())
    assert same(found[EVIL], trend(0.8))
    assert same(found["c"], NO_TREND)


def test_the_newer_stands_in_place_of_the_older(store: TrendStore) -> None:
    store.keep({"a": trend(), "b": trend()})
    store.keep({"a": trend(0.7)})
    assert same(store.find(["a"])["a"], trend(0.7))
    assert same(store.find(["b"])["b"], trend())
    store.keep({})
    assert len(store.find(["a", "b"])) == 2


def test_a_file_outlives_its_process(tmp_path: Path) -> None:
    first = TrendDatabase(tmp_path / "trends.sqlite")
    first.keep({"a": trend()})
    first.close()
    again = TrendDatabase(tmp_path / "trends.sqlite")
    assert same(again.find(["a"])["a"], trend())
    again.close()
    with pytest.raises(RetryLaterError, match="trends.sqlite"):
        again.keep({"a": trend()})


def test_what_is_damaged_hurts_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = TrendDatabase(tmp_path / "trends.sqlite")
    store.keep({"a": trend(), "b": trend()})
    with sqlite3.connect(tmp_path / "trends.sqlite") as beside:
        beside.execute("UPDATE trends SET told = substr(told, 1, 20) WHERE pack = 'a'")
    assert set(store.find(["a", "b"])) == {"b"}
    assert "trends.sqlite, a: " in caplog.text
    store.keep({"a": trend()})
    assert set(store.find(["a", "b"])) == {"a", "b"}
    store.close()


def test_packs_that_are_gone_for_years_are_forgotten(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    store = TrendDatabase(tmp_path / "trends.sqlite", clock)
    store.keep({"gone": trend()})
    clock.advance((FORGOTTEN - timedelta(days=1)).total_seconds())
    store.keep({"here": trend()})
    store.close()
    clock.advance(2 * DAY_S)
    again = TrendDatabase(tmp_path / "trends.sqlite", clock)
    clock.advance(STEADY_S / 2)
    again.keep({"other": trend()})
    assert set(again.find(["gone", "here"])) == {"gone", "here"}
    clock.advance(STEADY_S / 2)
    again.keep({"other": trend()})
    assert set(again.find(["gone", "here"])) == {"here"}
    again.close()


def test_a_clock_that_is_years_ahead_for_a_while_forgets_nobody(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    store = TrendDatabase(tmp_path / "trends.sqlite", clock)
    store.keep({"a": trend(), "b": trend()})
    store.close()
    clock.set_by(20 * YEAR_S)
    store = TrendDatabase(tmp_path / "trends.sqlite", clock)
    store.keep({"b": trend()})
    clock.advance(STEADY_S / 2)
    clock.set_by(-20 * YEAR_S)
    clock.advance(STEADY_S / 2)
    store.keep({"b": trend()})
    assert set(store.find(["a", "b"])) == {"a", "b"}
    store.close()


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="trends.sqlite"):
        TrendDatabase(tmp_path / "file" / "trends.sqlite")


@pytest.mark.parametrize("payload", [
    b"", b"\xc0", packed(trend())[:-1], packed(trend()) + b"x", b"\x94\x02\x90\x90\x90",
    packed(trend()).replace(b"\x97\x02", b"\x97\x03", 1),
    packed(Trend(Line(np.zeros(2), np.zeros(1), np.zeros(1)))),
    packed(Trend(Line(*[np.ones(MOST_POINTS + 1)] * 3)))])
def test_what_nobody_packed_is_refused(payload: bytes) -> None:
    with pytest.raises(GiveUpError, match="damaged"):
        unpacked(payload)


def test_what_a_version_before_packed_is_read() -> None:
    """It had three lines alone."""
    told = msgspec.msgpack.decode(packed(trend()))
    first = unpacked(msgspec.msgpack.encode([1, *told[1:4]]))
    assert np.array_equal(first.capacity.value, trend().capacity.value)
    assert (first.drift, first.count, first.promises.rows.size) == (None, NO_COUNT, 0)


def test_a_pack_takes_some_kilobytes_after_twenty_years() -> None:
    """Hours of a week, days of a quarter, then weeks."""
    line = Line.of([], [], [])
    begun_s = NOW_S - 20 * YEAR_S
    for day in range(0, int(20 * 365.25), 5):
        times = begun_s + (day + np.arange(0.0, 5.0, 1 / 24)) * DAY_S
        line = line.added(Line.of(times, np.full(times.size, 0.9), np.full(times.size, 0.01)),
                          times[-1])
    assert line.time_s.size == MOST_POINTS
    assert (np.diff(line.time_s) > 0).all()
    age_s = line.time_s[-1] - line.time_s
    assert (age_s < 6 * DAY_S).sum() == 6 * 24
    assert 80 <= ((age_s > 8 * DAY_S) & (age_s < 90 * DAY_S)).sum() <= 84
    assert age_s[0] > 10 * YEAR_S
    assert len(packed(Trend(line, line, line))) < 60_000


def test_one_estimate_an_hour_and_the_newest_counts() -> None:
    line = Line.of([0.5 * HOUR_S], [0.9], [0.01]).added(
        Line.of([0.6 * HOUR_S, 1.2 * HOUR_S], [0.8, 0.7], [0.02, 0.01]), 2 * HOUR_S)
    assert line.value.tolist() == [0.8, 0.7]
    assert line.daily().value.tolist() == [0.7], "the surest of the day"
    assert Line.of([1.0, -1.0, 2.0, 3.0, 1e300], [1.0, 1.0, np.nan, 1.0, 1.0],
                   [0.1, 0.1, 0.1, 0.0, 0.1]).time_s.tolist() == [1.0]
