"""What would have been best, by the optimiser that is told what came: the teacher of a policy."""

from __future__ import annotations

import numpy as np

from core.coordinator.clusters import grouped
from core.coordinator.policy import action_of
from core.coordinator.problem import Floats, Objectives, Problem
from services.coordinator.optimum import Optimiser
from services.coordinator.rl.days import STEPS
from services.coordinator.rl.told import known
from services.coordinator.rl.world import World

GROUPS = 3
LIMIT_S = 20.0
ANEW = 6
"""Steps from one plan of the best to the next."""


class Teacher:
    """Plans of fleets' powers with the future known; one thread at a time."""

    def __init__(self) -> None:
        self._optimiser = Optimiser()

    def fleet_kw(self, world: World, site: int, steps: int = STEPS) -> Floats:
        """What is best for a site as it is now, with all that is known of this day and the next in
        view: the first `steps` of it [steps]."""
        problem = Problem(grouped(world.packs(site), GROUPS).virtual,
                          known(world, site, 2 * STEPS), world.connection(site))
        found: Floats = self._optimiser.find(problem, LIMIT_S).pack_kw.sum(axis=0)
        return found[:steps]

    def best(self, world: World) -> Floats:
        """Costs of the days with all of them known, planned anew from where the packs truly are,
        as `World.total` [currency], [b]."""
        sites = range(len(world.day))
        while not world.over:
            at = world.step_now % ANEW
            if at == 0:
                plans = np.stack([self._rest_of_day(world, site) for site in sites])
            world.step_packs(plans[:, :, at])
        return world.total

    def _rest_of_day(self, world: World, site: int) -> Floats:
        """Powers of its packs [n, ANEW]."""
        wanted = Objectives(calm=0.0, energy_value=float(world.worth[site]))
        problem = Problem(world.packs(site), known(world, site, STEPS - world.step_now),
                          world.connection(site), wanted)
        return self._optimiser.find(problem, LIMIT_S).pack_kw[:, :ANEW]


def actions(world: World, fleet_kw: Floats) -> Floats:
    """What a policy should say now for the fleets to do so [b]."""
    seen = world.sight()
    return action_of(fleet_kw, seen.net_kw, seen.take_kw, seen.give_kw, seen.capacity_kwh)
