"""How many lines of alarms are kept and told, and how they are written out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from core.alarms.records import AlarmQuery, Transition
from core.alarms.states import WORDS
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


def finite(value: float) -> float | None:
    """None for what is not known (law 4)."""
    return value if math.isfinite(value) else None


def or_nan(value: float | None) -> float:
    return math.nan if value is None else value
