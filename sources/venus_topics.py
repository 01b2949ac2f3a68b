"""Which D-Bus paths of a Venus become which channel, in Orrery's unit and sign (laws 1 and 2).

Paths and units: Victron's dbus wiki, "com.victronenergy.battery" and "...system". Signs are
those of the shipped recording: + is charging; ConsumedAmphours and DeepestDischarge are
negative; TotalAhDrawn is positive from a Lynx and negative from a SmartShunt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from core.vocabulary import METRIC_NAMES

Conversion = Callable[[float], float]
Leaves = Mapping[str, tuple[str, Conversion]]
"""D-Bus path -> (quantity, conversion). Several paths of one quantity are added up."""

INFINITE_S = 864_000.0
PHASES = ("L1", "L2", "L3")
STANDBY_KW = 0.05
"""A PV inverter at night draws a few watts, and a sum of meters may fall below zero."""


def as_told(value: float) -> float:
    """+ 0.0 turns -0.0 into 0.0, here and below."""
    return value + 0.0


def kilowatts(value_w: float) -> float:
    return value_w * 0.001 + 0.0


def turned_kilowatts(value_w: float) -> float:
    return value_w * -0.001 + 0.0


def turned(value: float) -> float:
    return 0.0 - value


def magnitude(value: float) -> float:
    return abs(value)


def time_to_go(value_s: float) -> float:
    """NaN for the number that stands for "infinite"."""
    return math.nan if value_s == INFINITE_S else value_s


BATTERY: Leaves = {
    "/Soc": ("soc_pct", as_told),
    "/Dc/0/Voltage": ("voltage_v", as_told),
    "/Dc/0/Current": ("current_a", turned),
    "/Dc/0/Power": ("battery_power_kw", turned_kilowatts),
    "/Dc/0/Temperature": ("temperature_c", as_told),
    "/Soh": ("soh_pct", as_told),
    "/System/MinCellVoltage": ("lowest_cell_v", as_told),
    "/System/MaxCellVoltage": ("highest_cell_v", as_told),
    "/ConsumedAmphours": ("consumed_ah", turned),
    "/TimeToGo": ("time_to_go_s", time_to_go),
    "/History/DeepestDischarge": ("deepest_discharge_ah", magnitude),
    "/History/LastDischarge": ("last_discharge_ah", magnitude),
    "/History/AverageDischarge": ("average_discharge_ah", magnitude),
    "/History/TotalAhDrawn": ("total_drawn_ah", magnitude),
    "/History/ChargeCycles": ("charge_cycles", as_told),
    "/History/TimeSinceLastFullCharge": ("since_full_s", as_told),
}
SYSTEM: Leaves = {
    "/Dc/Pv/Power": ("solar_power_kw", kilowatts),
    **{f"/Ac/{place}/{phase}/Power": ("solar_power_kw", kilowatts)
       for place in ("PvOnOutput", "PvOnGrid", "PvOnGenset") for phase in PHASES},
    **{f"/Ac/Consumption/{phase}/Power": ("load_power_kw", kilowatts) for phase in PHASES},
    **{f"/Ac/Grid/{phase}/Power": ("grid_power_kw", kilowatts) for phase in PHASES},
    "/Dc/Battery/Power": ("battery_power_kw", turned_kilowatts),
}
NEVER_NEGATIVE = ("solar_power_kw", "load_power_kw")
"""Their addends may be a little below zero, their sums are not: see STANDBY_KW."""

# Which battery the system counts on, by its service and instance, or out of the list of all.
ACTIVE_BATTERY = "/ActiveBatteryService"
BATTERIES = "/Batteries"

TREE_QUANTITIES: tuple[str, ...] = tuple(
    "battery_power_kw" if name == "power_kw" else name for name in METRIC_NAMES)
"""The channel of each metric of the tree, in the order of METRIC_NAMES."""


def quantities(leaves: Leaves) -> tuple[str, ...]:
    """The quantities of a table, each once, in its order."""
    return tuple(dict.fromkeys(quantity for quantity, _ in leaves.values()))
