"""The model of a cell out of its own records: its curve from a slow discharge, its circuit from
a lively one. Linear least squares over a grid of time constants; nothing iterates."""

from __future__ import annotations

import itertools

import numpy as np
from msgspec import structs

from core.errors import RequestError
from core.twin.models import CellModel, Floats
from core.twin.record import Record, response

FAST_S = (5.0, 10.0, 20.0, 40.0)
SLOW_S = (100.0, 200.0, 400.0, 800.0, 1600.0)
POINTS = 101
LEAST_STEPS = 30
"""Moments at which the current moved, of a record that tells a circuit."""
MOVES_C = 0.05


def with_curve(model: CellModel, slow: Record, rest_v: float | None = None
               ) -> tuple[CellModel, float]:
    """The model with the curve of a slow discharge from full to empty, and what it gave [Ah].
    rest_v: of the full cell after a rest, where it is known: after a charge voltage falls for
    hours and the curve's top tells more. Raises RequestError for a record that is none."""
    used = slow.used_ah()
    if used.size < POINTS or not np.isfinite(used).all() or not used[-1] > 0:
        raise RequestError("a curve needs one slow discharge from full to empty without a gap")
    capacity_ah = float(used[-1])
    rate_c = 3600.0 / (slow.time_s[-1] - slow.time_s[0])
    rests = slow.voltage_v + rate_c * model.drop_1c_v
    grid = np.linspace(0.0, 1.0, POINTS)
    curve = np.interp(grid, (1.0 - used / capacity_ah)[::-1], rests[::-1])
    if rest_v is not None:
        curve[-1] = min(curve[-1], rest_v)
    # What noise made flat or falling rises by a microvolt a point.
    curve = np.maximum.accumulate(curve) + 1e-6 * np.arange(POINTS)
    return structs.replace(model, curve_v=tuple(curve.tolist()), window=(0.0, 1.0)), capacity_ah


def with_circuit(model: CellModel, record: Record, soc: Floats, capacity_ah: float
                 ) -> tuple[CellModel, float]:
    """The model with the circuit that fits a record of known charge best, and what is left [V],
    root mean square. Raises RequestError where the current hardly moved, or no circuit of
    positive resistances fits."""
    rate = record.current_a / capacity_ah
    missing = model.ocv_v(soc) - record.voltage_v
    known = np.isfinite(missing) & np.isfinite(rate)
    if (np.abs(np.diff(rate[known])) > MOVES_C).sum() < LEAST_STEPS:
        raise RequestError(f"a circuit needs a record in which the current moves by {MOVES_C:g} C "
                           f"at least {LEAST_STEPS} times")
    shapes = {constant_s: response(record.time_s, np.nan_to_num(rate), constant_s)
              for constant_s in FAST_S + SLOW_S}
    found = [_fitted(missing, rate, shapes, known, pair)
             for pair in itertools.product(FAST_S, SLOW_S)]
    left, volts, (fast_s, slow_s) = min(found, key=lambda fit: fit[0])
    if not np.isfinite(left):
        raise RequestError("no circuit of positive resistances fits: is + the discharge, and the "
                           "chemistry the right one?")
    total = float(volts.sum())
    pairs = ((float(volts[1]) / total, fast_s), (float(volts[2]) / total, slow_s))
    return structs.replace(model, drop_1c_v=total, ohmic_share=float(volts[0]) / total,
                           pairs=pairs), left


def _fitted(missing: Floats, rate: Floats, shapes: dict[float, Floats],
            known: np.ndarray[tuple[int], np.dtype[np.bool_]], pair: tuple[float, float]
            ) -> tuple[float, Floats, tuple[float, float]]:
    """What is left [V], volts at 1 C of the three parts, their constants; infinite where a
    resistance would be negative."""
    design = np.stack([rate, shapes[pair[0]], shapes[pair[1]]], axis=1)[known]
    volts, *_ = np.linalg.lstsq(design, missing[known], rcond=None)
    left = float(np.sqrt(np.mean((design @ volts - missing[known]) ** 2)))
    return (left if (volts > 0).all() else np.inf), np.asarray(volts), pair
