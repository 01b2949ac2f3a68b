"""The channels of a house as the services of a Venus GX: values to topics and payloads.

A battery monitor becomes a `battery`; an inverter a `vebus` with a `solarcharger` and a `grid`
meter; all of them together `system/0`. Victron's units and signs: W, A, + = charging, charge
drawn as negative Ah. What a device does not tell is null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from core.devices import Device
from sim.venus_gate import payload

BATTERY, SOLAR, GRID, VEBUS = 288, 279, 30, 276
"""First device instance of each service; the second device of a role is one higher."""

FIRMWARE = "v3.60"
DIGITS = 6
IDLE, CHARGING, DISCHARGING = 0, 1, 2
IDLE_W = 30.0
GRID_INPUT, INVERTING_INPUT = 1, 240
SHUNT, MPPT, METER, MULTI = 0xC030, 0xA056, 0xB002, 0x2624
"""Product ids as Victron's own devices carry them."""

Values = Mapping[str, float]
Tree = dict[str, object]
Conversion = Callable[[float], float]


def _same(value: float) -> float:
    return value


def _watts(value_kw: float) -> float:
    return value_kw * 1000.0


def _watts_in(value_kw: float) -> float:
    return value_kw * -1000.0


def _negative(value: float) -> float:
    return -value


BATTERY_PATHS: dict[str, tuple[str, Conversion]] = {
    "Soc": ("soc_pct", _same),
    "Soh": ("soh_pct", _same),
    "Dc/0/Voltage": ("voltage_v", _same),
    "Dc/0/Current": ("current_a", _negative),
    "Dc/0/Power": ("battery_power_kw", _watts_in),
    "Dc/0/Temperature": ("temperature_c", _same),
    "System/MinCellVoltage": ("lowest_cell_v", _same),
    "System/MaxCellVoltage": ("highest_cell_v", _same),
    "TimeToGo": ("time_to_go_s", _same),
    "ConsumedAmphours": ("consumed_ah", _negative),
    "History/DeepestDischarge": ("deepest_discharge_ah", _negative),
    "History/LastDischarge": ("last_discharge_ah", _negative),
    "History/AverageDischarge": ("average_discharge_ah", _negative),
    "History/TotalAhDrawn": ("total_drawn_ah", _negative),
    "History/ChargeCycles": ("charge_cycles", _same),
    "History/TimeSinceLastFullCharge": ("since_full_s", _same),
}


def tree(devices: Sequence[Device], told: Mapping[str, Values]) -> dict[str, dict[str, bytes]]:
    """Service -> topic -> payload of the devices that are in `told` (by id, then quantity), and
    of the system, which is always there."""
    services: dict[str, Tree] = {}
    batteries = [device for device in devices if device.role == "battery_monitor"]
    inverters = [device for device in devices if device.role == "inverter"]
    for number, device in enumerate(batteries):
        if device.id in told:
            services[f"battery/{BATTERY + number}"] = battery(
                device, BATTERY + number, told[device.id])
    for number, device in enumerate(inverters):
        if device.id in told:
            services |= _inverter(device, number, told[device.id])
    services["system/0"] = system(batteries, inverters, told)
    services["platform/0"] = {"DeviceInstance": 0, "Firmware/Installed/Version": FIRMWARE}
    return {service: {f"{service}/{path}": payload(value) for path, value in values.items()}
            for service, values in services.items()}


def battery(device: Device, instance: int, values: Values) -> Tree:
    """A SmartShunt's topics: + current = charging, charge drawn as negative Ah."""
    told: Tree = {path: _number(convert(values.get(name, math.nan)))
                  for path, (name, convert) in BATTERY_PATHS.items()}
    return _product(device, instance, "SmartShunt 500A/50mV", SHUNT) | told


