"""The stored form of a frame: float32[metrics, nodes], NaN where stale or missing (law 4)."""

from __future__ import annotations

import numpy as np

from core.frames import Frame
from core.topology import FloatArray
from core.vocabulary import METRIC_NAMES


def values_of(frame: Frame) -> FloatArray:
    """A new array in the order of METRIC_NAMES."""
    values = np.empty((len(METRIC_NAMES), len(frame.stale)), dtype=np.float32)
    for index, name in enumerate(METRIC_NAMES):
        values[index] = frame.columns.get(name, np.nan)
    if frame.stale.any():
        values[:, frame.stale] = np.nan
    return values
