"""The past of a process: lived through once before the present, kept as hourly checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import count

from sim.dynamics import COARSE_STEP_S, Process, SystemState

STEPS_PER_CHECKPOINT = 360


class Past:
    """The last `hours` of `process` before `end_s` (seconds since 1970), in 10 s steps.

    Building it steps `process` to its present. Only one copy an hour is kept, whatever the
    size of the fleet; `states` lives through the hours again, which gives the same numbers.
    """

    def __init__(self, process: Process, end_s: float, hours: float) -> None:
        self._count = round(hours * 3600.0 / COARSE_STEP_S)
        self.start_s = end_s - self._count * COARSE_STEP_S
        self._checkpoints = []
        for step in range(self._count):
            if step % STEPS_PER_CHECKPOINT == 0:
                self._checkpoints.append(copy.deepcopy(process))
            process.step(COARSE_STEP_S)
        self._last = process.state()

    def states(self, start_s: float, step_s: float) -> Iterator[SystemState]:
        """States at `start_s`, `start_s + step_s` ... without end, linear between two steps.

        `start_s` may not lie before `self.start_s`; from the end on the last state stands.
        """
        first = max(0.0, (start_s - self.start_s) / COARSE_STEP_S)
        index = min(int(first), self._count)
        replay = self._replay(index)
        low, high = next(replay), next(replay)
        for number in count():
            position = min(first + number * step_s / COARSE_STEP_S, float(self._count))
            while index + 1 <= position:
                low, high = high, next(replay)
                index += 1
            yield low.toward(high, position - index)

    def _replay(self, index: int) -> Iterator[SystemState]:
        """States of the 10 s steps from number `index` on; the last one for ever."""
        if index < self._count:
            checkpoint = index // STEPS_PER_CHECKPOINT
            process = copy.deepcopy(self._checkpoints[checkpoint])
            for _ in range(index - checkpoint * STEPS_PER_CHECKPOINT):
                process.step(COARSE_STEP_S)
            for _ in range(self._count - index):
                yield process.state()
                process.step(COARSE_STEP_S)
        while True:
            yield self._last
