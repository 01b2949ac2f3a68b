"""Small tables that end with their process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, StaticPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from core.errors import RetryLaterError
from store.migrations import apply, numbered
from store.records.sqlite import MIGRATIONS, run_script


class MemoryPlace:
    """`store.records.place.Place`, with the tables of the folder of migrations of that name; one
    transaction at a time."""

    def __init__(self, name: str) -> None:
        self._lock = threading.Lock()
        self._engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={
            "check_same_thread": False, "isolation_level": None})
        with self.writing() as connection:
            apply(connection, numbered(MIGRATIONS / name),
                  lambda script: run_script(connection, script))

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[Connection]:
        """As `Place`, for as long as the process lives."""
        try:
            with self._lock, self._engine.connect() as connection, connection.begin():
                connection.exec_driver_sql("BEGIN")
                yield connection
        except SQLAlchemyError as error:
            raise RetryLaterError(f"the tables in memory: {getattr(error, 'orig', error)}") \
                from error

    def reading(self) -> AbstractContextManager[Connection]:
        return self.writing()

    def close(self) -> None:
        with self._lock:
            self._engine.dispose()
