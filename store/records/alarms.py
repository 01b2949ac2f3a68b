"""Alarms: what is open, the lines of history, the audit."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
)

from core.alarms.rates import REMEMBERED
from core.alarms.records import (
    INFO,
    AlarmQuery,
    AuditEntry,
    Batch,
    Instance,
    Remembered,
    Transition,
)
from core.alarms.states import Event
from core.errors import RetryLaterError
from store.records.alarm_rows import entry_of, exported, line_of, row_of
from store.records.alarm_search import says
from store.records.place import Place
from store.records.tables import AUDIT, LAST_BATCH, OPEN, TRANSITIONS, put

MOST_TRANSITIONS = 500_000
MOST_AUDIT = 200_000
"""Of acknowledgements, and as many of all else: one flood that is acknowledged as a whole must not
take an emergency stop out of the audit."""
PRUNED_EVERY = 5_000
MOST_LINES = 100_000
"""Of one answer."""
MOST_LATE = 8
"""Batches that were kept after their time."""
CLOSE = delete(OPEN).where(OPEN.c.element == bindparam("element"),
                           OPEN.c.condition == bindparam("condition"))
ACKNOWLEDGED = AUDIT.c.action == Event.ACKNOWLEDGE.value
OPENED = select(OPEN.c.data).order_by(OPEN.c.element, OPEN.c.condition)
LAST_OCCURRENCE = select(func.coalesce(func.max(TRANSITIONS.c.occurrence), 0))


class AlarmTables:
    """`core.alarms.ports.AlarmStore`; for any threads. most_transitions, most_audit: lines kept
    of each kind, PRUNED_EVERY more for a while."""

    def __init__(self, place: Place, *, most_transitions: int = MOST_TRANSITIONS,
                 most_audit: int = MOST_AUDIT) -> None:
        self._place, self._lock = place, threading.Lock()
        self._most_transitions, self._most_audit = most_transitions, most_audit
        self._since_pruned = {TRANSITIONS: PRUNED_EVERY, AUDIT: PRUNED_EVERY}
        self._doubt: tuple[str, Batch] | None = None
        self._kept: list[Batch] = []

    # -- writing

    def append(self, batch: Batch) -> None:
        """Raises RetryLaterError; then nothing of it is kept, or, where a server was lost just as
        it committed, its lines are not written again when the batch comes again."""
        with self._lock:
            self._append(batch)

    def _append(self, batch: Batch, given_up: Callable[[], bool] = lambda: False) -> None:
        """given_up: whoever asked was told meanwhile that it did not happen."""
        try:
            with self._place.writing(durable=batch.durable) as connection:
                self._see_what_became(connection)
                self._doubt = (uuid4().hex, batch)
                connection.execute(put(LAST_BATCH, connection.dialect.name),
                                   {"one": True, "token": self._doubt[0]})
                _write(connection, _less(batch, self._kept))
                if self._is_due(TRANSITIONS, len(batch.transitions)):
                    _prune_transitions(connection, self._most_transitions)
                if self._is_due(AUDIT, len(batch.audit)):
                    _prune_audit(connection, self._most_audit)
                if given_up():
                    raise RetryLaterError("it came too late")
        except RetryLaterError as error:
            raise RetryLaterError(f"alarms are not kept: {error}") from error
        self._doubt = None
        self._kept = [one for one in self._kept if not _alike(batch.transitions, one.transitions)]

    def _see_what_became(self, connection: Connection) -> None:
        """Of a batch whose answer never came."""
        if self._doubt is not None:
            token, batch = self._doubt
            if connection.scalar(select(LAST_BATCH.c.token)) == token:
                self._know(batch)
            self._doubt = None

    def _know(self, batch: Batch) -> None:
        """It is kept, and whoever asked for it does not know."""
        if batch.transitions:
            self._kept = [*self._kept, batch][-MOST_LATE:]

    def _is_due(self, table: Table, added: int) -> bool:
        """Whether its oldest lines are to be given up: at the first line of a process, then once
        in a while."""
        if not added:
            return False
        self._since_pruned[table] += added
        if self._since_pruned[table] < PRUNED_EVERY:
            return False
        self._since_pruned[table] = 0
        return True

    # -- reading

    def load(self, since: datetime) -> Remembered:
        """What a restart of the journal begins with; raises RetryLaterError."""
        recent = (select(TRANSITIONS).where(TRANSITIONS.c.at >= since)
                  .order_by(TRANSITIONS.c.id.desc()).limit(REMEMBERED))
        with self._place.reading() as connection:
            return Remembered(
                tuple(msgspec.msgpack.decode(data, type=Instance)
                      for data in connection.execute(OPENED).scalars()),
                connection.execute(LAST_OCCURRENCE).scalar_one(),
                tuple(map(line_of, connection.execute(recent)))[::-1])

    def history(self, query: AlarmQuery) -> list[Transition]:
        """Lines of the query, newest first; raises RetryLaterError."""
        wanted = [TRANSITIONS.c.tier >= query.least_tier] if query.least_tier > INFO else []
        if query.states:
            wanted.append(TRANSITIONS.c.after.in_([one.value for one in query.states]))
        return list(map(line_of, self._read(TRANSITIONS, query, wanted)))

    def audit(self, query: AlarmQuery) -> list[AuditEntry]:
        """Entries of the query's times, elements and text, newest first; raises
        RetryLaterError."""
        return list(map(entry_of, self._read(AUDIT, query)))

    def _read(self, table: Table, query: AlarmQuery,
              wanted: Sequence[ColumnElement[bool]] = ()) -> Sequence[Row[*tuple[Any, ...]]]:
        with self._place.reading() as connection:
            said = [says(table, query, connection.dialect.name)] if query.text else []
            return connection.execute(_asked(table, query, [*wanted, *said])).all()

    def export(self, query: AlarmQuery) -> Iterator[tuple[str | float, ...]]:
        """Titles, then the lines of `history` in words."""
        return exported(self.history(query))

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._place.close()


def _write(connection: Connection, batch: Batch) -> None:
    if batch.closed:
        connection.execute(CLOSE, [key._asdict() for key in batch.closed])
    if batch.changed:
        connection.execute(put(OPEN, connection.dialect.name), [
            {"element": one.element, "condition": one.condition,
             "data": msgspec.msgpack.encode(one)} for one in batch.changed])
    if batch.transitions:
        connection.execute(insert(TRANSITIONS), [row_of(line) for line in batch.transitions])
    if batch.audit:
        connection.execute(insert(AUDIT), [msgspec.structs.asdict(one) for one in batch.audit])


def _prune_transitions(connection: Connection, most: int) -> None:
    newest = select(func.max(TRANSITIONS.c.id)).scalar_subquery()
    connection.execute(delete(TRANSITIONS).where(TRANSITIONS.c.id <= newest - most))


def _prune_audit(connection: Connection, most: int) -> None:
    """Of acknowledgements and of all else the newest."""
    for kind in (ACKNOWLEDGED, not_(ACKNOWLEDGED)):
        beyond = (select(AUDIT.c.id).where(kind).order_by(AUDIT.c.id.desc())
                  .offset(most).limit(1).scalar_subquery())
        connection.execute(delete(AUDIT).where(kind, AUDIT.c.id <= beyond))


def _asked(table: Table, query: AlarmQuery,
           wanted: Sequence[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    """What the query says of any table of lines."""
    found = select(table).where(table.c.at.between(query.start, query.end), *wanted)
    if query.below:
        found = found.where(_below(table.c.element, query.below),
                            *[not_(_below(table.c.element, one)) for one in query.beside])
    return found.order_by(table.c.id.desc()).limit(max(0, min(query.limit, MOST_LINES)))


def _below(element: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """"_" joins the segments of an id (law 5), and "`" is the character after it."""
    return or_(element == name, and_(element >= f"{name}_", element < f"{name}`"))


def _alike(lines: Sequence[object], kept: Sequence[object]) -> int:
    """How many of the first lines are the very same."""
    return sum(1 for _ in takewhile(bool, map(operator.is_, lines, kept)))


def _less(batch: Batch, kept: Sequence[Batch]) -> Batch:
    """Without the lines at its beginning that are kept already."""
    lines = max((_alike(batch.transitions, one.transitions) for one in kept), default=0)
    entries = max((_alike(batch.audit, one.audit) for one in kept), default=0)
    return msgspec.structs.replace(batch, transitions=batch.transitions[lines:],
                                   audit=batch.audit[entries:])
