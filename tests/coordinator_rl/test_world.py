"""What a policy learns in: nothing that it says harms a pack, and the money is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.coordinator.policy import FEATURES, action_of, features, power_of
from core.coordinator.safe import rated_kw
from core.coordinator.usual import CEILING, FLOOR, RAMP_S
from services.coordinator.rl.days import EVALUATED, STEPS, fixed_days
from services.coordinator.rl.evaluate import begun, by_policy
from services.coordinator.rl.world import World
from tests.coordinator_rl.cases import days, own_use, rest

SITES = 48
OVER = 0.006
"""Of charge: what a coordinator takes for losses is not what they are, over one step. Devices begin
to cut 0.01 beyond."""


def world(seed: int = 5, sites: int = SITES) -> World:
    made = World(days())
    made.begin(np.arange(sites) % len(days()), seed + np.arange(sites))
    return made


@pytest.mark.parametrize("way", ["huge", "torn", "nothing known", "to the limits"])
def test_no_wish_takes_a_pack_out_of_its_limits(way: str) -> None:
    lived, rng = world(), np.random.default_rng(3)
    shape = lived.wear.shape
    moved = 0.0
    while not lived.over:
        wish = {"huge": rng.normal(0.0, 1e9, shape),
                "torn": rng.choice([np.nan, np.inf, -np.inf, 1e300, -1e300], shape),
                "nothing known": np.full(shape, np.nan),
                "to the limits": np.full(shape, 1e6 if lived.step_now % 40 < 20 else -1e6)}[way]
        before = lived.now.energy_kwh
        lived.step_packs(wish)
        moved += float(np.abs(lived.now.energy_kwh - before).sum())
    assert lived.violations == 0
    assert (lived.fleet.soc >= FLOOR - OVER).all()
    assert (lived.fleet.soc <= CEILING + OVER).all()
    assert (moved > 0) == (way != "nothing known")


def torn(ramp_s: float) -> tuple[World, float]:
    """A day of wishes from one extreme to the other, with room at the connection; and the most
    that an order changed, as a part of its pack's rating."""
    lived, most = World(days(), ramp_s), 0.0
    lived.begin(np.arange(SITES) % len(days()), 5 + np.arange(SITES))
    lived.import_limit_kw, rated = np.full(SITES, np.inf), rated_kw(lived.now)
    while not lived.over:
        before = lived.power_kw
        lived.step_packs(np.full(lived.wear.shape, 1e6 if lived.step_now % 4 < 2 else -1e6))
        outwards = np.abs(lived.power_kw) > np.abs(before)
        change = outwards * np.abs(lived.power_kw - before) / rated
        most = max(most, float(change.max()))
    return lived, most


def test_orders_keep_to_the_ramp_and_the_usual_one_is_over_before_a_step_is() -> None:
    slow, most = torn(20.0 * 600.0)
    assert most == pytest.approx(1.0 / 20.0), "a step of ten minutes is a twentieth of the ramp"
    assert slow.violations == 0
    usual, most = torn(RAMP_S)
    assert most > 0.5
    np.testing.assert_array_equal(usual.cost, torn(1e-6)[0].cost)


def test_a_wild_policy_breaks_nothing_and_costs_more_than_rest() -> None:
    rng = np.random.default_rng(9)
    wild = by_policy(days(), lambda states: rng.choice([-1.0, 1.0, np.nan], len(states)))
    still = by_policy(days(), rest)
    assert wild.violations == still.violations == 0
    assert wild.cost > still.cost


def test_packs_at_rest_cost_what_the_site_costs_without_them() -> None:
    lived = begun(days())
    rewards = sum(lived.step(rest(lived.observe())) for _ in range(STEPS))
    np.testing.assert_allclose(lived.total, lived.idle_cost, rtol=1e-9)
    np.testing.assert_allclose(rewards, 0.0, atol=1e-9)


def test_rewards_add_up_to_what_is_saved() -> None:
    lived = begun(days())
    price = np.abs(lived.buy[:, :STEPS].mean(axis=1))
    rewards = sum(lived.step(own_use(lived.observe())) for _ in range(STEPS))
    saved = lived.idle_cost - lived.total
    assert saved.mean() > 0
    np.testing.assert_allclose(rewards, 10.0 * saved / (lived.capacity_kwh * price), rtol=1e-9)


def test_the_same_seeds_are_the_same_day() -> None:
    first, second, other = world(5), world(5), world(6)
    np.testing.assert_array_equal(first.observe(), second.observe())
    assert (first.observe() != other.observe()).any()


def test_a_site_twice_as_large_looks_the_same() -> None:
    seen = world().sight()
    twice = replace(seen, **{name: 2.0 * getattr(seen, name) for name in (
        "capacity_kwh", "take_kw", "give_kw", "net_kw", "net_ahead_kw")})
    dear = replace(seen, **{name: 7.0 * getattr(seen, name) for name in (
        "buy", "sell", "wear_per_kwh")})
    assert features(seen).shape == (SITES, FEATURES)
    np.testing.assert_allclose(features(twice), features(seen), rtol=1e-12)
    np.testing.assert_allclose(features(dear), features(seen), rtol=1e-12)


def test_an_action_is_a_power_and_back() -> None:
    rng = np.random.default_rng(4)
    net, take, give = rng.normal(0, 40, 500), rng.uniform(0, 50, 500), rng.uniform(0, 50, 500)
    power = rng.uniform(-1, 1, 500) * np.where(rng.random(500) < 0.5, take, give)
    power = np.clip(power, -take, give)
    size = np.full(500, 100.0)
    again = power_of(action_of(power, net, take, give, size), net, take, give)
    assert np.abs(again - power).max() <= 0.005 * 100.0 + 1e-9
    ordered = power_of(np.linspace(-1, 1, 201)[:, None], net, take, give)
    assert (np.diff(ordered, axis=0) >= -1e-12).all()
    np.testing.assert_allclose(ordered[0], -take)
    np.testing.assert_allclose(ordered[-1], give)


def test_plateaus_mean_rest_and_a_connection_that_carries_nothing() -> None:
    net, take, give = np.array([20.0, -20.0]), np.full(2, 50.0), np.full(2, 50.0)
    np.testing.assert_allclose(power_of([-0.3, 0.45], net, take, give), [0.0, 0.0])
    np.testing.assert_allclose(power_of([0.3, -0.45], net, take, give), net)
    np.testing.assert_allclose(power_of([np.nan, np.inf], net, take, give), 0.0)


def test_days_of_the_evaluation_are_fixed_and_never_learnt_from() -> None:
    judged, learnt = fixed_days(365)
    again, _ = fixed_days(365)
    np.testing.assert_array_equal(judged, again)
    assert len(set(judged.tolist())) == EVALUATED
    assert not set(learnt.tolist()) & set(judged.tolist())
    assert not set((learnt + 1).tolist()) & set(judged.tolist())
