"""Groups of like packs, and a group's power shared out exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.coordinator.account import reach, stored
from core.coordinator.clusters import grouped, shared_out, summed
from core.coordinator.plan import Plan
from core.coordinator.problem import Problem
from services.coordinator.many import ManyPacks
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.cases import NOW, site, value_of

WHOLE = 10**6


def fleet(count: int, steps: int, seed: int) -> Problem:
    """Three chemistries, each with capacities, C-rates and charges of all kinds."""
    problem, rng = site(count, steps, seed), np.random.default_rng(seed)
    kinds = rng.integers(0, 3, count)
    capacity = rng.uniform(5, 20, count)
    packs = replace(
        problem.packs, capacity_kwh=capacity, energy_kwh=capacity * rng.uniform(0.1, 0.9, count),
        charge_kw=capacity * np.array([0.3, 0.5, 1.0])[kinds],
        discharge_kw=capacity * np.array([0.5, 0.5, 1.0])[kinds],
        efficiency=np.array([0.97, 0.95, 0.93])[kinds],
        wear_per_kwh=np.array([0.01, 0.02, 0.03])[kinds])
    return replace(problem, packs=packs)


def test_packs_alike_are_one_group_and_sums_are_kept() -> None:
    problem = site(6, 4)
    one = replace(problem.packs, capacity_kwh=np.full(6, 10.0), energy_kwh=np.full(6, 5.0),
                  charge_kw=np.full(6, 5.0), discharge_kw=np.full(6, 5.0),
                  efficiency=np.full(6, 0.95), wear_per_kwh=np.full(6, 0.02))
    groups = grouped(one, 4)
    assert len(groups.members) == 1
    assert groups.virtual.capacity_kwh.tolist() == [60.0]
    assert groups.virtual.efficiency == pytest.approx([0.95])
    assert groups.virtual.floor == pytest.approx([0.05])


@pytest.mark.parametrize("most", [1, 3, 8, 40])
def test_every_pack_is_in_one_group(most: int) -> None:
    packs = fleet(30, 4, 2).packs
    groups = grouped(packs, most)
    assert len(groups.members) == min(most, 30)
    assert sorted(np.concatenate(groups.members).tolist()) == list(range(30))
    assert groups.count.sum() == 30
    assert all(places.size for places in groups.members)
    for name in ("capacity_kwh", "energy_kwh", "charge_kw", "discharge_kw"):
        assert getattr(groups.virtual, name).sum() == pytest.approx(getattr(packs, name).sum())


def test_a_chemistry_is_not_mixed_with_another_while_groups_last() -> None:
    packs = fleet(60, 4, 3).packs
    for places in grouped(packs, 12).members:
        assert np.ptp(packs.efficiency[places]) == 0.0


def test_what_was_planned_before_is_summed_and_nothing_stays_nothing() -> None:
    groups = grouped(fleet(4, 2, 1).packs, 1)
    before = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan], [4.0, np.nan]])
    total = summed(before, groups)
    assert total[0, 0] == 7.0
    assert np.isnan(total[0, 1])


def test_shared_power_is_the_groups_power_inside_every_box() -> None:
    packs = fleet(50, 4, 4).packs
    groups = grouped(packs, 5)
    rng = np.random.default_rng(6)
    asked = rng.uniform(-1, 1, (5, 12)) * groups.virtual.discharge_kw[:, None] * 0.3
    powers = shared_out(groups, packs, asked, 0.25)
    assert powers.sum(axis=0) == pytest.approx(asked.sum(axis=0), abs=1e-6)
    energy = stored(packs, powers, 0.25)
    for step in range(12):
        take, give = reach(packs, energy[:, step], 0.25)
        assert (powers[:, step] <= give + 1e-9).all()
        assert (powers[:, step] >= -take - 1e-9).all()
    for group, places in enumerate(groups.members):
        assert powers[places, 0].sum() == pytest.approx(asked[group, 0], abs=1e-6)
        assert len(set(np.sign(powers[places, 0])) - {0.0}) == 1


def test_members_come_to_the_same_charge() -> None:
    problem = fleet(20, 4, 5)
    packs = replace(problem.packs, efficiency=np.full(20, 0.95))
    groups = grouped(packs, 1)
    before = packs.energy_kwh / packs.capacity_kwh
    after = stored(packs, shared_out(groups, packs, np.full((1, 8), -25.0), 0.5), 0.5)[:, -1]
    assert np.ptp(after / packs.capacity_kwh) < 0.5 * np.ptp(before)


def test_what_one_group_cannot_do_another_does() -> None:
    """The first group is empty although its plan says that it gives 8 kW."""
    problem = site(2, 1)
    packs = replace(problem.packs, capacity_kwh=np.full(2, 10.0),
                    energy_kwh=np.array([0.5, 9.0]), charge_kw=np.full(2, 10.0),
                    discharge_kw=np.full(2, 10.0))
    groups = replace(grouped(packs, 2), members=[np.array([0]), np.array([1])])
    powers = shared_out(groups, packs, np.array([[3.0], [2.0]]), 0.25)
    assert powers[:, 0] == pytest.approx([0.0, 5.0])


@pytest.mark.parametrize(("count", "steps", "wanted"), [
    (100, 48, {}), (60, 48, {"peak_per_kw": 1.0}), (60, 48, {"reserve": 0.3})])
def test_groups_cost_what_single_packs_cost(count: int, steps: int,
                                            wanted: dict[str, float]) -> None:
    problem = fleet(count, steps, 7)
    problem = replace(problem, objectives=replace(problem.objectives, **wanted))
    single = value_of(problem, MpcPlanner(WHOLE).plan(problem, NOW, 30.0))
    plan = MpcPlanner(10 * steps, most_each=0).plan(problem, NOW, 30.0)
    assert "30 groups of like ones" in plan.words
    saving = saved(problem, plan, single)
    assert saving > 0
    assert 0.0 <= value_of(problem, plan) - single + 1e-3 < 0.01 * saving


def saved(problem: Problem, plan: Plan, best: float) -> float:
    """By the best, against packs that rest."""
    nothing = replace(plan, pack_kw=np.zeros_like(plan.pack_kw), energy_kwh=np.repeat(
        problem.packs.energy_kwh[:, None], problem.outlook.steps + 1, axis=1))
    return value_of(problem, nothing) - best


@pytest.mark.parametrize("wanted", [{}, {"peak_per_kw": 1.0}, {"reserve": 0.3}])
def test_packs_without_two_alike_are_planned_in_parts_as_well_as_all_at_once(
        wanted: dict[str, float]) -> None:
    count, steps = 50, 36
    problem, rng = fleet(count, steps, 3), np.random.default_rng(3)
    packs = replace(problem.packs, efficiency=rng.uniform(0.9, 0.98, count),
                    wear_per_kwh=rng.uniform(0.005, 0.04, count),
                    charge_kw=problem.packs.capacity_kwh * rng.uniform(0.15, 1.0, count))
    problem = replace(problem, packs=packs, objectives=replace(problem.objectives, **wanted))
    best = value_of(problem, MpcPlanner(WHOLE).plan(problem, NOW, 30.0))
    parts, groups = (MpcPlanner(12 * steps, most_each=most).plan(problem, NOW, 30.0)
                     for most in (WHOLE, 0))
    assert parts.words.endswith("then each for itself")
    lost, lost_by_groups = value_of(problem, parts) - best, value_of(problem, groups) - best
    assert -1e-3 < lost < 0.01 * saved(problem, parts, best)
    assert lost < lost_by_groups < 0.02 * saved(problem, parts, best), (lost, lost_by_groups)


def test_what_others_hold_of_the_reserve_need_not_be_bought_again() -> None:
    """Planned one after the other: the fleet holds its reserve, one pack alone does not."""
    problem = site(2, 6, 1, reserve=0.5)
    full = np.full(2, 10.0)
    packs = replace(problem.packs, capacity_kwh=full, energy_kwh=np.array([9.0, 2.0]))
    dear = np.full(6, 0.4)
    problem = replace(problem, packs=packs, outlook=replace(
        problem.outlook, import_price=dear, export_price=0.3 * dear))
    plan = ManyPacks().find(problem, 1, True, 30.0)
    assert plan.single == 2
    assert plan.pack_kw[1].min() > -0.1
    assert stored(packs, plan.pack_kw, problem.outlook.step_h).sum(axis=0).min() > 10.0 - 1e-3


def test_where_time_does_not_do_for_each_the_plan_for_groups_stands() -> None:
    ticks = iter([0.0, 100.0])
    plan = ManyPacks(lambda: next(ticks)).find(fleet(40, 24, 2), 10, True, 30.0)
    assert plan.single == 0
    assert np.abs(plan.pack_kw).sum() > 1.0
