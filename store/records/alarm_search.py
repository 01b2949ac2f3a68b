"""Lines that say a text, for SQLAlchemy: as it is written in them, or by the names that people read
in place of what is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Table, Text, any_, func, literal, or_, select

from core.alarms.records import AlarmQuery
from core.alarms.rules import alarm_rules
from core.alarms.states import WORDS
from core.limits import TIERS
from store.records.tables import AUDIT, TRANSITIONS

Name = TypeVar("Name")
WRITTEN: Mapping[Table, tuple[str, ...]] = {
    TRANSITIONS: ("element", "condition", "event", "metric", "who"),
    AUDIT: ("who", "action", "element", "condition", "why", "before", "after")}


def says(table: Table, query: AlarmQuery, dialect: str) -> ColumnElement[bool]:
    """Whether a line of TRANSITIONS or AUDIT says the query's text, all of it bound."""
    rules, column = alarm_rules(), table.c
    found = [_writes(column[name], text) for name in WRITTEN[table]
             for text in _spelt(query.text)]
    found.append(column.condition.in_(
        _saying(query.text, {name: rules.words(name) for name in rules.conditions})))
    if table is TRANSITIONS:
        states = _saying(query.text, {state.value: words for state, words in WORDS.items()})
        found += [column.before.in_(states), column.after.in_(states),
                  column.tier.in_(_saying(query.text, dict(enumerate(TIERS))))]
    if query.named:
        found.append(_among(column.element, query.named, dialect))
    return or_(*found)


def _writes(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return column.icontains(text, autoescape=True)


def _spelt(text: str) -> Iterable[str]:
    """Databases know small and large letters of ASCII alone, or of one language: others are sought
    as typed, small, large, and with a large one first."""
    if text.isascii():
        return [text]
    return dict.fromkeys([text, text.lower(), text.upper(), text.capitalize()])


def _saying(text: str, words: Mapping[Name, str]) -> list[Name]:
    return [name for name, told in words.items() if text.casefold() in told.casefold()]


def _among(column: ColumnElement[str], names: Iterable[str], dialect: str) -> ColumnElement[bool]:
    """One parameter for any number of names: SQLite takes no more than 32,766."""
    if dialect == "sqlite":
        told = literal(msgspec.json.encode(tuple(names)).decode(), Text)
        return column.in_(select(func.json_each(told).table_valued("value").c.value))
    return column == any_(literal(list(names), ARRAY(Text)))
