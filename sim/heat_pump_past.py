"""The past of a simulated heat pump: lived through once, then told for any times asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.heat_pump_drivers import DAY_S, MINUTE_S
from sim.heat_pump_kernel import AT, COLUMNS
from sim.heat_pump_lanes import Track, day_of, lived
from sim.heat_pump_plan import Plan
from sim.heat_pump_year import COUNTED, SlowYear
from sim.house_data import F64, HOUR_S

NEAR_DAYS = 91
"""So far back it is kept in minutes, before that in cells of five."""
BEYOND_S = 600.0
BLOCK = 288
COUNTED_AT = [AT[name] for name in COUNTED]


@dataclass(frozen=True, slots=True)
class Seam:
    """What the live pump knows at its start, `at_s`: sums of COUNTED, float64[COUNTED]."""

    at_s: float
    counted: F64


class Sums:
    """Integrals of a track's columns from its begin on [column x s]."""

    def __init__(self, track: Track, before: F64) -> None:
        """before: what was integrated before the track, float64[COLUMNS]."""
        self.track = track
        blocks = [track.rows[first:first + BLOCK].sum(axis=0, dtype=np.float64)
                  for first in range(0, len(track.rows), BLOCK)]
        self._before = before + track.cell_s * np.cumsum(
            [np.zeros(len(COLUMNS)), *blocks], axis=0)

    @property
    def total(self) -> F64:
        total: F64 = self._before[-1]
        return total

    def at(self, time_s: F64) -> F64:
        """At moments within the track, which rise, float64[k, COLUMNS]."""
        track = self.track
        place = (time_s - track.begin_s) / track.cell_s
        cell = np.clip(np.floor(place).astype(np.int64), 0, len(track.rows) - 1)
        first = int(cell[0]) // BLOCK
        rows = track.rows[first * BLOCK:int(cell[-1]) + 1].astype(np.float64) * track.cell_s
        sums = self._before[first] + np.concatenate(
            [np.zeros((1, len(COLUMNS))), np.cumsum(rows, axis=0)])
        within = cell - first * BLOCK
        found: F64 = sums[within] + (place - cell)[:, None] * rows[within]
        return found


class ToldPast:
    """Counters count backwards from the seam, so they never fall, neither in it nor across.

    The path is kept only until its end was told: 400 days have 30 MB.
    """

    def __init__(self, plan: Plan, slow: SlowYear, seam: Seam) -> None:
        self._plan = plan
        self._slow = slow
        self._seam = seam
        self._far: Sums | None = None
        self._near: Sums | None = None

    def tell(self, time_s: F64) -> tuple[F64, F64]:
        """At `time_s` float64[k], rising: rows float64[k, COLUMNS], means until the next of
        the times, and sums of COUNTED, float64[k, COUNTED]; NaN from ten minutes after the live
        pump's start on."""
        far, near = self._sums(float(time_s[0]))
        last_s = time_s[-1] - time_s[-2] if len(time_s) > 1 else MINUTE_S
        edges_s = np.append(time_s, time_s[-1] + last_s)
        end_s = self._end_s(near)
        known = time_s < end_s
        edges_s = np.minimum(edges_s, end_s)
        sums = _at(far, near, edges_s)
        lasting_s = np.diff(edges_s)
        rows = np.diff(sums, axis=0) / np.where(lasting_s > 0.0, lasting_s, np.nan)[:, None]
        here = _at(far, near, np.array([self._seam.at_s]))[0]
        counted = self._seam.counted + (sums[:-1] - here)[:, COUNTED_AT]
        counted[~known] = np.nan
        if time_s[-1] > self._seam.at_s - 2.0 * MINUTE_S:
            self._far = self._near = None
        return rows, np.maximum(counted, 0.0)

    def last_hours(self, time_s: F64) -> F64:
        """What COUNTED rose by in the last full hour before each of the times, which rise,
        float64[k, COUNTED]; NaN where `tell` knows nothing. To be asked before `tell`, which may
        forget the path."""
        hours_s = np.floor(time_s / HOUR_S) * HOUR_S
        ends_s, place = np.unique(hours_s, return_inverse=True)
        far, near = self._sums(float(ends_s[0]) - HOUR_S)
        edges_s = np.union1d(ends_s - HOUR_S, ends_s)
        edge = np.searchsorted(edges_s, ends_s)
        sums = _at(far, near, np.minimum(edges_s, near.track.end_s))[:, COUNTED_AT]
        rose: F64 = (sums[edge] - sums[edge - 1])[place]
        return np.where((time_s < self._end_s(near))[:, None], rose, np.nan)

    def _end_s(self, near: Sums) -> float:
        return min(near.track.end_s, self._seam.at_s + BEYOND_S)

    def _sums(self, first_s: float) -> tuple[Sums, Sums]:
        far, near = self._far, self._near
        if far is None or near is None or first_s < far.track.begin_s:
            last = day_of(self._seam.at_s)
            first = min(day_of(first_s - DAY_S / 2.0), last) - 1
            tracks = lived(self._plan, self._slow, first, max(last - NEAR_DAYS, first),
                           self._seam.at_s)
            far = Sums(tracks[0], np.zeros(len(COLUMNS)))
            near = Sums(tracks[1], far.total)
            self._far, self._near = far, near
        return far, near


def _at(far: Sums, near: Sums, time_s: F64) -> F64:
    """Integrals at moments that rise, from whichever track holds them."""
    count = int(np.searchsorted(time_s, near.track.begin_s))
    parts = [sums.at(part) for sums, part in ((far, time_s[:count]), (near, time_s[count:]))
             if len(part)]
    return np.concatenate(parts)


