"""One tick over all alarms: delays, causes, states, timers; pure apart from its `Step`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from core.actors import DESIGN
from core.alarms.delays import sensed, unheard
from core.alarms.moves import moved
from core.alarms.records import TRIP, Batch, Finding, Hiding, Instance, Key, Transition
from core.alarms.rules import Rule, Rules
from core.alarms.states import Event, State

Held = Callable[[Key], bool]
TELLING = frozenset({State.NORMAL, State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.RETURNED})
"""States out of which an alarm calls when its condition comes, or worsens, or an acknowledgement
ends. A latched one is not among them: hidden, it would forget that it waits for its reset."""


class Explaining(Protocol):
    """Which alarms are consequences, of which cause (`groups.Causes`)."""

    def explained(self, instances: Mapping[Key, Instance]) -> Mapping[Key, Key]: ...


class Step:
    """What a tick changes. moving: as everything is now, of what changed; None: closed.
    kept: keys of which more than the measured value changed."""

    def __init__(self, now: datetime, rules: Rules, last_occurrence: int) -> None:
        self.now = now
        self.last_occurrence = last_occurrence
        self.moving: dict[Key, Instance | None] = {}
        self.kept: dict[Key, None] = {}
        self.transitions: list[Transition] = []
        self._rules = rules

    def take(self, key: Key, before: Instance | None, sensed_now: Instance, event: Event | None,
             cause: Key | None) -> None:
        """One instance, whose condition came (ON), went (OFF) or neither."""
        first = len(self.transitions)
        one = self._hidden_by(sensed_now, cause)
        if event is not None:
            one = self._apply(one, event)
        one = self._timed(self._released(one, event, cause))
        if one.on and one.tier > one.worst:
            one = self._worse(one, any(line.raises for line in self.transitions[first:]))
        if one is before:
            return
        self.moving[key] = one if one.is_open else None
        if before is None or not same_but_value(before, one):
            self.kept[key] = None

    def _hidden_by(self, one: Instance, cause: Key | None) -> Instance:
        """Suppressed by design, before it is told, or told again."""
        if (cause is None or one.shown or not one.on or one.severity >= TRIP
                or one.state not in TELLING or (one.state is State.ACKNOWLEDGED
                                                and not self._is_due(one)
                                                and one.tier <= one.worst)):
            return one
        words = f"a consequence of: {cause.element}, {self._rules.words(cause.condition)}"
        return self._apply(one, Event.SUPPRESS, Hiding(self.now, DESIGN, words, cause=cause))

    def _released(self, one: Instance, event: Event | None, cause: Key | None) -> Instance:
        hiding = one.hiding
        if hiding is None:
            return one
        trip = one.on and one.severity >= TRIP
        if one.state is State.SUPPRESSED and (trip or (hiding.cause and cause is None)):
            return self._apply(one, Event.UNSUPPRESS)
        over = hiding.until is not None and self.now >= hiding.until
        if one.state is State.SHELVED and (trip or over or (hiding.once and event is Event.OFF)):
            return self._apply(one, Event.UNSHELVE)
        return one

    def _timed(self, one: Instance) -> Instance:
        """An acknowledgement does not last for ever."""
        if one.state is State.ACKNOWLEDGED and self._is_due(one):
            return self._apply(one, Event.REALARM)
        return one

    def _is_due(self, one: Instance) -> bool:
        """Its acknowledgement has lasted as long as it may."""
        realarm_s = self._rule(one).realarm_s
        return (one.acknowledged_at is not None and realarm_s > 0
                and (self.now - one.acknowledged_at).total_seconds() >= realarm_s)

    def _worse(self, one: Instance, called: bool) -> Instance:
        """called: in this very tick, at this tier: once is enough."""
        one = replace(one, worst=one.tier)
        if one.state in (State.UNACKNOWLEDGED, State.ACKNOWLEDGED) and not called:
            return self._apply(one, Event.ESCALATE)
        return one

    def _apply(self, one: Instance, event: Event, hiding: Hiding | None = None) -> Instance:
        """Unchanged where the table has no such edge."""
        number = self.last_occurrence + 1 if event is Event.ON else 0
        found = moved(one, event, self.now, latched=self._rule(one).latched, hiding=hiding,
                      occurrence=number)
        if found is None:
            return one
        self.last_occurrence = max(self.last_occurrence, number)
        self.transitions.append(found[1])
        return found[0]

    def _rule(self, one: Instance) -> Rule:
        return self._rules.of(one.condition)

    def batch(self) -> Batch:
        """What of it has to be kept."""
        kept = [(key, self.moving[key]) for key in self.kept]
        return Batch(changed=tuple(one for _, one in kept if one is not None),
                     closed=tuple(key for key, one in kept if one is None),
                     transitions=tuple(self.transitions))


def advanced(instances: Mapping[Key, Instance], findings: Iterable[Finding], now: datetime,
             rules: Rules, causes: Explaining, last_occurrence: int, held: Held) -> Step:
    """What the findings of this moment make of the instances.

    held: of a key without a finding, whether nothing is known of it now: it stays as it was
    (law 4), less the delay that ran. Of several findings of one key the worst counts.
    """
    found = _worst(findings)
    seen: dict[Key, tuple[Instance, Event | None]] = {}
    for key, before in instances.items():
        finding = found.pop(key, None)
        if finding is None and held(key):
            seen[key] = unheard(before), None
        else:
            seen[key] = sensed(before, finding, now, rules.of(key.condition))
    for key, finding in found.items():
        seen[key] = sensed(Instance(*key), finding, now, rules.of(key.condition))
    hidden = causes.explained({key: one for key, (one, _) in seen.items()})
    step = Step(now, rules, last_occurrence)
    for key, (one, event) in seen.items():
        step.take(key, instances.get(key), one, event, hidden.get(key))
    return step


def same_but_value(first: Instance, second: Instance) -> bool:
    """A restart may forget the difference."""
    return first is second or replace(first, value=second.value, limit=second.limit,
                                      tier=second.tier, metric=second.metric) == second


def _worst(findings: Iterable[Finding]) -> dict[Key, Finding]:
    found: dict[Key, Finding] = {}
    for one in findings:
        key = Key(one.element, one.condition)
        other = found.get(key)
        if other is None or one.tier > other.tier:
            found[key] = one
    return found
