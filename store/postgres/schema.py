"""The tables, as numbered SQL files that are applied once each, in order, in one transaction."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from core.errors import ConfigurationError
from store.postgres.database import driver_of

FOLDER = Path(__file__).parent / "migrations"
TABLE = """
CREATE TABLE IF NOT EXISTS orrery_schema
    (number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
"""
LOCK = "SELECT pg_advisory_xact_lock(20290, hashtext(coalesce(current_schema(), '')))"


def migrations() -> dict[int, Path]:
    """Number -> file, in order."""
    return {int(path.name.split("_")[0]): path for path in sorted(FOLDER.glob("*.sql"))}


def migrate(connection: Connection) -> None:
    """Bring the tables of the connection's schema up to date; raises ConfigurationError for
    tables of a newer Orrery."""
    files = migrations()
    there = _applied(connection)
    if there == set(files):
        return
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = '60s'"))
    connection.execute(text(LOCK))
    connection.execute(text(TABLE))
    there = _applied(connection)
    if there - set(files):
        raise ConfigurationError("the database", "orrery_schema", max(there),
                                 f"at most {max(files)}: these tables are of a newer Orrery; "
                                 "start that one")
    for number in sorted(set(files) - there):
        driver_of(connection).execute(files[number].read_bytes())
        connection.execute(text("INSERT INTO orrery_schema (number, name) VALUES (:number, :name)"),
                           {"number": number, "name": files[number].stem})


def _applied(connection: Connection) -> set[int]:
    if connection.execute(text("SELECT to_regclass('orrery_schema')")).scalar() is None:
        return set()
    return set(connection.execute(text("SELECT number FROM orrery_schema")).scalars())
