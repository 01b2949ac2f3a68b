"""The last minutes of all packs of a chemistry in one batched solve, and what comes next.

Each pack is a set of inputs of one built model: its current as a vector on the window's grid,
the concentrations that it starts from, its temperature. A current is passed as a C-rate of what
the pack holds now, so that packs of any size share the parameter set's cell.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pybamm
from numpy.typing import NDArray

from core.errors import RequestError
from core.twin.record import filled
from core.twin.tasks import (
    WindowAnswer,
    WindowPack,
    WindowResult,
    WindowTask,
    column,
    floats,
)
from services.twin.bpx_file import parameters_of_bpx
from services.twin.frames import Tell
from services.twin.physics import (
    ABS_ZERO_C,
    CHEMISTRIES,
    MARGIN_V,
    NEGATIVE_ACTIVE,
    POSITIVE_ACTIVE,
    START,
    Warmth,
    Window,
    check_window,
    parameters_of,
    window_of,
)

Floats = NDArray[np.float64]
AHEAD_POINTS = 30
"""Of a prediction."""
BEYOND_V = 0.5
"""So far beyond its limits a modelled voltage is that of no cell: the model has ended."""
BATCH = 250
"""Packs of one solve: between two batches progress is told."""
TEMPERATURE_C = 25.0
"""Where a pack does not tell its own."""
MOST_C_RATE = 10.0
ACTIVE = {"negative_active": NEGATIVE_ACTIVE, "positive_active": POSITIVE_ACTIVE}
VOLTAGE = "Voltage [V]"
STATES: Mapping[str, str] = {
    "negative_surface": "X-averaged negative particle surface stoichiometry",
    "positive_surface": "X-averaged positive particle surface stoichiometry",
    "negative_mean": "Average negative particle stoichiometry",
    "positive_mean": "Average positive particle stoichiometry",
    "ocv_v": "Battery open-circuit voltage [V]",
    "negative_reaction_v": "X-averaged negative electrode reaction overpotential [V]",
    "positive_reaction_v": "X-averaged positive electrode reaction overpotential [V]",
}
"""What is told of the inside, by the name that it crosses by; heat_w and temperature_c are worked
out from it (`services.twin.physics.Warmth`): solved with it, PyBaMM's lumped temperature takes 1.4
to 1.6 times as long, and its heat leaves out what the particles' own gradients lose."""
ELECTROLYTE: Mapping[str, str] = {
    "concentration_v": "X-averaged battery concentration overpotential [V]",
    "electrolyte_v": "X-averaged battery electrolyte ohmic losses [V]",
    "electrode_v": "X-averaged battery solid phase ohmic losses [V]",
}
"""Of the SPMe on top: the SPM has no electrolyte, and loses nothing along its electrodes."""
RTOL, ATOL = 1e-3, 3e-5
"""0.3 mV beside what the solver finds with 1e-8 and 1e-9, in half the time."""
OPTIONS = {"silence_sundials_errors": True, "jacobian": "banded",
           "linear_solver": "SUNLinSol_Band"}


@dataclass(frozen=True, slots=True)
class Start:
    """A pack that can be modelled. scale: amperes of the set's cell for one of the pack's.
    current: without holes; plan_a: after the window."""

    pack: WindowPack
    soc: float
    scale: float
    current: Floats
    plan_a: float
    note: str

    @property
    def around_c(self) -> float:
        """By what its cell is cooled."""
        told = self.pack.temperature_c
        return TEMPERATURE_C if told is None else told

    @property
    def begins_c(self) -> float:
        told = self.pack.start_c
        return self.around_c if told is None else told


