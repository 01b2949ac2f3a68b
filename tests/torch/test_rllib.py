"""The same environment under RLlib: SAC with a prioritised episode buffer on a Ray cluster of this
machine, of two nodes that a run joins by their address. `make test-rl`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
import torch
from ray.cluster_utils import Cluster as Nodes

from core.coordinator.actor import read
from core.coordinator.view import TrainingRun
from core.errors import RequestError
from services.coordinator.rl import nets, rllib
from services.coordinator.rl.export import export
from services.coordinator.rl.train import Cluster
from tests.coordinator_rl.cases import KEY, days
from tests.torch.test_learning import CHEAP, lived, training

pytestmark = pytest.mark.filterwarnings("ignore")  # RLlib's own


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A head without room for a runner, and a node beside it."""
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    yield nodes.address
    nodes.shutdown()


def test_it_begins_with_what_was_taught_and_numpy_runs_what_it_learns(address: str) -> None:
    torch.manual_seed(1)
    taught, seen, policies = nets.actor_net(), [], []

    def told(steps: int, reward: float, net: nets.Net) -> bool:
        seen.append((steps, reward))
        policies.append(nets.policy_of(net))
        return True

    states = lived().lesson.states[:50]
    with rllib.joined(address, 1):
        assert len([node for node in ray.nodes() if node["Alive"]]) == 2
        learner = rllib.config(days(), 1, 1).build_algo()
        rllib._begin_as(learner, nets.layers_of(taught))
        begun = nets.policy_of(rllib.policy_of(learner))
        lives = learner.env_runner_group.foreach_env_runner(_says(states), local_env_runner=False)
        learner.stop()
        rllib.train(days(), 1200, told, taught, runners=1, each=4, begin_after=600, batch=64)
    np.testing.assert_allclose(begun(states), nets.policy_of(taught)(states), atol=1e-6)
    np.testing.assert_allclose(lives[0], nets.policy_of(taught)(states), atol=1e-6)
    assert seen[-1][0] >= 1200
    assert math.isfinite(seen[-1][1])
    assert (policies[-1](states) != begun(states)).any()


def _says(states: np.ndarray) -> object:  # type: ignore[type-arg]
    """What RLlib's own module says on the machine where days are lived."""
    def said(runner: object) -> np.ndarray:  # type: ignore[type-arg]
        with torch.no_grad():
            found = runner.module.forward_inference(  # type: ignore[attr-defined]
                {"obs": torch.from_numpy(states.astype(np.float32))})
        return np.tanh(found["action_dist_inputs"][:, 0].numpy())

    return said


def test_a_run_on_a_cluster_is_exported_and_judged_as_any_other(address: str,
                                                                tmp_path: Path) -> None:
    folder, told = tmp_path / "run-2", list[TrainingRun]()
    folder.mkdir()
    (folder / "baselines.json").write_text(json.dumps(CHEAP))
    run = training(folder, told, Cluster(address, 1, 1200, 4, 600))
    found = run.learn()
    assert tuple(found) == run.methods == ("cloned", "dagger", "rllib")
    curve = [one for one in told if one.method == "rllib"]
    assert len(curve[-1].curve_steps) > 1
    assert curve[-1].curve_steps[-1] >= 1200
    actor, evaluation = run.judge(found, "a test")
    assert {"cloned", "rllib", "mpc"} <= set(evaluation.captured_pct)
    assert evaluation.violations == 0
    assert not evaluation.deployed  # nobody beats a champion that pays 1 a day
    assert read(export(actor, KEY, folder / "actor").path.read_bytes(), KEY).record == actor.record


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:x"])
def test_a_cluster_that_does_not_answer_is_said(address: str) -> None:
    with pytest.raises(RequestError, match=f"No Ray cluster answers at {address}"), \
            rllib.joined(address, 1):
        raise AssertionError("nobody is there")


def test_its_buffer_is_the_prioritised_one() -> None:
    made = rllib.config(days())
    assert made.replay_buffer_config["type"] == "PrioritizedEpisodeReplayBuffer"
    assert made.env_config["days"] is days()
