"""The devices of a simulated house, and what they report of a row of its process."""

from __future__ import annotations

import numpy as np

from core.devices import Device
from sim.house_battery import BatterySpec
from sim.house_data import F64
from sim.house_process import AT

SHUNT = ("soc_pct", "voltage_v", "current_a", "battery_power_kw", "temperature_c",
         "lowest_cell_v", "highest_cell_v", "consumed_ah", "time_to_go_s",
         "deepest_discharge_ah", "last_discharge_ah", "average_discharge_ah", "total_drawn_ah",
         "charge_cycles", "since_full_s")
INVERTER = ("solar_power_kw", "load_power_kw", "grid_power_kw", "battery_power_kw", "soc_pct")
TARIFF = ("import_price_per_kwh", "export_price_per_kwh")

INVERTER_AT = slice(len(SHUNT), len(SHUNT) + len(INVERTER))
"""Where the inverter's channels are."""
INVERTER_BATTERY = INVERTER_AT.start + INVERTER.index("battery_power_kw")
LONGEST_TO_GO_S = 864_000.0
"""Victron's "infinite" [s]."""
IDLE_C_RATE = 1 / 1000
CELL_SPREAD_V = 0.002


def devices_of(house: str) -> tuple[Device, ...]:
    """Battery monitor, inverter and tariff of a house, by its id."""
    return (
        Device(f"{house}_shunt", house, "battery_monitor", "Victron SmartShunt (simulated)",
               SHUNT, "charge", "counted"),
        Device(f"{house}_inverter", house, "inverter", "Sol-Ark (simulated)",
               INVERTER, "discharge", "estimated"),
        Device(f"{house}_tariff", house, "tariff", "Tariff (simulated)", TARIFF, "discharge"),
    )


def channels(spec: BatterySpec, time_s: F64, rows: F64, import_price: F64,
             export_price: float) -> F64:
    """Rows of a process, float64[k, COLUMNS], as float64[k, c] in the order of the devices'
    quantities; the inverter's as if it measured at `time_s`. import_price: float64[k]."""
    told = {name: rows[:, number] for name, number in AT.items()}
    lowest, highest = _cells(spec, told["voltage_v"], told["soc_pct"])
    columns = [
        told["shunt_pct"], told["voltage_v"], told["current_a"],
        told["voltage_v"] * told["current_a"] / 1000.0, told["temperature_c"], lowest, highest,
        told["consumed_ah"], _time_to_go(spec, told["shunt_pct"], told["current_a"],
                                         told["mean_a"]),
        told["deepest_ah"], told["last_ah"],
        told["drawn_ah"] / np.maximum(told["cycles"], 1.0), told["drawn_ah"], told["cycles"],
        time_s - told["full_at_s"],
        told["solar_kw"], told["load_kw"], told["grid_kw"], told["battery_kw"],
        told["estimate_pct"], import_price, np.full(len(rows), export_price),
    ]
    # No -0.0: a screen would write a sign before a zero.
    return np.stack(columns, axis=1) + 0.0


def _cells(spec: BatterySpec, voltage_v: F64, soc_pct: F64) -> tuple[F64, F64]:
    """Lowest and highest cell [V]: close together but near the ends of the charge, where the
    weakest cell runs ahead."""
    mean_v = voltage_v / spec.cells
    lowest = mean_v - CELL_SPREAD_V - 0.015 * np.exp(-soc_pct / 5.0)
    highest = mean_v + CELL_SPREAD_V + 0.020 * np.exp((soc_pct - 100.0) / 1.5)
    return lowest, highest


def _time_to_go(spec: BatterySpec, soc_pct: F64, current_a: F64, mean_a: F64) -> F64:
    """Until the reserve at the current of the last minutes [s]; NaN when not discharging."""
    left_ah = np.maximum(soc_pct - spec.reserve_pct, 0.0) / 100.0 * spec.capacity_ah
    idle_a = IDLE_C_RATE * spec.capacity_ah
    leaving = np.minimum(current_a, mean_a) > idle_a
    hours = left_ah / np.where(leaving, mean_a, 1.0)
    return np.where(leaving, np.minimum(hours * 3600.0, LONGEST_TO_GO_S), np.nan)
