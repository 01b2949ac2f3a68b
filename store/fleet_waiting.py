"""Messages on this disk that a store of the fleet has not taken yet: oldest first, each once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from core.errors import RetryLaterError
from core.fleet.entries import FleetEntry

MOST_BYTES = 2 * 1024**3
"""Of bodies that wait; beyond it nothing is taken, and devices keep what they measure [B]."""
BUSY_S = 2.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting
    (place INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT NOT NULL, device TEXT NOT NULL,
     stream TEXT NOT NULL, base INTEGER NOT NULL, seq INTEGER NOT NULL, floor INTEGER NOT NULL,
     time_us INTEGER NOT NULL, received_us INTEGER NOT NULL, body BLOB, reason TEXT NOT NULL,
     UNIQUE (site, device, stream, seq, time_us));
"""
ADD = """
INSERT OR IGNORE INTO waiting
    (site, device, stream, base, seq, floor, time_us, received_us, body, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
OLDEST = """
SELECT place, site, device, stream, base, seq, floor, time_us, received_us, body, reason
FROM waiting ORDER BY place LIMIT ?
"""
SIZE = "SELECT count(*), coalesce(sum(length(body)), 0) FROM waiting"


class WaitingEntries:
    """In a SQLite file (WAL, synchronous FULL): what `add` returned from survives a power cut.
    For any threads; raises RetryLaterError."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._most_bytes = path, most_bytes
        self._lock = threading.Lock()
        with self._said():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None,
                                       check_same_thread=False)
            self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(SCHEMA)
            self.count, self._bytes = self._db.execute(SIZE).fetchone()

    def add(self, entries: Sequence[FleetEntry]) -> None:
        """What waits already is not added again."""
        with self._lock, self._said():
            if self._bytes > self._most_bytes:
                raise RetryLaterError(f"{self.count} messages wait in {self._path} and no more "
                                      "have room")
            sizes = []
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for entry in entries:
                    added = self._db.execute(ADD, astuple(entry)).rowcount
                    sizes += [len(entry.body or b"")] * added
            self.count, self._bytes = self.count + len(sizes), self._bytes + sum(sizes)

    def oldest(self, most: int) -> list[tuple[int, FleetEntry]]:
        """(place, entry)."""
        with self._lock, self._said():
            return [(place, FleetEntry(*told))
                    for place, *told in self._db.execute(OLDEST, (most,))]

    def drop(self, until: int) -> None:
        """Up to a place, it included."""
        with self._lock, self._said():
            count, size = self._db.execute(f"{SIZE} WHERE place <= ?", (until,)).fetchone()
            self._db.execute("DELETE FROM waiting WHERE place <= ?", (until,))
            self.count, self._bytes = self.count - count, self._bytes - size
            if not self.count:
                self._db.execute("PRAGMA incremental_vacuum").fetchall()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise RetryLaterError(f"{self._path} cannot be used ({error}): free disk space or "
                                  "check the disk") from error
