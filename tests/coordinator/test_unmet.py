"""Whoever made a plan, what it does not keep is said: also of plans that stand in for another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from core.coordinator.chain import planned
from core.coordinator.plan import Controller, Plan
from core.coordinator.ports import Planner
from core.coordinator.problem import Band, Connection, Objectives, Outlook, Packs, Problem
from core.coordinator.rules import Off, RuleBased
from core.errors import RetryLaterError
from services.coordinator.mpc import MpcPlanner

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEPS = 12


class Broken:
    """A Planner."""

    missing = ""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        raise RetryLaterError("it ran out of time")


def asked(load_kw: float, soc: float = 0.5, connection: Connection | None = None,
          **wanted: float) -> Problem:
    """Two packs of 10 kWh and 4 kW."""
    same, load = np.ones(2), np.full(STEPS, load_kw)
    packs = Packs(("a", "b"), 10.0 * same, 10.0 * soc * same, 4.0 * same, 4.0 * same, 0.95 * same,
                  0.01 * same, 0.1 * same, 0.9 * same)
    outlook = Outlook(NOW, 3600.0, Band(load, load, load), Band(*np.zeros((3, STEPS))),
                      np.full(STEPS, 0.3), np.full(STEPS, 0.05))
    return Problem(packs, outlook, connection or Connection(), Objectives(**wanted))


PLANNERS: dict[Controller, Planner] = {"off": Off(), "rule-based": RuleBased("time-of-use"),
                                       "mpc": MpcPlanner()}


def told(plan: Plan) -> dict[str, tuple[float, str]]:
    return {one.limit: (one.by, one.why) for one in plan.exceeded}


def zero(problem: Problem) -> Plan:
    plan = planned(problem, "mpc", {"mpc": Broken("mpc"), "rule-based": Broken("rule-based")},
                   None, NOW, 1.0)
    assert plan.standing == "zero"
    return plan


def shifted(problem: Problem, good: Problem) -> Plan:
    """The plan for `good` goes on where `problem` is asked."""
    last = planned(good, "mpc", PLANNERS, None, NOW, 5.0)
    plan = planned(problem, "mpc", {"mpc": Broken("mpc")}, last, NOW, 1.0)
    assert plan.standing == "shifted"
    return plan


def test_packs_that_rest_say_what_they_do_not_keep() -> None:
    found = told(zero(asked(7.0, 0.3, Connection(import_limit_kw=5.0), reserve=0.5,
                            setpoint_kw=2.0)))
    assert set(found) == {"import limit", "reserve", "set-point"}
    assert found["import limit"] == (pytest.approx(2.0), (
        "load less PV is 7.0 kW, the limit is 5.0 kW and packs can give 3.8 kW then"))
    assert found["reserve"] == (pytest.approx(4.0), (
        "packs start with 6.0 kWh, the reserve is 10.0 kWh"))
    by, why = found["set-point"]
    assert by == pytest.approx(5.0)
    assert why.endswith("or whoever made this plan does not weigh what it is worth")


def test_a_plan_that_is_gone_on_with_says_what_has_changed_since() -> None:
    """Made for a load that packs could cover; it is higher now, and the fuse smaller."""
    good, fuse = asked(1.0, 0.9), Connection(import_limit_kw=3.0)
    found = told(shifted(asked(6.0, 0.9, fuse), good))
    assert found["import limit"][0] == pytest.approx(2.0, abs=1e-4), "it gives 1 kW of 6"
    assert not told(shifted(asked(1.0, 0.9, fuse), good))


def test_rules_name_a_set_point_that_they_miss() -> None:
    """Two packs give 8 kW, the connection shall carry 2 of 14."""
    plan = RuleBased().plan(asked(14.0, 0.9, setpoint_kw=2.0), NOW, 1.0)
    by, why = told(plan)["set-point"]
    assert by == pytest.approx(float(np.abs(plan.grid_kw - 2.0).max()))
    assert "packs are full, empty or at their power" in why
    kept = RuleBased().plan(asked(3.0, 0.9, setpoint_kw=2.0), NOW, 1.0)
    assert not told(kept)


def test_an_optimum_says_what_the_wish_was_not_worth() -> None:
    """At 1 ct/kWh missing the set-point is cheaper than wearing and emptying packs."""
    wanted = replace(asked(3.0).objectives, setpoint_kw=0.0, setpoint_per_kwh=0.01)
    plan = MpcPlanner().plan(replace(asked(3.0), objectives=wanted), NOW, 5.0)
    _, why = told(plan)["set-point"]
    assert why.endswith("or it is worth more than 0.01/kWh")


def test_pv_that_is_held_back_is_named_in_a_plan_at_rest_too() -> None:
    sunny = asked(0.0, connection=Connection(export_limit_kw=1.0, curtailable=True))
    sun = np.full(STEPS, 4.0)
    plan = zero(replace(sunny, outlook=replace(sunny.outlook, pv_kw=Band(sun, sun, sun))))
    assert told(plan)["use of all PV"][0] == pytest.approx(36.0)


def test_of_an_impossible_question_nothing_is_missed() -> None:
    problem = asked(7.0, connection=Connection(import_limit_kw=-1.0))
    plan = planned(problem, "mpc", PLANNERS, None, NOW, 5.0)
    assert plan.standing == "zero"
    assert "import_limit_kw" in plan.words
    assert plan.exceeded == ()
