"""What the tests of channel histories share: rows and pasts whose values tell where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from core.ports import ChannelHistory, Past, Series
from tests.store.support import NOON, at, seconds_of

IDS = ("house_meter.grid_power_kw", "house_pump.flow_c", "house_sun.solar_power_kw")
MIB = 1024**2
MINUTE, HOUR, DAY = 60, 3600, 86_400
AGES = -400 * DAY


def values_at(seconds: np.ndarray, channels: int = len(IDS)) -> np.ndarray:
    """float32[k, c]: each tells its second and its channel."""
    values = np.sin(np.asarray(seconds, float)[:, np.newaxis] / 977) + 10 * np.arange(channels)
    return values.astype(np.float32)


def live(history: ChannelHistory, seconds: range | list[float]) -> None:
    for second in seconds:
        history.append(at(second), values_at(np.array([second]))[0])


def piece(start: float, end: float, step: float, hours_only: bool = False) -> Past:
    seconds = np.arange(start, end, step)
    return Past(NOON.timestamp() + seconds, values_at(seconds), hours_only)


def days(start: float, end: float, step: float, hours_only: bool = False) -> Iterator[Past]:
    return (piece(day, min(day + DAY, end), step, hours_only)
            for day in np.arange(start, end, DAY))


def tell(history: ChannelHistory, *pieces: Past) -> list[float]:
    """Returns what `done` was told, as seconds after NOON."""
    reached: list[float] = []
    history.backfill(iter(pieces), lambda when: reached.append((when - NOON).total_seconds()))
    return reached


def ask(history: ChannelHistory, start: float, end: float, max_points: int = 10**6,
        **options: object) -> Series:
    """Of the first channel."""
    (found,) = history.series(IDS[:1], at(start), at(end), max_points, **options)
    return found


def means(keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of each key, in their order."""
    _, first, count = np.unique(keys, return_index=True, return_counts=True)
    return np.add.reduceat(values.astype(np.float64), first) / count


def assert_buckets(found: Series, seconds: np.ndarray, values: np.ndarray,
                   width: int | np.ndarray, alone: Iterable[float] = ()) -> None:
    """`found` are the buckets of `width` [s] of all samples, in the order of time. alone: hours
    of which no minutes are kept: all of their samples weigh alike, in the others the minutes."""
    seconds, alone = np.asarray(seconds), np.fromiter(alone, float)
    keys, first = np.unique(seconds // width * width, return_index=True)
    assert seconds_of(found) == keys.tolist()
    np.testing.assert_array_equal(found.minimum, np.minimum.reduceat(values, first))
    np.testing.assert_array_equal(found.maximum, np.maximum.reduceat(values, first))
    is_alone = np.isin(seconds // HOUR * HOUR, alone)
    units, place = np.unique(np.where(is_alone, seconds, seconds // MINUTE * MINUTE),
                             return_index=True)
    whole = np.broadcast_to(width, seconds.shape)[place]
    buckets = units // whole * whole
    np.testing.assert_allclose(found.mean, means(buckets, means(
        np.where(is_alone, seconds, seconds // MINUTE * MINUTE), values)), rtol=1e-5, atol=1e-5)
    if found.resolution_s > MINUTE:
        minutes = np.unique(buckets, return_counts=True)[1] * 60.0
        np.testing.assert_array_equal(found.known_s, np.where(np.isin(keys, alone), HOUR, minutes))
    else:
        assert found.known_s is None


@dataclass(frozen=True)
class Stretch:
    """Samples after a pause [s]."""

    pause: int
    samples: int
    step: float
    hours_only: bool


stretches = st.lists(st.builds(
    Stretch, pause=st.sampled_from([0, 60, 2400, 5 * HOUR, 3 * DAY]),
    samples=st.sampled_from([1, 2, 15, 400]), step=st.sampled_from([7, 60, 300, 900.5]),
    hours_only=st.booleans()), min_size=1, max_size=6)


def played(told: list[Stretch]) -> tuple[list[Past], np.ndarray, float]:
    """Pieces, the seconds of all samples, and when the past ends."""
    pieces, second = [], -100.0 * DAY
    for stretch in told:
        pieces.append(piece(second + stretch.pause, second + stretch.pause
                            + (stretch.samples - 0.5) * stretch.step, stretch.step,
                            stretch.hours_only))
        second += stretch.pause + stretch.samples * stretch.step
    seconds = np.concatenate([one.time_s for one in pieces]) - NOON.timestamp()
    return pieces, seconds, second


def hours_alone(pieces: list[Past], seconds: np.ndarray, end: float) -> set[float]:
    """An hour is kept as its first sample says, the one that the past ends in as minutes."""
    flags = np.concatenate([np.full(len(one.time_s), one.hours_only) for one in pieces])
    starts, first = np.unique(seconds // HOUR * HOUR, return_index=True)
    return {start for start, index in zip(starts, first, strict=True)
            if flags[index] and start + HOUR <= end}
