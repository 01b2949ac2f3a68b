"""What was measured of one cell, or of the mean cell of a pack, over a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.errors import RequestError
from core.twin.models import CellModel, Floats

GAP_S = 120.0
"""A wider step is a gap."""


@dataclass(frozen=True, slots=True)
class Record:
    """time_s [n] [s], rising; current_a [n] [A], + discharging; voltage_v [n] [V]; NaN is
    missing."""

    time_s: Floats
    current_a: Floats
    voltage_v: Floats

    @classmethod
    def of(cls, time_s: ArrayLike, current_a: ArrayLike, voltage_v: ArrayLike) -> Record:
        """What came from outside: rows whose time is unknown or does not rise are left out (a
        clock that jumped back), what is infinite is missing. Raises RequestError for columns of
        different lengths."""
        columns = [np.asarray(values, np.float64) for values in (time_s, current_a, voltage_v)]
        if any(column.ndim != 1 or column.size != columns[0].size for column in columns):
            raise RequestError("time, current and voltage are columns of one length")
        times = np.where(np.isfinite(columns[0]), columns[0], -np.inf)
        before = np.concatenate([[-np.inf], np.maximum.accumulate(times)[:-1]])
        keep = times > before
        current, voltage = (np.where(np.isfinite(column), column, np.nan)[keep]
                            for column in columns[1:])
        return cls(times[keep], current, voltage)

    def used_ah(self) -> Floats:
        """Charge taken since the first row [Ah], float64[n]; NaN from the first unknown on, for
        what flowed in a gap is not known."""
        step_s = np.diff(self.time_s)
        flowed = np.where(step_s <= GAP_S, self.current_a[1:] * step_s, np.nan) / 3600.0
        return np.concatenate([np.zeros(min(self.time_s.size, 1)), np.cumsum(flowed)])

    def part(self, rows: slice) -> Record:
        return Record(self.time_s[rows], self.current_a[rows], self.voltage_v[rows])

    def turned(self) -> Record:
        """With the current's other sign."""
        return Record(self.time_s, -self.current_a, self.voltage_v)

    def known_current(self) -> Record:
        """The rows that tell a current."""
        known = np.isfinite(self.current_a)
        return Record(self.time_s[known], self.current_a[known], self.voltage_v[known])

    def longest(self) -> Record:
        """The longest time without a gap or a missing current, for within it all that flowed is
        known."""
        step_s = np.diff(self.time_s)
        broken = np.flatnonzero((step_s > GAP_S) | np.isnan(self.current_a[1:])) + 1
        begins = np.concatenate([[0], broken])
        ends = np.concatenate([broken, [self.time_s.size]])
        if not self.time_s.size:
            return self
        best = int(np.argmax(self.time_s[ends - 1] - self.time_s[begins]))
        return self.part(slice(int(begins[best]), int(ends[best])))

    def mean_drops_v(self, model: CellModel, capacity_ah: float) -> tuple[Floats, Floats]:
        """What is lost at once and what in the pairs, as `drop_v`, where rows are means over the
        time since the row before; the second is NaN at the first row and after a gap."""
        rate = held(self.current_a) / capacity_ah
        step_s = np.diff(self.time_s, prepend=np.nan)
        step_s = np.where(step_s <= GAP_S, step_s, np.nan)
        pairs = np.zeros(rate.size)
        for share, constant_s in model.pairs:
            before = np.concatenate([[0.0], response(self.time_s, rate, constant_s)[:-1]])
            left = constant_s / step_s * -np.expm1(-step_s / constant_s)
            pairs = pairs + share * model.drop_1c_v * (rate + (before - rate) * left)
        return model.ohmic_1c_v * rate, pairs

    def drop_v(self, model: CellModel, capacity_ah: float) -> Floats:
        """What a new cell of the model loses inside [V], float64[n]; a missing current is that
        before it, and after a gap the pairs begin at rest."""
        rate = held(self.current_a) / capacity_ah
        shares = [share * model.drop_1c_v for share, _ in model.pairs]
        pairs = sum(share * response(self.time_s, rate, constant_s) for share, (_, constant_s)
                    in zip(shares, model.pairs, strict=True))
        return np.asarray(model.ohmic_1c_v * rate + pairs)


def held(values: Floats) -> Floats:
    """A missing value is the one before it, 0 where there is none."""
    known = np.isfinite(values)
    at = np.maximum.accumulate(np.where(known, np.arange(values.size), -1))
    return np.where(at >= 0, values[np.maximum(at, 0)], 0.0)


def filled(values: Floats) -> Floats:
    """On an even grid: a missing value lies on the line between those beside it, at the ends it is
    the nearest. One at least is known."""
    at, known = np.arange(values.size), np.isfinite(values)
    return np.interp(at, at[known], values[known])


def moved_ah(current_a: Floats, step_s: float) -> Floats:
    """Charge taken since the first point of an even grid [Ah], float64[n], where straight lines
    join the points, as they do in a model's current; without holes (`filled`)."""
    means = (current_a[1:] + current_a[:-1]) / 2.0
    return np.concatenate([np.zeros(1), np.cumsum(means)]) * step_s / 3600.0


def response(time_s: Floats, values: Floats, constant_s: float) -> Floats:
    """First-order response [n] to values that hold since the row before."""
    found = np.zeros(values.size)
    step_s = np.diff(time_s)
    decay = np.where(step_s <= GAP_S, np.exp(-step_s / constant_s), 0.0)
    level = 0.0
    for row, (keep, value, gap) in enumerate(zip(decay.tolist(), values[1:].tolist(),
                                                 (step_s > GAP_S).tolist(), strict=True), 1):
        level = 0.0 if gap else level * keep + value * (1.0 - keep)
        found[row] = level
    return found
