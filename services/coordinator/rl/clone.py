"""Behaviour cloning: a policy that says what the optimum would have said in the same place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from core.coordinator.policy import GIVE, NET, TAKE
from core.coordinator.problem import Floats
from services.coordinator.rl.days import I64, Days
from services.coordinator.rl.labels import Teacher, actions
from services.coordinator.rl.nets import Net, power_of, tensor
from services.coordinator.rl.world import World

BATCH = 1024
RATE = 2e-3
BY_ACTION = 0.1
"""How much the action itself counts beside the power that it makes."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """States [k, features] and the action that was best there [k]."""

    states: Floats
    actions: Floats

    def and_more(self, other: Lesson) -> Lesson:
        return Lesson(np.concatenate((self.states, other.states)),
                      np.concatenate((self.actions, other.actions)))


@dataclass(frozen=True, slots=True)
class Lived:
    """A day of many sites: states [STEPS + 1, b, features], actions and rewards [STEPS, b]."""

    states: Floats
    actions: Floats
    rewards: Floats

    @property
    def lesson(self) -> Lesson:
        return Lesson(self.states[:-1].reshape(-1, self.states.shape[-1]), self.actions.ravel())


def demonstrated(days: Days, day: I64, seeds: I64, teacher: Teacher) -> Lived:
    """Whole days as the optimum goes about them, with the day after in view."""
    world = World(days)
    world.begin(day, seeds)
    plan = np.stack([teacher.fleet_kw(world, site) for site in range(len(day))])
    states, said, rewards = [], [], []
    while not world.over:
        states.append(world.observe())
        said.append(actions(world, plan[:, world.step_now]))
        rewards.append(world.step(said[-1]))
    return Lived(np.stack([*states, world.observe()]), np.stack(said), np.stack(rewards))


def taught(net: Net, lesson: Lesson, rounds: int, rng: np.random.Generator,
           told: Callable[[float, float], bool] = lambda _share, _loss: True) -> Net:
    """`net` after so many passes over the lesson. told: of the part that is done and the loss;
    False ends it."""
    states, wanted = (tensor(part) for part in (lesson.states, lesson.actions))
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, rounds, RATE / 20.0)
    for number in range(rounds):
        losses = []
        order = rng.permutation(len(lesson.actions))
        for begin in range(0, len(order), BATCH):
            at = order[begin:begin + BATCH]
            loss = missed(net, states[at], wanted[at])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        schedule.step()
        if not told((number + 1) / rounds, float(np.mean(losses))):
            break
    return net


def missed(net: Net, states: Net, wanted: Net) -> Net:
    """Mean square of the power that is missed [1/h2], and of the action."""
    said = torch.tanh(net(states))[:, 0]
    here = (states[:, NET], states[:, TAKE], states[:, GIVE])
    off = power_of(said, *here) - power_of(wanted, *here)
    return (off ** 2).mean() + BY_ACTION * ((said - wanted) ** 2).mean()
