"""What can be measured, in the field's own words: names, units, roll-ups (laws 1, 2, 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RollUp = Literal["sum", "capacity_mean", "mean", "arrangement", "power_over_voltage"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One column of a frame.

    `name` carries the unit (law 2). `plausible` are the bounds outside of which a
    reading is refused at the source's boundary, not limits of safe operation.
    """

    name: str
    label: str
    unit: str
    decimals: int
    roll_up: RollUp
    plausible: tuple[float, float]


METRICS: tuple[Metric, ...] = (
    Metric("power_kw", "Power", "kW", 1, "sum", (-1e6, 1e6)),
    Metric("soc_pct", "State of charge", "%", 1, "capacity_mean", (0.0, 100.0)),
    Metric("voltage_v", "Voltage", "V", 2, "arrangement", (0.0, 1e5)),
    Metric("current_a", "Current", "A", 1, "power_over_voltage", (-1e6, 1e6)),
    Metric("temperature_c", "Temperature", "°C", 1, "mean", (-60.0, 200.0)),
    Metric("soh_pct", "State of health", "%", 1, "capacity_mean", (0.0, 110.0)),
)
METRIC_NAMES: tuple[str, ...] = tuple(metric.name for metric in METRICS)
BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}

CHEMISTRIES: tuple[str, ...] = ("LFP", "NMC", "LCO")

Direction = Literal["idle", "charging", "discharging", "unknown"]
DIRECTIONS: tuple[Direction, ...] = ("idle", "charging", "discharging", "unknown")
