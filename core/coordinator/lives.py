"""Lives of packs from one process to another: an app's digital twin foretells them, and who
coordinates in a process of its own, whose twin does not, plans with them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.coordinator.gather import TwinSays
from core.coordinator.records import CoordinatorStore, FleetLives
from core.coordinator.wear import PackLife
from core.errors import GiveUpError, RetryLaterError
from core.fleet.tree import PACK, site_element

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)
STALE = timedelta(days=3)
"""Lives are foretold anew each night; older ones count no more."""


class SharedLives:
    """For one thread. sites: that this process shows or coordinates. Lives are kept by site, and of
    each its own packs' alone: apps of several sites may share one store."""

    def __init__(self, store: CoordinatorStore, sites: Sequence[str]) -> None:
        self._store, self._sites = store, tuple(sites)
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
            self._found = self._told(now)
        elif twin.lives and (twin.lives != self._kept or self._old(now)):
            self._found = FleetLives(now, twin.lives)
            for site in self._sites:
                below = f"{site_element(site)}_{PACK}_"
                mine = {element: life for element, life in twin.lives.items()
                        if element.startswith(below)}
                if mine:
                    self._store.keep_lives(site, FleetLives(now, mine))
            self._kept = twin.lives

    def _told(self, now: datetime) -> FleetLives | None:
        """Of all sites, those that do not count any more left out; as old as the oldest."""
        told = [found for site in self._sites if (found := self._store.lives(site)) is not None
                and now - found.at <= STALE]
        told.sort(key=lambda one: one.at)
        lives = {element: life for one in told for element, life in one.lives.items()}
        return FleetLives(told[0].at, lives) if told else None

    def _old(self, now: datetime) -> bool:
        """So that lives that stay as they are do not grow stale."""
        return self._found is None or now - self._found.at > STALE / 3
