"""Alarms in SQLite: what is open, the lines of history, the audit.

WAL mode. A tick's batch survives SIGKILL (synchronous=NORMAL), a person's action a power cut
too (FULL). A damaged file is set aside and said, like the history's.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from core.alarms.records import (
    AlarmQuery,
    AuditEntry,
    Batch,
    Instance,
    Remembered,
    Transition,
)
from core.clock import Clock, SystemClock
from core.errors import RetryLaterError
from store.alarm_lines import (
    MOST_AUDIT,
    MOST_TRANSITIONS,
    PRUNED_EVERY,
    entry_of,
    exported,
    line_of,
    most_lines,
    row_of,
)
from store.files import set_aside
from store.hot import SIDES, is_damage
from store.lock import DirectoryLock
from store.times import from_us, to_us

log = logging.getLogger(__name__)

NAME = "alarms.sqlite"
BUSY_S = 10.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS open_alarms
    (element TEXT NOT NULL, condition TEXT NOT NULL, data BLOB NOT NULL,
     PRIMARY KEY (element, condition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transitions
    (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, element TEXT NOT NULL,
     condition TEXT NOT NULL, event TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
     tier INTEGER NOT NULL, metric TEXT NOT NULL, value REAL, bound REAL, who TEXT NOT NULL,
     occurrence INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS transitions_at ON transitions (at);
CREATE TABLE IF NOT EXISTS audit
    (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL,
     action TEXT NOT NULL, element TEXT NOT NULL, condition TEXT NOT NULL, why TEXT NOT NULL,
     before TEXT NOT NULL, after TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS audit_at ON audit (at);
"""
# "_" joins the segments of an id (law 5), and "`" is the character after it.
HISTORY = """
SELECT * FROM transitions WHERE at BETWEEN :start AND :end AND tier >= :least_tier
    AND (:states = '' OR instr(:states, after) > 0)
    AND (:below = '' OR element = :below
         OR (element >= :below || '_' AND element < :below || '`'))
    ORDER BY id DESC LIMIT :limit
"""
AUDIT = """
SELECT * FROM audit WHERE at BETWEEN :start AND :end
    AND (:below = '' OR element = :below
         OR (element >= :below || '_' AND element < :below || '`'))
    ORDER BY id DESC LIMIT :limit
"""
PRUNE_TRANSITIONS = """
DELETE FROM transitions WHERE id <= (SELECT max(id) FROM transitions) - ?
"""
PRUNE_AUDIT = "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?"


