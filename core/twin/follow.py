"""A record of the past as the filter would have lived it: modelled beside measured voltage."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from core.twin.filter import CellFilter, Tuning
from core.twin.models import CellModel, Floats
from core.twin.record import GAP_S, Record

BEGIN_SIGMA = 0.05
"""Of a charge that was told, one standard deviation."""


@dataclass(frozen=True, slots=True)
class Followed:
    """float64[n], NaN where not known: charge 0..1 and its deviation, the voltage that was
    expected [V] and measured less expected [V], resistance as a multiple of the model's and its
    deviation, and the leak [C-rate]."""

    soc: Floats
    soc_sigma: Floats
    modelled_v: Floats
    residual_v: Floats
    resistance: Floats
    resistance_sigma: Floats
    leak_c: Floats


def follow(record: Record, model: CellModel, capacity_ah: float, soc: float = math.nan,
           temperature_c: float = math.nan) -> Followed:
    """One cell, or the mean cell of a pack, from the record's first row on. soc: 0..1 there,
    NaN = as its voltage tells; temperature_c: of the whole record, NaN = 25. Raises RequestError
    for a capacity that is none. About 0.15 ms a row."""
    cells = CellFilter([model], [1], [capacity_ah], replace(Tuning(), gap_s=GAP_S))
    cells.begin(soc, BEGIN_SIGMA)
    step_s = np.diff(record.time_s, prepend=record.time_s[:1])
    rows = np.full((6, record.time_s.size), np.nan)
    for row, (current_a, volts, dt_s) in enumerate(zip(
            record.current_a.tolist(), record.voltage_v.tolist(), step_s.tolist(), strict=True)):
        cells.step([current_a], [volts], dt_s, [temperature_c])
        rows[:, row] = (cells.soc[0], cells.soc_sigma[0], cells.residual_v[0],
                        cells.resistance[0], cells.resistance_sigma[0], cells.leak_c[0])
    found, sigma, residual, resistance, resistance_sigma, leak = rows
    residual = np.where(np.isfinite(record.current_a), residual, np.nan)
    return Followed(found, sigma, record.voltage_v - residual, residual, resistance,
                    resistance_sigma, leak)
