"""A coordinator's tables move from a file into PostgreSQL, once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_new

from store.hot import SIDES
from store.records.sqlite import SqlitePlace
from store.records.tables import MINUTES, NOTES, SETTINGS, SETTINGS_ALONE, TOLD

log = logging.getLogger(__name__)

NAME, CARRIED = "coordinator", ".carried"
NUMBERED, KEYED = (SETTINGS, NOTES), (TOLD, MINUTES)
AT_ONCE = 2_000
"""Rows."""


def carry_over(directory: Path | None, there: Connection) -> Callable[[], None]:
    """What the coordinator's file in a directory holds, into PostgreSQL: rows with a key where it
    has none of that key, lines where it has no line. What is returned puts the file away once that
    is kept. Raises ConfigurationError, RetryLaterError."""
    file = None if directory is None else directory / f"{NAME}.sqlite"
    if directory is None or file is None or not file.exists():
        return lambda: None
    there.execute(SETTINGS_ALONE)
    place = SqlitePlace(directory, NAME)
    try:
        with place.reading() as here:
            for table in NUMBERED:
                if there.execute(select(table).limit(1)).first() is None:
                    _copy(table, here, there)
            for table in KEYED:
                _copy(table, here, there)
    finally:
        place.close()
    return lambda: _put_away(file)


def _copy(table: Table, here: Connection, there: Connection) -> None:
    """Lines get new numbers in the same order."""
    columns = [one for one in table.columns if one.name != "number"]
    rows = here.execute(select(*columns).order_by(*table.primary_key))
    added = insert(table) if table in NUMBERED else insert_new(table).on_conflict_do_nothing()
    for part in rows.mappings().partitions(AT_ONCE):
        there.execute(added, [dict(row) for row in part])


def _put_away(file: Path) -> None:
    """Not while another process has it open."""
    if any(file.with_name(file.name + side).exists() for side in SIDES if side):
        return
    kept = file.with_name(file.name + CARRIED)
    try:
        file.rename(kept)
    except OSError as error:
        log.warning("%s is carried over into PostgreSQL and stays: %s", file, error)
    else:
        log.info("%s is carried over into PostgreSQL and was put away as %s", file, kept.name)
