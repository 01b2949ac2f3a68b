"""How yesterday's forecast, as it would have been made at its beginning, met what came."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from core.coordinator.forecasts import Forecaster, Past, Persistence, Score, score
from core.coordinator.meter import LOAD, PV
from core.coordinator.view import ForecastScore
from core.errors import RequestError

WORDS = {LOAD: "load", PV: "PV"}
MOST_DAYS = 28
"""Of the mean that is told."""


def scored(past: Mapping[str, Past], forecasters: Mapping[str, Forecaster], today: datetime,
           before: Sequence[ForecastScore]) -> list[ForecastScore]:
    """past: up to `today`'s beginning or later; forecasters: that have learnt nothing yet; before:
    what was told so far. A day that is told already, or of which nothing is known, adds
    nothing."""
    known = {one.what: one for one in before}
    found = []
    for name, what in WORDS.items():
        last = known.get(what)
        if last is not None and last.until >= today:
            continue
        told = _of_day(past[name], forecasters[name], today)
        if told is not None:
            found.append(_joined(what, forecasters[name].name, last, *told, today))
    return found


def _of_day(past: Past, forecaster: Forecaster, today: datetime) -> tuple[Score, Score] | None:
    """Of the method and of persistence."""
    end = round((today - past.start).total_seconds() / past.step_s)
    day = past.steps_a_day
    if end - day < 1 or end > len(past.values):
        return None
    earlier = Past(past.start, past.step_s, past.values[:end - day])
    came = past.values[end - day:end]
    try:
        own, simple = (score(one.ahead(earlier, day), came) for one in (forecaster, Persistence()))
    except RequestError:
        return None  # nothing is known of the days before
    return (own, simple) if math.isfinite(own.mae) else None


def _joined(what: str, method: str, last: ForecastScore | None, own: Score, simple: Score,
            today: datetime) -> ForecastScore:
    days = 0 if last is None or last.method != method else min(last.days, MOST_DAYS - 1)

    def mean(before: float, now: float) -> float:
        return (days * before + now) / (days + 1) if days else now

    error, other, inside = (0.0, 0.0, 0.0) if last is None else (
        last.error, last.persistence_error, last.covered_pct)
    return ForecastScore(what, method, mean(error, own.mae), mean(other, simple.mae),
                         mean(inside, 100.0 * own.inside), "kW", days + 1, today)
