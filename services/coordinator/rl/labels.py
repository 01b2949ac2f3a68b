"""What would have been best, by the optimiser that is told what came: the teacher of a policy."""

from __future__ import annotations

import numpy as np

from core.coordinator.account import cost_of
from core.coordinator.clusters import grouped
from core.coordinator.judge import replacement_worth
from core.coordinator.policy import action_of
from core.coordinator.problem import Floats, Objectives, Problem
from services.coordinator.optimum import Optimiser
from services.coordinator.rl.days import STEPS
from services.coordinator.rl.told import known
from services.coordinator.rl.world import STEP_H, World, lived

GROUPS = 3
LIMIT_S = 20.0


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

    def best_cost(self, world: World, site: int) -> float:
        """Of the whole day from its first step, judged as `World.total` [currency]."""
        outlook = known(world, site)
        packs, worth = world.packs(site), replacement_worth(outlook)
        problem = Problem(packs, outlook, world.connection(site),
                          Objectives(calm=0.0, energy_value=worth))
        powers = lived(world, site, self._optimiser.find(problem, LIMIT_S).pack_kw)
        moved = (packs.efficiency[:, None] * np.maximum(-powers, 0.0)
                 - np.maximum(powers, 0.0) / packs.efficiency[:, None])
        left = STEP_H * float((moved.sum(axis=1) * packs.efficiency).sum())
        bill = cost_of(powers, packs, outlook, problem.connection, problem.objectives)
        return bill.total - worth * left


def actions(world: World, fleet_kw: Floats) -> Floats:
    """What a policy should say now for the fleets to do so [b]."""
    seen = world.sight()
    return action_of(fleet_kw, seen.net_kw, seen.take_kw, seen.give_kw, seen.capacity_kwh)
