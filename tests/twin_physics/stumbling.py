"""`python -m tests.twin_physics.stumbling`: a cell whose solver gives up after a long jump, one
whose solver always does, one from some age on, and one that grows old, as JSON. No test process
imports PyBaMM."""

from __future__ import annotations

import json
import sys

import numpy as np
import pybamm

from core.errors import RequestError
from services.twin.ageing import Course, Life


class Stumbler:
    """Ages by 1 a day; a jump of more than `most` days is too much for it, and so is a day beyond
    `oldest`. fade: of capacity a day."""

    def __init__(self, most: float, oldest: float, fade: float) -> None:
        self._most, self._oldest, self._fade = most, oldest, fade
        self._state, self._strange, self.solved = 0.0, False, 0

    def live(self) -> np.ndarray:
        if self._strange or self._most < 0 or self._state >= self._oldest:
            raise pybamm.SolverError("IDA_CONV_FAIL")
        self._state += 1.0
        self.solved += 1
        return np.array([self._state])

    def put(self, state: np.ndarray) -> None:
        self._strange = float(state[0]) - self._state > self._most
        self._state = float(state[0])

    def say(self, day: float, course: Course) -> None:
        course.days.append(day)
        course.cycles.append(day)
        course.capacity.append(1.0 - self._fade * self._state)
        for values in course.lost.values():
            values.append(0.0)


def lived(most: float, days: int, jump: int, oldest: float = 1e9,
          fade: float = 0.001) -> dict[str, object]:
    life = Life(Stumbler(most, oldest, fade), days, jump)  # type: ignore[arg-type]
    told: list[str] = []
    try:
        life.live(lambda share, words: told.append(words))
    except RequestError as error:
        return {"words": str(error)}
    return {"days": life.course.days, "capacity": life.course.capacity, "ended": life.ended,
            "told": told, "lengths": [len(values) for values in life.course.lost.values()]}


if __name__ == "__main__":
    json.dump([lived(3.0, 40, 10), lived(100.0, 40, 10), lived(-1.0, 40, 10),
               lived(100.0, 500, 10, oldest=203.0), lived(100.0, 500, 10, fade=0.004)], sys.stdout)
