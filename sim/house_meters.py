"""What measures the battery of a house: a shunt that counts, an inverter that guesses.

The shunt does as a Victron SmartShunt (its manual, "Synchronising" and "History"): it counts
ampere-hours, errors of its own included, and is 100 % again where the battery is full. The
inverter has no count: it reads a charge off the voltage, whatever current flows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, nan

import numpy as np

from core.energy import CYCLE_HIGH_PCT, CYCLE_LOW_PCT
from sim.chemistry import HIGHEST_PCT, LOWEST_PCT, POINTS
from sim.house_battery import rest_curve

TAIL_SHARE = 0.04
"""Charged below this current, as a share of the capacity [1/h]; Victron's default."""
DETECTION_S = 180.0
CHARGED_BELOW_CELL_V = 0.015
"""The charged voltage lies so far below the absorption voltage [V]."""
AVERAGING_S = 180.0
NEW_DISCHARGE_AH = 1.0
ESTIMATE_TIME_CONSTANT_S = 1800.0
ESTIMATE_SHARE = 0.1
ESTIMATE_PCT_PER_S = 1.6 / 60.0
RATED_CELL_V = (2.9, 3.5)
ESTIMATE_POINTS = 6001


@dataclass(frozen=True, slots=True)
class ShuntSpec:
    """capacity_ah as set in the shunt; charged_v [V]; offset_a: what it measures too much at
    any current, positive when discharging [A]; gain: its current over the true one."""

    capacity_ah: float
    charged_v: float
    offset_a: float
    gain: float


class Shunt:
    """consumed_ah: since full; mean_a: over three minutes; full_at_s: NaN until it was full;
    the history registers of the manual."""

    def __init__(self, spec: ShuntSpec, soc_pct: float) -> None:
        self.spec = spec
        self.synchronises = True
        self.consumed_ah = (1.0 - soc_pct / 100.0) * spec.capacity_ah
        self.mean_a = 0.0
        self.full_at_s = nan
        self.deepest_ah = self.last_ah = self.consumed_ah
        self.drawn_ah = 0.0
        self.cycles = 0.0
        self._below = soc_pct < CYCLE_LOW_PCT
        self._tail_a = TAIL_SHARE * spec.capacity_ah
        self._charged_s = 0.0
        self._rested = False

    @property
    def soc_pct(self) -> float:
        return 100.0 - 100.0 * self.consumed_ah / self.spec.capacity_ah

    def measured_a(self, current_a: float) -> float:
        """What it takes the true current for [A]."""
        return self.spec.gain * current_a + self.spec.offset_a

    def count(self, end_s: float, step_s: float, measured_a: float, voltage_v: float) -> None:
        """Count `step_s` [s] that end at `end_s` (seconds since 1970)."""
        flowed_ah = measured_a * step_s / 3600.0
        self.consumed_ah = min(max(self.consumed_ah + flowed_ah, 0.0), self.spec.capacity_ah)
        self.mean_a += (measured_a - self.mean_a) * (1.0 - exp(-step_s / AVERAGING_S))
        if flowed_ah > 0.0:
            self.drawn_ah += flowed_ah
        charged = voltage_v >= self.spec.charged_v and abs(measured_a) < self._tail_a
        self._charged_s = self._charged_s + step_s if charged else 0.0
        if self._charged_s >= DETECTION_S and self.synchronises:
            self.consumed_ah, self.full_at_s, self._rested = 0.0, end_s, True
        self._register()

    def _register(self) -> None:
        """Depths and cycles; the last discharge stands until a new one begins after a full."""
        if self._rested and self.consumed_ah > NEW_DISCHARGE_AH:
            self._rested, self.last_ah = False, 0.0
        if not self._rested:
            self.last_ah = max(self.last_ah, self.consumed_ah)
        self.deepest_ah = max(self.deepest_ah, self.consumed_ah)
        if self.soc_pct < CYCLE_LOW_PCT:
            self._below = True
        elif self._below and self.soc_pct > CYCLE_HIGH_PCT:
            self._below = False
            self.cycles += 1.0


class VoltageEstimate:
    """The inverter's state of charge [%]: the rest curve read backwards, as if no current
    flowed. Smoothed over half an hour, and a tenth of what it reads now is shown at once, so
    it jumps with the load; it never moves faster than 1.6 % a minute."""

    def __init__(self, cells: int, soc_pct: float) -> None:
        curve = rest_curve()
        low, high = RATED_CELL_V
        volts = np.linspace(low, high, ESTIMATE_POINTS)
        charge = np.interp(volts, curve, np.linspace(LOWEST_PCT, HIGHEST_PCT, POINTS))
        self._charge: list[float] = np.clip(charge, 0.0, 100.0).tolist()
        self._per_v = (ESTIMATE_POINTS - 1) / (high - low) / cells
        self._low_v = low * cells
        self._smooth_pct = self.soc_pct = soc_pct

    def look(self, voltage_v: float, since_s: float) -> None:
        """Take in a voltage, `since_s` after the last look [s]."""
        place = int((voltage_v - self._low_v) * self._per_v + 0.5)
        read_pct = self._charge[min(max(place, 0), ESTIMATE_POINTS - 1)]
        lag = 1.0 - exp(-since_s / ESTIMATE_TIME_CONSTANT_S)
        self._smooth_pct += (read_pct - self._smooth_pct) * lag
        shown_pct = self._smooth_pct + ESTIMATE_SHARE * (read_pct - self._smooth_pct)
        most_pct = ESTIMATE_PCT_PER_S * since_s
        self.soc_pct += min(max(shown_pct - self.soc_pct, -most_pct), most_pct)
