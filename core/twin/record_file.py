"""A cell's own record from a file, on an even grid: its columns (`record_table.py`), with the sign
of the current found from how the voltage answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.errors import RequestError
from core.twin.record_table import PLAUSIBLE_V, Floats, read_columns
from core.twin.tasks import MOST_POINTS

MOST_TEXT = 64 * 1024 * 1024
LEAST_ROWS = 10
GAP_STEPS = 5.0
"""A hole longer than so many steps of the grid stays a hole: NaN, never a line drawn over it."""
Sign = Literal["auto", "discharge_positive", "discharge_negative"]


@dataclass(frozen=True, slots=True)
class EvenRecord:
    """On an even grid. float64[points], NaN = missing; + is discharging. temperature_c: mean, None
    where the file tells none. note: what was done to it, for a person."""

    step_s: float
    current_a: Floats
    voltage_v: Floats
    temperature_c: float | None
    note: str


def read_record(text: str, step_s: float | None = None, sign: Sign = "auto") -> EvenRecord:
    """A CSV (comma, semicolon or tab) as a record; raises RequestError that says what is wrong.
    step_s: of the grid, by default the file's own median step, at least 1 s."""
    if len(text) > MOST_TEXT:
        raise RequestError(f"the file is longer than {MOST_TEXT // 2 ** 20} MiB; cut it")
    columns, read = read_columns(text)
    back = int((np.diff(columns["time"]) < 0).sum())
    rows = columns["time"].size
    order = np.argsort(columns["time"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    time_s, first = np.unique(columns["time"], return_index=True)
    columns = {name: values[first] for name, values in columns.items()}
    if time_s.size < LEAST_ROWS:
        raise RequestError(f"the file has {time_s.size} rows with a time of their own; a record "
                           f"needs {LEAST_ROWS}")
    step = max(1.0, round(float(np.median(np.diff(time_s))), 3)) if step_s is None else step_s
    if (time_s[-1] - time_s[0]) / step >= MOST_POINTS:
        raise RequestError(f"at a step of {step:g} s the file has more than {MOST_POINTS} points; "
                           "choose a longer step")
    voltage = _on_grid(time_s, columns["voltage"], step)
    current, note = _signed(_on_grid(time_s, columns["current"], step), voltage, sign)
    _check_voltage(voltage)
    note = "; ".join(one for one in (read, note, _out_of_order(back, rows - time_s.size)) if one)
    return EvenRecord(step, current, voltage, _mean(columns.get("temperature")), note)


def _out_of_order(back: int, doubled: int) -> str:
    """back: how often its time falls; doubled: rows left out, for another has their time."""
    notes = []
    if back:
        notes.append(f"its time goes back {'once' if back == 1 else f'{back} times'}, and the rows "
                     "were put in order")
    if doubled:
        notes.append(f"{doubled} row{'s' if doubled > 1 else ''} with the time of another "
                     f"{'were' if doubled > 1 else 'was'} left out")
    return "; ".join(notes)


def _on_grid(time_s: Floats, values: Floats, step_s: float) -> Floats:
    """Between known neighbours a line, in a hole NaN: float64[points]."""
    known = np.isfinite(values)
    steps = int((time_s[-1] - time_s[0]) / step_s + 0.01)
    grid: Floats = np.minimum(time_s[0] + step_s * np.arange(steps + 1), time_s[-1])
    if known.sum() < 2:
        return np.full(grid.size, np.nan)
    at, told = time_s[known], values[known]
    found: Floats = np.interp(grid, at, told, left=np.nan, right=np.nan)
    after = np.clip(np.searchsorted(at, grid, side="left"), 1, at.size - 1)
    hole = (at[after] - at[after - 1] > GAP_STEPS * max(step_s, float(np.median(np.diff(at)))))
    inside = hole & (grid > at[after - 1] + 1e-9) & (grid < at[after] - 1e-9)
    found[inside] = np.nan
    return found


def _signed(current: Floats, voltage: Floats, sign: Sign) -> tuple[Floats, str]:
    """With + discharging, and what was done."""
    if sign == "discharge_positive":
        return current, ""
    if sign == "discharge_negative":
        return 0.0 - current, "the current's sign was turned, as asked"
    if _answers_by_falling(current, voltage):
        return current, ""
    return 0.0 - current, ("the current's sign was turned: in the file the voltage rises with it, "
                           "so that + means charging there")


def _answers_by_falling(current: Floats, voltage: Floats) -> bool:
    """Whether a larger current goes with a lower voltage: by its steps (V = OCV - R I), and where
    it has none by the charge that it moved."""
    steps, moves = np.diff(current), np.diff(voltage)
    known = np.isfinite(steps) & np.isfinite(moves)
    swing = float(np.nanmax(np.abs(current), initial=0.0))
    strong = known & (np.abs(steps) > 0.02 * swing)
    if strong.any():
        return float(np.sum(steps[strong] * moves[strong])) <= 0.0
    both = np.isfinite(current) & np.isfinite(voltage)
    if both.sum() < 2:
        raise RequestError("the file holds no row with both a voltage and a current")
    moved = np.cumsum(current[both])
    return float(np.sum((moved - moved.mean()) * (voltage[both] - voltage[both].mean()))) <= 0.0


def _check_voltage(voltage: Floats) -> None:
    low, high = float(np.nanmin(voltage)), float(np.nanmax(voltage))
    if not PLAUSIBLE_V[0] <= low <= high <= PLAUSIBLE_V[1]:
        raise RequestError(f"voltages from {low:g} to {high:g} V are no cell's; a pack's are "
                           "divided by its cells in series first")


def _mean(values: Floats | None) -> float | None:
    if values is None or not np.isfinite(values).any():
        return None
    return float(np.nanmean(values))
