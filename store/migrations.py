"""Numbered SQL files, NNNN_name.sql, that are applied once each and in order; the table
orrery_schema tells which were."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from core.errors import ConfigurationError

NAME = "orrery_schema"
TABLE = text("""
CREATE TABLE IF NOT EXISTS orrery_schema
    (number integer PRIMARY KEY, name text NOT NULL,
     applied_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP)
""")
NUMBERS = text("SELECT number FROM orrery_schema")
REMEMBER = text("INSERT INTO orrery_schema (number, name) VALUES (:number, :name)")


def numbered(folder: Path) -> dict[int, Path]:
    """Number -> file, in order."""
    return {int(path.name.split("_")[0]): path for path in sorted(folder.glob("*.sql"))}


def applied(connection: Connection) -> set[int]:
    """Numbers of those that were, {} in a database that has none."""
    if not inspect(connection).has_table(NAME):
        return set()
    return set(connection.execute(NUMBERS).scalars())


def apply(connection: Connection, files: Mapping[int, Path], run: Callable[[str], None]) -> None:
    """Those that were not, by `run`, which takes a file's text, in the connection's transaction;
    no other process may be in here. Raises ConfigurationError for tables of a newer Orrery."""
    connection.execute(TABLE)
    there = applied(connection)
    if there - set(files):
        raise ConfigurationError("the database", NAME, max(there),
                                 f"at most {max(files)}: these tables are of a newer Orrery; "
                                 "start that one")
    for number in sorted(set(files) - there):
        run(files[number].read_text(encoding="utf-8"))
        connection.execute(REMEMBER, {"number": number, "name": files[number].stem})
