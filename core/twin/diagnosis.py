"""Does the model fit the pack? A verdict in words; the worst cause first.

A sign is judged by steps of current (a resistance below zero is none), a chemistry by which
curve the resting and loaded voltages follow as charge flows, a drift by the mean residual of
five minutes leaving what is usual (`core.twin.drift`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.twin.drift import Drift
from core.twin.health import resistance_of
from core.twin.models import CellModel, cell_models
from core.twin.record import Record

Word = Literal["agrees", "drifting", "sign_inverted", "wrong_chemistry", "outside_window",
               "does_not_fit", "too_little_data"]

LEAST_POINTS = 60
LEAST_SWING = 0.03
"""Charge that must flow before curves can be told apart, as a share of the capacity."""
OUTSIDE_SHARE = 0.01
OUTSIDE_V = 0.02
"""Beyond the window by less is the sensor's [V]."""
GOOD_V = 0.02
"""What curve and circuit leave of a pack that fits, root mean square [V]."""
CLEARLY = 0.5
"""Another chemistry is named where it leaves less than this part."""
GUESSES = 81
"""Charges at the record's start that are tried."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """word for the code, cause for the reader. since_s: of a drift [s]; fits: the chemistry that
    fits instead; left_v: what the declared chemistry leaves, root mean square [V], NaN where it
    could not be asked; notes: what is wrong with the record that it judges."""

    word: Word
    cause: str
    since_s: float | None = None
    fits: str | None = None
    left_v: float = math.nan
    notes: tuple[str, ...] = ()


def diagnose(record: Record, chemistry: str, capacity_ah: float,
             drift: Drift | None = None) -> Verdict:
    """Of a record of one cell or of a pack's mean cell. chemistry: as declared, of CHEMISTRIES.
    drift: how far what the filter left has left what is usual, where that is known."""
    model = cell_models()[chemistry]
    little = _too_little(record)
    if little:
        return Verdict("too_little_data", little)
    whole = record.longest()
    moved_ah = float(np.ptp(whole.used_ah()))
    verdict = _sign(record, model, capacity_ah)
    left_v = math.nan
    if verdict is None and moved_ah >= LEAST_SWING * capacity_ah:
        left = {name: left_by(whole, one, capacity_ah) for name, one in cell_models().items()}
        left_v = left[chemistry]
        verdict = _turned(whole, model, capacity_ah, min(left.values())) \
            or _chemistry(left, chemistry)
    verdict = verdict or _outside(record, model) or _drift(drift, model, left_v)
    if verdict is not None:
        return verdict
    if math.isnan(left_v):
        return Verdict("too_little_data", f"only {100 * moved_ah / capacity_ah:.1f} % of the "
                       "capacity has flowed: too little to tell chemistries apart")
    return Verdict("agrees", f"{1000 * left_v:.0f} mV are left between measured and modelled "
                   "voltage", left_v=left_v)


def left_by(record: Record, model: CellModel, capacity_ah: float) -> float:
    """What a chemistry leaves [V], root mean square, at the best charge to begin with and the
    best resistance; infinite where nothing fits."""
    used = record.used_ah()
    rows = np.flatnonzero(np.isfinite(used) & np.isfinite(record.voltage_v))
    rows = rows[::max(1, rows.size // 500)]
    if rows.size < 2:
        return math.inf
    moved = used[rows] / capacity_ah
    drop, volts = record.drop_v(model, capacity_ah)[rows], record.voltage_v[rows]
    starts = np.linspace(0.0, 1.0, GUESSES) + 0.0
    soc = starts[:, np.newaxis] - moved
    missing = model.ocv_v(soc) - volts
    scale = np.clip(missing @ drop / max(float(drop @ drop), 1e-12), 0.2, 5.0)
    left = np.sqrt(np.mean((missing - scale[:, np.newaxis] * drop) ** 2, axis=1))
    possible = (soc.min(axis=1) > -0.1) & (soc.max(axis=1) < 1.1)
    return float(np.where(possible, left, np.inf).min())


def _too_little(record: Record) -> str:
    known = np.isfinite(record.current_a) & np.isfinite(record.voltage_v)
    if known.sum() < LEAST_POINTS:
        return f"{int(known.sum())} samples of voltage and current are known; {LEAST_POINTS} are " \
               "needed"
    return ""


def _sign(record: Record, model: CellModel, capacity_ah: float) -> Verdict | None:
    resistance, steps = resistance_of(record, model, capacity_ah)
    if resistance.known and resistance.high < 0:
        return Verdict("sign_inverted", f"voltage rises with the current in {steps} steps: the "
                       "sign of the current is inverted; + is discharging here")
    return None


def _turned(record: Record, model: CellModel, capacity_ah: float,
            left_v: float) -> Verdict | None:
    """Of records too coarse to see a step: with the other sign the declared chemistry fits, and
    with this one none does."""
    turned_v = left_by(record.turned(), model, capacity_ah) if left_v > GOOD_V else math.inf
    if turned_v < CLEARLY * left_v:
        return Verdict("sign_inverted", "voltage rises while the current says discharging: the "
                       "sign of the current is inverted; + is discharging here", left_v=left_v)
    return None


def _chemistry(left: Mapping[str, float], declared: str) -> Verdict | None:
    """Another chemistry that fits where the declared one does not, or none that does."""
    best = min(left, key=lambda name: left[name])
    mine = left[declared]
    if best != declared and left[best] < CLEARLY * mine and mine > GOOD_V:
        said = "is impossible" if math.isinf(mine) else f"leaves {1000 * mine:.0f} mV"
        return Verdict("wrong_chemistry", f"{declared} {said}, {best} leaves "
                       f"{1000 * left[best]:.0f} mV: is the pack {best}?", fits=best, left_v=mine)
    if mine > 3 * GOOD_V:
        said = "no charge explains the voltage" if math.isinf(mine) else \
            f"{1000 * mine:.0f} mV are left between measured and modelled voltage"
        return Verdict("does_not_fit", f"{said}: check the capacity and the number of cells",
                       left_v=mine)
    return None


def _outside(record: Record, model: CellModel) -> Verdict | None:
    volts = record.voltage_v[np.isfinite(record.voltage_v)]
    low, high = model.voltage_v
    out = (volts < low - OUTSIDE_V) | (volts > high + OUTSIDE_V)
    if volts.size and out.mean() > OUTSIDE_SHARE:
        return Verdict("outside_window", f"{100 * out.mean():.0f} % of the voltages are outside of "
                       f"{low:g} to {high:g} V, where the model knows nothing")
    return None


def _drift(drift: Drift | None, model: CellModel, left_v: float) -> Verdict | None:
    """What is less than the curve may be off tells nothing."""
    if drift is None or drift.since_s is None or abs(drift.now_v) < model.voltage_error_v:
        return None
    return Verdict("drifting", "measured less modelled voltage has moved by "
                   f"{1000 * drift.now_v:+.0f} mV", since_s=drift.since_s, left_v=left_v)
