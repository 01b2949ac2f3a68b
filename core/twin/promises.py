"""Forecasts of a pack's capacity that were made, and what they met when their time had come.

Once a month what the law, the ageing run and both together say of some days ahead is kept. When a
capacity is known there, it is put beside: so each of the three has a score of its own, and beside
it that of saying that nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.errors import RequestError
from core.twin.fade import Fade
from core.twin.interval import SIGMAS, Interval
from core.twin.life import Life, by_both, by_law, by_physics, course_of
from core.twin.models import Floats
from core.twin.tasks import ForecastResult

Kind = Literal["law", "physics", "both"]
KINDS: tuple[Kind, ...] = ("law", "physics", "both")
DAY_S = 86_400.0
EVERY_S = 30 * DAY_S
AHEAD_D = (30.0, 90.0, 180.0, 365.0)
NEAR = 0.1
"""A capacity tells of a moment that is away from it by less than this share of the way ahead."""
MOST = 480
"""Three years of three kinds, four moments each, so that each meets its time; the oldest go."""
MADE, DUE, KIND, REPORTED, BEGAN, VALUE, LOW, HIGH, TRUTH, TRUTH_SIGMA = range(10)
COLUMNS = 10


@dataclass(frozen=True, slots=True)
class Known:
    """Capacities of a pack, 1 = new: float64[n] of moments since 1970 [s], values, and their
    standard deviations. reported: by its devices, else by the twin itself."""

    reported: bool
    time_s: Floats
    value: Floats
    sigma: Floats


@dataclass(frozen=True, slots=True)
class Score:
    """How forecasts of one kind came true. count: those that met a capacity; waiting: whose time
    has not come; unmeasured: at whose time no capacity was found; error_pct: mean magnitude of the
    error [% of the capacity], still_pct: that of saying that nothing changes, covered: share
    within the interval, each NaN of none; next_s: when the next one is due, NaN without."""

    kind: Kind
    count: int
    waiting: int
    unmeasured: int
    error_pct: float
    still_pct: float
    covered: float
    next_s: float


@dataclass(frozen=True, slots=True)
class Promises:
    """rows: float64[n, COLUMNS], oldest first; TRUTH and TRUTH_SIGMA are NaN until it is known."""

    rows: Floats

    @classmethod
    def of(cls, numbers: Floats) -> Promises:
        """Raises ValueError for what is no whole rows of possible kinds."""
        rows = numbers.reshape(-1, COLUMNS)
        if not np.isfinite(rows[:, :TRUTH]).all() or not np.isin(rows[:, KIND], (0, 1, 2)).all():
            raise ValueError("a forecast that was kept has all its numbers")
        return cls(rows)

    def met(self, known: Known, now_s: float) -> Promises:
        """With what is known now beside those whose time has come; a truth that is known stays."""
        rows = self.rows.copy()
        open_ = np.isnan(rows[:, TRUTH]) & (rows[:, DUE] <= now_s) & \
            (rows[:, REPORTED] == float(known.reported))
        for row in np.flatnonzero(open_):
            away_s = np.abs(known.time_s - rows[row, DUE])
            near = np.flatnonzero(away_s <= NEAR * (rows[row, DUE] - rows[row, MADE]))
            if near.size:
                best = near[np.lexsort((away_s[near], known.sigma[near]))[0]]
                rows[row, TRUTH:] = known.value[best], known.sigma[best]
        return Promises(rows)

    def with_new(self, now_s: float, reported: bool, begins: Interval,
                 lives: Mapping[Kind, Life]) -> Promises:
        """With what is foretold now, of each kind once a month. begins: the capacity now, 1 = new;
        reported: by its devices."""
        new = [row for kind, life in lives.items() if self._due(kind, now_s)
               for row in _rows(kind, life, now_s, reported, begins)]
        if not new:
            return self
        return Promises(np.concatenate([self.rows, np.array(new)])[-MOST:])

    def due(self, now_s: float, fade: Fade | None, run: ForecastResult | None) -> bool:
        """Whether a kind that there is was not kept for a month."""
        there = {"law": fade is not None, "physics": run is not None,
                 "both": fade is not None and run is not None}
        return any(there[kind] and self._due(kind, now_s) for kind in KINDS)

    def _due(self, kind: Kind, now_s: float) -> bool:
        made = self.rows[self.rows[:, KIND] == KINDS.index(kind), MADE]
        return not made.size or not -EVERY_S < now_s - float(made.max()) < EVERY_S

    def scores(self, now_s: float) -> list[Score]:
        """Of the kinds of which there are any."""
        return [_score(kind, rows, now_s) for number, kind in enumerate(KINDS)
                if (rows := self.rows[self.rows[:, KIND] == number]).size]


NO_PROMISES = Promises(np.empty((0, COLUMNS)))


def lives_of(fade: Fade | None, run: ForecastResult | None, chemistry: str,
             soh: Interval) -> dict[Kind, Life]:
    """What each kind says, of those that say anything. soh: where the ageing run begins, 1 =
    new."""
    lives: dict[Kind, Life] = {} if fade is None else {"law": by_law(fade, math.nan)}
    if run is None or not soh.known:
        return lives
    try:
        course = course_of(run)
    except RequestError:
        return lives
    lives["physics"] = by_physics(course, chemistry, soh, run.calibrated)
    if fade is not None:
        lives["both"] = by_both(course, chemistry, fade, run.calibrated)
    return lives


def _rows(kind: Kind, life: Life, now_s: float, reported: bool,
          begins: Interval) -> Iterator[Sequence[float]]:
    """Of each moment ahead that the forecast reaches."""
    for days in AHEAD_D:
        if days > float(life.at_d[-1]):
            return
        value, low, high = (float(np.interp(days, life.at_d, curve)) for curve in (
            life.band.value, life.band.low, life.band.high))
        if math.isfinite(value + low + high):
            yield (now_s, now_s + days * DAY_S, float(KINDS.index(kind)), float(reported),
                   begins.value, value, low, high, math.nan, math.nan)


def _score(kind: Kind, rows: Floats, now_s: float) -> Score:
    known = np.isfinite(rows[:, TRUTH])
    late_s = NEAR * (rows[:, DUE] - rows[:, MADE])
    waits = ~known & (now_s <= rows[:, DUE] + late_s)
    next_s = float(rows[waits, DUE].min()) if waits.any() else math.nan
    told, truth = rows[known], rows[known, TRUTH]
    if not truth.size:
        return Score(kind, 0, int(waits.sum()), int((~known & ~waits).sum()), math.nan, math.nan,
                     math.nan, next_s)
    wide = SIGMAS * told[:, TRUTH_SIGMA]
    inside = (truth >= told[:, VALUE] - np.hypot(told[:, VALUE] - told[:, LOW], wide)) & \
        (truth <= told[:, VALUE] + np.hypot(told[:, HIGH] - told[:, VALUE], wide))
    error, still = (100.0 * float(np.mean(np.abs(told[:, column] / truth - 1.0)))
                    for column in (VALUE, BEGAN))
    return Score(kind, int(truth.size), int(waits.sum()), int((~known & ~waits).sum()), error,
                 still, float(inside.mean()), next_s)
