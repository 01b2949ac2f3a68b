"""DAgger (Ross, Gordon and Bagnell 2011, arXiv:1011.0686): the policy drives, and the optimum says
what it should have done where it came to."""

from __future__ import annotations

import numpy as np

from core.coordinator.problem import Floats
from services.coordinator.rl.clone import Lesson
from services.coordinator.rl.days import I64, Days
from services.coordinator.rl.evaluate import Policy
from services.coordinator.rl.labels import Teacher, actions
from services.coordinator.rl.world import World

EVERY = 12
"""Steps from one question to the optimum to the next; its answer holds so long."""


def corrected(days: Days, day: I64, seeds: I64, policy: Policy, teacher: Teacher) -> Lesson:
    """Where the policy comes to, and what would have been best there."""
    world = World(days)
    world.begin(day, seeds)
    states, best = [], []
    plan: Floats = np.zeros((len(day), EVERY))
    while not world.over:
        at = world.step_now % EVERY
        if at == 0:
            plan = np.stack([teacher.fleet_kw(world, site, EVERY) for site in range(len(day))])
        states.append(world.observe())
        best.append(actions(world, plan[:, at]))
        world.step(policy(states[-1]))
    return Lesson(np.concatenate(states), np.concatenate(best))
