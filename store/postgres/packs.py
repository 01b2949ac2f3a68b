"""Roll-ups packed: the buckets of some hours of one node as one compressed blob.

For few nodes with many buckets: a plain row of one minute takes 100 bytes, in a pack it takes 5 to
15. A pack holds, for k buckets, k uint16 (which bucket of the pack), then k of each column, float32
or int32, little-endian, all of it through zlib. When in its bucket a node was heard last is not
kept: `seen` is where the bucket begins.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from store.postgres.database import binary_rows, copy_rows
from store.postgres.rows import kind_of, with_a_value
from store.rollup import Rows, concatenate, group_starts, rollup_columns
from store.times import floor_to

LEVEL = 1
PLACE = np.dtype("<u2")
BYTES = 4
COLUMNS = {"sid": "int4", "time_us": "int8", "data": "bytea"}


class PackedRows:
    """`store.postgres.rows.RollUps` of `columns` in buckets of `period_us`, as many in a pack as
    `pack_us` holds."""

    def __init__(self, table: str, columns: Sequence[str], period_us: int, pack_us: int) -> None:
        self.table = table
        self.names = rollup_columns(columns, period_us)[3:]
        self._period_us, self._pack_us = period_us, pack_us

    def keep(self, connection: Connection, rows: Rows) -> None:
        """Packs that exist already are packed anew."""
        if not len(rows["ts"]):
            return
        first_us, last_us = int(rows["ts"].min()), int(rows["ts"].max())
        span = floor_to(first_us, self._pack_us), floor_to(last_us, self._pack_us) + self._pack_us
        sids = np.unique(rows["sid"]).tolist()
        there = self.rows(connection, self.names, span, sids)
        if len(there["ts"]):
            outside = (there["ts"] < first_us) | (there["ts"] > last_us)
            rows = concatenate([{name: there[name][outside] for name in rows}, rows])
            connection.execute(text(
                f"DELETE FROM {self.table} WHERE time_us >= :start AND time_us < :end "
                "AND sid = ANY(CAST(:sids AS integer[]))"),
                {"start": span[0], "end": span[1], "sids": sids})
        copy_rows(connection, self.table, COLUMNS, self._packs(with_a_value(rows, self.names)))

    def _packs(self, rows: Rows) -> list[tuple[int, int, bytes]]:
        number: NDArray[np.int64] = rows["ts"] // self._pack_us
        place = (rows["ts"] % self._pack_us // self._period_us).astype(PLACE)
        fields: list[NDArray[Any]] = [
            place, *(rows[name].astype(_stored(name), copy=False) for name in self.names)]
        bounds = [*group_starts(rows["sid"], number).tolist(), len(number)]
        return [(int(rows["sid"][low]), int(number[low]) * self._pack_us,
                 _packed(fields, low, high))
                for low, high in zip(bounds, bounds[1:], strict=False)]

    def rows(self, connection: Connection, names: Sequence[str], span: tuple[int, int],
             sids: Sequence[int] | None = None) -> Rows:
        chosen = "" if sids is None else "AND sid = ANY(%s) "
        found = binary_rows(
            connection, f"SELECT sid, time_us, data FROM {self.table} WHERE time_us > %s "
            f"AND time_us < %s {chosen}ORDER BY sid, time_us", span[0] - self._pack_us, span[1],
            *(() if sids is None else (list(sids),)))
        rows = self._unpacked(found, names)
        fits = (rows["ts"] >= span[0]) & (rows["ts"] < span[1])
        return {name: column[fits] for name, column in rows.items()}

    def _unpacked(self, packs: Sequence[tuple[int, int, bytes]], names: Sequence[str]) -> Rows:
        blobs = [zlib.decompress(data) for _, _, data in packs]
        counts = [len(blob) // (PLACE.itemsize + BYTES * len(self.names)) for blob in blobs]
        places = [np.frombuffer(blob, PLACE, count)
                  for blob, count in zip(blobs, counts, strict=True)]
        begins = np.repeat(np.array([start for _, start, _ in packs], np.int64), counts)
        ts = begins + _joined(places, np.int64) * self._period_us
        rows: Rows = {"sid": np.repeat(np.array([sid for sid, _, _ in packs], np.int32), counts),
                      "ts": ts, "seen": ts}
        for name in names:
            before = PLACE.itemsize + BYTES * self.names.index(name)
            rows[name] = _joined([np.frombuffer(blob, _stored(name), count, count * before)
                                  for blob, count in zip(blobs, counts, strict=True)],
                                 kind_of(name))
        return rows


def _stored(name: str) -> np.dtype[Any]:
    return np.dtype(kind_of(name)).newbyteorder("<")


def _packed(fields: Sequence[NDArray[Any]], low: int, high: int) -> bytes:
    return zlib.compress(b"".join(field[low:high].tobytes() for field in fields), LEVEL)


def _joined(parts: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate(parts).astype(kind) if parts else np.empty(0, kind)
