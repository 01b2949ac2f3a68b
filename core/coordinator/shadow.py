"""A challenger beside the champion: it plans for packs of its own that nobody sees, lives through
the same load, PV and prices, and what it would have cost is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from core.coordinator.account import after, reach
from core.coordinator.chain import carried, planned
from core.coordinator.curtailment import held
from core.coordinator.plan import Controller, Plan
from core.coordinator.ports import Planner
from core.coordinator.problem import Floats, Packs, Problem
from core.coordinator.records import Minute
from core.coordinator.usual import EFFICIENCY
from core.coordinator.view import Lived, Shadow
from core.coordinator.wear import wear_per_kwh

MINUTE_S, MINUTE_H = 60.0, 1.0 / 60.0
LATE_S = 120.0
"""Since the last minute's end: a minute that is over is told within the next."""


@dataclass(slots=True)
class _Lived:
    """energy_kwh, champion_kwh: of the challenger's packs and the champion's by device, of one that
    is away as it was last; began_kwh, began_champion_kwh: stored when the score began, and what
    neither is scored for since. there: who was planned with the last time."""

    energy_kwh: dict[str, float]
    champion_kwh: dict[str, float]
    began_kwh: float
    began_champion_kwh: float
    since: datetime
    settled_s: float
    plan: Plan | None = None
    runs: int = 0
    cost: float = 0.0
    champion_cost: float = 0.0
    there: frozenset[str] = frozenset()


class Challenger:
    """Of one site and one controller, in one currency; for one thread. kept: its score before a
    restart, with which it goes on."""

    def __init__(self, controller: Controller, champion: Controller, kept: Shadow | None = None,
                 currency: str = "") -> None:
        self.controller, self.champion, self.currency = controller, champion, currency
        self._lived: _Lived | None = None
        self._kept = kept

    def run(self, problem: Problem, planners: Mapping[Controller, Planner],
            minutes: Sequence[Minute], now: datetime, limit_s: float,
            wear: Mapping[str, float]) -> Shadow:
        """minutes: what happened since the last time, and perhaps before; wear: by chemistry
        [currency/kWh], of one that is not named as of a new pack."""
        lived = self._lived or self._begun(problem.packs, now)
        self._lived = lived
        scored_kwh = self._settle(lived, problem, minutes, now, wear)
        _measured(lived, problem.packs, scored_kwh)
        own = np.array([lived.energy_kwh[device] for device in problem.packs.ids])
        before = None if lived.plan is None else carried(
            lived.plan, problem.packs.ids, problem.outlook.start, problem.outlook.step_s,
            problem.outlook.steps)
        asked = replace(problem, packs=replace(problem.packs, energy_kwh=own), before_kw=before)
        lived.plan = planned(asked, self.controller, planners, None, now, limit_s,
                             drives=False)
        lived.runs += 1
        return self._told(lived, problem)

    def _begun(self, packs: Packs, now: datetime) -> _Lived:
        """From what was kept, where that tells of each of the champion's packs: what an earlier
        version kept does not, and the score begins anew."""
        kept, self._kept = self._kept, None
        if kept is not None and kept.lived is not None and kept.lived.champion:
            was = kept.lived
            return _Lived(dict(was.energy_kwh), dict(was.champion), was.began_kwh,
                          was.began_champion_kwh, kept.since, max(was.settled_s, now.timestamp()),
                          kept.plan, kept.runs, was.cost, was.champion_cost)
        return _Lived({}, {}, 0.0, 0.0, now, now.timestamp())

    def _settle(self, lived: _Lived, problem: Problem, minutes: Sequence[Minute], now: datetime,
                wear_of: Mapping[str, float]) -> float | None:
        """Live through the minutes as the last plan had it, inside what packs can do; PV that the
        site would hold back is no export. A minute of which not all is known is lived through by
        neither. What went into the champion's packs in the others [kWh]; None where there is no
        such minute, and what is measured counts."""
        packs = problem.packs
        own = np.array([lived.energy_kwh.get(device, math.nan) for device in packs.ids])
        known = np.isfinite(own)
        own = np.where(known, own, packs.energy_kwh)
        scored_kwh, whole = 0.0, True
        for minute in minutes:
            if minute.time_s < lived.settled_s:
                continue
            whole = whole and minute.time_s < lived.settled_s + MINUTE_S
            lived.settled_s = minute.time_s + MINUTE_S
            powers = self._powers(lived, packs, own, minute.time_s)
            wear = float(packs.wear_per_kwh @ np.abs(powers))
            flow = minute.load_kw - minute.pv_kw - float(powers.sum())
            flow += float(held(np.array([flow]), np.array([minute.pv_kw]),
                               np.array([minute.export_price]), problem.connection)[0])
            paid, champion_paid = wear + _bill(flow, minute), _champion_paid(minute, wear_of)
            if not math.isfinite(paid + champion_paid) or _partly(minute) or \
                    minute.currency not in (None, self.currency):
                whole = False
                continue
            own = after(packs, own, powers, MINUTE_H)
            lived.cost += MINUTE_H * paid
            lived.champion_cost += MINUTE_H * champion_paid
            scored_kwh += sum(_stored_by(told.power_kw) for told in minute.kinds.values())
        lived.energy_kwh.update(zip(packs.ids, own.tolist(), strict=True))
        late = now.timestamp() - lived.settled_s >= LATE_S
        return None if whole and not late else scored_kwh

    def _powers(self, lived: _Lived, packs: Packs, energy_kwh: Floats, time_s: float) -> Floats:
        plan = lived.plan
        if plan is None:
            return np.zeros(len(packs))
        when = datetime.fromtimestamp(time_s, plan.start.tzinfo)
        wanted = np.nan_to_num(carried(plan, packs.ids, when, plan.step_s, 1)[:, 0])
        take, give = reach(packs, energy_kwh, MINUTE_H)
        powers: Floats = np.clip(wanted, -take, give)
        return powers

    def _told(self, lived: _Lived, problem: Problem) -> Shadow:
        """What is left in the packs counts, at what a kWh costs on the mean of the time ahead."""
        worth = max(0.0, float(problem.outlook.import_price.mean()))
        left = worth * (sum(lived.energy_kwh.values()) - lived.began_kwh)
        champion_kwh = sum(lived.champion_kwh.values())
        champion_left = worth * (champion_kwh - lived.began_champion_kwh)
        plan = lived.plan
        kept = Lived(dict(lived.energy_kwh), champion_kwh, lived.began_kwh,
                     lived.began_champion_kwh, lived.settled_s, lived.cost, lived.champion_cost,
                     dict(lived.champion_kwh))
        return Shadow(self.controller, self.champion, lived.since, lived.runs, lived.cost - left,
                      lived.champion_cost - champion_left, plan,
                      "" if plan is None or plan.standing == "planned" else plan.words, kept,
                      self.currency)


