"""What powers do to packs and to the bill: the arithmetic that rules, judge and benches share.

Powers of packs are positive when discharging (law 1), AC, means over a step.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.coordinator.curtailment import at_grid
from core.coordinator.plan import Cost
from core.coordinator.problem import Connection, Floats, Objectives, Outlook, Packs, Problem

END_PART, CHEAP, DEAR = 0.9, 0.25, 0.9
"""What is left at the end is worth a little less than what energy costs in the cheap steps, and
what it saves in the dear ones, quantiles of the steps ahead."""


def reach(packs: Packs, energy_kwh: Floats, step_h: float, reserve: float = 0.0,
          ) -> tuple[Floats, Floats]:
    """The most that each pack can take and give over a step [kW], magnitudes [n]: its limits, and
    what fits between energy_kwh [n] and its ceiling, its floor or the reserve, a part of its
    capacity."""
    room = np.maximum(packs.ceiling * packs.capacity_kwh - energy_kwh, 0.0)
    left = np.maximum(energy_kwh - np.maximum(packs.floor, reserve) * packs.capacity_kwh, 0.0)
    take = np.minimum(packs.charge_kw, room / packs.efficiency / step_h)
    give = np.minimum(packs.discharge_kw, left * packs.efficiency / step_h)
    return np.maximum(take, 0.0), np.maximum(give, 0.0)


def after(packs: Packs, energy_kwh: Floats, power_kw: Floats, step_h: float) -> Floats:
    """Stored after a step of power_kw, both [n]: e + step (efficiency x charge - discharge /
    efficiency) [kWh]."""
    charge, discharge = np.maximum(-power_kw, 0.0), np.maximum(power_kw, 0.0)
    found: Floats = energy_kwh + step_h * (packs.efficiency * charge
                                           - discharge / packs.efficiency)
    return found


def stored(packs: Packs, pack_kw: Floats, step_h: float) -> Floats:
    """Energy at the edges of steps [n, steps + 1] for powers [n, steps], limits not looked at."""
    efficiency = packs.efficiency[:, None]
    moved = step_h * (efficiency * np.maximum(-pack_kw, 0.0)
                      - np.maximum(pack_kw, 0.0) / efficiency)
    return np.cumsum(np.column_stack([packs.energy_kwh, moved]), axis=1)


def driven(packs: Packs, wanted_kw: Floats, step_h: float) -> tuple[Floats, Floats]:
    """What packs make of wanted_kw [n, steps] when they keep to their limits: powers [n, steps]
    and energy at the edges [n, steps + 1]."""
    energy = [packs.energy_kwh.astype(np.float64)]
    powers = np.zeros(wanted_kw.shape)
    for step in range(wanted_kw.shape[1]):
        take, give = reach(packs, energy[-1], step_h)
        powers[:, step] = np.clip(wanted_kw[:, step], -take, give)
        energy.append(after(packs, energy[-1], powers[:, step], step_h))
    return powers, np.stack(energy, axis=1)


def moved_on(packs: Packs, power_kw: Floats, step_h: float) -> Packs:
    """The packs after a step of power_kw [n]."""
    return replace(packs, energy_kwh=after(packs, packs.energy_kwh, power_kw, step_h))


def cost_of(pack_kw: Floats, packs: Packs, outlook: Outlook, connection: Connection,
            objectives: Objectives) -> Cost:
    """The bill of powers [n, steps] under the outlook's expected load and PV [currency], by the
    tariff alone: wishes such as `Objectives.cost` are no money, but the price of a peak is. PV is
    held back where the site can."""
    grid_kw, _ = at_grid(pack_kw, outlook, connection)
    bought, sold = np.maximum(grid_kw, 0.0), np.maximum(-grid_kw, 0.0)
    energy = outlook.step_h * float(outlook.import_price @ bought - outlook.export_price @ sold)
    wear = outlook.step_h * float(packs.wear_per_kwh @ np.abs(pack_kw).sum(axis=1))
    raised_kw = max(float(bought.max(initial=0.0)) - connection.peak_kw, 0.0)
    return Cost(energy, wear, objectives.peak_per_kw * raised_kw)


def end_worth(problem: Problem) -> float:
    """What a kWh that can be given after the last step is worth [currency/kWh], never below 0: as
    wanted, or a little less than what a kWh more costs in the cheap steps ahead (import where load
    exceeds PV, else what export would bring), less the wear of giving it. Where no PV is left over
    it would be bought anew in the cheap steps, with losses, and is worth that, but no more than
    giving it in the dear ones saves: who values it by less gives it away in the cheapest hours (in
    a week of three homes without sun and with a pack for days, 6 % of the bill)."""
    wanted, outlook, packs = problem.objectives, problem.outlook, problem.packs
    if wanted.energy_value is not None:
        return wanted.energy_value
    short = outlook.net_kw > 0
    price = wanted.cost * np.where(short, outlook.import_price, outlook.export_price)
    cheap, dear = END_PART * np.quantile(price, [CHEAP, DEAR])
    wear = wanted.wear * packs.wear_per_kwh.mean()
    found = min(cheap / packs.efficiency.mean() ** 2, dear - wear) if short.all() else cheap - wear
    return max(float(found), 0.0)


def left_worth(problem: Problem, energy_kwh: Floats) -> float:
    """What is left after the last of energy_kwh [n, steps + 1] is worth by the tariff alone, as
    `cost_of` tells the bill [currency]."""
    plain = replace(problem.objectives, cost=1.0, wear=1.0, energy_value=None)
    return end_worth(replace(problem, objectives=plain)) * float(
        problem.packs.efficiency @ energy_kwh[:, -1])
