"""Writes sealed Parquet files: zstd, one row group a (minute of raw, or file) and sid block.

Raw files are sorted by (minute, sid, ts): the whole site at one instant lies in the row groups
of one minute. Rollup files are sorted by (sid, ts). Blocks of numbers are the same in all
files, so that files merge block by block in little memory, and one node's rows are found by
the statistics of `sid` and `ts` alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

from store.amend import put
from store.files import PART, PERIOD_US, Sealed
from store.nodes import SidArray
from store.rollup import (
    MINUTES_OF_AN_HOUR,
    Block,
    Rows,
    between,
    bucket_rows,
    coarser,
    concatenate,
    raw_columns,
    raw_rows,
    rollup_columns,
)
from store.spans import Span
from store.times import HOUR_US, MINUTE_US

BLOCK_NODES = 512
COMPRESSION_LEVEL = 1
KEYS = ("sid", "ts")

POOL = pa.system_memory_pool()
"""Gives memory back at once; Arrow's own pool, used in reading, is told to after a merge."""

WriteError = pa.ArrowException
"""What Arrow raises beside OSError."""


def _type_of(name: str) -> Any:
    if name == "sid" or name.endswith(("_n", "_minutes")):
        return pa.int32()
    return pa.int64() if name in ("ts", "seen") else pa.float32()


def _schema(names: Sequence[str]) -> Any:
    return pa.schema([pa.field(name, _type_of(name), nullable=False) for name in names])


@contextmanager
def _writer(path: Path, schema: Any) -> Iterator[Any]:
    """Write `path` with PART appended, durable; `Vault.publish` gives it its name."""
    floats = [field.name for field in schema if field.type == pa.float32()]
    part = path.with_name(path.name + PART)
    with part.open("wb") as file:
        with pq.ParquetWriter(
                file, schema, compression="zstd", compression_level=COMPRESSION_LEVEL,
                use_dictionary=[name for name in schema.names if name not in floats],
                column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
                write_statistics=list(KEYS), store_schema=False, memory_pool=POOL) as writer:
            yield writer
        file.flush()
        os.fsync(file.fileno())


def _write(writer: Any, schema: Any, rows: Rows) -> None:
    if not len(rows["sid"]):
        return
    columns = [pa.array(rows[field.name], type=field.type) for field in schema]
    writer.write_table(pa.Table.from_arrays(columns, schema=schema),
                       row_group_size=len(rows["sid"]))


