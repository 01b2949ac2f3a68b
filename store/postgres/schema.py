"""The tables in PostgreSQL are brought up to date in one transaction, by one process."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from store.migrations import applied, apply, numbered
from store.postgres.database import driver_of

FOLDER = Path(__file__).parent / "migrations"
LOCK = "SELECT pg_advisory_xact_lock(20290, hashtext(coalesce(current_schema(), '')))"


def migrations() -> dict[int, Path]:
    """Number -> file, in order."""
    return numbered(FOLDER)


def migrate(connection: Connection) -> None:
    """Bring the tables of the connection's schema up to date; raises ConfigurationError for
    tables of a newer Orrery."""
    files = migrations()
    if applied(connection) == set(files):
        return
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = '60s'"))
    connection.execute(text(LOCK))
    apply(connection, files, lambda script: _run(connection, script))


def _run(connection: Connection, script: str) -> None:
    driver_of(connection).execute(script.encode())
