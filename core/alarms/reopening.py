"""A store of alarms that could not be opened at the start, tried again until it can."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from core.alarms.ports import AlarmStore
from core.alarms.records import RATE_WINDOW, Remembered
from core.clock import Clock
from core.errors import OrreryError

log = logging.getLogger(__name__)

Opening = Callable[[], AlarmStore | None]
AGAIN_S = 10.0
"""After an attempt that failed [s]."""
THREAD = "alarms-reopening"


class Reopening:
    """error: why it could not be opened at the last attempt. Attempts run on a thread of their
    own, because a server that is out of reach keeps whoever asks it waiting."""

    def __init__(self, opening: Opening, clock: Clock, error: str) -> None:
        self._opening, self._clock, self.error = opening, clock, error
        self._tried_s = clock.monotonic_s()
        self._thread: threading.Thread | None = None
        self._found: tuple[AlarmStore, Remembered] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def found(self) -> tuple[AlarmStore, Remembered] | None:
        """The store and what it remembers, once it is open; asked at each tick, never waits."""
        with self._lock:
            if self._found is not None:
                found, self._found = self._found, None
                return found
            running = self._thread is not None and self._thread.is_alive()
            now_s = self._clock.monotonic_s()
            if not running and now_s - self._tried_s >= AGAIN_S:
                self._tried_s = now_s
                self._thread = threading.Thread(target=self._try, name=THREAD, daemon=True)
                self._thread.start()
            return None

    def _try(self) -> None:
        store = None
        try:
            store = self._opening()
            if store is not None:
                known = store.load(self._clock.now() - RATE_WINDOW)
                with self._lock:
                    if not self._closed:
                        self._found, store = (store, known), None
        except OrreryError as error:
            self.error = str(error)
        finally:
            if store is not None:
                store.close()

    def close(self) -> None:
        """Nothing is opened any more; what was opened meanwhile is closed."""
        with self._lock:
            self._closed = True
            found, self._found = self._found, None
        if found is not None:
            found[0].close()
