"""What a span of time has cost, beside what it would have cost: without packs, by rules, and by an
optimum that had known it all.

All are told for the same packs with the charge that they had at the beginning, and what is left
in them at the end counts, so that nobody wins by emptying the store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.coordinator.account import cost_of, driven, stored
from core.coordinator.plan import Cost
from core.coordinator.ports import Planner
from core.coordinator.problem import Band, Connection, Floats, Objectives, Outlook, Packs, Problem
from core.coordinator.rules import RuleBased
from core.direction import DEAD_BAND_C_RATE
from core.errors import RequestError

LEAST_COVERAGE = 0.95
"""Below it nobody can say what a span has cost."""
LONGEST_GAP_H = 1.0
"""A gap up to this long is bridged in a straight line."""
POWER_TOLERANCE, ENERGY_TOLERANCE = 0.01, 0.005
"""Of a limit, and of the capacity, within which measuring errs."""
WORTH_TELLING = 0.005
"""Of the bill without packs: a saving that is smaller says nothing as a share [currency]."""


@dataclass(frozen=True, slots=True)
class Span:
    """What happened in steps from `outlook.start` on. outlook: what was measured as `expected` of
    its bands, and the prices that held, NaN where missing. packs: as they were at the beginning.
    happened_kw: what packs did, NaN where missing [n, steps]. energy_kwh: measured at the edges
    of steps [n, steps + 1], None where nobody measured. of_kwh, packs_at: of which capacity that
    was, and of which packs by a number, both [n, steps + 1], None = of all packs throughout."""

    packs: Packs
    outlook: Outlook
    happened_kw: Floats
    energy_kwh: Floats | None = None
    connection: Connection = field(default_factory=Connection)
    objectives: Objectives = field(default_factory=Objectives)
    of_kwh: Floats | None = None
    packs_at: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """cost: by the tariff, wear and peak. left_kwh: more than at the beginning, in all packs;
    left_worth: what that would have cost [currency]."""

    cost: Cost
    left_kwh: float
    left_worth: float

    @property
    def total(self) -> float:
        """What compares [currency]."""
        return self.cost.total - self.left_worth


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a span of `steps` steps of step_s [s]. captured: the part of what was possible that
    happened has saved, 1 = all, below 0 = worse than no packs, NaN where nothing could be saved;
    rules_captured: the same of the rules. violations: packs x steps in which a limit was
    passed. coverage: part of the steps that is known."""

    start: datetime
    step_s: float
    steps: int
    coverage: float
    without: Account
    rules: Account
    happened: Account
    best: Account
    violations: int

    @property
    def captured(self) -> float:
        return self._part(self.happened)

    @property
    def rules_captured(self) -> float:
        return self._part(self.rules)

    @property
    def possible(self) -> float:
        """What perfect foresight would have saved [currency]."""
        return self.without.total - self.best.total

    def _part(self, account: Account) -> float:
        if self.possible <= WORTH_TELLING * abs(self.without.total) or self.possible <= 0.0:
            return math.nan
        return (self.without.total - account.total) / self.possible


def judge(span: Span, best: Planner, at: datetime, limit_s: float,
          rules: Planner | None = None) -> Verdict:
    """best: an optimiser, which is told what was measured as if it had been foreseen; rules: those
    to compare with, self-consumption without them. Raises RequestError, in words, where too
    little is known; RetryLaterError as the optimiser does."""
    whole, coverage = _whole(span)
    worth = replacement_worth(whole.outlook)
    wanted = replace(whole.objectives, cost=1.0, wear=1.0, export_per_kwh=0.0, setpoint_kw=None,
                     patience=0.0, energy_value=worth, reserve=_reserve(whole))
    problem = Problem(whole.packs, whole.outlook, whole.connection, wanted)
    rest = np.zeros(whole.happened_kw.shape)
    by_rules = (rules or RuleBased()).plan(problem, at, limit_s).pack_kw
    by_best = best.plan(problem, at, limit_s).pack_kw
    return Verdict(
        whole.outlook.start, whole.outlook.step_s, whole.outlook.steps, coverage,
        _account(whole, rest, worth), _account(whole, _kept(whole, by_rules), worth),
        _account(_as_metered(whole), whole.happened_kw, worth, whole.energy_kwh),
        _account(whole, _kept(whole, by_best), worth), violations(span))


def _reserve(span: Span) -> float:
    """An optimum keeps what of the reserve is there, and need not fill it for the money."""
    there_kwh, whole_kwh = span.packs.energy_kwh.sum(), span.packs.capacity_kwh.sum()
    return min(span.objectives.reserve, float(there_kwh / whole_kwh) if whole_kwh > 0 else 0.0)


def replacement_worth(outlook: Outlook) -> float:
    """What a kWh that is left in store is worth: what it costs to put it there at the cheapest
    known step of the span, never less than nothing [currency/kWh]."""
    return max(float(np.nanmin(outlook.import_price)), 0.0)


