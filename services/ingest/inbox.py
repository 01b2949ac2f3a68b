"""Messages between paho's thread, which only queues them, and the one worker that reads them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """One message as it came. connection: of which it is to be acknowledged. came_s, passed_s: when
    it came, by the clock and by its `monotonic_s` [s]."""

    topic: str
    payload: bytes
    qos: int
    number: int
    connection: int
    retained: bool
    left_s: float | None
    came_s: float
    passed_s: float


class Inbox:
    """In their order; for any threads. most: there is room for so many of QoS 0. Of the others the
    broker lets no more come on one connection than were agreed; what waits of a connection that
    ended is put away, since nobody can acknowledge it any more, and it comes again."""

    def __init__(self, most: int) -> None:
        self._most, self._connection = most, 0
        self._items: deque[Item] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> bool:
        """False where there is no room."""
        with self._lock:
            if item.qos == 0 and len(self._items) >= self._most:
                return False
            if item.connection != self._connection:
                self._connection = item.connection
                self._items = deque(one for one in self._items if one.qos == 0)
            self._items.append(item)
            return True

    def take(self, most: int) -> list[Item]:
        """The oldest, at most so many."""
        with self._lock:
            return [self._items.popleft() for _ in range(min(most, len(self._items)))]
