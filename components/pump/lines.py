"""A log as few points as a chart has pixels, without losing a spike."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from core.heatpump.log import PumpLog

Floats = NDArray[np.float64]
MOST_POINTS = 360
ON = 0.5
LATE_CELLS = 3


def thin(log: PumpLog, values: Floats, most: int = MOST_POINTS) -> tuple[Floats, Floats]:
    """Times [s] and values: all of them, or of each stretch the lowest and the highest where
    they occurred. A stretch without any is one NaN, so that a gap stays a gap."""
    middle = log.time_s + log.step_s / 2
    if values.size <= most:
        return middle, values
    width = -(-2 * values.size // most)
    count = -(-values.size // width)
    padded = np.full(count * width, np.nan)
    padded[:values.size] = values
    table = padded.reshape(count, width)
    known = np.isfinite(table)
    low = np.where(known, table, np.inf).argmin(axis=1)
    high = np.where(known, table, -np.inf).argmax(axis=1)
    first, last = np.minimum(low, high), np.maximum(low, high)
    at = np.stack((first, last), axis=1) + (np.arange(count) * width)[:, np.newaxis]
    chosen = np.unique(np.minimum(at.ravel(), values.size - 1))
    return middle[chosen], values[chosen]


def gone_from(log: PumpLog, values: Floats, late_s: float) -> float:
    """From when on nothing was heard to the log's end [s]; NaN for what was never heard, or is
    but `late_s` and a few cells behind it."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return math.nan
    last_s = float(log.time_s[known[-1]]) + log.step_s
    return last_s if log.end_s - last_s > LATE_CELLS * log.step_s + late_s else math.nan


def means(log: PumpLog, values: Floats, most: int = MOST_POINTS) -> tuple[Floats, Floats]:
    """Times [s] of the beginnings and means of equal stretches; NaN where nothing is known."""
    width = max(-(-values.size // most), 1)
    begins = np.arange(0, values.size, width)
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(np.float64), begins)
    total = np.add.reduceat(np.where(known, values, 0.0), begins)
    return log.time_s[begins], np.divide(total, count, out=np.full(count.size, np.nan),
                                         where=count > 0)


def steps(log: PumpLog, share: Floats) -> tuple[Floats, Floats]:
    """Times [s] and 0, 1 or NaN at each change of a switch, for a line of shape "hv"."""
    if not share.size:
        return np.empty(0), np.empty(0)
    state = np.where(np.isfinite(share), (share >= ON).astype(np.float64), -1.0)
    changed = np.flatnonzero(np.append(True, np.diff(state) != 0))
    times = np.append(log.time_s[changed], log.end_s)
    values = np.append(state[changed], state[-1])
    return times, np.where(values < 0, np.nan, values)


def held(time_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """For a line of shape "hv": what is known is held until it is not known any more."""
    ends = np.flatnonzero(np.isnan(values[1:]) & np.isfinite(values[:-1])) + 1
    return np.insert(time_s, ends, time_s[ends]), np.insert(values, ends, values[ends - 1])


def grounded(time_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """For an area: at zero, with upright edges, where nothing is known, because Plotly fills
    areas across NaN."""
    known = np.isfinite(values)
    ends = np.flatnonzero(known[:-1] & ~known[1:]) + 1
    begins = np.flatnonzero(~known[:-1] & known[1:]) + 1
    at = np.concatenate([ends, begins])
    edges_s = np.concatenate([time_s[ends - 1], time_s[begins]])
    return (np.insert(time_s, at, edges_s),
            np.insert(np.where(known, values, 0.0), at, np.zeros(at.size)))


def runs(log: PumpLog, share: Floats) -> list[tuple[float, float]]:
    """From, to [s] of each stretch in which a switch was on."""
    on = np.where(np.isfinite(share), share >= ON, False).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], on, [0])))).reshape(-1, 2)
    bounds = np.append(log.time_s, log.end_s)
    return [(float(bounds[start]), float(bounds[end])) for start, end in edges]
