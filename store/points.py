"""From points of several origins to one Series: sorted, bucketed, every spike kept.

Minutes and what is wider weigh by time, a minute being known where it has any sample: so the
mean of a point times `Series.known_s` is the sum of what its minutes tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.ports import Series
from core.topology import FloatArray
from store.rollup import group_starts
from store.times import MINUTE_US, SECOND_US


@dataclass(frozen=True, slots=True)
class Points:
    """One column of one node. time_us: int64[k] [us]; count: int32[k], samples a point;
    minutes: int32[k], how many of its minutes are known, 0: the point is an instant."""

    time_us: NDArray[np.int64]
    minimum: FloatArray
    maximum: FloatArray
    mean: FloatArray
    count: NDArray[np.int32]
    minutes: NDArray[np.int32]

    def chosen(self, mask: NDArray[np.bool_ | np.intp]) -> Points:
        return Points(self.time_us[mask], self.minimum[mask], self.maximum[mask],
                      self.mean[mask], self.count[mask], self.minutes[mask])


_NO_VALUES = np.empty(0, dtype=np.float32)
NOTHING = Points(np.empty(0, dtype=np.int64), _NO_VALUES, _NO_VALUES, _NO_VALUES,
                 np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32))


def joined(parts: Sequence[Points]) -> Points:
    """All points that have a value, in the order of time."""
    parts = [NOTHING, *parts]
    points = Points(np.concatenate([part.time_us for part in parts]),
                    np.concatenate([part.minimum for part in parts]),
                    np.concatenate([part.maximum for part in parts]),
                    np.concatenate([part.mean for part in parts]),
                    np.concatenate([part.count for part in parts]),
                    np.concatenate([part.minutes for part in parts]))
    known = points.chosen(points.count > 0)
    order = np.argsort(known.time_us, kind="stable")
    return known.chosen(order)


def by_minute(points: Points) -> Points:
    """Instants of a minute as one point, which knows that minute; wider ones stay."""
    if points.minutes.all():
        return points
    found = _bucketed(points, MINUTE_US, MINUTE_US, points.count)
    return replace(found, minutes=np.maximum(found.minutes, np.int32(1)))


def bucketed(points: Points, width_us: int, shown_us: int) -> Points:
    """One point a bucket of `width_us` that has any, at the bucket's first point.

    Buckets lie on multiples of the width, so that a refresh moves none. Times are given in
    whole `shown_us`: a minute is known by its beginning. Where instants are among the points,
    samples weigh, else minutes.
    """
    weight = points.minutes if points.minutes.all() else points.count
    return _bucketed(points, width_us, shown_us, weight)


def _bucketed(points: Points, width_us: int, shown_us: int, weight: NDArray[np.int32]) -> Points:
    starts = group_starts(points.time_us // width_us)
    if not len(starts):
        return points
    total = np.add.reduceat(points.mean.astype(np.float64) * weight, starts)
    mean = total / np.add.reduceat(weight, starts)
    first = points.time_us[starts]
    return Points(first - first % shown_us, np.minimum.reduceat(points.minimum, starts),
                  np.maximum.reduceat(points.maximum, starts), mean.astype(np.float32),
                  np.add.reduceat(points.count, starts), np.add.reduceat(points.minutes, starts))


def series_of(node_id: str, column: str, points: Points, base_us: int, step_us: int,
              span: tuple[int, int], max_points: int) -> Series:
    """base_us: 0 for raw points, else the buckets that the range asks for [us].
    step_us: how much time one point stands for at the coarsest origin [us].
    """
    if base_us:
        points = by_minute(points)
    if base_us > MINUTE_US:
        points = bucketed(points, base_us, base_us)
    least_us = max(base_us, step_us)
    resolution_us = least_us
    if len(points.time_us) > max_points:
        width_us = _width(span, max_points, base_us)
        points = bucketed(points, width_us, base_us or 1)
        resolution_us = max(least_us, min(width_us, span[1] - span[0]))
    time_us = np.maximum(points.time_us, span[0])
    is_time_known = base_us and resolution_us > MINUTE_US
    known_us = np.minimum(points.minutes * np.int64(MINUTE_US), resolution_us)
    return Series(node_id, column, time_us / SECOND_US, points.minimum, points.maximum,
                  points.mean, resolution_us / SECOND_US,
                  known_us / SECOND_US if is_time_known else None)


def _width(span: tuple[int, int], max_points: int, base_us: int) -> int:
    """Such that no more than `max_points` buckets touch the span, a multiple of its base."""
    length = span[1] - span[0]
    if max_points == 1:
        return span[1] + 1
    least = -(-length // (max_points - 1))
    unit = base_us or (SECOND_US if least >= SECOND_US else 1)
    return -(-least // unit) * unit
