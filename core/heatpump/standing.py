"""What a pump does now, and which of its alarms are active, by its newest readings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from core.heatpump import alarms
from core.heatpump.switches import COMPRESSOR_BY, STEPS
from core.told import DeviceNow

State = Literal["heating", "hot water", "defrosting", "auxiliary heat", "idle", "unknown"]

ON = 0.5
HEATERS = ("auxiliary_pct", "auxiliary_power_kw", *STEPS)


@dataclass(frozen=True, slots=True)
class ActiveAlarms:
    """code: 0 = none, -1 = an alarm without a code, NaN = not known. bits: numbers of the bits
    of `alarm_bits` that are set. known: whether the pump tells alarms at all just now."""

    code: float
    bits: tuple[int, ...]
    known: bool

    @property
    def active(self) -> bool:
        return bool(self.bits) or (math.isfinite(self.code) and self.code != 0)


def state(now: DeviceNow) -> State:
    """By its switches; "unknown" where the compressor is not heard and nothing else runs."""
    compressor, valve = compressor_now(now), now.value("hot_water_valve")
    if now.value("defrost_on") >= ON:
        return "defrosting"
    if compressor >= ON:
        return "hot water" if valve >= ON else "heating"
    if any(now.value(name) > 0 for name in HEATERS):
        return "auxiliary heat"
    return "idle" if math.isfinite(compressor) else "unknown"


def compressor_now(now: DeviceNow) -> float:
    """Its switch, else 1 or 0 by its speed or power as `switches.compressor`; NaN where none of
    them is heard."""
    found = now.value("compressor_on")
    for name, least in COMPRESSOR_BY:
        told = now.value(name)
        if math.isnan(found) and math.isfinite(told):
            found = float(told > least)
    return found


def active_alarms(now: DeviceNow) -> ActiveAlarms:
    """By the rule of the pump's own table; nothing is known of a device that is no pump."""
    pump = now.device.pump
    if pump is None:
        return ActiveAlarms(math.nan, (), False)
    told_bits = now.value("alarm_bits")
    code = alarms.code_now(now.value("alarm_on"), now.value("alarm_code"), pump.alarms)
    return ActiveAlarms(code, alarms.bits_of(told_bits, pump.alarms),
                        math.isfinite(code) or math.isfinite(told_bits))