@dataclass(frozen=True, slots=True)
class Grid:
    """window_s: float64[points], 0 at the start; all_s: with the prediction's moments behind."""

    step_s: float
    window_s: Floats
    all_s: Floats

    @classmethod
    def of(cls, task: WindowTask) -> Grid:
        points = floats(task.packs[0].current_a).size
        window_s: Floats = task.step_s * np.arange(points, dtype=np.float64)
        if not task.horizon_s:
            return cls(task.step_s, window_s, window_s)
        ahead: Floats = np.linspace(0.0, task.horizon_s, AHEAD_POINTS + 1)[1:]
        return cls(task.step_s, window_s, np.concatenate([window_s, window_s[-1] + ahead]))


def solve_window(task: WindowTask, tell: Tell) -> WindowResult:
    """Answers in the order of the task's packs."""
    began_s = time.process_time()
    tell(0.0, "builds the model")
    values = parameters_of_bpx(task.bpx) if task.bpx else parameters_of(task.chemistry)
    window, grid = window_of(values), Grid.of(task)
    answers: dict[str, WindowAnswer] = {}
    starts = []
    for pack in task.packs:
        try:
            starts.append(start_of(pack, window, task.step_s))
        except RequestError as error:
            answers[pack.pack] = WindowAnswer(pack=pack.pack, failed=str(error))
    model = Batch(task.model, values, grid, any(start.pack.fitted for start in starts))
    if starts:
        model.solve(starts[:1], window)  # so that PyBaMM sets its solver up, once for all
    solving_s = 0.0
    for first in range(0, len(starts), BATCH):
        tell(first / len(starts), f"solves {first + 1} of {len(starts)} packs")
        part = starts[first:first + BATCH]
        since_s = time.process_time()
        solutions = model.solve(part, window)
        solving_s += time.process_time() - since_s
        for start, solved in zip(part, solutions, strict=True):
            answers[start.pack.pack] = _answer(start, solved, window, grid)
    return WindowResult(
        id=task.id, chemistry=task.chemistry, model=task.model, time_s=task.time_s,
        step_s=task.step_s, parameter_set=_set_of(task, model.heat_words),
        answers=tuple(answers[pack.pack] for pack in task.packs),
        solve_ms=1000.0 * solving_s, cpu_s=time.process_time() - began_s)


def _set_of(task: WindowTask, heat_words: str) -> str:
    chemistry = CHEMISTRIES[task.chemistry]
    name = "the parameter file" if task.bpx else f"{chemistry.name}: {chemistry.what}"
    return f"{name}; {heat_words}" if heat_words else name


def _warmth_of(values: pybamm.ParameterValues) -> tuple[Warmth | None, str]:
    """And in words what of it is borrowed; or None, and why: a file's numbers of heat may be those
    of no cell, while its voltages are of one."""
    try:
        warmth = Warmth.of(values)
    except RequestError as error:
        return None, f"no heat and no temperature, for {error}"
    return warmth, warmth.borrowed


def start_of(pack: WindowPack, window: Window, step_s: float) -> Start:
    """Raises RequestError for a pack that the set cannot model."""
    voltage, current = floats(pack.voltage_v), floats(pack.current_a).astype(np.float64)
    if np.isfinite(voltage).any():
        for edge in (np.nanmin(voltage), np.nanmax(voltage)):
            check_window(float(edge), window.low_v, window.high_v, "a measured voltage")
    known = np.isfinite(current)
    if not known.any():
        raise RequestError("no current was measured in the window, so that there is nothing to "
                           "model; see the pack's current sensor")
    if np.abs(current[known]).max() > MOST_C_RATE * pack.capacity_ah:
        raise RequestError(f"a current beyond {MOST_C_RATE:g} C is not of this cell; check the "
                           "declared capacity and the unit of the current")
    whole = filled(current)
    lost = int((~known).sum())
    soc = pack.soc if pack.start_v is None else window.soc_of(pack.start_v)
    note = f"{lost} of {current.size} currents were missing and taken from beside" if lost else ""
    minute = max(1, round(60.0 / step_s))
    plan_a = float(whole[-minute:].mean()) if pack.plan_a is None else pack.plan_a
    return Start(pack, soc, window.capacity_ah / pack.capacity_ah, whole, plan_a, note)


