"""Lines of alarms and of their audit as rows of tables, and as rows of an export."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Row

from core.alarms.records import AuditEntry, Transition
from core.alarms.states import WORDS, Event, State
from core.limits import TIERS

TITLES = ("time", "element", "condition", "event", "state", "severity", "metric", "value",
          "limit", "by", "alarm")


def exported(lines: Iterable[Transition]) -> Iterator[tuple[str | float, ...]]:
    """Titles, then each line in words."""
    yield TITLES
    for line in lines:
        yield (line.at.isoformat(), line.element, line.condition, line.event.value,
               WORDS[line.after], TIERS[line.tier], line.metric, line.value, line.limit,
               line.by, line.occurrence)


def row_of(line: Transition) -> dict[str, object]:
    return {"at": line.at, "element": line.element, "condition": line.condition,
            "event": line.event.value, "before": line.before.value, "after": line.after.value,
            "tier": line.tier, "metric": line.metric, "value": _finite(line.value),
            "bound": _finite(line.limit), "who": line.by, "occurrence": line.occurrence}


def line_of(row: Row[*tuple[Any, ...]]) -> Transition:
    """Of what `row_of` made, after its number."""
    _, at, element, condition, event, before, after, tier, metric, value, bound, who, number = row
    return Transition(at, element, condition, Event(event), State(before), State(after), tier,
                      metric, _or_nan(value), _or_nan(bound), who, number)


def entry_of(row: Row[*tuple[Any, ...]]) -> AuditEntry:
    return AuditEntry(*row[1:])


def _finite(value: float) -> float | None:
    """None for what is not known (law 4)."""
    return value if math.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
