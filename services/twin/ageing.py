"""Fade of a cell under a usage class: some days solved, the days between jumped over.

The state jump: when two days one after the other are solved, what they differ by is the ageing of
one day, and the state of K days later is the state and K times that. The rate itself is carried
forward as a straight line between the last two jumps (Adams-Bashforth 2), because it falls as the
film on the graphite grows. After a jump some days are solved until the fast states have settled.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import pybamm
from msgspec.structs import replace
from numpy.typing import NDArray

from core.errors import RequestError
from core.twin.tasks import ForecastResult, ForecastTask, Usage, column
from services.twin.frames import Tell
from services.twin.physics import (
    ABS_ZERO_C,
    CELLS,
    CHEMISTRIES,
    START,
    Balance,
    Window,
    parameters_of,
    window_of,
)

Floats = NDArray[np.float64]
SETTLE = 2
"""Days solved after a jump before the next; the last two tell the rate."""
FIRST = 4
"""Days solved before the first jump."""
LEAST_DAYS = 60
"""A run that the solver ends before tells nothing."""
OLD = 0.6
"""Of the capacity; further down nobody asks."""
DAY_H = 24.0
LEAST_REST_H = 0.25
HOLD_C = 0.05
"""A charge ends where the current held at its voltage is below this C-rate."""
MOST_HOLD_H = 3.0
AH_PER_MOL = 96_485.332 / 3600.0
NEGATIVE, POSITIVE = "Negative electrode capacity [A.h]", "Positive electrode capacity [A.h]"
INVENTORY = "Total lithium capacity in particles [A.h]"
THROUGHPUT = "Throughput capacity [A.h]"
SINKS = {
    "sei": "Loss of lithium to negative SEI [mol]",
    "plating": "Loss of lithium to negative lithium plating [mol]",
}
"""Of one pair of electrodes, of which a cell has some in parallel; a new cell's are not 0."""
LAM = {"lam_negative": "Loss of active material in negative electrode [%]",
       "lam_positive": "Loss of active material in positive electrode [%]"}
WORDS = {"sei": "the film on the graphite (SEI)", "plating": "plating of lithium",
         "lam_negative": "loss of active material in the negative electrode",
         "lam_positive": "loss of active material in the positive electrode"}


@dataclass(slots=True)
class Course:
    """What was found, a value a solved day."""

    days: list[float] = field(default_factory=list)
    cycles: list[float] = field(default_factory=list)
    capacity: list[float] = field(default_factory=list)
    lost: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in (*SINKS, *LAM)})


    def cut(self, day: float) -> None:
        """Forget what was after that day."""
        while self.days and self.days[-1] > day:
            for values in (self.days, self.cycles, self.capacity, *self.lost.values()):
                values.pop()


class Cell:
    """One cell that lives days."""

    def __init__(self, task: ForecastTask) -> None:
        values = parameters_of(task.chemistry, task.parameters)
        kelvin = task.usage.temperature_c - ABS_ZERO_C
        values.update({"Ambient temperature [K]": kelvin, "Initial temperature [K]": kelvin})
        window = window_of(values)
        values.update(dict(zip(START, window.concentrations(task.usage.rest_soc), strict=True)))
        self._balance, self._rated_ah = Balance(values), window.capacity_ah
        self._electrodes = float(values[CELLS])
        model = pybamm.lithium_ion.SPM(
            {**CHEMISTRIES[task.chemistry].ageing, "calculate discharge energy": "true"})
        self._day = _day(task.usage, window)
        self._simulation = pybamm.Simulation(
            model, experiment=pybamm.Experiment([self._day]),
            parameter_values=values,
            solver=pybamm.IDAKLUSolver(rtol=1e-5, atol=1e-7, store_first_last=True))
        self._last: pybamm.Solution | None = None
        self._begun: dict[str, float] = {}
        self.solved = 0

    def live(self) -> Floats:
        """One day; the state at its end. Raises pybamm.SolverError."""
        solved = self._simulation.solve(starting_solution=self._last, calc_esoh=False)
        if len(solved.cycles[-1].steps) < len(self._day):
            raise pybamm.SolverError(f"a day ends early ({solved.termination})")
        if self._last is None:
            first = solved.cycles[0].first_state
            self._begun = {name: _number(first, long) for name, long in SINKS.items()}
        self._last = solved.cycles[-1].last_state
        self.solved += 1
        return np.array(self._last.all_ys[0][:, 0], dtype=np.float64)

    def put(self, state: Floats) -> None:
        """Go on from another state."""
        assert self._last is not None
        self._last.all_ys[0][:] = state[:, np.newaxis]

    def say(self, day: float, course: Course) -> None:
        """What the cell is now, into `course`."""
        told = {name: _number(self._last, name) for name in
                (NEGATIVE, POSITIVE, INVENTORY, THROUGHPUT, *LAM.values(), *SINKS.values())}
        capacity = self._balance.capacity_ah(told[NEGATIVE], told[POSITIVE], told[INVENTORY])
        course.days.append(day)
        course.cycles.append(told[THROUGHPUT] / (2.0 * self._rated_ah))
        course.capacity.append(capacity / self._rated_ah)
        for name, long in SINKS.items():
            mol = self._electrodes * (told[long] - self._begun[name])
            course.lost[name].append(mol * AH_PER_MOL / self._rated_ah)
        for name, long in LAM.items():
            course.lost[name].append(told[long] / 100.0)


