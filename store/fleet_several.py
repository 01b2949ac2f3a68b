"""The fleet's telemetry in several stores: the first must have each message, the others have it
too, or it waits for them on this disk, before anybody is told that it is kept.

So a store beside the first that is down holds up nothing and loses nothing: what it lacks is handed
on in order when it answers, and its own numbering takes each once. The first commits last: how far
a device is settled is told by its marks, and all that these say is safe everywhere by then, also
over SIGKILL at any moment. Readers ask the first that answers.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from core.clock import Clock, SystemClock
from core.errors import OrreryError, RetryLaterError
from core.fleet.entries import FleetEntry, Mark, Taken
from core.fleet.ports import FleetStore
from core.fleet.rejections import WORDS, Rejection
from store.fleet_waiting import WaitingEntries
from store.worker import Worker

log = logging.getLogger(__name__)

AT_ONCE = 1000
TRY_EVERY_S = 1.0
US_PER_S = 1_000_000
Refused = Sequence[tuple[FleetEntry, Rejection]]


class Follower:
    """A store beside the first. open_store: connects; what else than RetryLaterError it raises at
    first is raised here."""

    def __init__(self, name: str, open_store: Callable[[], FleetStore], waiting: WaitingEntries,
                 clock: Clock) -> None:
        self._name, self._open_store, self._waiting = name, open_store, waiting
        self._clock = clock
        self._lock = threading.Lock()
        self._store: FleetStore | None = None
        self._trouble, self._tried_s, self._closed = "", float("-inf"), False
        self._refused, self._refusal = 0, ""
        try:
            self._store = open_store()
        except RetryLaterError as error:
            self._failed(error)
        self._direct = self._store is not None and not waiting.count
        self._worker = Worker("fleet-follower", self._hand_on)
        self._worker.ask()

    def keep(self, entries: Sequence[FleetEntry]) -> Refused:
        """There, or here until it is there; what it refuses at once. Raises RetryLaterError where
        this disk is full."""
        with self._lock:
            if self._direct and self._store is not None:
                try:
                    return self._store.take(entries).refused
                except OrreryError as error:
                    self._direct = False
                    self._failed(error)
            self._waiting.add(entries)
        self._worker.ask()
        return ()

    def mark(self, site: str, device: str) -> Mark | None:
        """As far as it is known while it is away."""
        return None if self._store is None else self._store.mark(site, device)

    def forget(self, before_us: int, most: int) -> None:
        """Also the moment to try again, where no message comes."""
        if self._direct and self._store is not None:
            with suppress(OrreryError):  # told by the next batch
                self._store.forget(before_us, most)
        else:
            self._worker.ask()

    def behind(self) -> str:
        """"" when it has all."""
        found = []
        if not self._direct:
            why = f": {self._trouble}" if self._trouble else ""
            found.append(f"{self._waiting.count} messages wait on this disk for {self._name}{why}")
        if self._refused:
            found.append(f"{self._name} refused {self._refused} that had waited for it, the newest "
                         f"as {self._refusal}; the first store has them")
        return "; ".join(found)

    def settle(self) -> None:
        """Wait until what waits was tried once more (tests)."""
        self._tried_s = float("-inf")
        self._worker.ask()
        self._worker.settle()

    def close(self) -> None:
        """What waits stays on this disk for the next start."""
        self._closed = True
        self._worker.stop()
        if self._store is not None:
            self._store.close()
        self._waiting.close()

    def _hand_on(self) -> None:
        """Called on the worker's thread."""
        now_s = self._clock.now().timestamp()
        if self._direct or 0.0 <= now_s - self._tried_s < TRY_EVERY_S:
            return
        self._tried_s = now_s
        try:
            if self._store is None:
                self._store = self._open_store()
            while (found := self._waiting.oldest(AT_ONCE)) and not self._closed:
                received_us = round(self._clock.now().timestamp() * US_PER_S)
                taken = self._store.take([replace(entry, received_us=received_us)
                                          for _, entry in found])
                self._waiting.drop(found[-1][0])
                self._count(taken.refused)
        except OrreryError as error:
            self._failed(error)
            return
        with self._lock:
            self._direct = not self._waiting.count
        if self._direct:
            log.info("%s has all that waited for it", self._name)
            self._trouble = ""

    def _count(self, refused: Refused) -> None:
        """Of what waited: its devices were told long ago that it is kept."""
        for entry, reason in refused:
            self._refused += 1
            self._refusal = f"{WORDS[reason]} ({entry.device}, number {entry.seq})"
        if refused:
            log.error("%s refused %d messages that had waited for it: %s", self._name,
                      len(refused), self._refusal)

    def _failed(self, error: OrreryError) -> None:
        if not self._trouble:
            log.error("%s takes nothing, and it waits on this disk: %s", self._name, error)
        self._trouble = str(error)


class SeveralFleetStores:
    """`core.fleet.ports.FleetStore` of the first and of those beside it. others: by name, with
    what waits for each."""

    def __init__(self, first: FleetStore,
                 others: Mapping[str, tuple[Callable[[], FleetStore], WaitingEntries]],
                 clock: Clock | None = None) -> None:
        self._first = first
        self._others: list[Follower] = []
        try:
            for name, (opener, waiting) in others.items():
                self._others.append(Follower(name, opener, waiting, clock or SystemClock()))
        except BaseException:
            self.close()
            raise

    def take(self, entries: Sequence[FleetEntry]) -> Taken:
        """What one that is there refuses is in none of those after it: its device numbers it anew
        for all."""
        refused: dict[FleetEntry, Rejection] = {}
        for one in self._others:
            found = dict(one.keep(entries))
            if found:
                refused.update(found)
                entries = [entry for entry in entries if entry not in found]
        taken = self._first.take(entries)
        return replace(taken, refused=(*refused.items(), *taken.refused)) if refused else taken

    def mark(self, site: str, device: str) -> Mark | None:
        """As the first has settled it; `last` is the highest of all, above which a device that
        numbers anew is refused by none."""
        own = self._first.mark(site, device)
        found = [mark for one in self._others if (mark := one.mark(site, device)) is not None]
        if own is None and found:
            own = replace(found[0], high=0)
        return None if own is None else replace(
            own, last=max(mark.last for mark in (own, *found)))

    def marks(self) -> Sequence[Mark]:
        return self._first.marks()

    def bodies(self, site: str, device: str, first: int, last: int) -> Sequence[tuple[int, bytes]]:
        return self._first.bodies(site, device, first, last)

    def gaps(self, site: str, device: str) -> Sequence[tuple[int, int]]:
        return self._first.gaps(site, device)

    def forget(self, before_us: int, most: int = 5000) -> int:
        for one in self._others:
            one.forget(before_us, most)
        return self._first.forget(before_us, most)

    def behind(self) -> str:
        return "; ".join(words for one in self._others if (words := one.behind()))

    def settle(self) -> None:
        """As `Follower.settle`."""
        for one in self._others:
            one.settle()

    def close(self) -> None:
        for one in self._others:
            one.close()
        self._first.close()
