"""Which alarms stood at a time, and when alarms called, out of the lines of their history."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from core.alarms.ports import AlarmStore
from core.alarms.records import TRIP, AlarmQuery, Hiding, Instance, Key, Transition
from core.alarms.rules import Rule
from core.alarms.states import HIDDEN, Event, State
from core.clock import from_epoch

MOST_LINES = 50_000
"""The newest lines of history that are read; before them nothing is known."""
AGAIN_S = 5.0
"""For so long the lines that were read are good enough [s]."""
BEGINNING = from_epoch(0.0)
ON_STATES = frozenset({State.UNACKNOWLEDGED, State.ACKNOWLEDGED})


class AlarmPast:
    """Reads the store when it is asked; safe for the threads of one process."""

    def __init__(self, store: AlarmStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._read_at: datetime | None = None
        self._lines: list[Transition] = []
        self._spans = _Spans([])

    def at(self, when: datetime, now: datetime) -> tuple[Instance, ...] | None:
        """What was not normal at `when`, as its last line before tells it; None where `when` is
        before the first line that is known. Raises what `AlarmStore.history` does."""
        spans = self._known(now)
        if not spans.began_s or when.timestamp() < spans.began_s:
            return None
        return spans.at(when.timestamp())

    def there(self, condition: str, rule: Rule, when: datetime,
              now: datetime) -> tuple[str, ...] | None:
        """The elements whose condition was there at `when`, whatever people did about its alarm:
        its lines, each less the delay that it waited for, so to within a tick. One that lasted
        less than its delay has no line; one that went a moment ago has none yet. None and raises
        as `at`."""
        spans = self._known(now)
        if not spans.began_s or when.timestamp() < spans.began_s:
            return None
        return spans.there(condition, when.timestamp() + rule.on_delay_s,
                           when.timestamp() + rule.off_delay_s)

    def marks(self, start: datetime, end: datetime, parts: int,
              now: datetime) -> NDArray[np.int8]:
        """The worst tier that called a person in each of `parts` equal parts of a span,
        int8[parts], 0 = none. Raises what `AlarmStore.history` does."""
        spans = self._known(now)
        width_s = (end - start).total_seconds() / parts
        place = np.floor((spans.raised_s - start.timestamp()) / width_s).astype(np.int64)
        inside = (place >= 0) & (place < parts)
        found = np.zeros(parts, dtype=np.int8)
        np.maximum.at(found, place[inside], spans.raised_tier[inside])
        return found

    def _known(self, now: datetime) -> _Spans:
        with self._lock:
            age_s = AGAIN_S if self._read_at is None else (now - self._read_at).total_seconds()
            if not 0 <= age_s < AGAIN_S:
                self._read(now)
                self._read_at = now
            return self._spans

    def _read(self, now: datetime) -> None:
        """The lines since the newest one, which is asked for again: several have one time. All of
        them where the clock was set back behind it."""
        if self._lines and now < self._lines[-1].at:
            self._lines = []
        last = self._lines[-1].at if self._lines else BEGINNING
        newest = self._store.history(AlarmQuery(last, now, limit=MOST_LINES))[::-1]
        kept = [line for line in self._lines if line.at < last]
        if len(kept) + len(newest) != len(self._lines):
            self._lines = [*kept, *newest][-MOST_LINES:]
            self._spans = _Spans(self._lines)


class _Spans:
    """Each line of history as what stood from it to the next line of the same alarm.

    began_s: the time of the first line [s since 1970], 0 without any. raised_s, raised_tier:
    when which tier called a person.
    """

    def __init__(self, lines: Iterable[Transition]) -> None:
        self._stood: list[Instance] = []
        starts: list[float] = []
        ends: list[float] = []
        raised: list[tuple[float, int]] = []
        open_at: dict[Key, int] = {}
        self._came: dict[str, dict[str, list[list[float]]]] = {}
        for line in lines:
            at_s, before = line.at.timestamp(), open_at.get(line.key)
            if before is not None:
                ends[before] = at_s
            one = after(None if before is None else self._stood[before], line)
            open_at[line.key] = len(self._stood)
            self._stood.append(one)
            starts.append(at_s)
            ends.append(np.inf)
            if line.raises:
                raised.append((at_s, line.tier))
            self._note(line, at_s)
        self._start_s, self._end_s = np.array(starts), np.array(ends)
        self._open = np.array([one.state is not State.NORMAL for one in self._stood], dtype=bool)
        self.raised_s = np.array([at_s for at_s, _ in raised])
        self.raised_tier = np.array([tier for _, tier in raised], dtype=np.int8)
        self.began_s = starts[0] if starts else 0.0

    def _note(self, line: Transition, at_s: float) -> None:
        """Of one whose beginning is not known any more, it was on before the first line."""
        came = self._came.setdefault(line.condition, {}).setdefault(line.element, [])
        if line.event is Event.ON:
            came.append([at_s, np.inf])
        elif line.event is Event.OFF and came:
            came[-1][1] = at_s
        elif line.event is Event.OFF:
            came.append([-np.inf, at_s])

    def there(self, condition: str, from_s: float, to_s: float) -> tuple[str, ...]:
        """Elements whose condition was on from before `from_s` until after `to_s`."""
        return tuple(element for element, came in self._came.get(condition, {}).items()
                     if any(on_s <= from_s and to_s < off_s for on_s, off_s in came))

    def at(self, when_s: float) -> tuple[Instance, ...]:
        stood = (self._start_s <= when_s) & (when_s < self._end_s) & self._open
        return tuple(self._stood[row] for row in np.flatnonzero(stood))


def after(before: Instance | None, line: Transition) -> Instance:
    """An alarm after a line of its history. Its reason for being hidden and its comments stand
    in the audit alone; when its condition came, before its delay, is not told: the time of its
    line is."""
    known = before or Instance(line.element, line.condition)
    came = line.event is Event.ON
    acknowledged = line.event is Event.ACKNOWLEDGE
    anew = line.after is State.UNACKNOWLEDGED or line.occurrence != known.occurrence
    return replace(
        known, state=line.after, on=line.after in ON_STATES, tier=line.tier, worst=line.tier,
        metric=line.metric, value=line.value, limit=line.limit, tripped=line.tier >= TRIP,
        event_at=line.at if came or known.event_at is None else known.event_at,
        raised_at=line.at if came else known.raised_at,
        returned_at=line.at if line.event is Event.OFF else None if came else known.returned_at,
        acknowledged_at=line.at if acknowledged else None if anew else known.acknowledged_at,
        acknowledged_by=line.by if acknowledged else "" if anew else known.acknowledged_by,
        hiding=_hiding(known, line), occurrence=line.occurrence)


def _hiding(known: Instance, line: Transition) -> Hiding | None:
    if line.after not in HIDDEN:
        return None
    return known.hiding or Hiding(line.at, line.by, "")