class AlarmDatabase:
    """`core.alarms.ports.AlarmStore` in a directory of its own.

    most_transitions, most_audit: lines kept, PRUNED_EVERY more for a while. Raises
    HistoryLockedError where another process has it, RetryLaterError where it cannot be opened.
    """

    def __init__(self, directory: Path, clock: Clock | None = None, *,
                 most_transitions: int = MOST_TRANSITIONS, most_audit: int = MOST_AUDIT) -> None:
        now = (clock or SystemClock()).now()
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._file = directory, directory / NAME
        self._most_transitions, self._most_audit = most_transitions, most_audit
        self._since_pruned = 0
        self._lock = threading.Lock()
        self._directory_lock = DirectoryLock(directory, now)
        self.set_aside: list[Path] = []
        try:
            self._db = self._opened(now)
        except BaseException:
            self._directory_lock.release()
            raise

    def _opened(self, now: datetime) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise RetryLaterError(f"alarms: {self._file}: {error}; see that the disk has "
                                      "room and can be written") from error
            self._put_aside(now, str(error))
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, timeout=BUSY_S, isolation_level=None,
                             check_same_thread=False)
        try:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(SCHEMA)
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _put_aside(self, now: datetime, why: str) -> None:
        for path in (self._file.with_name(NAME + side) for side in SIDES):
            if path.exists():
                self.set_aside.append(set_aside(path, now))
                log.error("alarms: %s is damaged (%s); it was set aside as %s, a new one begins",
                          path, why, self.set_aside[-1].name)

    # -- writing

    def append(self, batch: Batch) -> None:
        """Raises RetryLaterError when the disk does not take it; then nothing of it is kept."""
        with self._lock:
            try:
                self._db.execute(f"PRAGMA synchronous={'FULL' if batch.durable else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                self._write(batch)
                self._prune(len(batch.transitions) + len(batch.audit))
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):  # none is open, or the connection itself is gone
                    self._db.execute("ROLLBACK")
                raise RetryLaterError(f"alarms are not kept: {self._file}: {error}; see that the "
                                      "disk has room and can be written") from error

    def _write(self, batch: Batch) -> None:
        db = self._db
        db.executemany("DELETE FROM open_alarms WHERE element = ? AND condition = ?",
                       batch.closed)
        db.executemany("INSERT OR REPLACE INTO open_alarms VALUES (?, ?, ?)",
                       [(one.element, one.condition, msgspec.msgpack.encode(one))
                        for one in batch.changed])
        db.executemany("INSERT INTO transitions VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       [(to_us(line.at), *row_of(line)) for line in batch.transitions])
        db.executemany("INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
                       [(to_us(one.at), *entry_of(one)) for one in batch.audit])

    def _prune(self, added: int) -> None:
        """The oldest lines beyond the bound, once in a while."""
        self._since_pruned += added
        if self._since_pruned < PRUNED_EVERY:
            return
        self._since_pruned = 0
        self._db.execute(PRUNE_TRANSITIONS, (self._most_transitions,))
        self._db.execute(PRUNE_AUDIT, (self._most_audit,))

    # -- reading

    def load(self, since: datetime) -> Remembered:
        """What a restart of the journal begins with."""
        with self._lock:
            data = self._db.execute("SELECT data FROM open_alarms ORDER BY element, condition")
            instances = tuple(msgspec.msgpack.decode(row[0], type=Instance) for row in data)
            (last,) = self._db.execute("SELECT coalesce(max(occurrence), 0) FROM transitions"
                                       ).fetchone()
            recent = self._db.execute("SELECT * FROM transitions WHERE at >= ? ORDER BY id",
                                      (to_us(since),))
            return Remembered(instances, last, tuple(_line(row) for row in recent))

    def history(self, query: AlarmQuery) -> list[Transition]:
        """Lines of the query, newest first. Raises RetryLaterError."""
        return [_line(row) for row in self._asked(HISTORY, query)]

    def audit(self, query: AlarmQuery) -> list[AuditEntry]:
        """Entries of the query's times and elements, newest first. Raises RetryLaterError."""
        return [AuditEntry(from_us(row[1]), *row[2:]) for row in self._asked(AUDIT, query)]

    def _asked(self, question: str, query: AlarmQuery) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(question, _given(query)).fetchall()
            except sqlite3.Error as error:
                raise RetryLaterError(f"alarms cannot be read: {self._file}: {error}; see that "
                                      "the disk can be read") from error

    def export(self, query: AlarmQuery) -> Iterator[tuple[str | float, ...]]:
        """Titles, then the lines of `history` in words."""
        return exported(self.history(query))

    def size(self) -> int:
        """With its side files [B]."""
        paths = [self._file.with_name(NAME + side) for side in SIDES]
        return sum(path.stat().st_size for path in paths if path.exists())

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._db.close()
            self._directory_lock.release()


def _given(query: AlarmQuery) -> dict[str, object]:
    """Nothing of a query is pasted into SQL (law 11)."""
    return {"start": to_us(query.start), "end": to_us(query.end), "below": query.below,
            "least_tier": query.least_tier, "states": "".join(query.states),
            "limit": most_lines(query)}


def _line(row: tuple[Any, ...]) -> Transition:
    """Of a row of the table transitions: id, time, the rest."""
    return line_of(from_us(row[1]), row[2:])
