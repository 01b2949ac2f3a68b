"""Where frames, minutes and hours lie: nodes' numbers, partitions, rows in and out.

Everything here works in the transaction of its connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from core.topology import FloatArray
from core.vocabulary import METRIC_NAMES
from store.hot import Stored
from store.nodes import NodeNumbers, SidArray
from store.postgres.database import binary_rows, driver_of
from store.rollup import Rows, rollup_columns
from store.times import DAY_US, HOUR_US, MINUTE_US, floor_to, stamp

MINUTES, HOURS = "history_minute", "history_hour"
WIDTH_US = {"history_raw": HOUR_US, MINUTES: 10 * DAY_US}
"""How much time one partition holds [us]."""
PARTED = ("history_raw", MINUTES)
KEYS = {"sid": "sid", "ts": "time_us", "seen": "seen_us"}
"""Columns that `store.rollup` names otherwise."""
COLUMNS = {MINUTES: rollup_columns(METRIC_NAMES, MINUTE_US),
           HOURS: rollup_columns(METRIC_NAMES, HOUR_US)}
"""As `store.rollup` names them, the keys first."""
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
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
    AND relname LIKE 'history\\_%'
""")


def numbers(connection: Connection) -> NodeNumbers:
    """Of all nodes that were ever known."""
    return NodeNumbers(list(connection.execute(
        text("SELECT id FROM history_nodes ORDER BY sid")).scalars()))


def keep_numbers(connection: Connection, added: Sequence[tuple[int, str]]) -> None:
    if added:
        connection.execute(text(
            "INSERT INTO history_nodes SELECT * FROM unnest(CAST(:sids AS integer[]), "
            "CAST(:ids AS text[]))"), {"sids": [sid for sid, _ in added],
                                       "ids": [node_id for _, node_id in added]})


def layouts(connection: Connection) -> dict[int, SidArray]:
    rows = connection.execute(text("SELECT layout, sids FROM history_layouts"))
    return {layout: np.frombuffer(bytes(sids), np.int32) for layout, sids in rows}


def layout_of(connection: Connection, known: dict[int, SidArray], sids: SidArray) -> int:
    """The number of a layout; a new one is kept."""
    for layout, there in known.items():
        if np.array_equal(there, sids):
            return layout
    layout = max(known, default=0) + 1
    connection.execute(text("INSERT INTO history_layouts VALUES (:layout, :sids)"),
                       {"layout": layout, "sids": sids.astype("<i4").tobytes()})
    known[layout] = sids
    return layout


# -- partitions


def provide(connection: Connection, table: str, time_us: int) -> None:
    """The partition that a moment falls into."""
    width_us = WIDTH_US[table]
    start_us = floor_to(time_us, width_us)
    connection.execute(text(
        f"CREATE TABLE IF NOT EXISTS {table}_{stamp(start_us).lower()} PARTITION OF {table} "
        f"FOR VALUES FROM ({start_us}) TO ({start_us + width_us})"))


def drop_oldest(connection: Connection) -> bool:
    """Of raw frames, then of minutes; never the one that is written. False: there is none."""
    for table in PARTED:
        parts = list(connection.execute(PARTITIONS, {"table": table}).scalars())
        if len(parts) > 1:
            connection.execute(text(f'DROP TABLE "{parts[0]}"'))
            return True
    return False


def size(connection: Connection) -> int:
    """Of all tables of history with their indexes [B]."""
    return int(connection.execute(SIZE).scalar_one())


# -- rows in


KEEP_FRAME = text("INSERT INTO history_raw VALUES (:time_us, :layout, :data)")


def keep_frame(connection: Connection, time_us: int, layout: int, values: FloatArray) -> None:
    connection.execute(KEEP_FRAME, {"time_us": time_us, "layout": layout,
                                    "data": values.astype("<f4", copy=False).tobytes()})


def keep_rollup(connection: Connection, table: str, rows: Rows) -> None:
    """Rows of `store.rollup` in one COPY, packed at once: a float in Python costs more than in
    the server."""
    named = {KEYS.get(name, name): rows[name] for name in COLUMNS[table]}
    form: list[tuple[str, str]] = [("fields", ">i2")]
    for name in named:
        form += [(f"{name} length", ">i4"), (name, _binary(name))]
    packed = np.zeros(len(rows["ts"]), dtype=form)
    packed["fields"] = len(named)
    for name, column in named.items():
        packed[f"{name} length"] = packed.dtype[name].itemsize
        packed[name] = column
    command = f"COPY {table} ({', '.join(named)}) FROM STDIN (FORMAT BINARY)"
    with driver_of(connection).cursor() as cursor, cursor.copy(command.encode()) as copy:
        copy.write(HEADER + packed.tobytes() + TRAILER)


