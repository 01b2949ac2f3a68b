"""What came late into a store beside the app, while the app runs: put into history at its own time.

A device that was offline empties its outbox when it is back. The ingest has all of it then; history
went on without. Each minute a thread of its own looks at what the ingest stored since, and tells
history of the minutes that it lacks, some at a time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import cast

import numpy as np

from core.backfill import KEPT_DAYS, is_kept
from core.engine import Engine
from core.errors import OrreryError
from core.frames import Frame
from core.ports import KeptSource, Store
from core.topology import IndexArray

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
LATE_S = 30.0
"""What is younger when it comes was live, or its device's clock is slow [s]."""
BEHIND_S = 60.0
"""A store may still commit what it received so long ago [s]: what was looked at is looked at again
so long, and told twice is told once."""
ASKED_AT_ONCE = timedelta(hours=1)
"""Of what a store received, so that a start after days asks little by little."""
SETTLED_S = 300.0
"""So long after its end a minute is told anew [s]: the rest of an outbox comes together."""
MOST_MINUTES = 60
"""At one look."""
MOST_ROWS = 2 ** 18
"""Of nodes and minutes that are told at once."""
STEP_S = 1.0
AGAIN = timedelta(hours=6)
"""An outbox of two days is told in less than one."""
MINUTE, STEP = timedelta(minutes=1), timedelta(seconds=STEP_S)


class LateArrivals:
    """since: after when what was stored is looked at (UTC), at most KEPT_DAYS back. most_minutes:
    that are told at one look."""

    def __init__(self, engine: Engine, store: Store, since: datetime,
                 most_minutes: int = MOST_MINUTES) -> None:
        self._engine, self._store, self._most_minutes = engine, store, most_minutes
        since = max(since, engine.clock.now() - timedelta(days=KEPT_DAYS))
        self._kept = {index: cast(KeptSource, source)
                      for index, source in enumerate(engine.sources) if is_kept(source)}
        self._since = dict.fromkeys(self._kept, since)
        self._looked = (engine.clock.now(), engine.clock.monotonic_s())
        self._waiting: dict[int, set[datetime]] = {index: set() for index in self._kept}
        self._stop = threading.Event()
        self.error = ""
        self._thread = threading.Thread(target=self._run, name="late", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._engine.clock.wait(LOOK_EVERY_S, self._stop):
            self.look()

    def look(self) -> None:
        """Once, on the calling thread."""
        now = self._engine.clock.now()
        self._follow_clock(now)
        try:
            for index, source in self._kept.items():
                self._ask(index, source, now)
                self._tell(index, now)
        except OrreryError as error:
            if not self.error:
                log.error("what came late is not in history yet: %s", error)
            self.error = str(error)
        else:
            self.error = ""

    def _follow_clock(self, now: datetime) -> None:
        """What comes after the centre's clock was set back is stored with times that were looked
        at before."""
        passed_s = self._engine.clock.monotonic_s()
        expected = self._looked[0] + timedelta(seconds=passed_s - self._looked[1])
        self._looked = now, passed_s
        if now < expected:
            self._since = {index: since - (expected - now) for index, since in self._since.items()}

    def _ask(self, index: int, source: KeptSource, now: datetime) -> None:
        after = self._since[index]
        if now > after:
            until = min(now, after + ASKED_AT_ONCE)
            self._waiting[index].update(source.late(after, until, LATE_S))
            self._since[index] = max(after, until - timedelta(seconds=BEHIND_S))

    def _tell(self, index: int, now: datetime) -> None:
        """The oldest first; what could not be told waits for the next look."""
        waiting = self._waiting[index]
        waiting.difference_update([one for one in waiting if one < now - timedelta(days=KEPT_DAYS)])
        settled = now - timedelta(seconds=SETTLED_S) - MINUTE
        ripe = sorted(one for one in waiting if one <= settled)[:self._most_minutes]
        at_once = max(1, MOST_ROWS // self._engine.topology.size)
        for run in runs(ripe, at_once):
            if self._stop.is_set():
                return
            self._store.amend(self._frames(index, run[0], run[-1] + MINUTE), self._nodes(index))
            waiting.difference_update(run)

    def _nodes(self, index: int) -> IndexArray:
        """What a source tells of. The top only where no other source has a part of the tree: it is
        a sum of what is not known here."""
        own = [np.arange(target.start, target.stop)
               for _, target in self._engine.placements[index].blocks]
        alone = sum(bool(source.roots) for source in self._engine.sources) == 1
        return np.concatenate([np.arange(int(alone)), *own])

    def _frames(self, index: int, start: datetime, end: datetime) -> Iterator[Frame]:
        """Of start <= time < end, as the devices told it."""
        assembler = self._engine.new_assembler()
        for reading in self._kept[index].backfill(start - STEP, end - STEP, STEP_S):
            assembler.apply(index, reading)
            yield assembler.frame(reading.measured_at)


def runs(minutes: Sequence[datetime], most: int) -> list[list[datetime]]:
    """Minutes that follow each other, at most so many together."""
    found: list[list[datetime]] = []
    for minute in minutes:
        if found and len(found[-1]) < most and minute - found[-1][-1] == MINUTE:
            found[-1].append(minute)
        else:
            found.append([minute])
    return found


def late_arrivals(engine: Engine) -> LateArrivals | None:
    """From a while before the newest that history holds on: what waited to be told when the app
    ended is found again. None where no store beside the app is told of."""
    if engine.store is None or not any(is_kept(source) for source in engine.sources):
        return None
    newest = engine.store.health().newest or engine.clock.now()
    return LateArrivals(engine, engine.store, newest - AGAIN)
