"""An iterator that works ahead on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")
PATIENCE_S = 0.2


@dataclass(frozen=True, slots=True)
class _End:
    """error: what the iterator raised, None where it came to its end."""

    error: BaseException | None = None


class _Ahead(Generic[T]):
    def __init__(self, source: Iterator[T], most: int) -> None:
        self._source = source
        self._queue: Queue[T | _End] = Queue(most)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self._source:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the items are taken
            self._put(_End(error))
        else:
            self._put(_End())

    def _put(self, item: T | _End) -> bool:
        """False once nobody takes items any more."""
        while not self._left.is_set():
            try:
                self._queue.put(item, timeout=PATIENCE_S)
            except Full:
                continue
            return True
        return False

    def items(self) -> Iterator[T]:
        while not isinstance(item := self._queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def leave(self) -> None:
        self._left.set()
        self._thread.join()


@contextmanager
def ahead(source: Iterator[T], most: int) -> Iterator[Iterator[T]]:
    """The items of `source`, of which up to `most` are made before they are asked for; what it
    raises is raised here. At the end of the block its thread has ended."""
    worker = _Ahead(source, most)
    try:
        yield worker.items()
    finally:
        worker.leave()
