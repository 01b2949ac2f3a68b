"""The world as environments of gymnasium, one site or many at once; the projection onto what packs
may do is inside of `step` (services/coordinator/rl/world.py)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from core.coordinator.policy import FEATURES, MOST
from services.coordinator.rl.days import I64, Days
from services.coordinator.rl.world import World

Observation = NDArray[np.float32]
SEEN = gymnasium.spaces.Box(-MOST, MOST, (FEATURES,), np.float32)
SAID = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
LAST_SEED = 1 << 40


class FleetEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One site, a day an episode: which day and which fleet, its seed says."""

    metadata = {"render_modes": []}
    observation_space, action_space = SEEN, SAID

    def __init__(self, days: Days) -> None:
        self._world = World(days)

    def reset(self, *, seed: int | None = None,
              options: dict[str, Any] | None = None) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        _begin(self._world, self.np_random, 1)
        return self._world.observe()[0].astype(np.float32), {}

    def step(self, action: NDArray[np.float32],
             ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """A day that is over is cut off, not at its end: what is stored still has its worth."""
        reward = self._world.step(np.asarray(action).reshape(1))
        seen = self._world.observe()[0].astype(np.float32)
        return seen, float(reward[0]), False, self._world.over, _told(self._world)


class FleetVectorEnv(gymnasium.vector.VectorEnv[Observation, NDArray[np.float32],
                                                NDArray[np.float64]]):
    """Many sites in step, each on a day and with a fleet of its own."""

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, days: Days, sites: int) -> None:
        self._world, self.num_envs = World(days), sites
        self.single_observation_space, self.single_action_space = SEEN, SAID
        self.observation_space = batch_space(SEEN, sites)
        self.action_space = batch_space(SAID, sites)

    def reset(self, *, seed: int | list[int | None] | None = None,
              options: dict[str, Any] | None = None) -> tuple[Observation, dict[str, Any]]:
        first = seed[0] if isinstance(seed, list) else seed
        super().reset(seed=first)
        _begin(self._world, self.np_random, self.num_envs)
        return self._world.observe().astype(np.float32), {}

    def step(self, actions: NDArray[np.float32]) -> tuple[
            Observation, NDArray[np.float64], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """All days end together; the step after that begins the next ones."""
        never = np.zeros(self.num_envs, dtype=np.bool_)
        if self._world.over:
            seen, told = self.reset()
            return seen, np.zeros(self.num_envs), never, never, told
        reward = self._world.step(np.asarray(actions)[:, 0])
        over = np.full(self.num_envs, self._world.over)
        seen = self._world.observe().astype(np.float32)
        return seen, reward, never, over, _told(self._world)


def _begin(world: World, rng: np.random.Generator, sites: int) -> None:
    day: I64 = rng.integers(0, len(world.days), sites)
    world.begin(day, rng.integers(0, LAST_SEED, sites))


def _told(world: World) -> dict[str, Any]:
    return {"violations": world.violations}
