"""What a shunt had counted before its life here began: a formula of the date alone.

The registers of a battery that has worked for years cannot be lived through at every start.
One year of the data is gone through hour by hour, and the account of a date is that of the
whole years since the house was equipped and of the part of the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from core.energy import CYCLE_HIGH_PCT, CYCLE_LOW_PCT
from sim.house_battery import BatterySpec
from sim.house_data import F64, FIRST_ROW, ROWS, row_of
from sim.house_hours import Site
from sim.house_process import Plan, Registers

EQUIPPED_YEAR = 2022
"""The account begins on 1 August of it, the first hour of the data."""
MARGIN = 1.06
"""Hours hide what minutes draw; the account is rather too high than too low, so that a later
start, which goes by the account up to a later day, never counts less than an earlier one."""


@dataclass(frozen=True, slots=True)
class Account:
    """drawn_ah and cycles within the year before each of its hours, float64[ROWS + 1]."""

    drawn_ah: F64
    cycles: F64

    def at(self, local: datetime) -> Registers:
        """The registers at a local time, zero before the house was equipped. They stand still
        on 29 February, which the data do not have."""
        leap_day = (local.month, local.day) == (2, 29)
        row = FIRST_ROW[3, 1] if leap_day else row_of(local)
        years = local.year - EQUIPPED_YEAR - ((local.month, local.day) < (8, 1))
        drawn_ah = years * self.drawn_ah[-1] + self.drawn_ah[row]
        cycles = years * self.cycles[-1] + self.cycles[row]
        return Registers(max(float(drawn_ah), 0.0), max(float(cycles), 0.0))


def account(plan: Plan) -> Account:
    """A year of the plan's house in steps of an hour, from a battery at its reserve."""
    charge_kwh = np.array(_charge(plan.site, plan.battery))
    drawn_kwh = np.maximum(-np.diff(charge_kwh), 0.0)
    drawn_ah = drawn_kwh * 1000.0 / plan.battery.nominal_v * MARGIN
    cycles = _cycles(charge_kwh[1:] / plan.battery.capacity_kwh * 100.0)
    return Account(np.concatenate([[0.0], np.cumsum(drawn_ah)]),
                   np.concatenate([[0.0], np.cumsum(cycles)]))


def _charge(site: Site, spec: BatterySpec) -> list[float]:
    """Stored energy before each hour and after the last [kWh]."""
    lacking = site.profile.load_kw - site.profile.solar_kw * site.solar_kw
    flow = np.clip(lacking, -spec.max_power_kw, spec.max_power_kw)
    out = np.where(flow > 0.0, flow / spec.discharge_efficiency, flow * spec.charge_efficiency)
    low = spec.capacity_kwh * spec.reserve_pct / 100.0
    high = spec.capacity_kwh * spec.ceiling_pct / 100.0
    charge = [low]
    for spent in out.tolist():
        charge.append(min(max(charge[-1] - spent, low), high))
    return charge


def _cycles(soc_pct: F64) -> F64:
    """1 in each hour that completes a cycle of Victron's rule, float64[ROWS]."""
    marks = np.flatnonzero((soc_pct < CYCLE_LOW_PCT) | (soc_pct > CYCLE_HIGH_PCT))
    low = soc_pct[marks] < CYCLE_LOW_PCT
    done = np.zeros(ROWS)
    done[marks[1:][low[:-1] & ~low[1:]]] = 1.0
    return done
