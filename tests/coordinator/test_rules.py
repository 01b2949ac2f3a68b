"""Rules against what they promise, for packs and hours at random."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.coordinator.account import cost_of, driven, moved_on, reach, stored
from core.coordinator.problem import (
    Band,
    Connection,
    Floats,
    Objectives,
    Outlook,
    Packs,
    Problem,
)
from core.coordinator.rules import Off, RuleBased, shared
from core.errors import RequestError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STYLES = ("self-consumption", "time-of-use")


def band(values: Floats) -> Band:
    return Band(values, values, values)


def outlook(load: Floats, pv: Floats, buy: Floats, sell: Floats | None = None,
            step_s: float = 3600.0) -> Outlook:
    return Outlook(NOW, step_s, band(load), band(pv), buy,
                   np.zeros(len(buy)) if sell is None else sell)


def packs(count: int = 1, stored_part: float = 0.5, capacity: float = 10.0,
          power: float = 5.0) -> Packs:
    one = np.ones(count)
    return Packs(tuple(f"p{number}" for number in range(count)), capacity * one,
                 stored_part * capacity * one, power * one, power * one, 0.9 * one, 0.01 * one,
                 0.1 * one, 0.9 * one)


def random_problem(seed: int, count: int) -> Problem:
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 40))
    own = replace(packs(count), capacity_kwh=rng.uniform(5, 50, count),
                  charge_kw=rng.uniform(0, 20, count), discharge_kw=rng.uniform(0, 20, count),
                  efficiency=rng.uniform(0.85, 1.0, count))
    own = replace(own, energy_kwh=rng.uniform(0.0, 1.0, count) * own.capacity_kwh)
    return Problem(own, outlook(rng.uniform(0, 30, steps), rng.uniform(0, 40, steps),
                                rng.uniform(-0.2, 0.6, steps), step_s=900.0),
                   Connection(float(rng.uniform(5, 40)), float(rng.uniform(5, 40))),
                   Objectives(reserve=float(rng.uniform(0, 0.4))))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 6), style=st.sampled_from(STYLES))
def test_no_pack_leaves_its_limits(seed: int, count: int, style: str) -> None:
    problem = random_problem(seed, count)
    plan = RuleBased(style).plan(problem, NOW, 1.0)  # type: ignore[arg-type]
    own, powers = problem.packs, plan.pack_kw
    assert (powers <= own.discharge_kw[:, None] + 1e-9).all()
    assert (-powers <= own.charge_kw[:, None] + 1e-9).all()
    assert np.allclose(plan.energy_kwh, stored(own, powers, 0.25))
    floor = np.minimum(own.energy_kwh, np.maximum(own.floor, problem.objectives.reserve)
                       * own.capacity_kwh)
    ceiling = np.maximum(own.energy_kwh, own.ceiling * own.capacity_kwh)
    assert (plan.energy_kwh >= floor[:, None] - 1e-9).all()
    assert (plan.energy_kwh <= ceiling[:, None] + 1e-9).all()
    assert np.allclose(plan.grid_kw, problem.outlook.net_kw - plan.fleet_kw)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), style=st.sampled_from(STYLES))
def test_what_is_exceeded_is_said_and_nothing_else(seed: int, style: str) -> None:
    problem = random_problem(seed, 3)
    plan = RuleBased(style).plan(problem, NOW, 1.0)  # type: ignore[arg-type]
    over = {"import limit": float((plan.grid_kw - problem.connection.import_limit_kw).max()),
            "export limit": float((-plan.grid_kw - problem.connection.export_limit_kw).max())}
    told = {one.limit: one for one in plan.exceeded}
    for limit, most in over.items():
        assert (limit in told) == (most > 1e-6)
        if limit in told:
            assert told[limit].by == pytest.approx(most)
            assert told[limit].why


def test_self_consumption_takes_the_surplus_and_gives_what_lacks() -> None:
    problem = Problem(packs(2), outlook(np.array([0.0, 4.0, 9.0]), np.array([3.0, 0.0, 0.0]),
                                        np.array([0.2, 0.2, 0.2])))
    plan = RuleBased().plan(problem, NOW, 1.0)
    assert plan.fleet_kw[:2].tolist() == pytest.approx([-3.0, 4.0])
    left = float((plan.energy_kwh[:, 2] - 1.0).sum()) * 0.9
    assert plan.fleet_kw[2] == pytest.approx(min(left, 9.0))
    assert plan.controller == "rule-based"
    assert plan.cost == cost_of(plan.pack_kw, problem.packs, problem.outlook, Connection(),
                                Objectives())


def test_time_of_use_buys_cheap_what_dear_hours_want() -> None:
    price = np.repeat([0.1, 0.25, 0.5], 4)
    load = np.full(12, 1.0)
    plan = RuleBased("time-of-use").plan(
        Problem(packs(1, 0.1), outlook(load, np.zeros(12), price)), NOW, 1.0)
    assert plan.fleet_kw[:3].tolist() == [0.0] * 3, "it may wait"
    assert plan.fleet_kw[3] == pytest.approx(-4.0 / 0.9 / 0.9), "it charges from the grid"
    assert plan.fleet_kw[4:8].tolist() == [0.0] * 4, "it waits"
    assert plan.fleet_kw[8:].tolist() == pytest.approx([1.0] * 4), "it gives what is used"
    assert plan.energy_kwh[0, -1] == pytest.approx(1.0), "it bought no more than that"


def test_time_of_use_begins_early_enough() -> None:
    """A slow pack, or a narrow connection, takes all of the cheap hours that it needs."""
    price = np.repeat([0.1, 0.25, 0.5], 4)
    asked = outlook(np.full(12, 1.0), np.zeros(12), price)
    slow = RuleBased("time-of-use").plan(Problem(packs(1, 0.1, power=1.5), asked), NOW, 1.0)
    narrow = RuleBased("time-of-use").plan(
        Problem(packs(1, 0.1), asked, Connection(import_limit_kw=2.5)), NOW, 1.0)
    for plan in (slow, narrow):
        assert plan.fleet_kw[:4].tolist() == pytest.approx([-0.4382716, -1.5, -1.5, -1.5])
        assert plan.fleet_kw[8:].tolist() == pytest.approx([1.0] * 4)
        assert not plan.exceeded


def test_time_of_use_gives_what_is_over_at_any_hour() -> None:
    """Full, and the dear hours want 4 kWh: the rest goes where it is used first."""
    price = np.repeat([0.1, 0.25, 0.5], 4)
    plan = RuleBased("time-of-use").plan(
        Problem(packs(1, 0.9), outlook(np.full(12, 1.0), np.zeros(12), price)), NOW, 1.0)
    assert plan.fleet_kw[:3].tolist() == pytest.approx([1.0] * 3)
    assert plan.fleet_kw[8:].tolist() == pytest.approx([1.0] * 4)


def test_time_of_use_keeps_nothing_that_cheap_hours_can_bring() -> None:
    """Dear, then middling, cheap, dear again: what is left after the first dear hours goes before
    the cheap ones."""
    price = np.repeat([0.5, 0.25, 0.1, 0.5], 3)
    plan = RuleBased("time-of-use").plan(
        Problem(packs(1, 0.9), outlook(np.full(12, 1.0), np.zeros(12), price)), NOW, 1.0)
    assert plan.fleet_kw[:6].tolist() == pytest.approx([1.0] * 6)
    assert plan.energy_kwh[0, 9] == pytest.approx(1.0 + 3.0 / 0.9)
    assert plan.fleet_kw[9:].tolist() == pytest.approx([1.0] * 3)


def test_time_of_use_lets_the_sun_fill_what_it_will() -> None:
    price = np.repeat([0.1, 0.25, 0.5], 4)
    pv = np.repeat([0.0, 4.0, 0.0], 4)
    plan = RuleBased("time-of-use").plan(
        Problem(packs(1, 0.1), outlook(np.full(12, 1.0), pv, price)), NOW, 1.0)
    assert plan.fleet_kw[:4].tolist() == [0.0] * 4, "the sun gives enough for the evening"
    assert plan.fleet_kw[8:].tolist() == pytest.approx([1.0] * 4)


def test_a_spread_that_does_not_pay_is_left_alone() -> None:
    """0.20 to 0.24: 81 % of 0.24 come back."""
    price = np.array([0.20, 0.20, 0.24, 0.24])
    asked = Problem(packs(1), outlook(np.full(4, 1.0), np.zeros(4), price))
    plans = [RuleBased(style).plan(asked, NOW, 1.0) for style in ("self-consumption",
                                                                  "time-of-use")]
    assert np.array_equal(plans[0].pack_kw, plans[1].pack_kw)
    assert plans[1].fleet_kw[0] == pytest.approx(1.0)


def test_the_reserve_stays() -> None:
    problem = Problem(packs(1, 0.5), outlook(np.full(6, 5.0), np.zeros(6), np.full(6, 0.3)),
                      objectives=Objectives(reserve=0.4))
    plan = RuleBased().plan(problem, NOW, 1.0)
    assert plan.energy_kwh[0, -1] == pytest.approx(4.0)
    assert not plan.exceeded
    lacking = replace(problem, objectives=Objectives(reserve=0.7))
    told, = RuleBased().plan(lacking, NOW, 1.0).exceeded
    assert (told.limit, told.by, told.unit) == ("reserve", pytest.approx(2.0), "kWh")


def test_limits_of_the_connection_come_before_the_wish() -> None:
    """The packs discharge beyond self-consumption's wish, or take more than the surplus."""
    asked = Problem(packs(1, 0.5), outlook(np.array([6.0, 0.0]), np.array([0.0, 6.0]),
                                           np.full(2, 0.3)),
                    Connection(4.0, 3.0), Objectives(setpoint_kw=9.0))
    plan = RuleBased().plan(asked, NOW, 1.0)
    assert plan.grid_kw[0] == pytest.approx(4.0)
    assert plan.grid_kw[1] >= -3.0


