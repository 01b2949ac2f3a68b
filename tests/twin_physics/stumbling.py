"""A cell whose solver gives up after a long jump, one whose solver always does, one from some age
on, and one that grows old; packs of which some break their batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pybamm
from msgspec.structs import replace as replace_field

from core.errors import RequestError
from core.twin.tasks import CalibrationTask, WindowPack, WindowTask, column, new_id
from services.twin.ageing import Course, Life
from services.twin.calibrate import Cell, _fitted
from services.twin.physics import parameters_of, window_of
from services.twin.window import Batch, Grid, start_of


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


class Packs:
    """Seven packs under different currents, and the model that solves them in one batch."""

    def __init__(self) -> None:
        self._values = parameters_of("NMC")
        self._window = window_of(self._values)
        packs = tuple(WindowPack(
            pack=f"p{row}", capacity_ah=50.0, soc=0.5, current_a=column(np.full(4, 5.0 * row)),
            voltage_v=column(np.full(4, 3.7))) for row in range(7))
        grid = Grid.of(WindowTask(id=new_id(), chemistry="NMC", time_s=1.7e9, packs=packs,
                                  horizon_s=60.0))
        self.starts = [start_of(pack, self._window, 10.0) for pack in packs]
        self.model = Batch("SPM", self._values, grid)

    def solve(self, bad: tuple[int, ...]) -> dict[str, dict[str, object]]:
        starts = [replace(start, soc=math.nan) if row in bad else start
                  for row, start in enumerate(self.starts)]
        found = self.model.solve(starts, self._window)
        names = [start.pack.pack for start in starts]
        return {"failed": {name: told for name, told in zip(names, found, strict=True)
                           if isinstance(told, str)},
                "ends": {name: float(told["voltage_v"][-1]) for name, told in
                         zip(names, found, strict=True) if not isinstance(told, str)}}

    def raised(self) -> str:
        """What PyBaMM does with a batch that holds a bad one."""
        inputs = [self.model._inputs(replace(start, soc=math.nan), self._window)
                  for start in self.starts[:1]]
        try:
            self.model._simulation.solve([0.0, 30.0], inputs=inputs, calc_esoh=False)
        except pybamm.SolverError as error:
            return type(error).__name__
        return "nothing"


class Blind(Cell):
    """A calibration's cell whose solver gives up wherever the contacts lose more than `most`, as
    PyBaMM's does for what is no number."""

    def __init__(self, task: CalibrationTask, most_ohm: float) -> None:
        super().__init__(task, parameters_of("NMC"))
        self._most_ohm, self.gave_up = most_ohm, 0

    def volts(self, fitted: Mapping[str, float]) -> np.ndarray:
        if fitted["contact_ohm"] > self._most_ohm:
            fitted = {**fitted, "negative_active": math.nan}
            self.gave_up += 1
        return super().volts(fitted)


def calibrated(most_ohm: float) -> dict[str, object]:
    """Of a record whose contacts lose 8 mOhm."""
    values = parameters_of("NMC")
    current_a = np.where(np.arange(60) % 10 < 5, 0.2, 1.0) * window_of(values).capacity_ah / 2
    task = CalibrationTask(
        id=new_id(), pack="p", chemistry="NMC", capacity_ah=window_of(values).capacity_ah, soc=0.8,
        step_s=60.0, current_a=column(current_a), voltage_v=column(np.full(60, 3.8)),
        fitted=("contact_ohm",))
    before = {"negative_active": 1.0, "positive_active": 1.0, "contact_ohm": 0.0}
    volts = Cell(task, values).volts({**before, "contact_ohm": 0.008})
    task = replace_field(task, voltage_v=column(volts))
    blind = Blind(task, most_ohm)
    found, _ = _fitted(task, blind, before, lambda _share, _words: None)
    return {"ohm": found["contact_ohm"], "gave_up": blind.gave_up,
            "nothing": [bool(np.isnan(blind.volts({**before, "contact_ohm": 2.0})).all()),
                        bool(np.isfinite(blind.volts(before)).all())]}


def stumbled() -> dict[str, object]:
    """What JSON can hold."""
    packs = Packs()
    return {
        "calibrated": [calibrated(1.0), calibrated(0.005)],
        "lives": [lived(3.0, 40, 10), lived(100.0, 40, 10), lived(-1.0, 40, 10),
                  lived(100.0, 500, 10, oldest=203.0), lived(100.0, 500, 10, fade=0.004)],
        "alone": packs.solve(())["ends"], "raised": packs.raised(),
        "batches": [packs.solve(bad) for bad in ((3,), (0,), (6,), (1, 2, 5))]}
