"""What the twin itself found of a pack over the years: capacity, resistance and health, each with
its error, thinned with age, and what goes on from look to look (`drift`, `counting`, `promises`).
A pack never takes more than 120 kB.

A capacity is a measurement of its own time: until a better one comes the best one counts, and its
error grows with its age, because the pack ages meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import ArrayLike

from core.clock import from_epoch
from core.errors import GiveUpError
from core.twin.counting import MOST_RESTS, NO_COUNT, WIDTH, Count
from core.twin.drift import Drift
from core.twin.interval import UNKNOWN, Interval
from core.twin.models import Floats
from core.twin.promises import COLUMNS, MOST, NO_PROMISES, Promises

VERSION = 2
HOUR_S, DAY_S = 3600.0, 86_400.0
WEEK_S, YEAR_S = 7 * DAY_S, 365.25 * DAY_S
LATEST_S = 1e11
"""No clock tells more since 1970."""
DAILY_AFTER_S, WEEKLY_AFTER_S = 7 * DAY_S, 90 * DAY_S
"""One estimate an hour is kept for a week, then the best of each day, then that of each week."""
MOST_POINTS = 800
"""Of one quantity: a week of hours, 90 days and ten years of weeks; the oldest go."""
AGEING_A_YEAR = 0.05
"""By how much a capacity may have changed in a year, one standard deviation, as a share: the root
mean square of what laboratory cells lose in their first (`core.twin.life.LAB_LOSS_PCT`)."""
ALIKE = 1.1
"""Of estimates whose errors differ by less the newest counts."""
TOLD_CAPACITY = 0.1
"""A capacity with a greater standard deviation, as a share, is none to count charge by."""
LEAST_GROWTH_D = 30.0
TOLD_GROWTH = 0.25
"""A shorter time tells no growth a year, and no interval does that is wider to one side."""


@dataclass(frozen=True, slots=True)
class Line:
    """Estimates of one quantity, float64[n]: moments since 1970 [s], rising, values, and their
    standard deviations."""

    time_s: Floats
    value: Floats
    sigma: Floats

    @classmethod
    def of(cls, time_s: ArrayLike, value: ArrayLike, sigma: ArrayLike) -> Line:
        """Rows with a missing number, one that is not above 0, or a moment that no clock tells are
        left out. Raises ValueError for columns of different lengths."""
        columns = [np.asarray(one, np.float64) for one in (time_s, value, sigma)]
        good = (np.isfinite(columns) & (np.array(columns) > 0)).all(axis=0)
        good &= columns[0] < LATEST_S
        order = np.argsort(columns[0][good], kind="stable")
        return cls(*(one[good][order] for one in columns))

    @property
    def days(self) -> Floats:
        """Since the first [d]."""
        return (self.time_s - self.time_s[:1]) / DAY_S

    def added(self, other: Line, now_s: float) -> Line:
        """With newer estimates, one an hour, thinned by age."""
        fresh = ~np.isin(self.time_s // HOUR_S, other.time_s // HOUR_S)
        joined = Line.of(*(np.concatenate([mine[fresh], theirs]) for mine, theirs in (
            (self.time_s, other.time_s), (self.value, other.value), (self.sigma, other.sigma))))
        return joined._thinned(now_s)

    def daily(self) -> Line:
        """The best of each day: those of one day share what they go by."""
        return self._best(np.full(self.time_s.size, DAY_S))

    def _thinned(self, now_s: float) -> Line:
        age_s = now_s - self.time_s
        slot_s = np.select([age_s < DAILY_AFTER_S, age_s < WEEKLY_AFTER_S], [HOUR_S, DAY_S],
                           WEEK_S)
        best = self._best(slot_s)
        return Line(*(one[-MOST_POINTS:] for one in (best.time_s, best.value, best.sigma)))

    def _best(self, slot_s: Floats) -> Line:
        """That of the least error in each slot of time."""
        number = self.time_s // slot_s
        order = np.lexsort((self.sigma / self.value, number, slot_s))
        ranked = np.stack([slot_s[order], number[order]])
        first = np.ones(order.size, np.bool_)
        first[1:] = (ranked[:, 1:] != ranked[:, :-1]).any(axis=0)
        rows = np.sort(order[first])
        return Line(self.time_s[rows], self.value[rows], self.sigma[rows])


NO_LINE = Line(np.empty(0), np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True)
class Trend:
    """capacity: share of the rated one; resistance: multiple of a new cell's; soh: 1 = new. drift:
    None while nothing usual is known; count: of charge since rests; promises: forecasts made."""

    capacity: Line = NO_LINE
    resistance: Line = NO_LINE
    soh: Line = NO_LINE
    drift: Drift | None = None
    count: Count = NO_COUNT
    promises: Promises = NO_PROMISES


NO_TREND = Trend()


@dataclass(frozen=True, slots=True)
class Remembered:
    """A capacity as it counts now (share of the rated one), and when it was found."""

    capacity: Interval = UNKNOWN
    at: datetime | None = None

    @property
    def counts(self) -> bool:
        """Sure enough to count charge by."""
        told = self.capacity
        return told.known and told.value > 0 and told.sigma <= TOLD_CAPACITY * told.value


def remembered(capacity: Line, now_s: float) -> Remembered:
    """The newest of the estimates that are surest now. They are not averaged: curves err alike in
    all of them."""
    if not capacity.time_s.size:
        return Remembered()
    age_s = np.maximum(now_s - capacity.time_s, 0.0)
    share = np.hypot(capacity.sigma / capacity.value, AGEING_A_YEAR * age_s / YEAR_S)
    row = int(np.flatnonzero(share <= ALIKE * share.min())[-1])
    value = float(capacity.value[row])
    return Remembered(Interval.of(value, float(share[row]) * value),
                      from_epoch(float(capacity.time_s[row])))


def growth(line: Line) -> Interval:
    """A year, of a straight line through the best of each day, each weighed by its error; UNKNOWN
    before LEAST_GROWTH_D, or beyond TOLD_GROWTH. Where they scatter more than they say the interval
    grows."""
    told = line.daily()
    if told.time_s.size < 3 or told.days[-1] < LEAST_GROWTH_D:
        return UNKNOWN
    years = (told.time_s - told.time_s[0]) / YEAR_S
    weight = told.sigma**-2.0
    away = years - np.average(years, weights=weight)
    spread = float((weight * away**2).sum())
    slope = float((weight * away * told.value).sum()) / spread
    left = told.value - np.average(told.value, weights=weight) - slope * away
    ratio = float((weight * left**2).sum()) / (told.time_s.size - 2)
    found = Interval.of(slope, math.sqrt(max(1.0, ratio) / spread))
    return found if found.high - found.value <= TOLD_GROWTH else UNKNOWN


class TrendStore(Protocol):
    """One process writes. Each method raises RetryLaterError."""

    def find(self, packs: Sequence[str]) -> Mapping[str, Trend]:
        """Of those of which something is kept and can be read."""
        ...

    def keep(self, trends: Mapping[str, Trend]) -> None:
        """In place of what was kept of these packs."""
        ...

    def close(self) -> None:
        """Safe to call twice."""
        ...


class TrendsInMemory:
    """Of a site without history: until the end of the process."""

    def __init__(self) -> None:
        self._trends: dict[str, Trend] = {}

    def find(self, packs: Sequence[str]) -> Mapping[str, Trend]:
        return {pack: self._trends[pack] for pack in packs if pack in self._trends}

    def keep(self, trends: Mapping[str, Trend]) -> None:
        self._trends.update(trends)

    def close(self) -> None:
        """Nothing is open."""


Column = Annotated[bytes, Meta(max_length=8 * MOST_POINTS)]


class _Packed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A `Trend`; each line as three columns of little-endian float64. Version 1 ended with them."""

    v: Literal[1, 2]
    capacity: tuple[Column, Column, Column]
    resistance: tuple[Column, Column, Column]
    soh: tuple[Column, Column, Column]
    drift: Annotated[bytes, Meta(max_length=8 * len(fields(Drift)))] = b""
    count: Annotated[bytes, Meta(max_length=8 * (3 + WIDTH * MOST_RESTS))] = b""
    promises: Annotated[bytes, Meta(max_length=8 * COLUMNS * MOST)] = b""


def packed(trend: Trend) -> bytes:
    lines = [tuple(_bytes(one) for one in (line.time_s, line.value, line.sigma))
             for line in (trend.capacity, trend.resistance, trend.soh)]
    drift = () if trend.drift is None else astuple(trend.drift)
    return msgspec.msgpack.encode((VERSION, *lines, _bytes(np.array(drift, np.float64)),
                                   _bytes(trend.count.numbers()), _bytes(trend.promises.rows)))


def _bytes(numbers: Floats) -> bytes:
    return numbers.astype("<f8").tobytes()


def unpacked(payload: bytes) -> Trend:
    """Raises GiveUpError for what `packed` did not write."""
    try:
        told = msgspec.msgpack.decode(payload, type=_Packed)
        capacity, resistance, soh = (
            Line.of(*(np.frombuffer(column, "<f8") for column in line))
            for line in (told.capacity, told.resistance, told.soh))
        drift = np.frombuffer(told.drift, "<f8").tolist()
        return Trend(capacity, resistance, soh, Drift(*drift) if drift else None,
                     Count.of(np.frombuffer(told.count, "<f8")),
                     Promises.of(np.frombuffer(told.promises, "<f8")))
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise GiveUpError(f"what is kept of a pack's past is damaged ({error})") from error
