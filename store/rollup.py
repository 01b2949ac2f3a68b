"""Samples to minutes to hours: minimum, maximum, mean, last and count of each column.

Rows are columns of equal length, sorted by (sid, ts). Raw rows: sid int32, ts int64 [us] and
one float32 a column, NaN = missing. Rollup rows: sid, ts (where the bucket begins), seen
(int64 [us], the newest sample that had any value, 0 = none) and for each column C: C_min,
C_max, C_mean, C_last float32, NaN where C_n (int32, samples that had a value) is 0. Rows of
hours also tell C_minutes (int32), how many of their minutes have such a sample, and weigh these
alike in C_mean: so an hour's mean times its minutes is the sum of what its minutes tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.topology import FloatArray, IndexArray
from store.nodes import SidArray
from store.times import HOUR_US, MINUTE_US, floor_to

Rows = dict[str, NDArray[Any]]

PARTS = ("min", "max", "mean", "last", "n")
HOUR_PARTS = (*PARTS, "minutes")
MINUTES_OF_AN_HOUR = HOUR_US // MINUTE_US
"""C_minutes of an hour that a version before C_minutes kept: it counts as whole."""


def raw_columns(columns: Sequence[str]) -> tuple[str, ...]:
    return ("sid", "ts", *columns)


def rollup_columns(columns: Sequence[str], period_us: int) -> tuple[str, ...]:
    parts = HOUR_PARTS if period_us == HOUR_US else PARTS
    return ("sid", "ts", "seen", *(f"{name}_{part}" for name in columns for part in parts))


@dataclass(frozen=True, slots=True)
class Block:
    """Samples of some nodes. ts: int64[k] [us], rising; sids: int32[s], rising;
    values: float32[k, columns, s].
    """

    ts: NDArray[np.int64]
    sids: SidArray
    values: FloatArray

    def __len__(self) -> int:
        return len(self.ts)

    def part(self, chosen: slice) -> Block:
        return Block(self.ts[chosen], self.sids, self.values[chosen])

    def split(self, time_us: int) -> tuple[Block, Block]:
        """The samples before `time_us`, and those since."""
        at = int(np.searchsorted(self.ts, time_us))
        return self.part(slice(at)), self.part(slice(at, None))

    def periods(self, period_us: int) -> list[Block]:
        """One block a period that has samples."""
        bounds = [*group_starts(self.ts // period_us).tolist(), len(self)]
        return [self.part(slice(low, high))
                for low, high in zip(bounds, bounds[1:], strict=False)]


def joined_blocks(blocks: Sequence[Block]) -> Block:
    """Blocks of the same nodes that follow each other."""
    if len(blocks) == 1:
        return blocks[0]
    return Block(np.concatenate([block.ts for block in blocks]), blocks[0].sids,
                 np.concatenate([block.values for block in blocks]))


def raw_rows(block: Block, columns: Sequence[str], chosen: slice = slice(None)) -> Rows:
    """Rows of the nodes `chosen` of block.sids."""
    sids = block.sids[chosen]
    rows: Rows = {"sid": np.repeat(sids, len(block)), "ts": np.tile(block.ts, len(sids))}
    for index, name in enumerate(columns):
        rows[name] = np.ascontiguousarray(block.values[:, index, chosen].T).ravel()
    return rows


def bucket_rows(block: Block, columns: Sequence[str], period_us: int,
                chosen: slice | IndexArray = slice(None)) -> Rows:
    """One row a node of `chosen`, of a block that lies in one bucket of `period_us`."""
    sids, values = block.sids[chosen], block.values[:, :, chosen]
    known = ~np.isnan(values)
    count = known.sum(axis=0, dtype=np.int32)
    newest = len(values) - 1 - known[::-1].argmax(axis=0)
    seen = np.where(count > 0, block.ts[newest], 0).max(axis=0)
    parts = {"min": np.fmin.reduce(values, axis=0), "max": np.fmax.reduce(values, axis=0),
             "mean": _mean(np.where(known, values, 0).sum(axis=0, dtype=np.float64), count),
             "last": np.take_along_axis(values, newest[np.newaxis], axis=0)[0], "n": count}
    begin = floor_to(int(block.ts[0]), period_us)
    rows: Rows = {"sid": sids, "ts": np.full(len(sids), begin, dtype=np.int64), "seen": seen}
    for index, name in enumerate(columns):
        rows |= {f"{name}_{part}": parts[part][index] for part in PARTS}
    return rows


def rolled_up(block: Block, columns: Sequence[str], period_us: int) -> Rows:
    """Rollup rows of all buckets that the block of a told past touches: few samples of many
    nodes in one bucket, or many samples of few nodes in many, are one expression each. An hour
    of which a sample is told is known as a whole, however far apart its samples are."""
    if block.ts[0] // period_us == block.ts[-1] // period_us:
        rows = bucket_rows(block, columns, period_us)
    else:
        rows = coarser(_sample_rows(block, columns), columns, period_us)
    if period_us == HOUR_US:
        rows |= {f"{name}_minutes": np.where(rows[f"{name}_n"] > 0, MINUTES_OF_AN_HOUR, 0)
                 .astype(np.int32) for name in columns}
    return rows


def _sample_rows(block: Block, columns: Sequence[str]) -> Rows:
    """Rollup rows of one sample each."""
    raw = raw_rows(block, columns)
    rows: Rows = {"sid": raw["sid"], "ts": raw["ts"], "seen": np.zeros_like(raw["ts"])}
    for name in columns:
        values = raw[name]
        known = ~np.isnan(values)
        np.copyto(rows["seen"], raw["ts"], where=known)
        rows |= {f"{name}_{part}": values for part in PARTS[:-1]}
        rows[f"{name}_n"] = known.astype(np.int32)
    return rows


def _mean(total: NDArray[np.float64], count: NDArray[np.int32]) -> FloatArray:
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(np.float32)


def concatenate(parts: Sequence[Rows]) -> Rows:
    """All rows of `parts`, each sorted by (sid, ts), in that order."""
    if len(parts) == 1:
        return dict(parts[0])
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((rows["ts"], rows["sid"]))
    return {name: values[order] for name, values in rows.items()}


def between(rows: Rows, start_us: int, end_us: int) -> Rows:
    """The rows of [start, end)."""
    fits = (rows["ts"] >= start_us) & (rows["ts"] < end_us)
    return rows if fits.all() else {name: column[fits] for name, column in rows.items()}


def coarser(rows: Rows, columns: Sequence[str], period_us: int) -> Rows:
    """Rollup rows of buckets of `period_us`, from those of minutes, or of one sample each; all
    that know a value weigh alike in its mean."""
    bucket = rows["ts"] - rows["ts"] % period_us
    starts = group_starts(rows["sid"], bucket)
    if len(starts) == len(bucket) and period_us != HOUR_US:
        return {**rows, "ts": bucket}
    found: Rows = {"sid": rows["sid"][starts], "ts": bucket[starts],
                   "seen": np.maximum.reduceat(rows["seen"], starts)}
    for name in columns:
        known = np.add.reduceat(rows[f"{name}_n"] > 0, starts, dtype=np.int32)
        found |= _coarser_column(rows, name, starts, known)
        if period_us == HOUR_US:
            found[f"{name}_minutes"] = known
    return found


def _coarser_column(rows: Rows, name: str, starts: IndexArray,
                    known: NDArray[np.int32]) -> Rows:
    """known: how many rows of each bucket have a value."""
    count = rows[f"{name}_n"]
    known_mean = np.where(count > 0, rows[f"{name}_mean"], np.float32(0))
    total = np.add.reduceat(known_mean, starts, dtype=np.float64)
    newest = np.maximum.reduceat(np.where(count > 0, np.arange(len(count)), -1), starts)
    return {
        f"{name}_min": np.fmin.reduceat(rows[f"{name}_min"], starts),
        f"{name}_max": np.fmax.reduceat(rows[f"{name}_max"], starts),
        f"{name}_mean": _mean(total, known),
        f"{name}_last": np.where(newest >= 0, rows[f"{name}_last"][newest], np.float32(np.nan)),
        f"{name}_n": np.add.reduceat(count, starts),
    }


def group_starts(*keys: NDArray[Any]) -> IndexArray:
    """Where any of the (sorted) keys changes, 0 included; empty for empty keys."""
    changed = np.zeros(len(keys[0]), dtype=bool)
    changed[:1] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)
