"""The peak that a month's bill knows so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from core.coordinator.minutes import MINUTE_S
from core.coordinator.records import CoordinatorStore, Minute

WHOLE = 0.9
"""Part of a step's minutes from which on its mean is taken for what the meter billed."""


def month_peak_kw(store: CoordinatorStore, site: str, zone: ZoneInfo, step_s: float,
                  now: datetime) -> float:
    """The highest import since the local month began, as means of step_s [s] that were over at
    `now`; raises RetryLaterError."""
    month = now.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return highest_import(store.minutes(site, month, now), step_s, now.timestamp())


def highest_import(minutes: Sequence[Minute], step_s: float, end_s: float) -> float:
    """The highest mean of a whole step that was over at end_s [s since 1970], as a demand meter of
    such steps forms it [kW]; 0 where nothing is known.

    A step of which less than WHOLE is known counts for nothing, though the meter has counted it:
    whoever takes a minute's surge, or what has not ended yet, for billed lets the site import so
    much for the rest of the month and pays for it; whoever misses a peak only saves with more care
    than is needed.
    """
    steps: dict[int, list[float]] = {}
    for one in minutes:
        if math.isfinite(one.grid_kw):
            steps.setdefault(int(one.time_s // step_s), []).append(one.grid_kw)
    least = WHOLE * step_s / MINUTE_S
    return max([0.0, *(sum(values) / len(values) for at, values in steps.items()
                       if len(values) >= least and (at + 1) * step_s <= end_s)])
