"""A simulated house in the present: lived through from poll to poll, faults laid over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf

import numpy as np
from numpy.typing import NDArray

from sim.house_account import Account, account
from sim.house_data import F64, HOUR_S
from sim.house_devices import INVERTER_AT, INVERTER_BATTERY, channels
from sim.house_faults import (
    COLLAPSE_S,
    INVERTED_SIGN,
    INVERTER_SILENT,
    REST_C_RATE,
    SHUNT_NEVER_SYNCHRONISES,
    SOC_COLLAPSE,
    collapsed_pct,
)
from sim.house_hours import Hours
from sim.house_process import (
    AT,
    DAY_S,
    LIVED_DAYS,
    NEAR_STEP_S,
    Plan,
    Process,
    Registers,
    edges_between,
    midnight_s,
)

AHEAD_S = 6 * HOUR_S
INSTANT_S = 1.0
"""A poll shows what flows in this moment, and would for so long."""


@dataclass(frozen=True, slots=True)
class Collapse:
    """A collapse that began at `began_s` from `began_pct`."""

    began_s: float
    began_pct: float


class Live:
    """Lives from `now_s` (seconds since 1970) on, the last days before it included."""

    def __init__(self, plan: Plan, export_price: float, now_s: float) -> None:
        self.plan = plan
        self._export_price = export_price
        self._account: Account = account(plan)
        self._hours = Hours(plan.site, now_s, now_s)
        self.process = self._lived(now_s, Registers(0.0, 0.0))
        self._held: F64 | None = None
        self._held_minute = 0.0
        self._collapse: Collapse | None = None

    def _lived(self, now_s: float, least: Registers) -> Process:
        """A process at `now_s` that has forgotten how it began; its registers begin with the
        account of that day, but not below `least`."""
        begin_s = midnight_s(now_s, LIVED_DAYS)
        local = datetime.fromtimestamp(begin_s, self.plan.site.calendar.zone)
        counted = self._account.at(local)
        process = Process(self.plan, begin_s, Registers(
            max(counted.drawn_ah, least.drawn_ah), max(counted.cycles, least.cycles)))
        self._live(process, now_s)
        return process

    def _live(self, process: Process, now_s: float) -> None:
        end_s = max(now_s, process.at_s)
        if not (self._hours.covers(process.at_s) and self._hours.covers(end_s)):
            self._hours = Hours(self.plan.site, process.at_s, end_s + AHEAD_S)
        if now_s > process.at_s:
            process.live(self._hours, edges_between(process.at_s, now_s, NEAR_STEP_S))

    def advance(self, now_s: float, faults: Mapping[str, float]) -> None:
        """Live on to `now_s` with the faults of then; a clock that steps back moves nothing.
        After a pause of weeks the house begins again as at a start."""
        process = self.process
        process.shunt.synchronises = SHUNT_NEVER_SYNCHRONISES not in faults
        resting = now_s - faults.get(SOC_COLLAPSE, -inf) < COLLAPSE_S
        process.limit_kw = self.plan.battery.capacity_kwh * REST_C_RATE if resting else inf
        if now_s - process.at_s > LIVED_DAYS * DAY_S:
            least = Registers(process.shunt.drawn_ah, process.shunt.cycles)
            self.process = self._lived(now_s, least)
        else:
            self._live(process, now_s)

    def told(self, faults: Mapping[str, float]) -> tuple[F64, NDArray[np.bool_]]:
        """What the devices report now, float64[c], and which channels were heard, bool[c]."""
        time_s = np.array([self.process.at_s])
        load, solar = self._hours.at(time_s)
        row = np.array([self.process.row(float(load[0]), float(solar[0]), INSTANT_S)])
        self._collapsing(row, faults)
        price = self.plan.site.profile.price_per_kwh[self._hours.rows(time_s)]
        values = channels(self.plan.battery, time_s, row, price, self._export_price)[0]
        heard = np.ones(values.shape, dtype=np.bool_)
        if INVERTED_SIGN in faults:
            values[INVERTER_BATTERY] *= -1.0
        heard[INVERTER_AT] = self._inverter(values, faults)
        return values, heard

    def _collapsing(self, row: F64, faults: Mapping[str, float]) -> None:
        """Let the shunt's charge fall from where it stood when the fault was first seen."""
        if SOC_COLLAPSE not in faults:
            self._collapse = None
            return
        began_s, shunt_pct = faults[SOC_COLLAPSE], float(row[0, AT["shunt_pct"]])
        if self._collapse is None or self._collapse.began_s != began_s:
            self._collapse = Collapse(began_s, shunt_pct)
        told_pct = collapsed_pct(self._collapse.began_pct, self.process.at_s - began_s)
        told_pct = min(told_pct, shunt_pct)
        row[0, AT["shunt_pct"]] = told_pct
        row[0, AT["consumed_ah"]] = (1.0 - told_pct / 100.0) * self.plan.battery.capacity_ah

    def _inverter(self, values: F64, faults: Mapping[str, float]) -> bool:
        """Put what the inverter measured last into `values`; whether it has just measured."""
        if INVERTER_SILENT in faults:
            values[INVERTER_AT] = np.nan if self._held is None else self._held
            return False
        minute = self.process.at_s // NEAR_STEP_S
        heard = self._held is None or minute != self._held_minute
        if heard:
            self._held, self._held_minute = values[INVERTER_AT].copy(), minute
        values[INVERTER_AT] = self._held
        return heard
