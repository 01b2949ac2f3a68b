"""The coordinator's question as a quadratic programme in sparse matrices.

    min  1/2 x'P x + c'x   so that   A x = b,  h <= G x,  low <= x <= high

x holds, step by step: charge and discharge of each pack [kW, AC], what is stored in it at the
step's end [kWh]; import within its limit and beyond it, export within and beyond it [kW]; where
asked, what the reserve lacks [kWh], PV that is held back and what is missed of the set-point [kW];
at last the peak of
import [kW]. Physics is in A and in the bounds; what a business wishes has a price instead, so
that an answer always exists. The calm of plans is sum w ((charge - charge before)2 + (discharge -
discharge before)2), convex and separable; a tenth of w is on power itself, so that what costs
alike is spread out evenly instead of waiting for the last moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from core.coordinator.account import end_worth
from core.coordinator.problem import Floats, Objectives, Outlook, Packs, Problem

Places = NDArray[np.int64]
LEAST_WEAR = 1e-5
"""So that energy is not moved for nothing [currency/kWh]."""
MARGIN = 1e-4
"""Least width of a bound, for an interior point must exist [kW, kWh]; cut off afterwards."""
EVEN_PART, LEAST_EVEN = 0.1, 1e-7
"""Of the calm, against power itself, and the least that makes the answer the only one
[currency/kW2]."""
CALM_KW = 10.0
"""A larger pack is as calm as so many of this power side by side [kW]."""


class Shape(NamedTuple):
    """What fixes the pattern of the matrices."""

    packs: int
    steps: int
    peak: bool
    reserve: bool
    setpoint: bool
    curtail: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each variable is in x: [steps, packs], [steps], or [] and [0] where there is none."""

    charge: Places
    discharge: Places
    energy: Places
    bought: Places
    bought_over: Places
    sold: Places
    sold_over: Places
    lacking: Places
    curtailed: Places
    above: Places
    below: Places
    peak: Places
    count: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """Columns, and the places of the entries of A in the order in which `_entries` tells them.
    dynamics: rows of A [steps, packs]; balance: [steps]; setpoint: [steps] or [0]; G is the
    same for every problem of a shape: rows of the peak first, then those of the reserve."""

    shape: Shape
    at: Columns
    dynamics: Places
    balance: Places
    setpoint: Places
    order: Places
    indices: Places
    indptr: Places
    rows: int
    limits: csc_matrix | None


@dataclass(frozen=True, slots=True)
class Program:
    """The matrices of the module's head; G is pattern.limits."""

    pattern: Pattern
    quadratic: csc_matrix
    linear: Floats
    equal: csc_matrix
    equals: Floats
    least: Floats | None
    low: Floats
    high: Floats


def shape_of(problem: Problem) -> Shape:
    """Which variables a problem needs."""
    wanted = problem.objectives
    return Shape(len(problem.packs), problem.outlook.steps, wanted.peak_per_kw > 0,
                 wanted.reserve > 0, wanted.setpoint_kw is not None,
                 problem.connection.curtailable
                 and bool((problem.outlook.pv_kw.expected > 0).any()))


def programme(problem: Problem, kept_kwh: Floats | None = None) -> Program:
    """The programme of a checked problem with at least one pack. kept_kwh: what its packs are to
    keep for an outage at the end of each step [steps], None = the reserve's part of their own
    capacity."""
    pattern = pattern_of(shape_of(problem))
    kept = _kept(problem) if kept_kwh is None else kept_kwh
    low, high = _bounds(problem, pattern, kept)
    curvature, slope = _costs(problem, pattern)
    count = pattern.at.count
    quadratic = csc_matrix((curvature, np.arange(count), np.arange(count + 1)),
                           shape=(count, count))
    values = _entries(problem.packs, problem.outlook, pattern.shape)[pattern.order]
    equal = csc_matrix((values, pattern.indices, pattern.indptr), shape=(pattern.rows, count))
    return Program(pattern, quadratic, slope, equal, _equals(problem, pattern),
                   _least(pattern, kept), low, high)


def energy_range(packs: Packs) -> tuple[Floats, Floats]:
    """Least and most that may be stored [kWh], [n]: floor and ceiling, or where a pack is now, if
    that is outside: it need not come back, but goes no further out. Where floor and ceiling
    contradict each other it stays as it is."""
    floor = np.clip(packs.floor, 0.0, 1.0) * packs.capacity_kwh
    ceiling = np.clip(packs.ceiling, 0.0, 1.0) * packs.capacity_kwh
    absurd = floor > ceiling
    low = np.where(absurd, packs.energy_kwh, np.minimum(floor, packs.energy_kwh))
    high = np.where(absurd, packs.energy_kwh, np.maximum(ceiling, packs.energy_kwh))
    return low, high


def weighed_wear(packs: Packs, objectives: Objectives) -> Floats:
    """What a kWh through each pack costs it, as it is wanted to count [currency/kWh] [n]."""
    found: Floats = np.maximum(objectives.wear * packs.wear_per_kwh, LEAST_WEAR)
    return found


