"""The environments are gymnasium's, one site and many."""

from __future__ import annotations

import numpy as np
from gymnasium.utils.env_checker import check_env

from services.coordinator.rl.days import STEPS
from services.coordinator.rl.env import FleetEnv, FleetVectorEnv
from tests.coordinator_rl.cases import days

SITES = 5


def test_gymnasium_finds_nothing_wrong() -> None:
    check_env(FleetEnv(days()), skip_render_check=True)


def test_a_day_is_cut_off_after_its_last_step() -> None:
    env = FleetEnv(days())
    env.reset(seed=1)
    for step in range(STEPS):
        seen, reward, ended, cut, told = env.step(np.array([1.0], dtype=np.float32))
        assert (ended, cut) == (False, step == STEPS - 1)
    assert env.observation_space.contains(seen)
    assert np.isfinite(reward)
    assert told == {"violations": 0}


def test_many_sites_begin_anew_together() -> None:
    env = FleetVectorEnv(days(), SITES)
    first, _ = env.reset(seed=2)
    again, _ = env.reset(seed=2)
    np.testing.assert_array_equal(first, again)
    said = np.zeros((SITES, 1), dtype=np.float32)
    for step in range(STEPS):
        seen, rewards, ended, cut, _ = env.step(said)
        assert env.observation_space.contains(seen)
        assert rewards.shape == (SITES,)
        assert not ended.any()
        assert cut.all() == (step == STEPS - 1)
    seen, rewards, _, cut, _ = env.step(said)
    assert not cut.any()
    assert (rewards == 0).all()
    assert (seen != first).any()
