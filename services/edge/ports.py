"""What an edge device leans on beside its plant: an estimator and a safety monitor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.fleet.messages import SafetyState
from core.topology import FloatArray
from services.edge.cells import CURVES_V, DROP_1C_V, GRID_PCT
from services.edge.plant import Plant, Sample

REST_C_RATE = 0.005
"""Below this share of the capacity an hour the pack rests, and its voltage tells its charge."""
PULL_PER_S = 1.0 / 600.0
"""How fast a resting voltage pulls the counted charge."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """soc_pct, soh_pct: [%], None where it is not known (law 4). cell_soc_pct: float32[cells]
    with NaN where it is not known, or None."""

    soc_pct: float | None = None
    soh_pct: float | None = None
    cell_soc_pct: FloatArray | None = None


class Estimator(Protocol):
    """Says what cannot be measured."""

    def update(self, sample: Sample, dt_s: float) -> Estimate: ...


class Estimators(Protocol):
    """Of the packs of one process, everything in their order."""

    def update(self, samples: Sequence[Sample], dt_s: float) -> Sequence[Estimate]: ...


class EachEstimator:
    """Estimators, one after the other."""

    def __init__(self, estimators: Sequence[Estimator]) -> None:
        self._estimators = estimators

    def update(self, samples: Sequence[Sample], dt_s: float) -> list[Estimate]:
        return [estimator.update(sample, dt_s)
                for estimator, sample in zip(self._estimators, samples, strict=True)]


class CoulombCounter:
    """Counts ampere-hours of each cell, and believes its open-circuit voltage where it rests. It
    knows nothing of health and says so. While the current is lost it says nothing of the charge;
    the pack is at 0 A then, and the count goes on where it was."""

    def __init__(self, chemistry: str, plant: Plant) -> None:
        self._curve = np.array(CURVES_V[chemistry])
        self._capacity_ah = plant.capacity_ah
        self._pct: FloatArray = np.full(plant.cells, np.nan)

    def update(self, sample: Sample, dt_s: float) -> Estimate:
        if not math.isfinite(sample.current_a):
            return Estimate()
        rest_v = sample.cell_voltage_v + sample.current_a * DROP_1C_V / self._capacity_ah
        told = np.interp(rest_v, self._curve, GRID_PCT)
        self._pct = np.where(np.isnan(self._pct), told, self._pct)
        self._pct -= 100.0 * sample.current_a * dt_s / 3600.0 / self._capacity_ah
        if abs(sample.current_a) < REST_C_RATE * self._capacity_ah:
            pull = np.nan_to_num(told - self._pct, nan=0.0) * min(1.0, PULL_PER_S * dt_s)
            self._pct += pull
        self._pct = np.clip(self._pct, 0.0, 100.0)
        known = np.isfinite(self._pct)
        mean = float(self._pct[known].mean()) if known.any() else None
        return Estimate(mean, None, self._pct.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pack may do now. charge_limit_a, discharge_limit_a: magnitudes [A]. reason: why,
    for a person, "" where nothing limits."""

    state: SafetyState
    charge_limit_a: float
    discharge_limit_a: float
    reason: str = ""


class PackSafety(Protocol):
    """What one pack asks of its safety monitor. No layer above it relaxes what it says."""

    @property
    def contactors(self) -> tuple[bool, bool]:
        """Whether plus and minus are to be closed."""
        ...

    def order(self, action: str, by: str) -> str:
        """"controlled_shutdown", "emergency_stop" or "reset" by a person; "" when it is taken,
        else why it is refused."""
        ...


class Safety(Protocol):
    """The safety monitor of the packs of one process; everything in their order."""

    def judge(self, samples: Sequence[Sample], estimates: Sequence[Estimate],
              now_s: float) -> Sequence[Verdict]:
        """Called with every sample, before anything else is done with it. estimates: of the
        samples before."""
        ...

    def settle(self, now_s: float) -> None:
        """Called after each sample, when all that had to follow from it was done: keep what must
        outlive this process."""
        ...