def _inverter(device: Device, number: int, values: Values) -> dict[str, Tree]:
    """The three devices that one inverter of a house stands for."""
    solar_w, load_w, grid_w = (_number(_watts(values.get(name, math.nan))) for name in (
        "solar_power_kw", "load_power_kw", "grid_power_kw"))
    connected = int(grid_w is not None)
    battery_w = _number(_watts_in(values.get("battery_power_kw", math.nan)))
    multi: Tree = {
        "Ac/Out/L1/P": load_w, "Ac/Out/P": load_w,
        "Ac/ActiveIn/L1/P": grid_w, "Ac/ActiveIn/P": grid_w,
        "Ac/ActiveIn/Connected": connected,
        "Ac/ActiveIn/ActiveInput": 0 if connected else INVERTING_INPUT,
        "Ac/NumberOfPhases": 1, "Mode": 3, "State": 9,
        "Dc/0/Power": battery_w, "Soc": _number(values.get("soc_pct", math.nan)),
    }
    found = {f"vebus/{VEBUS + number}": _product(device, VEBUS + number, "MultiPlus-II 48/5000",
                                                 MULTI) | multi}
    if "solar_power_kw" in device.quantities:
        found[f"solarcharger/{SOLAR + number}"] = _product(
            device, SOLAR + number, "SmartSolar MPPT 250/100", MPPT) | {"Yield/Power": solar_w}
    if "grid_power_kw" in device.quantities:
        found[f"grid/{GRID + number}"] = _product(
            device, GRID + number, "Energy Meter EM24", METER) | {
                "Ac/Power": grid_w, "Ac/L1/Power": grid_w}
    return found


def system(batteries: Sequence[Device], inverters: Sequence[Device],
           told: Mapping[str, Values]) -> Tree:
    """What the GX adds up. The first battery monitor is the system's battery."""
    first = batteries[0] if batteries else None
    main = told.get(first.id, {}) if first else {}
    solar_w, load_w, grid_w = (_sum_w(inverters, told, name) for name in (
        "solar_power_kw", "load_power_kw", "grid_power_kw"))
    found = battery_of_system(main) if first else {}
    return {
        **found, "Batteries": [
            _listed(device, BATTERY + number, told[device.id], active=device is first)
            for number, device in enumerate(batteries) if device.id in told],
        "ActiveBatteryService": (f"com.victronenergy.battery/{BATTERY}"
                                 if first and first.id in told else None),
        "Dc/Battery/BatteryService": _service(BATTERY) if first and first.id in told else None,
        "Dc/Pv/Power": solar_w,
        "Ac/Consumption/L1/Power": load_w, "Ac/Consumption/NumberOfPhases": 1,
        "Ac/Grid/L1/Power": grid_w, "Ac/Grid/NumberOfPhases": 1,
        "Ac/Grid/L2/Power": None, "Ac/Grid/L3/Power": None,
        "Ac/PvOnGrid/L1/Power": None, "Ac/PvOnOutput/L1/Power": None,
        "Ac/ActiveIn/Source": GRID_INPUT if grid_w is not None else INVERTING_INPUT,
    }


def battery_of_system(values: Values) -> Tree:
    """`Dc/Battery/...` of the system."""
    power_w = _number(_watts_in(values.get("battery_power_kw", math.nan)))
    state = None if power_w is None else (
        IDLE if abs(power_w) < IDLE_W else CHARGING if power_w > 0 else DISCHARGING)
    return {"Dc/Battery/Soc": _number(values.get("soc_pct", math.nan)),
            "Dc/Battery/Voltage": _number(values.get("voltage_v", math.nan)),
            "Dc/Battery/Current": _number(-values.get("current_a", math.nan)),
            "Dc/Battery/Power": power_w, "Dc/Battery/State": state,
            "Dc/Battery/Temperature": _number(values.get("temperature_c", math.nan))}


def _listed(device: Device, instance: int, values: Values, *, active: bool) -> Tree:
    """One of `Batteries`."""
    known: Tree = {key: _number(convert(values.get(name, math.nan))) for key, name, convert in (
        ("soc", "soc_pct", _same), ("voltage", "voltage_v", _same),
        ("current", "current_a", _negative), ("power", "battery_power_kw", _watts_in))}
    return {"id": _service(instance), "instance": instance, "name": device.label,
            "active_battery_service": active,
            **{key: value for key, value in known.items() if value is not None}}


def _service(instance: int) -> str:
    return f"com.victronenergy.battery.sim{instance}"


def _product(device: Device, instance: int, name: str, product_id: int) -> Tree:
    return {"ProductName": name, "ProductId": product_id, "CustomName": device.label,
            "DeviceInstance": instance, "Connected": 1, "Mgmt/Connection": "Simulated",
            "Serial": f"SIM{instance}"}


def _sum_w(inverters: Sequence[Device], told: Mapping[str, Values], name: str) -> float | None:
    """Of the inverters that tell it [W]; None when none does."""
    found = [told[device.id][name] for device in inverters
             if not math.isnan(told.get(device.id, {}).get(name, math.nan))]
    return _number(_watts(sum(found))) if found else None


def _number(value: float) -> float | None:
    """None for NaN; + 0.0 turns -0.0 into 0.0."""
    return round(value, DIGITS) + 0.0 if math.isfinite(value) else None
