"""The hot tail: SQLite in WAL mode, one row a frame, written before `append` returns.

Survives SIGKILL of the process; of a power cut at most the last seconds (synchronous=NORMAL).
A blob is float32[columns, nodes] in the order of the history's columns and of the row's layout.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.topology import FloatArray
from store.nodes import SidArray
from store.rollup import Block
from store.times import MINUTE_US, floor_to

NAME = "hot.sqlite"
SIDES = ("", "-wal", "-shm")
PAGE_BYTES = 16384
BUSY_S = 10.0
SMALL_CACHE = "PRAGMA cache_size=-512"
"""[KiB, as the minus says]: of small databases too each connection would fill 2 MB over hours."""
DELETED_AT_ONCE = 16
SHRUNK_AT_ONCE = 256
SCHEMA = """
CREATE TABLE IF NOT EXISTS nodes (sid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS layouts (layout INTEGER PRIMARY KEY, sids BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS frames
    (ts INTEGER PRIMARY KEY, layout INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS amended (ts INTEGER PRIMARY KEY);
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """One frame as kept. values: float32[columns, nodes], nodes as in `sids` int32[nodes]."""

    time_us: int
    sids: SidArray
    values: FloatArray


class HotTail:
    """Two connections: one that writes, one that reads, each used by one thread at a time.

    columns: how many a blob has. Raises sqlite3.DatabaseError where the file is damaged.
    """

    def __init__(self, directory: Path, columns: int) -> None:
        self.path = directory / NAME
        self._columns = columns
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._writer = self._connect()
        try:
            self._prepare()
            self._reader = self._connect()
        except sqlite3.Error:
            self._writer.close()
            raise
        self._layouts: dict[int, SidArray] = {}

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None,
                               check_same_thread=False)

    def _prepare(self) -> None:
        db = self._writer
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.executescript(SCHEMA)
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    # -- numbers

    def node_ids(self) -> list[str]:
        """Ids by number."""
        with self._read_lock:
            rows = self._reader.execute("SELECT id FROM nodes ORDER BY sid")
            return [row[0] for row in rows]

    def add_nodes(self, added: Sequence[tuple[int, str]]) -> None:
        with self._write_lock, self._writer as db:
            db.execute("BEGIN")
            db.executemany("INSERT OR IGNORE INTO nodes VALUES (?, ?)", added)

    def layout(self, sids: SidArray) -> int:
        """Number of a layout, a new one where it is unknown."""
        blob = sids.tobytes()
        with self._write_lock:
            self._writer.execute("INSERT OR IGNORE INTO layouts (sids) VALUES (?)", (blob,))
            row = self._writer.execute("SELECT layout FROM layouts WHERE sids = ?", (blob,))
            return int(row.fetchone()[0])

    def _sids(self, layout: int) -> SidArray:
        if layout not in self._layouts:
            row = self._reader.execute("SELECT sids FROM layouts WHERE layout = ?", (layout,))
            self._layouts[layout] = np.frombuffer(row.fetchone()[0], dtype=np.int32)
        return self._layouts[layout]

    # -- frames

    def append(self, time_us: int, layout: int, data: memoryview) -> None:
        """Raises sqlite3.OperationalError when the disk does not take it."""
        with self._write_lock:
            self._writer.execute("INSERT INTO frames VALUES (?, ?, ?)", (time_us, layout, data))

    def frames(self, start_us: int, end_us: int) -> Iterator[Stored]:
        """Frames of [start, end), oldest first. Holds the reading connection meanwhile."""
        with self._read_lock:
            rows = self._reader.execute(
                "SELECT ts, layout, data FROM frames WHERE ts >= ? AND ts < ? ORDER BY ts",
                (start_us, end_us))
            for row in rows:
                yield self._stored(*row)

    def _stored(self, time_us: int, layout: int, data: bytes) -> Stored:
        values = np.frombuffer(data, dtype=np.float32).reshape(self._columns, -1)
        return Stored(time_us, self._sids(layout), values)

    def newest(self, at_us: int) -> Stored | None:
        """The newest frame at or before `at_us`."""
        with self._read_lock:
            row = self._reader.execute(
                "SELECT ts, layout, data FROM frames WHERE ts <= ? ORDER BY ts DESC LIMIT 1",
                (at_us,)).fetchone()
            return None if row is None else self._stored(*row)

    def bounds(self) -> tuple[int, int] | None:
        """Times of the oldest and the newest frame [us]."""
        with self._read_lock:
            first, last = self._reader.execute("SELECT min(ts), max(ts) FROM frames").fetchone()
        return None if first is None else (first, last)

    def last_before(self, time_us: int) -> int | None:
        with self._read_lock:
            row = self._reader.execute("SELECT max(ts) FROM frames WHERE ts < ?", (time_us,))
            found: int | None = row.fetchone()[0]
        return found

    def bytes_in(self, start_us: int, end_us: int) -> int:
        """Of the blobs of [start, end) [B]."""
        with self._read_lock:
            row = self._reader.execute(
                "SELECT coalesce(sum(length(data)), 0) FROM frames WHERE ts >= ? AND ts < ?",
                (start_us, end_us)).fetchone()
        return int(row[0])

    def blocks(self, start_us: int, end_us: int) -> Iterator[Block]:
        """[start, end) as one Block a minute that has frames."""
        at = start_us
        while at < end_us:
            stop = min(floor_to(at, MINUTE_US) + MINUTE_US, end_us)
            found = list(self.frames(at, stop))
            if found:
                yield block_of(found)
            at = stop

    def delete_before(self, time_us: int) -> None:
        """In small steps, so that `append` never waits long."""
        with self._read_lock:
            rows = self._reader.execute("SELECT ts FROM frames WHERE ts < ? ORDER BY ts",
                                        (time_us,)).fetchall()
        times = [row[0] for row in rows]
        for last in [*times[DELETED_AT_ONCE - 1::DELETED_AT_ONCE], *times[-1:]]:
            with self._write_lock:
                self._writer.execute("DELETE FROM frames WHERE ts <= ?", (last,))

    # -- minutes that tell more than their samples

    def amended_at(self, minutes: Sequence[int]) -> None:
        """These do, from now on [us]."""
        with self._write_lock, self._writer as db:
            db.execute("BEGIN")
            db.executemany("INSERT OR IGNORE INTO amended VALUES (?)", [(one,) for one in minutes])

    def amended(self, start_us: int, end_us: int) -> list[int]:
        """Those of [start, end)."""
        with self._read_lock:
            rows = self._reader.execute("SELECT ts FROM amended WHERE ts >= ? AND ts < ?",
                                        (start_us, end_us))
            return [row[0] for row in rows]

    # -- file

    def size(self) -> int:
        """With its side files [B]."""
        return sum(path.stat().st_size for path in self.paths() if path.exists())

    def paths(self) -> list[Path]:
        return [self.path.with_name(self.path.name + side) for side in SIDES]

    def shrink(self) -> None:
        """Give unused pages back to the disk, in small steps as `delete_before`."""
        with self._read_lock:
            (free,) = self._reader.execute("PRAGMA freelist_count").fetchone()
        for _ in range(0, free, SHRUNK_AT_ONCE):
            with self._write_lock:
                self._writer.execute(f"PRAGMA incremental_vacuum({SHRUNK_AT_ONCE})").fetchall()

    def checkpoint(self) -> None:
        """Move the WAL into the file: the long part beside `append`, the rest in between."""
        with self._read_lock:
            self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        with self._write_lock, self._read_lock:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Malformed, or not a database at all: neither waiting nor free space helps."""
    return type(error) is sqlite3.DatabaseError


def block_of(frames: Sequence[Stored]) -> Block:
    """Frames of one minute over all their nodes, NaN where a frame does not know a node."""
    ts = np.array([frame.time_us for frame in frames], dtype=np.int64)
    first = frames[0].sids
    if all(frame.sids is first for frame in frames):
        values = np.stack([frame.values for frame in frames])
        if (np.diff(first) > 0).all():
            return Block(ts, first, values)
        order = np.argsort(first)
        return Block(ts, first[order], values[:, :, order])
    sids = np.unique(np.concatenate([frame.sids for frame in frames]))
    values = np.full((len(frames), len(frames[0].values), len(sids)), np.nan, dtype=np.float32)
    for index, frame in enumerate(frames):
        values[index][:, np.searchsorted(sids, frame.sids)] = frame.values
    return Block(ts, sids, values)
