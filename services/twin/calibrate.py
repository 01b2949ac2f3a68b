"""Fit a cell to its own record: active material of both electrodes, resistance of its contacts.

With the SPMe and not the SPM: the SPM has no electrolyte, and puts what it lacks into the active
material (23 % wrong in a trial with a known answer). What was fitted is judged by the end of the
record, which the fit has not seen. What flowed in a gap is not known, so a record has none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import numpy as np
import pybamm
from numpy.typing import NDArray
from scipy.optimize import least_squares

from core.errors import RequestError
from core.twin.kept import digest_of
from core.twin.record import GAP_S, filled, moved_ah
from core.twin.tasks import CalibrationResult, CalibrationTask, Fitted, column, floats, last_seen
from services.twin.bpx_file import parameters_of_bpx
from services.twin.frames import Tell
from services.twin.physics import (
    ABS_ZERO_C,
    CHEMISTRIES,
    CONTACT,
    NEGATIVE_ACTIVE,
    POSITIVE_ACTIVE,
    START,
    check_window,
    parameters_of,
    window_of,
)
from services.twin.verdict import Record, judged, rms_mv
from services.twin.window import BEYOND_V, MOST_C_RATE, TEMPERATURE_C

Floats = NDArray[np.float64]
KEYS: Mapping[str, str] = {"negative_active": NEGATIVE_ACTIVE, "positive_active": POSITIVE_ACTIVE,
                           "contact_ohm": CONTACT}
BOUNDS = {"negative_active": (0.4, 1.25), "positive_active": (0.4, 1.25)}
MOST_DROP_1C_V = 0.4
"""Lost in contacts at 1 C [V]: the bound of contact_ohm."""
MOST_SOLVES = 150
LEAST_POINTS = 30
LEAST_MOVED = 0.05
"""Of the capacity: a record that moves less charge tells nothing of active material."""
LOST_V = 1.0
"""Error that stands for a point which the model did not reach."""
INTERVAL = 1.96
"""Standard deviations on either side that hold 95 %."""


class Cell:
    """An SPMe that takes FITTED as inputs and answers with a voltage."""

    def __init__(self, task: CalibrationTask, values: pybamm.ParameterValues) -> None:
        window = window_of(values)
        self._own = {name: float(values[key]) for name, key in KEYS.items()}
        self.record = _record(task, window.capacity_ah, (window.low_v, window.high_v))
        soc = task.soc if task.start_v is None else window.soc_of(task.start_v)
        kelvin = (TEMPERATURE_C if task.temperature_c is None
                  else task.temperature_c) - ABS_ZERO_C
        values = values.copy()
        values.update({
            **dict.fromkeys(KEYS.values(), "[input]"), "Ambient temperature [K]": kelvin,
            "Initial temperature [K]": kelvin, "Current function [A]": pybamm.Interpolant(
                self.record.time_s, self.record.current_a, pybamm.t)})
        values.update(dict(zip(START, window.concentrations(soc), strict=True)))
        model = pybamm.lithium_ion.SPMe({"contact resistance": "true"})
        model.events = []
        self.solves = 0
        self.ohm_most = MOST_DROP_1C_V / window.capacity_ah
        self._cell_v = window.low_v - BEYOND_V, window.high_v + BEYOND_V
        self._simulation = pybamm.Simulation(model, parameter_values=values, solver=(
            pybamm.IDAKLUSolver(output_variables=["Voltage [V]"], on_failure="ignore", rtol=1e-5,
                                options={"silence_sundials_errors": True})))

    def volts(self, fitted: Mapping[str, float]) -> Floats:
        """float64[points], NaN from where the model has ended: it gave up, or an electrode is
        empty or full and its voltage that of no cell."""
        self.solves += 1
        inputs = {KEYS["contact_ohm"]: fitted["contact_ohm"]}
        for name in ("negative_active", "positive_active"):
            inputs[KEYS[name]] = self._own[name] * fitted[name]
        found = np.full(self.record.time_s.size, np.nan)
        try:
            solved = self._simulation.solve(
                [0.0, self.record.time_s[-1]], t_interp=self.record.time_s, inputs=inputs,
                calc_esoh=False)
        except pybamm.SolverError:
            return found
        told = np.asarray(solved["Voltage [V]"].data).reshape(-1)[:found.size]
        beyond = (told < self._cell_v[0]) | (told > self._cell_v[1])
        size = int(beyond.argmax()) if beyond.any() else told.size
        found[:size] = told[:size]
        return found


def calibrate(task: CalibrationTask, tell: Tell) -> CalibrationResult:
    """Raises RequestError for a record that tells nothing."""
    began_s = time.process_time()
    tell(0.0, "builds the model")
    values = parameters_of_bpx(task.bpx) if task.bpx else parameters_of(task.chemistry)
    cell = Cell(task, values)
    before = {"negative_active": 1.0, "positive_active": 1.0,
              "contact_ohm": float(values[CONTACT])}
    before_v = cell.volts(before)
    if not np.isfinite(before_v[cell.record.known]).any():
        raise RequestError("the model cannot follow this record from where it starts; check its "
                           "first charge, its capacity and its chemistry")
    after, spread = _fitted(task, cell, before, tell)
    after_v = cell.volts(after)
    name = "BPX file" if task.bpx else CHEMISTRIES[task.chemistry].name
    return _result(task, cell, name, {one: Fitted(before=before[one], after=after[one],
                                                  low=spread[one][0], high=spread[one][1])
                                      for one in task.fitted},
                   before_v, after_v, time.process_time() - began_s)


def _record(task: CalibrationTask, capacity_ah: float, limits: tuple[float, float]) -> Record:
    """capacity_ah: of the parameter set's cell."""
    voltage = floats(task.voltage_v).astype(np.float64)
    current = floats(task.current_a).astype(np.float64)
    known = np.isfinite(voltage)
    if known.sum() < LEAST_POINTS or np.isfinite(current).sum() < LEAST_POINTS:
        raise RequestError(f"a calibration needs {LEAST_POINTS} points with voltage and current")
    for edge in (voltage[known].min(), voltage[known].max()):
        check_window(float(edge), *limits, "a measured voltage")
    at = np.arange(current.size, dtype=np.float64)
    _check_gaps(np.flatnonzero(np.isfinite(current)), current.size, task.step_s)
    current = filled(current)
    if np.abs(current).max() > MOST_C_RATE * task.capacity_ah:
        raise RequestError(f"a current beyond {MOST_C_RATE:g} C is not of this cell; check the "
                           "declared capacity and the unit of the current")
    if np.ptp(moved_ah(current, task.step_s)) < LEAST_MOVED * task.capacity_ah:
        raise RequestError(f"the record moves less than {LEAST_MOVED:.0%} of the capacity, which "
                           "tells nothing of the active material; take a longer one")
    seen = at <= last_seen(at.size, task.hold)
    time_s: Floats = at * task.step_s
    return Record(time_s, current * capacity_ah / task.capacity_ah, voltage, known, seen)