def _binary(name: str) -> str:
    """How PostgreSQL sends a column of rollup rows."""
    if name.endswith("_us"):
        return ">i8"
    if name.endswith("_minutes"):
        return ">i2"
    return ">i4" if name == "sid" or name.endswith("_n") else ">f4"


# -- rows out


def frames_since(connection: Connection, known: dict[int, SidArray], start_us: int,
                 ) -> list[Stored]:
    """Whole frames, oldest first."""
    rows = binary_rows(connection, "SELECT time_us, layout, data FROM history_raw "
                                   "WHERE time_us >= %s ORDER BY time_us", start_us)
    return [_stored(known, *row) for row in rows]


def newest_frame(connection: Connection, known: dict[int, SidArray], oldest_us: int,
                 when_us: int) -> Stored | None:
    """The newest frame of [oldest, when]."""
    rows = binary_rows(
        connection, "SELECT time_us, layout, data FROM history_raw "
        "WHERE time_us BETWEEN %s AND %s ORDER BY time_us DESC LIMIT 1", oldest_us, when_us)
    return _stored(known, *rows[0]) if rows else None


def _stored(known: dict[int, SidArray], time_us: int, layout: int, data: bytes) -> Stored:
    values = np.frombuffer(data, "<f4").reshape(len(METRIC_NAMES), -1)
    return Stored(time_us, known[layout], values)


def frame_values(connection: Connection, layout: int, nodes: int,
                 places: Sequence[tuple[int, int]], span: tuple[int, int],
                 ) -> tuple[np.ndarray[Any, np.dtype[np.int64]], FloatArray]:
    """time_us int64[k] and float32[k, places] of the frames of [start, end) in one layout.
    places: (metric, position)."""
    at = [metric * nodes + position for metric, position in places]
    few = len(at) <= FEW
    parts = [f"substr(data, {1 + BYTES_PER_VALUE * one}, {BYTES_PER_VALUE})" for one in at]
    asked = " || ".join(parts) if few and parts else "data"
    rows = binary_rows(
        connection, f"SELECT time_us, {asked} FROM history_raw WHERE layout = %s "
        "AND time_us >= %s AND time_us < %s ORDER BY time_us", layout, *span)
    time_us = np.array([row[0] for row in rows], np.int64)
    values = np.frombuffer(b"".join(row[1] for row in rows), "<f4")
    values = values.reshape(len(rows), -1) if rows else np.empty((0, len(at)), np.float32)
    return time_us, values if few or not rows else values[:, at]


def knows_finer(connection: Connection, span: tuple[int, int]) -> bool:
    """Whether a frame or a minute of [start, end) is kept."""
    return any(connection.execute(text(
        f"SELECT EXISTS (SELECT 1 FROM {table} WHERE time_us >= :start AND time_us < :end)"),
        {"start": span[0], "end": span[1]}).scalar_one() for table in PARTED)


def rollup_rows(connection: Connection, table: str, columns: Sequence[str],
                span: tuple[int, int], sids: Sequence[int] | None = None) -> Rows:
    """sid, ts, seen and `columns` of [start, end), of some nodes or of all, sorted by (sid, ts)."""
    chosen = "" if sids is None else "AND sid = ANY(CAST(:sids AS integer[])) "
    rows = connection.execute(text(
        f"SELECT {', '.join(['sid', 'time_us', 'seen_us', *columns])} FROM {table} "
        f"WHERE time_us >= :start AND time_us < :end {chosen}ORDER BY sid, time_us"),
        {"start": span[0], "end": span[1], **({} if sids is None else {"sids": list(sids)})}).all()
    parts = list(zip(*rows, strict=True)) if rows else [()] * (3 + len(columns))
    types = [np.int32, np.int64, np.int64,
             *(np.int32 if name.endswith(("_n", "_minutes")) else np.float32
               for name in columns)]
    return {name: np.array(part, kind) for name, part, kind in
            zip(("sid", "ts", "seen", *columns), parts, types, strict=True)}
