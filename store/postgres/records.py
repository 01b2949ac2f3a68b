"""The tables of `store.site_records` in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text

from core.clock import Clock
from store.postgres.database import Database, loading
from store.postgres.schema import migrate
from store.site_records import Run


class PostgresTables:
    """variable: NAME of the environment variable with the URL. Several processes may share them.
    Raises ConfigurationError, RetryLaterError."""

    def __init__(self, variable: str, clock: Clock | None = None) -> None:
        self._database = Database(variable, clock)
        try:
            with self._database.transaction() as connection, loading(connection):
                migrate(connection)
        except BaseException:
            self._database.dispose()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        with self._database.transaction() as connection:
            yield lambda statement, values: _rows(connection, statement, values)

    def close(self) -> None:
        self._database.dispose()


def _rows(connection: Connection, statement: str,
          values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
    found = connection.execute(text(statement), dict(values))
    return found.all() if found.returns_rows else []
