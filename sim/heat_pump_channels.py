"""What the registers of a simulated heat pump tell of a row of its kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.heatpump import hours
from core.pump import Pump
from sim.heat_pump_faults import ALL_SOUND, State
from sim.heat_pump_kernel import AT, COIL_W_PER_K, DEGREE_MINUTES
from sim.heat_pump_machines import FULL_HZ
from sim.heat_pump_plan import WATER_J, Plan
from sim.heat_pump_year import COUNTED, INSTALLED_YEAR
from sim.house_data import F64, HOUR_S, I64
from sim.house_hours import uniform

CIRCULATION_W = 35.0
NOISE_K = 0.08
"""A sensor's noise, at most, either way."""
INSTALLED_S = (INSTALLED_YEAR - 1970) * 31_556_952.0
BRINE_PUMP_PCT, RADIATOR_PUMP_PCT, FAN_PCT = 70.0, 60.0, 80.0

NOISY = ("outdoor_c", "indoor_c", "radiator_supply_c", "radiator_return_c", "condenser_out_c",
         "condenser_in_c", "brine_in_c", "brine_out_c", "evaporator_c", "hot_water_c",
         "hot_water_low_c", "hot_gas_c", "suction_gas_c", "liquid_line_c")

ALWAYS = (
    *NOISY, "supply_setpoint_c", "hot_water_setpoint_c", "indoor_setpoint_c",
    "auxiliary_power_kw", "auxiliary_pct", "radiator_pump_pct", "compressor_on",
    "auxiliary_1_on", "auxiliary_2_on", "radiator_pump_on", "hot_water_valve", "alarm_on",
    "alarm_code", "alarm_bits", "degree_minutes", "auxiliary_kwh", "compressor_h",
    "compressor_space_h", "compressor_water_h", "auxiliary_h", "auxiliary_1_h",
    "auxiliary_2_h", "compressor_starts")
OF_BRINE = ("brine_in_c", "brine_out_c", "brine_pump_pct", "brine_pump_on")
OF_AIR = ("fan_pct", "defrost_on")
OF_REGULATED = ("compressor_pct", "compressor_hz", "compressor_power_kw")
OF_POWER_METER = ("electric_power_kw", "electricity_kwh")
OF_HEAT_METER = ("heat_power_kw", "heat_kwh", "space_heat_kwh", "water_heat_kwh")
OF_FLOW_METER = ("flow_lpm",)
OF_COOLING = (hours.COOLING, hours.COOLING_ELECTRICITY)
OF_ENERGY_LOG = tuple(name for name in hours.QUANTITIES if name not in OF_COOLING)
LOG_DECIMALS = 2


@dataclass(frozen=True, slots=True)
class Meters:
    """Which of the add-ons the pump has."""

    power: bool
    heat: bool
    flow: bool
    energy_log: bool = False


def has(plan: Plan, meters: Meters) -> Mapping[str, bool]:
    """Quantity -> whether this machine measures it; what is not named it does not have."""
    air = plan.machine.medium == "air"
    told = dict.fromkeys(ALWAYS, True)
    for names, there in ((OF_BRINE, not air), (OF_AIR, air),
                         (OF_REGULATED, plan.machine.regulated), (OF_POWER_METER, meters.power),
                         (OF_HEAT_METER, meters.heat), (OF_FLOW_METER, meters.flow),
                         (OF_ENERGY_LOG, meters.energy_log)):
        told.update(dict.fromkeys(names, there))
    return told


def channels(plan: Plan, pump: Pump, quantities: Sequence[str], time_s: F64, rows: F64,
             counted: F64, state: State = ALL_SOUND, last_hour: F64 | None = None) -> F64:
    """float64[k, quantities] at `time_s` float64[k] from rows float64[k, COLUMNS] and sums
    float64[k, COUNTED]; last_hour: what they rose by in the last full hour, where `quantities`
    has an energy log's."""
    own = {name: rows[:, number] for name, number in AT.items()}
    values = {**_temperatures(plan, pump, own, state), **_machine(plan, pump, own, state),
              **_counters(plan, pump, time_s,
                          {name: counted[:, number] for number, name in enumerate(COUNTED)})}
    if last_hour is not None:
        values |= _energy_log(plan, pump, {name: last_hour[:, number]
                                           for number, name in enumerate(COUNTED)})
    noise = _noise(plan.seed, time_s)
    for number, name in enumerate(NOISY):
        values[name] = values[name] + noise[:, number]
    if not state.outdoor_known:
        values["outdoor_c"] = np.full(time_s.shape, np.nan)
    # No -0.0: a screen would write a sign before a zero.
    return np.stack([values[name] for name in quantities], axis=1) + 0.0


