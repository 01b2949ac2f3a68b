"""The one session that may write: it holds a lock of the server, and every write goes through it.

A session that is lost takes its lock along, after its last commit. So nothing is written until
a new session has the lock and has read what is stored: also what became of a commit whose answer
never came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from core.errors import ConfigurationError, HistoryLockedError, RetryLaterError
from store.postgres.database import FAILURES, Database, loading
from store.postgres.schema import migrate

LOCK_CLASS = 20_291
"""Added to a lock's number; the other half of its key is the schema, so that two Orrerys may
share a database."""
WAIT = "1s"
"""For a writer that was killed a moment ago."""
LOCK_NOT_AVAILABLE = "55P03"
KEY = "hashtext(coalesce(current_schema(), ''))"
HOLDER = text(f"""
SELECT a.application_name || to_char(a.backend_start, '" since" YYYY-MM-DD HH24:MI:SS "UTC"')
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
WHERE l.locktype = 'advisory' AND l.granted AND CAST(l.classid AS bigint) = :lock
    AND CAST(l.objid AS bigint) = CAST({KEY} AS bigint) & 4294967295
""")


class DatabaseHeldError(HistoryLockedError):
    """Another process writes there."""

    def __init__(self, variable: str, what: str, holder: str) -> None:
        ConfigurationError.__init__(
            self, "the environment", variable, "(a secret)",
            f"a database in which no other process writes {what}; this one is held by {holder}. "
            "Stop that process or name another")
        self.holder = holder


class Writer:
    """lock: the number of what is written, `what` its name. begun: reads what is stored, in every
    new session. Raises DatabaseHeldError where another process writes. Not for two threads at
    once."""

    def __init__(self, database: Database, lock: int, what: str,
                 begun: Callable[[Connection], None]) -> None:
        self._database, self._what, self._begun = database, what, begun
        self._lock = LOCK_CLASS + lock
        self._connection: Connection | None = None
        self._begin()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Raises RetryLaterError; what became of the transaction is then read before the next."""
        try:
            connection = self._connection or self._begin()
            with connection.begin():
                yield connection
        except FAILURES as error:
            self.close()
            raise RetryLaterError(str(self._database.problem(error))) from None
        except ConfigurationError as error:
            raise RetryLaterError(str(error)) from error

    def close(self) -> None:
        """Lets the lock go; safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _end(connection)

    def _begin(self) -> Connection:
        connection = self._database.connect()
        try:
            with loading(connection):
                self._prepare(connection)
        except FAILURES as error:
            _end(connection)
            raise self._database.problem(error) from None
        except BaseException:
            _end(connection)
            raise
        self._connection = connection
        return connection

    def _prepare(self, connection: Connection) -> None:
        with connection.begin():
            migrate(connection)
        self._take_lock(connection)
        with connection.begin():
            connection.execute(text("SET LOCAL statement_timeout = '120s'"))
            self._begun(connection)

    def _take_lock(self, connection: Connection) -> None:
        try:
            with connection.begin():
                connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT}'"))
                connection.execute(text(f"SELECT pg_advisory_lock(:lock, {KEY})"),
                                   {"lock": self._lock})
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") != LOCK_NOT_AVAILABLE:
                raise
            with connection.begin():
                holder = connection.execute(HOLDER, {"lock": self._lock}).scalar()
            raise DatabaseHeldError(self._database.variable, self._what,
                                    str(holder or "another process")) from None


def _end(connection: Connection) -> None:
    """For real: back in a pool it would keep the lock."""
    if not connection.closed:
        connection.invalidate()
        connection.close()
