"""Why a plan is as it is: multipliers as limits that bind and what one more would save, and what
could not be met in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.coordinator.account import reach
from core.coordinator.plan import Binding, Exceeded
from core.coordinator.problem import Floats, Packs, Problem
from services.coordinator.build import Program
from services.coordinator.solver import Solution

Unit = Literal["kW", "kWh"]
BINDS = 1e-3
"""Of the dearest price: a limit of less worth is none that anybody would notice."""
NOTICED = 1e-3
"""A limit passed by less is kept [kW, kWh]."""
NOTICED_SETPOINT_KW = 0.05
MOST_NAMED = 3


def energy_worth(program: Program, found: Solution, packs: Packs) -> Floats:
    """What one more kWh stored in each step would save, mean over packs by their capacity
    [currency/kWh], [steps]."""
    worth = found.equal[program.pattern.dynamics]
    mean: Floats = worth @ packs.capacity_kwh / packs.capacity_kwh.sum()
    return mean


def bindings(program: Program, found: Solution, problem: Problem,
             members: Floats) -> tuple[Binding, ...]:
    """Limits that hold the plan back, the one worth most over its steps first. members: how many
    packs each of the problem's packs stands for [n]."""
    at, step_h = program.pattern.at, problem.outlook.step_h
    noticed = BINDS * max(float(np.abs(problem.outlook.import_price).max()), 1e-3)
    steps, shape = problem.outlook.steps, program.pattern.shape
    told: list[Binding] = []
    for limit, worth in (("import limit", found.high[at.bought]),
                         ("export limit", found.high[at.sold])):
        told += _of_connection(limit, worth, noticed * step_h)
    if shape.peak:
        told += _of_connection("import peak", found.limits[:steps], noticed * step_h)
    if shape.reserve:
        told += _of_connection("reserve", found.limits[-steps:], noticed * step_h, "kWh")
    if shape.setpoint:
        told += _of_connection("set-point", np.abs(found.equal[program.pattern.setpoint]),
                               noticed * step_h)
    for limit, worth in (("charge power", found.high[at.charge]),
                         ("discharge power", found.high[at.discharge])):
        told += _of_packs(limit, worth, noticed * step_h, "kW", members)
    for limit, worth in (("ceiling of charge", found.high[at.energy]),
                         ("floor of charge", found.low[at.energy])):
        told += _of_packs(limit, worth, noticed, "kWh", members)
    return tuple(sorted(told, key=lambda one: -one.worth * len(one.steps)))


def _of_connection(limit: str, worth: Floats, noticed: float,
                   unit: Unit = "kW") -> Iterator[Binding]:
    steps = np.flatnonzero(worth > noticed)
    if steps.size:
        yield _binding(limit, steps, worth[steps], unit)


def _of_packs(limit: str, worth: Floats, noticed: float, unit: Unit,
              members: Floats) -> Iterator[Binding]:
    """worth: [steps, packs]; of a step the mean over the packs that it binds."""
    binds = worth > noticed
    steps = np.flatnonzero(binds.any(axis=1))
    if steps.size:
        count = int(members[binds.any(axis=0)].sum())
        means = np.where(binds, worth, 0.0)[steps].sum(axis=1) / binds[steps].sum(axis=1)
        yield _binding(f"{limit} of {count} pack{'s' * (count != 1)}", steps, means, unit)


def _binding(limit: str, steps: NDArray[np.int64], each: Floats, unit: Unit) -> Binding:
    """each: what one more saves in each of the steps."""
    return Binding(limit, tuple(steps.tolist()), float(each.mean()), unit, tuple(each.tolist()))


def exceeded(problem: Problem, energy_kwh: Floats, grid_kw: Floats) -> tuple[Exceeded, ...]:
    """What a plan with this energy [n, steps + 1] and this flow at the connection [steps] does not
    keep, each by its most and why."""
    return (*_connection(problem, energy_kwh, grid_kw), *_reserve(problem, energy_kwh),
            *_setpoint(problem, grid_kw), *_outside(problem.packs))


def _connection(problem: Problem, energy_kwh: Floats, grid_kw: Floats) -> Iterator[Exceeded]:
    net, limits, packs = problem.outlook.net_kw, problem.connection, problem.packs
    step_h = problem.outlook.step_h
    over = grid_kw - max(limits.import_limit_kw, 0.0)
    step = int(np.argmax(over))
    if over[step] > NOTICED:
        _, give = reach(packs, energy_kwh[:, step], step_h)
        yield Exceeded("import limit", step, float(over[step]), "kW",
                       f"load less PV is {net[step]:.1f} kW, the limit is "
                       f"{limits.import_limit_kw:.1f} kW and packs can give {give.sum():.1f} kW "
                       f"then")
    over = -grid_kw - max(limits.export_limit_kw, 0.0)
    step = int(np.argmax(over))
    if over[step] > NOTICED:
        take, _ = reach(packs, energy_kwh[:, step], step_h)
        yield Exceeded("export limit", step, float(over[step]), "kW",
                       f"PV less load is {-net[step]:.1f} kW, the limit is "
                       f"{limits.export_limit_kw:.1f} kW and packs can take {take.sum():.1f} kW "
                       f"then")


def _reserve(problem: Problem, energy_kwh: Floats) -> Iterator[Exceeded]:
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
        why = (f"a limit or a price ahead is worth more than the "
               f"{wanted.reserve_per_kwh:g}/kWh that the reserve is worth")
    yield Exceeded("reserve", step, float(lacking[step]), "kWh", why)


def _setpoint(problem: Problem, grid_kw: Floats) -> Iterator[Exceeded]:
    wanted = problem.objectives
    if wanted.setpoint_kw is None:
        return
    missed = np.abs(grid_kw - wanted.setpoint_kw)
    step = int(np.argmax(missed))
    if missed[step] > NOTICED_SETPOINT_KW:
        yield Exceeded("set-point", step, float(missed[step]), "kW",
                       f"the connection carries {grid_kw[step]:.1f} kW then: packs are full, empty "
                       f"or at their power, or it is worth more than "
                       f"{wanted.setpoint_per_kwh:g}/kWh")


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
