"""`python -m tests.twin_physics.stumbling`: a cell whose solver gives up after a long jump, and one
whose solver always does, as JSON. No test process imports PyBaMM."""

from __future__ import annotations

import json
import sys

import numpy as np
import pybamm

from core.errors import RequestError
from services.twin.ageing import Course, Life


class Stumbler:
    """Ages by 1 a day; a jump of more than `most` days is too much for it."""

    def __init__(self, most: float) -> None:
        self._most, self._state, self._strange, self.solved = most, 0.0, False, 0

    def live(self) -> np.ndarray:
        if self._strange or self._most < 0:
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
        course.capacity.append(1.0 - 0.001 * self._state)
        for values in course.lost.values():
            values.append(0.0)


def lived(most: float, days: int, jump: int) -> dict[str, object]:
    life = Life(Stumbler(most), days, jump)  # type: ignore[arg-type]
    back = 0
    try:
        while life.day < days:
            try:
                life.go_on()
            except pybamm.SolverError as error:
                life.go_back(str(error))
                back += 1
    except RequestError as error:
        return {"words": str(error)}
    return {"days": life.course.days, "capacity": life.course.capacity, "back": back,
            "lengths": [len(values) for values in life.course.lost.values()]}


if __name__ == "__main__":
    json.dump([lived(3.0, 40, 10), lived(100.0, 40, 10), lived(-1.0, 40, 10)], sys.stdout)