def _measured(lived: _Lived, packs: Packs, scored_kwh: float | None) -> None:
    """What the champion's packs hold now. What they did in minutes that were not scored, or while
    they were away, or nobody looked, is in neither's score, and neither is what a new one
    brings."""
    now = dict(zip(packs.ids, packs.energy_kwh.tolist(), strict=True))
    for device in now.keys() - lived.champion_kwh.keys():
        lived.champion_kwh[device] = now[device]
        lived.began_champion_kwh += now[device]
        lived.began_kwh += lived.energy_kwh.setdefault(device, now[device])
    moved = {device: energy - lived.champion_kwh[device] for device, energy in now.items()}
    stayed = sum(by for device, by in moved.items() if device in lived.there)
    lived.began_champion_kwh += sum(moved.values()) - (stayed if scored_kwh is None else scored_kwh)
    lived.champion_kwh |= now
    lived.there = frozenset(now)


def _champion_paid(minute: Minute, wear_of: Mapping[str, float]) -> float:
    """With the wear of its packs [currency/h]; NaN where it is not known."""
    worn = sum(wear_of.get(kind, wear_per_kwh(kind)) * abs(told.power_kw)
               for kind, told in minute.kinds.items())
    return worn + _bill(minute.grid_kw, minute)


def _partly(minute: Minute) -> bool:
    """Whether some of its packs were silent."""
    return not minute.kinds or any(told.heard_kwh < told.of_kwh for told in minute.kinds.values())


def _stored_by(power_kw: float) -> float:
    """A minute of that power leaves so much more in packs [kWh]."""
    return -MINUTE_H * (power_kw / EFFICIENCY if power_kw > 0 else power_kw * EFFICIENCY)


def _bill(grid_kw: float, minute: Minute) -> float:
    """[currency/h]; NaN where no price is known."""
    return grid_kw * (minute.import_price if grid_kw > 0 else minute.export_price)
