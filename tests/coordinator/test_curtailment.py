"""PV that is held back: where export is limited or costs money, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from core.coordinator.account import cost_of, reach, stored
from core.coordinator.chain import planned as by_chain
from core.coordinator.curtailment import held_back
from core.coordinator.judge import Span, judge
from core.coordinator.learnt import RlPlanner
from core.coordinator.plan import Plan
from core.coordinator.problem import Connection, Floats, Problem
from core.coordinator.records import Minute, OfKind, Run
from core.coordinator.rules import Off, RuleBased
from core.coordinator.settings import SiteSettings, read, written
from core.coordinator.shadow import Challenger
from core.coordinator.share import followed
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.cases import NOW, best_value, site, value_of

LIMIT_KW = 2.0


def planned(problem: Problem) -> Plan:
    return MpcPlanner().plan(problem, NOW, 30.0)


def sunny(curtailable: bool, seed: int = 0, **wanted: float | None) -> Problem:
    """More PV than load, packs and the limit of export take."""
    problem = site(3, 24, seed, connection=Connection(export_limit_kw=LIMIT_KW,
                                                      curtailable=curtailable), **wanted)
    outlook = problem.outlook
    pv = 4.0 * outlook.pv_kw.expected
    return replace(problem, outlook=replace(outlook, pv_kw=replace(outlook.pv_kw, expected=pv)))


def negative(problem: Problem, price: float = -0.1) -> Problem:
    """Export costs money in the sunny hours, import does not earn any."""
    outlook = problem.outlook
    sold = outlook.export_price.copy()
    sold[8:16] = price
    return replace(problem, outlook=replace(outlook, export_price=sold))


def check_balance(problem: Problem, plan: Plan) -> Floats:
    """import - export + packs = load - PV + what is held back, between nothing and all PV."""
    curtailed = plan.curtailed_kw
    assert curtailed is not None
    pv = problem.outlook.pv_kw.expected
    assert (curtailed >= 0.0).all()
    assert (curtailed <= pv).all()
    assert plan.grid_kw + plan.fleet_kw == pytest.approx(problem.outlook.net_kw + curtailed)
    return curtailed


def test_without_it_the_limit_is_exceeded_and_with_it_pv_is_curtailed() -> None:
    before, plan = planned(sunny(False)), planned(sunny(True))
    assert before.curtailed_kw is None
    assert [one.limit for one in before.exceeded] == ["export limit"]
    curtailed = check_balance(sunny(True), plan)
    assert plan.grid_kw.min() > -LIMIT_KW - 1e-3
    (told,) = plan.exceeded
    assert told.limit == "use of all PV"
    assert told.by == pytest.approx(0.5 * curtailed.sum())
    assert told.why == (f"PV curtailed by {told.by:.1f} kWh because export is limited to 2.0 kW")


def test_a_learnt_policy_fills_packs_before_pv_is_held_back() -> None:
    problem = sunny(True)
    empty = replace(problem, packs=replace(problem.packs, energy_kwh=np.maximum(
        problem.packs.floor, 0.1) * problem.packs.capacity_kwh))
    plan = RlPlanner().plan(empty, NOW, 30.0)
    curtailed = check_balance(empty, plan)
    for step in np.flatnonzero(curtailed > 1e-6):
        take, _ = reach(empty.packs, plan.energy_kwh[:, step], empty.outlook.step_h)
        assert -plan.fleet_kw[step] == pytest.approx(take.sum()), "packs take all that they can"


def test_a_challenger_is_not_paid_for_pv_that_the_site_holds_back() -> None:
    """An hour with 6 kW of PV and 1 kW of load; the champion charges the rest."""
    problem, planners = sunny(True), {"off": Off()}
    nothing = float("nan")
    minutes = [Minute(NOW.timestamp() + 60.0 * at, 1.0, 6.0, 0.0, -5.0, 50.0, 0.3, 0.08, nothing,
                      nothing, 0, {"LFP": OfKind(-5.0, 5.0)}) for at in range(60)]
    costs = []
    for limit_kw in (0.0, 2.0, 100.0):
        shadow = Challenger("off", "mpc")
        asked = replace(problem, connection=replace(problem.connection, export_limit_kw=limit_kw))
        shadow.run(asked, planners, [], NOW, 1.0, {})
        costs.append(shadow.run(asked, planners, minutes, NOW, 1.0, {}).cost)
    assert costs == pytest.approx([0.0, -2.0 * 0.08, -5.0 * 0.08])


@pytest.mark.parametrize("problem", [
    sunny(True), sunny(True, 1, peak_per_kw=1.0), sunny(True, 2, reserve=0.4),
    negative(sunny(True, 3)), negative(sunny(True, 4), -0.01),
    negative(replace(sunny(True, 5), connection=Connection(curtailable=True)))],
    ids=["limit", "peak", "reserve", "negative", "hardly negative", "negative, no limit"])
def test_no_plan_is_worth_more(problem: Problem) -> None:
    plan = planned(problem)
    check_balance(problem, plan)
    assert value_of(problem, plan) == pytest.approx(best_value(problem), abs=1e-3)


def test_nothing_is_curtailed_that_could_be_sold_or_stored() -> None:
    """Also where export earns nothing, and where a set-point or a wish asks for less of it."""
    free = Connection(curtailable=True)
    for wanted in ({}, {"setpoint_kw": 0.0}, {"export_per_kwh": 0.5}):
        problem = replace(sunny(True, **wanted), connection=free)  # type: ignore[arg-type]
        problem = replace(problem, outlook=replace(problem.outlook, export_price=np.zeros(24)))
        plain = planned(replace(problem, connection=Connection()))
        plan = planned(problem)
        assert check_balance(problem, plan).max() == 0.0
        assert value_of(problem, plan) == pytest.approx(value_of(problem, plain), abs=1e-3)


def test_export_that_costs_money_is_curtailed_and_that_is_said() -> None:
    problem = negative(replace(sunny(True), connection=Connection(curtailable=True)))
    plan = planned(problem)
    assert plan.grid_kw[8:16].min() > -1e-3
    assert plan.grid_kw.min() < -1.0, "where it earns, PV is sold"
    assert "because export costs money then" in plan.exceeded[0].why
    assert plan.cost.total < planned(replace(problem, connection=Connection())).cost.total


def test_in_parts_as_in_one_programme() -> None:
    problem = replace(sunny(True), packs=site(20, 24, 3).packs)
    problem = replace(problem, connection=Connection(export_limit_kw=0.0, curtailable=True))
    outlook = problem.outlook
    problem = replace(problem, outlook=replace(outlook, pv_kw=replace(
        outlook.pv_kw, expected=6.0 * outlook.pv_kw.expected)))
    parts = MpcPlanner(most_cells=1).plan(problem, NOW, 30.0)
    assert "then each for itself" in parts.words
    assert check_balance(problem, parts).sum() > 1.0
    assert parts.grid_kw.min() > -1e-3
    assert value_of(problem, parts) == pytest.approx(value_of(problem, planned(problem)), abs=0.05)


def test_every_controller_s_plan_counts_it_alike() -> None:
    problem = sunny(True)
    rules = RuleBased().plan(problem, NOW, 1.0)
    assert check_balance(problem, rules).sum() > 1.0
    assert [one.limit for one in rules.exceeded] == ["use of all PV"]
    resting = by_chain(problem, "mpc", {}, None, NOW, 1.0)
    check_balance(problem, resting)
    assert resting.cost == cost_of(resting.pack_kw, problem.packs, problem.outlook,
                                   problem.connection, problem.objectives)


def test_what_is_held_back_is_no_more_than_is_exported_or_made() -> None:
    problem = negative(sunny(True))
    outlook = problem.outlook
    flow = np.linspace(-40.0, 10.0, 24)
    found = held_back(flow, outlook, problem.connection)
    assert (found <= np.maximum(-flow, 0.0)).all()
    assert (found <= outlook.pv_kw.expected).all()
    assert (found[8:16] == np.minimum(np.maximum(-flow, 0.0), outlook.pv_kw.expected)[8:16]).all()
    assert held_back(flow, outlook, Connection(export_limit_kw=0.0)).max() == 0.0


def test_what_was_metered_is_not_curtailed_once_more() -> None:
    """The judge: the bill of what happened is as the meter had it."""
    problem = negative(replace(sunny(True), connection=Connection(curtailable=True)))
    rest = np.zeros((3, 24))
    span = Span(problem.packs, problem.outlook, rest, stored(problem.packs, rest, 0.5),
                problem.connection, problem.objectives)
    found = judge(span, MpcPlanner(), NOW + timedelta(days=1), 30.0)
    assert found.happened.cost.energy > found.without.cost.energy + 0.1


def test_room_that_is_kept_for_later_is_not_filled_with_what_is_to_be_curtailed() -> None:
    problem = sunny(True)
    plan = planned(problem)
    assert plan.curtailed_kw is not None
    at = int(plan.curtailed_kw.argmax())
    surplus = float(problem.outlook.net_kw[at])
    target = float(plan.fleet_kw[at])
    assert followed(Run(problem, plan), at, surplus, target, 0.5) == 0.0
    cloud = 3.0
    assert followed(Run(problem, plan), at, cloud, target, 0.5) == pytest.approx(cloud - target)


def test_it_is_a_setting_that_is_off_unless_somebody_says_so() -> None:
    assert not SiteSettings().connection().curtailable
    on = SiteSettings(pv_curtailable=True, export_limit_kw=5.0)
    assert read(written(on)).connection() == Connection(export_limit_kw=5.0, curtailable=True)
