"""What a heat pump draws, with and without its auxiliary heater."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.heatpump import switches
from core.heatpump.counters import counted
from core.heatpump.log import Floats, PumpLog
from core.pump import Pump


@dataclass(frozen=True, slots=True)
class Electricity:
    """float64[k] each [kW]. total: all that was measured, the auxiliary heater included;
    auxiliary: the heater alone; compressor: all without it. told_by, auxiliary_told_by: the
    quantity, "" = none. finest_s: the shortest window that both tell [s]. missing: "" or
    "electricity". water_share: share of the total that went to hot water (0 to 1) where that is
    known better than by the running, else None."""

    total: Floats
    auxiliary: Floats
    compressor: Floats
    told_by: str
    auxiliary_told_by: str
    finest_s: float
    missing: str
    water_share: Floats | None = None


def of(log: PumpLog, pump: Pump, compressor_on: Floats) -> Electricity:
    """From `electric_power_kw`, else `compressor_power_kw` (pumps are not in it), else the
    increments of `electricity_kwh`: the first that is known at all."""
    rated = auxiliary_of(log, pump)
    name, measured, finest_s = _measured(log, compressor_on)
    if name == "compressor_power_kw" or not pump.electricity_has_auxiliary:
        auxiliary, compressor = rated.kw, measured
        total = measured + auxiliary
    else:
        # Out of a rating alone the heater may not take more than what was measured of all.
        auxiliary = np.fmin(rated.kw, measured) if rated.is_rating else rated.kw
        auxiliary = np.where(np.isfinite(rated.kw), auxiliary, np.nan)
        total, compressor = measured, measured - auxiliary
    return Electricity(total, auxiliary, compressor, name, rated.name,
                       max(finest_s, rated.finest_s), "" if name else "electricity")


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """name: the quantity that told it, "" = none; kw: float64[k]; finest_s: the shortest window
    that it tells [s]; is_rating: whether it rests on what the heater is rated for."""

    name: str
    kw: Floats
    finest_s: float
    is_rating: bool


def _measured(log: PumpLog, compressor_on: Floats) -> tuple[str, Floats, float]:
    for name in ("electric_power_kw", "compressor_power_kw"):
        if log.tells(name):
            return name, log.column(name), log.step_s
    if log.tells("electricity_kwh"):
        rise = counted(log, "electricity_kwh", compressor_on)
        if math.isfinite(rise.finest_s):
            return "electricity_kwh", rise.kw, rise.finest_s
    return "", np.full(log.size, np.nan), log.step_s


def auxiliary_of(log: PumpLog, pump: Pump) -> Auxiliary:
    """From its power, its per cent x rated power, its steps x their power, or its counter. 0 only
    where it is known to be off."""
    if log.tells("auxiliary_power_kw"):
        return Auxiliary("auxiliary_power_kw", log.column("auxiliary_power_kw"), log.step_s, False)
    if log.tells("auxiliary_pct"):
        share = log.column("auxiliary_pct") / 100.0
        return Auxiliary("auxiliary_pct", _times(share, pump.auxiliary_kw), log.step_s, True)
    told = [name for name in switches.STEPS if log.tells(name)]
    if told:
        return Auxiliary(told[0], _steps_kw(log, pump, told), log.step_s, True)
    share = switches.auxiliary(log, pump)
    if log.tells("auxiliary_kwh"):
        rise = counted(log, "auxiliary_kwh", np.full(log.size, np.nan))
        finest_s = rise.finest_s if math.isfinite(rise.finest_s) else log.step_s
        return Auxiliary("auxiliary_kwh", rise.kw, finest_s, False)
    return Auxiliary("", share, log.step_s, False)


def _steps_kw(log: PumpLog, pump: Pump, told: list[str]) -> Floats:
    powers = dict(zip(switches.STEPS, switches.step_powers_kw(pump), strict=True))
    if len(told) == 1 and math.isfinite(pump.auxiliary_kw):
        powers[told[0]] = pump.auxiliary_kw
    parts = [_times(log.column(name), powers[name]) for name in told]
    kw: Floats = np.sum(parts, axis=0)
    return kw


def _times(share: Floats, rated_kw: float) -> Floats:
    """share x rated power; where nobody told that, 0 while off and NaN while on."""
    if math.isfinite(rated_kw):
        return share * rated_kw
    return np.where(share == 0, 0.0, np.nan)
