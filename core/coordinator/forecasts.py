"""What lies ahead of a meter, told from its own past: load, PV, or a price.

A `Forecaster` is asked with the past up to now and answers with a band for the steps that follow.
A better one, which weighs several of these guesses, is in `core/coordinator/blend.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.coordinator.problem import Band, Floats
from core.energy import SECONDS_PER_DAY, SECONDS_PER_HOUR, wall_clock
from core.errors import RequestError

DAYS_BACK = 7
"""So many days back an hour is looked for that yesterday misses."""
ERROR_DAYS = 28
"""A band is as wide as the errors of so many days were."""
LEAST_DAYS = 3
"""Of errors, below which nobody can say how far off a forecast may be."""
LOW, HIGH = 0.1, 0.9
"""Quantiles of the errors: what comes lies within the band in 80 % of all steps."""
HOURS_OF_WEEK = 168
MONDAY_S = 4 * SECONDS_PER_DAY
"""From 1 January 1970, a Thursday, to its first Monday [s]."""


@dataclass(frozen=True, slots=True)
class Past:
    """Means of steps of step_s [s], oldest first, NaN = missing [n]; start: of the first (UTC)."""

    start: datetime
    step_s: float
    values: Floats

    @property
    def end(self) -> datetime:
        """Where a forecast begins."""
        return self.start + timedelta(seconds=self.step_s * len(self.values))

    @property
    def steps_a_day(self) -> int:
        """Raises RequestError where a day is no whole number of steps."""
        steps = round(SECONDS_PER_DAY / self.step_s) if self.step_s > 0 else 0
        if not steps or not math.isclose(steps * self.step_s, SECONDS_PER_DAY):
            raise RequestError(f"A forecast cannot be made in steps of {self.step_s:g} s: choose "
                               "a step that a day is a multiple of, such as 600 s")
        return steps


class Forecaster(Protocol):
    @property
    def name(self) -> str:
        """As a person reads it."""
        ...

    def ahead(self, past: Past, steps: int) -> Band:
        """The `steps` steps that follow the past. Raises RequestError where nothing at all is
        known of the past, or as `Past.steps_a_day`."""
        ...


class Persistence:
    """Tomorrow is like today: each step as it was a day before; where that is missing, two days
    before, up to a week; then the mean of all that is known. least: nothing falls below it, 0
    for load and PV, -inf for a price."""

    name = "persistence"

    def __init__(self, least: float = 0.0) -> None:
        self._least = least

    def ahead(self, past: Past, steps: int) -> Band:
        """As `Forecaster`."""
        day = past.steps_a_day
        values = known(past)
        guess = np.full(day, np.nan)
        for back in range(1, DAYS_BACK + 1):
            guess = np.where(np.isfinite(guess), guess, _day_before(values, day, back))
        guess = np.where(np.isfinite(guess), guess, np.nanmean(values))
        errors = values[day:] - values[:-day] if len(values) > day else np.empty(0)
        return banded(np.resize(guess, steps), errors, day, self._least)


class HourOfWeek:
    """Each step as the mean of that local hour of the week so far; an hour that was never seen as
    the mean of that hour of any day, then of all. Its band is as wide as each week was off the
    mean of the others. zone: whose weeks and hours people live by."""

    name = "hour of the week"

    def __init__(self, zone: ZoneInfo, least: float = 0.0) -> None:
        self._zone, self._least = zone, least

    def ahead(self, past: Past, steps: int) -> Band:
        """As `Forecaster`."""
        day = past.steps_a_day
        values = known(past)
        time_s: Floats = past.start.timestamp() + past.step_s * np.arange(
            len(values) + steps, dtype=np.float64)
        hours = self._hours(time_s)
        means = _means_of_hours(values, hours[:len(values)])
        guess = means[hours]
        errors = _by_other_weeks(values - guess[:len(values)], hours[:len(values)], past.step_s)
        return banded(guess[len(values):], errors, day, self._least)

    def _hours(self, time_s: Floats) -> NDArray[np.int64]:
        local_s = wall_clock(time_s, self._zone) - MONDAY_S
        return (local_s // SECONDS_PER_HOUR).astype(np.int64) % HOURS_OF_WEEK


def known(past: Past) -> Floats:
    """The values, what is infinite as missing; raises RequestError where none is known."""
    values = np.where(np.isfinite(past.values), past.values, np.nan)
    if not np.isfinite(values).any():
        raise RequestError("Nothing was measured yet that a forecast could start from: see that "
                           "the site's meter is heard, and wait for its first step to end")
    return values


def banded(guess: Floats, errors: Floats, day: int, least: float) -> Band:
    """`guess` [steps] within the quantiles of errors (came - told) [n], which end where the guess
    begins: those of the same step of the day in the last ERROR_DAYS days, of which each has `day`
    steps; of all steps where few are known, and as wide as the guess is high where nearly none is.
    Nothing falls below `least`."""
    whole = len(errors) // day
    rows = errors[len(errors) - whole * day:].reshape(whole, day)[-ERROR_DAYS:]
    if np.count_nonzero(np.isfinite(rows)) < LEAST_DAYS * day // 2:
        low, high = -np.abs(guess), np.abs(guess)
    else:
        steps = np.arange(len(guess)) % day
        low, high = (_quantile(rows, part)[steps] for part in (LOW, HIGH))
    told = np.maximum(guess, least)
    return Band(told, np.maximum(np.minimum(guess + low, told), least),
                np.maximum(guess + high, told))


def _quantile(rows: Floats, part: float) -> Floats:
    """Of each column [k] what is known, where that is LEAST_DAYS or more, else of all."""
    ordered = np.sort(rows, axis=0)  # NaN comes last
    counts = np.isfinite(rows).sum(axis=0)
    place = part * np.maximum(counts - 1, 0)
    below = place.astype(np.int64)
    columns = np.arange(rows.shape[1])
    first = ordered[below, columns]
    then = ordered[np.minimum(below + 1, np.maximum(counts - 1, 0)), columns]
    found = first + (place - below) * (then - first)
    everywhere = float(np.quantile(rows[np.isfinite(rows)], part)) if (counts < LEAST_DAYS).any(
        ) else math.nan
    return np.where(counts >= LEAST_DAYS, found, everywhere)


def _day_before(values: Floats, day: int, back: int) -> Floats:
    """The `day` steps that begin `back` days before the end, NaN where the past is shorter."""
    begin = len(values) - back * day
    piece = values[max(begin, 0):max(begin + day, 0)]
    return np.concatenate([np.full(day - len(piece), np.nan), piece])


def _means_of_hours(values: Floats, hours: NDArray[np.int64]) -> Floats:
    """[HOURS_OF_WEEK]."""
    there = np.isfinite(values)
    sums = np.bincount(hours[there], weights=values[there], minlength=HOURS_OF_WEEK)
    counts = np.bincount(hours[there], minlength=HOURS_OF_WEEK)
    of_day, days = sums.reshape(7, 24).sum(axis=0), counts.reshape(7, 24).sum(axis=0)
    every = np.where(days > 0, of_day / np.maximum(days, 1), values[there].mean())
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.tile(every, 7))


def _by_other_weeks(errors: Floats, hours: NDArray[np.int64], step_s: float) -> Floats:
    """Errors [n] against the mean of an hour as if that mean had been of its other weeks alone,
    for a week to come is in no mean; NaN where there is no other."""
    there = np.isfinite(errors)
    counts = np.bincount(hours[there], minlength=HOURS_OF_WEEK)[hours]
    own = max(1, round(SECONDS_PER_HOUR / step_s))
    others = np.maximum(counts - own, 0)
    found: Floats = errors * np.divide(counts, others, out=np.full(len(errors), np.nan),
                                       where=others > 0)
    return found


def with_now(band: Band, measured: float) -> Band:
    """The band with the step that runs as the meter tells it now; as it is where that is NaN."""
    if not math.isfinite(measured):
        return band
    low, expected, high = (values.copy() for values in (band.low, band.expected, band.high))
    low[:1] = expected[:1] = high[:1] = measured
    return Band(expected, low, high)


@dataclass(frozen=True, slots=True)
class Score:
    """Of one forecast against what came, in the forecast's own unit. mae: mean magnitude of the
    error; bias: mean of told - came; inside: part that lay in the band; known: part of the steps
    that could be compared."""

    mae: float
    bias: float
    inside: float
    known: float


def score(band: Band, came: Floats) -> Score:
    """came: [steps], NaN = missing. NaN for all but `known` where nothing came. Raises
    RequestError for another length."""
    if came.shape != band.expected.shape:
        raise RequestError(f"A forecast of {band.expected.shape[0]} steps cannot be compared with "
                           f"{came.shape[0]} that came")
    there = np.isfinite(came) & np.isfinite(band.expected)
    if not there.any():
        return Score(math.nan, math.nan, math.nan, 0.0)
    error = band.expected[there] - came[there]
    inside = (came[there] >= band.low[there]) & (came[there] <= band.high[there])
    return Score(float(np.abs(error).mean()), float(error.mean()), float(inside.mean()),
                 float(there.mean()))
