"""The same environment under Ray RLlib: SAC with a prioritised episode buffer, its environments on
as many machines as a Ray cluster has. Optional: `pip install -r requirements-rllib.txt`.

It begins with the policy that was taught, and what it makes of it is the same small network
(services/coordinator/rl/nets.py), so that it is exported, judged and run like any other.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import torch
from ray.rllib.algorithms.sac import SACConfig
from torch import nn

from core.coordinator.actor import Layer
from core.errors import RequestError
from services.coordinator.rl.days import Days
from services.coordinator.rl.env import FleetEnv
from services.coordinator.rl.nets import WIDTH, Net, layers_of, taken_over, tensor
from services.coordinator.rl.sac import ACTOR_RATE, BATCH, DISCOUNT, FIRST_SPREAD, FOLLOW, RATE

ROOM = 200_000
BUFFER = {"type": "PrioritizedEpisodeReplayBuffer", "capacity": ROOM, "alpha": 0.6, "beta": 0.4}
MODEL = {"fcnet_hiddens": [WIDTH, WIDTH], "fcnet_activation": "relu", "head_fcnet_hiddens": []}
MODULE = "default_policy"
ANSWERS_S = 5.0
LOCAL = "local"
"""Instead of a cluster's address: one of this machine alone, for the time of a run."""
ROOT = Path(__file__).parents[3]
PACKAGES = ("core", "services")
"""That the machines of a cluster are sent, as they are here."""


@contextmanager
def joined(address: str, runners: int) -> Iterator[None]:
    """In the cluster at an address (host:port, ray://host:port, auto), or LOCAL. Raises
    RequestError where none answers."""
    _see_that_it_answers(address)
    code = {"py_modules": [str(ROOT / name) for name in PACKAGES]}
    where: dict[str, Any] = {"address": address} if address != LOCAL else {
        "num_cpus": runners + 1, "include_dashboard": False}
    try:
        ray.init(log_to_driver=False, runtime_env=code, **where)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise _nobody(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()


def _see_that_it_answers(address: str) -> None:
    """Ray itself goes on asking for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), ANSWERS_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _nobody(address, error) from error


def _nobody(address: str, error: Exception) -> RequestError:
    return RequestError(f"No Ray cluster answers at {address}: {error}. See that it runs (ray "
                        "status), or give --ray local")


def config(days: Days, runners: int = 1, each: int = 4, begin_after: int = 1500,
           batch: int = BATCH) -> Any:
    """runners: processes on the cluster; each: environments in one; begin_after: steps that are
    lived before anything is learnt."""
    made: Any = SACConfig
    return (made()
            .environment(FleetEnvOf, env_config={"days": days})
            .env_runners(num_env_runners=runners, num_envs_per_env_runner=each,
                         rollout_fragment_length=4)
            .rl_module(model_config=MODEL)
            .training(gamma=DISCOUNT, tau=FOLLOW, train_batch_size_per_learner=batch,
                      actor_lr=ACTOR_RATE, critic_lr=RATE, alpha_lr=RATE, initial_alpha=1e-3,
                      replay_buffer_config=BUFFER,
                      num_steps_sampled_before_learning_starts=begin_after))


class FleetEnvOf(FleetEnv):
    """As RLlib makes it, on whichever machine."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["days"])


def train(days: Days, steps: int, told: Callable[[int, float, Net], bool],
          taught: Net | None = None, **how: int) -> None:
    """Until so many environment steps were lived, by the policy `taught` or a new one. told: of
    the steps, of the mean reward of the last days that ended (NaN before one did) and of the
    policy as it is then; False ends it. Ray is begun and ended by the caller."""
    learner = config(days, **how).build_algo()
    try:
        if taught is not None:
            _begin_as(learner, layers_of(taught))
        lived, reward = 0, math.nan
        while lived < steps:
            found = learner.train()["env_runners"]
            lived = int(found["num_env_steps_sampled_lifetime"])
            newest = float(found.get("episode_return_mean", math.nan))
            reward = reward if math.isnan(newest) else newest
            if not told(lived, reward, policy_of(learner)):
                break
    finally:
        learner.stop()


def policy_of(learner: Any) -> Net:
    """What RLlib's learner makes of the middle of its actions, as a network of our own."""
    found: list[list[Layer]] = []
    learner.learner_group.foreach_learner(lambda one, **_: found.append(
        _middle(_linear(one.module[MODULE]))))
    return taken_over(found[0])


def _begin_as(learner: Any, layers: list[Layer]) -> None:
    """Critics stay new; the spread of actions begins small, so that what was taught is lived."""
    learner.learner_group.foreach_learner(lambda one, **_: _take(_linear(one.module[MODULE]),
                                                                layers))
    learner.env_runner_group.sync_weights(from_worker_or_learner_group=learner.learner_group,
                                          inference_only=True)


def _linear(module: Any) -> list[Net]:
    return [layer for part in (module.pi_encoder, module.pi) for layer in part.modules()
            if isinstance(layer, nn.Linear)]


def _middle(own: list[Net]) -> list[Layer]:
    """Of its two outputs the first is the middle, the second the logarithm of the spread."""
    layers = [(layer.weight.detach().cpu().numpy().T.copy(),
               layer.bias.detach().cpu().numpy().copy()) for layer in own]
    weights, offsets = layers[-1]
    return [*layers[:-1], (weights[:, :1].copy(), offsets[:1].copy())]


def _take(own: list[Net], layers: list[Layer]) -> None:
    with torch.no_grad():
        for layer, (weights, offsets) in zip(own, layers, strict=True):
            many = weights.shape[1]
            layer.weight[:many].copy_(tensor(weights.T))
            layer.bias[:many].copy_(tensor(offsets))
        own[-1].weight[1:].zero_()
        own[-1].bias[1:].fill_(FIRST_SPREAD)
