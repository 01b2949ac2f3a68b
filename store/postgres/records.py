"""The small tables in PostgreSQL: alarms by one writer, what belongs to the site by any process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection

from core.clock import Clock
from core.errors import RetryLaterError
from store.postgres.database import Database, loading
from store.postgres.schema import migrate
from store.postgres.writer import Writer

ALARMS_LOCK = 2


class SharedPlace:
    """`store.records.place.Place`; several processes may share it. variable: NAME of the
    environment variable with the URL. patient: a server that is out of reach is waited for, and
    what is asked of it meanwhile raises RetryLaterError. begun: once its tables stand, in their
    transaction; returns what is to be done when that is kept. Raises ConfigurationError,
    RetryLaterError."""

    def __init__(self, variable: str, clock: Clock | None = None, *, patient: bool = False,
                 begun: Callable[[Connection], Callable[[], None]] = lambda _: lambda: None,
                 ) -> None:
        self._database = Database(variable, clock)
        self._ready, self._beginning, self._begun = False, threading.Lock(), begun
        try:
            self._begin()
        except BaseException as error:
            if not (patient and isinstance(error, RetryLaterError)):
                self._database.dispose()
                raise

    def _begin(self) -> None:
        with self._beginning:
            if not self._ready:
                with self._database.transaction() as connection, loading(connection):
                    migrate(connection)
                    done = self._begun(connection)
                self._ready = True
                done()

    def writing(self, durable: bool = True) -> AbstractContextManager[Connection]:
        """Every one survives the server's power cut."""
        if not self._ready:
            self._begin()
        return self._database.transaction()

    def reading(self) -> AbstractContextManager[Connection]:
        return self.writing()

    def close(self) -> None:
        self._database.dispose()


class AlarmsPlace:
    """`store.records.place.Place` in which one process writes alarms, by one thread at a time.
    Raises as `SharedPlace`, and ConfigurationError where another one writes."""

    def __init__(self, variable: str, clock: Clock | None = None) -> None:
        self._database = Database(variable, clock)
        try:
            self._writer = Writer(self._database, ALARMS_LOCK, "alarms", lambda _: None)
        except BaseException:
            self._database.dispose()
            raise

    def writing(self, durable: bool = True) -> AbstractContextManager[Connection]:
        """Every one survives the server's power cut."""
        return self._writer.transaction()

    def reading(self) -> AbstractContextManager[Connection]:
        return self._database.transaction()

    def close(self) -> None:
        self._writer.close()
        self._database.dispose()
