"""What binds and what one more would be worth, against the difference that one more makes; and
what cannot be met, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.coordinator.plan import Binding, Plan
from core.coordinator.problem import Connection, Problem
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.cases import NOW, site, value_of


def planned(problem: Problem) -> Plan:
    return MpcPlanner().plan(problem, NOW, 30.0)


def binding(plan: Plan, limit: str) -> Binding:
    (found,) = [one for one in plan.bindings if one.limit.startswith(limit)]
    return found


def worth_of(problem: Problem, more: Problem) -> float:
    return value_of(problem, planned(problem)) - value_of(more, planned(more))


def with_energy(problem: Problem, more_kwh: float) -> Problem:
    packs = problem.packs
    return replace(problem, packs=replace(packs, energy_kwh=packs.energy_kwh + more_kwh))


@pytest.mark.parametrize("seed", range(4))
def test_energy_worth_lies_between_what_a_kwh_more_saves_and_one_less_costs(seed: int) -> None:
    problem = site(1, 24, seed)
    worth = planned(problem).energy_worth
    assert worth is not None
    more = worth_of(problem, with_energy(problem, 0.05)) / 0.05
    less = worth_of(with_energy(problem, -0.05), problem) / 0.05
    assert more - 1e-3 <= worth[0] <= less + 1e-3
    assert 0.05 < worth[0] < 0.5


def test_worth_of_a_limit_is_what_one_kw_more_would_save() -> None:
    problem = site(4, 48, 1, connection=Connection(5.0, 3.0))
    for limit, wider in (("import limit", Connection(5.01, 3.0)),
                         ("export limit", Connection(5.0, 3.01))):
        found = binding(planned(problem), limit)
        saved = worth_of(problem, replace(problem, connection=wider))
        assert found.unit == "kW"
        assert found.worth_in(range(48)) == pytest.approx(saved / 0.01, rel=0.1)
        halves = [found.worth_in(range(24)), found.worth_in(range(24, 48))]
        assert sum(halves) == pytest.approx(found.worth_in(range(48)))
        assert len(found.each) == len(found.steps)
        assert found.worth == pytest.approx(np.mean(found.each))


def test_worth_of_a_limit_in_one_step_is_what_more_in_that_step_would_save() -> None:
    """A kW that comes from elsewhere in one step alone is a kW more of the import limit there."""
    problem = site(4, 48, 1, connection=Connection(5.0, 3.0))
    found = binding(planned(problem), "import limit")
    step, worth = found.steps[0], found.each[0]
    load = problem.outlook.load_kw
    less = load.expected.copy()
    less[step] -= 0.01
    eased = replace(problem, outlook=replace(problem.outlook, load_kw=replace(load, expected=less)))
    bought = 0.01 * problem.outlook.import_price[step] * problem.outlook.step_h
    assert found.worth_in([step]) == worth
    assert worth_of(problem, eased) - bought == pytest.approx(0.01 * worth, rel=0.15)


def test_a_set_point_that_holds_the_plan_back_binds_where_it_does() -> None:
    problem = site(2, 24, 1, setpoint_kw=1.0)
    found = binding(planned(problem), "set-point")
    moved = [replace(problem, objectives=replace(problem.objectives, setpoint_kw=1.0 + by))
             for by in (-0.01, 0.01)]
    saved = max(worth_of(problem, one) for one in moved)
    assert found.unit == "kW"
    assert 0.0 < saved / 0.01 <= found.worth_in(range(24)) * 1.05


@pytest.mark.parametrize("connection", [Connection(), Connection(1e3, 1e3)])
def test_a_connection_that_carries_all_binds_nowhere(connection: Connection) -> None:
    problem = site(3, 24, connection=connection, reserve=0.9)
    limits = {one.limit for one in planned(problem).bindings}
    assert "charge power of 3 packs" in limits
    assert not limits & {"import limit", "export limit"}


def test_worth_of_power_of_packs_is_what_more_power_would_save() -> None:
    problem = site(1, 24, 2)
    slow = replace(problem, packs=replace(problem.packs, discharge_kw=np.array([0.5])))
    found = binding(planned(slow), "discharge power of 1 pack")
    faster = replace(slow, packs=replace(slow.packs, discharge_kw=np.array([0.51])))
    assert found.worth * len(found.steps) == pytest.approx(worth_of(slow, faster) / 0.01, rel=0.1)


def test_the_price_of_a_peak_is_what_its_steps_share() -> None:
    problem = site(3, 24, 1, peak_per_kw=0.5)
    dark = replace(problem.outlook.pv_kw, expected=np.zeros(24))
    problem = replace(problem, outlook=replace(problem.outlook, pv_kw=dark))
    plan = planned(problem)
    found = binding(plan, "import peak")
    assert plan.grid_kw[list(found.steps)] == pytest.approx(plan.grid_kw.max(), abs=1e-3)
    assert found.worth * len(found.steps) == pytest.approx(0.5, rel=0.01)
    assert planned(site(3, 24, 1, connection=Connection(peak_kw=50.0), peak_per_kw=0.5)).exceeded \
        == ()


def test_what_binds_most_comes_first_and_nothing_binds_where_nothing_does() -> None:
    plan = planned(site(4, 48, 1, connection=Connection(5.0, 3.0), reserve=0.2))
    weights = [one.worth * len(one.steps) for one in plan.bindings]
    assert weights == sorted(weights, reverse=True)
    assert len({one.limit for one in plan.bindings}) == len(plan.bindings)
    idle = site(2, 4)
    flat = np.full(4, 0.1)
    idle = replace(idle, outlook=replace(idle.outlook, import_price=flat, export_price=flat))
    assert planned(idle).bindings == ()


def test_contradicting_limits_are_named_with_what_is_missing() -> None:
    """Nothing may come in and nothing out, with load that packs cannot carry for a day."""
    problem = site(2, 48, 1, connection=Connection(0.0, 0.0))
    plan = planned(problem)
    found = {one.limit: one for one in plan.exceeded}
    assert set(found) == {"import limit", "export limit"}
    imported = found["import limit"]
    assert imported.by == pytest.approx(plan.grid_kw.max())
    assert plan.grid_kw[imported.step] == pytest.approx(imported.by)
    assert f"load less PV is {problem.outlook.net_kw[imported.step]:.1f} kW" in imported.why
    assert "packs can give" in imported.why


def test_a_limit_is_passed_by_no_more_than_must_be() -> None:
    """One step, 9 kW of load, 2 kW of import, one pack of 4 kW: 3 kW are missing."""
    problem = site(1, 1, connection=Connection(import_limit_kw=2.0))
    load = np.array([9.0])
    flat = replace(problem.outlook.load_kw, expected=load)
    none = replace(problem.outlook.pv_kw, expected=np.zeros(1))
    packs = replace(problem.packs, capacity_kwh=np.array([20.0]), energy_kwh=np.array([10.0]),
                    discharge_kw=np.array([4.0]))
    plan = planned(replace(problem, packs=packs, outlook=replace(problem.outlook, load_kw=flat,
                                                                 pv_kw=none)))
    assert plan.pack_kw[0, 0] == pytest.approx(4.0, abs=1e-4)
    (missed,) = plan.exceeded
    assert (missed.limit, missed.step, missed.unit) == ("import limit", 0, "kW")
    assert missed.by == pytest.approx(3.0, abs=1e-3)
    assert missed.why == ("load less PV is 9.0 kW, the limit is 2.0 kW and packs can give 4.0 kW "
                          "then")


@pytest.mark.parametrize(("reserve", "start", "words"), [
    (0.5, 0.1, "packs start with"), (0.99, 0.9, "packs may be charged to")])
def test_a_reserve_that_is_not_there_is_named(reserve: float, start: float, words: str) -> None:
    problem = site(2, 12, reserve=reserve)
    packs = replace(problem.packs, energy_kwh=start * problem.packs.capacity_kwh)
    plan = planned(replace(problem, packs=packs))
    (missed,) = plan.exceeded
    assert (missed.limit, missed.unit) == ("reserve", "kWh")
    assert words in missed.why
    assert missed.by > 0


def test_a_reserve_is_filled_as_fast_as_packs_allow() -> None:
    problem = site(2, 12, reserve=0.5)
    packs = replace(problem.packs, energy_kwh=0.1 * problem.packs.capacity_kwh)
    plan = planned(replace(problem, packs=packs))
    assert plan.pack_kw[:, 0] == pytest.approx(-packs.charge_kw, rel=1e-3)


def test_a_pack_outside_of_its_charge_is_named_and_not_moved_further() -> None:
    problem = site(4, 12)
    packs = replace(problem.packs, energy_kwh=problem.packs.capacity_kwh * [0.01, 0.99, 0.5, 0.5])
    plan = planned(replace(problem, packs=packs))
    found = {one.limit: one.why for one in plan.exceeded}
    assert found == {"floor of charge": "pack_0: they start below it and are not discharged "
                                        "further",
                     "ceiling of charge": "pack_1: they start above it and are not charged "
                                          "further"}
    assert plan.pack_kw[0, 0] <= 1e-4
    assert plan.pack_kw[1, 0] >= -1e-4


def test_a_floor_above_its_ceiling_lets_a_pack_rest_and_is_named() -> None:
    problem = site(6, 12)
    packs = replace(problem.packs, floor=np.full(6, 0.8), ceiling=np.full(6, 0.2))
    plan = planned(replace(problem, packs=packs))
    assert np.abs(plan.pack_kw).max() < 1e-3
    (missed,) = plan.exceeded
    assert missed.limit == "floor and ceiling of charge"
    assert missed.why == ("pack_0, pack_1, pack_2 and 3 more: the floor is above the ceiling: they "
                          "rest")


def test_a_set_point_that_is_missed_is_named() -> None:
    plan = planned(site(1, 24, 2, setpoint_kw=0.0))
    (missed,) = plan.exceeded
    assert missed.limit == "set-point"
    assert missed.by == pytest.approx(np.abs(plan.grid_kw).max())
