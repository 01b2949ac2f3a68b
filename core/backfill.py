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

from core.engine import Engine
from core.errors import OrreryError
from core.frames import Frame
from core.ports import BackfillingSource, Store

log = logging.getLogger(__name__)

STEP_S = 10.0
HEAD_START_S = 6.0
"""The first page is drawn before the past takes a core of its own."""


class Backfill:
    """Writes `hours` of simulated past into the store, on its own thread."""

    def __init__(self, engine: Engine, store: Store, hours: float) -> None:
        self._engine = engine
        self._store = store
        self._end = engine.clock.now()
        self._start = self._end - timedelta(hours=hours)
        self._reached = self._start
        self._stop = threading.Event()
        self.error = ""
        self._thread = threading.Thread(target=self._run, name="backfill", daemon=True)

    @property
    def progress(self) -> float:
        """Share done, 0..1."""
        return (self._reached - self._start) / (self._end - self._start)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        if self._stop.wait(HEAD_START_S):
            return
        try:
            self._store.backfill(self._frames(), self._done)
        except OrreryError as error:
            self.error = str(error)
            log.error("the simulated past could not be written: %s", error)

    def _done(self, reached: datetime) -> None:
        self._reached = reached

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


def needed(engine: Engine, store: Store) -> bool:
    """Only an empty history is filled, and only where a source can tell its past."""
    return store.health().newest is None and any(
        hasattr(source, "backfill") for source in engine.sources)
