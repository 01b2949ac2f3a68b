"""Whom the processes of a site turned away, in the tables that they share."""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timedelta

import msgspec

from core.clock import Clock
from core.errors import OrreryError
from core.site_records import SiteRecords
from core.turned_away import MOST_TOLD, Door, TurnedAway

FORGOTTEN_AFTER = timedelta(days=1)
LOOK_EVERY = timedelta(seconds=5)


def keep_door(records: SiteRecords, name: str, turned: TurnedAway, now: datetime) -> None:
    """In place of what this process told before; drops those that said nothing for a day. name:
    what it is called. Raises RetryLaterError."""
    door = Door(name, turned.counts(), turned.newest()[:MOST_TOLD], now)
    records.save("door", name, msgspec.json.encode(door).decode())
    for other, told in records.saved("door").items():
        found = _door(told)
        if found is None or now - found.heard_at > FORGOTTEN_AFTER:
            records.remove("door", other)


def kept_doors(records: SiteRecords, now: datetime) -> list[Door]:
    """Those of the last day; raises RetryLaterError."""
    found = map(_door, records.saved("door").values())
    return [door for door in found
            if door is not None and now - door.heard_at <= FORGOTTEN_AFTER]


def _door(told: str) -> Door | None:
    """None for what another version wrote."""
    try:
        return msgspec.json.decode(told, type=Door)
    except msgspec.MsgspecError:
        return None


class DoorsSeen:
    """What `kept_doors` told last, looked at beside whoever asks: no page waits for a database.
    For any threads."""

    def __init__(self, records: SiteRecords, clock: Clock) -> None:
        self._records, self._clock = records, clock
        self._lock = threading.Lock()
        self._looking: threading.Thread | None = None
        self._looked_at: datetime | None = None
        self._seen: list[Door] = []

    def doors(self) -> list[Door]:
        """As last seen; nothing before the first look has ended."""
        now = self._clock.now()
        with self._lock:
            due = self._looked_at is None or \
                not self._looked_at <= now < self._looked_at + LOOK_EVERY
            if due and (self._looking is None or not self._looking.is_alive()):
                self._looked_at = now
                self._looking = threading.Thread(target=self._look, name="doors", daemon=True)
                self._looking.start()
            return list(self._seen)

    def settle(self) -> None:
        """Wait for the look that is under way (tests)."""
        if self._looking is not None:
            self._looking.join()

    def _look(self) -> None:
        with contextlib.suppress(OrreryError):  # the page's part about stores says it
            self._seen = kept_doors(self._records, self._clock.now())
