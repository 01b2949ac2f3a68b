"""On-delay and off-delay: a condition counts after it has lasted, and is gone after it has
stayed away. Deadbands are kept by who measures (`book.py`)."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from core.alarms.records import INFO, TRIP, WARNING, Finding, Instance
from core.alarms.rules import Rule
from core.alarms.states import Event


def sensed(before: Instance, found: Finding | None, now: datetime,
           rule: Rule) -> tuple[Instance, Event | None]:
    """The instance after one look at its condition, and whether that came or went.

    A trip is told at once. One that has tripped is gone when its value is back inside the
    warning limit: a battery at rest cannot come further by itself.
    """
    tier = 0 if found is None else found.tier
    there = tier >= (WARNING if before.tripped else INFO)
    if there == before.on:
        return _steady(before, found, tier), None
    since = before.changing_at or _seen(found, now)
    delay_s = (0.0 if tier >= TRIP else rule.on_delay_s) if there else rule.off_delay_s
    known = _measured(before, found, tier)
    if (now - since).total_seconds() < delay_s:
        return replace(known, changing_at=since), None
    if not there:
        return replace(known, on=False, changing_at=None), Event.OFF
    return replace(known, on=True, changing_at=None, event_at=since,
                   tripped=before.tripped or tier >= TRIP), Event.ON


def _seen(found: Finding | None, now: datetime) -> datetime:
    return now if found is None or found.at is None else min(found.at, now)


def unheard(before: Instance) -> Instance:
    """Nothing is known of its condition now: it stays as it was (law 4), and a delay that ran
    begins anew, because silence lets nothing last."""
    return before if before.changing_at is None else replace(before, changing_at=None)


def _steady(before: Instance, found: Finding | None, tier: int) -> Instance:
    """Nothing comes and nothing goes; a delay that ran is over."""
    if found is None or not before.on:
        return unheard(before)
    if (found.value == before.value and tier == before.tier and found.limit == before.limit
            and before.changing_at is None):
        return before
    return replace(_measured(before, found, tier), changing_at=None,
                   tripped=before.tripped or tier >= TRIP)


def _measured(before: Instance, found: Finding | None, tier: int) -> Instance:
    """With the newest value; where the condition is not seen any more, the last one stays."""
    if found is None:
        return before
    return replace(before, tier=tier, metric=found.metric, value=found.value, limit=found.limit)
