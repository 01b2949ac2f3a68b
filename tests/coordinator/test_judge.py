"""What a day is said to have cost, against arithmetic by hand and against every other plan."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import numpy as np
import pytest

from core.coordinator.account import cost_of, driven, stored
from core.coordinator.judge import Span, judge, replacement_worth, violations
from core.coordinator.plan import Controller, Plan
from core.coordinator.problem import Band, Connection, Floats, Objectives, Outlook, Packs, Problem
from core.coordinator.rules import RuleBased
from core.errors import RequestError
from services.coordinator.mpc import MpcPlanner

NOW = datetime(2026, 3, 2, tzinfo=UTC)
PACK = Packs(("a",), np.array([10.0]), np.array([1.0]), np.array([4.0]), np.array([4.0]),
             np.array([0.9]), np.array([0.01]), np.array([0.1]), np.array([0.9]))


class BruteForce:
    """The best of all plans in steps of a kilowatt, by the judge's own arithmetic."""

    controller: Controller = "mpc"
    missing = ""

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        worth = problem.objectives.energy_value or 0.0
        best, least = np.zeros((1, problem.outlook.steps)), math.inf
        for choice in product(np.arange(-4.0, 5.0), repeat=problem.outlook.steps):
            powers, energy = driven(problem.packs, np.array([choice]), problem.outlook.step_h)
            cost = cost_of(powers, problem.packs, problem.outlook, problem.connection,
                           problem.objectives).total
            cost -= worth * 0.9 * float(energy[0, -1] - energy[0, 0])
            if cost < least:
                best, least = powers, cost
        return Plan(
            made_at, problem.outlook.start, problem.outlook.step_s, problem.packs.ids, "mpc", best,
            stored(problem.packs, best, problem.outlook.step_h),
            problem.outlook.net_kw - best.sum(axis=0),
            cost_of(best, problem.packs, problem.outlook, problem.connection, problem.objectives))


def outlook(load: Floats, pv: Floats, buy: Floats, sell: Floats | None = None) -> Outlook:
    return Outlook(NOW, 3600.0, Band(load, load, load), Band(pv, pv, pv), buy,
                   np.zeros(len(buy)) if sell is None else sell)


def day(happened: Floats | None = None, steps: int = 24) -> Span:
    """Sun at noon, dear in the evening."""
    hours = np.arange(steps)
    load = 1.0 + (hours >= 17) * 2.0
    pv = np.maximum(0.0, 3.0 - np.abs(hours - 12.0))
    price = np.where((hours >= 16) & (hours < 21), 0.5, 0.2)
    told = outlook(load, pv, price)
    done = RuleBased().plan(Problem(PACK, told), NOW, 1.0).pack_kw if happened is None else happened
    return Span(PACK, told, done)


def test_four_plans_in_order() -> None:
    verdict = judge(day(), MpcPlanner(), NOW, 5.0)
    assert verdict.best.total < verdict.rules.total < verdict.without.total
    assert verdict.captured == pytest.approx(verdict.rules_captured)
    assert 0.2 < verdict.captured < 0.9
    assert verdict.coverage == 1.0
    assert verdict.violations == 0
    assert verdict.possible == pytest.approx(verdict.without.total - verdict.best.total)


def test_doing_what_foresight_would_have_done_captures_all() -> None:
    first = judge(day(), MpcPlanner(), NOW, 5.0)
    told = day()
    wanted = Objectives(energy_value=replacement_worth(told.outlook))
    best = MpcPlanner().plan(Problem(PACK, told.outlook, objectives=wanted), NOW, 5.0).pack_kw
    again = judge(replace(told, happened_kw=best), MpcPlanner(), NOW, 5.0)
    assert again.captured == pytest.approx(1.0, abs=0.005)
    assert again.best.total == pytest.approx(first.best.total, abs=1e-4)
    assert judge(replace(told, happened_kw=0 * best), MpcPlanner(), NOW, 5.0).captured == 0.0


def test_foresight_is_the_best_of_all_plans() -> None:
    """Of all that a small day allows."""
    told = outlook(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0.0, 4.0, 0.0, 0.0]),
                   np.array([0.2, 0.3, 0.6, 0.3]), np.full(4, 0.05))
    span = Span(PACK, told, np.zeros((1, 4)))
    by_hand, solved = (judge(span, best, NOW, 5.0) for best in (BruteForce(), MpcPlanner()))
    assert solved.best.total <= by_hand.best.total + 1e-6
    assert solved.best.total == pytest.approx(by_hand.best.total, abs=0.05)
    assert solved.without == by_hand.without


def test_without_a_pack_by_hand() -> None:
    told = outlook(np.array([2.0, 0.0]), np.array([0.0, 3.0]), np.array([0.4, 0.4]),
                   np.array([0.1, 0.1]))
    verdict = judge(Span(PACK, told, np.zeros((1, 2))), MpcPlanner(), NOW, 5.0)
    assert verdict.without.cost.energy == pytest.approx(0.8 - 0.3)
    assert verdict.without.cost.wear == verdict.without.left_kwh == 0.0
    assert verdict.happened == verdict.without


