"""The same environment under Ray RLlib: SAC with a prioritised episode buffer, its environments on
as many machines as a Ray cluster has. Optional: `pip install -r requirements-rllib.txt`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ray.rllib.algorithms.sac import SACConfig

from services.coordinator.rl.days import Days
from services.coordinator.rl.env import FleetEnv
from services.coordinator.rl.sac import BATCH, DISCOUNT, FOLLOW

ROOM = 200_000
BUFFER = {"type": "PrioritizedEpisodeReplayBuffer", "capacity": ROOM, "alpha": 0.6, "beta": 0.4}


def config(days: Days, runners: int = 1, each: int = 4, begin_after: int = 1500,
           batch: int = BATCH) -> Any:
    """runners: processes on the cluster; each: environments in one; begin_after: steps that are
    lived before anything is learnt."""
    made: Any = SACConfig
    return (made()
            .environment(FleetEnvOf, env_config={"days": days})
            .env_runners(num_env_runners=runners, num_envs_per_env_runner=each,
                         rollout_fragment_length=4)
            .training(gamma=DISCOUNT, tau=FOLLOW, train_batch_size_per_learner=batch,
                      replay_buffer_config=BUFFER,
                      num_steps_sampled_before_learning_starts=begin_after))


class FleetEnvOf(FleetEnv):
    """As RLlib makes it, on whichever machine."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["days"])


def train(days: Days, steps: int, told: Callable[[int, float], bool], **how: int) -> None:
    """Until so many environment steps were lived. told: of the steps and of the mean reward of the
    last days that ended, NaN before one did; False ends it. Ray is begun and ended by the
    caller."""
    learner = config(days, **how).build_algo()
    try:
        lived, reward = 0, math.nan
        while lived < steps:
            found = learner.train()["env_runners"]
            lived = int(found["num_env_steps_sampled_lifetime"])
            newest = float(found.get("episode_return_mean", math.nan))
            reward = reward if math.isnan(newest) else newest
            if not told(lived, reward):
                break
    finally:
        learner.stop()