class Batch:
    """A built model of one parameter set on one grid; its inputs are packs. fitted: whether active
    material is an input, too."""

    def __init__(self, name: str, values: pybamm.ParameterValues, grid: Grid,
                 fitted: bool = False) -> None:
        self._grid = grid
        self._active = {name: float(values[key]) for name, key in ACTIVE.items()} if fitted else {}
        model = {"SPM": pybamm.lithium_ion.SPM, "SPMe": pybamm.lithium_ion.SPMe}[name]()
        model.events = []
        self._told = {**STATES, **(ELECTROLYTE if name == "SPMe" else {})}
        self._warmth, self.heat_words = _warmth_of(values)
        values = values.copy()
        values.update({"Current function [A]": _current(grid), START[0]: "[input]",
                       START[1]: "[input]", "Ambient temperature [K]": "[input]",
                       "Initial temperature [K]": "[input]",
                       **{ACTIVE[name]: "[input]" for name in self._active}})
        solver = pybamm.IDAKLUSolver(output_variables=[VOLTAGE, *self._told.values()],
                                     on_failure="ignore", on_extrapolation="ignore",
                                     rtol=RTOL, atol=ATOL, options=OPTIONS)
        self._simulation = pybamm.Simulation(model, parameter_values=values, solver=solver)

    def solve(self, starts: Sequence[Start], window: Window) -> list[dict[str, Floats] | str]:
        """Columns over the grid by name, "voltage_v" and states, NaN after a solver's early end;
        or in words why a pack has none. A pack that breaks the batch is found by halves."""
        try:
            solved = self._simulation.solve(
                [0.0, self._grid.all_s[-1]], t_interp=self._grid.all_s,
                inputs=[self._inputs(start, window) for start in starts], calc_esoh=False)
        except pybamm.SolverError as error:
            if len(starts) == 1:
                return [f"the solver gave up: {' '.join(str(error).split())[:200]}"]
            middle = len(starts) // 2
            return [*self.solve(starts[:middle], window), *self.solve(starts[middle:], window)]
        found = solved if isinstance(solved, list) else [solved]
        return [self._columns(start, one) for start, one in zip(starts, found, strict=True)]

    def _inputs(self, start: Start, window: Window) -> dict[str, object]:
        kelvin = start.around_c - ABS_ZERO_C
        negative, positive = window.concentrations(start.soc)
        active = {ACTIVE[name]: own * start.pack.fitted.get(name, 1.0)
                  for name, own in self._active.items()}
        return {"current": start.scale * np.append(start.current, start.plan_a), START[0]: negative,
                START[1]: positive, "Ambient temperature [K]": kelvin,
                "Initial temperature [K]": kelvin, **active}

    def _columns(self, start: Start, solved: pybamm.Solution) -> dict[str, Floats] | str:
        count = solved.t.size
        if count < 2:
            return "the solver gave up at the start; the state that it starts from is impossible"
        found = {}
        for short, long in {"voltage_v": VOLTAGE, **self._told}.items():
            wide = np.full(self._grid.all_s.size, np.nan)
            told = np.asarray(solved[long].data, dtype=np.float64).reshape(-1)[:wide.size]
            wide[:told.size] = told
            found[short] = wide
        amperes = start.scale * np.append(start.current, np.full(
            self._grid.all_s.size - start.current.size, start.plan_a))
        if self._warmth is not None:
            found |= self._warm(self._warmth, start, found, amperes)
        found["voltage_v"] -= start.pack.fitted.get("contact_ohm", 0.0) * amperes
        return found

    def _warm(self, warmth: Warmth, start: Start, found: Mapping[str, Floats],
              amperes: Floats) -> dict[str, Floats]:
        """Heat of the pack's own cell, and the temperature of the set's, whose current that is;
        what contacts lose warms neither."""
        heat_w = warmth.heat_w(
            amperes, found["ocv_v"] - found["voltage_v"], found["negative_surface"],
            found["positive_surface"], start.around_c - ABS_ZERO_C)
        warm_c = warmth.temperature_c(self._grid.all_s, heat_w, start.begins_c, start.around_c)
        return {"heat_w": heat_w / start.scale, "temperature_c": warm_c}