def limit_penalty(objectives: Objectives, outlook: Outlook) -> float:
    """What a kWh beyond a limit of the connection costs, far above what it could earn."""
    dearest = max(float(np.abs(outlook.import_price).max()),
                  float(np.abs(outlook.export_price).max()))
    return 10.0 + 10.0 * max(objectives.cost, 1.0) * dearest + objectives.export_per_kwh


def largest_flow_kw(problem: Problem) -> tuple[Floats, Floats]:
    """The most that import and export can be, whatever packs do [kW], [steps] each."""
    net, packs = problem.outlook.net_kw, problem.packs
    return (np.maximum(net + packs.charge_kw.sum(), 0.0),
            np.maximum(packs.discharge_kw.sum() - net, 0.0))


@lru_cache(maxsize=8)
def pattern_of(shape: Shape) -> Pattern:
    """The pattern of all problems of a shape."""
    at = _columns(shape)
    width = shape.packs + 1 + shape.setpoint
    rows = np.arange(shape.steps * width).reshape(shape.steps, width)
    dynamics, balance = rows[:, :shape.packs], rows[:, shape.packs]
    setpoint = rows[:, -1] if shape.setpoint else np.empty(0, dtype=np.int64)
    places = _places(shape, at, dynamics, balance, setpoint)
    row, column = (np.concatenate([part[way].ravel() for part in places]) for way in (0, 1))
    order = np.lexsort((row, column))
    indptr = np.searchsorted(column[order], np.arange(at.count + 1))
    return Pattern(shape, at, dynamics, balance, setpoint, order, row[order], indptr,
                   rows.size, _limits(shape, at))


def _columns(shape: Shape) -> Columns:
    n = shape.packs
    width = 3 * n + 4 + shape.reserve + shape.curtail + 2 * shape.setpoint
    block = np.arange(shape.steps * width).reshape(shape.steps, width)
    none = np.empty(0, dtype=np.int64)
    bought, bought_over, sold, sold_over = block[:, 3 * n:3 * n + 4].T
    rest = block[:, 3 * n + 4:].T
    above, below = rest[-2:] if shape.setpoint else (none, none)
    peak = np.array([block.size]) if shape.peak else none
    return Columns(block[:, :n], block[:, n:2 * n], block[:, 2 * n:3 * n], bought, bought_over,
                   sold, sold_over, rest[0] if shape.reserve else none,
                   rest[int(shape.reserve)] if shape.curtail else none, above, below, peak,
                   block.size + shape.peak)


def _places(shape: Shape, at: Columns, dynamics: Places, balance: Places,
            setpoint: Places) -> list[tuple[Places, Places]]:
    """(row, column) of the entries of A, in the order of `_entries`."""
    across = np.broadcast_to(balance[:, None], at.charge.shape)
    found = [(dynamics, at.energy), (dynamics[1:], at.energy[:-1]), (dynamics, at.charge),
             (dynamics, at.discharge), (across, at.charge), (across, at.discharge)]
    flows = (at.bought, at.bought_over, at.sold, at.sold_over)
    found += [(balance, column) for column in flows]
    if shape.curtail:
        found.append((balance, at.curtailed))
    if shape.setpoint:
        found += [(setpoint, column) for column in (*flows, at.above, at.below)]
    return found


def _entries(packs: Packs, outlook: Outlook, shape: Shape) -> Floats:
    """Values of A: stored - stored before - step x (efficiency x charge - discharge /
    efficiency) = 0, and import - export + discharge - charge - curtailed = load - PV."""
    cells, steps = shape.packs * shape.steps, shape.steps
    into = np.tile(-outlook.step_h * packs.efficiency, steps)
    out = np.tile(outlook.step_h / packs.efficiency, steps)
    flows = np.repeat([1.0, 1.0, -1.0, -1.0], steps)
    parts = [np.ones(cells), -np.ones(cells - shape.packs), into, out, -np.ones(cells),
             np.ones(cells), flows]
    if shape.curtail:
        parts.append(-np.ones(steps))
    if shape.setpoint:
        parts += [flows, np.repeat([-1.0, 1.0], steps)]
    return np.concatenate(parts)


def _equals(problem: Problem, pattern: Pattern) -> Floats:
    found = np.zeros(pattern.rows)
    found[pattern.dynamics[0]] = problem.packs.energy_kwh
    found[pattern.balance] = problem.outlook.net_kw
    found[pattern.setpoint] = problem.objectives.setpoint_kw or 0.0
    return found


def _limits(shape: Shape, at: Columns) -> csc_matrix | None:
    """G: peak - import >= 0; stored + lacking >= the reserve."""
    steps, count = np.arange(shape.steps), shape.packs
    entries: list[tuple[Places, Places, float]] = []
    if shape.peak:
        entries += [(steps, np.repeat(at.peak, shape.steps), 1.0), (steps, at.bought, -1.0),
                    (steps, at.bought_over, -1.0)]
    if shape.reserve:
        below = steps + shape.steps * shape.peak
        entries += [(np.repeat(below, count), at.energy.ravel(), 1.0), (below, at.lacking, 1.0)]
    if not entries:
        return None
    rows, columns = (np.concatenate([entry[way] for entry in entries]) for way in (0, 1))
    values = np.concatenate([np.full(row.size, value) for row, _, value in entries])
    return csc_matrix((values, (rows, columns)),
                      shape=(shape.steps * (shape.peak + shape.reserve), at.count))


