"""Capacity out of two rests that may lie days apart: rests that tell a charge are kept from look
to look and over restarts, with the charge that was counted since each.

What is counted goes wrong with time: by the offset of the current's sensor, and by what may have
flowed while nobody looked. Both are in the capacity's error, and a rest whose count is too unsure
is forgotten, which by the offset alone is after some four days.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.twin.filter import Tuning
from core.twin.interval import Interval
from core.twin.models import CellModel, Floats
from core.twin.record import GAP_S, Record

REST_C = 0.02
"""Less than this is rest [C-rate]."""
REST_S = 900.0
"""So long at rest, and a voltage tells the charge [s]."""
LEAST_SWING = 0.2
"""Of charge between two rests; less tells too little of a capacity."""
GAIN_ERROR = 0.005
"""Of a current sensor, one standard deviation (class 0.5 of IEC 61869-2)."""
OFFSET_C = 0.001
"""Of a current sensor, one standard deviation [C-rate]."""
UNSEEN_C = Tuning().unknown_c
"""That may flow where no current is known, one standard deviation [C-rate]."""
GOOD = 0.1
"""Standard deviation of a count, as a share of the capacity, beyond which it is worth nothing; a
capacity that is told better begins the next one at its second rest."""
BEHIND_S = 86_400.0
"""A record that ends so long before what was counted is of a clock that was wrong then."""
MOST_RESTS = 24
WIDTH = 5
"""Numbers of a rest, as it is kept."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A voltage that tells a charge: the row of the record, charge 0..1 and its deviation."""

    row: int
    soc: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Swing:
    """A capacity [Ah] that two rests tell. from_s: when the first ended, which later looks at the
    same past find again; to_s: when the second did."""

    from_s: float
    capacity_ah: Interval
    to_s: float


@dataclass(frozen=True, slots=True)
class KeptRest:
    """time_s: since 1970; used_ah: counted then, of the same counter as `Count.used_ah`; blind_ah2:
    likewise what had flowed unseen by then, a variance."""

    time_s: float
    soc: float
    sigma: float
    used_ah: float
    blind_ah2: float


@dataclass(frozen=True, slots=True)
class Count:
    """Of one pack. until_s: so far it is counted [s since 1970], NaN before the first record;
    used_ah: + discharging; rests: that have ended, oldest first."""

    until_s: float = math.nan
    used_ah: float = 0.0
    blind_ah2: float = 0.0
    rests: tuple[KeptRest, ...] = ()

    def numbers(self) -> Floats:
        """As it is kept."""
        return np.array([self.until_s, self.used_ah, self.blind_ah2, *(
            number for rest in self.rests
            for number in (rest.time_s, rest.soc, rest.sigma, rest.used_ah, rest.blind_ah2))])

    @classmethod
    def of(cls, numbers: Floats) -> Count:
        """Of what `numbers` told, which may be nothing. Raises ValueError."""
        if not numbers.size:
            return NO_COUNT
        if (numbers.size - 3) % WIDTH or not np.isfinite(numbers[1:]).all():
            raise ValueError("a count is three numbers and five a rest")
        until_s, used_ah, blind_ah2 = numbers[:3].tolist()
        rests = numbers[3:].reshape(-1, WIDTH).tolist()
        return cls(until_s, used_ah, blind_ah2, tuple(KeptRest(*rest) for rest in rests))


NO_COUNT = Count()


def carried(before: Count, record: Record, model: CellModel,
            rated_ah: float) -> tuple[Count, list[Swing]]:
    """The count with a newer record, which may hold what was counted before, and the capacities
    that its rests tell; one that goes on is none to keep, for it tells more when it has ended."""
    if not record.time_s.size or not np.isfinite(record.current_a).any():
        return before, []
    behind_s = before.until_s - float(record.time_s[-1])
    if behind_s > BEHIND_S:
        before = NO_COUNT
    elif behind_s >= 0:
        return before, []
    used, blind = _counted(before, record, rated_ah)
    rests = rests_of(record, model, rated_ah)
    kept, found = list(before.rests), dict[float, Swing]()
    newest_s = kept[-1].time_s if kept else -math.inf
    for rest in rests:
        row = rest.row
        told = KeptRest(float(record.time_s[row]), rest.soc, rest.sigma, float(used[row]),
                        float(blind[row]))
        if told.time_s <= newest_s:
            continue
        swing = _best(kept, told, rated_ah)
        if swing is not None:
            found[swing.from_s] = swing
        if row == record.time_s.size - 1:
            break
        good = swing is not None and swing.capacity_ah.sigma <= GOOD * swing.capacity_ah.value
        kept = [told] if good else [*kept, told]
    count = Count(float(record.time_s[-1]), float(used[-1]), float(blind[-1]), tuple(kept))
    return _thinned(count, rated_ah), list(found.values())


