"""Findings that come slowly: a COP that falls under the same conditions, brine that cools."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.energy import SECONDS_PER_DAY
from core.heatpump import switches
from core.heatpump.account import Account
from core.heatpump.cop import ideal_cop
from core.heatpump.finding import Finding, settled
from core.heatpump.heat import flow_temperature_c
from core.heatpump.log import Flags, Floats, PumpLog
from core.pump import Pump

RECENT_DAYS = 7.0
LEAST_DAYS_BEFORE = 3
# A day counts with this much steady running [h].
DAY_FROM_H = 0.5
# A fall of the COP under the same conditions that is told, and that is grave.
FALL, GRAVE_FALL = 0.08, 0.15
# and that is so many standard errors of the daily values.
CLEAR_ERRORS = 3.0
# Brine into the pump [degC]: low, and so low that pumps stop soon; fallen by [K] in 7 days.
LOW_BRINE_C, LOWEST_BRINE_C, FALLEN_K = 0.0, -5.0, 1.0


@dataclass(frozen=True, slots=True)
class _Days:
    """One value a day that knows it, oldest first: float64[n] each, weight in its own unit."""

    time_s: Floats
    value: Floats
    weight: Floats

    def split(self, at_s: float) -> tuple[_Days, _Days]:
        old = self.time_s < at_s
        return self._only(old), self._only(~old)

    def mean(self) -> float:
        return float(np.average(self.value, weights=self.weight))

    def error(self) -> float:
        """Standard error of the mean."""
        return float(self.value.std(ddof=1)) / math.sqrt(self.value.size)

    def _only(self, chosen: Flags) -> _Days:
        return _Days(self.time_s[chosen], self.value[chosen], self.weight[chosen])


def falling_cop(log: PumpLog, pump: Pump, account: Account) -> list[Finding]:
    """Last 7 days against the days before, each cell's heat over what was to be expected at its
    temperatures: by the model's map, else by an ideal machine (a share of Carnot). Not by the
    basis "map", which cannot fall."""
    if account.best is None or account.best == "map" or not log.size:
        return []
    flows = account.flows(account.best)
    expected_kw = flows.compressor_kw * _expected_cop(log, pump)
    used = (settled(account.compressor_on, log.step_s) & ~(switches.defrost(log) > 0)
            & np.isfinite(flows.pump_heat_kw) & np.isfinite(expected_kw))
    days = _daily(log, used, flows.pump_heat_kw, expected_kw)
    recent_s = log.end_s - RECENT_DAYS * SECONDS_PER_DAY
    before, recent = days.split(recent_s)
    if before.value.size < LEAST_DAYS_BEFORE or recent.value.size < LEAST_DAYS_BEFORE:
        return []
    was, now = before.mean(), recent.mean()
    fall = 1.0 - now / was if was > 0 else 0.0
    error = math.hypot(before.error(), recent.error()) / was if was > 0 else math.inf
    if fall < FALL or fall < CLEAR_ERRORS * error:
        return []
    numbers = {"fall": fall, "before": was, "now": now, "error": error,
               "days_before": float(before.value.size), "days": float(recent.value.size)}
    return [Finding("falling_cop", "alert" if fall >= GRAVE_FALL else "warning", numbers,
                    _since(days, (was + now) / 2))]


def brine_falling(log: PumpLog, pump: Pump) -> list[Finding]:
    """Brine into a running pump below 0 degC and 1 K colder than in the days before, or below
    -5 degC."""
    if pump.medium != "brine" or not log.size:
        return []
    brine_c = log.column("brine_in_c")
    used = settled(switches.compressor(log), log.step_s) & np.isfinite(brine_c)
    days = _daily(log, used, brine_c, np.ones(log.size))
    if not days.value.size:
        return []
    before, recent = days.split(float(days.time_s[-1]) - SECONDS_PER_DAY)
    now = recent.mean()
    was = before.mean() if before.value.size >= LEAST_DAYS_BEFORE else math.nan
    falls = now < LOW_BRINE_C and was - now >= FALLEN_K
    if not falls and now >= LOWEST_BRINE_C:
        return []
    numbers = {"brine_in_c": now, "before_c": was, "limit_c": LOWEST_BRINE_C}
    return [Finding("brine_falling", "alert" if now < LOWEST_BRINE_C else "warning", numbers,
                    None, "brine_in_c")]


def _expected_cop(log: PumpLog, pump: Pump) -> Floats:
    source_c = log.column("brine_in_c" if pump.medium == "brine" else "outdoor_c")
    flow_c = flow_temperature_c(log, pump)
    if pump.performance is None:
        return ideal_cop(source_c, flow_c)
    return pump.performance.cop(source_c, flow_c)


def _daily(log: PumpLog, used: Flags, top: Floats, bottom: Floats) -> _Days:
    """Sum of `top` over sum of `bottom` of the used cells of each UTC day."""
    number = np.floor(log.time_s[used] / SECONDS_PER_DAY).astype(np.int64)
    first = int(number[0]) if number.size else 0
    number -= first
    above = np.bincount(number, top[used])
    below: Floats = np.bincount(number, bottom[used]).astype(np.float64)
    count = np.bincount(number) * log.step_h
    enough = (count >= DAY_FROM_H) & (below > 0)
    time_s: Floats = (first + np.flatnonzero(enough)).astype(np.float64) * SECONDS_PER_DAY
    return _Days(time_s, above[enough] / below[enough], below[enough])


def _since(days: _Days, middle: float) -> float:
    """The day after the last one that was above the middle of before and now."""
    above = np.flatnonzero(days.value >= middle)
    row = min(int(above[-1]) + 1, days.time_s.size - 1) if above.size else 0
    return float(days.time_s[row])
