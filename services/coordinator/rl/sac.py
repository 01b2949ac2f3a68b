"""Soft actor-critic (Haarnoja et al. 2018, arXiv:1812.05905) with prioritised replay, from a policy
that was taught and demonstrations as its first memories."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.coordinator.problem import Floats
from services.coordinator.rl.clone import Lived
from services.coordinator.rl.days import I64, Days
from services.coordinator.rl.nets import Net, Tensor, critic_net, tensor
from services.coordinator.rl.replay import Batch, Replay
from services.coordinator.rl.world import World

SITES = 32
BATCH = 256
DISCOUNT = 0.995
"""Of a step: what comes 14 hours later counts half."""
FOLLOW = 0.005
RATE, ACTOR_RATE = 3e-4, 2e-5
WARM_UP = 6000
"""Updates of the critics alone, so that a taught policy is not led by guesses."""
ENTROPY = -2.5
"""That is aimed for; an action that is nearly sure."""
FIRST_SPREAD, LEAST_SPREAD, MOST_SPREAD = -2.5, -5.0, 0.0
"""Logarithms of a deviation before tanh."""
FIRST_WARMTH = 1e-3
STAY = 2.0
"""How much it counts to be off what was taught, beside the critics' estimate."""
BETA = (0.4, 1.0)
UPDATES = 8
"""For each step of all sites."""
TINY = 1e-6


@dataclass(slots=True)
class Learner:
    """actor, and all that it is learnt with. taught: what it began as; updates: so far."""

    actor: Net
    taught: Net
    deviation: Tensor
    critics: list[Net]
    targets: list[Net]
    warmth: Tensor
    actor_step: Any
    critic_step: Any
    warmth_step: Any
    updates: int = 0

    @classmethod
    def of(cls, net: Net) -> Learner:
        actor, taught = copy.deepcopy(net), copy.deepcopy(net)
        deviation = torch.full((1,), FIRST_SPREAD, requires_grad=True)
        warmth = torch.tensor([math.log(FIRST_WARMTH)], requires_grad=True)
        critics = [critic_net(), critic_net()]
        return cls(actor, taught, deviation, critics, copy.deepcopy(critics), warmth,
                   torch.optim.Adam([*actor.parameters(), deviation], lr=ACTOR_RATE),
                   torch.optim.Adam([one for critic in critics for one in critic.parameters()],
                                    lr=RATE),
                   torch.optim.Adam([warmth], lr=RATE))

    def kept(self) -> dict[str, Any]:
        """All that a later process goes on with."""
        return {"nets": [net.state_dict() for net in self._nets], "updates": self.updates,
                "deviation": self.deviation.detach(), "warmth": self.warmth.detach(),
                "steps": [one.state_dict() for one in self._steps]}

    def resume(self, kept: dict[str, Any]) -> None:
        for net, state in zip(self._nets, kept["nets"], strict=True):
            net.load_state_dict(state)
        for one, state in zip(self._steps, kept["steps"], strict=True):
            one.load_state_dict(state)
        with torch.no_grad():
            self.deviation.copy_(kept["deviation"])
            self.warmth.copy_(kept["warmth"])
        self.updates = kept["updates"]

    @property
    def _nets(self) -> list[Net]:
        return [self.actor, self.taught, *self.critics, *self.targets]

    @property
    def _steps(self) -> list[Any]:
        return [self.actor_step, self.critic_step, self.warmth_step]

    def explored(self, states: Floats) -> Floats:
        with torch.no_grad():
            found: Floats = self._sampled(tensor(states))[0].numpy().astype(np.float64)
        return found

    def _sampled(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Actions [k] and the logarithm of their density."""
        middle = self.actor(states)[:, 0]
        deviation = self.deviation.clamp(LEAST_SPREAD, MOST_SPREAD).exp()
        noise = torch.randn_like(middle)
        raw = middle + deviation * noise
        action = torch.tanh(raw)
        density = (-0.5 * noise ** 2 - deviation.log() - 0.5 * math.log(2.0 * math.pi)
                   - torch.log(1.0 - action ** 2 + TINY))
        return action, density

    def learn(self, batch: Batch) -> Floats:
        """One update; how far the critics were off [k]."""
        error = self._criticised(batch)
        self.updates += 1
        if self.updates > WARM_UP:
            self._improved(tensor(batch.state))
        with torch.no_grad():
            for critic, target in zip(self.critics, self.targets, strict=True):
                for own, slow in zip(critic.parameters(), target.parameters(), strict=True):
                    slow.lerp_(own, FOLLOW)
        return error

    def _criticised(self, batch: Batch) -> Floats:
        state, after = tensor(batch.state), tensor(batch.after)
        with torch.no_grad():
            action, density = self._sampled(after)
            worth = torch.minimum(*(valued(net, after, action) for net in self.targets))
            worth = worth - self.warmth.exp() * density
            aim = tensor(batch.reward) + DISCOUNT * (1.0 - tensor(batch.over)) * worth
        offs = [valued(net, state, tensor(batch.action)) - aim for net in self.critics]
        loss = (tensor(batch.weight) * (offs[0] ** 2 + offs[1] ** 2)).mean()
        self.critic_step.zero_grad()
        loss.backward()
        self.critic_step.step()
        found: Floats = offs[0].detach().numpy().astype(np.float64)
        return found

    def _improved(self, state: Tensor) -> None:
        action, density = self._sampled(state)
        worth = torch.minimum(*(valued(net, state, action) for net in self.critics))
        with torch.no_grad():
            taught = torch.tanh(self.taught(state))[:, 0]
        off = (torch.tanh(self.actor(state))[:, 0] - taught) ** 2
        loss = (self.warmth.exp().detach() * density - worth + STAY * off).mean()
        self.actor_step.zero_grad()
        loss.backward()
        self.actor_step.step()
        warmth = -(self.warmth.exp() * (density.detach().mean() + ENTROPY))
        self.warmth_step.zero_grad()
        warmth.backward()
        self.warmth_step.step()


def valued(critic: Net, state: Tensor, action: Tensor) -> Tensor:
    return critic(torch.cat((state, action[:, None]), dim=1))[:, 0]


def remembered(lived: Lived, replay: Replay) -> None:
    """Demonstrations as the first memories."""
    last = len(lived.actions) - 1
    for at, (action, reward) in enumerate(zip(lived.actions, lived.rewards, strict=True)):
        replay.add(lived.states[at], action, reward, lived.states[at + 1], at == last)


def fine_tuned(learner: Learner, replay: Replay, days: Days, updates: int,
               rng: np.random.Generator, told: Callable[[Learner], bool]) -> Net:
    """Goes on until so many updates. told: called after each day lived; False ends it."""
    world = World(days)
    while learner.updates < updates:
        day: I64 = rng.integers(0, len(days), SITES)
        world.begin(day, rng.integers(1 << 20, 1 << 40, SITES))
        before = world.observe()
        while not world.over:
            action = learner.explored(before)
            reward = world.step(action)
            after = world.observe()
            replay.add(before, action, reward, after, world.over)
            before = after
            share = min(1.0, learner.updates / updates)
            for _ in range(UPDATES):
                batch = replay.draw(BATCH, BETA[0] + share * (BETA[1] - BETA[0]), rng)
                replay.surprised(batch.at, learner.learn(batch))
        if not told(learner):
            break
    return learner.actor

