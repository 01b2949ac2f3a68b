"""Why an optimum is as it is: multipliers as limits that bind and what one more would save."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.coordinator.plan import Binding
from core.coordinator.problem import Floats, Packs, Problem
from services.coordinator.build import Program
from services.coordinator.solver import Solution

Unit = Literal["kW", "kWh"]
BINDS = 1e-3
"""Of the dearest price: a limit of less worth is none that anybody would notice."""


def energy_worth(program: Program, found: Solution, packs: Packs) -> Floats:
    """What one more kWh stored in each step would save, mean over packs by their capacity
    [currency/kWh], [steps]."""
    worth = found.equal[program.pattern.dynamics]
    mean: Floats = worth @ packs.capacity_kwh / packs.capacity_kwh.sum()
    return mean


def reserve_worth(program: Program, found: Solution) -> Floats:
    """What a kWh more in store would save of the reserve in each step [currency/kWh], [steps]."""
    shape = program.pattern.shape
    return found.limits[-shape.steps:] if shape.reserve else np.zeros(shape.steps)


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
