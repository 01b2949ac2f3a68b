"""Nothing comes between a sample and its trip flag: not what else runs on the machine, where the
system allows real-time priority, and not the garbage collector."""

from __future__ import annotations

import gc
import logging
import os
from contextlib import suppress

log = logging.getLogger(__name__)

PRIORITY = 10
"""Of SCHED_FIFO: before all ordinary work, behind the kernel's own threads."""
HOW = ("allow it with LimitRTPRIO=10 in its unit, `ulimit -r 10`, or `ulimits: rtprio: 10` of a "
       "container")


class Undisturbed:
    """A context of the calling thread. real_time: whether it has the priority, None before the
    first time.

    Outside of it the thread is as it was before, so that estimates, disk and network share the
    processors with everybody else. A thread that begins with real-time priority keeps its own.
    """

    def __init__(self) -> None:
        self.real_time: bool | None = None
        self._former: tuple[int, int] | None = None

    def __enter__(self) -> None:
        gc.disable()
        if self.real_time is None:
            self._ask()
        elif self._former is not None:
            self._schedule(os.SCHED_FIFO, PRIORITY)

    def __exit__(self, *_: object) -> None:
        gc.enable()
        if self._former is not None:
            self._schedule(*self._former)

    def _ask(self) -> None:
        if not hasattr(os, "sched_setscheduler"):
            self._without("this system has none")
            return
        policy = os.sched_getscheduler(0)
        self.real_time = True
        if policy in (os.SCHED_FIFO, os.SCHED_RR):
            return
        self._former = policy, os.sched_getparam(0).sched_priority
        self._schedule(os.SCHED_FIFO, PRIORITY)

    def _schedule(self, policy: int, priority: int) -> None:
        """The right to it may be taken away at any time."""
        try:
            os.sched_setscheduler(0, policy, os.sched_param(priority))
        except OSError as error:
            self._without(f"{error.strerror}; {HOW}")

    def _without(self, why: str) -> None:
        self.real_time, self._former = False, None
        log.warning("safety decisions run without real-time priority: %s", why)


def hasten() -> None:
    """The calling thread comes right behind whoever is undisturbed, where the system allows that:
    while it has the interpreter, a decision waits for it, and so for all that it waits for."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY - 1))
