"""What ran in each cell of a log: shares 0 to 1, NaN where nobody knows."""

from __future__ import annotations

import math

import numpy as np

from core.heatpump.log import Floats, PumpLog
from core.pump import Pump

# A compressor that draws less than this does not run; an auxiliary heater neither [kW].
COMPRESSOR_FROM_KW, AUXILIARY_FROM_KW = 0.1, 0.05
# The steps of a heater whose rated power nobody told [kW]: 3 kW and 6 kW (Husdata, C00 and C60).
STEPS_KW = (3.0, 6.0)
STEPS = ("auxiliary_1_on", "auxiliary_2_on")
# What tells a compressor without a switch of its own -> above which it runs.
COMPRESSOR_BY = (("compressor_hz", 0.0), ("compressor_pct", 0.0),
                 ("compressor_power_kw", COMPRESSOR_FROM_KW))


def compressor(log: PumpLog) -> Floats:
    """Share of each cell in which the compressor ran, float64[k]: from its switch, else from
    its speed or its power being above nothing."""
    if log.tells("compressor_on"):
        return log.column("compressor_on")
    for name, least in COMPRESSOR_BY:
        if log.tells(name):
            return _above(log.column(name), least)
    return np.full(log.size, np.nan)


def water(log: PumpLog) -> Floats:
    """Share of each cell in which the valve stood to hot water, float64[k]."""
    return log.column("hot_water_valve")


def water_of_running(log: PumpLog, on: Floats) -> Floats:
    """Share of the compressor's running in each cell that went to hot water, float64[k]: in a
    cell that knows both only in part, the pump is taken to have run as long as it could while
    the valve stood to hot water. Of a cell that stood still: the valve's own share."""
    valve = water(log)
    runs = on > 0
    return np.where(runs, np.minimum(valve / np.where(runs, on, 1.0), 1.0), valve)


def auxiliary(log: PumpLog, pump: Pump) -> Floats:
    """Share of each cell in which the auxiliary heater was on, float64[k]: from its power, its
    per cent or its steps (the longer of the two). 0 for a pump that has none (rated 0 kW)."""
    steps = [log.column(name) for name in STEPS if log.tells(name)]
    if steps:
        longer: Floats = np.maximum.reduce(steps)
        return longer
    for name, least in (("auxiliary_pct", 0.0), ("auxiliary_power_kw", AUXILIARY_FROM_KW)):
        if log.tells(name):
            return _above(log.column(name), least)
    return np.full(log.size, 0.0 if pump.auxiliary_kw == 0 else np.nan)


def defrost(log: PumpLog) -> Floats:
    """Share of each cell in which it defrosted, float64[k]."""
    return log.column("defrost_on")


def step_powers_kw(pump: Pump) -> tuple[float, float]:
    """Power of the two steps of the auxiliary heater: a third and two thirds of what it is
    rated for, 3 and 6 kW where nobody told."""
    if math.isfinite(pump.auxiliary_kw):
        return pump.auxiliary_kw / 3, pump.auxiliary_kw * 2 / 3
    return STEPS_KW


def _above(values: Floats, least: float) -> Floats:
    return np.where(np.isfinite(values), (values > least).astype(np.float64), np.nan)
