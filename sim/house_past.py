"""The past of a simulated house: lived through once, then told for any times asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.house_data import F64
from sim.house_devices import channels
from sim.house_hours import Hours
from sim.house_process import (
    AT,
    COLUMNS,
    DAY_S,
    LIVED_DAYS,
    NEAR_STEP_S,
    Plan,
    Process,
    Registers,
    edges_between,
    midnight_s,
)

FAR_STEP_S = 900.0
NEAR_DAYS = 36
"""So far back it lives in minutes, before that in steps of fifteen."""
BEYOND_S = 600.0
PIECE_DAYS = 10
MEAN = ("solar_kw", "load_kw", "grid_kw", "battery_kw", "current_a", "voltage_v")
"""Told as the mean until the next asked time; all else as it is at the time."""


@dataclass(frozen=True, slots=True)
class Seam:
    """What the live house knows at its start, `at_s`: here past and present meet."""

    at_s: float
    drawn_ah: float
    cycles: float
    deepest_ah: float


@dataclass(frozen=True, slots=True)
class Lived:
    """edges_s: float64[n + 1]; rows: float64[n, COLUMNS]; sums: integral of each of MEAN from
    the first edge, float64[n + 1] [value x s]."""

    edges_s: F64
    rows: F64
    sums: dict[str, F64]


class ToldPast:
    """Registers count backwards from the seam, so they never fall, neither in it nor across.

    The path is kept only until its end was told: a long one has 20 MB.
    """

    def __init__(self, plan: Plan, export_price: float, seam: Seam) -> None:
        self._plan = plan
        self._export_price = export_price
        self._seam = seam
        self._lived: Lived | None = None

    def tell(self, time_s: F64) -> F64:
        """What the channels were at `time_s` float64[k], rising, as float64[k, c]; NaN from
        ten minutes after the live house's start on."""
        if self._lived is None or time_s[0] < self._lived.edges_s[0] + LIVED_DAYS * DAY_S:
            self._lived = _lived(self._plan, float(time_s[0]), self._seam)
        lived = self._lived
        rows = _sampled(lived, time_s)
        rows[time_s >= lived.edges_s[-1]] = np.nan
        if time_s[-1] > self._seam.at_s - 2 * NEAR_STEP_S:
            self._lived = None
        site = self._plan.site
        price = site.profile.price_per_kwh[site.calendar.rows_at(time_s)]
        return channels(self._plan.battery, time_s, rows, price, self._export_price)


def _lived(plan: Plan, first_s: float, seam: Seam) -> Lived:
    """Live from ten days before `first_s` to just beyond the seam."""
    begin_s = midnight_s(min(first_s, seam.at_s), LIVED_DAYS)
    edges_s = _path(begin_s, seam.at_s)
    process = Process(plan, begin_s, Registers(0.0, 0.0))
    pieces = np.searchsorted(edges_s, np.arange(begin_s, edges_s[-1], PIECE_DAYS * DAY_S))
    rows = []
    for first, last in zip(pieces, [*pieces[1:], len(edges_s) - 1], strict=True):
        piece_s = edges_s[first:last + 1]
        hours = Hours(plan.site, float(piece_s[0]), float(piece_s[-1]))
        rows.append(process.told(hours, piece_s))
    told = np.concatenate(rows)
    _join(edges_s, told, seam)
    return Lived(edges_s, told, {name: _sum(edges_s, told[:, AT[name]]) for name in MEAN})


def _path(begin_s: float, seam_s: float) -> F64:
    """Steps of fifteen minutes, then of one, with the seam itself among them."""
    near_s = max(begin_s, midnight_s(seam_s, NEAR_DAYS))
    parts = [edges_between(near_s, seam_s, NEAR_STEP_S),
             edges_between(seam_s, seam_s + BEYOND_S, NEAR_STEP_S)]
    if begin_s < near_s:
        parts.append(edges_between(begin_s, near_s, FAR_STEP_S))
    return np.unique(np.concatenate(parts))


def _join(edges_s: F64, told: F64, seam: Seam) -> None:
    """Shift the registers so that they meet the live ones at the seam, in place."""
    at = np.searchsorted(edges_s, seam.at_s)
    for name, there in (("drawn_ah", seam.drawn_ah), ("cycles", seam.cycles)):
        column = told[:, AT[name]]
        np.maximum(column + (there - column[at]), 0.0, out=column)
    deepest = told[:, AT["deepest_ah"]]
    np.minimum(deepest, seam.deepest_ah, out=deepest)


def _sum(edges_s: F64, value: F64) -> F64:
    return np.concatenate([[0.0], np.cumsum(value * np.diff(edges_s))])


def _sampled(lived: Lived, time_s: F64) -> F64:
    """Rows at `time_s`, float64[k, COLUMNS], MEAN as means until the next of them."""
    last_s = time_s[-1] - time_s[-2] if len(time_s) > 1 else NEAR_STEP_S
    edges_s = np.append(time_s, time_s[-1] + last_s)
    edges_s[-1] = max(min(edges_s[-1], lived.edges_s[-1]), time_s[-1] + 1.0)
    at = np.searchsorted(lived.edges_s, time_s, side="right") - 1
    rows = lived.rows[np.minimum(at, len(lived.rows) - 1)]
    for name in MEAN:
        sums = np.interp(edges_s, lived.edges_s, lived.sums[name])
        rows[:, COLUMNS.index(name)] = np.diff(sums) / np.diff(edges_s)
    return rows
