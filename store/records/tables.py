"""The small tables and their types, in the words of SQLAlchemy; the migrations make them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Double,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.types import TIMESTAMP, TypeEngine

from store.times import from_us, to_us

NUL, REPLACED = "\0", "\N{REPLACEMENT CHARACTER}"
"""The one character that PostgreSQL's text has not, and what stands for it."""


class Words(TypeDecorator[str]):
    """Text of whatever letters. What no database takes is replaced: NUL, and half a letter of
    UTF-16."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or (NUL not in value and value.isascii()):
            return value
        return value.encode("utf-8", "replace").decode().replace(NUL, REPLACED)


class Instant(TypeDecorator[datetime]):
    """Aware UTC (law 3); SQLite, which has no times, keeps it in microseconds since 1970 [us]."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime] | TypeEngine[int]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(TIMESTAMP(timezone=True))

    def process_bind_param(self, value: datetime | None,
                           dialect: Dialect) -> datetime | int | None:
        return to_us(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | int | None,
                             dialect: Dialect) -> datetime | None:
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return None if value is None else from_us(value)


def _words(name: str) -> Column[str]:
    return Column(name, Words, nullable=False)


TABLES = MetaData()

OPEN = Table(
    "alarms_open", TABLES,
    Column("element", Words, primary_key=True), Column("condition", Words, primary_key=True),
    Column("data", LargeBinary, nullable=False))
"""data: msgpack of a `core.alarms.records.Instance`."""

TRANSITIONS = Table(
    "alarms_transitions", TABLES,
    Column("id", BigInteger, primary_key=True), Column("at", Instant, nullable=False),
    *map(_words, ("element", "condition", "event", "before", "after")),
    Column("tier", Integer, nullable=False), _words("metric"), Column("value", Double),
    Column("bound", Double), _words("who"), Column("occurrence", BigInteger, nullable=False))

AUDIT = Table(
    "alarms_audit", TABLES,
    Column("id", BigInteger, primary_key=True), Column("at", Instant, nullable=False),
    *map(_words, ("who", "action", "element", "condition", "why", "before", "after")))

LAST_BATCH = Table(
    "alarms_last_batch", TABLES, Column("one", Boolean, primary_key=True), _words("token"))
"""Which batch of alarms came last, in its one row."""

COMMANDS = Table(
    "site_commands", TABLES, Column("id", Words, primary_key=True),
    *map(_words, ("site", "device")), Column("issued_us", BigInteger, nullable=False),
    _words("state"), Column("changed_us", BigInteger, nullable=False), _words("told"))

SAVED = Table(
    "site_saved", TABLES, Column("kind", Words, primary_key=True),
    Column("name", Words, primary_key=True), _words("told"),
    Column("saved_us", BigInteger, nullable=False))

TOLD = Table(
    "coordinator_told", TABLES, Column("site", Words, primary_key=True),
    Column("kind", Words, primary_key=True), Column("name", Words, primary_key=True),
    Column("at_us", BigInteger, nullable=False), Column("told", LargeBinary, nullable=False))
"""told: msgpack of one of `core.coordinator.records` or `core.coordinator.view`, by its kind."""

NOTES = Table(
    "coordinator_notes", TABLES, Column("number", BigInteger, primary_key=True), _words("site"),
    Column("told", LargeBinary, nullable=False))

SETTINGS = Table(
    "coordinator_settings", TABLES, Column("number", BigInteger, primary_key=True),
    _words("site"), Column("at_us", BigInteger, nullable=False), *map(_words, ("who", "told")))
"""Every change; the newest of a site holds."""

SETTINGS_ALONE = text(f"LOCK TABLE {SETTINGS.name} IN EXCLUSIVE MODE")
"""In PostgreSQL: until the transaction ends nobody else writes there; in a file nobody does."""

MINUTES = Table(
    "coordinator_minutes", TABLES, Column("site", Words, primary_key=True),
    Column("time_us", BigInteger, primary_key=True), Column("told", LargeBinary, nullable=False))

LEASES = Table(
    "coordinator_leases", TABLES, Column("site", Words, primary_key=True), _words("holder"),
    Column("until_us", BigInteger, nullable=False))


@cache
def put(table: Table, dialect: str) -> Insert:
    """Its rows in place of those with their keys. dialect: "sqlite" or "postgresql", which say
    it in the same words, each in a module of its own."""
    return put_where(table, dialect, lambda _: None)


def put_where(table: Table, dialect: str,
              allowed: Callable[[Any], ColumnElement[bool] | None]) -> Insert:
    """As `put`; a row that is there stays where what `allowed` says of the new one does not
    hold."""
    statement = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
    replaced: Insert = statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={one.name: statement.excluded[one.name]
              for one in table.columns if not one.primary_key},
        where=allowed(statement.excluded))
    return replaced
