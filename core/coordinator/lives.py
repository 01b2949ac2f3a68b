"""Lives and health of packs from one process to another: an app's digital twin, which has their
history, finds them, and who coordinates in a process of its own, whose twin does not, plans with
them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import isfinite
from typing import TypeVar

from core.coordinator.gather import TwinSays
from core.coordinator.records import CoordinatorStore, FleetLives
from core.errors import GiveUpError, RetryLaterError
from core.fleet.tree import PACK, site_element

log = logging.getLogger(__name__)

T = TypeVar("T")
EVERY, SILENT = timedelta(minutes=10), timedelta(minutes=2)
STALE = timedelta(days=3)
"""Lives are foretold anew each night, health is found each few hours; older ones count no more."""


class SharedLives:
    """For one thread. sites: that this process shows or coordinates. Lives are kept by site, and of
    each its own packs' alone: apps of several sites may share one store."""

    def __init__(self, store: CoordinatorStore, sites: Sequence[str]) -> None:
        self._store, self._sites = store, tuple(sites)
        self._shared_at: datetime | None = None
        self._found: FleetLives | None = None

    def of(self, twin: TwinSays | None, now: datetime) -> TwinSays | None:
        """What the twin says, with the lives and the health that another process's has found where
        it looks for none. Every ten minutes at most it writes or reads; while the store is out of
        reach what was read last counts."""
        if twin is None:
            return None
        if self._shared_at is None or not self._shared_at <= now < self._shared_at + EVERY:
            self._shared_at = now
            try:
                self._share(twin, now)
            except (RetryLaterError, GiveUpError) as error:
                log.info("lives of packs are not shared now: %s", error)
        if twin.lives is not None or self._found is None or now - self._found.at > STALE:
            return twin
        found = self._found
        return replace(twin, lives=found.lives or None, soh_pct={**found.soh_pct, **twin.soh_pct},
                       capacity={**found.capacity, **twin.capacity})

    def _share(self, twin: TwinSays, now: datetime) -> None:
        if twin.lives is None:
            self._found = self._told(now)
            return
        told = _found_by(twin, now)
        if twin.table.time is None or now - twin.table.time > SILENT or not (
                told.lives or told.soh_pct or told.capacity):
            return  # a twin that stands still finds nothing anew
        before = self._found
        if before is not None and now - before.at <= STALE / 3 and told == replace(
                before, at=told.at):
            return
        self._found = told
        for site in self._sites:
            mine = _of_site(told, site)
            if mine.lives or mine.soh_pct or mine.capacity:
                self._store.keep_lives(site, mine)

    def _told(self, now: datetime) -> FleetLives | None:
        """Of all sites, those that do not count any more left out; as old as the oldest."""
        told = [found for site in self._sites if (found := self._store.lives(site)) is not None
                and now - found.at <= STALE]
        if not told:
            return None
        return FleetLives(min(one.at for one in told), _joined([one.lives for one in told]),
                          _joined([one.soh_pct for one in told]),
                          _joined([one.capacity for one in told]))


def _found_by(twin: TwinSays, now: datetime) -> FleetLives:
    """What it knows of it."""
    return FleetLives(now, dict(twin.lives or {}),
                      {element: soh for element, soh in twin.soh_pct.items() if isfinite(soh)},
                      {element: one for element, one in twin.capacity.items() if one.known})


def _of_site(told: FleetLives, site: str) -> FleetLives:
    below = f"{site_element(site)}_{PACK}_"

    def mine(values: Mapping[str, T]) -> dict[str, T]:
        return {element: one for element, one in values.items() if element.startswith(below)}
    return FleetLives(told.at, mine(told.lives), mine(told.soh_pct), mine(told.capacity))


def _joined(parts: Sequence[Mapping[str, T]]) -> dict[str, T]:
    return {element: one for part in parts for element, one in part.items()}
