"""Minutes told anew, because a device delivered late what they lacked: what of them is better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from store.nodes import SidArray
from store.rollup import PARTS, Block, Rows, bucket_rows, concatenate
from store.times import MINUTE_US

MORE = 1.2
"""A column of a minute is told better with so many times the samples: two clocks that sample the
same second may count one apart."""
ABOUT = 0.8
PLACE_BITS = 32


def minutes_of(blocks: Iterable[Block], columns: Sequence[str], sids: SidArray) -> Rows | None:
    """One row a node of `sids` and minute, sorted; blocks: of one minute each. None: nothing is
    told."""
    rows = [bucket_rows(block, columns, MINUTE_US, np.flatnonzero(np.isin(block.sids, sids)))
            for block in blocks]
    return concatenate(rows) if rows else None


def keys(rows: Rows) -> NDArray[np.int64]:
    """Node and minute as one number, rising where rows are sorted."""
    found: NDArray[np.int64] = (rows["sid"].astype(np.int64) << PLACE_BITS) + (
        rows["ts"] // MINUTE_US)
    return found


def put(there: Rows, instead: Rows) -> Rows:
    """Rows in the place of those of the same node and time, sorted."""
    left = ~np.isin(keys(there), keys(instead))
    return concatenate([{name: column[left] for name, column in there.items()},
                        {name: instead[name] for name in there}])


def improved(told: Rows, kept: Rows, columns: Sequence[str]) -> Rows:
    """Whole rows for those of `told` that change what is kept, both sorted: a column is taken
    where it knows more than the kept one. In a minute that gains something and tells of each node
    that history knows, as much will do: then the sums above a late node are told anew."""
    at, there = _places(told, kept)
    counts = {name: np.where(there, kept[f"{name}_n"][at], 0) if len(kept["ts"]) else
              np.zeros(len(told["ts"]), np.int32) for name in columns}
    gains = {name: told[f"{name}_n"] > MORE * counts[name] for name in columns}
    again = np.isin(told["ts"], _whole(told, kept, columns)) & np.isin(
        told["ts"], np.unique(told["ts"][np.any(list(gains.values()), axis=0)]))
    takes = {name: gains[name] | (again & (told[f"{name}_n"] > 0)
                                  & (told[f"{name}_n"] >= ABOUT * counts[name]))
             for name in columns}
    rows = dict(told)
    for name in columns:
        for part in PARTS:
            column = f"{name}_{part}"
            nothing = 0 if part == "n" else np.nan
            before = kept[column][at] if len(kept["ts"]) else told[column]
            rows[column] = np.where(takes[name], told[column], np.where(
                there, before, nothing)).astype(told[column].dtype)
    if len(kept["ts"]):
        rows["seen"] = np.maximum(told["seen"], np.where(there, kept["seen"][at], 0))
    changed = np.any(list(takes.values()), axis=0)
    return {name: column[changed] for name, column in rows.items()}


def _places(told: Rows, kept: Rows) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where in `kept` each row of `told` has its like, and whether it has one."""
    of_told, of_kept = keys(told), keys(kept)
    at = np.minimum(np.searchsorted(of_kept, of_told), max(len(of_kept) - 1, 0))
    if not len(of_kept):
        return at, np.zeros(len(of_told), np.bool_)
    return at, of_kept[at] == of_told


def _whole(told: Rows, kept: Rows, columns: Sequence[str]) -> NDArray[np.int64]:
    """Minutes of which every node is told that history knows."""
    known = _knows(kept, columns) & np.isin(kept["sid"], told["sid"])
    missing = known & ~np.isin(keys(kept), keys(told)[_knows(told, columns)])
    return np.setdiff1d(told["ts"], kept["ts"][missing])


def _knows(rows: Rows, columns: Sequence[str]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.any([rows[f"{name}_n"] > 0 for name in columns], axis=0)
    return found
