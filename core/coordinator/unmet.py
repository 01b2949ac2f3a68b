"""What a plan does not keep of what was wanted, whoever made it: each by its most and why."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.coordinator.account import reach
from core.coordinator.curtailment import told
from core.coordinator.plan import Exceeded
from core.coordinator.problem import Floats, Packs, Problem

NOTICED = 1e-3
"""A limit passed by less is kept [kW, kWh]."""
NOTICED_SETPOINT_KW = 0.05
MOST_NAMED = 3
NOT_WEIGHED = "whoever made this plan does not weigh what it is worth"


def exceeded(problem: Problem, energy_kwh: Floats, grid_kw: Floats, curtailed_kw: Floats,
             weighed: bool = False) -> tuple[Exceeded, ...]:
    """What a plan with this energy [n, steps + 1], this flow at the connection and this PV held
    back [steps] does not keep. weighed: whether it is an optimum, to which a wish may not have been
    worth what it costs; `problem` is a possible one (`problem.check`)."""
    return (*_connection(problem, energy_kwh, grid_kw), *_reserve(problem, energy_kwh, weighed),
            *_setpoint(problem, grid_kw, weighed), *_outside(problem.packs),
            *told(curtailed_kw, problem.outlook, problem.connection))


def _connection(problem: Problem, energy_kwh: Floats, grid_kw: Floats) -> Iterator[Exceeded]:
    net, limits = problem.outlook.net_kw, problem.connection
    for limit, most_kw, sign, flow, do in (
            ("import limit", limits.import_limit_kw, 1.0, "load less PV", "give"),
            ("export limit", limits.export_limit_kw, -1.0, "PV less load", "take")):
        over = sign * grid_kw - max(most_kw, 0.0)
        step = int(np.argmax(over))
        if over[step] > NOTICED:
            take, give = reach(problem.packs, energy_kwh[:, step], problem.outlook.step_h)
            can = give if do == "give" else take
            yield Exceeded(limit, step, float(over[step]), "kW",
                           f"{flow} is {sign * net[step]:.1f} kW, the limit is {most_kw:.1f} kW "
                           f"and packs can {do} {can.sum():.1f} kW then")


def _reserve(problem: Problem, energy_kwh: Floats, weighed: bool) -> Iterator[Exceeded]:
    packs, wanted = problem.packs, problem.objectives
    kept = wanted.reserve * float(packs.capacity_kwh.sum())
    lacking = kept - energy_kwh[:, 1:].sum(axis=0)
    step = int(np.argmax(lacking))
    if not (wanted.reserve > 0 and lacking[step] > NOTICED):
        return
    most = float((np.clip(packs.ceiling, 0.0, 1.0) * packs.capacity_kwh).sum())
    if most < kept:
        why = f"packs may be charged to {most:.1f} kWh, the reserve is {kept:.1f} kWh"
    elif energy_kwh[:, 0].sum() < kept:
        why = f"packs start with {energy_kwh[:, 0].sum():.1f} kWh, the reserve is {kept:.1f} kWh"
    else:
        why = (f"a limit or a price ahead is worth more than the {wanted.reserve_per_kwh:g}/kWh "
               "that the reserve is worth") if weighed else NOT_WEIGHED
    yield Exceeded("reserve", step, float(lacking[step]), "kWh", why)


def _setpoint(problem: Problem, grid_kw: Floats, weighed: bool) -> Iterator[Exceeded]:
    wanted = problem.objectives
    if wanted.setpoint_kw is None:
        return
    missed = np.abs(grid_kw - wanted.setpoint_kw)
    step = int(np.argmax(missed))
    if missed[step] > NOTICED_SETPOINT_KW:
        other = (f"it is worth more than {wanted.setpoint_per_kwh:g}/kWh" if weighed else
                 NOT_WEIGHED)
        yield Exceeded("set-point", step, float(missed[step]), "kW",
                       f"the connection carries {grid_kw[step]:.1f} kW then: packs are full, empty "
                       f"or at their power, or {other}")


def _outside(packs: Packs) -> Iterator[Exceeded]:
    """Packs whose charge is outside of their limits from the start, or whose limits contradict
    each other."""
    floor = np.clip(packs.floor, 0.0, 1.0) * packs.capacity_kwh
    ceiling = np.clip(packs.ceiling, 0.0, 1.0) * packs.capacity_kwh
    absurd = floor > ceiling
    for limit, by, why in (
            ("floor and ceiling of charge", floor - ceiling,
             "the floor is above the ceiling: they rest"),
            ("floor of charge", np.where(absurd, 0.0, floor - packs.energy_kwh),
             "they start below it and are not discharged further"),
            ("ceiling of charge", np.where(absurd, 0.0, packs.energy_kwh - ceiling),
             "they start above it and are not charged further")):
        packs_out = np.flatnonzero(by > NOTICED)
        if packs_out.size:
            yield Exceeded(limit, 0, float(by[packs_out].max()), "kWh",
                           f"{_named(packs, packs_out)}: {why}")


def _named(packs: Packs, places: np.ndarray) -> str:
    names = [packs.ids[place] for place in places[:MOST_NAMED].tolist()]
    more = places.size - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
