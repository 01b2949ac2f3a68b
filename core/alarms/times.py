"""Times of alarms when the machine's clock is set: they go with it, so that what waits takes no
longer for it and ends no sooner (law 3)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from core.alarms.records import Hiding, Instance, Transition
from core.clock import Clock

SET_S = 1.0
"""A clock that is off by less from what has passed was not set, it drifts [s]."""
NOTHING = timedelta(0)


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


def moved_by(one: Instance, set_by: timedelta) -> Instance:
    """After the clock was set. What waits goes with it. What was goes back with it, lest it be yet
    to come; forward it stays, because a machine that slept finds its clock ahead too."""
    waiting = replace(one, changing_at=_plus(one.changing_at, set_by),
                      acknowledged_at=_plus(one.acknowledged_at, set_by),
                      hiding=_hidden(one.hiding, set_by))
    if set_by >= NOTHING:
        return waiting
    return replace(waiting, event_at=_plus(one.event_at, set_by),
                   raised_at=_plus(one.raised_at, set_by),
                   returned_at=_plus(one.returned_at, set_by))


def _hidden(hiding: Hiding | None, set_by: timedelta) -> Hiding | None:
    if hiding is None:
        return None
    return replace(hiding, at=hiding.at + min(set_by, NOTHING),
                   until=_plus(hiding.until, set_by))


def _plus(at: datetime | None, set_by: timedelta) -> datetime | None:
    return None if at is None else at + set_by


def not_ahead(one: Instance, now: datetime) -> Instance:
    """One that was kept; where the clock was set back since, by at least so much."""
    newest = max([now, *_past(one)])
    return one if newest == now else moved_by(one, now - newest)


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
