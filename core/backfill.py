"""At first start the simulators tell their past, so that no plot is empty.

The past of a simulator is simulated like its present, and marked as such by its source.
Recordings and live devices have no past to tell.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import cast

import numpy as np
from numpy.typing import NDArray

from core.ahead import ahead
from core.devices import Floats, spread
from core.engine import Engine
from core.errors import OrreryError
from core.frames import Frame
from core.ports import (
    BackfillingSource,
    ChannelHistory,
    Past,
    PastTellingSource,
    Source,
    Store,
)

log = logging.getLogger(__name__)

STEP_S = 10.0
DAY_S = 86400.0
FAR_DAYS, FAR_STEP_S = 400, 300.0
"""Of the devices' past: hours alone, for the totals of months and years."""
NEAR_DAYS, NEAR_STEP_S = 90, 60.0
"""Minutes, for what is told of heat pumps over three months."""
MOST_AHEAD = 3
"""Days that are simulated while those before them are written."""
HEAD_START_S = 6.0
"""The first page is drawn before the past takes a core of its own."""


class Backfill:
    """Writes the simulated past on its own thread: `hours` of the tree into `store`, and what
    the devices can tell into `channels`; either is None where nothing is to be told."""

    def __init__(self, engine: Engine, store: Store | None, channels: ChannelHistory | None,
                 hours: float) -> None:
        self._engine = engine
        self._store = store
        self._channels = channels
        self._end = engine.clock.now()
        self._start = self._end - timedelta(hours=hours)
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
                self._store.backfill(self._frames(), self._done)
        except OrreryError as error:
            self.error = str(error)
            log.error("the simulated past could not be written: %s", error)

    def _done(self, reached: datetime) -> None:
        self._written = (reached - self._start) / (self._end - self._start)

    def _frames(self) -> Iterator[Frame]:
        assembler = self._engine.new_assembler()
        pasts = [(index, cast(BackfillingSource, source).backfill(self._start, self._end, STEP_S))
                 for index, source in enumerate(self._engine.sources)
                 if hasattr(source, "backfill")]
        for readings in zip(*(past for _, past in pasts), strict=False):
            if self._stop.is_set():
                return
            for (index, _), reading in zip(pasts, readings, strict=True):
                assembler.apply(index, reading)
            yield assembler.frame(readings[0].measured_at)

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


def tree_needs_it(engine: Engine, store: Store) -> bool:
    """Only an empty history is filled, and only where a source can tell its past."""
    return store.health().newest is None and any(
        hasattr(source, "backfill") for source in engine.sources)


def devices_need_it(engine: Engine, channels: ChannelHistory) -> bool:
    """As `tree_needs_it`, for the channels of devices."""
    return channels.health().newest is None and any(
        hasattr(source, "tell_past") for source in engine.sources)
