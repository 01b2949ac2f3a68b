"""A fleet's power by its packs, step by step, to those first that gain most by it.

A pack gives above the price at which what it holds is worth less than what giving brings, and
takes below the one at which storing pays (worth.py): the more the further it goes. The price at
which all together make the fleet's power is found, and told. Seldom one fills another, where that
gains, as in an optimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.coordinator.account import after, reach
from core.coordinator.problem import Floats, Packs
from core.coordinator.projection import project_fleets
from core.errors import RetryLaterError
from services.coordinator.worth import LEVELS, Worth

LEAST_RISE = 1e-5
"""From no power to all of it [currency/kWh]: no two packs are quite the same."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """Of each pack [n]: its kind, its wear as it is weighed [currency/kWh], and by how much that
    and its efficiency differ from its kind's."""

    kind: NDArray[np.int64]
    wear: Floats
    off_wear: Floats
    off_efficiency: Floats


@dataclass(frozen=True, slots=True)
class Calm:
    """Weights of power itself [n] and of what differs from the plan before [steps, n]
    [currency/kW2], and the power of that plan [kW]: `build.calm_of`."""

    even: Floats
    calm: Floats
    before: Floats


@dataclass(frozen=True, slots=True)
class _Offer:
    """What packs give at most, from which price on, and at which they give all of it; take
    alike, downwards [n]."""

    give: Floats
    give_from: Floats
    give_all: Floats
    take: Floats
    take_from: Floats
    take_all: Floats

    def cleared(self, total: float, near: float) -> tuple[Floats, float]:
        """What all do for `total` [kW], and at what price: at `near` where that does. What a pack
        gives rises with the price in a straight line inside its box, and so does what it takes: the
        powers are a projection onto the boxes and the total, the price its multiplier."""
        rises = np.concatenate((_rise(self.give, self.give_all - self.give_from),
                                _rise(self.take, self.take_from - self.take_all)))
        nothing = np.zeros(len(self.give))
        powers, price = project_fleets(
            -rises * np.concatenate((self.give_from, self.take_from)),
            np.concatenate((nothing, -self.take)), np.concatenate((self.give, nothing)),
            np.array([total]), np.zeros(1, dtype=np.int64), 1.0 / rises, near)
        given, taken = np.split(powers, 2)
        return given + taken, float(price[0])


def _rise(most: Floats, span: Floats) -> Floats:
    """kW for each currency/kWh; a pack that can do nothing gets a slope all the same."""
    return np.where(most > 0, most, 1.0) / span


def by_merit(packs: Packs, kinds: Kinds, worth: Worth, fleet_kw: Floats, price: Floats,
             step_h: float, calm: Calm,
             late: Callable[[], bool] = lambda: False) -> tuple[Floats, Floats]:
    """Powers [n, steps] whose sums are fleet_kw [steps] as far as packs can, and the price of each
    step [currency/kWh]: the one that is given where it does. Raises RetryLaterError where it gets
    `late`, which each step asks."""
    energy = packs.energy_kwh.astype(np.float64)
    powers, prices = np.zeros((len(packs), len(fleet_kw))), np.zeros(len(fleet_kw))
    floor = packs.floor * packs.capacity_kwh
    levels = (LEVELS - 1) / np.maximum((packs.ceiling - packs.floor) * packs.capacity_kwh, 1e-9)

    def told(step: int, energy_kwh: Floats) -> Floats:
        at = np.minimum(np.maximum((energy_kwh - floor) * levels, 0.0), LEVELS - 1.0)
        below = np.minimum(at.astype(np.int64), LEVELS - 2)
        part, place = at - below, kinds.kind * LEVELS + below
        values = worth[step].take(place, axis=1)
        own, by_wear, by_efficiency = values + (worth[step].take(place + 1, axis=1) - values) * part
        found: Floats = own + kinds.off_wear * by_wear + kinds.off_efficiency * by_efficiency
        return found

    for step in range(len(fleet_kw)):
        if late():
            raise RetryLaterError("there is no time left to give power by merit")
        take, give = reach(packs, energy, step_h)
        ends = told(step, np.stack((energy, energy - give * step_h / packs.efficiency,
                                    energy + take * step_h * packs.efficiency)))
        offer = _offer(packs, kinds, take, give, ends, step, step_h, calm)
        powers[:, step], prices[step] = offer.cleared(
            float(fleet_kw[step]), float(price[step]))
        energy = after(packs, energy, powers[:, step], step_h)
    return powers, prices


def _offer(packs: Packs, kinds: Kinds, take: Floats, give: Floats,
           ends: Floats, step: int, step_h: float, calm: Calm) -> _Offer:
    """ends: worth of a stored kWh where packs are, and after all is given, or taken [3, n]."""
    here, emptier, fuller = ends
    rise, before = 2.0 / step_h * (calm.even + calm.calm[step]), calm.before[step]
    used = 2.0 / step_h * calm.calm[step] * before
    takes = here * packs.efficiency - kinds.wear - np.minimum(used, 0.0)
    gives = np.maximum(here / packs.efficiency + kinds.wear - np.maximum(used, 0.0), takes)
    return _Offer(
        give, gives, gives + np.maximum((emptier - here) / packs.efficiency, 0.0) + rise * give
        + LEAST_RISE,
        take, takes, takes - np.maximum((here - fuller) * packs.efficiency, 0.0) - rise * take
        - LEAST_RISE)
