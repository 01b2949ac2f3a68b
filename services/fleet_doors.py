"""Whom the gateways of a site turned away, as they tell it over the fleet's broker."""

from __future__ import annotations

import threading
from datetime import timedelta

from core.clock import Clock, from_epoch
from core.fleet.messages import VERSION, DoorReport, TurnedTold, read_small
from core.fleet.rejections import RejectedError, Rejection
from core.fleet.topics import Address
from core.talk import cut
from core.turned_away import MOST_TOLD, Door, Turned, TurnedAway

MOST_DOORS = 16
FORGOTTEN_AFTER = timedelta(days=1)


def door_report(site: str, door: str, turned: TurnedAway) -> DoorReport:
    """What this process tells."""
    return DoorReport(v=VERSION, site=site, door=door[:80], counts=turned.counts(), newest=tuple(
        TurnedTold(at_s=one.at.timestamp(), reason=one.reason, asked=one.asked, who=one.who)
        for one in turned.newest()[:MOST_TOLD]))


class Doors:
    """The newest word of each, MOST_DOORS at most; for any threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._doors: dict[str, Door] = {}

    def hear(self, address: Address, payload: bytes) -> None:
        """Raises RejectedError."""
        told = read_small(payload, DoorReport)
        if told.site != address.site:
            raise RejectedError(Rejection.WRONG_SENDER, told.site)
        newest = tuple(Turned(from_epoch(one.at_s), one.reason, cut(one.asked), cut(one.who))
                       for one in told.newest)
        name = cut(told.door)
        with self._lock:
            self._doors.pop(name, None)
            self._doors[name] = Door(name, told.counts, newest, self._clock.now())
            while len(self._doors) > MOST_DOORS:
                del self._doors[next(iter(self._doors))]

    def told(self) -> list[Door]:
        """The newest word first; who said nothing for a day is forgotten."""
        oldest = self._clock.now() - FORGOTTEN_AFTER
        with self._lock:
            self._doors = {name: door for name, door in self._doors.items()
                           if door.heard_at >= oldest}
            return list(reversed(self._doors.values()))
