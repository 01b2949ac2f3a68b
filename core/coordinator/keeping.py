"""What a loop keeps of its site: at once, or, while the store is out of reach, when it is back."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from core.coordinator.records import Changed, CoordinatorStore, Minute
from core.errors import RetryLaterError

log = logging.getLogger(__name__)

MOST_WAITING, MOST_MINUTES = 1_000, 20_160
"""Lines, and two weeks of minutes, that wait at most; the oldest go first."""


class Keeper:
    """Of one site, for one thread. by: who coordinates it. `lost`: why the store went out of
    reach, "" where it is not; `since`: when it took the site, None where it does not hold it."""

    def __init__(self, store: CoordinatorStore, site: str, by: str) -> None:
        self._store, self._site, self._by = store, site, by
        self._holds = False
        self.since: datetime | None = None
        self._asked_at: datetime | None = None
        self._settings: Changed | None = None
        self._waiting: dict[object, Callable[[], object]] = {}
        self._minutes: deque[Minute] = deque(maxlen=MOST_MINUTES)
        self.lost = ""

    def holds(self, now: datetime) -> bool:
        """Take the site, or keep it. Who held it when the store was lost goes on, so that packs do
        not rest because of a database; another one that still reaches the store may take the site
        meanwhile, and devices then follow that one (`Allocation.lease_s`). Raises RetryLaterError
        where the store is out of reach before."""
        self._asked_at = now
        try:
            self._holds = self._store.lease(self._site, self._by, now) == self._by
        except RetryLaterError as error:
            self.lost = self.lost or str(error)
            if not self._holds:
                raise
            return True
        self.lost = ""
        if self._holds:
            self.since = self.since or now
            self._write()
        else:
            self.since = None
            self._forget()
        return self._holds

    def _forget(self) -> None:
        """Another one tells of this site now."""
        self._waiting.clear()
        self._minutes.clear()

    def release(self) -> None:
        """Give the site back, what waits kept where no other took it; raises RetryLaterError."""
        if self._asked_at is not None and self._holds:
            self.holds(self._asked_at)
        self._holds, self.since = False, None
        if self._waiting:
            log.warning("%s: %d lines and %d minutes are not kept: %s", self._site,
                        len(self._waiting), len(self._minutes), self.lost)
        self._store.release(self._site, self._by)

    def settings(self) -> Changed | None:
        """As they were last while the store is lost; raises GiveUpError."""
        if not self.lost:
            try:
                self._settings = self._store.settings(self._site)
            except RetryLaterError as error:
                self.lost = self.lost or str(error)
        return self._settings

    def keep(self, what: object, write: Callable[[], object]) -> None:
        """what: of which the newest alone counts. write: raises RetryLaterError, and may be called
        again where nobody knows what became of it."""
        self._waiting.pop(what, None)
        self._waiting[what] = write
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        if not self.lost:
            self._write()

    def keep_minutes(self, minutes: Sequence[Minute]) -> None:
        self._minutes.extend(minutes)
        self.keep("minutes", self._write_minutes)

    def _write_minutes(self) -> None:
        self._store.keep_minutes(self._site, list(self._minutes))
        self._minutes.clear()

    def _write(self) -> None:
        """All that waits, in its order."""
        try:
            while self._waiting:
                what = next(iter(self._waiting))
                self._waiting[what]()
                del self._waiting[what]
        except RetryLaterError as error:
            self.lost = self.lost or str(error)
