"""What a loop says to people: once when it comes and, where that is news too, when it goes."""

from __future__ import annotations

import logging
from functools import partial
from itertools import count

from core.clock import Clock
from core.coordinator.keeping import Keeper
from core.coordinator.records import CoordinatorStore
from core.coordinator.view import Level, Note

log = logging.getLogger(__name__)


class Announcer:
    """Of one site, for one thread; what it says is kept and logged."""

    def __init__(self, store: CoordinatorStore, site: str, keeper: Keeper, clock: Clock) -> None:
        self._store, self._site, self._keeper, self._clock = store, site, keeper, clock
        self._numbers = count()
        self._said: dict[str, str] = {}

    def said(self, about: str) -> str:
        """What holds now, "" where nothing does."""
        return self._said.get(about, "")

    def announce(self, about: str, words: str, level: Level = "info", well: str = "") -> None:
        """words: "" where it holds no more; well: what is said then."""
        before = self.said(about)
        self._said[about] = words
        if words and words != before:
            self.note(level, words)
        elif before and not words and well:
            self.note("info", well)

    def note(self, level: Level, words: str) -> None:
        """One line, whatever was said before."""
        (log.warning if level == "warning" else log.info)("%s: %s", self._site, words)
        self._keeper.keep(("note", next(self._numbers)), partial(
            self._store.note, self._site, Note(self._clock.now(), level, words)))
