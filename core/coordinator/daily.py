"""What a day has cost so far, out of its minutes, beside what it could have cost.

It is of the packs that are heard, and of minutes in which these are LEAST_KNOWN of the capacity:
what a silent pack does is in none of its sums, neither power nor charge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from core.coordinator.currency import of_newest
from core.coordinator.judge import Account, Span, judge
from core.coordinator.minutes import LEAST_KNOWN, MINUTE_S
from core.coordinator.outlook import column, step_means
from core.coordinator.plan import Controller, Cost
from core.coordinator.ports import Planner
from core.coordinator.problem import Band, Connection, Floats, Objectives, Outlook, Packs
from core.coordinator.records import Minute, OfKind
from core.coordinator.usual import CEILING, EFFICIENCY, FLOOR
from core.coordinator.view import DayCost
from core.coordinator.wear import wear_by_kind
from core.errors import OrreryError

LIMIT_S = 10.0
UNKNOWN = OfKind(float("nan"), float("nan"))
NOBODY = OfKind(0.0, 0.0, 0.0, 0.0, 0)
TELLS_ALL = 0.995
"""A part of the capacity from which on nobody need be told that it is not the whole."""


@dataclass(frozen=True, slots=True)
class Asked:
    """From `start` to `until`, in steps of step_s [s]. packs, kinds: the site's packs as they are
    now, and the chemistry of each. planners: those that people choose from; "mpc" finds perfect
    foresight, "rule-based" is what the rules would have done."""

    packs: Packs
    kinds: Sequence[str]
    start: datetime
    until: datetime
    step_s: float
    planners: Mapping[Controller, Planner]
    connection: Connection
    objectives: Objectives


def day_cost(minutes: Sequence[Minute], packs: Packs, kinds: Sequence[str], start: datetime,
             until: datetime, step_s: float, planners: Mapping[Controller, Planner],
             connection: Connection, objectives: Objectives) -> DayCost:
    """As `Asked` names it, judged with one virtual pack a chemistry, in the currency of the newest
    minutes and from where that begins. What cannot be told is said in words."""
    told, currency, since = of_newest(minutes)
    found = _of_minutes(told, Asked(packs, kinds, start, until, step_s, planners, connection,
                                    objectives), _of_day(minutes))
    return replace(found, currency=currency, violations=sum(one.violations for one in minutes),
                   words="; ".join(part for part in (found.words, since) if part))


def _of_minutes(minutes: Sequence[Minute], asked: Asked, of_kwh: float) -> DayCost:
    """of_kwh: capacity of all packs that count that day."""
    names, step_s = sorted(set(asked.kinds)), asked.step_s
    heard = [one for one in minutes if _heard(one, names, of_kwh)]
    known = [one for one in heard if math.isfinite(one.load_kw)]
    if not known:
        return DayCost(asked.start, asked.until, words="Nothing is known of this day yet")
    # Of a step that began before anybody listened, nobody knows what went through the packs.
    begin_s = max(asked.start.timestamp(), math.ceil(known[0].time_s / step_s) * step_s)
    begin = asked.start + timedelta(seconds=begin_s - asked.start.timestamp())
    steps = int((asked.until.timestamp() - begin_s) // step_s)
    best = asked.planners.get("mpc")
    lacking = _lacking(asked.packs, steps, best)
    if best is None or lacking:
        return DayCost(begin, asked.until, words=lacking)
    span = _span(minutes, heard, known, asked, begin, steps)
    try:
        verdict = judge(span, best, asked.until, LIMIT_S, asked.planners.get("rule-based"))
    except OrreryError as error:
        return DayCost(begin, asked.until, words=str(error))
    return DayCost(begin, begin + timedelta(seconds=steps * step_s), _told(verdict.without),
                   _told(verdict.rules), _told(verdict.happened), _told(verdict.best),
                   100.0 * verdict.captured, known=verdict.coverage,
                   words=_partly(known, names, of_kwh), account_violations=verdict.violations)


def _lacking(packs: Packs, steps: int, best: Planner | None) -> str:
    """Why nothing can be compared, "" where it can."""
    if not len(packs):
        return "No pack can be planned with, so that nothing can be compared"
    if steps < 1:
        return "Told once the first ten minutes are over"
    return "No optimiser is installed to compare with" if best is None else best.missing


def _span(minutes: Sequence[Minute], heard: Sequence[Minute], known: Sequence[Minute],
          asked: Asked, begin: datetime, steps: int) -> Span:
    """heard: those of `minutes` in which enough of the packs were; known: with their load too."""
    names, step_s = sorted(set(asked.kinds)), asked.step_s
    powers = _powers(heard, names, begin, steps, step_s)
    stored, there_kwh, packs_at = _edges(known, names, begin, steps, step_s)
    virtual = _virtual(asked.packs, asked.kinds, names, stored[:, 0], there_kwh[:, 0], powers)
    of_all = np.where(np.isfinite(there_kwh), there_kwh, virtual.capacity_kwh[:, None])
    return Span(virtual, _outlook(minutes, begin, steps, step_s), powers, stored,
                asked.connection, asked.objectives, of_all, packs_at)


def _told(account: Account) -> Cost:
    """What is left in the packs is taken off what the energy cost."""
    return Cost(account.cost.energy - account.left_worth, account.cost.wear, account.cost.demand)


def _virtual(packs: Packs, kinds: Sequence[str], names: Sequence[str], energy: Floats,
             there_kwh: Floats, powers: Floats) -> Packs:
    """Of the capacity that was heard at the beginning, where that is told. What is derated now may
    have been more in the span: what was done, could be done. Wear as the packs' own, by
    capacity."""
    own = [np.array([kind == name for kind in kinds]) for name in names]
    sums = {field: np.array([float(getattr(packs, field)[rows].sum()) for rows in own])
            for field in ("capacity_kwh", "charge_kw", "discharge_kw")}
    part = np.where(there_kwh > 0, there_kwh / sums["capacity_kwh"], 1.0)
    sums = {field: part * values for field, values in sums.items()}
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


def _powers(heard: Sequence[Minute], names: Sequence[str], begin: datetime, steps: int,
            step_s: float) -> Floats:
    """[kinds, steps], means."""
    times = column(heard, "time_s")
    own = [np.array([_told_of(one, name).power_kw for one in heard]) for name in names]
    return np.stack([step_means(times, values, begin, steps, step_s) for values in own])


def _edges(known: Sequence[Minute], names: Sequence[str], begin: datetime, steps: int,
           step_s: float) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Stored energy at the edges of steps, the capacity that it is of, and a number that is the
    same while the same packs are heard and no minute lacks [kinds, steps + 1]: of the last minute
    before each in which all is known, NaN where that was more than a step before; of the first
    after it where there is none before."""
    times = np.array([one.time_s for one in known])
    edges = begin.timestamp() + step_s * np.arange(steps + 1)
    at = np.clip(np.searchsorted(times, edges, side="left") - 1, 0, len(known) - 1)
    told = [[_told_of(one, name) for one in known] for name in names]
    packs = np.array([[one.packs for one in row] for row in told], dtype=np.int64)
    other = (np.diff(packs, axis=1) != 0) | (packs[:, 1:] == 0) | (np.diff(times) > MINUTE_S)
    since = np.column_stack([np.zeros(len(names), dtype=np.int64), other.cumsum(axis=1)])
    stored, there_kwh = (np.array([[getattr(one, name) for one in row] for row in told])[:, at]
                         for name in ("stored_kwh", "heard_kwh"))
    there = (times[at] < edges) & (edges - times[at] <= MINUTE_S)
    packs_at = np.where(there, since[:, at], -1 - np.arange(steps + 1))
    return np.where(edges - times[at] <= step_s, stored, np.nan), there_kwh, packs_at