def test_who_ends_fuller_is_told_its_worth_and_who_ends_empty_wins_nothing() -> None:
    """4 kWh bought in the last hour at the cheapest price cost what they are worth, but wear."""
    told = outlook(np.ones(4), np.zeros(4), np.full(4, 0.25))
    bought = np.array([[0.0, 0.0, 0.0, -4.0]])
    verdict = judge(Span(PACK, told, bought), MpcPlanner(), NOW, 5.0)
    assert verdict.happened.left_kwh == pytest.approx(3.6)
    assert verdict.happened.left_worth == pytest.approx(0.25 * 3.6 * 0.9)
    assert verdict.happened.total > verdict.without.total
    assert math.isnan(verdict.captured), "nothing was possible at one price"


def test_measured_charge_counts_where_it_is_known() -> None:
    """The pack lost more than its efficiency says."""
    span = day()
    energy = stored(PACK, span.happened_kw, 1.0)
    energy[0, -1] -= 0.5
    as_measured = judge(replace(span, energy_kwh=energy), MpcPlanner(), NOW, 5.0)
    assert as_measured.happened.left_kwh == pytest.approx(
        judge(span, MpcPlanner(), NOW, 5.0).happened.left_kwh - 0.5)
    energy[0, 0] = np.nan
    unknown = judge(replace(span, energy_kwh=energy), MpcPlanner(), NOW, 5.0)
    assert unknown.happened == judge(span, MpcPlanner(), NOW, 5.0).happened


def test_the_peak_is_paid_by_all() -> None:
    span = replace(day(), connection=Connection(peak_kw=1.0),
                   objectives=Objectives(peak_per_kw=2.0))
    verdict = judge(span, MpcPlanner(), NOW, 5.0)
    assert verdict.without.cost.demand == pytest.approx(2.0 * (3.0 - 1.0))
    assert verdict.best.cost.demand < verdict.without.cost.demand


def test_wishes_are_no_money() -> None:
    """Whoever asks for less export, or a set-point, is judged by the tariff all the same."""
    wished = Objectives(cost=3.0, wear=0.0, export_per_kwh=0.5, setpoint_kw=1.0)
    plain, odd = (judge(replace(day(), objectives=one), MpcPlanner(), NOW, 5.0)
                  for one in (Objectives(), wished))
    assert odd.best.total == pytest.approx(plain.best.total, abs=1e-6)


def test_foresight_need_not_fill_a_reserve_that_was_not_there() -> None:
    wished = replace(day(), objectives=Objectives(reserve=0.8))
    verdict, plain = judge(wished, MpcPlanner(), NOW, 5.0), judge(day(), MpcPlanner(), NOW, 5.0)
    assert verdict.best.total == pytest.approx(plain.best.total, abs=1e-3)
    full = replace(wished, packs=replace(PACK, energy_kwh=np.array([8.0])))
    kept = judge(replace(full, happened_kw=np.zeros((1, 24))), MpcPlanner(), NOW, 5.0)
    assert kept.best.left_kwh == pytest.approx(0.0, abs=1e-2), "what is there is kept"


@pytest.mark.parametrize("what", ["load", "PV", "price of import", "what the packs did"])
def test_a_day_that_is_not_known_is_not_judged(what: str) -> None:
    span = day()
    hidden = np.full(24, np.nan)
    hidden[:20] = 1.0
    told = span.outlook
    band = Band(hidden, hidden, hidden)
    changed = {
        "load": replace(span, outlook=replace(told, load_kw=band)),
        "PV": replace(span, outlook=replace(told, pv_kw=band)),
        "price of import": replace(span, outlook=replace(told, import_price=hidden)),
        "what the packs did": replace(span, happened_kw=hidden[None])}
    with pytest.raises(RequestError, match=f"{what}.*83%"):
        judge(changed[what], MpcPlanner(), NOW, 5.0)


def test_a_short_gap_is_bridged_and_told() -> None:
    span = day(steps=24)
    load = span.outlook.load_kw.expected.copy()
    load[5] = np.nan
    held = replace(span, outlook=replace(span.outlook, load_kw=Band(load, load, load)))
    verdict = judge(held, MpcPlanner(), NOW, 5.0)
    assert verdict.coverage == pytest.approx(23 / 24)
    assert verdict.without == judge(span, MpcPlanner(), NOW, 5.0).without


def test_a_long_gap_is_not() -> None:
    steps = 24 * 6
    load = np.ones(steps)
    load[10:17] = np.nan
    told = Outlook(NOW, 600.0, Band(load, load, load), Band(*np.zeros((3, steps))),
                   np.full(steps, 0.3), np.zeros(steps))
    with pytest.raises(RequestError, match="1.2 h in a row"):
        judge(Span(PACK, told, np.zeros((1, steps))), MpcPlanner(), NOW, 5.0)
    with pytest.raises(RequestError, match="no step is over"):
        judge(Span(PACK, outlook(*np.zeros((3, 0))), np.zeros((1, 0))), MpcPlanner(), NOW, 5.0)


def test_violations_are_counted() -> None:
    told = outlook(np.ones(4), np.zeros(4), np.full(4, 0.3))
    done = np.array([[4.02, 4.5, -4.5, np.nan]])
    energy = np.array([[1.0, 0.9, 1.4, 9.2, 9.1]])
    assert violations(Span(PACK, told, done)) == 2
    assert violations(Span(PACK, told, 0 * done, energy)) == 2, "below its floor, above its ceiling"
    assert violations(Span(PACK, told, np.zeros((1, 4)), np.full((1, 5), 9.5))) == 0, "it rests"
    refusing = replace(PACK, charge_kw=np.zeros(1), discharge_kw=np.zeros(1))
    assert violations(Span(refusing, told, np.array([[0.04, -0.04, 0.06, -0.06]]))) == 2