def _kept(problem: Problem) -> Floats:
    """[kWh], [steps]."""
    whole = float(problem.packs.capacity_kwh.sum())
    return np.full(problem.outlook.steps, problem.objectives.reserve * whole)


def _least(pattern: Pattern, kept: Floats) -> Floats | None:
    shape = pattern.shape
    if pattern.limits is None:
        return None
    return np.concatenate([np.zeros(shape.steps * shape.peak), kept[:shape.steps * shape.reserve]])


def _bounds(problem: Problem, pattern: Pattern, kept: Floats) -> tuple[Floats, Floats]:
    """low and high of x; each wider than MARGIN."""
    packs, at, limits = problem.packs, pattern.at, problem.connection
    low, high = np.zeros(at.count), np.zeros(at.count)
    bought, sold = largest_flow_kw(problem)
    high[at.charge], high[at.discharge] = packs.charge_kw, packs.discharge_kw
    low[at.energy], high[at.energy] = energy_range(packs)
    # Wider than what can flow at all: a bound where there is no limit would take its worth.
    high[at.bought] = np.minimum(bought + 1.0, max(limits.import_limit_kw, 0.0))
    high[at.sold] = np.minimum(sold + 1.0, max(limits.export_limit_kw, 0.0))
    high[at.bought_over], high[at.sold_over] = bought + 1.0, sold + 1.0
    high[at.lacking] = float(np.maximum(-packs.energy_kwh, 0.0).sum() + kept.max()) + 1.0
    if pattern.shape.curtail:
        high[at.curtailed] = problem.outlook.pv_kw.expected
    missed = float((bought + sold).max()) + abs(problem.objectives.setpoint_kw or 0.0) + 1.0
    high[at.above] = high[at.below] = missed
    low[at.peak] = limits.peak_kw
    high[at.peak] = max(limits.peak_kw, float(bought.max())) + 1.0
    return low, np.maximum(high, low + MARGIN)


def _costs(problem: Problem, pattern: Pattern) -> tuple[Floats, Floats]:
    """Diagonal of P and c."""
    packs, outlook, wanted, at = (problem.packs, problem.outlook, problem.objectives, pattern.at)
    step_h = outlook.step_h
    curvature, slope = np.zeros(at.count), np.zeros(at.count)
    slope[at.charge] = slope[at.discharge] = weighed_wear(packs, wanted) * step_h
    slope[at.energy[-1]] = -end_worth(problem) * packs.efficiency
    over = limit_penalty(wanted, outlook) * step_h
    early = wanted.patience * step_h * np.arange(outlook.steps, 0, -1)
    slope[at.bought] = (wanted.cost * outlook.import_price + early) * step_h
    slope[at.bought_over] = slope[at.bought] + over
    slope[at.sold] = (wanted.export_per_kwh + early - wanted.cost * outlook.export_price) * step_h
    slope[at.sold_over] = slope[at.sold] + over
    if pattern.shape.curtail:
        slope[at.curtailed] = _of_curtailed(problem) + early * step_h
    slope[at.lacking] = wanted.reserve_per_kwh * step_h
    slope[at.above] = slope[at.below] = wanted.setpoint_per_kwh * step_h
    slope[at.peak] = wanted.peak_per_kw
    even, calm, before = calm_of(problem)
    for columns, way in ((at.charge, -1.0), (at.discharge, 1.0)):
        curvature[columns] = 2.0 * (even + calm)
        slope[columns] -= 2.0 * calm * np.maximum(way * before, 0.0)
    return curvature, slope


def _of_curtailed(problem: Problem) -> Floats:
    """What a kW that is held back costs in each step, so that it is held back for its own export
    alone: neither to please a set-point or the wish against export, nor to buy instead."""
    wanted, outlook = problem.objectives, problem.outlook
    missed = wanted.setpoint_per_kwh if wanted.setpoint_kw is not None else 0.0
    paid = np.maximum(-wanted.cost * outlook.import_price, 0.0)
    found: Floats = (LEAST_WEAR + wanted.export_per_kwh + missed + paid) * outlook.step_h
    return found


def calm_of(problem: Problem) -> tuple[Floats, Floats, Floats]:
    """Weights of power itself [packs] and of what differs from the plan before [steps, packs]
    [currency/kW2], and the power of that plan [kW]."""
    packs, calm = problem.packs, problem.objectives.calm
    alike = np.maximum((packs.charge_kw + packs.discharge_kw) / (2.0 * CALM_KW), 1.0)
    even = max(EVEN_PART * calm, LEAST_EVEN) / alike
    if problem.before_kw is None:
        none = np.broadcast_to(0.0, (problem.outlook.steps, len(packs)))
        return even, none, none
    before = problem.before_kw.T
    known = np.isfinite(before)
    return even, np.where(known, calm / alike, 0.0), np.where(known, before, 0.0)
