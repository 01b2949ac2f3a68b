"""A SQLite file with small tables: WAL, one that writes at a time beside any that read."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from core.clock import Clock, SystemClock
from core.errors import ConfigurationError, RetryLaterError
from store.files import set_aside
from store.hot import SIDES, SMALL_CACHE, is_damage
from store.lock import DirectoryLock
from store.migrations import applied, apply, numbered

log = logging.getLogger(__name__)

BUSY_S = 5.0
MIGRATIONS = Path(__file__).parent / "migrations"


class SqlitePlace:
    """`store.records.place.Place` in DIRECTORY/NAME.sqlite, with the tables of the folder of
    migrations of that name. alone: no other process may have the directory.

    A damaged file is set aside and said. Raises HistoryLockedError, ConfigurationError where the
    directory cannot be written or the tables are of a newer Orrery, RetryLaterError."""

    def __init__(self, directory: Path, name: str, clock: Clock | None = None, *,
                 alone: bool = False) -> None:
        now = (clock or SystemClock()).now()
        self.file = directory / f"{name}.sqlite"
        self._migrations = numbered(MIGRATIONS / name)
        self._lock, self._closed = threading.Lock(), False
        self._engine = create_engine(
            URL.create("sqlite", database=str(self.file)), hide_parameters=True,
            connect_args={"timeout": BUSY_S, "isolation_level": None})
        event.listen(self._engine, "connect", _with_small_cache)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._alone = DirectoryLock(directory, now) if alone else None
        except OSError as error:
            raise ConfigurationError(
                "orrery.toml", "history.directory", str(directory),
                f"a directory that this process may write ({error})") from error
        try:
            self._open(now)
        except BaseException:
            self.close()
            raise

    def _open(self, now: datetime) -> None:
        try:
            self._prepare()
        except DatabaseError as error:
            if not isinstance(error.orig, sqlite3.DatabaseError) or not is_damage(error.orig):
                raise self._problem(error.orig) from error
            self._engine.dispose()
            self._put_aside(now, str(error.orig))
            self._prepare()

    def _prepare(self) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if verdict != "ok":
                raise DatabaseError("PRAGMA quick_check(1)", None, sqlite3.DatabaseError(verdict))
            if applied(connection) == set(self._migrations):
                return
        with self.writing() as connection:
            apply(connection, self._migrations, lambda script: run_script(connection, script))

    def _put_aside(self, now: datetime, why: str) -> None:
        for path in self._paths():
            log.error("%s is damaged (%s); it was set aside as %s, a new one begins",
                      path, why, set_aside(path, now).name)

    def _paths(self) -> list[Path]:
        sides = (self.file.with_name(self.file.name + side) for side in SIDES)
        return [path for path in sides if path.exists()]

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[Connection]:
        """As `Place`; nobody else writes until it ends."""
        synchronous = "FULL" if durable else "NORMAL"
        with self._lock, self._transaction(f"PRAGMA synchronous={synchronous}",
                                           "BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `Place`; whoever writes does not wait for it."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def _transaction(self, *first: str) -> Iterator[Connection]:
        """first: statements that begin it, because the driver begins none by itself."""
        if self._closed:
            raise self._problem("it is closed")
        try:
            with self._engine.connect() as connection, connection.begin():
                for statement in first:
                    connection.exec_driver_sql(statement)
                yield connection
        except SQLAlchemyError as error:
            raise self._problem(getattr(error, "orig", None) or error) from error

    def _problem(self, error: object) -> RetryLaterError:
        return RetryLaterError(f"{self.file}: {error}; see that the disk has room, and can be "
                               "read and written")

    def size(self) -> int:
        """With its side files [B]."""
        return sum(path.stat().st_size for path in self._paths())

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._closed = True
            self._engine.dispose()
            if self._alone is not None:
                self._alone.release()


def _with_small_cache(connection: sqlite3.Connection, record: object) -> None:
    connection.execute(SMALL_CACHE)


def run_script(connection: Connection, script: str) -> None:
    """Its statements one by one: the driver's own way would commit first."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            connection.exec_driver_sql(statement)
            statement = ""
