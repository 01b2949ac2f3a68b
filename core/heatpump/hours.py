"""Registers that tell the energy of the last full hour (UTC): those of an energy log.

Such a register is no counter: it holds one hour's energy until the next hour is over, also where
that was the same. So each hour is read once, out of the hour after it, and what was not heard
then is a gap. Owners saw it turn within a minute of the full hour (home-assistant/core, issues
145424 and 169214, register 32284).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.heatpump.counters import MOST_KW
from core.heatpump.log import Flags, Floats, PumpLog

HEAT = ("space_heat_hour_kwh", "water_heat_hour_kwh")
ELECTRICITY = ("space_electricity_hour_kwh", "water_electricity_hour_kwh")
AUXILIARY = ("space_auxiliary_hour_kwh", "water_auxiliary_hour_kwh")
COOLING, COOLING_ELECTRICITY = "cooling_hour_kwh", "cooling_electricity_hour_kwh"
QUANTITIES = (*HEAT, *ELECTRICITY, *AUXILIARY, COOLING, COOLING_ELECTRICITY)

HOUR_S = 3600.0
# A register may turn so long after the full hour (a slow collector, a slow clock), or so long
# before it (a fast clock) [s].
LATE_S, EARLY_S = 900.0, 300.0
# Cells up to this wide tell when a register turned; only those of an hour do without [s].
FINE_CELLS_S = 600.0
# Half a step of NIBE's registers [kWh].
SAME_KWH = 0.005


def with_hours(log: PumpLog, an_hour_later: PumpLog) -> PumpLog:
    """The log with the hours that its own hours' registers told: those of `an_hour_later`, the
    same cells one hour on."""
    return replace(log, hours={name: told_hours(an_hour_later, name)
                               for name in an_hour_later.columns if name in QUANTITIES})


def told_hours(log: PumpLog, name: str) -> Floats:
    """What the register held in the hour (UTC) of each cell [kWh], float64[k]: one value an hour.

    NaN where it was not heard between its turns, held several values there (a pump that started
    anew, a clock that is wrong by more than LATE_S or EARLY_S), or what no pump moves.
    """
    if log.step_s == HOUR_S:
        found = _longest_held(log, name)
    elif log.step_s <= FINE_CELLS_S:
        found = _steady(log, name)
    else:
        found = np.full(log.size, np.nan)
    return np.where((found >= 0) & (found <= MOST_KW), found, np.nan)


def tells(log: PumpLog, names: tuple[str, ...]) -> bool:
    """Whether some hour is known of each of them."""
    return all(bool(np.isfinite(log.hours[name]).any()) if name in log.hours else False
               for name in names)


def kwh_of(log: PumpLog, kw: Floats) -> Floats:
    """The energy of each cell's hour [kWh], float64[k], from powers; NaN where one is NaN, and of
    an hour that the log cuts."""
    number, hours = _numbered(log)
    whole = np.bincount(number, minlength=hours) * log.step_s >= HOUR_S - log.step_s / 2
    kwh: Floats = np.where(whole, np.bincount(number, kw, hours) * log.step_h, np.nan)
    return kwh[number]


def power_kw(log: PumpLog, kwh: Floats, weight: Floats) -> Floats:
    """Mean power of each cell [kW] from the energies of its hours, float64[k]. weight: float64[k]
    >= 0, how much of a cell was spent on it; an hour with none, or an unknown one, is spread
    evenly. NaN in an hour that the log cuts: nobody knows when in it the energy flowed."""
    number, hours = _numbered(log)
    count = np.bincount(number, minlength=hours)
    whole = count * log.step_s >= HOUR_S - log.step_s / 2
    total = np.bincount(number, np.where(np.isfinite(weight), weight, 0.0), hours)
    usable = (np.bincount(number, ~np.isfinite(weight), hours) == 0) & (total > 1e-9)
    share = np.where(usable[number], weight / np.where(usable, total, 1.0)[number],
                     1.0 / np.maximum(count, 1)[number])
    return np.where(whole[number], kwh * share / log.step_h, np.nan)


def _steady(log: PumpLog, name: str) -> Floats:
    """The one value of the cells between an hour's turns."""
    number, hours = _numbered(log)
    high, low = log.peak(name), log.trough(name)
    since_s = log.time_s - np.floor(log.time_s / HOUR_S) * HOUR_S
    used: Flags = ((since_s >= LATE_S) & (since_s + log.step_s <= HOUR_S - EARLY_S)
                   & np.isfinite(high) & np.isfinite(low))
    highest, lowest = np.full(hours, -np.inf), np.full(hours, np.inf)
    np.maximum.at(highest, number[used], high[used])
    np.minimum.at(lowest, number[used], low[used])
    one = np.abs(highest - lowest) <= SAME_KWH
    return np.where(one, highest, np.nan)[number]


def _longest_held(log: PumpLog, name: str) -> Floats:
    """Of cells of an hour: of lowest and highest the one that the mean is nearer to."""
    high, low, mean = log.peak(name), log.trough(name), log.column(name)
    nearer = np.where(high - mean <= mean - low, high, low)
    other = np.abs(mean - nearer) <= (LATE_S / HOUR_S) * (high - low) + SAME_KWH
    return np.where(other, nearer, np.nan)


def _numbered(log: PumpLog) -> tuple[NDArray[np.int64], int]:
    """Number of each cell's hour, from 0, and how many hours there are."""
    number = np.floor(log.time_s / HOUR_S).astype(np.int64)
    if not number.size:
        return number, 0
    return number - number[0], int(number[-1] - number[0]) + 1
