"""Time is UTC, aware, and injected (law 3)."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

JUMP_S = 60.0
"""A clock that goes on by so much more or less than time itself was set."""


class Clock(Protocol):
    """Tells the time and waits; tests drive a `ManualClock`."""

    def now(self) -> datetime: ...

    def monotonic_s(self) -> float:
        """Rises whatever becomes of `now`, from no certain beginning [s]: what loops are timed
        by."""
        ...

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait at most `seconds`; True when `stop` was set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        return stop.wait(seconds)


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("law 3: a time without a zone")
        self._now = start
        self._passed_s = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._passed_s

    def advance(self, seconds: float) -> datetime:
        self._now += timedelta(seconds=seconds)
        self._passed_s += seconds
        return self._now

    def set_by(self, seconds: float) -> None:
        """As when a machine's clock is corrected: no time passes."""
        self._now += timedelta(seconds=seconds)

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.advance(seconds)
        return stop.is_set()


class Steadiness:
    """Whether a clock goes on as time itself does: by one that was set nothing is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now, self._passed_s = clock.now(), clock.monotonic_s()
        self._set_s = -math.inf

    def look(self) -> float:
        """Since it was last set, as seen from look to look; infinite where it never was [s]."""
        now, passed_s = self._clock.now(), self._clock.monotonic_s()
        went_s = (now - self._now).total_seconds()
        if abs(went_s - (passed_s - self._passed_s)) > JUMP_S:
            self._set_s = passed_s
        self._now, self._passed_s = now, passed_s
        return passed_s - self._set_s


def has_passed(span_s: float, since_s: float, now_s: float) -> bool:
    """Since `since_s` by the wall clock, or that was set back since: what is due each `span_s` must
    not wait for as long as it was set back."""
    return not since_s <= now_s < since_s + span_s


def from_epoch(seconds: float) -> datetime:
    """Aware UTC time of `seconds` since 1970-01-01."""
    return datetime.fromtimestamp(seconds, UTC)
