"""A record of the past as the filter would have lived it: modelled beside measured voltage."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    return follow_all([record], [model], [capacity_ah], [soc], [temperature_c])[0]


def follow_all(records: Sequence[Record], models: Sequence[CellModel],
               capacity_ah: Sequence[float], soc: Sequence[float],
               temperature_c: Sequence[float],
               holds_ah: Sequence[float] | None = None) -> list[Followed]:
    """As `follow`, for records of the same moments side by side: many cost little more than
    one. holds_ah: by what charge is counted, NaN or None = the capacity."""
    cells = CellFilter(models, [1] * len(models), capacity_ah, replace(Tuning(), gap_s=GAP_S))
    if holds_ah is not None:
        cells.set_capacity(holds_ah)
    cells.begin(soc, BEGIN_SIGMA)
    time_s = records[0].time_s
    current_a, volts = (np.stack([getattr(record, name) for record in records], axis=1)
                        for name in ("current_a", "voltage_v"))
    rows = np.full((6, time_s.size, len(records)), np.nan)
    for row, dt_s in enumerate(np.diff(time_s, prepend=time_s[:1]).tolist()):
        cells.step(current_a[row], volts[row], dt_s, temperature_c)
        rows[:, row] = (cells.soc, cells.soc_sigma, cells.residual_v, cells.resistance,
                        cells.resistance_sigma, cells.leak_c)
    rows[2] = np.where(np.isfinite(current_a), rows[2], np.nan)
    return [Followed(found, sigma, record.voltage_v - residual, residual, resistance,
                     resistance_sigma, leak)
            for record, (found, sigma, residual, resistance, resistance_sigma, leak) in zip(
                records, np.moveaxis(rows, 2, 0), strict=True)]
