"""A finding as data; its words are made where it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from core.heatpump.log import Flags, Floats

Code = Literal[
    "short_cycling", "falling_cop", "brine_delta_low", "brine_delta_high", "auxiliary_high",
    "brine_falling", "water_never_reached", "valve_stuck", "sensor_absent", "sensor_lost",
    "sensor_flat", "running_without_heat"]
Severity = Literal["alert", "warning", "hint"]
SEVERITIES: tuple[Severity, ...] = ("alert", "warning", "hint")

# A compressor that ran for so long without a stop shows steady temperatures [s].
SETTLED_S = 300.0
# A cell counts as all on from this share.
ALL_ON = 0.99


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. numbers: what it rests on, the unit in each name. quantity: the one that it
    is about, "" = none. since_s: when it began [s since 1970], None = not told."""

    code: Code
    severity: Severity
    numbers: Mapping[str, float] = field(default_factory=dict)
    since_s: float | None = None
    quantity: str = ""


def settled(on: Floats, step_s: float) -> Flags:
    """bool[k]: cells in which the compressor ran all the time, as it did 5 min before."""
    rows = np.arange(on.size)
    stopped = np.maximum.accumulate(np.where(on >= ALL_ON, -1, rows))
    steady: Flags = (on >= ALL_ON) & ((rows - stopped - 1) * step_s >= SETTLED_S)
    return steady
