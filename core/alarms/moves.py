"""One event on one instance: the next state with its times and names, and the line of history."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from core.actors import DESIGN
from core.alarms.records import TRIP, Hiding, Instance, Transition
from core.alarms.states import RELEASES, Event, State, following

CALLS = frozenset({Event.ON, Event.ESCALATE, Event.REALARM, *RELEASES})
"""Events after which an earlier acknowledgement says nothing any more."""


def moved(before: Instance, event: Event, now: datetime, *, latched: bool = False,
          by: str = DESIGN, hiding: Hiding | None = None,
          occurrence: int = 0) -> tuple[Instance, Transition] | None:
    """None where the state table has no such edge. latched: by its rule; one that tripped is.
    hiding: why, of the events that hide. occurrence: a new number, of ON."""
    state = following(before.state, event, on=before.on, latched=latched or before.tripped,
                      trip=before.severity >= TRIP)
    if state is None:
        return None
    changes: dict[str, Any] = {"state": state, "hiding": hiding, **_times(before, event, now, by)}
    if state is before.state and hiding is None:
        changes["hiding"] = before.hiding
    if occurrence:
        changes |= {"occurrence": occurrence, "count": before.count + 1}
    after = replace(before, **changes)
    line = Transition(now, before.element, before.condition, event, before.state, state,
                      before.severity, before.metric, before.value, before.limit, by,
                      after.occurrence)
    return (_cleared(after) if state is State.NORMAL else after), line


def _times(before: Instance, event: Event, now: datetime, by: str) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if event is Event.ON:
        changes |= {"raised_at": now, "returned_at": None}
    if event is Event.OFF:
        changes["returned_at"] = now
    if event is Event.ACKNOWLEDGE:
        changes |= {"acknowledged_at": now, "acknowledged_by": by}
    if event in CALLS:
        changes |= {"acknowledged_at": None, "acknowledged_by": ""}
    return changes


def _cleared(instance: Instance) -> Instance:
    """Back to normal: what happened before is history's."""
    return Instance(instance.element, instance.condition, on=instance.on,
                    changing_at=instance.changing_at, occurrence=instance.occurrence)
