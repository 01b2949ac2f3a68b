"""Controllers that need no solver: rules that look at one step after the other, and "off".

They are what a coordinator falls back to, and what an optimiser has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.coordinator.account import after, cost_of, reach
from core.coordinator.curtailment import at_grid
from core.coordinator.plan import Controller, Cost, Plan
from core.coordinator.problem import Connection, Floats, Outlook, Packs, Problem, check
from core.coordinator.unmet import exceeded

Style = Literal["self-consumption", "time-of-use"]
CHEAP, DEAR = 0.1, 0.5
"""Of the way from the lowest to the highest price ahead: up to where a step is cheap, and from
where it is dear."""


class RuleBased:
    """A Planner. "self-consumption": what PV gives beyond the load charges, what it lacks is
    discharged. "time-of-use": besides, what dear steps ahead will want and PV will not give is
    kept for them, and charged from the grid in the last of the cheap steps before; where the
    prices' spread does not pay for losses and wear it is self-consumption."""

    controller: Controller = "rule-based"
    missing = ""

    def __init__(self, style: Style = "self-consumption") -> None:
        self.style = style

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        """As `Planner`; takes microseconds a step, whatever limit_s says."""
        check(problem)
        outlook, packs = problem.outlook, problem.packs
        asked = _asked(problem, self.style)
        energy = [packs.energy_kwh.astype(np.float64)]
        powers = np.zeros((len(packs), outlook.steps))
        for step in range(outlook.steps):
            take, give = reach(packs, energy[-1], outlook.step_h, problem.objectives.reserve)
            wish = asked.wish_kw(step, energy[-1])
            wish = _within(problem.connection, float(outlook.net_kw[step]), wish)
            powers[:, step] = shared(wish, take, give)
            energy.append(after(packs, energy[-1], powers[:, step], outlook.step_h))
        return _told(problem, made_at, self.controller, powers, np.stack(energy, axis=1))


class Off:
    """A Planner whose packs rest."""

    controller: Controller = "off"
    missing = ""

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        """As `Planner`."""
        check(problem)
        steps = problem.outlook.steps
        energy = np.repeat(problem.packs.energy_kwh[:, None], steps + 1, axis=1)
        return _told(problem, made_at, self.controller, np.zeros((len(problem.packs), steps)),
                     energy)


def shared(wish_kw: float, take_kw: Floats, give_kw: Floats) -> Floats:
    """Powers [n] that sum to wish_kw, + discharging, or come as near as packs can: each has the
    same part of what it can take or give [n]."""
    most = give_kw if wish_kw > 0 else -take_kw
    whole = float(most.sum())
    if whole == 0.0:
        return np.zeros(len(most))
    found: Floats = most * min(wish_kw / whole, 1.0)
    return found


@dataclass(frozen=True, slots=True)
class _SelfConsumption:
    """target_kw: what the connection should carry."""

    net_kw: Floats
    target_kw: float

    def wish_kw(self, step: int, energy_kwh: Floats) -> float:
        return float(self.net_kw[step]) - self.target_kw


@dataclass(frozen=True, slots=True)
class _TimeOfUse:
    """needed_kwh: in store at a cheap step, of what dear steps will want [steps]; cheap_left: how
    many steps of this cheap time are left, this one among them [steps]; floor: stored energy
    below which nothing is given [kWh], [n]."""

    net_kw: Floats
    import_limit_kw: float
    packs: Packs
    step_h: float
    cheap: NDArray[np.bool_]
    dear: NDArray[np.bool_]
    needed_kwh: Floats
    cheap_left: NDArray[np.int64]
    floor: Floats

    def wish_kw(self, step: int, energy_kwh: Floats) -> float:
        net_kw = float(self.net_kw[step])
        if self.dear[step] or net_kw < 0.0 and not self.cheap[step]:
            return net_kw
        over_kwh = float((energy_kwh - self.floor).sum()) - float(self.needed_kwh[step])
        way = float(self.packs.efficiency.mean())
        if over_kwh >= 0.0:
            return min(net_kw, over_kwh * way / self.step_h)
        if not self.cheap[step]:
            return 0.0
        most_kw = min(float(self.packs.charge_kw.sum()), max(self.import_limit_kw - net_kw, 0.0))
        later_kwh = (float(self.cheap_left[step]) - 1.0) * most_kw * self.step_h
        return min(net_kw, 0.0, -max(-over_kwh / way - later_kwh, 0.0) / self.step_h)


def _asked(problem: Problem, style: Style) -> _SelfConsumption | _TimeOfUse:
    outlook, packs = problem.outlook, problem.packs
    simple = _SelfConsumption(outlook.net_kw, problem.objectives.setpoint_kw or 0.0)
    price = outlook.import_price
    low, high = float(price.min()), float(price.max())
    if style == "self-consumption" or not len(packs):
        return simple
    both_ways = float(packs.efficiency.mean()) ** 2
    if high * both_ways - low <= float(packs.wear_per_kwh.mean()) * (1.0 + both_ways):
        return simple
    cheap, dear = (price <= low + CHEAP * (high - low)), (price >= low + DEAR * (high - low))
    reserve = np.maximum(packs.floor, problem.objectives.reserve)
    return _TimeOfUse(outlook.net_kw, problem.connection.import_limit_kw, packs, outlook.step_h,
                      cheap, dear,
                      _needed(outlook, dear, cheap, float(packs.efficiency.mean())),
                      _run_left(cheap), reserve * packs.capacity_kwh)


def _needed(outlook: Outlook, dear: NDArray[np.bool_], cheap: NDArray[np.bool_],
            efficiency: float) -> Floats:
    """At each step: what its coming dear steps, until it is cheap again, want from store, less
    what PV stores before them [kWh], [steps]; in cheap steps, what is wanted after them."""
    net_kwh = outlook.net_kw * outlook.step_h
    needed = np.zeros(outlook.steps)
    later = 0.0
    for step in reversed(range(outlook.steps)):
        needed[step] = later
        if cheap[step] and not cheap[max(step - 1, 0)]:
            later = 0.0  # these steps can buy it, those before need not keep it
        elif dear[step]:
            later = max(later + net_kwh[step] / efficiency, 0.0)
        elif net_kwh[step] < 0:
            later = max(later + net_kwh[step] * efficiency, 0.0)
    return needed


def _run_left(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many true ones in a row begin at each place."""
    left = np.zeros(len(flags), np.int64)
    run = 0
    for place in reversed(range(len(flags))):
        run = run + 1 if flags[place] else 0
        left[place] = run
    return left


def _within(connection: Connection, net_kw: float, wish_kw: float) -> float:
    """The wish, moved so that the connection keeps to its limits."""
    least, most = net_kw - connection.import_limit_kw, net_kw + connection.export_limit_kw
    return min(max(wish_kw, least), most)


def _told(problem: Problem, made_at: datetime, controller: Controller, powers: Floats,
          energy: Floats) -> Plan:
    outlook, packs = problem.outlook, problem.packs
    grid_kw, curtailed = at_grid(powers, outlook, problem.connection)
    cost: Cost = cost_of(powers, packs, outlook, problem.connection, problem.objectives)
    return Plan(made_at, outlook.start, outlook.step_s, packs.ids, controller, powers, energy,
                grid_kw, cost, exceeded=exceeded(problem, energy, grid_kw, curtailed),
                curtailed_kw=curtailed if problem.connection.curtailable else None)