def _check_gaps(known: NDArray[np.intp], points: int, step_s: float) -> None:
    """known: places of the known currents. A step more than GAP_S, for those of a grid are means
    around its moments. Raises RequestError."""
    apart = np.diff(known, prepend=-1, append=points)
    widest = int(apart.argmax())
    if apart[widest] * step_s > GAP_S + step_s and apart[widest] > 1:
        begins_s = max(0, int(known[widest - 1]) if widest else 0) * step_s
        raise RequestError(
            f"for {apart[widest] * step_s / 60.0:.0f} min, {begins_s / 60.0:.0f} min after its "
            "begin, the record holds no current, and what flowed then is not known; give a part "
            "without a gap")


def _fitted(task: CalibrationTask, cell: Cell, before: Mapping[str, float], tell: Tell,
            ) -> tuple[dict[str, float], dict[str, tuple[float | None, float | None]]]:
    """What fits best, and each one's 95 % interval."""
    record, names = cell.record, task.fitted
    bounds = {**BOUNDS, "contact_ohm": (0.0, cell.ohm_most)}
    used = record.known & record.seen
    scale = np.array([bounds[name][1] for name in names])

    def full(point: Floats) -> dict[str, float]:
        told = dict(zip(names, (point * scale).tolist(), strict=True))
        return {**before, **told}

    def gaps(point: Floats) -> Floats:
        tell(min(0.99, cell.solves / MOST_SOLVES), f"solve {cell.solves + 1}")
        gap = np.nan_to_num((cell.volts(full(point)) - record.voltage_v)[used], nan=LOST_V)
        return np.asarray(gap)

    low = np.array([bounds[name][0] for name in names]) / scale
    begin = np.clip(np.array([before[name] for name in names]) / scale, low + 1e-3, 1.0 - 1e-3)
    found = least_squares(gaps, begin, bounds=(low, np.ones(len(names))), diff_step=1e-3,
                          max_nfev=MOST_SOLVES // (len(names) + 1))
    return full(found.x), _intervals(found.x, found.jac, found.fun, low, names, scale)


def _intervals(point: Floats, jacobian: Floats, gaps: Floats, low: Floats, names: tuple[str, ...],
               scale: Floats) -> dict[str, tuple[float | None, float | None]]:
    """Of a linear model around the best point, with as many points as are independent: gaps that
    follow each other are not (lag-1 autocorrelation). None on a side where the bound is nearer."""
    centred = gaps - gaps.mean()
    power = float(centred @ centred)
    follow = float(centred[1:] @ centred[:-1]) / power if power else 0.0
    follow = min(max(follow, 0.0), 0.99)
    effective = max(len(names) + 1.0, gaps.size * (1.0 - follow) / (1.0 + follow))
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * (
        float(gaps @ gaps) / max(1.0, effective - len(names)))
    found: dict[str, tuple[float | None, float | None]] = {}
    for place, name in enumerate(names):
        wide = INTERVAL * math.sqrt(max(0.0, float(covariance[place, place])))
        below, above = float(point[place] - wide), float(point[place] + wide)
        unit = float(scale[place])
        found[name] = (below * unit if below > low[place] else None,
                       above * unit if above < 1.0 else None)
    return found


def _result(task: CalibrationTask, cell: Cell, name: str, parameters: dict[str, Fitted],
            before_v: Floats, after_v: Floats, cpu_s: float) -> CalibrationResult:
    """Two columns of what was modelled, with the set's own parameters and with the fitted ones."""
    record = cell.record
    verdict, seen = judged(record, before_v, after_v), record.known & record.seen
    return CalibrationResult(
        id=task.id, pack=task.pack, digest=digest_of(task.bpx), accepted=verdict.accepted,
        words=verdict.words, parameter_set=name, parameters=parameters, solves=cell.solves,
        cpu_s=cpu_s, rms_before_mv=_told(rms_mv(record, before_v, seen)),
        rms_after_mv=_told(rms_mv(record, after_v, seen)),
        unseen_before_mv=_told(verdict.before_mv), unseen_after_mv=_told(verdict.after_mv),
        before_v=column(before_v), after_v=column(after_v))


def _told(value: float) -> float | None:
    return None if math.isnan(value) else value