def _number(solution: pybamm.Solution, name: str) -> float:
    """The last value."""
    return float(np.asarray(solution[name].data).reshape(-1)[-1])


def _day(usage: Usage, window: Window) -> tuple[pybamm.step.BaseStep, ...]:
    """Discharge, charge at a constant current and then at the voltage of the rest, rest."""
    rest_v = window.volts_of(usage.rest_soc)
    out_h = usage.depth / usage.discharge_c
    in_h = usage.depth / usage.charge_c
    rest_h = max(LEAST_REST_H, DAY_H - out_h - in_h)
    amperes = window.capacity_ah
    return (
        pybamm.step.current(usage.discharge_c * amperes, duration=3600.0 * out_h,
                            termination=f"{window.low_v} V"),
        pybamm.step.current(-usage.charge_c * amperes, duration=3600.0 * 2.0 * in_h,
                            termination=f"{rest_v} V"),
        pybamm.step.voltage(rest_v, duration=3600.0 * MOST_HOLD_H,
                            termination=f"{HOLD_C * amperes} A"),
        pybamm.step.rest(duration=3600.0 * rest_h),
    )


def forecast(task: ForecastTask, tell: Tell) -> ForecastResult:
    """Raises RequestError for what no cell of this chemistry can do."""
    began_s = time.process_time()
    if task.usage.depth > task.usage.rest_soc:
        raise RequestError(f"a depth of {task.usage.depth:.0%} is more than the "
                           f"{task.usage.rest_soc:.0%} that the cell rests at")
    each = (task.check_days or task.days) if task.check else 0
    share = task.days / (task.days + each * task.jump)
    life = _lived(task, task.days, task.jump, lambda done, words: tell(share * done, words))
    result = _result(task, life, time.process_time() - began_s)
    if not task.check:
        return result
    return _checked(task, result, life.course, each, lambda done, words: tell(
        share + (1.0 - share) * done, "every day: " + words))


def _checked(task: ForecastTask, result: ForecastResult, course: Course, most: int,
             tell: Tell) -> ForecastResult:
    """With what solving each of the first days tells, until the last within `most` that the run
    solved; a check that comes to nothing is a note."""
    until = max((int(day) for day in course.days if day <= most), default=int(course.days[0]))
    try:
        every = _lived(task, until, 1, tell).course
    except RequestError as error:
        return replace(result, note=_joined(result.note, f"it was not checked: {error}"))
    lost, all_lost = (100.0 * (1.0 - capacity) for capacity in (
        course.capacity[course.days.index(until)], every.capacity[-1]))
    if every.days[-1] != until or all_lost <= 0:
        return replace(result, note=_joined(result.note, "it was not checked: the run of every "
                                            f"day ends on day {every.days[-1]:.0f}"))
    return replace(result, checked_days=until, checked_loss_pct=lost, full_loss_pct=all_lost,
                   error_pct=100.0 * (lost - all_lost) / all_lost)


