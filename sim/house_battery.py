"""The battery of a house and its converter: what they can give and take, and what it costs.

Energy is the state, so that what goes in comes out, is lost or is still there, exactly.
Current and power are positive when discharging (law 1). Plain floats: one battery, many steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import NamedTuple

import numpy as np

from core.vocabulary import CHEMISTRIES
from sim.chemistry import BY_NAME, HIGHEST_PCT, LOWEST_PCT, POINTS, open_circuit_table
from sim.house_data import F64

CHEMISTRY = "LFP"
LEADS = 0.5
"""Resistance of leads, fuse and BMS, as a share of the cells'."""
ABSORPTION_CELL_V = 0.00125
"""How far the charge voltage lies above the open-circuit voltage of a full cell [V]."""
HEAT_TIME_CONSTANT_S = 6 * 3600.0
WARMING_K_PER_W = 0.1
_PER_PCT = (POINTS - 1) / (HIGHEST_PCT - LOWEST_PCT)
_FIRST = -LOWEST_PCT * _PER_PCT + 0.5


class Flow(NamedTuple):
    """ac_kw: at the house's side of the converter [kW]; current_a [A], voltage_v [V] and
    open_v [V], the voltage without current, at the battery's terminals."""

    ac_kw: float
    current_a: float
    voltage_v: float
    open_v: float


@dataclass(frozen=True, slots=True)
class BatterySpec:
    """capacity_kwh; nominal_v [V]; max_power_kw: most at the house's side either way;
    reserve_pct and ceiling_pct: where the house stops discharging and charging [%];
    charge_efficiency, discharge_efficiency: of the converter, one way, 0..1; standby_kw: what
    the battery's own electronics take."""

    capacity_kwh: float
    nominal_v: float
    max_power_kw: float
    reserve_pct: float
    ceiling_pct: float
    charge_efficiency: float
    discharge_efficiency: float
    standby_kw: float

    @property
    def cells(self) -> int:
        return max(1, round(self.nominal_v / BY_NAME[CHEMISTRY].nominal_v))

    @property
    def capacity_ah(self) -> float:
        """As the maker tells it, at the nominal voltage [Ah]."""
        return self.capacity_kwh * 1000.0 / self.nominal_v

    @property
    def resistance_ohm(self) -> float:
        drop_v = BY_NAME[CHEMISTRY].drop_1c_v * (1.0 + LEADS)
        return self.cells * drop_v / self.capacity_ah


def rest_curve() -> F64:
    """Voltage of a cell without current every 120 / (POINTS - 1) % from -10 to 110 % of
    charge, float64[POINTS] [V]."""
    block = CHEMISTRIES.index(CHEMISTRY) * POINTS
    return open_circuit_table()[block:block + POINTS].astype(np.float64)


class Battery:
    """energy_kwh: what is stored above empty [kWh]; temperature_c [degC]."""

    def __init__(self, spec: BatterySpec, soc_pct: float, temperature_c: float) -> None:
        self.spec = spec
        self.energy_kwh = spec.capacity_kwh * soc_pct / 100.0
        self.temperature_c = temperature_c
        self._open_v: list[float] = (rest_curve() * spec.cells).tolist()
        self._ohm = spec.resistance_ohm
        self._reserve_kwh = spec.capacity_kwh * spec.reserve_pct / 100.0
        self._ceiling_kwh = spec.capacity_kwh * spec.ceiling_pct / 100.0
        self._gain_in = spec.charge_efficiency
        self._gain_out = 1.0 / spec.discharge_efficiency
        self._per_kwh = 100.0 / spec.capacity_kwh
        self.absorption_v = self.open_v(100.0) + ABSORPTION_CELL_V * spec.cells

    @property
    def soc_pct(self) -> float:
        """The true state of charge, which no device of the house knows [%]."""
        return self.energy_kwh * self._per_kwh

    def open_v(self, soc_pct: float) -> float:
        """Voltage at the terminals without current [V]."""
        return self._open_v[int(soc_pct * _PER_PCT + _FIRST)]

    def flow(self, lacking_kw: float, limit_kw: float, step_s: float) -> Flow:
        """What the battery gives of `lacking_kw`, load less solar, or takes where that is
        negative, at most `limit_kw`, for `step_s` [s] from now.

        The terminal voltage is open_v - R I, so the DC power P = (open_v - R I) I is solved
        for I. Charging tapers where the voltage would pass the absorption voltage.
        """
        most_kw = min(self.spec.max_power_kw, limit_kw)
        wanted_kw = min(max(lacking_kw, -most_kw), most_kw)
        gain = self._gain_out if wanted_kw > 0.0 else self._gain_in
        open_v, ohm = self.open_v(self.energy_kwh * self._per_kwh), self._ohm
        root = sqrt(open_v * open_v - 4000.0 * ohm * wanted_kw * gain)
        current = (open_v - root) / (2.0 * ohm)
        most_a = self._most_a(open_v, step_s, discharging=wanted_kw > 0.0)
        if abs(current) <= most_a:
            return Flow(wanted_kw, current, open_v - ohm * current, open_v)
        current = most_a if wanted_kw > 0.0 else -most_a
        voltage = open_v - ohm * current
        return Flow(voltage * current / gain / 1000.0, current, voltage, open_v)

    def _most_a(self, open_v: float, step_s: float, *, discharging: bool) -> float:
        """The most current either way: until the reserve or the ceiling is reached within the
        step, or the absorption voltage now [A]."""
        per_kwh = 3.6e6 / (step_s * open_v)
        if discharging:
            return max(self.energy_kwh - self._reserve_kwh, 0.0) * per_kwh
        room_kwh = self._ceiling_kwh - self.energy_kwh + self.spec.standby_kw * step_s / 3600.0
        return max(min(room_kwh * per_kwh, (self.absorption_v - open_v) / self._ohm), 0.0)

    def advance(self, flow: Flow, step_s: float, ambient_c: float) -> None:
        """Live through `step_s` [s] of one flow; no more is taken out than there is."""
        spent_kwh = (flow.open_v * flow.current_a / 1000.0 + self.spec.standby_kw) * step_s / 3600.0
        self.energy_kwh = max(self.energy_kwh - spent_kwh, 0.0)
        goal_c = ambient_c + WARMING_K_PER_W * self._ohm * flow.current_a * flow.current_a
        lag = 1.0 - exp(-step_s / HEAT_TIME_CONSTANT_S)
        self.temperature_c += (goal_c - self.temperature_c) * lag
