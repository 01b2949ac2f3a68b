"""How yesterday's forecast, as it would have been made at its beginning, met what came: beside the
method in use, persistence and the hour of the week, which it has to beat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from core.coordinator.forecasts import Forecaster, HourOfWeek, Past, Persistence, Score, score
from core.coordinator.meter import LOAD, PV
from core.coordinator.outlook import BUY, NEGATIVE, long_enough
from core.coordinator.view import PER_KWH, ForecastScore
from core.errors import RequestError

MOST_DAYS = 28
"""Of the mean that is told."""


@dataclass(frozen=True, slots=True)
class _What:
    word: str
    unit: str
    least: float = 0.0


WHAT = {LOAD: _What("load", "kW"), PV: _What("PV", "kW"), BUY: _What("price", PER_KWH, NEGATIVE)}


@dataclass(frozen=True, slots=True)
class _Day:
    """Of one day, by the method in use and by the two that it is compared with."""

    own: Score
    persistence: Score
    hour_of_week: Score


def scored(past: Mapping[str, Past], forecasters: Mapping[str, Forecaster], today: datetime,
           before: Sequence[ForecastScore], zone: ZoneInfo) -> list[ForecastScore]:
    """past: up to `today`'s beginning or later; forecasters: that have learnt nothing yet; before:
    what was told so far; zone: whose weeks count. The price is told by the hour of the week,
    where its past is long enough. A day that is told already, or of which nothing is known, adds
    nothing."""
    known = {one.what: one for one in before}
    found = []
    for name, what in WHAT.items():
        last = known.get(what.word)
        if name not in past or last is not None and last.until >= today:
            continue
        weekly = HourOfWeek(zone, what.least)
        method = weekly if name == BUY else forecasters[name]
        told = _of_day(past[name], method, weekly, today, what.least, name == BUY)
        if told is not None:
            found.append(_joined(what, method.name, last, told, today))
    return found


def _of_day(past: Past, method: Forecaster, weekly: Forecaster, today: datetime, least: float,
            needs_weeks: bool) -> _Day | None:
    end = round((today - past.start).total_seconds() / past.step_s)
    day = past.steps_a_day
    if end - day < 1 or end > len(past.values):
        return None
    earlier = Past(past.start, past.step_s, past.values[:end - day])
    came = past.values[end - day:end]
    if needs_weeks and not long_enough(earlier):
        return None
    try:
        told = _Day(*(score(one.ahead(earlier, day), came)
                      for one in (method, Persistence(least), weekly)))
    except RequestError:
        return None  # nothing is known of the days before
    return told if math.isfinite(told.own.mae) else None


def _joined(what: _What, method: str, last: ForecastScore | None, told: _Day,
            today: datetime) -> ForecastScore:
    """All over the same days: where one of them was not told before, they begin anew."""
    goes_on = last is not None and last.method == method and \
        math.isfinite(last.hour_of_week_error)
    days = min(last.days, MOST_DAYS - 1) if last is not None and goes_on else 0

    def mean(before: float, now: float) -> float:
        return (days * before + now) / (days + 1) if days else now

    error, other, weekly, inside = (0.0,) * 4 if last is None else (
        last.error, last.persistence_error, last.hour_of_week_error, last.covered_pct)
    return ForecastScore(
        what.word, method, mean(error, told.own.mae), mean(other, told.persistence.mae),
        mean(inside, 100.0 * told.own.inside), what.unit, days + 1, today,
        mean(weekly, told.hour_of_week.mae))
