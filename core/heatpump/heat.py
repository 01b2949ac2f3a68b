"""The heat that a pump gave, by each way of knowing it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from core.heatpump.counters import counted
from core.heatpump.electricity import Electricity
from core.heatpump.energy_log import EnergyLog
from core.heatpump.hours import HEAT, HOUR_S
from core.heatpump.log import Floats, PumpLog
from core.pump import Pump

# Specific heat of water [kJ/(kg K)]; one litre is taken for one kilogram.
WATER_KJ_PER_KG_K = 4.186
KW_PER_LPM_K = WATER_KJ_PER_KG_K / 60.0


@dataclass(frozen=True, slots=True)
class Heat:
    """float64[k] each [kW]. all_kw: everything delivered, the auxiliary heater's too; pump_kw:
    the compressor's alone. missing: "" or the name of what is missing. finest_s: the shortest
    window that it tells [s]. water_share: share that went to hot water where the basis knows it
    better than the valve, else None. own: electricity of its own (the map's, the energy log's),
    else None. told_by: the quantity of a heat meter or an energy log, "" = none."""

    all_kw: Floats
    pump_kw: Floats
    finest_s: float
    missing: str = ""
    water_share: Floats | None = None
    own: Electricity | None = None
    told_by: str = ""


def metered(log: PumpLog, pump: Pump, on: Floats, to_water: Floats, power: Electricity,
            logged: EnergyLog) -> Heat:
    """From `heat_power_kw`, else the increments of `space_heat_kwh` and `water_heat_kwh`, else
    those of `heat_kwh`, else the pump's energy log with the electricity of the same log.
    Negative while a defrost takes heat back."""
    if log.tells("heat_power_kw"):
        return Heat(*_apart(log.column("heat_power_kw"), pump, power), log.step_s,
                    told_by="heat_power_kw")
    if log.tells("space_heat_kwh") and log.tells("water_heat_kwh"):
        space = counted(log, "space_heat_kwh", on * (1.0 - to_water))
        water = counted(log, "water_heat_kwh", on * to_water)
        whole = space.kw + water.kw
        share = np.where(whole > 0, water.kw / np.where(whole > 0, whole, 1.0), to_water)
        finest_s = float(np.fmax(space.finest_s, water.finest_s))
        return _of_counter("space_heat_kwh", whole, finest_s, pump, power, share)
    if log.tells("heat_kwh"):
        both = counted(log, "heat_kwh", on)
        return _of_counter("heat_kwh", both.kw, both.finest_s, pump, power, None)
    if logged.heat is not None:
        return Heat(logged.heat.all_kw, logged.heat.pump_kw, HOUR_S, "", logged.heat.water_share,
                    logged.electricity, HEAT[0])
    return _none(log, "energy_log" if logged.has_registers else "heat")


def by_flow(log: PumpLog, pump: Pump, on: Floats, power: Electricity) -> Heat:
    """flow [l/min] x delta T [K] x 4.186 / 60 [kW], while the compressor runs or, where the
    flow pair lies behind it, the auxiliary heater; else 0."""
    lacking = _lacking(log, ("flow_lpm", *pump.flow_pair), on)
    if lacking:
        return _none(log, lacking)
    given = log.column("flow_lpm") * _delta_k(log, pump) * KW_PER_LPM_K
    return _while_running(log, given, pump, on, power)


def by_assumed_flow(log: PumpLog, pump: Pump, on: Floats, power: Electricity) -> Heat:
    """As `by_flow` with the flow that a person told for a running compressor. In a cell that it
    ran in for a part, the mean delta T is that much smaller already."""
    lacking = _lacking(log, pump.flow_pair, on)
    if not math.isfinite(pump.assumed_flow_lpm):
        lacking = "assumed_flow_lpm"
    if lacking:
        return _none(log, lacking)
    given = pump.assumed_flow_lpm * _delta_k(log, pump) * KW_PER_LPM_K
    pump_kw = np.where(on > 0, given, 0.0 * on)
    if pump.heat_has_auxiliary:
        return Heat(np.where(on > 0, pump_kw, pump_kw + power.auxiliary),
                    np.where(on > 0, pump_kw - power.auxiliary, pump_kw), log.step_s)
    return Heat(pump_kw + power.auxiliary, pump_kw, log.step_s)


def by_map(log: PumpLog, pump: Pump, on: Floats, power: Electricity) -> Heat:
    """COP of the model's performance map at the temperatures of the cell x the electricity of
    compressor and pumps; where nobody measures that, the map's heat and with it the map's
    electricity. While the compressor stands: 0. Defrosts are in a laboratory's points already
    (EN 14511), so nothing is taken off for them."""
    source = "brine_in_c" if pump.medium == "brine" else "outdoor_c"
    lacking = _lacking(log, (source,), on)
    out = flow_temperature_c(log, pump)
    if pump.performance is None:
        lacking = "performance"
    elif not np.isfinite(out).any():
        lacking = lacking or pump.flow_pair[0]
    if lacking or pump.performance is None:
        return _none(log, lacking)
    cop = pump.performance.cop(log.column(source), out)
    if power.told_by:
        pump_kw = np.where(on > 0, cop * power.compressor, 0.0 * on)
        return Heat(pump_kw + power.auxiliary, pump_kw, log.step_s)
    rated = pump.performance.heat_kw(log.column(source), out)
    if not np.isfinite(rated).any():
        return _none(log, "electricity")
    pump_kw = np.where(on > 0, rated * on, 0.0 * on)
    drawn_kw = np.where(on > 0, pump_kw / cop, 0.0 * on)
    own = replace(power, total=drawn_kw + power.auxiliary, compressor=drawn_kw,
                  finest_s=log.step_s, missing="")
    return Heat(pump_kw + power.auxiliary, pump_kw, log.step_s, own=own)


def flow_temperature_c(log: PumpLog, pump: Pump) -> Floats:
    """Temperature of the water out of the condenser [degC], float64[k]: `condenser_out_c`, else
    the flow pair's, which may lie behind the auxiliary heater."""
    told = "condenser_out_c" if log.tells("condenser_out_c") else pump.flow_pair[0]
    return log.column(told)