def violations(span: Span) -> int:
    """Packs x steps in which a pack did more than it may, or moved further out of its charge
    limits [count]; what is missing is none."""
    packs, done = span.packs, span.happened_kw
    slack = np.maximum(POWER_TOLERANCE * np.maximum(packs.charge_kw, packs.discharge_kw),
                       DEAD_BAND_C_RATE * packs.capacity_kwh)
    beyond = done > (packs.discharge_kw + slack)[:, None]
    beyond |= -done > (packs.charge_kw + slack)[:, None]
    if span.energy_kwh is not None:
        of_kwh = packs.capacity_kwh[:, None] if span.of_kwh is None else np.where(
            span.of_kwh > 0, span.of_kwh, np.nan)
        charge = span.energy_kwh / of_kwh
        ends, moves = charge[:, 1:], np.where(_same(span), np.diff(charge, axis=1), np.nan)
        below = (ends < packs.floor[:, None] - ENERGY_TOLERANCE) & (moves < 0)
        above = (ends > packs.ceiling[:, None] + ENERGY_TOLERANCE) & (moves > 0)
        beyond |= below | above
    return int(np.count_nonzero(beyond))


def _as_metered(span: Span) -> Span:
    """What PV was held back is not in what was measured."""
    return replace(span, connection=replace(span.connection, curtailable=False))


def _kept(span: Span, powers: Floats) -> Floats:
    """Plans are in solver's precision; packs keep to their limits exactly."""
    return driven(span.packs, powers, span.outlook.step_h)[0]


def _account(span: Span, powers: Floats, worth: float, energy: Floats | None = None) -> Account:
    packs = span.packs
    ends = stored(packs, powers, span.outlook.step_h) if energy is None else energy
    left = ends[:, -1] - ends[:, 0]
    cost = cost_of(powers, packs, span.outlook, span.connection, span.objectives)
    return Account(cost, float(left.sum()), worth * float((left * packs.efficiency).sum()))


def _whole(span: Span) -> tuple[Span, float]:
    """The span without gaps, and the part of its steps in which all was known; raises
    RequestError, naming what is missing."""
    outlook = span.outlook
    if not outlook.steps:
        raise RequestError("Nothing to judge yet: no step is over")
    columns = {"load": outlook.load_kw.expected, "PV": outlook.pv_kw.expected,
               "the price of import": outlook.import_price,
               "the price of export": outlook.export_price}
    known: dict[str, NDArray[np.bool_]] = {name: np.isfinite(values)
                                           for name, values in columns.items()}
    known["what the packs did"] = np.asarray(np.isfinite(span.happened_kw).all(axis=0))
    every: NDArray[np.bool_] = np.logical_and.reduce(list(known.values()))
    coverage = float(every.mean())
    if coverage < LEAST_COVERAGE:
        worst = min(known, key=lambda name: int(known[name].sum()))
        raise RequestError(f"Not judged: {worst} is known for {known[worst].mean():.0%} of the "
                           f"time and all together for {coverage:.0%}; at least "
                           f"{LEAST_COVERAGE:.0%} are needed")
    _check_gap(every, outlook)
    load, pv, bought, sold = (_bridged(values) for values in columns.values())
    happened = np.stack([_bridged(row) for row in span.happened_kw]) if len(span.packs) else (
        span.happened_kw)
    filled = replace(outlook, load_kw=Band(load, load, load), pv_kw=Band(pv, pv, pv),
                     import_price=bought, export_price=sold)
    return replace(span, outlook=filled, happened_kw=happened,
                   energy_kwh=_continued(span, happened)), coverage


def _check_gap(known: NDArray[np.bool_], outlook: Outlook) -> None:
    edges = np.flatnonzero(np.concatenate([[True], known, [True]]))
    longest_h = float(np.diff(edges).max() - 1) * outlook.step_h
    if longest_h > LONGEST_GAP_H:
        raise RequestError(f"Not judged: nothing is known for {longest_h:.1f} h in a row; at most "
                           f"{LONGEST_GAP_H:.0f} h are bridged")


def _bridged(values: Floats) -> Floats:
    """Gaps in a straight line, at the ends as the next known one."""
    known = np.isfinite(values)
    places = np.arange(len(values))
    found: Floats = np.interp(places, places[known], values[known])
    return found


def _same(span: Span) -> NDArray[np.bool_]:
    """Whether what is stored at both edges of a step is of the same packs, all along [n, steps]."""
    if span.packs_at is None:
        return np.ones(span.happened_kw.shape, dtype=np.bool_)
    return np.asarray(np.diff(span.packs_at, axis=1) == 0)


def _continued(span: Span, happened: Floats) -> Floats | None:
    """What would be stored had the packs that are heard been the same throughout, at the edges of
    steps [n, steps + 1]: from what was measured at the beginning, by what was measured of the same
    packs, and else by what went through them, so that a pack that falls silent or comes back is
    neither spent nor earned. None where the beginning is not known."""
    energy = span.energy_kwh
    if energy is None or not np.isfinite(energy[:, 0]).all():
        return None
    measured = np.where(_same(span), np.diff(energy, axis=1), np.nan)
    reckoned = np.diff(stored(span.packs, happened, span.outlook.step_h), axis=1)
    moved = np.where(np.isfinite(measured), measured, reckoned)
    return np.cumsum(np.column_stack([energy[:, 0], moved]), axis=1)
