"""What many ask for at once is made once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """The newest `most` things by key. Who asks for one that is being made waits for it; at
    most `at_once` are made at the same time. A failure is told to all who wait and not kept."""

    def __init__(self, most: int, at_once: int) -> None:
        self._most = most
        self._found: OrderedDict[Hashable, Future[T]] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.BoundedSemaphore(at_once)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned for `key`; raises what it raised."""
        with self._lock:
            asked = self._found.get(key)
            future = self._begin(key) if asked is None else asked
            self._found.move_to_end(key)
        if asked is None:
            self._fulfil(key, future, make)
        return future.result()

    def _begin(self, key: Hashable) -> Future[T]:
        future = self._found[key] = Future()
        while len(self._found) > self._most:
            self._found.popitem(last=False)
        return future

    def _fulfil(self, key: Hashable, future: Future[T], make: Callable[[], T]) -> None:
        try:
            with self._making:
                made = make()
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait are told
            with self._lock:
                self._found.pop(key, None)
            future.set_exception(error)
        else:
            future.set_result(made)