def _none(log: PumpLog, missing: str) -> Heat:
    unknown = np.full(log.size, np.nan)
    return Heat(unknown, unknown, log.step_s, missing)


def _of_counter(name: str, kw: Floats, finest_s: float, pump: Pump, power: Electricity,
                water_share: Floats | None) -> Heat:
    if not math.isfinite(finest_s):
        return Heat(np.full(kw.shape, np.nan), np.full(kw.shape, np.nan), 0.0, "heat")
    return Heat(*_apart(kw, pump, power), finest_s, water_share=water_share, told_by=name)


def _apart(measured: Floats, pump: Pump, power: Electricity) -> tuple[Floats, Floats]:
    """What was measured as all heat and the compressor's alone."""
    if pump.heat_has_auxiliary:
        return measured, measured - power.auxiliary
    return measured + power.auxiliary, measured


def _while_running(log: PumpLog, given: Floats, pump: Pump, on: Floats,
                   power: Electricity) -> Heat:
    if not pump.heat_has_auxiliary:
        pump_kw = np.where(on > 0, given, 0.0 * on)
        return Heat(pump_kw + power.auxiliary, pump_kw, log.step_s)
    stands = (on == 0) & (power.auxiliary == 0)
    all_kw = np.where(stands, 0.0, np.where(np.isfinite(on), given, np.nan))
    pump_kw = np.where(on > 0, all_kw - power.auxiliary, 0.0 * on)
    return Heat(all_kw, pump_kw, log.step_s)


def _delta_k(log: PumpLog, pump: Pump) -> Floats:
    out, back = pump.flow_pair
    return log.column(out) - log.column(back)


def _lacking(log: PumpLog, names: tuple[str, ...], on: Floats) -> str:
    """The first quantity that the log does not tell, "" when it tells all."""
    absent = [name for name in names if not log.tells(name)]
    if not absent and not np.isfinite(on).any():
        return "compressor_on"
    return absent[0] if absent else ""
