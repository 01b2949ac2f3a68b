"""Alarms in PostgreSQL: what is open, the lines of history, the audit. Every batch survives the
server's power cut, not only a person's action."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
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
from core.alarms.states import Event, State
from core.clock import Clock
from core.errors import RetryLaterError
from store.alarm_lines import (
    MOST_AUDIT,
    MOST_TRANSITIONS,
    PRUNED_EVERY,
    exported,
    finite,
    most_lines,
    or_nan,
)
from store.postgres.database import Database, copy_rows
from store.postgres.writer import Writer

LOCK = 2
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
    most_transitions, most_audit: lines kept, PRUNED_EVERY more for a while. Raises
    ConfigurationError where another process writes."""

    def __init__(self, variable: str, clock: Clock | None = None, *,
                 most_transitions: int = MOST_TRANSITIONS, most_audit: int = MOST_AUDIT) -> None:
        self._lock = threading.Lock()
        self._most_transitions, self._most_audit = most_transitions, most_audit
        self._since_pruned = 0
        self._doubt: tuple[str, Batch] | None = None
        self._kept = Batch()
        self._database = Database(variable, clock)
        try:
            self._writer = Writer(self._database, LOCK, "alarms", self._begun)
        except BaseException:
            self._database.dispose()
            raise

    # -- writing

    def append(self, batch: Batch) -> None:
        """Raises RetryLaterError; then nothing of it is kept, or, where the server was lost just
        as it committed, its lines are not written again when the batch comes again."""
        with self._lock:
            try:
                with self._writer.transaction() as connection:
                    self._doubt = (uuid4().hex, batch)
                    connection.execute(REMEMBER_TOKEN, {"token": self._doubt[0]})
                    _write(connection, _less(batch, self._kept))
                    self._prune(connection, len(batch.transitions) + len(batch.audit))
            except RetryLaterError as error:
                raise RetryLaterError(f"alarms are not kept: {error}") from error
            self._doubt, self._kept = None, Batch()

    def _begun(self, connection: Connection) -> None:
        """A new session sees what became of a batch whose answer never came."""
        if self._doubt is not None:
            token, batch = self._doubt
            if connection.execute(TOKEN).scalar() == token:
                self._kept = batch
            self._doubt = None

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
            self._writer.close()
            self._database.dispose()


def _less(batch: Batch, kept: Batch) -> Batch:
    """Without the lines at its beginning that are kept already."""
    def rest(lines: tuple[Any, ...], there: tuple[Any, ...]) -> tuple[Any, ...]:
        same = len(lines) >= len(there) and all(map(operator.is_, lines, there))
        return lines[len(there):] if same else lines

    return msgspec.structs.replace(batch, transitions=rest(batch.transitions, kept.transitions),
                                   audit=rest(batch.audit, kept.audit))


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
            (line.at, line.element, line.condition, line.event.value, line.before.value,
             line.after.value, line.tier, line.metric, finite(line.value), finite(line.limit),
             line.by, line.occurrence) for line in batch.transitions))
    if batch.audit:
        copy_rows(connection, "alarms_audit", AUDIT, _rows(
            (one.at, one.who, one.action, one.element, one.condition, one.why, one.before,
             one.after) for one in batch.audit))


def _rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        yield tuple(one.replace(NUL, REPLACED) if isinstance(one, str) else one for one in row)


def _given(query: AlarmQuery) -> dict[str, object]:
    """Nothing of a query is pasted into SQL (law 11)."""
    return {"start": query.start, "end": query.end, "below": query.below.replace(NUL, REPLACED),
            "limit": most_lines(query)}


def _line(row: Sequence[Any]) -> Transition:
    at, element, condition, event, before, after, tier, metric, value, limit, by, number = row
    return Transition(at.astimezone(UTC), element, condition, Event(event), State(before),
                      State(after), tier, metric, or_nan(value), or_nan(limit), by, number)