def _told_of(minute: Minute, name: str) -> OfKind:
    """Of packs that nobody hears nothing is in the account."""
    told = minute.kinds.get(name, UNKNOWN)
    if told is UNKNOWN and any(math.isfinite(one.heard_kwh) for one in minute.kinds.values()):
        return NOBODY
    return NOBODY if told.heard_kwh == 0.0 else told


def _of_day(minutes: Sequence[Minute]) -> float:
    """Capacity of all packs that count [kWh]: as it was when the day began, for who restarts
    cannot know which packs had been silent before; NaN where no minute tells it."""
    sums = (sum(told.of_kwh for told in one.kinds.values()) for one in minutes if one.kinds)
    return next((of_kwh for of_kwh in sums if math.isfinite(of_kwh)), math.nan)


def _part(minute: Minute, names: Sequence[str], of_kwh: float) -> float:
    """Part of the capacity that is heard: none where nobody knows of how much, NaN where an earlier
    version kept the minute."""
    heard_kwh = sum(_told_of(minute, name).heard_kwh for name in names)
    if math.isnan(heard_kwh):
        return math.nan
    return min(1.0, heard_kwh / of_kwh) if of_kwh > 0 else 0.0


def _heard(minute: Minute, names: Sequence[str], of_kwh: float) -> bool:
    """Enough of the packs; all of them where an earlier version kept the minute."""
    told = [_told_of(minute, name) for name in names]
    if not names or not all(math.isfinite(one.power_kw + one.stored_kwh) for one in told):
        return False
    return not _part(minute, names, of_kwh) < LEAST_KNOWN


def _partly(known: Sequence[Minute], names: Sequence[str], of_kwh: float) -> str:
    """In words, where the account is not of all packs."""
    parts = [part for one in known if math.isfinite(part := _part(one, names, of_kwh))]
    mean = sum(parts) / len(parts) if parts else 1.0
    return "" if mean >= TELLS_ALL else (
        f"told of {100 * mean:.0f} % of the packs' capacity: the rest was not heard")
