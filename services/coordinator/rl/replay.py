"""What was lived, drawn again: what surprised most is drawn most often.

Prioritised replay (Schaul et al. 2016, arXiv:1511.05952): a transition is drawn with a chance in
proportion to its priority, (|error| + least) to the power of ALPHA, and its weight corrects for
that. Draws are by the running sum of priorities; up to a few 100,000 transitions no tree is
needed.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.coordinator.problem import Floats
from services.coordinator.rl.days import I64

F32: TypeAlias = NDArray[np.float32]
ALPHA, LEAST = 0.6, 1e-3


class Batch(NamedTuple):
    """[k] each, states [k, features]. over: 1 where the day ended. weight: 0..1. at: where they
    lie, for `Replay.surprised`."""

    state: F32
    action: F32
    reward: F32
    after: F32
    over: F32
    weight: F32
    at: I64


class Replay:
    """The newest `room` transitions."""

    def __init__(self, room: int, features: int) -> None:
        self.room = room
        self._state, self._after = (np.zeros((room, features), dtype=np.float32)
                                    for _ in range(2))
        self._numbers = np.zeros((room, 3), dtype=np.float32)
        self._priority = np.zeros(room)
        self._next, self.kept, self._most = 0, 0, 1.0

    def add(self, state: Floats, action: Floats, reward: Floats, after: Floats,
            over: bool) -> None:
        """[k] each; what is new is drawn like what surprised most."""
        at = (self._next + np.arange(len(action))) % self.room
        self._state[at], self._after[at] = state, after
        self._numbers[at] = np.stack((action, reward, np.full(len(action), float(over))), axis=1)
        self._priority[at] = self._most
        self._next = int((self._next + len(action)) % self.room)
        self.kept = min(self.room, self.kept + len(action))

    def draw(self, count: int, beta: float, rng: np.random.Generator) -> Batch:
        """One from each of `count` equal parts of the sum. beta: 0..1, how far weights correct."""
        sums = np.cumsum(self._priority[:self.kept])
        marks = (np.arange(count) + rng.random(count)) / count * sums[-1]
        at = np.minimum(np.searchsorted(sums, marks, side="right"), self.kept - 1)
        chance = self._priority[at] / sums[-1]
        weight = (self.kept * chance) ** -beta
        action, reward, over = self._numbers[at].T
        return Batch(self._state[at], action, reward, self._after[at], over,
                     (weight / weight.max()).astype(np.float32), at)

    def surprised(self, at: I64, error: Floats) -> None:
        """How far the last estimates of those were off [k]."""
        self._priority[at] = (np.abs(error) + LEAST) ** ALPHA
        self._most = max(self._most, float(self._priority[at].max()))
