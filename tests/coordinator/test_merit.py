"""What a stored kWh is worth to packs, and a fleet's power to those first that gain most by it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from core.coordinator.account import after, reach, stored
from core.coordinator.clusters import grouped, shared_out
from core.coordinator.problem import Floats, Packs, Problem
from services.coordinator.build import calm_of, programme, weighed_wear
from services.coordinator.many import ManyPacks
from services.coordinator.merit import Calm, Kinds, by_merit
from services.coordinator.mpc import MpcPlanner
from services.coordinator.optimum import Optimiser
from services.coordinator.solver import Solver
from services.coordinator.value import value_of
from services.coordinator.worth import LEVELS, worth_of
from tests.coordinator.cases import NOW, hostile_site, site
from tests.coordinator.cases import value_of as plan_value

STEPS, END = 24, 0.1


def unlike(count: int, seed: int = 3, **wanted: float) -> Problem:
    """No two packs alike in anything."""
    problem, rng = site(count, STEPS, seed, **wanted), np.random.default_rng(seed)
    capacity = problem.packs.capacity_kwh
    packs = replace(problem.packs, efficiency=rng.uniform(0.9, 0.98, count),
                    wear_per_kwh=np.exp(rng.uniform(np.log(0.005), np.log(0.04), count)),
                    charge_kw=capacity * rng.uniform(0.15, 1.0, count),
                    discharge_kw=capacity * rng.uniform(0.15, 1.0, count))
    return replace(problem, packs=packs)


def one_price(problem: Problem) -> Problem:
    """Nothing but packs that buy and sell at the same price."""
    ahead, nothing = problem.outlook, np.zeros(problem.outlook.steps)
    still = replace(ahead.load_kw, expected=nothing)
    return replace(problem, outlook=replace(
        ahead, load_kw=still, pv_kw=still, export_price=ahead.import_price - 1e-4))


def worth(packs: Packs, price: Floats) -> Floats:
    """[steps, 3, packs, LEVELS]."""
    found = worth_of(packs, packs.wear_per_kwh, price, np.zeros(len(price)), END, 0.5)
    return found.reshape(len(price), 3, len(packs), LEVELS).astype(np.float64)


def itself(packs: Packs) -> Kinds:
    """Each pack a kind of its own."""
    nothing = np.zeros(len(packs))
    return Kinds(np.arange(len(packs)), packs.wear_per_kwh, nothing, nothing)


def test_what_a_full_pack_earns_more_than_an_empty_one_is_what_its_charge_is_worth() -> None:
    problem = one_price(unlike(6))
    packs, ahead = problem.packs, problem.outlook
    ends = [replace(packs, energy_kwh=part * packs.capacity_kwh)
            for part in (packs.floor, packs.ceiling)]
    empty, full = (np.array([Optimiser().find(replace(
        problem, packs=each.at(np.array([at]))), 10.0).value for at in range(6)])
        for each in ends)
    width = (packs.ceiling - packs.floor) * packs.capacity_kwh
    # A step before the first, in which nothing can be done, shows what is stored at its start.
    idle = np.concatenate([[0.0], ahead.import_price])
    told = worth(packs, idle)[0, 0].mean(axis=1)
    assert told == pytest.approx((empty - full) / width, rel=0.05)


def test_the_fuller_a_pack_the_less_is_a_kwh_worth_and_less_than_any_price() -> None:
    problem = unlike(8)
    price = problem.outlook.import_price
    told = worth(problem.packs, price)[:, 0]
    assert (np.diff(told, axis=-1) < 1e-6).all()
    assert told.max() < (price.max() + 0.04) / 0.9
    assert told.min() >= 0.09 - 1e-6


@pytest.mark.parametrize(("place", "name"), [(1, "wear_per_kwh"), (2, "efficiency")])
def test_a_pack_that_is_not_quite_of_its_kind_is_told_its_own_worth(place: int,
                                                                    name: str) -> None:
    problem = unlike(8)
    packs, price = problem.packs, problem.outlook.import_price
    other = replace(packs, **{name: getattr(packs, name) + 2e-3})
    told, own = worth(packs, price), worth(other, price)[:, 0]
    off, corrected = (np.abs(guess - own).mean() for guess in (
        told[:, 0], told[:, 0] + 2e-3 * told[:, place]))
    assert corrected < 0.35 * off


def test_the_fleets_power_is_kept_inside_every_box() -> None:
    problem = unlike(40)
    packs, step_h = problem.packs, problem.outlook.step_h
    asked = 60.0 * np.sin(np.arange(STEPS) / 3.0)
    powers, prices = by_merit(packs, itself(packs), worth_of(
        packs, packs.wear_per_kwh, problem.outlook.import_price, np.zeros(STEPS), END, step_h),
        asked, problem.outlook.import_price, step_h, Calm(*calm_of(problem)))
    energy = stored(packs, powers, step_h)
    assert (energy >= (packs.floor * packs.capacity_kwh)[:, None] - 1e-9).all()
    assert (energy <= (packs.ceiling * packs.capacity_kwh)[:, None] + 1e-9).all()
    assert (powers >= -packs.charge_kw[:, None]).all()
    assert (powers <= packs.discharge_kw[:, None]).all()
    assert powers.sum(axis=0)[:6] == pytest.approx(asked[:6], abs=1e-6)
    assert np.isfinite(prices).all()


def test_more_than_packs_can_do_is_all_that_they_can() -> None:
    problem = unlike(5)
    packs, step_h = problem.packs, problem.outlook.step_h
    told = worth_of(packs, packs.wear_per_kwh, problem.outlook.import_price, np.zeros(STEPS), END,
                    step_h)
    for way in (-1.0, 1.0):
        powers, _ = by_merit(packs, itself(packs), told, np.full(STEPS, way * 1e4),
                             problem.outlook.import_price, step_h, Calm(*calm_of(problem)))
        left = stored(packs, powers, step_h)[:, -1] / packs.capacity_kwh
        assert left == pytest.approx(packs.ceiling if way < 0 else packs.floor)


def test_what_less_wear_costs_gives_first() -> None:
    problem = site(2, 1)
    alike = {name: np.full(2, 10.0) for name in ("capacity_kwh", "charge_kw", "discharge_kw")}
    packs = replace(problem.packs, **alike, energy_kwh=np.full(2, 5.0),
                    efficiency=np.full(2, 0.95), wear_per_kwh=np.array([0.03, 0.005]))
    price = np.array([0.12])
    powers, _ = by_merit(packs, itself(packs), worth_of(
        packs, packs.wear_per_kwh, price, np.zeros(1), END, 0.5), np.array([4.0]),
        price, 0.5,
        Calm(*calm_of(replace(problem, packs=packs))))
    assert powers[:, 0] == pytest.approx([0.0, 4.0], abs=0.05)


def test_the_value_of_powers_is_that_of_the_programme() -> None:
    problem = unlike(6, reserve=0.4, peak_per_kw=0.5, calm=0.0)
    program = programme(problem)
    found = Solver().solve(program, 10.0)
    at = program.pattern.at
    powers = (found.x[at.discharge] - found.x[at.charge]).T
    assert value_of(problem, powers) == pytest.approx(found.value, abs=2e-3)


@lru_cache(maxsize=3)
def known(reserve: float, peak: float) -> tuple[Problem, float, float]:
    """Its least value, and what that saves against packs that rest."""
    problem = unlike(150, reserve=reserve, peak_per_kw=peak)
    best = plan_value(problem, MpcPlanner(10**7).plan(problem, NOW, 60.0))
    return problem, best, value_of(problem, np.zeros((150, STEPS))) - best


@pytest.mark.parametrize(("reserve", "peak", "part"), [(0.0, 0.0, 0.6), (0.3, 0.0, 0.6),
                                                       (0.0, 1.0, 1.1)])
def test_too_many_packs_to_plan_each_lose_little_though_no_two_are_alike(
        reserve: float, peak: float, part: float) -> None:
    problem, best, saved = known(reserve, peak)
    plan = ManyPacks().find(problem, 10, False, 60.0)
    groups = grouped(problem.packs, 30)
    asked = replace(problem, packs=groups.virtual)
    even = shared_out(groups, problem.packs, Optimiser().find(asked, 60.0).pack_kw, 0.5)
    lost, evenly = (value_of(problem, powers) - best for powers in (plan.pack_kw, even))
    assert plan.groups == 30
    assert -1e-3 < lost < 0.02 * saved
    assert lost < part * evenly


@pytest.mark.parametrize("seed", range(24))
def test_whatever_is_asked_packs_do_it_together_as_far_as_physics_allows(seed: int) -> None:
    """Prices below 0 and of 100, floors above ceilings, packs outside of them or without power."""
    problem, rng = hostile_site(seed), np.random.default_rng(seed)
    packs, ahead = problem.packs, problem.outlook
    wear = weighed_wear(packs, problem.objectives)
    values = worth_of(packs, wear, ahead.import_price, rng.uniform(0, 1, ahead.steps),
                      problem.objectives.energy_value or 0.0, ahead.step_h)
    most = float(packs.charge_kw.sum() + packs.discharge_kw.sum())
    fleet_kw = rng.uniform(-1, 1, ahead.steps) * most
    powers, told = by_merit(packs, replace(itself(packs), wear=wear), values, fleet_kw,
                            ahead.import_price, ahead.step_h, Calm(*calm_of(problem)))
    assert np.isfinite(told).all()
    energy = packs.energy_kwh
    for step, asked_kw in enumerate(fleet_kw):
        take, give = reach(packs, energy, ahead.step_h)
        assert (powers[:, step] <= give * (1 + 1e-9) + 1e-9).all()
        assert (-powers[:, step] <= take * (1 + 1e-9) + 1e-9).all()
        assert powers[:, step].sum() == pytest.approx(
            np.clip(asked_kw, -take.sum(), give.sum()), abs=1e-9 * (1 + most))
        energy = after(packs, energy, powers[:, step], ahead.step_h)


def test_a_crowd_without_two_alike_is_planned_by_merit_on_hostile_questions() -> None:
    """More unlike packs than groups."""
    for seed in (1, 17, 24):
        problem, rng = hostile_site(seed), np.random.default_rng(seed)
        count = 60
        one = problem.packs.at(rng.integers(0, len(problem.packs), count))
        packs = replace(one, ids=tuple(str(number) for number in range(count)),
                        efficiency=rng.uniform(0.8, 0.99, count),
                        wear_per_kwh=rng.uniform(0.0, 0.1, count))
        crowd = replace(problem, packs=packs, before_kw=None)
        plan = ManyPacks().find(crowd, 5, False, 30.0)
        assert plan.by_merit
        energy = stored(packs, plan.pack_kw, crowd.outlook.step_h)
        low = np.minimum(packs.floor * packs.capacity_kwh, packs.energy_kwh)[:, None]
        high = np.maximum(packs.ceiling * packs.capacity_kwh, packs.energy_kwh)[:, None]
        slack = 1e-6 * packs.capacity_kwh[:, None]
        assert (energy >= low - slack).all()
        assert (energy <= high + slack).all()


def test_where_time_is_over_members_of_groups_do_the_same_part() -> None:
    """Of so many kinds power is given by merit first."""
    problem = unlike(200)
    ticks = iter([0.0])
    late, in_time = (ManyPacks(clock).find(problem, 10, False, 30.0)
                     for clock in (lambda: next(ticks, 100.0), lambda: 0.0))
    assert (late.by_merit, in_time.by_merit) == (False, True)
    assert np.abs(late.pack_kw).sum() > 1.0
