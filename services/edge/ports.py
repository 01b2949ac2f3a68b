"""What an edge device leans on beside its plant: an estimator and a safety monitor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.fleet.messages import SafetyState
from services.edge.plant import CURVES_V, GRID_PCT, Plant, Sample

REST_C_RATE = 0.005
"""Below this share of the capacity an hour the pack rests, and its voltage tells its charge."""
PULL_PER_S = 1.0 / 600.0
"""How fast a resting voltage pulls the counted charge."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """soc_pct, soh_pct: [%], None where it is not known (law 4)."""

    soc_pct: float | None
    soh_pct: float | None


class Estimator(Protocol):
    """Says what cannot be measured."""

    def update(self, sample: Sample, dt_s: float) -> Estimate: ...


class CoulombCounter:
    """Counts ampere-hours, and believes the open-circuit voltage where the pack rests. It knows
    nothing of the pack's health and says so."""

    def __init__(self, chemistry: str, plant: Plant) -> None:
        self._curve = np.array(CURVES_V[chemistry])
        self._capacity_ah = plant.capacity_ah
        self._soc_pct: float | None = None

    def update(self, sample: Sample, dt_s: float) -> Estimate:
        told = float(np.interp(sample.cell_voltage_v.mean(), self._curve, GRID_PCT))
        if self._soc_pct is None:
            self._soc_pct = told
        self._soc_pct -= 100.0 * sample.current_a * dt_s / 3600.0 / self._capacity_ah
        if abs(sample.current_a) < REST_C_RATE * self._capacity_ah:
            self._soc_pct += (told - self._soc_pct) * min(1.0, PULL_PER_S * dt_s)
        self._soc_pct = min(100.0, max(0.0, self._soc_pct))
        return Estimate(self._soc_pct, None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pack may do now. charge_limit_a, discharge_limit_a: magnitudes [A], None where
    nobody limits. reason: why, for a person."""

    state: SafetyState
    charge_limit_a: float | None
    discharge_limit_a: float | None
    reason: str


class Safety(Protocol):
    """The safety monitor of one pack. No layer above it relaxes what it says."""

    def judge(self, sample: Sample, now_s: float) -> Verdict:
        """Called with every sample, before anything else is done with it."""
        ...

    def order(self, action: str) -> str:
        """"controlled_shutdown", "emergency_stop" or "reset"; "" when it is taken, else why
        it is refused."""
        ...


class Unguarded:
    """Safety of a pack that has no monitor: it says so, and keeps to stops alone."""

    def __init__(self) -> None:
        self._stopped = ""

    def judge(self, sample: Sample, now_s: float) -> Verdict:
        if self._stopped:
            return Verdict("zero", 0.0, 0.0, f"stopped: {self._stopped}")
        return Verdict("unguarded", None, None, "no safety monitor is connected")

    def order(self, action: str) -> str:
        self._stopped = "" if action == "reset" else action
        return ""
