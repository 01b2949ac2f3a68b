"""How many lines of alarms are kept and told, and how they are written out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from core.alarms.records import AlarmQuery, AuditEntry, Transition
from core.alarms.states import WORDS, Event, State
from core.limits import TIERS

MOST_TRANSITIONS = 500_000
MOST_AUDIT = 200_000
PRUNED_EVERY = 5_000
MOST_LINES = 100_000
"""Of one answer."""
TITLES = ("time", "element", "condition", "event", "state", "severity", "metric", "value",
          "limit", "by", "alarm")


def most_lines(query: AlarmQuery) -> int:
    return max(0, min(query.limit, MOST_LINES))


def exported(lines: Iterable[Transition]) -> Iterator[tuple[str | float, ...]]:
    """Titles, then each line in words."""
    yield TITLES
    for line in lines:
        yield (line.at.isoformat(), line.element, line.condition, line.event.value,
               WORDS[line.after], TIERS[line.tier], line.metric, line.value, line.limit,
               line.by, line.occurrence)


def row_of(line: Transition) -> tuple[object, ...]:
    """As both databases keep it, after its time."""
    return (line.element, line.condition, line.event.value, line.before.value, line.after.value,
            line.tier, line.metric, finite(line.value), finite(line.limit), line.by,
            line.occurrence)


def line_of(at: datetime, row: Sequence[Any]) -> Transition:
    """Of what `row_of` made."""
    element, condition, event, before, after, tier, metric, value, limit, by, number = row
    return Transition(at, element, condition, Event(event), State(before), State(after), tier,
                      metric, or_nan(value), or_nan(limit), by, number)


def entry_of(one: AuditEntry) -> tuple[str, ...]:
    """As both databases keep it, after its time."""
    return (one.who, one.action, one.element, one.condition, one.why, one.before, one.after)


def finite(value: float) -> float | None:
    """None for what is not known (law 4)."""
    return value if math.isfinite(value) else None


def or_nan(value: float | None) -> float:
    return math.nan if value is None else value
