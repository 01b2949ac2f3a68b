"""What a kWh through a pack costs it: what a new one would cost, times the part of its life that
the kWh uses up.

    wear = price x life used by a full cycle / what a full cycle moves
         = PACK_PRICE x (c - e) / (1 - e) / n / (c + e)        [currency/kWh, either way]

c: capacity now, e: at the end of its life (0.8), both parts of the new one; n: equivalent full
cycles from one to the other, so that (c - e) / (1 - e) is the life that is left and each cycle uses
an even share of it; c + e: kWh that a full cycle moves in and out meanwhile, on the mean, for each
kWh when new. It is the linear form of the cost of cycling by Xu et al., IEEE Transactions on Power
Systems 33 (2018) 2248-2259: replacement cost prorated by the life that a cycle takes. Of a new
pack (c = 1) n is what cells of its chemistry are sold with, and the result is its chemistry's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.coordinator.problem import Packs
from core.twin.fade import END

PACK_PRICE = 120.0
"""Of a new kWh of capacity [currency/kWh]."""
CYCLES: Mapping[str, float] = {"LFP": 6000.0, "NMC": 3000.0, "LCO": 1500.0}
"""Full cycles to END that cells of a chemistry are usually sold with."""
PLAUSIBLE = 2.0
"""A pack wears at most so many times as much or as little as its chemistry's: laboratories' cells
of one chemistry differ by two to three times (core/twin/life.py)."""
LEAST_A_DAY = 0.25
"""Equivalent full cycles: a pack that is used less ages by standing, which no kWh is to blame
for."""
BY_CHEMISTRY, BY_FORECAST, BY_FADE, OVER = (
    "its chemistry", "the twin's ageing forecast", "its own measured fade",
    "a life that is over: it holds less than 80 % of what it did when new")


@dataclass(frozen=True, slots=True)
class PackLife:
    """What the digital twin foretells of one pack. cycles: equivalent full ones until END, from
    `capacity` now (1 = new) on; a_day: of those. forecast: how much of it an ageing run weighs, its
    own measured fade the rest [0..1]. NaN where it is not told."""

    cycles: float
    capacity: float
    a_day: float
    forecast: float


@dataclass(frozen=True, slots=True)
class Wear:
    """per_kwh: either way [currency/kWh]; by: where it comes from, in words."""

    per_kwh: float
    by: str = BY_CHEMISTRY


def wear_per_kwh(chemistry: str) -> float:
    """Of a new pack of a chemistry, of an unknown one the worst [currency/kWh]."""
    return _cost(1.0, CYCLES.get(chemistry, min(CYCLES.values())))


def wear_of(chemistry: str, life: PackLife | None) -> Wear:
    """Of one pack: as the twin foretells its life, within PLAUSIBLE; without that, or where its
    numbers are none, its chemistry's."""
    usual = wear_per_kwh(chemistry)
    if life is not None and 0.0 < life.capacity <= END:
        return Wear(usual * PLAUSIBLE, OVER)
    if life is None or not _tells(life):
        return Wear(usual)
    by = BY_FORECAST if life.forecast >= 0.5 else BY_FADE
    found = _cost(life.capacity, life.cycles)
    bounded = min(max(found, usual / PLAUSIBLE), usual * PLAUSIBLE)
    return Wear(bounded, by if bounded == found else f"{by}, bounded")


def wear_by_kind(packs: Packs, kinds: Sequence[str]) -> dict[str, float]:
    """Mean of the packs of each chemistry, by capacity [currency/kWh]. kinds: of each pack [n]."""
    own = {name: [kind == name for kind in kinds] for name in kinds}
    return {name: float(np.average(packs.wear_per_kwh[rows], weights=packs.capacity_kwh[rows]))
            for name, rows in own.items()}


def _tells(life: PackLife) -> bool:
    """All are numbers that can be, and it is used enough."""
    return (0.0 < life.cycles < math.inf and 0.0 < life.capacity <= 1.5
            and LEAST_A_DAY <= life.a_day < math.inf and 0.0 <= life.forecast <= 1.0)


def _cost(capacity: float, cycles: float) -> float:
    return PACK_PRICE * (capacity - END) / (1.0 - END) / cycles / (capacity + END)
