"""The better forecast: yesterday, last week, their means and how today goes so far, weighed as
they would have been right in the last eight weeks.

For each step ahead a ridge regression of its own (Hoerl and Kennard 1970, doi:10.2307/1267351) on
what a meter's own past offers; once a day it learns anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from core.coordinator.forecasts import (
    ERROR_DAYS,
    HIGH,
    LOW,
    Past,
    Persistence,
    known,
)
from core.coordinator.problem import Band, Floats

DAYS_BACK = 14
"""So far back lie the oldest values that a guess is made of."""
LEAST_DAYS, MOST_DAYS = 10, 56
"""Of a past to learn from, beside DAYS_BACK; what is older is forgotten. Two of them are today,
and the day that the last of them foretold."""
KNOWN_DAYS = 2
"""Of the last DAYS_BACK, below which it says nothing."""
RIDGE = 1.0
"""Of values in units of their own standard deviation."""
HABIT = timedelta(days=1)
"""So long what was learnt is used."""
RECENT_H = 4.0
"""Of today, that tell how it goes so far."""
CLEAR = 0.1
"""Of the standard deviation, added to the highest of two weeks before dividing by it."""


@dataclass(frozen=True, slots=True)
class _Learnt:
    """at: end of the past that it was learnt from. weights: by step ahead [a day's steps,
    features]; low, high: quantiles of its errors by step ahead and hour (UTC) in which it was
    told [a day's steps, 24]; all of values over `scale`."""

    at: datetime
    step_s: float
    scale: float
    weights: Floats
    low: Floats
    high: Floats


class Blend:
    """A Forecaster; one for each meter, because it learns. Until the past is 24 days long it tells
    as persistence does; 70 days are enough. least: as of `Persistence`."""

    name = "blend of days and weeks"

    def __init__(self, least: float = 0.0) -> None:
        self._least = least
        self._simple = Persistence(least)
        self._learnt: _Learnt | None = None

    def ahead(self, past: Past, steps: int) -> Band:
        """As `Forecaster`; beyond a day it goes on from what it has told."""
        day, values = past.steps_a_day, known(past)
        learnt = self._taught(past, values, day)
        if learnt is None:
            return self._simple.ahead(past, steps)
        told: list[Floats] = []
        for ahead in range(-(-steps // day)):
            hour = _hour(past, len(values), day)
            told.append(_told(learnt, values, day, hour, self._least))
            values = np.concatenate([values, told[ahead][0]])
        expected, low, high = np.concatenate(told, axis=1)[:, :steps]
        return Band(expected, low, high)

    def _taught(self, past: Past, values: Floats, day: int) -> _Learnt | None:
        recent, ever = (np.count_nonzero(np.isfinite(values[-days * day:])) / day
                        for days in (DAYS_BACK, DAYS_BACK + MOST_DAYS))
        if day % 24 or len(values) < (DAYS_BACK + LEAST_DAYS) * day or (
                recent < KNOWN_DAYS or ever < LEAST_DAYS):
            return None
        held = self._learnt
        if held is None or held.step_s != past.step_s or not (
                timedelta(0) <= past.end - held.at < HABIT):
            self._learnt = _learnt(past, values, day)
        return self._learnt


def _hour(past: Past, count: int, day: int) -> int:
    """The hour of the day (UTC) of the last of `count` steps."""
    return (round(past.start.timestamp() / past.step_s) + count - 1) % day * 24 // day


def _told(learnt: _Learnt, values: Floats, day: int, hour: int, least: float) -> Floats:
    """Expected, low and high of the next day [3, a day's steps]; where two weeks had nothing at
    that time, as PV at night, nothing."""
    scaled = values[-(DAYS_BACK + 1) * day:] / learnt.scale
    coming = len(scaled) + np.arange(day)
    guesses, week = _of_days(_days(scaled, coming, day))
    today = _today(scaled, np.array([len(scaled) - 1]), day)
    features = _features(guesses, np.repeat(today, day, axis=0))
    guess = week + np.einsum("kf,kf->k", features, learnt.weights)
    low, high = learnt.low[:, hour], learnt.high[:, hour]
    expected = np.maximum(learnt.scale * guess, least)
    band = np.stack([expected,
                     np.maximum(np.minimum(learnt.scale * (guess + low), expected), least),
                     np.maximum(learnt.scale * (guess + high), expected)])
    night = ~np.abs(_days(scaled, coming, day)).any(axis=0)
    return np.where(night, 0.0, band)


def _learnt(past: Past, values: Floats, day: int) -> _Learnt:
    """Told at each hour of the last days: what each step ahead should have been."""
    kept = values[-(DAYS_BACK + MOST_DAYS + 2) * day:]
    scale = float(np.nanstd(kept)) or 1.0
    kept = kept / scale
    days = min(MOST_DAYS, len(kept) // day - DAYS_BACK - 2)
    hours = np.arange(-24 * days, 0) + 1
    last = len(kept) - 1 - day + hours * (day // 24)
    begin = int(last[0])
    every = np.arange(begin, len(kept))
    guesses, week = _of_days(_days(kept, every, day))
    today = _today(kept, last, day)
    weights = np.empty((day, guesses.shape[1] + today.shape[1]))
    errors = np.full((day, len(last)), np.nan)
    for ahead in range(day):
        coming = last + 1 + ahead
        features = _features(guesses[coming - begin], today)
        should = kept[coming] - week[coming - begin]
        there = np.isfinite(should)
        weights[ahead] = _ridge(features[there], should[there])
        errors[ahead] = should - features @ weights[ahead]
    first = _hour(past, len(values) - len(kept) + begin + 1, day)
    low, high = (_by_hour(errors, part, first) for part in (LOW, HIGH))
    return _Learnt(past.end, past.step_s, scale, weights, low, high)


def _ridge(features: Floats, should: Floats) -> Floats:
    count = features.shape[1]
    found = np.linalg.solve(features.T @ features + RIDGE * np.eye(count), features.T @ should)
    return found.astype(np.float64)


def _by_hour(errors: Floats, part: float, first: int) -> Floats:
    """Quantile of errors [steps, 24 x days], of which the first column was told in hour `first`,
    by hour of the day [steps, 24]."""
    rows = errors.reshape(len(errors), -1, 24)[:, -ERROR_DAYS:]
    found: Floats = np.quantile(np.where(np.isfinite(rows), rows, 0.0), part, axis=1)
    return np.roll(found, first, axis=1)


def _days(values: Floats, at: NDArray[np.int64], day: int) -> Floats:
    """What each of the steps `at` [k] was like 1 to DAYS_BACK days before, [DAYS_BACK, k]; where
    that is missing, the mean of those days, or of all of them at any time."""
    back = day * np.arange(1, DAYS_BACK + 1)[:, None]
    found: Floats = values[at - back]
    there = np.isfinite(found)
    if there.all():
        return found
    counts, sums = there.sum(axis=0), np.where(there, found, 0.0).sum(axis=0)
    every = float(sums.sum()) / max(int(counts.sum()), 1)
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), every)
    return np.where(there, found, mean)


def _of_days(days: Floats) -> tuple[Floats, Floats]:
    """Of days [DAYS_BACK, k]: guesses [k, 7], the last of them the highest of two weeks, which is
    a clear day where it is PV; and the mean of a week, from which they are weighed [k]."""
    week = days[:7].mean(axis=0)
    guesses = np.stack([days[0], days[1], days[6], days[:3].mean(axis=0), week,
                        days[6::7].mean(axis=0), days.max(axis=0)], axis=1)
    return guesses, week


def _today(values: Floats, last: NDArray[np.int64], day: int) -> Floats:
    """How far the steps `last` [k], and the hours up to them, are from the week's mean, and the
    latter against the highest of two weeks there [k, 3]."""
    recent = max(round(RECENT_H * day / 24), 1)
    back = last[:, None] - np.arange(recent)
    guesses, week = _of_days(_days(values, back.ravel(), day))
    away = values[back] - week.reshape(back.shape)
    away = np.where(np.isfinite(away), away, 0.0)
    mean, highest = away.mean(axis=1), guesses[::recent, -1]
    return np.stack([away[:, 0], mean, np.clip(mean / (highest + CLEAR), -1.0, 1.0)], axis=1)


def _features(guesses: Floats, today: Floats) -> Floats:
    """[k, 10]: a sunny morning counts for as much as the sun can give later."""
    found: Floats = np.column_stack([guesses, today[:, :2], today[:, 2] * guesses[:, -1]])
    return found