def swings_of(record: Record, model: CellModel, rated_ah: float) -> list[Swing]:
    """Of one record."""
    return carried(NO_COUNT, record, model, rated_ah)[1]


def rests_of(record: Record, model: CellModel, rated_ah: float) -> list[Rest]:
    """The last row of each rest, where the curve is steep enough to tell a charge."""
    quiet = np.abs(record.current_a) < REST_C * rated_ah
    step_s = np.diff(record.time_s, prepend=record.time_s[:1])
    begins = ~quiet | (step_s > GAP_S)
    since = np.maximum.accumulate(np.where(begins, np.arange(quiet.size), 0))
    rested_s = record.time_s - record.time_s[since] if quiet.size else record.time_s
    good = quiet & (rested_s >= REST_S) & np.isfinite(record.voltage_v)
    last = good & ~np.concatenate([good[1:], [False]])[:good.size]
    found = []
    for row in np.flatnonzero(last):
        soc = float(model.soc_of(record.voltage_v[row]))
        sigma = _told_within(record.voltage_v[row], model)
        if math.isfinite(soc) and model.voltage_error_v >= model.least_slope_v * sigma:
            found.append(Rest(int(row), soc, max(sigma, 1e-6)))
    return found


def _told_within(rest_v: float, model: CellModel) -> float:
    """How far the charge is told, one standard deviation: over all that the voltage may mean, for
    beside a steep end of a curve lies a flat middle."""
    off = model.voltage_error_v * np.array([-1.0, 1.0])
    low, high = model.soc_of(np.clip(rest_v + off, model.curve_v[0], model.curve_v[-1]))
    return 0.5 * float(high - low)


def _counted(before: Count, record: Record, rated_ah: float) -> tuple[Floats, Floats]:
    """Charge [Ah] and the variance of what flowed unseen [Ah²] at the record's rows, going on from
    before."""
    known = np.isfinite(record.current_a)
    times, current = record.time_s[known], record.current_a[known]
    step_s = np.diff(times)
    seen = step_s <= GAP_S
    flowed = np.where(seen, current[1:], 0.5 * (current[1:] + current[:-1])) * step_s / 3600.0
    unseen = np.where(seen, 0.0, (UNSEEN_C * rated_ah * step_s / 3600.0) ** 2)
    used, blind = (np.interp(record.time_s, times, np.concatenate([[0.0], np.cumsum(each)]))
                   for each in (flowed, unseen))
    if math.isnan(before.until_s):
        return used, blind
    away_s = float(record.time_s[0]) - before.until_s
    away_ah2 = (UNSEEN_C * rated_ah * away_s / 3600.0) ** 2 if away_s > GAP_S else 0.0
    at = [float(np.interp(before.until_s, record.time_s, each)) for each in (used, blind)]
    return (np.asarray(before.used_ah + used - at[0]),
            np.asarray(before.blind_ah2 + away_ah2 + blind - at[1]))


def _count_error(first: KeptRest, time_s: float, blind_ah2: float, rated_ah: float) -> float:
    """Of the charge between, one standard deviation [Ah], but for the sensor's gain."""
    hours = (time_s - first.time_s) / 3600.0
    return math.sqrt((OFFSET_C * rated_ah * hours) ** 2
                     + max(0.0, blind_ah2 - first.blind_ah2))


def _best(rests: Sequence[KeptRest], second: KeptRest, rated_ah: float) -> Swing | None:
    """With the rest that tells it best, so that rests in between do not hide it."""
    found = [swing for first in rests
             if (swing := _swing(first, second, rated_ah)) is not None]
    return min(found, key=lambda swing: swing.capacity_ah.sigma / swing.capacity_ah.value,
               default=None)


def _swing(first: KeptRest, second: KeptRest, rated_ah: float) -> Swing | None:
    swing, flowed_ah = first.soc - second.soc, second.used_ah - first.used_ah
    count_ah = _count_error(first, second.time_s, second.blind_ah2, rated_ah)
    if abs(swing) < LEAST_SWING or flowed_ah * swing <= 0 or count_ah > GOOD * rated_ah:
        return None
    error = math.sqrt((first.sigma**2 + second.sigma**2) / swing**2 + GAIN_ERROR**2
                      + (count_ah / flowed_ah) ** 2)
    return Swing(first.time_s, Interval.of(flowed_ah / swing, error * flowed_ah / swing),
                 second.time_s)


def _thinned(count: Count, rated_ah: float) -> Count:
    """Without rests whose count is worth nothing; the newest MOST_RESTS."""
    kept = [rest for rest in count.rests if _count_error(
        rest, count.until_s, count.blind_ah2, rated_ah) <= GOOD * rated_ah]
    return replace(count, rests=tuple(kept[-MOST_RESTS:]))
