"""The state of a heat pump in words: no Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Mapping

from components import blocks, formats
from components.blocks import Alarm, Content
from core.heatpump.account import Account, Basis
from core.heatpump.events import Event
from core.heatpump.finding import Finding
from core.heatpump.hours import QUANTITIES as OF_ENERGY_LOG
from core.heatpump.standing import State, active_alarms, state
from core.pump import AlarmTable, Pump
from core.quantities import QUANTITY
from core.told import DeviceNow

BASIS_WORDS: dict[Basis, str] = {
    "metered": "heat meter", "flow": "measured flow", "assumed_flow": "assumed flow",
    "map": "performance map"}
ENERGY_LOG = "energy log"
TIERS: dict[Basis, int] = {"metered": 1, "flow": 2, "assumed_flow": 3, "map": 4}
STATE_ICONS: dict[State, str] = {
    "heating": "mode_heat", "hot water": "water_heater", "defrosting": "ac_unit",
    "auxiliary heat": "bolt", "idle": "pause_circle", "unknown": "help"}
REASONS: dict[str, str] = {
    "never_together": "heat and electricity were never known at the same time",
    "not_running": "the compressor did not run",
    "window_too_short": "the counters step too coarsely for so short a time",
    "assumed_flow_lpm": "nobody said what flow to assume (assumed_flow_lpm)",
    "performance": "no performance map of this model is known (model or performance)",
    "auxiliary_kw": "nobody said what the auxiliary heater is rated for (auxiliary_kw)",
    "energy_log": "it tells no whole hour of this time; an hour is told once the next one has "
                  "begun, by a pump whose clock is right to 5 minutes",
    "heat": "no heat is measured", "electricity": "no electricity is measured",
}
# Endings of a finding's numbers -> unit and decimals; and those that are shares of 1.
ENDINGS = {"c": ("°C", 1), "k": ("K", 1), "pct": ("%", 0), "h": ("h", 1), "min": ("min", 0)}
SHARES = ("share", "fall", "before", "now", "error")
TOO_COARSE = "of so long a time only hours are read, in which they run together"
SWITCHED = {"compressor": "Compressor", "brine_pump": "Brine pump",
            "radiator_pump": "Heating pump", "defrost": "Defrost"}


def alarm(now: DeviceNow) -> str:
    """The active alarms in words, "" without one."""
    pump, active = now.device.pump, active_alarms(now)
    if pump is None or not active.active:
        return ""
    coded = math.isfinite(active.code) and active.code != 0
    said = [code_words(active.code, pump.alarms)] if coded else []
    return ", ".join([*said, *(pump.alarms.bits[bit] for bit in active.bits)])


def code_words(code: float, table: AlarmTable) -> str:
    """"Low pressure switch (LP), alarm 14"."""
    if code < 0:
        return "an alarm without a code"
    number = round(code)
    words = table.codes.get(number)
    return f"{words}, alarm {number}" if words else f"alarm {number}, not in the table"


def title(now: DeviceNow, cop: float) -> list[Content | Alarm]:
    """"Heating, COP 3.6, hot water 47.2 °C"."""
    found = state(now)
    heard = any(math.isfinite(now.value(name)) for name in now.device.quantities)
    parts: list[Content | Alarm] = [
        found.capitalize() if found != "unknown" else
        "Whether it runs is not known" if heard else "No reading of this pump"]
    if math.isfinite(cop):
        parts += [f", COP {formats.number(cop, 1)}"]
    water = now.value("hot_water_c")
    if math.isfinite(water):
        parts += [", hot water ", formats.quantity(water, "°C", 1)]
    said = alarm(now)
    return [*parts, ", ", Alarm(said)] if said else parts


def reason(code: str, pump: Pump) -> str:
    """Why a number cannot be told: `code` is a key of REASONS or a quantity."""
    if code in REASONS:
        return REASONS[code]
    if code in pump.absent:
        return pump.absent[code]
    label = QUANTITY[code].label.lower() if code in QUANTITY else code.replace("_", " ")
    return f"this pump does not tell: {label}"


def no_electricity(pump: Pump) -> str:
    """Why nobody knows what the pump draws."""
    return next((pump.absent[name] for name in ("electric_power_kw", "electricity_kwh")
                 if name in pump.absent), "no electricity was heard in this time")


def no_cop(possible: Mapping[Basis, str], pump: Pump) -> str:
    """Why no COP can be told, for each way that there is."""
    return "; ".join(
        f"by {ENERGY_LOG if code == 'energy_log' else BASIS_WORDS[basis]}: {reason(code, pump)}"
        for basis, code in possible.items())


def basis_words(basis: Basis, account: Account) -> str:
    """How a COP is known; by the map "alone" where it tells the electricity too."""
    if basis == "metered" and account.metered_by in OF_ENERGY_LOG:
        return ENERGY_LOG
    alone = basis == "map" and account.map_has_electricity
    return f"{BASIS_WORDS[basis]} alone" if alone else BASIS_WORDS[basis]


def basis_line(basis: Basis | None, account: Account) -> str:
    return "" if basis is None else f"tier {TIERS[basis]}, by {basis_words(basis, account)}"


def event(one: Event, pump: Pump) -> str:
    """One line of the event log."""
    if one.kind in SWITCHED:
        return f"{SWITCHED[one.kind]} {one.what}"
    if one.kind == "valve":
        return f"Hot water {'starts' if one.what == 'hot_water_start' else 'ends'}"
    if one.kind == "auxiliary":
        to = f"{formats.number(one.value, 1 if one.unit == 'kW' else 0)} {one.unit}"
        on = f"Auxiliary heat on, {to}" if math.isfinite(one.value) else "Auxiliary heat on"
        return {"on": on, "off": "Auxiliary heat off"}.get(
            one.what, f"Auxiliary heat changes to {to}")
    if one.kind in ("alarm", "alarm_bit"):
        words = (pump.alarms.bits.get(round(one.value), "alarm bit") if one.kind == "alarm_bit"
                 else code_words(one.value, pump.alarms))
        return f"Alarm {one.what}: {words}"
    if one.what == "begins":
        return "Nothing heard from here on"
    return f"Heard again after {formats.age(one.value)}"


def event_icon(one: Event) -> str:
    return {"alarm": "error", "alarm_bit": "error", "silence": "link_off",
            "valve": "water_heater", "auxiliary": "bolt", "defrost": "ac_unit",
            "brine_pump": "cyclone", "radiator_pump": "cyclone"}.get(one.kind, "heat_pump")


def finding(one: Finding) -> tuple[str, str]:
    """What was found, and what it rests on and asks for."""
    name = QUANTITY[one.quantity].label if one.quantity in QUANTITY else one.quantity
    said = ", ".join(_told(key, value) for key, value in one.numbers.items())
    words = {
        "short_cycling": ("The compressor starts too often",
                          "Let it run longer: a lower start of the degree minutes, a flatter "
                          "curve, open radiator valves."),
        "falling_cop": ("The COP falls under the same conditions",
                        "Have refrigerant and filters checked."),
        "brine_delta_low": ("The brine comes back hardly cooler",
                            "Its flow is high or the compressor weak: look at the brine pump."),
        "brine_delta_high": ("The brine comes back much cooler",
                             "Its flow is low: look at filter, pressure and pump."),
        "auxiliary_high": ("Much auxiliary heat",
                           "The compressor may be blocked or the curve too steep."),
        "brine_falling": ("The brine grows colder from week to week",
                          "The ground gives less than is taken: watch it to spring."),
        "water_never_reached": ("Hot water never reaches what is wanted",
                                "Look at the valve, the sensor and the set value."),
        "valve_stuck": ("The valve stands to hot water, but the tank does not warm",
                        "The valve may be stuck: listen whether it turns."),
        "sensor_absent": (f"{name}: the sensor is not heard",
                          "It may be broken or not connected."),
        "sensor_lost": (f"{name}: the sensor is no longer heard",
                        "It may have broken or come loose."),
        "sensor_flat": (f"{name}: the reading never changes", "The sensor may be stuck."),
        "running_without_heat": ("The compressor runs without giving heat",
                                 "Refrigerant, flow or sensors: call a technician."),
    }
    what, do = words.get(one.code, (one.code.replace("_", " ").capitalize(), ""))
    return what, f"{said}. {do}" if said else do


def _told(key: str, value: float) -> str:
    """"limit 50 %", "fall 12 %", "starts per hour 0.67": a finding's number with its unit."""
    if key in SHARES:
        return f"{key.replace('_', ' ')} {formats.number(100 * value)} %"
    name, _, ending = key.rpartition("_")
    unit, decimals = ENDINGS.get(ending, ("", 0))
    if not name or not unit:
        decimals = 2 if ending == "hour" else 1 if key == "hours" else 0
        return f"{key.replace('_', ' ')} {formats.number(value, decimals)}"
    return f"{name.replace('_', ' ')} {formats.number(value, decimals)} {unit}"


def missing_box(what: str, why: str) -> blocks.Html:
    return blocks.state_box("sensors_off", what, why)
