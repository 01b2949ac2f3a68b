"""One background thread that does one job whenever it is asked; requests in between join."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Worker:
    """`job` catches its own errors. `settle` waits for what was asked before it."""

    def __init__(self, name: str, job: Callable[[], None]) -> None:
        self._job = job
        self._changed = threading.Condition()
        self._asked = self._done = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def broken(self) -> bool:
        """The job raised what it does not catch: a defect."""
        return not self._stopping and not self._thread.is_alive()

    def ask(self) -> None:
        with self._changed:
            self._asked += 1
            self._changed.notify_all()

    def settle(self, timeout_s: float | None = None) -> bool:
        """Whether it is done."""
        with self._changed:
            wanted = self._asked
            return self._changed.wait_for(
                lambda: self._done >= wanted or not self._thread.is_alive(), timeout_s)

    def stop(self) -> None:
        """End after the job in hand."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._asked > self._done)
                if self._stopping:
                    return
                asked = self._asked
            self._job()
            with self._changed:
                self._done = asked
                self._changed.notify_all()
