"""The past of several channels as rows on one grid of time: means over the whole range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from core.devices import Floats
from core.ports import ChannelHistory, Series, Tier

ALL_POINTS = 1_000_000
FINEST_S = 1.0
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Rows:
    """time_s: float64[k], where each row begins [s since 1970], rising. columns: name ->
    float64[k], NaN = not known; a row has at least one value."""

    time_s: Floats
    columns: dict[str, Floats]


def rows_over(history: ChannelHistory, channels: Mapping[str, str | None], end: datetime,
              hours: int, limit: int) -> Rows:
    """The last `hours` in at most `limit` rows, each the mean of its channels' points.

    channels: name -> channel, None where no device tells it. The range is never cut: where
    there are more points than rows, rows are wider. Raises as `ChannelHistory.series`.
    """
    start = end - timedelta(hours=hours)
    asked = {name: channel for name, channel in channels.items() if channel is not None}
    found = history.series(list(asked.values()), start, end, limit, tier_of(hours, limit))
    series = dict(zip(asked, found, strict=True))
    widest_s = max((one.resolution_s for one in found if one.time_s.size), default=FINEST_S)
    width_s = max(float(round(widest_s)), FINEST_S)
    starts = _buckets(found, width_s)
    if starts.size > limit:
        width_s = _width_s(start, end, width_s, limit)
        starts = _buckets(found, width_s)
    columns = {name: (_means(series[name], starts, width_s) if name in series
                      else np.full(starts.size, np.nan)) for name in channels}
    return Rows(np.maximum(starts * width_s, start.timestamp()), columns)


def tier_of(hours: int, limit: int) -> Tier:
    """Raw readings for an hour, else the coarsest that still fills the rows."""
    if hours <= 1:
        return "auto"
    return "minute" if hours * HOUR_S / limit < HOUR_S else "hour"


def _buckets(series: Sequence[Series], width_s: float) -> Floats:
    """Numbers of the buckets that hold a point, on multiples of the width, rising."""
    times = [np.floor(one.time_s / width_s) for one in series]
    return np.unique(np.concatenate([np.empty(0), *times]))


def _width_s(start: datetime, end: datetime, step_s: float, limit: int) -> float:
    """Such that no more than `limit` buckets touch the range, a multiple of `step_s`."""
    if limit == 1:
        return math.ceil(end.timestamp()) + step_s
    least_s = (end - start).total_seconds() / (limit - 1)
    return math.ceil(least_s / step_s) * step_s


def _means(series: Series, starts: Floats, width_s: float) -> Floats:
    """The mean of a series' points in each bucket by how long each is known, NaN where it has
    none."""
    known = np.isfinite(series.mean)
    weight = np.ones(known.size) if series.known_s is None else series.known_s
    places = np.searchsorted(starts, np.floor(series.time_s[known] / width_s))
    known_s = np.bincount(places, weight[known], minlength=starts.size)
    total = np.bincount(places, (weight * series.mean)[known], minlength=starts.size)
    means: Floats = np.divide(total, known_s, out=np.full(starts.size, np.nan),
                              where=known_s > 0)
    return means


def minutes_over(history: ChannelHistory, channels: Sequence[str], end: datetime,
                 hours: int) -> list[Series]:
    """The last `hours` of channels, every minute that is known. Raises as `series`."""
    return history.series(list(channels), end - timedelta(hours=hours), end, ALL_POINTS,
                          "minute")


def moments(series: Sequence[Series]) -> int:
    """How many moments have a point of any of the series."""
    return int(np.unique(np.concatenate([np.empty(0), *(one.time_s for one in series)])).size)
