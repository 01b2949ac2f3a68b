"""What is known and kept of alarms: instances, transitions, audit; plain immutable records.

Times are UTC (law 3); `value` and `limit` in the unit of `metric`, NaN where there is none.
None can be part of a cycle, so that the collector need not look at thousands (gc=False).
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from core.alarms.states import Event, State
from core.limits import TIERS

INFO, WARNING, TRIP = (TIERS.index(name) for name in ("info", "warning", "trip"))
SILENT = "silent"
"""The condition of an element of which nothing is heard."""

RATE_WINDOW = timedelta(minutes=10)


class Key(NamedTuple):
    """One alarm exists an element and condition."""

    element: str
    condition: str


class Finding(NamedTuple):
    """A condition that is there now. tier: 1 info, 2 warning, 3 trip. at: when that was seen, None
    = now."""

    element: str
    condition: str
    tier: int
    metric: str = ""
    value: float = math.nan
    limit: float = math.nan
    at: datetime | None = None


class Seen(NamedTuple):
    """What a person saw of an alarm: which raising of it, and the severity that it showed."""

    occurrence: int
    severity: int


class Comment(msgspec.Struct, frozen=True, gc=False):
    at: datetime
    who: str
    text: str


class Hiding(msgspec.Struct, frozen=True, gc=False):
    """Why an alarm is shelved, suppressed or out of service. until: None where no time ends
    it. once: a shelf that also ends when the condition goes. cause: of a suppression by
    design."""

    at: datetime
    who: str
    why: str
    until: datetime | None = None
    once: bool = False
    cause: tuple[str, str] | None = None


class Instance(msgspec.Struct, frozen=True, gc=False):
    """One alarm that is open, or whose delay runs.

    on: the condition after its delays. changing_at: since when it has been otherwise. tier:
    now, or the last one; worst: since it was normal. tripped: it reached a trip since then, so
    it is latched. event_at: when the condition came, before its delay. occurrence: a number
    that no other raising has. count: raisings since it was normal. shown: a person wants to see
    it in spite of its cause. set_back: by how much its times are told too early, because the
    clock was behind them at a start; they go forward again with the clock.
    """

    element: str
    condition: str
    state: State = State.NORMAL
    on: bool = False
    changing_at: datetime | None = None
    tier: int = 0
    worst: int = 0
    metric: str = ""
    value: float = math.nan
    limit: float = math.nan
    tripped: bool = False
    event_at: datetime | None = None
    raised_at: datetime | None = None
    returned_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    hiding: Hiding | None = None
    shown: bool = False
    occurrence: int = 0
    count: int = 0
    comments: tuple[Comment, ...] = ()
    set_back: timedelta = timedelta(0)

    @property
    def key(self) -> Key:
        return Key(self.element, self.condition)

    @property
    def severity(self) -> int:
        """The tier to show; a trip stays one until it is reset."""
        return TRIP if self.tripped else self.tier

    @property
    def seen(self) -> Seen:
        """As it is now."""
        return Seen(self.occurrence, self.severity)

    @property
    def began(self) -> datetime:
        """When its condition came; of one that is normal and hidden, when it was hidden."""
        at = self.event_at or self.changing_at or (self.hiding.at if self.hiding else None)
        if at is None:
            raise ValueError(f"{self.key}: an alarm without any time")
        return at

    @property
    def is_open(self) -> bool:
        """False: nothing has to be remembered of it."""
        return self.state is not State.NORMAL or self.on or self.changing_at is not None


class Transition(msgspec.Struct, frozen=True, gc=False):
    """One line of history. by: a person, or `actors.DESIGN`. occurrence 0: never raised yet."""

    at: datetime
    element: str
    condition: str
    event: Event
    before: State
    after: State
    tier: int
    metric: str
    value: float
    limit: float
    by: str
    occurrence: int

    @property
    def key(self) -> Key:
        return Key(self.element, self.condition)

    @property
    def raises(self) -> bool:
        """It makes a person look: the alarm asks where it did not ask before, or for worse."""
        return self.after is State.UNACKNOWLEDGED and (
            self.before is not State.UNACKNOWLEDGED or self.event is Event.ESCALATE)


class AuditEntry(msgspec.Struct, frozen=True, gc=False):
    """Who did what, when and why; before and after in words."""

    at: datetime
    who: str
    action: str
    element: str
    condition: str
    why: str
    before: str
    after: str


class Batch(msgspec.Struct, frozen=True):
    """What one tick or one action changed, kept together or not at all. changed: instances as
    they are now. closed: keys of which nothing is left. durable: a person's action, which must
    also survive a power cut."""

    changed: tuple[Instance, ...] = ()
    closed: tuple[Key, ...] = ()
    transitions: tuple[Transition, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    durable: bool = False

    def __bool__(self) -> bool:
        return bool(self.changed or self.closed or self.transitions or self.audit)


class Remembered(msgspec.Struct, frozen=True):
    """What a restart begins with. recent: the newest transitions, oldest first."""

    instances: tuple[Instance, ...] = ()
    last_occurrence: int = 0
    recent: tuple[Transition, ...] = ()


class AlarmQuery(msgspec.Struct, frozen=True):
    """Which lines of history, newest first; both times included. below: an element and all whose
    ids begin with it (law 5), "" for all, less `beside` (`core.ids`). least_tier: 1 for all, also
    what was hidden while it was normal. states: after the transition, () for all. limit: at most so
    many lines. text: a part of what a line says in any of its words, whatever their case, "" for
    all; named: ids of the elements whose names say it, which no store knows."""

    start: datetime
    end: datetime
    below: str = ""
    least_tier: int = 1
    states: tuple[State, ...] = ()
    limit: int = 1000
    text: str = ""
    named: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def joined(first: Batch, second: Batch) -> Batch:
    """Both in this order; of an instance in both, only the second is kept."""
    if not first:
        return second
    changed = {one.key: one for one in first.changed}
    closed = dict.fromkeys(first.closed)
    for one in second.changed:
        changed[one.key] = one
        closed.pop(one.key, None)
    for key in second.closed:
        changed.pop(key, None)
        closed[key] = None
    return Batch(tuple(changed.values()), tuple(closed), first.transitions + second.transitions,
                 first.audit + second.audit, first.durable or second.durable)
