"""At first start the simulators tell their past, so that no plot is empty; at any start a store
beside the app tells what its devices said while the app was down.

The past of a simulator is simulated like its present, and marked as such by its source.
Recordings, and live devices without such a store (`KeptSource`), have no past to tell. What came
late into the store, for a time in which the app ran, `core/late.py` tells.
"""

from __future__ import annotations

import heapq
import logging
import math
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import cast

import numpy as np
from numpy.typing import NDArray

from core.ahead import ahead
from core.clock import from_epoch
from core.devices import Floats, spread
from core.engine import Engine
from core.errors import OrreryError
from core.frames import Frame, Reading
from core.ports import (
    BackfillingSource,
    ChannelHistory,
    Hole,
    KeptSource,
    Past,
    PastTellingSource,
    Source,
    Store,
)

log = logging.getLogger(__name__)

STEP_S = 10.0
MOST_MOMENTS = 8640
"""Of what a store kept: each second of 2.4 hours, then fewer, down to every STEP_S."""
DAY_S = 86400.0
KEPT_DAYS = 7
"""So far back a store is asked."""
MINUTE_S = 60.0
MOST_MINUTES = KEPT_DAYS * 1440 + 10
MOST_ROOTS = 8
"""Of so few, history tells a week in minutes."""
LOOKED_AT = "power_kw"
FAR_DAYS, FAR_STEP_S = 400, 300.0
"""Of the devices' past: hours alone, for the totals of months and years."""
NEAR_DAYS, NEAR_STEP_S = 90, 60.0
"""Minutes, for what is told of heat pumps over three months."""
MOST_AHEAD = 3
"""Days that are simulated while those before them are written."""
HEAD_START_S = 6.0
"""The first page is drawn before the past takes a core of its own."""


class Backfill:
    """Writes the past on its own thread: of the tree into `store`, `hours` of what is simulated
    and all that was kept, and what the devices can tell into `channels`; either is None where
    nothing is to be told. newest: of a history that is not empty; only what was kept since then
    is told."""

    def __init__(self, engine: Engine, store: Store | None, channels: ChannelHistory | None,
                 hours: float, newest: datetime | None = None) -> None:
        self._engine = engine
        self._store = store
        self._channels = channels
        self._end = engine.clock.now()
        self._hours = hours
        self._newest = newest
        self._start = self._end
        self._told, self._written = 0.0, 0.0
        self._stop = threading.Event()
        self.error = ""
        self._thread = threading.Thread(target=self._run_later, name="backfill", daemon=True)

    @property
    def progress(self) -> float:
        """Share done, 0..1, of what there is to tell of devices and of the tree."""
        parts = [share for share, there in ((self._told, self._channels is not None),
                                            (self._written, self._store is not None)) if there]
        return sum(parts) / len(parts)

    @property
    def simulates(self) -> bool:
        """Whether a part of it is simulated: of a hole nothing is."""
        return self._channels is not None or (self._newest is None and self._hours > 0 and any(
            is_simulated(source) for source in self._engine.sources))

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run_later(self) -> None:
        if not self._stop.wait(HEAD_START_S):
            self.run()

    def run(self) -> None:
        """All of it, on the calling thread."""
        try:
            if self._channels is not None:
                with ahead(self._pieces(), MOST_AHEAD) as pieces:
                    self._channels.backfill(pieces, lambda reached: None)
            if self._store is not None:
                for hole in (None,) if self._newest is None else self._holes(self._store):
                    self._store.backfill(self._frames(hole), self._done, hole)
        except OrreryError as error:
            self.error = str(error)
            log.error("the past could not be written: %s", error)

    def _done(self, reached: datetime) -> None:
        self._written = (reached - self._start) / (self._end - self._start)

    def _holes(self, store: Store) -> list[Hole]:
        """Where minutes of what is kept are missing, one that was begun and broken off too.
        Raises RetryLaterError."""
        kept = [cast(KeptSource, source) for source in self._engine.sources if is_kept(source)]
        begins = [since for source in kept if (since := source.kept_since()) is not None]
        if not begins:
            return []
        begin = max(min(begins), self._end - timedelta(days=KEPT_DAYS))
        roots = [root.id for source in kept for root in source.roots][:MOST_ROOTS]
        told = store.series(roots, [LOOKED_AT], begin, self._end, MOST_MINUTES)
        return holes_between([begin.timestamp() - MINUTE_S, *(
            time_s for one in told if one.resolution_s <= MINUTE_S for time_s in one.time_s)],
            self._end)

    def _frames(self, hole: Hole | None) -> Iterator[Frame]:
        begins = self._begins(hole)
        end = self._end if hole is None else hole.until
        self._start = min(begins.values(), default=end)
        step_s = self._step_s(begins, (end - self._start).total_seconds())
        assembler = self._engine.new_assembler()
        told = heapq.merge(*(self._told_by(index, begin, end, step_s)
                             for index, begin in begins.items()), key=itemgetter(0))
        for when, readings in groupby(told, itemgetter(0)):
            if self._stop.is_set():
                return
            for _, index, reading in readings:
                assembler.apply(index, reading)
            yield assembler.frame(when)

    def _begins(self, hole: Hole | None) -> dict[int, datetime]:
        """Number of a source that tells of the tree -> from when on. Raises RetryLaterError."""
        found: dict[int, datetime] = {}
        for index, source in enumerate(self._engine.sources):
            if is_kept(source):
                since = cast(KeptSource, source).kept_since()
                first = self._end - timedelta(days=KEPT_DAYS) if hole is None else hole.after
                if since is not None and since < self._end:
                    found[index] = _whole_minute(max(since, first))
            elif is_simulated(source) and hole is None and self._hours:
                found[index] = self._end - timedelta(hours=self._hours)
        return found

    def _step_s(self, begins: dict[int, datetime], span_s: float) -> float:
        """As fine as MOST_MOMENTS allow; simulators tell every STEP_S."""
        if not all(is_kept(self._engine.sources[index]) for index in begins):
            return STEP_S
        return min(max(math.ceil(span_s / MOST_MOMENTS), 1.0), STEP_S)

    def _told_by(self, index: int, begin: datetime, end: datetime,
                 step_s: float) -> Iterator[tuple[datetime, int, Reading]]:
        source = cast(BackfillingSource, self._engine.sources[index])
        for reading in source.backfill(begin, end, step_s):
            yield reading.measured_at, index, reading

    def _pieces(self) -> Iterator[Past]:
        """A day each, from the far past to now."""
        for number, (time_s, hours_only) in enumerate(past_grid(self._end.timestamp())):
            if self._stop.is_set():
                return
            yield Past(time_s, self._values(time_s), hours_only)
            self._told = min(number / FAR_DAYS, 1.0)

    def _values(self, time_s: Floats) -> NDArray[np.float32]:
        table = self._engine.devices
        values = np.full((time_s.size, table.size), np.nan)
        for index, source in enumerate(self._engine.sources):
            if self._tells(source, time_s):
                reported = cast(PastTellingSource, source).tell_past(time_s)
                own = spread(table, index, reported)
                np.copyto(values, own, where=np.isfinite(own))
        return values.astype(np.float32)

    def _tells(self, source: Source, time_s: Floats) -> bool:
        """Whether a source can tell all of `time_s` [s]."""
        if not hasattr(source, "tell_past"):
            return False
        past_s = cast(PastTellingSource, source).past_days * DAY_S
        return bool(time_s[0] >= self._end.timestamp() - past_s)


