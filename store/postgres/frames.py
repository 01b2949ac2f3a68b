"""Where frames lie: nodes' numbers, layouts, partitions, rows in and out.

Everything here works in the transaction of its connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from core.topology import FloatArray
from store.hot import Stored
from store.nodes import NodeNumbers, SidArray
from store.postgres.database import binary_rows
from store.times import DAY_US, floor_to, stamp

MINUTES_WIDTH_US = 10 * DAY_US
BYTES_PER_VALUE = 4
FEW = 32
"""So many values of a frame are read one by one, more of them as the whole frame."""
PARTITIONS = text("""
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(:table) ORDER BY c.relname
""")
SIZE = text("""
SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind = 'r'
    AND relname LIKE CAST(:prefix AS text) || '\\_%'
""")
Bounds = tuple[int, int] | None


class Frames:
    """The tables PREFIX_nodes, _layouts and _raw, and the partitions of _raw and _minute.

    columns: of a frame's values. width_us: how much time one partition of frames holds [us].
    """

    def __init__(self, prefix: str, columns: int, width_us: int) -> None:
        self._prefix, self._columns = prefix, columns
        self.raw, self.minutes = f"{prefix}_raw", f"{prefix}_minute"
        self.widths_us = {self.raw: width_us, self.minutes: MINUTES_WIDTH_US}

    # -- numbers and layouts

    def numbers(self, connection: Connection) -> NodeNumbers:
        """Of all nodes that were ever known."""
        return NodeNumbers(list(connection.execute(
            text(f"SELECT id FROM {self._prefix}_nodes ORDER BY sid")).scalars()))

    def keep_numbers(self, connection: Connection, added: Sequence[tuple[int, str]]) -> None:
        if added:
            connection.execute(text(
                f"INSERT INTO {self._prefix}_nodes SELECT * FROM unnest("
                "CAST(:sids AS integer[]), CAST(:ids AS text[]))"),
                {"sids": [sid for sid, _ in added], "ids": [node_id for _, node_id in added]})

    def layouts(self, connection: Connection) -> dict[int, SidArray]:
        rows = connection.execute(text(f"SELECT layout, sids FROM {self._prefix}_layouts"))
        return {layout: np.frombuffer(bytes(sids), np.int32) for layout, sids in rows}

    def layout_of(self, connection: Connection, known: dict[int, SidArray],
                  sids: SidArray) -> int:
        """The number of a layout; a new one is kept."""
        for layout, there in known.items():
            if np.array_equal(there, sids):
                return layout
        layout = max(known, default=0) + 1
        connection.execute(text(f"INSERT INTO {self._prefix}_layouts VALUES (:layout, :sids)"),
                           {"layout": layout, "sids": sids.astype("<i4").tobytes()})
        known[layout] = sids
        return layout

    # -- partitions

    def provide(self, connection: Connection, table: str, time_us: int) -> None:
        """The partition that a moment falls into."""
        width_us = self.widths_us[table]
        start_us = floor_to(time_us, width_us)
        connection.execute(text(
            f"CREATE TABLE IF NOT EXISTS {table}_{stamp(start_us).lower()} PARTITION OF {table} "
            f"FOR VALUES FROM ({start_us}) TO ({start_us + width_us})"))

    def drop_oldest(self, connection: Connection) -> bool:
        """Of frames, then of minutes; never the one that is written. False: there is none."""
        for table in self.widths_us:
            parts = self._partitions(connection, table)
            if len(parts) > 1:
                connection.execute(text(f'DROP TABLE "{parts[0]}"'))
                return True
        return False

    def _partitions(self, connection: Connection, table: str) -> list[str]:
        return list(connection.execute(PARTITIONS, {"table": table}).scalars())

    def size(self, connection: Connection) -> int:
        """Of all tables with their indexes [B]."""
        return int(connection.execute(SIZE, {"prefix": self._prefix}).scalar_one())

    # -- frames in

    def keep(self, connection: Connection, time_us: int, layout: int, values: FloatArray) -> None:
        connection.execute(text(f"INSERT INTO {self.raw} VALUES (:time_us, :layout, :data)"),
                           {"time_us": time_us, "layout": layout,
                            "data": values.astype("<f4", copy=False).tobytes()})

    # -- minutes that tell more than their frames

    def amended_at(self, connection: Connection, minutes: Sequence[int]) -> None:
        """These do, from now on [us]."""
        connection.execute(text(
            f"INSERT INTO {self._prefix}_amended SELECT unnest(CAST(:minutes AS bigint[])) "
            "ON CONFLICT DO NOTHING"), {"minutes": list(minutes)})

    def amended(self, connection: Connection, span: tuple[int, int]) -> list[int]:
        """Those of [start, end)."""
        return list(connection.execute(text(
            f"SELECT time_us FROM {self._prefix}_amended WHERE time_us >= :start "
            "AND time_us < :end"), {"start": span[0], "end": span[1]}).scalars())

    # -- frames out

    def bounds(self, connection: Connection) -> Bounds:
        """Of the first and the newest frame [us]."""
        first, last = connection.execute(text(
            f"SELECT (SELECT min(time_us) FROM {self.raw}), "
            f"(SELECT max(time_us) FROM {self.raw})")).one()
        return None if first is None else (int(first), int(last))

    def oldest_row(self, connection: Connection) -> int | None:
        """Where the first minute or hour begins [us]; asked a node, so that an index tells."""
        tables = [*self._partitions(connection, self.minutes)[:1], f"{self._prefix}_hour"]
        found = [connection.execute(text(
            f'SELECT min((SELECT min(time_us) FROM "{table}" WHERE sid = nodes.sid)) '
            f"FROM {self._prefix}_nodes AS nodes")).scalar() for table in tables]
        return min((int(one) for one in found if one is not None), default=None)

    def since(self, connection: Connection, known: dict[int, SidArray], start_us: int,
              ) -> list[Stored]:
        """Whole frames, oldest first."""
        rows = binary_rows(connection, f"SELECT time_us, layout, data FROM {self.raw} "
                                       "WHERE time_us >= %s ORDER BY time_us", start_us)
        return [self._stored(known, *row) for row in rows]

    def newest(self, connection: Connection, known: dict[int, SidArray], oldest_us: int,
               when_us: int) -> Stored | None:
        """The newest frame of [oldest, when]."""
        rows = binary_rows(
            connection, f"SELECT time_us, layout, data FROM {self.raw} "
            "WHERE time_us BETWEEN %s AND %s ORDER BY time_us DESC LIMIT 1", oldest_us, when_us)
        return self._stored(known, *rows[0]) if rows else None

    def _stored(self, known: dict[int, SidArray], time_us: int, layout: int,
                data: bytes) -> Stored:
        values = np.frombuffer(data, "<f4").reshape(self._columns, -1)
        return Stored(time_us, known[layout], values)

    def values(self, connection: Connection, layout: int, nodes: int,
               places: Sequence[tuple[int, int]], span: tuple[int, int],
               ) -> tuple[np.ndarray[Any, np.dtype[np.int64]], FloatArray]:
        """time_us int64[k] and float32[k, places] of the frames of [start, end) in one layout.
        places: (column, position)."""
        at = [column * nodes + position for column, position in places]
        few = len(at) <= FEW
        parts = [f"substr(data, {1 + BYTES_PER_VALUE * one}, {BYTES_PER_VALUE})" for one in at]
        asked = " || ".join(parts) if few and parts else "data"
        rows = binary_rows(
            connection, f"SELECT time_us, {asked} FROM {self.raw} WHERE layout = %s "
            "AND time_us >= %s AND time_us < %s ORDER BY time_us", layout, *span)
        time_us = np.array([row[0] for row in rows], np.int64)
        values = np.frombuffer(b"".join(row[1] for row in rows), "<f4")
        values = values.reshape(len(rows), -1) if rows else np.empty((0, len(at)), np.float32)
        return time_us, values if few or not rows else values[:, at]

    def knows_finer(self, connection: Connection, span: tuple[int, int]) -> bool:
        """Whether a frame or a plain row of a minute of [start, end) is kept."""
        return any(connection.execute(text(
            f"SELECT EXISTS (SELECT 1 FROM {table} WHERE time_us >= :start AND time_us < :end)"),
            {"start": span[0], "end": span[1]}).scalar_one() for table in self.widths_us)
