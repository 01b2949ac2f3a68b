"""A house lives: who supplies the load, second by second or in steps of minutes.

Self-consumption: what the sun gives beyond the load charges, what it lacks is discharged, the
grid does the rest. Nothing that was stored is ever sold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, pi

import numpy as np

from sim.house_battery import Battery, BatterySpec, Flow
from sim.house_data import F64, HOUR_S, I64
from sim.house_hours import Hours, Site
from sim.house_meters import CHARGED_BELOW_CELL_V, Shunt, ShuntSpec, VoltageEstimate

DAY_S = 86400.0
NEAR_STEP_S = 60.0
LIVED_DAYS = 10
"""A battery that is full and empty every few days has forgotten by then how it began."""
FIRST_SOC_PCT = 80.0
DRIFTED_PCT = 5.0
"""Before its life here began the shunt had once told so much less than the reserve [%]."""
COLUMNS = ("solar_kw", "load_kw", "grid_kw", "battery_kw", "current_a", "voltage_v",
           "temperature_c", "soc_pct", "shunt_pct", "consumed_ah", "mean_a", "deepest_ah",
           "last_ah", "drawn_ah", "cycles", "full_at_s", "estimate_pct")
"""A row of what the house is: flows from now on, and the state now. battery_kw is at the
house's side of the converter; current_a is what the shunt measures; soc_pct is the truth."""
AT = {name: number for number, name in enumerate(COLUMNS)}
Row = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a house is made of. offset_a and gain: the shunt's errors."""

    site: Site
    battery: BatterySpec
    offset_a: float
    gain: float


@dataclass(frozen=True, slots=True)
class Registers:
    """What a shunt had counted when its life here began."""

    drawn_ah: float
    cycles: float


class Process:
    """The state at `at_s`. limit_kw: the most that the battery may do now."""

    def __init__(self, plan: Plan, at_s: float, registers: Registers) -> None:
        self.plan = plan
        self.at_s = at_s
        self.limit_kw = inf
        rows = Hours(plan.site, at_s, at_s).rows(np.array([at_s]))
        self.battery = Battery(plan.battery, FIRST_SOC_PCT, float(ambient_c(rows)[0]))
        cells = plan.battery.cells
        charged_v = self.battery.absorption_v - CHARGED_BELOW_CELL_V * cells
        self.shunt = Shunt(ShuntSpec(plan.battery.capacity_ah, charged_v, plan.offset_a,
                                     plan.gain), FIRST_SOC_PCT)
        self.shunt.drawn_ah, self.shunt.cycles = registers.drawn_ah, registers.cycles
        lowest_pct = max(plan.battery.reserve_pct - DRIFTED_PCT, 0.0)
        self.shunt.deepest_ah = plan.battery.capacity_ah * (1.0 - lowest_pct / 100.0)
        self.estimate = VoltageEstimate(cells, FIRST_SOC_PCT)
        self._looked_at_s = at_s

    def row(self, load_kw: float, solar_kw: float, step_s: float) -> Row:
        """The house with these flows over the next `step_s` [s], as COLUMNS; moves nothing."""
        return self._row(load_kw, solar_kw, self._flow(load_kw, solar_kw, step_s))

    def _flow(self, load_kw: float, solar_kw: float, step_s: float) -> Flow:
        return self.battery.flow(load_kw - solar_kw, self.limit_kw, step_s)

    def _row(self, load_kw: float, solar_kw: float, flow: Flow) -> Row:
        battery, shunt = self.battery, self.shunt
        return (solar_kw, load_kw, load_kw - solar_kw - flow.ac_kw, flow.ac_kw,
                shunt.measured_a(flow.current_a), flow.voltage_v, battery.temperature_c,
                battery.soc_pct, shunt.soc_pct, shunt.consumed_ah, shunt.mean_a,
                shunt.deepest_ah, shunt.last_ah, shunt.drawn_ah, shunt.cycles,
                shunt.full_at_s, self.estimate.soc_pct)

    def step(self, load_kw: float, solar_kw: float, ambient_c: float, end_s: float) -> None:
        """Live to `end_s` with the mean powers of the time until then [kW]."""
        self._advance(self._flow(load_kw, solar_kw, end_s - self.at_s), ambient_c, end_s)

    def _advance(self, flow: Flow, ambient_c: float, end_s: float) -> None:
        step_s = end_s - self.at_s
        self.battery.advance(flow, step_s, ambient_c)
        measured_a = self.shunt.measured_a(flow.current_a)
        self.shunt.count(end_s, step_s, measured_a, flow.voltage_v)
        if end_s // NEAR_STEP_S > self.at_s // NEAR_STEP_S:
            self.estimate.look(flow.voltage_v, end_s - self._looked_at_s)
            self._looked_at_s = end_s
        self.at_s = end_s

    def live(self, hours: Hours, edges_s: F64) -> None:
        """Live from `at_s`, the first edge, to the last; `hours` covers them."""
        for load, solar, ambient, end_s in self._flows(hours, edges_s):
            self.step(load, solar, ambient, end_s)

    def told(self, hours: Hours, edges_s: F64) -> F64:
        """As `live`, and tell the row at each edge but the last: float64[k - 1, COLUMNS]. The
        estimate, which comes last, is what the row's own voltage makes of it."""
        rows = []
        for load, solar, ambient, end_s in self._flows(hours, edges_s):
            flow = self._flow(load, solar, end_s - self.at_s)
            row = self._row(load, solar, flow)
            self._advance(flow, ambient, end_s)
            rows.append((*row[:-1], self.estimate.soc_pct))
        return np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))

    def _flows(self, hours: Hours, edges_s: F64) -> Iterator[tuple[float, float, float, float]]:
        load, solar = hours.means(edges_s)
        ambient = ambient_c(hours.rows(edges_s[:-1]))
        return zip(load.tolist(), solar.tolist(), ambient.tolist(), edges_s[1:].tolist(),
                   strict=True)


_DAYS, _HOURS = np.divmod(np.arange(int(365 * DAY_S / HOUR_S)), 24)
_AMBIENT_C = 20.0 + 5.0 * np.cos(2 * pi * (_DAYS - 1) / 365) + 2.0 * np.cos(
    2 * pi * (_HOURS - 16) / 24)


def ambient_c(rows: I64) -> F64:
    """Temperature of the garage by row of the year: 20 +- 5 over the year, warmest in early
    August, +- 2 over the day [degC]. Not measured: the house's own."""
    found: F64 = _AMBIENT_C[rows]
    return found


def edges_between(begin_s: float, end_s: float, step_s: float) -> F64:
    """begin_s, every whole `step_s` after it, end_s; float64[k], strictly rising [s]."""
    first = begin_s // step_s + 1
    count = max(int(np.ceil(end_s / step_s - first)), 0)
    return np.concatenate([[begin_s], (first + np.arange(count)) * step_s, [end_s]])


def midnight_s(time_s: float, days_before: int = 0) -> float:
    """A UTC midnight at or before `time_s` [s]."""
    return (time_s // DAY_S - days_before) * DAY_S
