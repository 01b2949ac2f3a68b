"""The networks of a policy and its critics, in PyTorch; only here and in what learns is it
needed."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.coordinator.actor import Layer
from core.coordinator.policy import FEATURES, INNER, OUTER
from core.coordinator.problem import Floats
from services.coordinator.rl.evaluate import Policy

Net: TypeAlias = Any
"""torch.nn.Module: PyTorch is not installed where types are checked."""
Tensor: TypeAlias = Any

WIDTH = 96
CRITIC_WIDTH = 128


def actor_net() -> Net:
    """Features -> what tanh makes an action of."""
    return nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(),
                         nn.Linear(WIDTH, 1))


def critic_net() -> Net:
    """Features and action -> worth of all that follows."""
    return nn.Sequential(nn.Linear(FEATURES + 1, CRITIC_WIDTH), nn.ReLU(),
                         nn.Linear(CRITIC_WIDTH, CRITIC_WIDTH), nn.ReLU(),
                         nn.Linear(CRITIC_WIDTH, 1))


def tensor(values: NDArray[np.floating[Any]]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def policy_of(net: Net) -> Policy:
    """As `core.coordinator.actor.Actor.act`."""
    def act(features: Floats) -> Floats:
        with torch.no_grad():
            found: Floats = torch.tanh(net(tensor(features)))[:, 0].numpy().astype(np.float64)
        return found

    return act


def layers_of(net: Net) -> list[Layer]:
    """Weights as numpy runs them."""
    return [(layer.weight.detach().numpy().T.astype(np.float32).copy(),
             layer.bias.detach().numpy().astype(np.float32).copy())
            for layer in net if isinstance(layer, nn.Linear)]


def taken_over(layers: list[Layer]) -> Net:
    """A network with those weights."""
    net = actor_net()
    own = [layer for layer in net if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, (weights, offsets) in zip(own, layers, strict=True):
            layer.weight.copy_(tensor(weights.T))
            layer.bias.copy_(tensor(offsets))
    return net


def power_of(action: Tensor, net_kw: Tensor, take_kw: Tensor, give_kw: Tensor) -> Tensor:
    """As core/coordinator/policy.py, so that an error counts as the power that it makes."""
    balance = torch.minimum(torch.maximum(net_kw, -take_kw), give_kw)
    low, high = balance.clamp(max=0.0), balance.clamp(min=0.0)
    first = ((action + 1.0) / (1.0 - OUTER)).clamp(0.0, 1.0)
    second = ((action + INNER) / (2.0 * INNER)).clamp(0.0, 1.0)
    third = ((action - OUTER) / (1.0 - OUTER)).clamp(0.0, 1.0)
    return -take_kw + first * (low + take_kw) + second * (high - low) + third * (give_kw - high)
