"""What a pump's own energy log says: heat and electricity of each hour, by what they were for.

Within an hour nobody knows when the energy flowed: it is spread over the running, so that space
and hot water stay apart. Hours are subtracted and added before they are spread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.heatpump import hours, switches
from core.heatpump.electricity import Auxiliary, Electricity, auxiliary_of
from core.heatpump.log import Floats, PumpLog
from core.pump import Pump


@dataclass(frozen=True, slots=True)
class LoggedHeat:
    """float64[k] each [kW], means of an hour's running. all_kw: with the auxiliary heater's;
    pump_kw: the compressor's alone. water_share: share of all that went to hot water (0 to 1)."""

    all_kw: Floats
    pump_kw: Floats
    water_share: Floats


@dataclass(frozen=True, slots=True)
class EnergyLog:
    """heat, electricity: None where the log tells no whole hour of it; electricity without what
    cooling took, as the heat. has_registers: whether the pump has an energy log at all."""

    has_registers: bool
    heat: LoggedHeat | None = None
    electricity: Electricity | None = None


@dataclass(frozen=True, slots=True)
class _Use:
    """The energies of each cell's hour by use [kWh], float64[k] each."""

    space: Floats
    water: Floats


@dataclass(frozen=True, slots=True)
class _Heater:
    """use: its energies; kw: when it took them, where that is known."""

    told_by: str
    use: _Use
    kw: Floats
    is_rating: bool


def energy_log(log: PumpLog, pump: Pump, on: Floats, to_water: Floats) -> EnergyLog:
    """on: share of each cell in which the compressor ran; to_water: share of that running that
    went to hot water; float64[k] each."""
    if not all(name in log.hours for name in hours.HEAT):
        return EnergyLog(False)
    heater = _heater(log, pump)
    heat, electricity = None, None
    told = _spread(log, hours.HEAT, heater, pump.heat_has_auxiliary, on, to_water)
    if told is not None:
        heat = LoggedHeat(*told)
    told = _spread(log, hours.ELECTRICITY, heater, pump.electricity_has_auxiliary, on, to_water)
    if told is not None:
        total, compressor, share = told
        electricity = Electricity(total, total - compressor, compressor, hours.ELECTRICITY[0],
                                  heater.told_by, hours.HOUR_S, "", share)
    return EnergyLog(True, heat, electricity)


def with_cooling(power: Electricity, log: PumpLog) -> Electricity:
    """All that the log says was used: cooling's too, which no heat stands against."""
    if not hours.tells(log, (hours.COOLING_ELECTRICITY,)):
        return power
    taken = hours.power_kw(log, log.hours[hours.COOLING_ELECTRICITY], np.full(log.size, np.nan))
    added = np.where(np.isfinite(taken), taken, 0.0)
    return replace(power, total=power.total + added, compressor=power.compressor + added,
                   water_share=None)


def _heater(log: PumpLog, pump: Pump) -> _Heater:
    """By its own registers in the log, else by what else tells it, summed up by the hour."""
    other: Auxiliary = auxiliary_of(log, pump)
    if hours.tells(log, hours.AUXILIARY):
        use = _Use(*(log.hours[name] for name in hours.AUXILIARY))
        return _Heater(hours.AUXILIARY[0], use, other.kw, False)
    water_kw = np.where(other.kw == 0, 0.0, other.kw * switches.water(log))
    use = _Use(hours.kwh_of(log, other.kw - water_kw), hours.kwh_of(log, water_kw))
    return _Heater(other.name, use, other.kw, other.is_rating)


def _spread(log: PumpLog, names: tuple[str, str], heater: _Heater, has_heater: bool, on: Floats,
            to_water: Floats) -> tuple[Floats, Floats, Floats] | None:
    """All and the compressor's alone [kW], and the share of all that went to hot water; None where
    no whole hour is told. has_heater: whether the registers `names`, of space and of hot water,
    count the heater."""
    if not hours.tells(log, names):
        return None
    told = _Use(*(log.hours[name] for name in names))
    taken = heater.use
    if heater.is_rating and has_heater:
        taken = _Use(np.fmin(taken.space, told.space), np.fmin(taken.water, told.water))
    alone = _Use(told.space - taken.space, told.water - taken.water) if has_heater else told
    valve = switches.water(log)
    water = hours.power_kw(log, alone.water, on * to_water)
    compressor = hours.power_kw(log, alone.space, on * (1.0 - to_water)) + water
    heater_water = hours.power_kw(log, taken.water, heater.kw * valve)
    total = compressor + heater_water + hours.power_kw(log, taken.space, heater.kw * (1.0 - valve))
    water = water + heater_water
    if has_heater:
        # What the heater took of it is not known; all is.
        whole = hours.power_kw(log, told.space + told.water, on)
        water = np.where(np.isfinite(total), water, hours.power_kw(log, told.water, on * to_water))
        total = np.where(np.isfinite(total), total, whole)
    if not np.isfinite([total, compressor]).any():
        return None
    share = np.where(total > 0, water / np.where(total > 0, total, 1.0), to_water)
    return total, compressor, share
