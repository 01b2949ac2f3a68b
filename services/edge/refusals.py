"""What an edge process did not use of what came to it: counted, and the last message kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from core.fleet.messages import RefusedTold
from core.fleet.refused import refused_told
from core.fleet.rejections import WORDS, Rejection


class Refusals:
    """By device; for one thread."""

    def __init__(self, devices: Iterable[str]) -> None:
        self.counts: dict[str, Counter[Rejection]] = {device: Counter() for device in devices}
        self._last: dict[str, tuple[RefusedTold, float]] = {}
        self._reading: tuple[str, bytes, float] | None = None

    @contextmanager
    def reading(self, topic: str, payload: bytes, now_s: float) -> Iterator[None]:
        """What is refused within is this message. now_s: since 1970 [s]."""
        before, self._reading = self._reading, (topic, payload, now_s)
        try:
            yield
        finally:
            self._reading = before

    def add(self, device: str, reason: Rejection) -> None:
        self.counts[device][reason] += 1
        if self._reading is not None:
            topic, payload, now_s = self._reading
            self._last[device] = refused_told(reason, WORDS[reason], topic, payload), now_s

    def last(self, device: str) -> tuple[RefusedTold | None, float | None]:
        """With when it came [s since 1970]."""
        return self._last.get(device, (None, None))
