"""The peak that a month's bill knows so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from core.coordinator.records import CoordinatorStore, Minute


def month_peak_kw(store: CoordinatorStore, site: str, zone: ZoneInfo, step_s: float,
                  now: datetime) -> float:
    """The highest import since the local month began, as means of step_s [s]; raises
    RetryLaterError."""
    month = now.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return highest_import(store.minutes(site, month, now), step_s)


def highest_import(minutes: Sequence[Minute], step_s: float) -> float:
    """The highest mean of a whole step [kW], 0 where nothing is known."""
    sums: dict[int, list[float]] = {}
    for one in minutes:
        if math.isfinite(one.grid_kw):
            sums.setdefault(int(one.time_s // step_s), []).append(one.grid_kw)
    return max([0.0, *(sum(values) / len(values) for values in sums.values())])
