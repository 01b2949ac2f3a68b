"""Plans against HiGHS with all choices, against the laws of energy, and on hostile questions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from core.coordinator.account import after, stored
from core.coordinator.plan import Plan
from core.coordinator.problem import Connection, Floats, Objectives, Outlook, Packs, Problem
from core.errors import RequestError, RetryLaterError
from services.coordinator.mpc import MpcPlanner
from services.coordinator.optimum import Optimiser
from tests.coordinator.cases import NOW, band, best_value, hostile_site, site, value, value_of

ALMOST = 1e-4


def planned(problem: Problem, limit_s: float = 30.0) -> Plan:
    return MpcPlanner().plan(problem, NOW, limit_s)


def priced(problem: Problem, bought: Floats, sold: Floats) -> Problem:
    return replace(problem, outlook=replace(problem.outlook, import_price=bought,
                                            export_price=sold))


@pytest.mark.parametrize("problem", [
    site(3, 24), site(3, 24, 1, peak_per_kw=1.0), site(3, 24, 2, reserve=0.4),
    site(2, 24, 3, setpoint_kw=1.0), site(3, 24, 4, export_per_kwh=0.2, wear=2.0, cost=0.5),
    site(3, 24, 5, connection=Connection(peak_kw=4.0), peak_per_kw=2.0), site(1, 1, 6)],
    ids=["plain", "peak", "reserve", "set-point", "wishes", "peak so far", "one step"])
def test_no_plan_is_worth_more(problem: Problem) -> None:
    best, plan = best_value(problem), planned(problem)
    assert value_of(problem, plan) == pytest.approx(best, abs=ALMOST)


@pytest.mark.parametrize("seed", [0, 1])
def test_negative_prices_make_no_pack_charge_and_discharge_at_once(seed: int) -> None:
    """Without wear, burning energy in losses would pay in the convex form: it does not count."""
    problem = site(2, 24, seed)
    price = problem.outlook.import_price.copy()
    price[4:10] = -0.5
    problem = priced(problem, price, np.minimum(price, 0.05))
    problem = replace(problem, packs=replace(problem.packs, wear_per_kwh=np.zeros(2)))
    _check_choices(problem)


def test_export_dearer_than_import_is_not_bought_to_be_sold() -> None:
    problem = site(2, 24, 2)
    sold = problem.outlook.export_price.copy()
    sold[4:10] = 0.5
    _check_choices(priced(problem, problem.outlook.import_price, sold))


def _check_choices(problem: Problem) -> None:
    """As good as HiGHS with all choices, with more time than a busy machine takes from it."""
    found = Optimiser(choices_s=60.0).find(problem, 200.0)
    energy = stored(problem.packs, found.pack_kw, problem.outlook.step_h)
    assert found.choices > 0
    assert value(problem, found.pack_kw, energy) == pytest.approx(best_value(problem), rel=2e-3)


def test_choices_without_time_for_them_are_made_by_balance() -> None:
    """Ten packs and a day of negative prices: more choices than HiGHS gets."""
    problem = site(10, 48, 1)
    problem = priced(problem, np.full(48, -0.5), np.full(48, -0.6))
    problem = replace(problem, packs=replace(problem.packs, wear_per_kwh=np.zeros(10)))
    plan = planned(problem)
    _check_physics(problem, plan)
    assert plan.cost.total < float(problem.outlook.import_price @ problem.outlook.net_kw
                                   ) * problem.outlook.step_h


def _check_physics(problem: Problem, plan: Plan) -> None:
    """Energy is conserved step by step and nothing leaves its limits, reckoned by a loop."""
    packs, energy = problem.packs, problem.packs.energy_kwh
    low = np.minimum(packs.floor * packs.capacity_kwh, energy)
    high = np.maximum(packs.ceiling * packs.capacity_kwh, energy)
    for step in range(plan.steps):
        power = plan.pack_kw[:, step]
        energy = after(packs, energy, power, problem.outlook.step_h)
        assert plan.energy_kwh[:, step + 1] == pytest.approx(energy, abs=1e-9)
        assert (energy >= low - 2e-6).all()
        assert (energy <= high + 2e-6).all()
        assert (power <= packs.discharge_kw).all()
        assert (-power <= packs.charge_kw).all()
    net = problem.outlook.net_kw + (0.0 if plan.curtailed_kw is None else plan.curtailed_kw)
    assert plan.grid_kw + plan.pack_kw.sum(axis=0) == pytest.approx(net, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_energy_is_conserved_and_limits_hold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = site(8, 36, seed, reserve=0.2 * (seed % 2), peak_per_kw=float(seed % 3),
                   calm=2e-5, energy_value=None, connection=Connection(6.0, 4.0, 0.0))
    packs = problem.packs
    packs = replace(packs, energy_kwh=packs.capacity_kwh * rng.uniform(0.0, 1.0, 8),
                    charge_kw=packs.charge_kw * rng.integers(0, 2, 8),
                    discharge_kw=packs.discharge_kw * rng.integers(0, 2, 8))
    problem = replace(problem, packs=packs)
    _check_physics(problem, planned(problem))


@pytest.mark.parametrize("planner", [
    MpcPlanner(), MpcPlanner(most_cells=1), MpcPlanner(most_cells=1, most_each=0)],
    ids=["single", "groups", "by merit"])
def test_every_question_that_can_be_asked_has_a_plan_that_physics_allows(
        planner: MpcPlanner) -> None:
    for seed in range(20):
        problem = hostile_site(seed)
        _check_physics(problem, planner.plan(problem, NOW, 30.0))


def test_order_of_packs_does_not_matter() -> None:
    problem = site(6, 24, 3, calm=2e-5)
    order = np.array([3, 0, 5, 1, 4, 2])
    packs = problem.packs
    mixed = Packs(tuple(packs.ids[at] for at in order), *(
        getattr(packs, name)[order] for name in (
            "capacity_kwh", "energy_kwh", "charge_kw", "discharge_kw", "efficiency",
            "wear_per_kwh", "floor", "ceiling")))
    plan, other = planned(problem), planned(replace(problem, packs=mixed))
    assert other.ids[0] == "pack_3"
    assert other.pack_kw == pytest.approx(plan.pack_kw[order], abs=0.02)


def test_packs_alike_share_alike() -> None:
    problem = site(4, 24, 3, calm=2e-5)
    ones = np.ones(4)
    packs = replace(problem.packs, capacity_kwh=10 * ones, energy_kwh=5 * ones, charge_kw=5 * ones,
                    discharge_kw=5 * ones, efficiency=0.95 * ones, wear_per_kwh=0.02 * ones)
    plan = planned(replace(problem, packs=packs))
    assert np.ptp(plan.pack_kw, axis=0).max() < 0.01


def flat_block(calm: float, unsure: float = 0.0) -> tuple[list[float], float]:
    """The reference's experiment: 12 runs in a block of equally cheap hours, 3 % noise in the load
    forecast, and `unsure` of it in the prices [currency/kWh]. First-step fleet power of each
    [kW], and mean change of power planned for the block from run to run [kW]."""
    rng, count, steps = np.random.default_rng(5), 8, 96
    full = np.full(count, 20.0)
    packs = Packs(tuple(map(str, range(count))), full, 0.2 * full, full / 2, full / 2,
                  np.full(count, 0.95), np.full(count, 0.02), np.full(count, 0.05),
                  np.full(count, 0.95))
    price = np.where(np.arange(steps + 12) < 52, 0.10, 0.35)
    planner, before, plans = MpcPlanner(), None, []
    for run in range(12):
        load = 25.0 * (1 + 0.03 * rng.normal(size=steps))
        ahead = price[run:run + steps] + unsure * rng.normal(size=steps)
        plan = planner.plan(Problem(
            packs, Outlook(NOW, 600.0, band(load), band(0 * load), ahead, 0.3 * ahead),
            objectives=Objectives(calm=calm, patience=0.0), before_kw=before), NOW, 30.0)
        plans.append(plan.fleet_kw)
        packs = replace(packs, energy_kwh=after(packs, packs.energy_kwh, plan.pack_kw[:, 0], 1 / 6))
        before = np.column_stack((plan.pack_kw[:, 1:], np.full(count, np.nan)))
    changes = [np.abs(new[:40] - old[1:41]).mean() for old, new in pairwise(plans)]
    return [float(plan[0]) for plan in plans], float(np.mean(changes))


def test_plans_do_not_jump_from_run_to_run() -> None:
    """Charged evenly over the block, and each run confirms what the one before planned."""
    first, change = flat_block(2e-5)
    assert np.mean(first) < -10.0
    assert np.ptp(first) < 0.01 * abs(np.mean(first))
    assert change < 0.01


def test_calm_keeps_to_the_plan_where_prices_waver() -> None:
    _, calm = flat_block(2e-4, unsure=0.001)
    _, usual = flat_block(2e-5, unsure=0.001)
    _, restless = flat_block(0.0, unsure=0.001)
    assert calm < 0.5 * restless
    assert calm < usual < restless


def test_a_planner_asked_again_answers_as_a_new_one() -> None:
    """Solvers of a shape are kept and told new numbers."""
    planner = MpcPlanner()
    for seed in (1, 2, 3):
        problem = site(4, 24, seed, peak_per_kw=1.0, calm=2e-5)
        kept, fresh = planner.plan(problem, NOW, 30.0), planned(problem)
        assert value_of(problem, kept) == pytest.approx(value_of(problem, fresh), abs=1e-4)
        assert kept.pack_kw == pytest.approx(fresh.pack_kw, abs=0.05)


def test_a_limit_of_the_connection_is_kept_where_it_can_be() -> None:
    free = planned(site(4, 48, 1))
    assert free.grid_kw.max() > 5.0
    held = planned(site(4, 48, 1, connection=Connection(5.0, 3.0)))
    assert held.grid_kw.max() < 5.0 + 1e-4
    assert held.grid_kw.min() > -3.0 - 1e-4
    assert held.exceeded == ()


@pytest.mark.parametrize("price", [-1.0, 25.0])
def test_prices_of_all_kinds_have_a_plan(price: float) -> None:
    problem = site(3, 24, 1, energy_value=None)
    problem = priced(problem, np.full(24, price), np.full(24, price))
    _check_physics(problem, planned(problem))


def test_the_end_is_worth_nothing_more_than_prices_ahead_say() -> None:
    """No selling out at a flat price that would be paid again tomorrow, no hoarding either."""
    problem = site(2, 24, 1, energy_value=None)
    flat = priced(problem, np.full(24, 0.3), np.full(24, 0.0))
    plan = planned(flat)
    assert plan.energy_kwh[:, -1].sum() < plan.energy_kwh[:, 0].sum()
    sells = priced(problem, np.full(24, 0.3), np.full(24, 0.04))
    assert planned(sells).grid_kw[-1] > -0.01


def by_two_prices(stored_part: float) -> Problem:
    """Twelve dear hours, then twelve cheap ones, without sun, and more stored than the dear ones
    can use."""
    problem = site(2, 24, 1, step_h=1.0, energy_value=None, calm=2e-5, patience=1e-4)
    price = np.where(np.arange(24) < 12, 0.5, 0.1)
    packs = replace(problem.packs, capacity_kwh=np.full(2, 100.0),
                    energy_kwh=np.full(2, 100.0 * stored_part), charge_kw=np.full(2, 3.0),
                    discharge_kw=np.full(2, 3.0), wear_per_kwh=np.full(2, 0.02))
    return replace(problem, packs=packs, outlook=replace(
        problem.outlook, load_kw=band(np.full(24, 9.0)), pv_kw=band(np.zeros(24)),
        import_price=price, export_price=np.zeros(24)))


def test_what_is_left_after_dear_hours_is_not_given_in_the_cheapest() -> None:
    """It would have to be bought again at that price, with losses and wear."""
    power = planned(by_two_prices(0.9)).fleet_kw
    assert power[:12] == pytest.approx(6.0, abs=1e-3)
    assert np.abs(power[12:]).max() < 1e-2, "kept for the dear hours of tomorrow"
    assert planned(by_two_prices(0.1)).fleet_kw[12:].max() < 1e-2, "nothing is hoarded either"
    assert planned(by_two_prices(0.1)).fleet_kw[12:].min() > -1e-2


def test_no_packs_and_one_step_and_packs_that_rest() -> None:
    problem = site(2, 1)
    nothing = replace(problem, packs=Packs((), *(np.empty(0),) * 8))
    plan = planned(nothing)
    assert plan.pack_kw.shape == (0, 1)
    assert plan.grid_kw == pytest.approx(problem.outlook.net_kw)
    rest = replace(problem.packs, charge_kw=np.zeros(2), discharge_kw=np.zeros(2))
    assert planned(replace(problem, packs=rest)).pack_kw.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize(("column", "number"), [
    ("capacity_kwh", 0.0), ("capacity_kwh", np.nan), ("efficiency", 0.0), ("efficiency", 1.2),
    ("charge_kw", -1.0), ("discharge_kw", np.inf), ("wear_per_kwh", -0.1)])
def test_packs_that_cannot_be_are_refused(column: str, number: float) -> None:
    problem = site(2, 4)
    values = getattr(problem.packs, column).copy()
    values[1] = number
    with pytest.raises(RequestError, match=rf"packs\.{column}\[1\]"):
        planned(replace(problem, packs=replace(problem.packs, **{column: values})))


@pytest.mark.parametrize("wanted", [{"calm": -1.0}, {"reserve_per_kwh": np.nan},
                                    {"energy_value": np.inf}, {"cost": np.inf}])
def test_wishes_that_are_no_numbers_are_refused(wanted: dict[str, float]) -> None:
    with pytest.raises(RequestError, match="objectives"):
        planned(site(1, 4, 0, **wanted))
    with pytest.raises(RequestError, match="import_limit_kw"):
        planned(site(1, 4, connection=Connection(import_limit_kw=-1.0)))


def test_a_horizon_of_zero_is_refused() -> None:
    with pytest.raises(RequestError, match="1 to"):
        planned(site(2, 0))


def test_too_little_time_is_said_and_the_next_question_is_answered() -> None:
    planner, problem = MpcPlanner(), site(10, 48)
    for limit_s in (0.0, -1.0, 1e-5, float("nan")):
        with pytest.raises(RetryLaterError, match="too few"):
            planner.plan(problem, NOW, limit_s)
    with pytest.raises(RetryLaterError, match="No plan within"):
        planner.plan(problem, NOW, 0.006)
    plan = planner.plan(problem, NOW, 30.0)
    assert plan.standing == "planned"
    assert plan.solve_s > 0


def test_it_is_a_planner_that_misses_nothing() -> None:
    assert MpcPlanner().controller == "mpc"
    assert MpcPlanner().missing == ""
