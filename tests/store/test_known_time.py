"""How much of an hour is known: a first start, pauses, a told past, files of an older version."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.energy import SECONDS_PER_HOUR, closed, running
from core.ports import Past, Series
from store.channels import EmbeddedChannelHistory
from tests.store.channel_support import DAY, HOUR, IDS, MINUTE, ask, live, tell, values_at
from tests.store.support import NOON, seconds_of
from tests.store.test_channels import history_of
from tests.store.test_seams import BRIEF

SPAN_DAYS = 40 * DAY
NEXT_DAY = (13 * HOUR, 13 * HOUR + 90)
"""Two minutes by which the day that NOON is in is over, so that its hours are rolled up."""


def hours_of(history: EmbeddedChannelHistory, until: float = SPAN_DAYS) -> Series:
    return ask(history, -SPAN_DAYS, until, tier="hour")


def energy(series: Series) -> tuple[float, float]:
    """[kWh] of a power, and the time that it covers [s]."""
    times, kw = closed(series.time_s, series.mean, series.resolution_s, series.known_s)
    held = running(times, kw, 10.0 * SPAN_DAYS)
    kwh, known_s = held.between(times[0], times[-1])
    return float(kwh) / SECONDS_PER_HOUR, float(known_s)


def without_minutes(directory: Path) -> int:
    """The hours' files as the version before wrote them; returns how many they are."""
    paths = sorted((directory / "hour").glob("*.parquet"))
    for path in paths:
        table = pq.read_table(path)
        younger = [name for name in table.column_names if name.endswith("_minutes")]
        assert younger == ["value_minutes"]
        pq.write_table(table.drop_columns(younger), path)
    return len(paths)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_pause_of_20_minutes_is_not_counted(tmp_path: Path, sealed: bool) -> None:
    history = history_of(tmp_path)
    live(history, [*range(0, 20 * MINUTE, 5), *range(40 * MINUTE, 3 * HOUR, 5), *NEXT_DAY])
    if sealed:
        history.settle()
    assert len(list((tmp_path / "hour").iterdir())) == (1 if sealed else 0)
    found = hours_of(history)
    assert seconds_of(found) == [0, HOUR, 2 * HOUR, 13 * HOUR]
    assert found.known_s.tolist() == [40 * 60, 3600, 3600, 120]
    assert energy(found)[1] == 3 * HOUR - 20 * MINUTE + 120
    history.close()


def test_hours_of_an_older_version_count_as_whole(tmp_path: Path) -> None:
    history = history_of(tmp_path)
    live(history, [*range(0, 2 * HOUR, 600), *NEXT_DAY])
    history.settle()
    history.close()
    assert without_minutes(tmp_path) == 1
    history = history_of(tmp_path)
    assert hours_of(history).known_s.tolist() == [3600, 3600, 120], "minutes tell of the rest"
    live(history, [15 * HOUR, 37 * HOUR, 37 * HOUR + 90])
    history.settle()
    assert len(list((tmp_path / "hour").iterdir())) == 2
    assert hours_of(history).known_s.tolist() == [3600, 3600, 120, 60, 120]
    assert history.health().set_aside == ()
    assert history.health().error == ""
    history.close()


def test_older_files_are_merged_with_younger_ones(tmp_path: Path) -> None:
    first = 32 * DAY - int(NOON.timestamp()) % (32 * DAY)
    history = history_of(tmp_path)
    days = first + DAY * np.arange(34)
    for some in (days[:4], days[4:9]):
        live(history, some.tolist())
        history.settle()
    history.close()
    old = without_minutes(tmp_path)
    history = history_of(tmp_path)
    live(history, days[9:].tolist())
    history.settle()
    assert (old, len(list((tmp_path / "hour").iterdir()))) == (7, 1), "merged to a month"
    found = ask(history, first, days[-1] + HOUR, tier="hour")
    assert found.known_s.tolist() == [3600] * 7 + [60] * 27
    np.testing.assert_array_equal(found.mean, values_at(days)[:, 0])
    assert (history.health().set_aside, history.health().error) == ((), "")
    history.close()


stretches = st.lists(st.tuples(
    st.sampled_from([0, 1, 61, 600, 4000]), st.integers(1, 90), st.sampled_from([1, 7, 30]),
    st.sampled_from(["nothing", "settle", "open again"])), min_size=1, max_size=6)


@settings(BRIEF, max_examples=12)
@given(told=stretches, first=st.integers(0, 7200), seed=st.integers(0, 99),
       past_s=st.sampled_from([0, 0, 7500]))
def test_the_energy_of_hours_is_that_of_their_minutes(told: list[tuple[int, int, int, str]],
                                                      first: int, seed: int, past_s: int) -> None:
    draw = np.random.default_rng(seed)
    second = float(first)
    with tempfile.TemporaryDirectory() as folder:
        history = history_of(Path(folder))
        if past_s:
            begin = first // MINUTE * MINUTE
            seconds = np.arange(begin - past_s, begin, 60.0)
            tell(history, Past(NOON.timestamp() + seconds, draw.normal(
                3.0, 2.0, (seconds.size, len(IDS))).astype(np.float32), False))
        for pause, samples, step, then in told:
            second += pause
            for _ in range(samples):
                history.append(NOON + timedelta(seconds=second), draw.normal(3.0, 2.0, len(IDS)))
                second += step
            if then != "nothing":
                history.settle()
            if then == "open again":
                history.close()
                history = history_of(Path(folder))
        minutes = ask(history, -SPAN_DAYS, second, tier="minute")
        minutes = replace(minutes, known_s=np.full(minutes.time_s.size, 60.0))
        kwh, known_s = energy(minutes)
        assert known_s == 60 * minutes.time_s.size
        for most in (10**6, 3):
            hours = ask(history, -SPAN_DAYS, second, most, tier="hour")
            assert energy(hours) == pytest.approx((kwh, known_s), rel=1e-6, abs=1e-6)
        history.close()
