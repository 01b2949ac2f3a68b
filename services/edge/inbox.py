"""What the broker brought and nobody has taken up yet: stops first, and none is pushed out."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import NamedTuple

from core.fleet.effects import MUST_GO
from core.fleet.messages import Command, read_small
from core.fleet.rejections import RejectedError

MOST_HEARD = 10_000
"""Messages that wait, stops not counted; beyond them the oldest are given up."""
MOST_STOPS = 20
"""Stops of one pack that wait; more of them would change nothing, and the newest are given up."""


class Heard(NamedTuple):
    """One message as it came. left_s: of its expiry as it came, None where the broker does not say
    [s]; came_s: by `Clock.monotonic_s`."""

    topic: str
    payload: bytes
    retained: bool
    left_s: float | None
    came_s: float

    def still_left_s(self, passed_s: float) -> float | None:
        """Of its expiry when it is taken up. passed_s: `Clock.monotonic_s` then."""
        return None if self.left_s is None else self.left_s - (passed_s - self.came_s)


class Inbox:
    """Filled by one thread and emptied by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: deque[Heard] = deque()
        self._stopping: Counter[str] = Counter()
        self._rest: deque[Heard] = deque()
        self._lost: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._stops or self._rest)

    def put(self, one: Heard) -> None:
        stop = _is_stop(one)
        with self._lock:
            if not stop:
                self._rest.append(one)
                if len(self._rest) > MOST_HEARD:
                    self._lost[self._rest.popleft().topic] += 1
            elif self._stopping[one.topic] >= MOST_STOPS:
                self._lost[one.topic] += 1
            else:
                self._stopping[one.topic] += 1
                self._stops.append(one)

    def lost(self) -> Counter[str]:
        """What there was no room for, by topic."""
        with self._lock:
            return self._lost.copy()

    def next(self) -> Heard | None:
        """The oldest stop, or else the oldest message."""
        with self._lock:
            if self._stops:
                one = self._stops.popleft()
                self._stopping[one.topic] -= 1
                return one
            return self._rest.popleft() if self._rest else None


def _is_stop(one: Heard) -> bool:
    """It is read again when it is taken up, and what is wrong with it is told then."""
    if one.retained or not one.topic.endswith("/commands"):
        return False
    try:
        return read_small(one.payload, Command).action in MUST_GO
    except RejectedError:
        return False
