"""Nothing comes between a sample and its trip flag: not what else runs on the machine, where the
system allows real-time priority, and not the garbage collector."""

from __future__ import annotations

import gc
import logging
import os

log = logging.getLogger(__name__)

PRIORITY = 10
"""Of SCHED_FIFO: before all ordinary work, behind the kernel's own threads."""
HOW = ("allow it with LimitRTPRIO=10 in its unit, `ulimit -r 10`, or `ulimits: rtprio: 10` of a "
       "container")


class Undisturbed:
    """A context of the calling thread. real_time: whether the priority was granted, None before
    the first time.

    Between two decisions the thread is as it was before, so that simulation, estimates, disk and
    network share the processors with everybody else.
    """

    def __init__(self) -> None:
        self.real_time: bool | None = None
        self._former = (0, 0)

    def __enter__(self) -> None:
        gc.disable()
        if self.real_time is False:
            return
        if self.real_time is None:
            self.real_time = self._asked()
        else:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))

    def __exit__(self, *_: object) -> None:
        if self.real_time:
            policy, priority = self._former
            os.sched_setscheduler(0, policy, os.sched_param(priority))
        gc.enable()

    def _asked(self) -> bool:
        if not hasattr(os, "sched_setscheduler"):
            log.warning("safety decisions run without real-time priority: this system has none")
            return False
        self._former = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        except OSError as error:
            log.warning("safety decisions run without real-time priority (%s): %s",
                        error.strerror, HOW)
            return False
        return True
