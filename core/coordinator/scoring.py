"""How yesterday's forecast, as it would have been made at its beginning, met what came: beside the
method in use, persistence and the hour of the week, which it has to beat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    now = ForecastScore(what.word, method, told.own.mae, told.persistence.mae,
                        100.0 * told.own.inside, what.unit, 1, today, told.hour_of_week.mae)
    if last is None or last.method != method or last.hour_of_week_error is None:
        return now
    days = min(last.days, MOST_DAYS - 1)

    def mean(before: float, new: float) -> float:
        return (days * before + new) / (days + 1)

    return replace(now, error=mean(last.error, now.error), days=days + 1,
                   persistence_error=mean(last.persistence_error, now.persistence_error),
                   hour_of_week_error=mean(last.hour_of_week_error, told.hour_of_week.mae),
                   covered_pct=mean(last.covered_pct, now.covered_pct))
