"""Synthetic cells of known parameters: what the twin must find again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.twin.models import CellModel, Floats, cell_model
from core.twin.record import Record


@dataclass(frozen=True)
class Made:
    """A record and the charge behind it, 0..1, float64[n]."""

    record: Record
    soc: Floats


def live(model: CellModel, capacity_ah: float, current_a: Floats, soc: float = 0.9,
         resistance: float = 1.0, step_s: float = 1.0, noise_v: float = 0.0, seed: int = 0) -> Made:
    """A cell carries a current (float64[n], each for the step before its row)."""
    time_s = step_s * np.arange(current_a.size)
    charge = soc - np.concatenate([[0.0], np.cumsum(current_a[1:])]) * step_s / 3600 / capacity_ah
    bare = Record(time_s, current_a, np.zeros(time_s.size))
    noise = np.random.default_rng(seed).normal(0.0, noise_v, time_s.size)
    volts = model.ocv_v(charge) - resistance * bare.drop_v(model, capacity_ah) + noise
    return Made(Record(time_s, current_a, volts), charge)


def lively(capacity_ah: float, seconds: int, mean_c: float = 0.3, seed: int = 0) -> Floats:
    """A current that steps every ten seconds around a mean [C-rate]."""
    rng = np.random.default_rng(seed)
    return capacity_ah * np.repeat(rng.normal(mean_c, 0.3, seconds // 10 + 1), 10)[:seconds]


def day(capacity_ah: float, depth: float = 0.7, rest_s: int = 3600, step_s: float = 10.0) -> Floats:
    """Rest, half an hour of rough discharge to `depth`, rest, charge, rest; 0.5 C on the mean."""
    rests = np.zeros(int(rest_s / step_s))
    moving = int(depth * 3600 / 0.5 / step_s)
    rough = capacity_ah * 0.5 * (1.0 + 0.5 * np.where(np.arange(moving) // 3 % 2, 1.0, -1.0))
    rough *= depth * capacity_ah / (rough.sum() * step_s / 3600)
    return np.concatenate([rests, rough, rests, -rough, rests])


NMC, LFP, LCO = (cell_model(name) for name in ("NMC", "LFP", "LCO"))
