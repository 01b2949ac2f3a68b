"""What a window of a series was like: time-weighted, gaps left out, spikes kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.ports import Series

GAP_FACTOR = 2.5


@dataclass(frozen=True, slots=True)
class WindowStats:
    """mean, spread (standard deviation) weighted by time; lowest and highest of the samples
    themselves; NaN when nothing is known. points: of the series. known_s: time covered [s]."""

    mean: float
    spread: float
    lowest: float
    highest: float
    points: int
    known_s: float


def weights_s(series: Series) -> NDArray[np.float64]:
    """How long each point stands [s]: as long as it is known; where that is not told until the
    next one, but over a gap for its resolution."""
    step_s = np.append(np.diff(series.time_s), series.resolution_s)
    own_s: NDArray[np.float64] = (
        np.where(step_s <= GAP_FACTOR * series.resolution_s, step_s, series.resolution_s)
        if series.known_s is None else np.minimum(series.known_s, step_s))
    return own_s


def window_stats(series: Series) -> WindowStats:
    """Of all points of `series` that are not NaN."""
    there = np.isfinite(series.mean)
    if not there.any():
        return WindowStats(math.nan, math.nan, math.nan, math.nan, 0, 0.0)
    weight = np.where(there, weights_s(series), 0.0)
    value = np.where(there, series.mean, 0.0).astype(np.float64)
    mean = float((value * weight).sum() / weight.sum())
    spread = math.sqrt(float((np.where(there, value - mean, 0.0) ** 2 * weight).sum()
                             / weight.sum()))
    return WindowStats(mean, spread, float(np.nanmin(series.minimum)),
                       float(np.nanmax(series.maximum)), int(there.sum()), float(weight.sum()))


def share_below(series: Series, level: float) -> float:
    """Share of the known time with a mean below `level`, 0..1; NaN when nothing is known."""
    there = np.isfinite(series.mean)
    weight = np.where(there, weights_s(series), 0.0) if there.any() else np.zeros(0)
    total = float(weight.sum())
    return float(weight[there & (series.mean < level)].sum()) / total if total > 0 else math.nan