def past_grid(end_s: float) -> Iterator[tuple[Floats, bool]]:
    """Moments of a day each before `end_s` [s], and whether hours alone are kept of them."""
    seam_s = end_s // DAY_S * DAY_S - NEAR_DAYS * DAY_S
    for day in range(FAR_DAYS - NEAR_DAYS, 0, -1):
        yield seam_s - day * DAY_S + np.arange(0.0, DAY_S, FAR_STEP_S), True
    for day in range(NEAR_DAYS + 1):
        time_s = seam_s + day * DAY_S + np.arange(0.0, DAY_S, NEAR_STEP_S)
        yield time_s[time_s < end_s], False


def holes_between(known_s: Iterable[float], end: datetime) -> list[Hole]:
    """Of whole minutes, between the minutes in which something is known [s], until `end`."""
    minutes = np.unique(np.array([*known_s, end.timestamp()]) // MINUTE_S)
    wide = np.flatnonzero(np.diff(minutes) > 1)
    return [Hole(from_epoch(MINUTE_S * minutes[at]), from_epoch(MINUTE_S * minutes[at + 1]))
            for at in wide.tolist()]


def _whole_minute(when: datetime) -> datetime:
    """The one that it lies in."""
    return when.replace(second=0, microsecond=0)


def is_kept(source: Source) -> bool:
    """Whether a store beside the app keeps what its devices say."""
    return hasattr(source, "kept_since")


def is_simulated(source: Source) -> bool:
    """Whether it can simulate a past of the tree."""
    return hasattr(source, "backfill") and not is_kept(source)


def tree_needs_it(engine: Engine, newest: datetime | None, hours: float) -> bool:
    """newest: of history. Simulators fill only an empty one; what was kept, also what it lacks
    since then."""
    if newest is not None:
        return any(is_kept(source) for source in engine.sources)
    return any(is_kept(source) or (hours > 0 and is_simulated(source))
               for source in engine.sources)


def devices_need_it(engine: Engine, channels: ChannelHistory) -> bool:
    """As `tree_needs_it`, for the channels of devices."""
    return channels.health().newest is None and any(
        hasattr(source, "tell_past") for source in engine.sources)
