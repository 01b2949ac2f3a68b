"""What surprised most is drawn most often, and weighs less for it."""

from __future__ import annotations

import numpy as np

from services.coordinator.rl.replay import ALPHA, LEAST, Replay


def filled(room: int, count: int) -> Replay:
    replay = Replay(room, 2)
    at = np.arange(count, dtype=np.float64)
    for begin in range(0, count, 10):
        part = at[begin:begin + 10]
        replay.add(np.stack((part, part), 1), part, part, np.stack((part, part), 1) + 1.0, False)
    return replay


def test_draws_are_in_proportion_to_priorities() -> None:
    replay, rng = filled(100, 100), np.random.default_rng(1)
    error = np.arange(100, dtype=np.float64) / 10.0
    replay.surprised(np.arange(100), error)
    drawn = np.concatenate([replay.draw(50, 0.5, rng).at for _ in range(400)])
    wanted = (error + LEAST) ** ALPHA
    counts = np.bincount(drawn, minlength=100) / len(drawn)
    np.testing.assert_allclose(counts, wanted / wanted.sum(), atol=2e-3)


def test_weights_undo_the_choice() -> None:
    replay, rng = filled(50, 50), np.random.default_rng(2)
    replay.surprised(np.arange(50), np.linspace(0.1, 5.0, 50))
    batch = replay.draw(256, 1.0, rng)
    chance = (np.linspace(0.1, 5.0, 50) + LEAST) ** ALPHA
    weights = batch.weight * chance[batch.at]
    np.testing.assert_allclose(weights, weights[0], rtol=1e-5)
    assert batch.weight.max() == 1.0


def test_the_oldest_is_forgotten() -> None:
    replay = filled(30, 100)
    assert replay.kept == 30
    batch = replay.draw(200, 0.4, np.random.default_rng(3))
    assert set(batch.action.tolist()) == set(range(70, 100))
    np.testing.assert_array_equal(batch.state[:, 0], batch.action)
    np.testing.assert_array_equal(batch.after[:, 0], batch.action + 1)
