"""A plan cut into times in which the fleet does one thing. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from core.coordinator.plan import Binding, Plan
from core.coordinator.problem import Floats, Outlook
from core.coordinator.view import Ahead
from core.vocabulary import Direction

IDLE_SHARE, IDLE_KW = 0.01, 0.05
"""Of the plan's highest power, and at least [kW]: below it the fleet rests."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps [first, last) of a plan. fleet_kw, net_kw: means, discharge and import positive."""

    way: Direction
    first: int
    last: int
    start: datetime
    end: datetime
    fleet_kw: float
    net_kw: float
    import_price: tuple[float, float]
    """The lowest and the highest."""
    export_price: float

    @property
    def steps(self) -> range:
        return range(self.first, self.last)


def resting_kw(plan: Plan) -> float:
    """Below it a power is none [kW]."""
    return max(IDLE_KW, IDLE_SHARE * float(np.abs(plan.fleet_kw).max(initial=0.0)))


def stretches(ahead: Ahead) -> list[Stretch]:
    """The whole plan, in order."""
    plan, outlook = ahead.plan, ahead.outlook
    signs = np.sign(plan.fleet_kw) * (np.abs(plan.fleet_kw) > resting_kw(plan))
    cuts = [0, *(np.flatnonzero(np.diff(signs)) + 1).tolist(), plan.steps]
    return [_stretch(plan, outlook, float(signs[first]), first, last)
            for first, last in zip(cuts, cuts[1:], strict=False)]


def _stretch(plan: Plan, outlook: Outlook, sign: float, first: int, last: int) -> Stretch:
    part = slice(first, last)
    way: Direction = "discharging" if sign > 0 else "charging" if sign < 0 else "idle"
    return Stretch(way, first, last, moment(plan, first), moment(plan, last),
                   float(plan.fleet_kw[part].mean()), float(outlook.net_kw[part].mean()),
                   (float(outlook.import_price[part].min()),
                    float(outlook.import_price[part].max())),
                   float(outlook.export_price[part].mean()))


def moment(plan: Plan, step: int) -> datetime:
    """When a step begins."""
    return plan.start + timedelta(seconds=step * plan.step_s)


def edges_s(plan: Plan) -> Floats:
    """[steps + 1] [s since 1970]."""
    found: Floats = plan.start.timestamp() + plan.step_s * np.arange(plan.steps + 1)
    return found


def at(found: Sequence[Stretch], now: datetime) -> int:
    """Place of the stretch that `now` lies in, the nearest where it lies in none."""
    for place, one in enumerate(found):
        if now < one.end:
            return place
    return len(found) - 1


def step_at(plan: Plan, when: datetime) -> int | None:
    """None outside of the plan."""
    step = int((when - plan.start).total_seconds() // plan.step_s)
    return step if 0 <= step < plan.steps else None


def dear_from(ahead: Ahead, first: int, price: float) -> int | None:
    """The first step from `first` on in which the fleet discharges and power costs more."""
    gives = ahead.plan.fleet_kw > resting_kw(ahead.plan)
    found = np.flatnonzero((gives & (ahead.outlook.import_price > price))[first:])
    return None if not found.size else first + int(found[0])


def binding_in(plan: Plan, steps: range) -> list[Binding]:
    """What holds the plan back in any of these steps, the one worth most first."""
    held = [one for one in plan.bindings if any(step in steps for step in one.steps)]
    return sorted(held, key=lambda one: -one.worth_in(steps))
