"""The twin's physics: what a batched window costs a pack, what a year of ageing costs and how far
the state jump is from solving every day, and whether the process that asks for it all stays small.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from bench.report import figure_line
from bench.report import number as finite
from core.twin.models import cell_model
from core.twin.rounds import CHECKED_DAYS, JUMP
from core.twin.tasks import (
    CalibrationTask,
    ForecastResult,
    ForecastTask,
    Result,
    Task,
    Usage,
    WindowPack,
    WindowResult,
    WindowTask,
    column,
    new_id,
)
from services.twin.child import ROOT, Child

PACKS, POINTS, STEP_S = 200, 31, 10.0
AH = 100.0
TIMEOUT_S = 600.0
RUNS, RUNS_SHORT = 50, 8
YEAR = 365
HOUR_POINTS = int(3600 // STEP_S)
CELL_OHM_C = 0.05
"""What 1 C loses in a cell [V]."""

line = partial(figure_line, "twin")


def windows(chemistry: str, packs: int, horizon_s: float, model: str = "SPM") -> WindowTask:
    """Five minutes of packs whose currents wander: 0.5 C to either side, 0.1 C within a minute."""
    rng = np.random.default_rng(5)
    told = []
    for number in range(packs):
        noise = np.zeros(POINTS)
        for at in range(1, POINTS):
            noise[at] = noise[at - 1] * np.exp(-STEP_S / 60.0) + rng.normal(0.0, 0.05)
        volts = float(cell_model(chemistry).ocv_v(soc := float(rng.uniform(0.3, 0.9))))
        told.append(WindowPack(
            pack=f"pack_{number:03d}", capacity_ah=AH, soc=soc, start_v=volts,
            current_a=column(AH * (rng.uniform(-0.5, 0.5) + noise)),
            voltage_v=column(np.full(POINTS, volts)), temperature_c=float(rng.uniform(15, 35))))
    return WindowTask(id=new_id(), chemistry=chemistry, time_s=0.0,  # type: ignore[arg-type]
                      packs=tuple(told), step_s=STEP_S, horizon_s=horizon_s,
                      model=model)  # type: ignore[arg-type]


def physics(short: bool = False) -> Iterator[dict[str, object]]:
    """All figures of the physics."""
    child = Child()
    try:
        yield from _windows(child, short)
        yield from _year(child, short)
    finally:
        child.close()
    yield from memory(short)


def _windows(child: Child, short: bool) -> Iterator[dict[str, object]]:
    """Processor time of the solve alone, a pack: of the window, and of the window with the 15
    minutes after it, which is what the app asks for."""
    cases: list[tuple[str, float, str, float | None]] = [
        (chemistry, horizon_s, "SPM", 1.5) for chemistry in ("NMC", "LFP", "LCO")
        for horizon_s in (0.0, 900.0)]
    cases += [("NMC", horizon_s, "SPMe", None) for horizon_s in (0.0, 900.0)]
    for chemistry, horizon_s, model, target in cases[:2] if short else cases:
        found = [_solved(child, windows(chemistry, PACKS, horizon_s, model)) for _ in range(3)]
        ahead = " and 15 minutes ahead" if horizon_s else ""
        yield line(f"{PACKS} packs, {chemistry}, {model}, 5 minutes{ahead}", "solve",
                   min(found), "ms a pack", target)


def _solved(child: Child, task: Task) -> float:
    result = _run(child, task)
    assert isinstance(result, WindowResult)
    assert result.solve_ms is not None
    failed = [answer.failed for answer in result.answers if answer.failed]
    assert not failed, failed[0]
    return result.solve_ms / len(result.answers)


def _year(child: Child, short: bool) -> Iterator[dict[str, object]]:
    """A daily cycle with the jump of the app's own runs; error of the loss against solving every
    day, as a share of it. Over the first days, as each run tells it, and over a year."""
    cases = [(chemistry, days) for chemistry in ("NMC", "LFP", "LCO")
             for days in (CHECKED_DAYS, YEAR)]
    for chemistry, days in cases[:1] if short else cases:
        task = ForecastTask(id=new_id(), chemistry=chemistry,  # type: ignore[arg-type]
                            days=days, jump=JUMP, check=True)
        result = _run(child, task)
        assert isinstance(result, ForecastResult)
        yield from year_figures(f"{days} days, {chemistry}, K = {task.jump}", result)


def year_figures(case: str, result: ForecastResult) -> Iterator[dict[str, object]]:
    """Raises FigureError for a run that was not checked, or tells no loss or no time."""
    yield line(case, "forecast", finite("cpu_s", result.cpu_s), "CPU-s", 10.0)
    yield line(case, "error of the loss", abs(finite("error_pct", result.error_pct)), "%", 3.0)
    yield line(case, "loss", finite("loss_pct", result.loss_pct), "%")


def _run(child: Child, task: Task) -> Result:
    result = child.run(task, lambda _told: None, TIMEOUT_S)
    assert not result.failed, result.failed
    return result


def memory(short: bool = False) -> Iterator[dict[str, object]]:
    """Growth of the process that asks, in a process of its own."""
    runs = RUNS_SHORT if short else RUNS
    ran = subprocess.run([sys.executable, "-m", "bench._twin_physics", str(runs)], cwd=ROOT,
                         capture_output=True, text=True, check=True, timeout=1800)
    mixed = _mixed(runs)
    many = {kind: sum(isinstance(task, kind) for task in mixed)
            for kind in (WindowTask, ForecastTask, CalibrationTask)}
    case = (f"{many[WindowTask]} windows of {PACKS} packs, {many[ForecastTask]} years of ageing, "
            f"{many[CalibrationTask]} calibrations")
    yield line(case, "growth of the app's memory", float(ran.stdout), "MB", 30.0)


def _mixed(runs: int) -> list[Task]:
    """Of five runs three windows, one ageing run that no other is alike, and a calibration."""
    window, made = windows("NMC", PACKS, 900.0), list[Task]()
    for number in range(runs):
        if number % 5 == 3:
            usage = Usage(depth=0.5 + 0.01 * (number // 5))
            made.append(ForecastTask(id=new_id(), chemistry="NMC", usage=usage, days=YEAR,
                                     jump=JUMP))
        elif number % 5 == 4:
            made.append(_calibration())
        else:
            made.append(replace(window, id=new_id()))
    return made


def _calibration() -> CalibrationTask:
    """Of an hour in which half of the cell's charge is taken by turns of 0.2 and 0.8 C."""
    current_c = np.where(np.arange(HOUR_POINTS) // 30 % 2, 0.8, 0.2)
    soc = 0.8 - np.cumsum(current_c) * STEP_S / 3600.0
    volts = cell_model("NMC").ocv_v(soc) - CELL_OHM_C * current_c
    return CalibrationTask(
        id=new_id(), pack="pack_000", chemistry="NMC", capacity_ah=AH, soc=0.8, step_s=STEP_S,
        start_v=float(cell_model("NMC").ocv_v(0.8)), current_a=column(AH * current_c),
        voltage_v=column(volts))


def _grown_mb(runs: int) -> float:
    """As an app does: a pool, tasks one after the other, results looked at."""
    from core.registry import make_physics

    pool = make_physics(None)
    tasks = _mixed(runs)
    before_mb = _resident_mb()
    for task in tasks:
        pool.ask(task)
        while not (state := pool.state(task.id)).settled:
            time.sleep(0.05)
        assert state.standing == "done", state.words
    grown = _resident_mb() - before_mb
    pool.close()
    return grown


def _resident_mb() -> float:
    """Of this process, as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    print(f"{_grown_mb(int(sys.argv[1])):.3f}")
