"""The same environment under RLlib: SAC with a prioritised episode buffer on a Ray cluster of this
machine. `make test-rl`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from services.coordinator.rl import rllib
from tests.coordinator_rl.cases import days

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False,
             runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
    yield
    ray.shutdown()


@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore")  # RLlib's own
def test_a_cluster_lives_days_and_learns() -> None:
    seen: list[tuple[int, float]] = []

    def told(steps: int, reward: float) -> bool:
        seen.append((steps, reward))
        return True

    rllib.train(days(), 1200, told, runners=1, each=4, begin_after=600, batch=64)
    assert seen[-1][0] >= 1200
    assert math.isfinite(seen[-1][1])


def test_its_buffer_is_the_prioritised_one() -> None:
    made = rllib.config(days())
    assert made.replay_buffer_config["type"] == "PrioritizedEpisodeReplayBuffer"
    assert made.env_config["days"] is days()