def _noise(seed: int, time_s: F64) -> F64:
    """The same for all of a minute, float64[k, NOISY] [K]."""
    minutes: I64 = (time_s // 60.0).astype(np.int64)
    return (uniform(seed, minutes, 11, len(NOISY)) - 0.5) * (2.0 * NOISE_K)


def _temperatures(plan: Plan, pump: Pump, own: Mapping[str, F64], state: State) -> dict[str, F64]:
    """Water and brine [degC]. Sensors of the flow pair sit at the condenser, before the valve,
    behind the auxiliary heater where the profile says so; the radiators' own beyond it."""
    per_w = 1.0 / (plan.water_flow_lpm / 60.0 * WATER_J)
    heat, auxiliary = own["heat_w"], own["auxiliary_w"]
    at_tank = own["water_heat_w"] > 0.5 * np.abs(heat)
    base = np.where(at_tank, own["low_c"] + own["water_heat_w"] / COIL_W_PER_K, own["loop_c"])
    behind = auxiliary if pump.heat_has_auxiliary else 0.0
    to_loop = heat + auxiliary - own["water_heat_w"] - own["water_auxiliary_w"]
    out, back = base + per_w * (0.5 * heat + behind), base - per_w * 0.5 * heat
    pair = pump.flow_pair
    radiators = own["loop_c"] + 0.5 * per_w * to_loop, own["loop_c"] - 0.5 * per_w * to_loop
    drop = own["source_w"] / (plan.brine_w_per_k * state.damage.brine)
    evaporator = own["brine_c"] - drop - 4.0 * own["on"]
    return {
        "outdoor_c": own["outdoor_c"], "indoor_c": own["air_c"],
        "radiator_supply_c": out if "radiator_supply_c" in pair else radiators[0],
        "radiator_return_c": back if "radiator_return_c" in pair else radiators[1],
        "condenser_out_c": out, "condenser_in_c": back,
        "brine_in_c": own["brine_c"], "brine_out_c": own["brine_c"] - drop,
        "evaporator_c": evaporator, "suction_gas_c": evaporator + 5.0,
        "liquid_line_c": back + 2.0 * own["on"], "hot_gas_c": own["gas_c"],
        "hot_water_c": own["top_c"], "hot_water_low_c": 0.5 * (own["top_c"] + own["low_c"]),
        "supply_setpoint_c": own["wanted_c"],
        "hot_water_setpoint_c": np.full_like(base, plan.water_stop_c),
        "indoor_setpoint_c": np.full_like(base, plan.indoor_c),
    }


def _machine(plan: Plan, pump: Pump, own: Mapping[str, F64], state: State) -> dict[str, F64]:
    """Powers, speeds, switches, alarms."""
    machine, auxiliary = plan.machine, own["auxiliary_w"]
    pumps = machine.standby_w + machine.brine_pump_w * own["on"] + CIRCULATION_W * own[
        "circulating"]
    counted = auxiliary if pump.electricity_has_auxiliary else 0.0
    behind = auxiliary if pump.heat_has_auxiliary else 0.0
    code = state.last_code if pump.alarms.rule == "flag" else state.alarm.code
    same = np.ones_like(auxiliary)
    return {
        "electric_power_kw": (own["compressor_w"] + pumps + counted) / 1000.0,
        "compressor_power_kw": own["compressor_w"] / 1000.0,
        "auxiliary_power_kw": auxiliary / 1000.0, "heat_power_kw": (
            own["heat_w"] + behind) / 1000.0,
        "auxiliary_pct": auxiliary * (100.0 / max(plan.auxiliary_w, 1.0)),
        "compressor_pct": own["speed"] * 100.0, "compressor_hz": own["speed"] * FULL_HZ,
        "brine_pump_pct": own["on"] * BRINE_PUMP_PCT,
        "radiator_pump_pct": own["circulating"] * RADIATOR_PUMP_PCT,
        "fan_pct": np.maximum(own["on"] - own["defrost"], 0.0) * FAN_PCT,
        "compressor_on": own["on"], "brine_pump_on": own["on"],
        "auxiliary_1_on": own["auxiliary_1"], "auxiliary_2_on": own["auxiliary_2"],
        "radiator_pump_on": own["circulating"], "hot_water_valve": own["valve"],
        "defrost_on": own["defrost"],
        "degree_minutes": np.clip(own["degree_minutes"], *DEGREE_MINUTES),
        "flow_lpm": own["circulating"] * plan.water_flow_lpm,
        "alarm_on": same * state.alarm.active, "alarm_code": same * code,
        "alarm_bits": same * state.alarm.bits,
    }


def _counters(plan: Plan, pump: Pump, time_s: F64, sums: Mapping[str, F64]) -> dict[str, F64]:
    """Hours, starts, energies since the pump was installed."""
    machine = plan.machine
    auxiliary, water = sums["auxiliary_w"], sums["water_heat_w"]
    heat, joule = sums["counted_heat_w"], 1.0 / 3.6e6
    if pump.heat_has_auxiliary:
        heat, water = heat + auxiliary, water + sums["water_auxiliary_w"]
    electricity = (sums["compressor_w"] + machine.brine_pump_w * sums["on"]
                   + CIRCULATION_W * sums["circulating"]
                   + machine.standby_w * np.maximum(time_s - INSTALLED_S, 0.0)
                   + (auxiliary if pump.electricity_has_auxiliary else 0.0))
    hours = {f"{told}_h": sums[name] / 3600.0 for told, name in (
        ("compressor", "on"), ("compressor_water", "on_water"), ("auxiliary", "auxiliary_on"),
        ("auxiliary_1", "auxiliary_1"), ("auxiliary_2", "auxiliary_2"))}
    return {**hours, "compressor_space_h": hours["compressor_h"] - hours["compressor_water_h"],
            "compressor_starts": np.round(sums["starts_per_s"]),
            "electricity_kwh": electricity * joule, "auxiliary_kwh": auxiliary * joule,
            "heat_kwh": heat * joule, "water_heat_kwh": water * joule,
            "space_heat_kwh": (heat - water) * joule}


def _energy_log(plan: Plan, pump: Pump, rose: Mapping[str, F64]) -> dict[str, F64]:
    """As a NIBE of the S-series logs it: whole hours, by use, in steps of 0.01 kWh. What is drawn
    at standstill and by the heating's pump counts as the house's. rose: of COUNTED in an hour."""
    machine = plan.machine
    water_heater, heater = rose["water_auxiliary_w"], rose["auxiliary_w"]
    water_heat, heat = rose["water_heat_w"], rose["counted_heat_w"]
    water_used = rose["water_compressor_w"] + machine.brine_pump_w * rose["on_water"]
    used = (rose["compressor_w"] + machine.brine_pump_w * rose["on"]
            + CIRCULATION_W * rose["circulating"] + machine.standby_w * HOUR_S)
    if pump.heat_has_auxiliary:
        water_heat, heat = water_heat + water_heater, heat + heater
    if pump.electricity_has_auxiliary:
        water_used, used = water_used + water_heater, used + heater
    joules = (heat - water_heat, water_heat, used - water_used, water_used,
              heater - water_heater, water_heater)
    return {name: np.round(joule / 3.6e6, LOG_DECIMALS)
            for name, joule in zip(OF_ENERGY_LOG, joules, strict=True)}


def why_absent(name: str) -> str:
    """In words, for a quantity that the profile's registers have and this machine has not."""
    for names, text in ((OF_POWER_METER, "this pump has no power meter"),
                        (OF_HEAT_METER, "this pump has no heat meter"),
                        (OF_FLOW_METER, "this pump has no flow meter"),
                        (OF_ENERGY_LOG, "this pump keeps no energy log"),
                        (OF_COOLING, "this pump does not cool"),
                        (OF_REGULATED, "this pump's compressor is only on or off"),
                        (OF_BRINE, "this pump takes its heat from the air"),
                        (OF_AIR, "this pump takes its heat from the ground")):
        if name in names:
            return text
    return "the simulated pump has no such register"
