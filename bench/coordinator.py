"""The coordinator: what a plan costs to make, what planning in parts loses, what the projection
costs, what a year of real homes earns, and what the learnt policy captures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import numpy as np

from bench._coordinator_rl import learnt
from bench._coordinator_year import year
from bench.report import figure_line
from core.coordinator.plan import Plan
from core.coordinator.problem import (
    Band,
    Connection,
    Floats,
    Objectives,
    Outlook,
    Packs,
    Problem,
)
from core.coordinator.projection import project
from services.coordinator.mpc import MOST_CELLS, MpcPlanner

NOW = datetime(2026, 11, 21, tzinfo=UTC)
STEP_H = 1 / 6
WHOLE = 10**7
"""Packs x steps that are planned each for itself: all."""
LIMIT_S = 60.0
SOLVES = ((10, 144, 30.0), (100, 144, 1200.0), (1000, 36, 3000.0))
"""Packs, steps and what a plan may cost [ms]."""
SHORT_SOLVES = ((10, 144, 30.0), (30, 144, None), (100, 36, None))
"""The same three kinds: in one programme, and in parts over a long and a short horizon."""
MANY, SHORT_MANY, MANY_MS = 10_000, 2_000, 1000.0
DEMO, AT_ONCE_MS = 24, 100.0
"""So long at most the interpreter is held."""
PROJECTED, PROJECTED_MS = 10_000, 5.0
GAP_PCT = 0.5

line = partial(figure_line, "coordinator")


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """All figures (short: each measured once, of smaller fleets and a week instead of the year)."""
    yield from solve(short)
    yield from projection(short)
    yield from year(short)
    yield from learnt(short)


def solve(short: bool) -> Iterator[dict[str, object]]:
    """Processor time of plans, and the cost of plans of many packs beside the optimum."""
    MpcPlanner().plan(fleet(1, 2, 0), NOW, LIMIT_S)
    for packs, steps, target in SHORT_SOLVES if short else SOLVES:
        case = f"{packs} packs x {steps} steps"
        planner = MpcPlanner(WHOLE)
        questions = [fleet(packs, steps, seed) for seed in range(2 if short else 4)]
        whole = [_timed(planner, question) for question in questions]
        yield line(case, "first plan", whole[0][1], "ms", target)
        yield line(case, "next plans", statistics.median(ms for _, ms in whole[1:]), "ms", target)
        if packs * steps > MOST_CELLS:
            yield line(case, "cost above the optimum", max(
                _gap_pct(question, plan) for question, (plan, _) in zip(questions, whole,
                                                                        strict=True)),
                "%", GAP_PCT)
            yield line(case, "cost above the optimum, groups alone", max(
                _gap_pct(question, plan, _alone(steps))
                for question, (plan, _) in zip(questions, whole, strict=True)), "%", GAP_PCT)
            yield from _of_unlike(packs, steps, 1 if short else 2)
    _, spent_ms = _timed(MpcPlanner(), every_wish(fleet(DEMO, 144, 0)))
    yield line(f"{DEMO} packs x 144 steps, every wish", "one programme", spent_ms, "ms",
               AT_ONCE_MS)
    many = SHORT_MANY if short else MANY
    for kind, question in (("", fleet(many, 144, 0)), ("unlike ", unlike(fleet(many, 144, 0), 0))):
        _, spent_ms = _timed(MpcPlanner(), question)
        yield line(f"{many:,} {kind}packs x 144 steps", "plan by groups", spent_ms, "ms", MANY_MS)


def _alone(steps: int) -> MpcPlanner:
    """Plans as for fleets that are too large to plan each pack, with as many groups."""
    return MpcPlanner(MOST_CELLS // 144 * steps, most_each=0)


def _of_unlike(packs: int, steps: int, count: int) -> Iterator[dict[str, object]]:
    planner, gaps, alone, spent = MpcPlanner(), [], [], []
    for seed in range(count):
        question = unlike(fleet(packs, steps, seed), seed)
        whole = MpcPlanner(WHOLE).plan(question, NOW, LIMIT_S)
        gaps.append(_gap_pct(question, whole))
        alone.append(_gap_pct(question, whole, _alone(steps)))
        spent.append(_timed(planner, question)[1])
    case = f"{packs} unlike packs x {steps} steps"
    yield line(case, "plan", statistics.median(spent), "ms")
    yield line(case, "cost above the optimum", max(gaps), "%", GAP_PCT)
    yield line(case, "cost above the optimum, groups alone", max(alone), "%", GAP_PCT)


def projection(short: bool) -> Iterator[dict[str, object]]:
    """Processor time of the exact projection of all packs onto their boxes and a sum."""
    rng = np.random.default_rng(1)
    low, high = -rng.uniform(0, 10, PROJECTED), rng.uniform(0, 10, PROJECTED)
    wish, weight = rng.normal(0, 10, PROJECTED), rng.uniform(0.5, 2, PROJECTED)
    total = 0.2 * float(high.sum())
    spent_ms = _spent_ms(lambda: project(wish, low, high, total, weight), 5 if short else 50)
    yield line(f"{PROJECTED:,} packs", "projection", spent_ms, "ms", PROJECTED_MS)


def fleet(count: int, steps: int, seed: int) -> Problem:
    """Three chemistries, C-rates of 0.25 to 1, every charge; a site with 3 kW of PV and 2 kW of
    load for each pack and two peaks of price a day."""
    rng = np.random.default_rng(seed)
    kind, capacity = rng.integers(0, 3, count), rng.uniform(5, 20, count)
    power = capacity * rng.choice([0.25, 0.5, 1.0], count)
    packs = Packs(tuple(f"pack_{number}" for number in range(count)), capacity,
                  capacity * rng.uniform(0.1, 0.9, count), power, power.copy(),
                  np.array([0.97, 0.95, 0.93])[kind], np.array([0.01, 0.02, 0.03])[kind],
                  np.full(count, 0.05), np.full(count, 0.95))
    hours = np.arange(steps) * STEP_H * (144 / steps)
    load = count * (2.0 + 0.8 * np.sin(hours / 6 * np.pi))
    sun = count * np.clip(3.0 * np.sin((hours - 6) / 12 * np.pi), 0.0, None)
    price = 0.25 + 0.1 * np.sin(hours / 6 * np.pi) + rng.normal(0, 0.01, steps)
    outlook = Outlook(NOW, 3600 * STEP_H * (144 / steps), _band(load), _band(sun), price,
                      0.4 * price)
    return Problem(packs, outlook, objectives=Objectives(energy_value=0.1))


def unlike(question: Problem, seed: int) -> Problem:
    """The same with no two packs alike in efficiency, wear or C-rate."""
    rng, packs = np.random.default_rng(100 + seed), question.packs
    count = len(packs)
    packs = replace(packs, efficiency=rng.uniform(0.9, 0.98, count),
                    wear_per_kwh=np.exp(rng.uniform(np.log(0.005), np.log(0.04), count)),
                    charge_kw=packs.capacity_kwh * rng.uniform(0.15, 1.0, count),
                    discharge_kw=packs.capacity_kwh * rng.uniform(0.15, 1.0, count))
    return replace(question, packs=packs)


def every_wish(question: Problem) -> Problem:
    """The same with limits, a reserve, a set-point and a price of the peak."""
    size = float(len(question.packs))
    return replace(question, connection=Connection(2.0 * size, size), objectives=replace(
        question.objectives, reserve=0.3, peak_per_kw=3.0, setpoint_kw=0.0))


def _band(values: Floats) -> Band:
    return Band(values, values, values)


def _timed(planner: MpcPlanner, question: Problem) -> tuple[Plan, float]:
    began = time.process_time()
    plan = planner.plan(question, NOW, LIMIT_S)
    return plan, 1000 * (time.process_time() - began)


def _spent_ms(work: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times):
        began = time.process_time()
        work()
        spent.append(1000 * (time.process_time() - began))
    return statistics.median(spent)


def _gap_pct(question: Problem, whole: Plan, planner: MpcPlanner | None = None) -> float:
    """Of the cost of a plan in one programme, what one for groups and then in parts costs more,
    energy that is left counted as both were told to. planner: MpcPlanner() when None."""
    grouped = (planner or MpcPlanner()).plan(question, NOW, LIMIT_S)
    costs = [plan.cost.total - 0.1 * float(question.packs.efficiency @ plan.energy_kwh[:, -1])
             for plan in (whole, grouped)]
    return 100 * (costs[1] - costs[0]) / abs(whole.cost.total)
