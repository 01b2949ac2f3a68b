"""From points of several origins to one Series: sorted, bucketed, every spike kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.ports import Series
from core.topology import FloatArray
from store.rollup import group_starts
from store.times import SECOND_US


@dataclass(frozen=True, slots=True)
class Points:
    """One column of one node. time_us: int64[k] [us]; count: int32[k], samples a point."""

    time_us: NDArray[np.int64]
    minimum: FloatArray
    maximum: FloatArray
    mean: FloatArray
    count: NDArray[np.int32]

    def chosen(self, mask: NDArray[np.bool_]) -> Points:
        return Points(self.time_us[mask], self.minimum[mask], self.maximum[mask],
                      self.mean[mask], self.count[mask])


_NO_VALUES = np.empty(0, dtype=np.float32)
NOTHING = Points(np.empty(0, dtype=np.int64), _NO_VALUES, _NO_VALUES, _NO_VALUES,
                 np.empty(0, dtype=np.int32))


def joined(parts: Sequence[Points]) -> Points:
    """All points that have a value, in the order of time."""
    parts = [NOTHING, *parts]
    points = Points(np.concatenate([part.time_us for part in parts]),
                    np.concatenate([part.minimum for part in parts]),
                    np.concatenate([part.maximum for part in parts]),
                    np.concatenate([part.mean for part in parts]),
                    np.concatenate([part.count for part in parts]))
    known = points.chosen(points.count > 0)
    order = np.argsort(known.time_us, kind="stable")
    return Points(known.time_us[order], known.minimum[order], known.maximum[order],
                  known.mean[order], known.count[order])


def bucketed(points: Points, width_us: int, shown_us: int) -> Points:
    """One point a bucket of `width_us` that has any, at the bucket's first point.

    Buckets lie on multiples of the width, so that a refresh moves none. Times are given in
    whole `shown_us`: a minute is known by its beginning.
    """
    starts = group_starts(points.time_us // width_us)
    if not len(starts):
        return points
    count = np.add.reduceat(points.count, starts)
    total = np.add.reduceat(points.mean.astype(np.float64) * points.count, starts)
    first = points.time_us[starts]
    return Points(first - first % shown_us, np.minimum.reduceat(points.minimum, starts),
                  np.maximum.reduceat(points.maximum, starts),
                  (total / count).astype(np.float32), count)


def series_of(node_id: str, column: str, points: Points, base_us: int, step_us: int,
              span: tuple[int, int], max_points: int) -> Series:
    """base_us: 0 for raw points, else the buckets that the range asks for [us].
    step_us: how much time one point stands for at the coarsest origin [us].
    """
    if base_us:
        points = bucketed(points, base_us, base_us)
    least_us = max(base_us, step_us)
    resolution_us = least_us
    if len(points.time_us) > max_points:
        width_us = _width(span, max_points, base_us)
        points = bucketed(points, width_us, base_us or 1)
        resolution_us = max(least_us, min(width_us, span[1] - span[0]))
    time_us = np.maximum(points.time_us, span[0])
    return Series(node_id, column, time_us / SECOND_US, points.minimum, points.maximum,
                  points.mean, resolution_us / SECOND_US)


def _width(span: tuple[int, int], max_points: int, base_us: int) -> int:
    """Such that no more than `max_points` buckets touch the span, a multiple of its base."""
    length = span[1] - span[0]
    if max_points == 1:
        return span[1] + 1
    least = -(-length // (max_points - 1))
    unit = base_us or (SECOND_US if least >= SECOND_US else 1)
    return -(-least // unit) * unit
