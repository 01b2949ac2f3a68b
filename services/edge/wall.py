"""The wall clock beside the time that passes: by how much a machine's clock was set."""

from __future__ import annotations

import math
import time

from core.clock import Clock, SystemClock

UNDISTURBED_S = 0.1
"""Two clocks are compared only where they were read within so long [s]."""
_WITH_SLEEP: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class WakefulClock(SystemClock):
    """Its `monotonic_s` goes on while the machine sleeps, where that can tell: a night that was
    slept is no clock that was set."""

    def monotonic_s(self) -> float:
        return time.monotonic() if _WITH_SLEEP is None else time.clock_gettime(_WITH_SLEEP)


class Steps:
    """least_s: what the wall clock was set by less is drift, and not told [s]."""

    def __init__(self, least_s: float) -> None:
        self._least_s = least_s
        self._ahead_s = math.nan

    def look(self, ahead_s: float) -> float:
        """By how much it was set since this last told so, 0 where by less [s]. ahead_s: the wall
        clock before the monotonic one."""
        step_s = ahead_s - self._ahead_s
        if abs(step_s) <= self._least_s:
            return 0.0
        self._ahead_s = ahead_s
        return 0.0 if math.isnan(step_s) else step_s


class Wall:
    """The wall clock of one run, for one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead_s = math.nan
        self.now_s()

    def now_s(self) -> float:
        """Since 1970 [s]; `ahead_s` is then how far it is before the monotonic one."""
        before_s = self._clock.monotonic_s()
        now_s = self._clock.now().timestamp()
        if self._clock.monotonic_s() - before_s <= UNDISTURBED_S:
            self.ahead_s = now_s - before_s
        return now_s
