"""What the centre makes of the conditions that devices tell of themselves: an alarm each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from core.alarms.records import Finding
from core.fleet.messages import Condition, ConditionName
from core.fleet.tree import CELL
from core.safety.bands import MISSING_CELL, UNITS

OPEN: ConditionName = "contactor_open"
_METRICS: Mapping[str, str] = {
    "V": "voltage_v", "°C": "temperature_c", "%": "soc_pct", "A": "current_a",
    "K": "temperature_spread_k"}


def of_cells(condition: ConditionName) -> bool:
    """Whether it is about cells, and not about the pack as a whole."""
    return condition in MISSING_CELL


def is_open(told: Iterable[Condition]) -> bool:
    """Whether a contactor is."""
    return any(one.condition == OPEN for one in told)


def findings_of(element: str, told: Iterable[Condition],
                at: datetime | None = None) -> Iterator[Finding]:
    """For the alarms of a pack; an open contactor is told by the flag of its reading. at: when they
    held, None = now."""
    for one in told:
        metric = _METRICS.get(UNITS.get(one.condition, ""), "")
        for place in _places(element, one):
            yield Finding(place, one.condition, one.tier, metric, _number(one.value),
                          _number(one.limit), at)


def _places(element: str, one: Condition) -> Iterator[str]:
    if of_cells(one.condition):
        yield from (f"{element}_{CELL}_{cell - 1}" for cell in one.cells)
    elif one.condition != OPEN:
        yield element


def _number(told: float | None) -> float:
    return float("nan") if told is None else told
