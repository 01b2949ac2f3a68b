"""Lives of packs from one process to another: an app's digital twin foretells them, and who
coordinates in a process of its own, whose twin does not, plans with them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from core.coordinator.gather import TwinSays
from core.coordinator.records import CoordinatorStore, FleetLives
from core.coordinator.wear import PackLife
from core.errors import GiveUpError, RetryLaterError

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)
STALE = timedelta(days=3)
"""Lives are foretold anew each night; older ones count no more."""


class SharedLives:
    """For one thread."""

    def __init__(self, store: CoordinatorStore) -> None:
        self._store = store
        self._next: datetime | None = None
        self._kept: Mapping[str, PackLife] = {}
        self._found: FleetLives | None = None

    def of(self, twin: TwinSays | None, now: datetime) -> TwinSays | None:
        """What the twin says, with the lives that another process's has foretold where it
        foretells none. Every ten minutes at most it writes or reads; while the store is out of
        reach what was read last counts."""
        if twin is None:
            return None
        if self._next is None or now >= self._next:
            self._next = now + EVERY
            try:
                self._share(twin, now)
            except (RetryLaterError, GiveUpError) as error:
                log.info("lives of packs are not shared now: %s", error)
        if twin.lives is not None or self._found is None or now - self._found.at > STALE:
            return twin
        return replace(twin, lives=self._found.lives)

    def _share(self, twin: TwinSays, now: datetime) -> None:
        if twin.lives is None:
            self._found = self._store.lives()
        elif twin.lives and (twin.lives != self._kept or self._old(now)):
            self._found = FleetLives(now, twin.lives)
            self._store.keep_lives(self._found)
            self._kept = twin.lives

    def _old(self, now: datetime) -> bool:
        """So that lives that stay as they are do not grow stale."""
        return self._found is None or now - self._found.at > STALE / 3
