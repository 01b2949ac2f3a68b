"""Times of alarms when the machine's clock is set: they go with it, so that what waits takes no
longer for it and ends no sooner (law 3)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from core.alarms.records import Hiding, Instance, Remembered, Transition
from core.clock import Clock

SET_S = 1.0
"""A clock that is off by less from what has passed was not set, it drifts [s]."""
NOTHING = timedelta(0)
BEGINNING = datetime.min.replace(tzinfo=UTC)


class Watch:
    """A clock, and by how much it was set since it was last looked at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._zero = self._look()[1]

    def look(self) -> tuple[datetime, timedelta]:
        """Now, and how far the clock was set, below 0: back."""
        now, zero = self._look()
        set_by = zero - self._zero
        if abs(set_by.total_seconds()) < SET_S:
            return now, NOTHING
        self._zero = zero
        return now, set_by

    def _look(self) -> tuple[datetime, datetime]:
        """Now, and what the clock would have told when `monotonic_s` began."""
        now = self._clock.now()
        return now, now - timedelta(seconds=self._clock.monotonic_s())


class Start:
    """When a journal began, and how far the clock was behind what was kept then; not at all where
    it was right."""

    def __init__(self, known: Remembered, now: datetime) -> None:
        self._at = now
        self._behind = max([NOTHING, *(_newest(one) - now for one in known.instances),
                            *(line.at - now for line in known.recent[-1:])])

    def moved_by(self, one: Instance, set_by: timedelta) -> Instance:
        """As `moved_by`. A clock that was behind and comes past what was kept was wrong all the
        while: what it told since the start goes with it."""
        was_wrong = timedelta(seconds=SET_S) <= self._behind <= set_by
        if was_wrong and one.set_back == NOTHING and one.began >= self._at:
            one = replace(one, set_back=set_by)
        return moved_by(one, set_by)


def moved_by(one: Instance, set_by: timedelta) -> Instance:
    """After the clock was set. What waits goes with it. What was goes back with it, lest it be yet
    to come; forward it stays, because a machine that slept finds its clock ahead too, but for what
    a start with a clock that was behind had set back."""
    back = min(one.set_back, max(set_by, NOTHING))
    return _moved(one, set_by, min(set_by, NOTHING) + back, one.set_back - back)


def _moved(one: Instance, waits: timedelta, was: timedelta, set_back: timedelta) -> Instance:
    return replace(one, changing_at=_plus(one.changing_at, waits),
                   acknowledged_at=_plus(one.acknowledged_at, waits),
                   hiding=_hidden(one.hiding, waits, was), event_at=_plus(one.event_at, was),
                   raised_at=_plus(one.raised_at, was),
                   returned_at=_plus(one.returned_at, was), set_back=set_back)


def _hidden(hiding: Hiding | None, waits: timedelta, was: timedelta) -> Hiding | None:
    if hiding is None:
        return None
    return replace(hiding, at=hiding.at + was, until=_plus(hiding.until, waits))


def _plus(at: datetime | None, set_by: timedelta) -> datetime | None:
    return None if at is None else at + set_by


def not_ahead(one: Instance, now: datetime) -> Instance:
    """One that was kept. Where the clock is behind it, it is set back by at least so much; what an
    earlier start had set back is as it was where the clock has come past it."""
    if one.set_back:
        before = _moved(one, one.set_back, one.set_back, NOTHING)
        if _newest(before) <= now:
            return before
    ahead = _newest(one) - now
    return one if ahead <= NOTHING else _moved(one, -ahead, -ahead, one.set_back + ahead)


def _newest(one: Instance) -> datetime:
    return max(_past(one), default=BEGINNING)


def _past(one: Instance) -> list[datetime]:
    times = (one.changing_at, one.event_at, one.raised_at, one.returned_at, one.acknowledged_at,
             one.hiding.at if one.hiding else None)
    return [at for at in times if at is not None]


def in_order(lines: Iterable[Transition], now: datetime) -> list[Transition]:
    """Lines as they were written one after the other, none later than the next or than `now`:
    where the clock was set back between two, those before go with it."""
    found: list[Transition] = []
    latest, set_by = now, NOTHING
    for line in reversed(list(lines)):
        set_by = min(set_by, latest - line.at)
        latest = line.at + set_by
        found.append(line if set_by == NOTHING else replace(line, at=latest))
    return found[::-1]
