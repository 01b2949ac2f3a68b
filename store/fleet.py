"""Telemetry of the fleet in SQLite: each (device, sequence) once, a batch is one transaction.

WAL with synchronous=FULL: the edge forgets what this store has taken, so that a power cut must
not undo it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.clock import Clock, SystemClock
from core.errors import ConfigurationError, HistoryLockedError, RetryLaterError
from core.fleet.entries import FleetEntry, Mark, Taken
from store.fleet_batch import FleetBatch
from store.fleet_marks import FleetMarks
from store.fleet_past import row_after
from store.lock import DirectoryLock

BUSY_S = 2.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS devices
    (num INTEGER PRIMARY KEY, site TEXT NOT NULL, device TEXT NOT NULL, stream TEXT NOT NULL,
     high INTEGER NOT NULL, last INTEGER NOT NULL, heard_us INTEGER NOT NULL,
     UNIQUE (site, device));
CREATE TABLE IF NOT EXISTS retired
    (num INTEGER NOT NULL, stream TEXT NOT NULL, PRIMARY KEY (num, stream)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps
    (num INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
     PRIMARY KEY (num, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS telemetry
    (num INTEGER NOT NULL, seq INTEGER NOT NULL, time_us INTEGER NOT NULL,
     received_us INTEGER NOT NULL, reason TEXT NOT NULL, body BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS once ON telemetry (num, seq);
CREATE INDEX IF NOT EXISTS moments ON telemetry (num, time_us);
"""
LOWEST = "SELECT seq, time_us FROM telemetry WHERE num = ? AND time_us > 0 ORDER BY seq LIMIT 1"
OLD_ROWS = """
SELECT count(*), max(row) FROM
    (SELECT rowid AS row FROM telemetry WHERE rowid > ? AND rowid < ? ORDER BY rowid LIMIT ?)
"""
FORGET = """
DELETE FROM telemetry WHERE rowid > ? AND rowid <= ? AND received_us < ?
    AND seq <= (SELECT high FROM devices d WHERE d.num = telemetry.num)
"""


def open_store(place: str) -> SqliteFleetStore:
    """At a path; raises ConfigurationError."""
    return SqliteFleetStore(Path(place))


class SqliteFleetStore:
    """FleetStore in one file. Threads may share it; one process writes."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._lock = threading.Lock()
        self._looked = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._held = DirectoryLock(path.parent, (clock or SystemClock()).now())
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None,
                                       check_same_thread=False)
        except HistoryLockedError as held:
            raise ConfigurationError(
                "the command line", "--store", str(path),
                "a file in a folder that no other store uses; this one is held by "
                f"{held.holder}. Stop that process, or name another folder") from held
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError("the command line", "--store", str(path),
                                     f"a place that can be written ({error})") from error
        self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)
        self._marks = marks = FleetMarks()
        self.ledger, self.number, self.new_number = marks.ledger, marks.number, marks.new_number
        db = self._db
        marks.begin(db.execute("SELECT * FROM devices"),
                    db.execute("SELECT num, stream FROM retired"),
                    db.execute("SELECT t.num, t.seq FROM devices d JOIN telemetry t "
                               "ON t.num = d.num AND t.seq > d.high"))

    # -- writing

    def take(self, entries: Sequence[FleetEntry]) -> Taken:
        with self._lock:
            batch = FleetBatch(self)
            try:
                for entry in entries:
                    batch.add(entry)
                _commit(self._db, batch)
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):  # none is open, or the connection itself is gone
                    self._db.execute("ROLLBACK")
                raise RetryLaterError(f"the fleet's store takes nothing ({error}); see its disk"
                                      ) from error
            self._marks.follow(batch)
            return batch.taken()

    def forget(self, before_us: int, most: int = 5000) -> int:
        """Looks at no more than `most` old rows and at none that is young: no message waits for
        that. What stands behind a gap is passed by, and looked at again after the rest."""
        with self._lock:
            try:
                end = row_after(self._db, before_us - 1)
                count, last = self._db.execute(OLD_ROWS, (self._looked, end, most)).fetchone()
                gone = self._db.execute(FORGET, (self._looked, last, before_us)).rowcount
                self._looked = last if count == most else 0
                if gone:
                    self._db.execute(f"PRAGMA incremental_vacuum({most})").fetchall()
            except sqlite3.Error as error:
                raise RetryLaterError(f"the fleet's store forgets nothing ({error})") from error
            return gone

    def behind(self) -> str:
        return ""

    # -- reading

    def mark(self, site: str, device: str) -> Mark | None:
        return self._marks.mark((site, device))

    def marks(self) -> Sequence[Mark]:
        return self._marks.marks()

    def bodies(self, site: str, device: str, first: int, last: int) -> Sequence[tuple[int, bytes]]:
        rows = self._ask("SELECT seq, body FROM telemetry WHERE num = ? AND seq BETWEEN ? AND ? "
                         "AND body IS NOT NULL ORDER BY seq", site, device, first, last)
        return [(int(seq), bytes(body)) for seq, body in rows]

    def gaps(self, site: str, device: str) -> Sequence[tuple[int, int]]:
        rows = self._ask("SELECT first, last FROM gaps WHERE num = ? ORDER BY first", site, device)
        return [(int(first), int(last)) for first, last in rows]

    def _ask(self, query: str, site: str, device: str, *more: int) -> list[Any]:
        with self._lock:
            num = self._marks.number((site, device))
            return self._db.execute(query, (num, *more)).fetchall()

    def close(self) -> None:
        with self._lock:
            self._db.close()
            self._held.release()

    # -- for a batch

    def is_told(self, num: int, time_us: int, body: bytes) -> bool:
        return self._db.execute(
            "SELECT 1 FROM telemetry WHERE num = ? AND time_us = ? AND body = ?",
            (num, time_us, body)).fetchone() is not None

    def time_of(self, num: int, seq: int) -> int | None:
        row = self._db.execute("SELECT time_us FROM telemetry WHERE num = ? AND seq = ?",
                               (num, seq)).fetchone()
        return None if row is None else int(row[0])

    def lowest(self, num: int) -> tuple[int, int] | None:
        found: tuple[int, int] | None = self._db.execute(LOWEST, (num,)).fetchone()
        return found


def _commit(db: sqlite3.Connection, batch: FleetBatch) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT INTO telemetry VALUES (?, ?, ?, ?, ?, ?)", batch.rows)
    found = [(num, *key, ledger.stream, ledger.high, ledger.last, ledger.heard_us)
             for num, key, ledger in batch.devices()]
    db.executemany("INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?, ?, ?, ?)", found)
    db.executemany("INSERT OR IGNORE INTO retired VALUES (?, ?)", batch.retired())
    db.executemany("DELETE FROM retired WHERE num = ? AND stream = ?", batch.forgotten())
    db.executemany("INSERT OR IGNORE INTO gaps VALUES (?, ?, ?)", batch.gaps())
    db.execute("COMMIT")
