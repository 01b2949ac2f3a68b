"""How the systems' power and charge move: section 4 of the seed document, one array a quantity.

Power is told as a rate [1/h]: power divided by capacity, so 0.5 is the document's
"capacity / 2". Positive discharges (law 1). s systems; all arrays float64[s].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, exp
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F64: TypeAlias = NDArray[np.float64]

IDLE, CHARGING, DISCHARGING = 0, 1, 2
MODES = ("idle", "charging", "discharging")

SOC_MIN_PCT, SOC_MAX_PCT = 5.0, 95.0
SOC_LOW_PCT, SOC_HIGH_PCT = 30.0, 85.0
TIMER_S = (10.0, 30.0)
SLEW_PER_S = 0.05
NOISE = 0.02
HEAT_TIME_CONSTANT_S = 900.0
PCT_PER_RATE_SECOND = 100.0 / 3600.0
FINE_STEP_S, COARSE_STEP_S = 1.0, 10.0
FINE_LIMIT_S = 600.0
CATCH_UP_LIMIT_S = 3600.0

# chance of idle, and of idle or charging, where SOC is low, between and high
_MODE_CHANCES = np.array([[0.2, 0.9], [1 / 3, 2 / 3], [0.2, 0.3]])
# least and most target of each mode, as a rate
_TARGETS = 0.5 * np.array([[-0.1, 0.1], [-0.8, -0.3], [0.3, 0.8]])


@dataclass(frozen=True, slots=True)
class SystemState:
    """All that the cells follow from. soc_pct [%], rate [1/h] as reported, noise included,
    heat [1/h^2], cycles: equivalent full ones since the start, elapsed_s [s] likewise."""

    soc_pct: F64
    rate: F64
    heat: F64
    cycles: F64
    elapsed_s: float

    def toward(self, other: SystemState, share: float) -> SystemState:
        """State between this one (share 0) and `other` (share 1), linear."""
        if share == 0.0:
            return self
        return SystemState(
            self.soc_pct + share * (other.soc_pct - self.soc_pct),
            self.rate + share * (other.rate - self.rate),
            self.heat + share * (other.heat - self.heat),
            self.cycles + share * (other.cycles - self.cycles),
            self.elapsed_s + share * (other.elapsed_s - self.elapsed_s))


class Process:
    """The systems' modes, power and charge over time; deterministic for a seed and its steps.

    `power` is the document's power_flow without its noise; it never moves faster than the
    slew rate. What is reported and integrated is `rate`, power with +-2 % of noise.
    """

    def __init__(self, systems: int, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 0x0F1EE7])
        self.mode = np.zeros(systems, dtype=np.int8)
        self.timer_s = np.zeros(systems)
        self.target = np.zeros(systems)
        self.power = np.zeros(systems)
        self.rate = np.zeros(systems)
        self.soc_pct = self._rng.uniform(SOC_LOW_PCT, SOC_HIGH_PCT, systems)
        self.heat = self._rng.uniform(0.03, 0.06, systems)
        self.cycles = np.zeros(systems)
        self.elapsed_s = 0.0

    def state(self) -> SystemState:
        """A copy that later steps leave alone."""
        return SystemState(self.soc_pct.copy(), self.rate.copy(), self.heat.copy(),
                           self.cycles.copy(), self.elapsed_s)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` [s] in the steps of `step_lengths`."""
        for step_s in step_lengths(seconds):
            self.step(step_s)

    def step(self, step_s: float) -> None:
        """Move on by one step [s].

        The goal is the target, cut by what the battery can still give or take
        (`braking_rate`): towards 5 % and 95 % the power falls to zero within the slew rate,
        so no energy leaves an empty battery and the clamp only removes rounding errors.
        Heat is a first-order lag, dx/dt = (rate^2 - x) / tau, solved exactly for the step.
        """
        self.timer_s -= step_s
        due = self.timer_s <= 0.0
        if due.any():
            self._choose(np.flatnonzero(due))
        goal = np.minimum(self.target, braking_rate(self.soc_pct - SOC_MIN_PCT, step_s))
        goal = np.maximum(goal, -braking_rate(SOC_MAX_PCT - self.soc_pct, step_s))
        reach = SLEW_PER_S * step_s
        self.power += np.minimum(np.maximum(goal - self.power, -reach), reach)
        noise = self._rng.random(len(self.power)) * (2.0 * NOISE) - NOISE
        self.rate = self.power * (1.0 + noise)
        charge = self.soc_pct - self.rate * (step_s * PCT_PER_RATE_SECOND)
        self.soc_pct = np.minimum(np.maximum(charge, SOC_MIN_PCT), SOC_MAX_PCT)
        lag = 1.0 - exp(-step_s / HEAT_TIME_CONSTANT_S)
        self.heat += (self.rate * self.rate - self.heat) * lag
        self.cycles += np.abs(self.rate) * (step_s / 7200.0)
        self.elapsed_s += step_s

    def _choose(self, due: NDArray[np.intp]) -> None:
        """New mode, target and timer of the systems in `due`."""
        draws = self._rng.random((3, len(due)))
        mode = choose_mode(self.soc_pct[due], draws[0])
        low, high = _TARGETS[mode].T
        self.mode[due] = mode
        self.target[due] = low + (high - low) * draws[1]
        self.timer_s[due] = TIMER_S[0] + (TIMER_S[1] - TIMER_S[0]) * draws[2]


def choose_mode(soc_pct: F64, draw: F64) -> NDArray[np.int8]:
    """Mode of each system for a uniform draw in [0, 1): below 30 % seven in ten charge, above
    85 % seven in ten discharge, between all three are equally likely."""
    band = (soc_pct >= SOC_LOW_PCT).astype(np.intp) + (soc_pct > SOC_HIGH_PCT)
    chances = _MODE_CHANCES[band]
    return (draw >= chances[:, 0]).astype(np.int8) + (draw >= chances[:, 1]).astype(np.int8)


def braking_rate(left_pct: F64, step_s: float) -> F64:
    """Highest rate [1/h] from which power can still slew to zero before `left_pct` is used up.

    One step at rate p and the ramp after it take p * step + p^2 / (2 * slew), noise at its
    worst; solved for p.
    """
    left = np.maximum(left_pct, 0.0) / (PCT_PER_RATE_SECOND * (1.0 + NOISE))
    solved: F64 = SLEW_PER_S * (np.sqrt(step_s * step_s + left * (2.0 / SLEW_PER_S)) - step_s)
    return solved


def step_lengths(seconds: float) -> Iterator[float]:
    """Equal steps [s] that fill `seconds`: at most 1 s each, 10 s in a gap of over 10 min.

    Of a gap longer than an hour only an hour is lived through, so that the first poll after
    a suspended night does not take seconds; energy and charge still agree.
    """
    lived = min(seconds, CATCH_UP_LIMIT_S)
    longest = FINE_STEP_S if seconds <= FINE_LIMIT_S else COARSE_STEP_S
    count = max(1, ceil(lived / longest - 1e-6)) if seconds > 0.0 else 0
    for _ in range(count):
        yield lived / count
