"""What a day has cost so far, out of its minutes, beside what it could have cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from core.coordinator.judge import Account, Span, judge
from core.coordinator.outlook import column, step_means
from core.coordinator.plan import Controller, Cost
from core.coordinator.ports import Planner
from core.coordinator.problem import Band, Connection, Floats, Objectives, Outlook, Packs
from core.coordinator.records import Minute
from core.coordinator.usual import CEILING, EFFICIENCY, FLOOR
from core.coordinator.view import DayCost
from core.coordinator.wear import wear_by_kind
from core.errors import OrreryError

LIMIT_S = 10.0
UNKNOWN = (float("nan"), float("nan"))


def day_cost(minutes: Sequence[Minute], packs: Packs, kinds: Sequence[str], start: datetime,
             until: datetime, step_s: float, planners: Mapping[Controller, Planner],
             connection: Connection, objectives: Objectives) -> DayCost:
    """From `start` to `until`, judged with one virtual pack a chemistry. packs, kinds: the site's
    packs as they are now, and the chemistry of each. planners: those that people choose from;
    "mpc" finds perfect foresight, "rule-based" is what the rules would have done. What cannot be
    told is said in words."""
    best, rules = planners.get("mpc"), planners.get("rule-based")
    names = sorted(set(kinds))
    known = [one for one in minutes if _known(one, names)]
    if not known:
        return DayCost(start, until, words="Nothing is known of this day yet")
    # Of a step that began before anybody listened, nobody knows what went through the packs.
    begin_s = max(start.timestamp(), math.ceil(known[0].time_s / step_s) * step_s)
    begin = start + timedelta(seconds=begin_s - start.timestamp())
    steps = int((until.timestamp() - begin_s) // step_s)
    violations = sum(one.violations for one in minutes)
    if steps < 1 or not len(packs):
        return DayCost(begin, until, violations=violations, words=(
            "Told once the first ten minutes are over" if len(packs) else
            "No pack can be planned with, so that nothing can be compared"))
    if best is None or best.missing:
        return DayCost(begin, until, violations=violations, words=(
            best.missing if best is not None else "No optimiser is installed to compare with"))
    powers = _powers(minutes, names, begin, steps, step_s)
    stored = _edges(known, names, begin, steps, step_s)
    span = Span(_virtual(packs, kinds, names, stored[:, 0], powers),
                _outlook(minutes, begin, steps, step_s), powers, stored, connection, objectives)
    try:
        verdict = judge(span, best, until, LIMIT_S, rules)
    except OrreryError as error:
        return DayCost(begin, until, violations=violations, words=str(error))
    return DayCost(begin, begin + timedelta(seconds=steps * step_s), _told(verdict.without),
                   _told(verdict.rules), _told(verdict.happened), _told(verdict.best),
                   100.0 * verdict.captured, violations, verdict.coverage,
                   account_violations=verdict.violations)


def _told(account: Account) -> Cost:
    """What is left in the packs is taken off what the energy cost."""
    return Cost(account.cost.energy - account.left_worth, account.cost.wear, account.cost.demand)


def _virtual(packs: Packs, kinds: Sequence[str], names: Sequence[str], energy: Floats,
             powers: Floats) -> Packs:
    """What is derated now may have been more in the span: what was done, could be done. Wear as
    the packs' own, by capacity."""
    own = [np.array([kind == name for kind in kinds]) for name in names]
    sums = {field: np.array([float(getattr(packs, field)[rows].sum()) for rows in own])
            for field in ("capacity_kwh", "charge_kw", "discharge_kw")}
    done = np.nan_to_num(powers)
    sums["charge_kw"] = np.maximum(sums["charge_kw"], -done.min(axis=1, initial=0.0))
    sums["discharge_kw"] = np.maximum(sums["discharge_kw"], done.max(axis=1, initial=0.0))
    energy = np.nan_to_num(energy)
    capacity = np.maximum(sums["capacity_kwh"], energy)
    count = len(names)
    wear = wear_by_kind(packs, kinds)
    return Packs(tuple(names), capacity, energy, sums["charge_kw"], sums["discharge_kw"],
                 np.full(count, EFFICIENCY), np.array([wear[name] for name in names]),
                 np.minimum(FLOOR, energy / capacity), np.maximum(CEILING, energy / capacity))


def _outlook(minutes: Sequence[Minute], begin: datetime, steps: int, step_s: float) -> Outlook:
    times = column(minutes, "time_s")
    load, pv, buy, sell = (step_means(times, column(minutes, name), begin, steps, step_s)
                           for name in ("load_kw", "pv_kw", "import_price", "export_price"))
    return Outlook(begin, step_s, Band(load, load, load), Band(pv, pv, pv), buy, sell)


def _powers(minutes: Sequence[Minute], names: Sequence[str], begin: datetime, steps: int,
            step_s: float) -> Floats:
    """[kinds, steps], means."""
    times = column(minutes, "time_s")
    own = [np.array([one.kinds.get(name, UNKNOWN)[0] for one in minutes]) for name in names]
    return np.stack([step_means(times, values, begin, steps, step_s) for values in own])


def _edges(known: Sequence[Minute], names: Sequence[str], begin: datetime, steps: int,
           step_s: float) -> Floats:
    """Stored energy at the edges of steps [kinds, steps + 1]: of the last minute before each in
    which all is known, NaN where that was more than a step before."""
    times = np.array([one.time_s for one in known])
    edges = begin.timestamp() + step_s * np.arange(steps + 1)
    at = np.clip(np.searchsorted(times, edges, side="left") - 1, 0, len(known) - 1)
    found = np.array([[known[row].kinds[name][1] for row in at] for name in names])
    return np.where(edges - times[at] <= step_s, found, np.nan)


def _known(minute: Minute, names: Sequence[str]) -> bool:
    """The load, and what the packs of every kind did and hold."""
    return bool(names) and math.isfinite(minute.load_kw) and all(
        math.isfinite(value) for name in names for value in minute.kinds.get(name, UNKNOWN))