def test_off_rests_and_says_what_that_costs() -> None:
    problem = Problem(packs(2), outlook(np.array([2.0, 0.0]), np.array([0.0, 1.0]),
                                        np.array([0.3, 0.3]), np.array([0.1, 0.1])))
    plan = Off().plan(problem, NOW, 1.0)
    assert not plan.pack_kw.any()
    assert plan.controller == "off"
    assert plan.cost.total == pytest.approx(0.6 - 0.1)
    assert plan.energy_kwh.tolist() == [[5.0] * 3] * 2


def test_an_impossible_question_is_refused() -> None:
    wrong = Problem(packs(1), outlook(np.array([np.nan]), np.zeros(1), np.zeros(1)))
    for planner in (RuleBased(), RuleBased("time-of-use"), Off()):
        with pytest.raises(RequestError, match="load"):
            planner.plan(wrong, NOW, 1.0)
        with pytest.raises(RequestError, match="1 to"):
            planner.plan(replace(wrong, outlook=outlook(*np.zeros((3, 0)))), NOW, 1.0)


def test_without_packs_there_is_nothing_to_do() -> None:
    asked = Problem(packs(0), outlook(np.ones(2), np.zeros(2), np.full(2, 0.3)))
    for style in STYLES:
        assert RuleBased(style).plan(asked, NOW, 1.0).pack_kw.shape == (0, 2)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_share_sums_to_the_wish_where_packs_can(seed: int) -> None:
    rng = np.random.default_rng(seed)
    take, give = rng.uniform(0, 5, (2, 4))
    wish = float(rng.uniform(-25, 25))
    powers = shared(wish, take, give)
    assert powers.sum() == pytest.approx(np.clip(wish, -take.sum(), give.sum()))
    assert (powers <= give + 1e-12).all()
    assert (powers >= -take - 1e-12).all()
    assert shared(wish, np.zeros(4), np.zeros(4)).tolist() == [0.0] * 4


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_driven_packs_keep_to_their_limits_and_lose_no_energy(seed: int) -> None:
    """Whatever is wanted of them."""
    rng = np.random.default_rng(seed)
    problem = random_problem(seed, 3)
    own = problem.packs
    own = replace(own, energy_kwh=np.clip(own.energy_kwh, own.floor * own.capacity_kwh,
                                          own.ceiling * own.capacity_kwh))
    powers, energy = driven(own, rng.uniform(-60, 60, (3, 30)), 0.25)
    assert (powers <= own.discharge_kw[:, None]).all()
    assert (-powers <= own.charge_kw[:, None]).all()
    assert (energy >= (own.floor * own.capacity_kwh)[:, None] - 1e-9).all()
    assert (energy <= (own.ceiling * own.capacity_kwh)[:, None] + 1e-9).all()
    charged, gave = np.maximum(-powers, 0).sum(axis=1), np.maximum(powers, 0).sum(axis=1)
    lost = 0.25 * (charged * (1 - own.efficiency) + gave * (1 / own.efficiency - 1))
    assert np.allclose(energy[:, -1] - energy[:, 0] + lost, 0.25 * (charged - gave))
    step = moved_on(own, powers[:, 0], 0.25)
    assert np.allclose(step.energy_kwh, energy[:, 1])


def test_a_bill_by_hand() -> None:
    """Import 3 kW, then export 2 kW, half an hour each; 1.5 kWh through the pack; a peak that
    rises by 1 kW."""
    asked = outlook(np.array([4.0, 1.0]), np.array([0.0, 5.0]), np.array([0.4, 0.4]),
                    np.array([0.1, 0.1]), step_s=1800.0)
    powers = np.array([[1.0, -2.0]])
    cost = cost_of(powers, packs(1), asked, Connection(peak_kw=2.0), Objectives(peak_per_kw=7.0))
    assert cost.energy == pytest.approx(0.5 * (3 * 0.4 - 2 * 0.1))
    assert cost.wear == pytest.approx(0.01 * 1.5)
    assert cost.demand == pytest.approx(7.0)
    take, give = reach(packs(1, 0.85), np.array([8.5]), 0.5)
    assert (take[0], give[0]) == (pytest.approx(0.5 / 0.9 / 0.5), pytest.approx(5.0))
