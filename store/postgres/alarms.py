"""Alarms in PostgreSQL: what is open, the lines of history, the audit. Every batch survives the
server's power cut, not only a person's action.

A thread of its own writes, so that neither a tick nor a person waits for a server that is silent:
who asked is told that it is not kept yet, and when it comes again, what was kept meanwhile is not
written twice.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, text

from core.alarms.records import (
    AlarmQuery,
    AuditEntry,
    Batch,
    Instance,
    Remembered,
    Transition,
)
from core.clock import Clock
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
from store.postgres.database import Database, copy_rows
from store.postgres.writer import Writer

LOCK = 2
TICK_S, ACTION_S = 0.1, 1.0
"""So long a tick, and a person, waits for the server [s]."""
SILENT = "alarms are not kept yet: the PostgreSQL has not answered; see that it runs"
MOST_LATE = 8
"""Batches that were kept after their time."""
NUL, REPLACED = "\0", "\N{REPLACEMENT CHARACTER}"
"""The one character that PostgreSQL's text has not, and what stands for it."""
TRANSITION = {"at": "timestamptz", "element": "text", "condition": "text", "event": "text",
              "before": "text", "after": "text", "tier": "int4", "metric": "text",
              "value": "float8", "bound": "float8", "who": "text", "occurrence": "int8"}
AUDIT = {"at": "timestamptz", "who": "text", "action": "text", "element": "text",
         "condition": "text", "why": "text", "before": "text", "after": "text"}
CLOSE = text("""
DELETE FROM alarms_open o
USING unnest(CAST(:elements AS text[]), CAST(:conditions AS text[])) c (element, condition)
WHERE o.element = c.element AND o.condition = c.condition
""")
CHANGE = text("""
INSERT INTO alarms_open
SELECT * FROM unnest(CAST(:elements AS text[]), CAST(:conditions AS text[]),
                     CAST(:data AS bytea[]))
ON CONFLICT (element, condition) DO UPDATE SET data = excluded.data
""")
# "_" joins the segments of an id (law 5).
BELOW = "(:below = '' OR element = :below OR starts_with(element, :below || '_'))"
LINES = text(f"""
SELECT {', '.join(TRANSITION)} FROM alarms_transitions
WHERE at BETWEEN :start AND :end AND tier >= :least_tier
    AND (:all_states OR after = ANY(CAST(:states AS text[]))) AND {BELOW}
ORDER BY id DESC LIMIT :limit
""")
ENTRIES = text(f"""
SELECT {', '.join(AUDIT)} FROM alarms_audit WHERE at BETWEEN :start AND :end AND {BELOW}
ORDER BY id DESC LIMIT :limit
""")
OPEN = text("SELECT data FROM alarms_open ORDER BY element, condition")
LAST = text("SELECT coalesce(max(occurrence), 0) FROM alarms_transitions")
RECENT = text(f"SELECT {', '.join(TRANSITION)} FROM alarms_transitions WHERE at >= :since "
              "ORDER BY id")
TOKEN = text("SELECT token FROM alarms_last_batch")
REMEMBER_TOKEN = text("""
INSERT INTO alarms_last_batch VALUES (true, :token)
ON CONFLICT (one) DO UPDATE SET token = excluded.token
""")
PRUNE_TRANSITIONS = text("DELETE FROM alarms_transitions WHERE id <= "
                         "(SELECT max(id) FROM alarms_transitions) - :most")
PRUNE_AUDIT = text("DELETE FROM alarms_audit WHERE id <= "
                   "(SELECT max(id) FROM alarms_audit) - :most")