def _blocks_of(sids: SidArray) -> Iterator[slice]:
    """Slices of rising `sids` that lie in one block of numbers each."""
    edges = np.flatnonzero(np.diff(sids // BLOCK_NODES)) + 1
    bounds = [0, *edges.tolist(), len(sids)]
    return (slice(low, high) for low, high in zip(bounds, bounds[1:], strict=False))


def write_raw(path: Path, columns: Sequence[str], blocks: Iterable[Block]) -> list[Rows]:
    """Write the blocks (one a minute); returns their minutes. Raises OSError, WriteError."""
    minutes: list[Rows] = []
    schema = _schema(raw_columns(columns))
    with _writer(path, schema) as writer:
        for block in blocks:
            for chosen in _blocks_of(block.sids):
                _write(writer, schema, raw_rows(block, columns, chosen))
                minutes.append(bucket_rows(block, columns, MINUTE_US, chosen))
    return minutes


def write_rollup(path: Path, columns: Sequence[str], parts: Sequence[Rows],
                 period_us: int) -> None:
    """Parts of which each is sorted by sid; raises OSError, WriteError."""
    blocks: dict[int, list[tuple[Rows, slice]]] = {}
    for rows in parts:
        for chosen in _blocks_of(rows["sid"]):
            number = int(rows["sid"][chosen.start]) // BLOCK_NODES
            blocks.setdefault(number, []).append((rows, chosen))
    schema = _schema(rollup_columns(columns, period_us))
    with _writer(path, schema) as writer:
        for number in sorted(blocks):
            _write(writer, schema, concatenate([
                {name: column[chosen] for name, column in rows.items()}
                for rows, chosen in blocks[number]]))


def merge(path: Path, columns: Sequence[str], inputs: Sequence[Sealed]) -> None:
    """One rollup file of many.

    Raises OSError, WriteError, and UnreadableError naming the input that cannot be read.
    """
    _rewrite(path, columns, inputs, PERIOD_US[inputs[0].tier], lambda rows: rows)


def merge_coarser(path: Path, columns: Sequence[str], inputs: Sequence[Sealed], period_us: int,
                  span: Span) -> None:
    """One rollup file in buckets of `period_us`, of those that lie in `span`; raises as `merge`.
    """
    _rewrite(path, columns, inputs, period_us,
             lambda rows: between(coarser(rows, columns, period_us), *span))


def amend(path: Path, columns: Sequence[str], file: Sealed, rows: Rows) -> None:
    """A file of minutes with `rows` in the place of those of the same node and minute, both sorted
    by (sid, ts); raises as `merge`."""
    _put(path, columns, file, lambda number: _of_block(rows, number))


def amend_hours(path: Path, columns: Sequence[str], file: Sealed, minutes: Sequence[Sealed],
                hours: Sequence[int]) -> None:
    """A file of hours in which some [us] are rolled up anew from files of minutes; raises as
    `merge`."""
    groups, names = _groups_by_block(minutes), rollup_columns(columns, MINUTE_US)

    def anew(number: int) -> Rows:
        there = concatenate([_read_group(*where, names) for where in groups[number]])
        own = np.isin(there["ts"] - there["ts"] % HOUR_US, hours)
        return coarser({name: column[own] for name, column in there.items()}, columns, HOUR_US)

    _put(path, columns, file, lambda number: anew(number) if number in groups else None)


def _put(path: Path, columns: Sequence[str], file: Sealed,
         instead: Callable[[int], Rows | None]) -> None:
    """Block of numbers by block of numbers."""
    groups, names = _groups_by_block([file]), rollup_columns(columns, PERIOD_US[file.tier])
    schema = _schema(names)
    with _writer(path, schema) as writer:
        for number in sorted(groups):
            rows = concatenate([_read_group(*where, names) for where in groups[number]])
            better = instead(number)
            _write(writer, schema, rows if better is None else put(rows, better))
    del groups
    pa.default_memory_pool().release_unused()


def _of_block(rows: Rows, number: int) -> Rows | None:
    low, high = np.searchsorted(rows["sid"], (number * BLOCK_NODES, (number + 1) * BLOCK_NODES))
    return {name: column[low:high] for name, column in rows.items()} if low < high else None


def _rewrite(path: Path, columns: Sequence[str], inputs: Sequence[Sealed], period_us: int,
             change: Callable[[Rows], Rows]) -> None:
    """Block of numbers by block of numbers, each changed as a whole into rows of `period_us`."""
    groups, names = _groups_by_block(inputs), rollup_columns(columns, PERIOD_US[inputs[0].tier])
    schema = _schema(rollup_columns(columns, period_us))
    with _writer(path, schema) as writer:
        for number in sorted(groups):
            _write(writer, schema, change(concatenate(
                [_read_group(*where, names) for where in groups[number]])))
    del groups
    pa.default_memory_pool().release_unused()


class UnreadableError(Exception):
    """A sealed file whose content cannot be read."""

    def __init__(self, file: Sealed, why: str) -> None:
        super().__init__(f"{file.path}: {why}")
        self.file = file


def _groups_by_block(inputs: Sequence[Sealed]) -> dict[int, list[tuple[Sealed, Any, int]]]:
    found: dict[int, list[tuple[Sealed, Any, int]]] = {}
    for file in inputs:
        try:
            opened = pq.ParquetFile(file.path)
            for index in range(opened.num_row_groups):
                first = opened.metadata.row_group(index).column(0).statistics.min
                found.setdefault(first // BLOCK_NODES, []).append((file, opened, index))
        except (OSError, WriteError, AttributeError) as error:
            raise UnreadableError(file, str(error)) from error
    return found


def _read_group(file: Sealed, opened: Any, index: int, names: Sequence[str]) -> Rows:
    try:
        table = opened.read_row_group(index)
    except (OSError, WriteError) as error:
        raise UnreadableError(file, str(error)) from error
    return {name: _column_of(table, name) for name in names}


def _column_of(table: Any, name: str) -> Any:
    """Of a file of an older version C_minutes is absent: its hours count as whole."""
    if name.endswith("_minutes") and name not in table.column_names:
        return np.full(table.num_rows, MINUTES_OF_AN_HOUR, dtype=np.int32)
    return table[name].to_numpy()