def _current(grid: Grid) -> object:
    """A function of time: straight lines between the window's points, after it the plan. Made of
    hats, because PyBaMM restarts its solver at each condition on time."""
    nodes = grid.step_s * np.arange(grid.window_s.size + 1)

    def current(t: pybamm.Symbol) -> pybamm.Symbol:
        given = pybamm.InputParameter("current", expected_size=nodes.size)
        inside = pybamm.minimum(t, nodes[-1])
        hats = pybamm.maximum(0.0, 1.0 - abs(inside - pybamm.Vector(nodes)) / grid.step_s)
        return pybamm.Matrix(np.ones((1, nodes.size))) @ (hats * given)

    return current


def _answer(start: Start, solved: dict[str, Floats] | str, window: Window,
            grid: Grid) -> WindowAnswer:
    if isinstance(solved, str):
        return WindowAnswer(pack=start.pack.pack, failed=solved)
    points = grid.window_s.size
    modelled = solved["voltage_v"]
    note = _note(start, modelled, points, grid, window)
    _end_where_beyond(solved, window)
    gap_mv = 1000.0 * (floats(start.pack.voltage_v) - modelled[:points])
    gap_mv = gap_mv[np.isfinite(gap_mv)]
    soc = _socs(solved["negative_mean"], window)
    return WindowAnswer(
        pack=start.pack.pack, voltage_v=column(modelled[:points]),
        residual_rms_mv=float(np.sqrt(np.mean(gap_mv ** 2))) if gap_mv.size else None,
        residual_mean_mv=float(gap_mv.mean()) if gap_mv.size else None,
        residual_most_mv=float(gap_mv[np.abs(gap_mv).argmax()]) if gap_mv.size else None,
        end_soc=_number(soc[points - 1]), plan_a=start.plan_a,
        states={name: column(values[:points]) for name, values in solved.items()
                if name != "voltage_v"},
        ahead_s=column(grid.all_s[points:] - grid.window_s[-1]),
        ahead_v=column(modelled[points:]), ahead_soc=column(soc[points:]),
        note=note)


def _end_where_beyond(solved: dict[str, Floats], window: Window) -> None:
    """NaN from where an electrode is empty or full: the model has no events that end it."""
    beyond = _beyond(solved["voltage_v"], window, BEYOND_V)
    if beyond.any():
        for values in solved.values():
            values[beyond.argmax():] = np.nan


def _socs(negative: Floats, window: Window) -> Floats:
    """Of the mean stoichiometry of the negative electrode."""
    socs: Floats = (negative - window.x[0]) / (window.x[1] - window.x[0])
    return socs


def _beyond(volts: Floats, window: Window, margin_v: float) -> NDArray[np.bool_]:
    """bool[points]: outside of the limits, or not there."""
    return ~((volts >= window.low_v - margin_v) & (volts <= window.high_v + margin_v))


def _note(start: Start, modelled: Floats, points: int, grid: Grid, window: Window) -> str:
    """What limits the answer."""
    notes = [start.note] if start.note else []
    if start.pack.temperature_c is None:
        notes.append(f"no temperature was measured; {TEMPERATURE_C:g} °C is taken")
    beyond = _beyond(modelled[points:], window, MARGIN_V)
    if _beyond(modelled[:points], window, BEYOND_V).any():
        notes.append("the model ends early: an electrode is empty or full")
    elif beyond.any():
        first = int(beyond.argmax())
        at_s = float(grid.all_s[points + first] - grid.window_s[-1])
        edge = window.low_v if start.plan_a > 0 else window.high_v
        notes.append(f"under this plan the cell reaches its limit of {edge:g} V after "
                     f"{at_s / 60.0:.0f} minutes")
    return "; ".join(notes)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
