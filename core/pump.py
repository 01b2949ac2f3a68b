"""What is known of a heat pump beside its readings: what its numbers mean and what it lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Medium = Literal["brine", "air"]
Floats = NDArray[np.float64]

MARGIN_K = 10.0


@dataclass(frozen=True, slots=True)
class PerformancePoint:
    """One point of a performance map: source_c brine or air into the pump, flow_c water out
    of it [°C], cop [1], heat_kw [kW, NaN = not told]."""

    source_c: float
    flow_c: float
    cop: float
    heat_kw: float = math.nan


@dataclass(frozen=True, slots=True)
class PerformanceMap:
    """The maker's or a laboratory's points of one model. cited: where they are from."""

    model: str
    cited: str
    points: tuple[PerformancePoint, ...]

    def cop(self, source_c: Floats, flow_c: Floats) -> Floats:
        """[1], a plane through the logarithms of the points (least squares); NaN further than
        MARGIN_K outside of them. Shapes of the arguments are kept."""
        return np.exp(self._plane(np.log([point.cop for point in self.points]),
                                  source_c, flow_c))

    def heat_kw(self, source_c: Floats, flow_c: Floats) -> Floats:
        """[kW] as `cop`; NaN where the points do not tell it."""
        told = np.array([point.heat_kw for point in self.points])
        if not np.isfinite(told).all():
            return np.full(np.broadcast_shapes(np.shape(source_c), np.shape(flow_c)), np.nan)
        return self._plane(told, source_c, flow_c)

    def _plane(self, told: Floats, source_c: Floats, flow_c: Floats) -> Floats:
        at = np.array([[1.0, point.source_c, point.flow_c] for point in self.points])
        factor, *_ = np.linalg.lstsq(at, told, rcond=None)
        low, high = at[:, 1:].min(axis=0) - MARGIN_K, at[:, 1:].max(axis=0) + MARGIN_K
        known = ((source_c >= low[0]) & (source_c <= high[0])
                 & (flow_c >= low[1]) & (flow_c <= high[1]))
        found = factor[0] + factor[1] * np.asarray(source_c) + factor[2] * np.asarray(flow_c)
        return np.where(known, found, np.nan)


@dataclass(frozen=True, slots=True)
class AlarmTable:
    """codes: number of `alarm_code` -> words; bits: number of a bit of `alarm_bits` -> words.
    not_alarms: codes that only inform. rule: "code" = a code above 0 is active; "flag" = active
    only while `alarm_on` is 1, the code alone is history. cited: where the table is from."""

    codes: Mapping[int, str]
    cited: str
    rule: Literal["code", "flag"]
    bits: Mapping[int, str] = field(default_factory=dict)
    not_alarms: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Pump:
    """One heat pump.

    profile: id of its profile; interface: how its registers are reached, for people.
    flow_pair: quantities of the water out of and into the condenser, for heat = flow x delta T.
    auxiliary_kw: rated power of the auxiliary heater [kW]; assumed_flow_lpm: what a person says
    of the water's flow while the compressor runs [l/min]; both NaN = nobody said.
    electricity_has_auxiliary: whether `electric_power_kw`, `electricity_kwh` and the energy log
    count the auxiliary heater; heat_has_auxiliary: whether the flow pair and the heat meters lie
    behind it, and the energy log counts its heat.
    absent: quantities that this pump cannot tell -> why. doubts: facts nobody verified.
    """

    profile: str
    brand: str
    model: str
    interface: str
    medium: Medium
    alarms: AlarmTable
    flow_pair: tuple[str, str] = ("radiator_supply_c", "radiator_return_c")
    auxiliary_kw: float = math.nan
    assumed_flow_lpm: float = math.nan
    performance: PerformanceMap | None = None
    electricity_has_auxiliary: bool = True
    heat_has_auxiliary: bool = False
    absent: Mapping[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