class PostgresAlarmStore:
    """`core.alarms.ports.AlarmStore`. variable: NAME of the environment variable with the URL.
    most_transitions, most_audit: lines kept, PRUNED_EVERY more for a while. tick_s: how long a
    batch that is not durable is waited for, a person's at least ACTION_S [s]. Raises
    ConfigurationError where another process writes."""

    def __init__(self, variable: str, clock: Clock | None = None, *, tick_s: float = TICK_S,
                 most_transitions: int = MOST_TRANSITIONS, most_audit: int = MOST_AUDIT) -> None:
        self._lock, self._tick_s = threading.Lock(), tick_s
        self._most_transitions, self._most_audit = most_transitions, most_audit
        self._since_pruned = 0
        self._doubt: tuple[str, Batch] | None = None
        self._kept: list[Batch] = []
        self._in_hand: tuple[Future[None], Batch] | None = None
        self._database = Database(variable, clock)
        try:
            self._writer = Writer(self._database, LOCK, "alarms", self._begun)
        except BaseException:
            self._database.dispose()
            raise
        self._thread = ThreadPoolExecutor(1, "alarms")
        self._closed = False

    # -- writing

    def append(self, batch: Batch) -> None:
        """Raises RetryLaterError; then nothing of it is kept, or, where the server was slow or
        lost just as it committed, its lines are not written again when the batch comes again."""
        wait_s = max(ACTION_S, self._tick_s) if batch.durable else self._tick_s
        if not self._lock.acquire(timeout=wait_s):
            raise RetryLaterError(SILENT)
        given_up = threading.Event()
        try:
            self._finish(wait_s if batch.durable else 0.0)
            self._in_hand = self._thread.submit(self._append, batch, given_up), batch
            self._finish(wait_s, told=True)
        except RetryLaterError:
            if batch.durable:
                given_up.set()
            raise
        finally:
            self._lock.release()

    def _finish(self, wait_s: float, *, told: bool = False) -> None:
        """What is in hand. told: whoever asked for it hears what became of it."""
        if self._in_hand is None:
            return
        future, batch = self._in_hand
        try:
            future.result(wait_s)
        except TimeoutError:
            raise RetryLaterError(SILENT) from None
        except RetryLaterError:
            self._in_hand = None
            if told:
                raise
        else:
            self._in_hand = None
            if not told:
                self._know(batch)

    def _append(self, batch: Batch, given_up: threading.Event) -> None:
        """given_up: a person was told that it did not happen."""
        try:
            with self._writer.transaction() as connection:
                self._doubt = (uuid4().hex, batch)
                connection.execute(REMEMBER_TOKEN, {"token": self._doubt[0]})
                _write(connection, _less(batch, self._kept))
                self._prune(connection, len(batch.transitions) + len(batch.audit))
                if given_up.is_set():
                    raise RetryLaterError("it came too late")
        except RetryLaterError as error:
            raise RetryLaterError(f"alarms are not kept: {error}") from error
        self._doubt = None
        self._kept = [one for one in self._kept if not _alike(batch.transitions, one.transitions)]

    def _begun(self, connection: Connection) -> None:
        """A new session sees what became of a batch whose answer never came."""
        if self._doubt is not None:
            token, batch = self._doubt
            if connection.execute(TOKEN).scalar() == token:
                self._know(batch)
            self._doubt = None

    def _know(self, batch: Batch) -> None:
        """It is kept, and whoever asked for it does not know."""
        if batch.transitions:
            self._kept = [*self._kept, batch][-MOST_LATE:]

    def _prune(self, connection: Connection, added: int) -> None:
        """The oldest lines beyond the bound, once in a while."""
        self._since_pruned += added
        if self._since_pruned < PRUNED_EVERY:
            return
        self._since_pruned = 0
        connection.execute(PRUNE_TRANSITIONS, {"most": self._most_transitions})
        connection.execute(PRUNE_AUDIT, {"most": self._most_audit})

    # -- reading

    def load(self, since: datetime) -> Remembered:
        """What a restart of the journal begins with."""
        with self._database.transaction() as connection:
            instances = tuple(msgspec.msgpack.decode(bytes(data), type=Instance)
                              for data in connection.execute(OPEN).scalars())
            last = int(connection.execute(LAST).scalar_one())
            recent = tuple(map(_line, connection.execute(RECENT, {"since": since})))
            return Remembered(instances, last, recent)

    def history(self, query: AlarmQuery) -> list[Transition]:
        """Lines of the query, newest first; raises RetryLaterError."""
        with self._database.transaction() as connection:
            return [_line(row) for row in connection.execute(LINES, {
                **_given(query), "least_tier": query.least_tier,
                "all_states": not query.states, "states": [one.value for one in query.states]})]

    def audit(self, query: AlarmQuery) -> list[AuditEntry]:
        """Entries of the query's times and elements, newest first; raises RetryLaterError."""
        with self._database.transaction() as connection:
            return [AuditEntry(row[0].astimezone(UTC), *row[1:])
                    for row in connection.execute(ENTRIES, _given(query))]

    def export(self, query: AlarmQuery) -> Iterator[tuple[str | float, ...]]:
        """Titles, then the lines of `history` in words."""
        return exported(self.history(query))

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._thread.submit(self._writer.close)
                self._thread.shutdown()
                self._database.dispose()


def _alike(lines: Sequence[object], kept: Sequence[object]) -> int:
    """How many of the first lines are the very same."""
    return sum(1 for _ in takewhile(bool, map(operator.is_, lines, kept)))


def _less(batch: Batch, kept: Sequence[Batch]) -> Batch:
    """Without the lines at its beginning that are kept already."""
    lines = max((_alike(batch.transitions, one.transitions) for one in kept), default=0)
    entries = max((_alike(batch.audit, one.audit) for one in kept), default=0)
    return msgspec.structs.replace(batch, transitions=batch.transitions[lines:],
                                   audit=batch.audit[entries:])


def _write(connection: Connection, batch: Batch) -> None:
    if batch.closed:
        connection.execute(CLOSE, {"elements": [key.element for key in batch.closed],
                                   "conditions": [key.condition for key in batch.closed]})
    if batch.changed:
        connection.execute(CHANGE, {
            "elements": [one.element for one in batch.changed],
            "conditions": [one.condition for one in batch.changed],
            "data": [msgspec.msgpack.encode(one) for one in batch.changed]})
    if batch.transitions:
        copy_rows(connection, "alarms_transitions", TRANSITION, _rows(
            (line.at, *row_of(line)) for line in batch.transitions))
    if batch.audit:
        copy_rows(connection, "alarms_audit", AUDIT, _rows(
            (one.at, *entry_of(one)) for one in batch.audit))


def _rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        yield tuple(one.replace(NUL, REPLACED) if isinstance(one, str) else one for one in row)


def _given(query: AlarmQuery) -> dict[str, object]:
    """Nothing of a query is pasted into SQL (law 11)."""
    return {"start": query.start, "end": query.end, "below": query.below.replace(NUL, REPLACED),
            "limit": most_lines(query)}


def _line(row: Sequence[Any]) -> Transition:
    return line_of(row[0].astimezone(UTC), row[1:])
