"""Samples to minutes to hours: minimum, maximum, mean, last and count of each metric.

Rows are columns of equal length, sorted by (sid, ts). Raw rows: sid int32, ts int64 [us] and
one float32 a metric, NaN = missing. Rollup rows: sid, ts (where the bucket begins), seen
(int64 [us], the newest sample that had any value, 0 = none) and for each metric M: M_min,
M_max, M_mean, M_last float32, NaN where M_n (int32, samples that had a value) is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.topology import FloatArray, IndexArray
from core.vocabulary import METRIC_NAMES
from store.nodes import SidArray
from store.times import MINUTE_US

Rows = dict[str, NDArray[Any]]

PARTS = ("min", "max", "mean", "last", "n")
ROLLUP_COLUMNS = ("sid", "ts", "seen",
                  *(f"{name}_{part}" for name in METRIC_NAMES for part in PARTS))
RAW_COLUMNS = ("sid", "ts", *METRIC_NAMES)


@dataclass(frozen=True, slots=True)
class Block:
    """Frames of (a part of) one minute. ts: int64[k] [us], rising; sids: int32[s], rising;
    values: float32[k, metrics, s].
    """

    ts: NDArray[np.int64]
    sids: SidArray
    values: FloatArray


def raw_rows(block: Block, chosen: slice) -> Rows:
    """Rows of the nodes `chosen` of block.sids."""
    sids = block.sids[chosen]
    rows: Rows = {"sid": np.repeat(sids, len(block.ts)), "ts": np.tile(block.ts, len(sids))}
    for index, name in enumerate(METRIC_NAMES):
        rows[name] = np.ascontiguousarray(block.values[:, index, chosen].T).ravel()
    return rows


def minute_rows(block: Block, chosen: slice = slice(None)) -> Rows:
    """One row a node of `chosen`."""
    sids, values = block.sids[chosen], block.values[:, :, chosen]
    known = ~np.isnan(values)
    count = known.sum(axis=0, dtype=np.int32)
    newest = len(values) - 1 - known[::-1].argmax(axis=0)
    seen = np.where(count > 0, block.ts[newest], 0).max(axis=0)
    parts = {"min": np.fmin.reduce(values, axis=0), "max": np.fmax.reduce(values, axis=0),
             "mean": _mean(np.where(known, values, 0).sum(axis=0, dtype=np.float64), count),
             "last": np.take_along_axis(values, newest[np.newaxis], axis=0)[0], "n": count}
    begin = int(block.ts[0]) - int(block.ts[0]) % MINUTE_US
    rows: Rows = {"sid": sids, "ts": np.full(len(sids), begin, dtype=np.int64), "seen": seen}
    for index, name in enumerate(METRIC_NAMES):
        rows |= {f"{name}_{part}": parts[part][index] for part in PARTS}
    return rows


def _mean(total: NDArray[np.float64], count: NDArray[np.int32]) -> FloatArray:
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(np.float32)


def concatenate(parts: Sequence[Rows]) -> Rows:
    """All rows of `parts`, sorted by (sid, ts)."""
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((rows["ts"], rows["sid"]))
    return {name: values[order] for name, values in rows.items()}


def coarser(rows: Rows, period_us: int) -> Rows:
    """Rollup rows of buckets of `period_us`, from the rollup rows of finer ones."""
    bucket = rows["ts"] - rows["ts"] % period_us
    starts = group_starts(rows["sid"], bucket)
    found: Rows = {"sid": rows["sid"][starts], "ts": bucket[starts],
                   "seen": np.maximum.reduceat(rows["seen"], starts)}
    for name in METRIC_NAMES:
        found |= _coarser_metric(rows, name, starts)
    return found


def _coarser_metric(rows: Rows, name: str, starts: IndexArray) -> Rows:
    count, mean = rows[f"{name}_n"], rows[f"{name}_mean"]
    total = np.add.reduceat(np.where(count > 0, mean * count.astype(np.float64), 0), starts)
    counts = np.add.reduceat(count, starts)
    newest = np.maximum.reduceat(np.where(count > 0, np.arange(len(count)), -1), starts)
    return {
        f"{name}_min": np.fmin.reduceat(rows[f"{name}_min"], starts),
        f"{name}_max": np.fmax.reduceat(rows[f"{name}_max"], starts),
        f"{name}_mean": _mean(total, counts),
        f"{name}_last": np.where(newest >= 0, rows[f"{name}_last"][newest], np.float32(np.nan)),
        f"{name}_n": counts,
    }


def group_starts(*keys: NDArray[Any]) -> IndexArray:
    """Where any of the (sorted) keys changes, 0 included; empty for empty keys."""
    changed = np.zeros(len(keys[0]), dtype=bool)
    changed[:1] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)
