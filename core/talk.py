"""What a source and its device said to each other, kept for a person who looks at it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Literal

from core.clock import Clock, SystemClock
from core.ports import Message, Talk

KEPT = 500
RATE_S = 60
LONGEST = 300
MOST_READ = 100 * LONGEST
LEAST_HIDDEN = 4  # to replace a letter or two everywhere would tell where they are
HIDDEN = "***"


class Conversation:
    """The newest KEPT messages and counts of all; for any threads. What was told to `hide` is in
    no message, nor is anything that does not print."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._messages: deque[Message] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()
        self._seconds: deque[tuple[int, int]] = deque(maxlen=RATE_S + 1)
        self._hidden: tuple[str, ...] = ()

    def hide(self, value: str) -> None:
        """From now on this is shown as HIDDEN; a longer secret goes before one that it holds."""
        if len(value) >= LEAST_HIDDEN:
            with self._lock:
                self._hidden = tuple(sorted({*self._hidden, value}, key=len, reverse=True))

    def heard(self, text: str) -> None:
        self._keep("in", text)

    def sent(self, text: str) -> None:
        self._keep("out", text)

    def error(self, text: str) -> None:
        self._keep("error", text)

    def talk(self) -> Talk:
        with self._lock:
            return Talk(tuple(self._messages), self._counts["in"], self._counts["out"],
                        self._counts["error"], self._rate())

    def _keep(self, way: Literal["in", "out", "error"], text: str) -> None:
        text = text[:MOST_READ]
        with self._lock:
            for value in self._hidden:
                text = text.replace(value, HIDDEN)
            now = self._clock.now()
            self._messages.append(Message(now, way, cut(text)))
            self._counts[way] += 1
            if way == "in":
                self._count_second(int(now.timestamp()))

    def _count_second(self, second: int) -> None:
        """(second, messages heard in it)."""
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = second, self._seconds[-1][1] + 1
        else:
            self._seconds.append((second, 1))

    def _rate(self) -> float:
        """Of the last RATE_S whole seconds [1/s]."""
        now = int(self._clock.now().timestamp())
        return sum(count for second, count in self._seconds
                   if now - RATE_S <= second < now) / RATE_S


def cut(text: str) -> str:
    """At most LONGEST characters, each of which prints."""
    kept = text if len(text) <= LONGEST else text[:LONGEST - 1] + "…"
    return kept if kept.isprintable() else "".join(
        letter if letter.isprintable() else " " for letter in kept)
