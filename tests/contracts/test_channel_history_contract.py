"""What `core.ports.ChannelHistory` promises, held against every history of channels.

A new one joins by one line in FACTORIES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench._postgres import PostgresServer
from core.energy import SECONDS_PER_HOUR, closed, running
from core.errors import GiveUpError, RetryLaterError, UnknownIdError
from core.ports import ChannelHistory, Past, Series
from store import past as past_module
from store.channels import EmbeddedChannelHistory
from store.postgres import open_channel_history
from store.several import SeveralChannels
from store.spool import SpooledChannels
from tests.sources.mosquitto import until
from tests.store.channel_support import (
    AGES,
    DAY,
    HOUR,
    IDS,
    MIB,
    MINUTE,
    Stretch,
    ask,
    assert_buckets,
    days,
    hours_alone,
    live,
    piece,
    played,
    stretches,
    tell,
    values_at,
)
from tests.store.support import NOON, at, seconds_of
from tests.store.test_seams import BRIEF

VARIABLE = "HISTORY_URL"
SPAN_DAYS = 40 * DAY
NEXT_DAY = (13 * HOUR, 13 * HOUR + 90)
"""By which the day that NOON is in is over."""


def embedded(directory: Path, ids: tuple[str, ...]) -> EmbeddedChannelHistory:
    return EmbeddedChannelHistory(directory, ids, budget_bytes=64 * MIB, seal_after_s=60.0)


def postgres(directory: Path, ids: tuple[str, ...]) -> SpooledChannels:
    return SpooledChannels(directory / "spool",
                           lambda: open_channel_history(VARIABLE, ids, 1 << 30), ids,
                           budget_bytes=64 * MIB)


def several(directory: Path, ids: tuple[str, ...]) -> SeveralChannels:
    return SeveralChannels({"postgres": postgres(directory, ids),
                            "embedded": embedded(directory, ids)})


FACTORIES: dict[str, Callable[[Path, tuple[str, ...]], Any]] = {
    "embedded": embedded, "postgres": postgres, "several": several}


class House:
    """Where the history of one test is. server: None where it needs none."""

    def __init__(self, kind: str, folder: Path, server: PostgresServer | None,
                 monkeypatch: pytest.MonkeyPatch) -> None:
        self._kind, self._folder = kind, folder
        self._server, self._environment = server, monkeypatch
        self._opened: list[Any] = []
        self._number = 0
        self.afresh()

    def afresh(self) -> None:
        """Nothing is known here."""
        self.close()
        self._number += 1
        if self._server is not None:
            self._environment.setenv(VARIABLE, self._server.new_schema())

    def open(self, ids: tuple[str, ...] = IDS) -> Any:
        """The history, again and with other channels if asked."""
        self.close()
        self._opened.append(FACTORIES[self._kind](self._folder / str(self._number), ids))
        return self._opened[-1]

    def close(self) -> None:
        for one in self._opened:
            one.close()


@pytest.fixture(params=FACTORIES)
def house(request: pytest.FixtureRequest, tmp_path: Path,
          monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    server = None if request.param == "embedded" else request.getfixturevalue("postgres")
    found = House(request.param, tmp_path, server, monkeypatch)
    yield found
    found.close()


@pytest.fixture
def history(house: House) -> Any:
    return house.open()


def lived(history: Any, seconds: range | list[float]) -> None:
    """`live`, and all of it can be read: a history that waits for a server is read while it
    catches up, and hands over in order."""
    live(history, seconds)
    last = seconds[-1]
    until(lambda: ask(history, last, last).time_s.size == 1, "the last row is there", 30.0)


def hours_of(history: ChannelHistory, until: float = SPAN_DAYS) -> Series:
    return ask(history, -SPAN_DAYS, until, tier="hour")


def energy(series: Series) -> tuple[float, float]:
    """[kWh] of a power, and the time that it covers [s]."""
    times, kw = closed(series.time_s, series.mean, series.resolution_s, series.known_s)
    held = running(times, kw, 10.0 * SPAN_DAYS)
    kwh, known_s = held.between(times[0], times[-1])
    return float(kwh) / SECONDS_PER_HOUR, float(known_s)


# -- live rows


def test_rows_come_back_at_every_tier_after_opening_again(house: House) -> None:
    seconds = np.arange(0, 2 * HOUR + 300, 10)
    for part in np.array_split(seconds, 3):
        history = house.open()
        live(history, part.tolist())
        history.settle()
        history.close()
    history = house.open()
    values = values_at(seconds)
    last = float(seconds[-1])
    for number, channel in enumerate(IDS):
        (raw,) = history.series([channel], at(0), at(HOUR - 1))
        assert (raw.node_id, raw.metric, raw.resolution_s) == (channel, "value", 10.0)
        np.testing.assert_array_equal(raw.mean, values[:360, number])
        (minutes,) = history.series([channel], at(0), at(last))
        assert_buckets(minutes, seconds, values[:, number], MINUTE)
        (hours,) = history.series([channel], at(AGES), at(last))
        assert_buckets(hours, seconds, values[:, number], HOUR)
        assert (minutes.resolution_s, hours.resolution_s) == (60.0, 3600.0)
    assert history.health().newest == at(last)


def test_the_tier_that_is_asked_for_is_answered(history: Any) -> None:
    lived(history, range(0, 5 * HOUR, 30))
    history.settle()
    for start, end in ((0, 600), (AGES, 5 * HOUR)):
        assert ask(history, start, end, tier="minute").resolution_s == 60.0
        assert ask(history, start, end, tier="hour").resolution_s == 3600.0
    assert len(ask(history, AGES, 5 * HOUR, tier="minute").time_s) == 300


def test_few_channels_have_minutes_for_a_week(house: House) -> None:
    ids = tuple(f"device.quantity_{number}" for number in range(9))
    history = house.open(ids)
    seconds = np.arange(-8 * DAY, 0, 600.0)
    tell(history, Past(NOON.timestamp() + seconds, values_at(seconds, 9), False))
    for asked, resolution in ((8, 60.0), (9, 3600.0)):
        found = history.series(ids[:asked], at(-7 * DAY), at(0), 10**6)
        assert {one.resolution_s for one in found} == {resolution}


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_missing_is_no_point(history: Any, sealed: bool) -> None:
    for second in range(180):
        row = np.array([second, np.nan if 60 <= second < 120 else 0.0, np.nan])
        history.append(at(second), row)
    if sealed:
        history.settle()
    until(lambda: ask(history, 179, 179).time_s.size == 1, "the last row is there", 30.0)
    first, second, third = history.series(IDS, NOON, at(200))
    assert seconds_of(first) == list(range(180))
    assert seconds_of(second) == [*range(60), *range(120, 180)]
    assert second.mean.tolist() == [0.0] * 120, "zero is a value"
    assert len(third.time_s) == 0
    assert seconds_of(history.series(IDS, at(AGES), at(200), tier="minute")[1]) == [0, 120]


def test_a_spike_of_one_sample_survives_72_hours(history: Any) -> None:
    lived(history, [*range(30, 90)])
    history.append(at(90), np.full(3, 99_999.0))
    lived(history, [*range(91, 700)])
    history.settle()
    seconds = np.arange(-72 * HOUR, 0, 60.0)
    values = values_at(seconds)
    values[1234] = -99_999.0
    tell(history, Past(NOON.timestamp() + seconds, values, False))
    found = ask(history, -72 * HOUR + 700, 699, max_points=1000)
    assert len(found.time_s) <= 1000
    assert (found.minimum.min(), found.maximum.max()) == (-99_999.0, 99_999.0)


# -- a told past


def test_hours_minutes_and_live_rows_join(history: Any) -> None:
    lived(history, range(30, 90))
    midnight = -12 * HOUR
    far, near = np.arange(midnight - 40 * DAY, midnight, 300.0), np.arange(midnight, 0, 60.0)
    reached = tell(history, *days(midnight - 40 * DAY, midnight, 300.0, True),
                   *days(midnight, 60, 60.0))
    assert reached == sorted(reached)
    assert reached[-1] == 0, "the minute of the first row is a live one"
    lived(history, range(90, 200))
    history.settle()
    seconds = np.concatenate([far, near, np.arange(30, 200)])
    hours = ask(history, midnight - 40 * DAY, 200)
    assert_buckets(hours, seconds, values_at(seconds)[:, 0], HOUR, far // HOUR * HOUR)
    across = ask(history, midnight - 2 * HOUR, midnight + 600, tier="minute")
    assert seconds_of(across) == [midnight - 2 * HOUR, midnight - HOUR,
                                  *range(midnight, midnight + 601, 60)]
    assert across.resolution_s == 3600.0, "no false gap"
    minutes = ask(history, midnight, 200)
    assert_buckets(minutes, seconds[len(far):], values_at(seconds)[len(far):, 0], MINUTE)
    assert minutes.resolution_s == 60.0
    assert history.health().oldest == at(midnight - 40 * DAY)


def test_a_moment_of_the_far_past_has_the_hour_around_it(history: Any) -> None:
    tell(history, *days(-60 * DAY, 0, 300.0, True))
    for start, end, expected in ((-50 * DAY + 600, -50 * DAY + 1200, [600]),
                                 (-50 * DAY + 600, -50 * DAY + 2 * HOUR, [600, 3600, 7200])):
        found = ask(history, start, end)
        assert (seconds_of(found), found.resolution_s) == (
            [-50 * DAY + second for second in expected], 3600.0)
    assert len(ask(history, -60 * DAY, 0).time_s) == 60 * 24, "hours are not put together"
    assert len(ask(history, -60 * DAY, 0, max_points=100).time_s) <= 100


def test_the_hour_that_live_rows_share_with_hours_alone(history: Any) -> None:
    lived(history, range(1830, 1900, 10))
    tell(history, piece(-DAY, 1830, 300.0, True))
    lived(history, range(1900, 3 * HOUR, 10))
    history.settle()
    seconds = np.concatenate([np.arange(-DAY, 1800, 300.0), np.arange(1830, 3 * HOUR, 10)])
    assert_buckets(ask(history, -20 * DAY, 3 * HOUR), seconds, values_at(seconds)[:, 0], HOUR,
                   range(-DAY, 0, HOUR))
    assert seconds_of(ask(history, -HOUR, 1900, tier="minute")) == [
        -HOUR, *range(0, 1800, 300), 1800, 1860]


@settings(BRIEF, max_examples=12)
@given(told=stretches, last_alone=st.booleans(), piece_bytes=st.sampled_from([32 * MIB, 7_000]))
def test_a_told_past_is_what_was_told(house: House, told: list[Stretch], last_alone: bool,
                                      piece_bytes: int) -> None:
    pieces, seconds, end = played([*told, Stretch(0, 20, MINUTE, last_alone)])
    values = values_at(seconds)[:, 0]
    house.afresh()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(past_module, "PIECE_BYTES", piece_bytes)
        history = house.open()
        live(history, [end])
        history.settle()
        reached = tell(history, *pieces)
        assert reached == sorted(reached)
        start = seconds[0] // HOUR * HOUR
        alone = hours_alone(pieces, seconds, end // MINUTE * MINUTE)
        assert_buckets(ask(history, start, end - 0.001, tier="hour"), seconds, values, HOUR, alone)
        width = np.where(np.isin(seconds // HOUR * HOUR, list(alone)), HOUR, MINUTE)
        minutes = ask(history, start, end - 0.001, tier="minute")
        assert_buckets(minutes, seconds, values, width, alone)
        assert minutes.resolution_s == (3600.0 if alone else 60.0)
        later = end + np.array([MINUTE, 10 * MINUTE, 2 * DAY, 34 * DAY])
        live(history, later.tolist())
        history.settle()
        everything = np.concatenate([seconds, [end], later])
        assert_buckets(ask(history, start, later[-1], tier="hour"), everything,
                       values_at(everything)[:, 0], HOUR, alone)


def test_a_past_that_is_broken_off_leaves_whole_hours(history: Any) -> None:
    def failing() -> Iterator[Past]:
        yield piece(-10 * DAY, -5 * DAY, 300.0, True)
        yield piece(-5 * DAY, -DAY - 1800, 60.0)
        raise GiveUpError("the simulator broke")

    live(history, [30])
    with pytest.raises(GiveUpError, match="broke"):
        history.backfill(failing(), lambda _: None)
    found = ask(history, -10 * DAY, 0, tier="minute")
    assert seconds_of(found) == [*range(-10 * DAY, -5 * DAY, HOUR),
                                 *range(-5 * DAY, -DAY - HOUR, MINUTE)]


def test_another_past_ends_before_the_first(history: Any) -> None:
    tell(history, piece(-DAY, 0, 60.0))
    tell(history, piece(-2 * DAY, 0, 60.0))
    assert seconds_of(ask(history, -3 * DAY, 0, tier="minute")) == list(range(-2 * DAY, 0, 60))


@pytest.mark.parametrize("pieces", [
    [piece(10, 20, 1), piece(15, 30, 1)], [Past(np.array([5.0, 5.0]), np.zeros((2, 3)), False)],
    [Past(np.array([5.0]), np.zeros((1, 2)), False)]], ids=["overlap", "twice", "channels"])
def test_a_past_that_makes_no_sense_is_a_defect(history: Any, pieces: list[Past]) -> None:
    with pytest.raises(GiveUpError, match="a defect of its source"):
        history.backfill(iter(pieces), lambda _: None)


# -- what is refused


def test_ids_from_outside_are_checked(history: Any) -> None:
    live(history, [0])
    for unknown in ("nobody", "x' OR 1=1 --", "value"):
        with pytest.raises(UnknownIdError, match="no channel"):
            history.series([IDS[0], unknown], NOON, at(1))
    assert history.series([], NOON, at(1)) == []


def test_history_outlives_changed_channels(house: House) -> None:
    first = house.open()
    lived(first, range(100))
    first.close()
    again = house.open((IDS[2], "new.soc_pct", IDS[0]))
    tell(again, Past(NOON.timestamp() + np.arange(-600.0, 0, 60), np.tile([3.0, 2.0, 1.0],
                                                                          (10, 1)), False))
    again.append(at(100), np.array([30.0, 20.0, 10.0]))
    again.settle()
    found = again.series([*IDS, "new.soc_pct"], at(-600), at(100))
    assert [one.mean[-1] for one in found] == [10.0, values_at(np.array([99]))[0, 1], 30.0, 20.0]
    assert [float(one.mean[0]) for one in found] == [1.0, pytest.approx(10.0), 3.0, 2.0]


def test_times_must_rise_and_rows_must_fit(house: House, history: Any) -> None:
    live(history, [5.0])
    with pytest.raises(RetryLaterError, match="the clock stepped back"):
        live(history, [4.0])
    with pytest.raises(ValueError, match="2 channels|3 channels"):
        history.append(at(6), np.zeros(2))
    history.close()
    for ask_it in (lambda: live(history, [7.0]), lambda: ask(history, 0, 1)):
        with pytest.raises(RetryLaterError, match="closed"):
            ask_it()
    with pytest.raises(ValueError, match="occurs once"):
        house.open(("a.b", "a.b"))


def test_it_is_what_the_port_describes(history: Any) -> None:
    port: Callable[[], ChannelHistory] = lambda: history  # noqa: E731
    named = [name for name in dir(ChannelHistory) if not name.startswith("_")]
    assert all(callable(getattr(port(), name)) for name in named)


# -- how much of an hour is known


def test_half_a_minute_after_a_first_start_a_minute_is_known(house: House) -> None:
    history = house.open()
    for second in range(40 * MINUTE, 40 * MINUTE + 30):
        history.append(at(second), np.full(len(IDS), 4.9))
    found = hours_of(history)
    assert (seconds_of(found), found.known_s.tolist()) == ([0], [60.0])
    assert energy(found) == pytest.approx((4.9 / 60, 60.0))


def test_what_one_channel_misses_the_others_know(house: House) -> None:
    history = house.open()
    for second in range(0, 2 * HOUR, 10):
        history.append(at(second), np.array([1.0, 2.0 if second < 600 else np.nan, np.nan]))
    live(history, list(NEXT_DAY))
    history.settle()
    known = [one.known_s.tolist() for one in
             history.series(IDS, at(-SPAN_DAYS), at(2 * HOUR), tier="hour")]
    assert known == [[3600, 3600], [600], []]


def test_hours_alone_are_known_as_a_whole(house: House) -> None:
    history = house.open()
    live(history, [30])
    far = piece(-4 * DAY, -2 * DAY, 300.0, True)
    far.values[:, 1] = np.nan
    tell(history, far, piece(-2 * DAY, -2 * DAY + HOUR, 300.0), piece(-DAY, 0, 60.0))
    found = hours_of(history, 60)
    assert found.known_s.tolist() == [3600] * 48 + [12 * 60] + [3600] * 24 + [60]
    (other,) = history.series(IDS[1:2], at(-4 * DAY), at(60), tier="hour")
    assert seconds_of(other)[0] == -2 * DAY, "what was not told is no hour"
    mixed = ask(history, -4 * DAY, 60, tier="minute")
    assert mixed.known_s.tolist() == [3600] * 48 + [60] * (12 + 24 * 60 + 1)


def test_wider_buckets_add_up_what_they_know(house: House) -> None:
    history = house.open()
    lived(history, [*range(0, 25 * MINUTE, 10), *range(3 * HOUR, 4 * HOUR, 10)])

    def there() -> bool:
        minutes, hours = (ask(history, 0, 4 * HOUR, tier=tier) for tier in ("minute", "hour"))
        return minutes.time_s.size == 85 and hours.time_s.size == 2 \
            and hours.known_s.sum() == 85 * 60

    until(there, "minutes and hours are there", 30.0)
    for tier, most in (("minute", 10), ("hour", 2)):
        fine = ask(history, 0, 4 * HOUR, tier=tier)
        few = ask(history, 0, 4 * HOUR, max_points=most, tier=tier)
        assert len(few.time_s) <= most < 86
        assert few.known_s.sum() == 85 * 60
        assert (few.known_s <= few.resolution_s).all()
        assert energy(few)[0] == pytest.approx(energy(fine)[0], rel=1e-6)
    assert ask(history, 0, HOUR - 1).known_s is None, "readings stand for themselves"