def _lived(task: ForecastTask, days: int, jump: int, tell: Tell) -> Life:
    """jump: 1 = every day. Raises RequestError where it hardly lives."""
    tell(0.0, "builds the model")
    life = Life(Cell(task), days, jump)
    life.live(tell)
    return life


class Life:
    """Where a cell is in its days. jump: the most days in one; halved where the solver gives up
    after one, and the days before it are gone on from."""

    def __init__(self, cell: Cell, days: int, jump: int) -> None:
        self.cell, self.course, self.day = cell, Course(), 0
        self._days, self._jump, self._settled = days, jump, 0
        self._before: Floats | None = None
        self._now: Floats | None = None
        self._rates: list[tuple[float, Floats]] = []
        self._safe: tuple[int, Floats, Floats] | None = None
        self.ended = ""

    def live(self, tell: Tell) -> None:
        """All its days; `ended` says why before them. Raises RequestError for a cell that does not
        live LEAST_DAYS."""
        while self.day < self._days:
            if self.course.capacity and self.course.capacity[-1] < OLD:
                self.ended = f"the run ends on day {self.day}, with {OLD:.0%} of the capacity left"
                return
            tell(self.day / self._days, f"day {self.day} of {self._days}")
            try:
                self.go_on()
            except pybamm.SolverError as error:
                if not self._go_back():
                    self._end(" ".join(str(error).split())[:200])
                    return

    def _end(self, why: str) -> None:
        words = f"on day {self.day + 1} the solver gives up: {why}"
        if not self.course.days or self.course.days[-1] < LEAST_DAYS:
            raise RequestError(f"{words}; ask for a gentler use")
        self.ended = f"{words}; the run ends there"

    def go_on(self) -> None:
        """One day, or some of them and one. Raises pybamm.SolverError."""
        span = min(self._jump, self._days - self.day) if self._due() else 1
        if span > 1 and self._now is not None and self._before is not None:
            self._safe = (self.day, self._before, self._now)
            self._rates = [*self._rates[-1:], (float(self.day), self._now - self._before)]
            self.cell.put(self._now + _ahead(self._rates, span - 1))
            self.day += span - 1
            self._settled = 0
        self._before, self._now = self._now, self.cell.live()
        self.day += 1
        self._settled += 1
        self.cell.say(self.day, self.course)

    def _due(self) -> bool:
        return self._jump > 1 and self._settled >= (SETTLE if self._rates else FIRST)

    def _go_back(self) -> bool:
        """To before the last jump, with half of it; False where there was none."""
        if self._safe is None or self._jump < 2:
            return False
        self.day, self._before, self._now = self._safe
        self._safe = None
        self._jump //= 2
        self._rates = []
        self._settled = 0
        self.course.cut(self.day)
        self.cell.put(self._now)
        return True


def _ahead(rates: list[tuple[float, Floats]], span: int) -> Floats:
    """What `span` days change: their rate is the straight line through the last two known."""
    day, rate = rates[-1]
    if len(rates) < 2:
        return span * rate
    earlier, slower = rates[0]
    slope = (rate - slower) / (day - earlier)
    return span * rate + 0.5 * span * (span + 1) * slope


def _result(task: ForecastTask, life: Life, cpu_s: float) -> ForecastResult:
    chemistry, course = CHEMISTRIES[task.chemistry], life.course
    return ForecastResult(
        id=task.id, parameter_set=f"{chemistry.name}: {chemistry.what}",
        origin=chemistry.origin, calibrated=bool(task.parameters),
        note=_joined(chemistry.note, life.ended),
        days=column(course.days), cycles=column(course.cycles), capacity=column(course.capacity),
        sei=column(course.lost["sei"]), plating=column(course.lost["plating"]),
        lam_negative=column(course.lost["lam_negative"]),
        lam_positive=column(course.lost["lam_positive"]),
        loss_pct=100.0 * (1.0 - course.capacity[-1]),
        dominates=_dominates(course), solved_days=life.cell.solved, jump=task.jump, cpu_s=cpu_s,
        made_s=time.time())


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _dominates(course: Course) -> str:
    """The largest share lost, in words."""
    lost = {name: values[-1] for name, values in course.lost.items()}
    most = max(lost, key=lambda name: lost[name])
    if lost[most] < 1e-5:
        return "nothing is lost that can be told"
    return f"{WORDS[most]}: {lost[most]:.2%}"
