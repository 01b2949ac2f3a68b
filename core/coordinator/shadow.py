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
from core.coordinator.view import Lived, Shadow
from core.coordinator.wear import wear_per_kwh

MINUTE_S, MINUTE_H = 60.0, 1.0 / 60.0


@dataclass(slots=True)
class _Lived:
    """energy_kwh: of the challenger's packs by device; began_kwh, began_champion_kwh: stored when
    the score began."""

    energy_kwh: dict[str, float]
    began_kwh: float
    began_champion_kwh: float
    since: datetime
    settled_s: float
    plan: Plan | None = None
    runs: int = 0
    cost: float = 0.0
    champion_cost: float = 0.0


class Challenger:
    """Of one site and one controller; for one thread. kept: its score before a restart, with which
    it goes on."""

    def __init__(self, controller: Controller, champion: Controller,
                 kept: Shadow | None = None) -> None:
        self.controller, self.champion = controller, champion
        self._lived: _Lived | None = None
        self._kept = kept

    def run(self, problem: Problem, planners: Mapping[Controller, Planner],
            minutes: Sequence[Minute], now: datetime, limit_s: float,
            wear: Mapping[str, float]) -> Shadow:
        """minutes: what happened since the last time, and perhaps before; wear: by chemistry
        [currency/kWh], of one that is not named as of a new pack."""
        lived = self._lived or self._begun(problem.packs, now)
        self._lived = lived
        self._settle(lived, problem, minutes, wear)
        own = np.array([lived.energy_kwh.setdefault(device, energy) for device, energy in
                        zip(problem.packs.ids, problem.packs.energy_kwh.tolist(), strict=True)])
        before = None if lived.plan is None else carried(
            lived.plan, problem.packs.ids, problem.outlook.start, problem.outlook.step_s,
            problem.outlook.steps)
        asked = replace(problem, packs=replace(problem.packs, energy_kwh=own), before_kw=before)
        lived.plan = planned(asked, self.controller, planners, None, now, limit_s,
                             drives=False)
        lived.runs += 1
        return self._told(lived, problem)

    def _begun(self, packs: Packs, now: datetime) -> _Lived:
        """What the champion's packs did while nobody looked is in neither's score, as is what they
        paid then."""
        kept, self._kept = self._kept, None
        if kept is not None and kept.lived is not None:
            was, meanwhile = kept.lived, float(packs.energy_kwh.sum()) - kept.lived.champion_kwh
            return _Lived(dict(was.energy_kwh), was.began_kwh, was.began_champion_kwh + meanwhile,
                          kept.since, max(was.settled_s, now.timestamp()), kept.plan, kept.runs,
                          was.cost, was.champion_cost)
        energy = dict(zip(packs.ids, packs.energy_kwh.tolist(), strict=True))
        whole = float(packs.energy_kwh.sum())
        return _Lived(energy, whole, whole, now, now.timestamp())

    def _settle(self, lived: _Lived, problem: Problem, minutes: Sequence[Minute],
                wear_of: Mapping[str, float]) -> None:
        """Live through the minutes as the last plan had it, inside what packs can do; PV that the
        site would hold back is no export."""
        packs = problem.packs
        own = np.array([lived.energy_kwh.get(device, math.nan) for device in packs.ids])
        known = np.isfinite(own)
        own = np.where(known, own, packs.energy_kwh)
        for minute in minutes:
            if minute.time_s < lived.settled_s:
                continue
            lived.settled_s = minute.time_s + MINUTE_S
            did = sum(power for power, _ in minute.kinds.values())
            if not math.isfinite(minute.load_kw + minute.pv_kw + minute.grid_kw + did):
                continue
            powers = self._powers(lived, packs, own, minute.time_s)
            own = after(packs, own, powers, MINUTE_H)
            wear = float(packs.wear_per_kwh @ np.abs(powers))
            flow = minute.load_kw - minute.pv_kw - float(powers.sum())
            flow += float(held(np.array([flow]), np.array([minute.pv_kw]),
                               np.array([minute.export_price]), problem.connection)[0])
            lived.cost += MINUTE_H * (wear + _bill(flow, minute))
            worn = sum(wear_of.get(kind, wear_per_kwh(kind)) * abs(power)
                       for kind, (power, _) in minute.kinds.items())
            lived.champion_cost += MINUTE_H * (worn + _bill(minute.grid_kw, minute))
        lived.energy_kwh.update(zip(packs.ids, own.tolist(), strict=True))

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
        own = sum(lived.energy_kwh[device] for device in problem.packs.ids)
        left = worth * (own - lived.began_kwh)
        champion_kwh = float(problem.packs.energy_kwh.sum())
        champion_left = worth * (champion_kwh - lived.began_champion_kwh)
        plan = lived.plan
        kept = Lived(dict(lived.energy_kwh), champion_kwh, lived.began_kwh,
                     lived.began_champion_kwh, lived.settled_s, lived.cost, lived.champion_cost)
        return Shadow(self.controller, self.champion, lived.since, lived.runs, lived.cost - left,
                      lived.champion_cost - champion_left, plan,
                      "" if plan is None or plan.standing == "planned" else plan.words, kept)


def _bill(grid_kw: float, minute: Minute) -> float:
    """[currency/h]; 0 where no price is known."""
    price = minute.import_price if grid_kw > 0 else minute.export_price
    return grid_kw * price if math.isfinite(price) else 0.0
