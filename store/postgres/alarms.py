"""Alarms in a PostgreSQL that may be silent: a thread of its own writes, so that neither a tick
nor a person waits for it. Who asked is told that it is not kept yet, and what was kept meanwhile is
not written twice when it comes again."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from core.alarms.records import Batch
from core.clock import Clock
from core.errors import RetryLaterError
from store.postgres.records import AlarmsPlace
from store.records.alarms import AlarmTables

TICK_S, ACTION_S = 0.1, 1.0
"""So long a tick, and a person, waits for the server [s]."""
SILENT = "alarms are not kept yet: the PostgreSQL has not answered; see that it runs"


class PostgresAlarmStore(AlarmTables):
    """variable: NAME of the environment variable with the URL. tick_s: how long a batch that is
    not durable is waited for, a person's at least ACTION_S [s]. Raises ConfigurationError where
    another process writes, RetryLaterError."""

    def __init__(self, variable: str, clock: Clock | None = None, *,
                 tick_s: float = TICK_S) -> None:
        super().__init__(AlarmsPlace(variable, clock))
        self._tick_s = tick_s
        self._in_hand: tuple[Future[None], Batch] | None = None
        self._thread = ThreadPoolExecutor(1, "alarms")
        self._closed = False

    def append(self, batch: Batch) -> None:
        """As `AlarmTables.append`, also where the server was slow."""
        wait_s = max(ACTION_S, self._tick_s) if batch.durable else self._tick_s
        if not self._lock.acquire(timeout=wait_s):
            raise RetryLaterError(SILENT)
        given_up = threading.Event()
        try:
            self._finish(wait_s if batch.durable else 0.0)
            self._in_hand = self._thread.submit(self._append, batch, given_up.is_set), batch
            self._finish(wait_s, told=True)
        except RetryLaterError:
            if batch.durable:
                given_up.set()
            raise
        finally:
            self._lock.release()

    def _finish(self, wait_s: float, *, told: bool = False) -> None:
        """What is in hand. told: whoever asked for it hears what became of it."""
        if self._in_hand is None:
            return
        future, batch = self._in_hand
        try:
            future.result(wait_s)
        except TimeoutError:
            raise RetryLaterError(SILENT) from None
        except RetryLaterError:
            self._in_hand = None
            if told:
                raise
        else:
            self._in_hand = None
            if not told:
                self._know(batch)

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._thread.submit(self._place.close)
                self._thread.shutdown()
