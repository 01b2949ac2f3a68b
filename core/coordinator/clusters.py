"""Many packs as a few virtual ones, and a plan for those as one for all packs.

Packs of like efficiency, wear, power for their capacity and charge are added up (what they hold,
give and take); a plan for the sums is a bound of what they can do together. It is shared out step
by step, exactly: members of a group go to the same part of what lies between their floor and
ceiling, by the projection onto their boxes and the group's power; none charges while another
discharges. What a group cannot do after all, the others do as far as they can.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.coordinator.account import after, reach
from core.coordinator.problem import Floats, Packs
from core.coordinator.projection import Places, project_fleets

LEAST_WIDTH = 1e-9
"""Parts of capacity: a pack with less between its floor and its ceiling does not move."""
LEAST_RATE = 0.01
"""Slower packs are all alike [1/h]."""
LEAST_WEAR = 1e-3
"""Less wear is all alike [currency/kWh]."""
SAME_KW = 1e-6
AS_NOW, LASTING = (1.0, 1.0, 1.0, 1.0, 1.0), (0.5, 0.25, 1.0, 1.0, 0.0)
"""How much each of `_traits` matters: to what packs do from now on, and to what they are whatever
they hold, where wear and efficiency are reckoned with besides."""
ALIKE = 1e-3
"""Packs whose traits differ by less than such a part of a class are of one group."""


@dataclass(frozen=True, slots=True)
class Groups:
    """virtual: a pack for each group. members: places of its packs. count: of each [groups]."""

    virtual: Packs
    members: Sequence[Places]

    @property
    def count(self) -> Floats:
        return np.array([len(places) for places in self.members], dtype=np.float64)


def grouped(packs: Packs, most: int, matters: Sequence[float] = AS_NOW) -> Groups:
    """Packs in at most so many groups: the group that differs most within itself is split at the
    mean of the trait in which it does, over and over. matters: weights of the traits."""
    traits = _traits(packs) * np.asarray(matters)
    weight = packs.capacity_kwh / packs.capacity_kwh.sum()
    members: list[Places] = [np.arange(len(packs))]
    spreads = [_spread(traits, weight, members[0])]
    while len(members) < most:
        widest = max(range(len(members)), key=lambda group: spreads[group][0])
        spread, trait = spreads[widest]
        if spread < ALIKE ** 2 * weight.min():
            break
        places = members[widest]
        values = traits[places, trait]
        above = values > np.average(values, weights=weight[places])
        members[widest:widest + 1] = [places[~above], places[above]]
        spreads[widest:widest + 1] = [_spread(traits, weight, part)
                                      for part in members[widest:widest + 2]]
    return Groups(_virtual(packs, members), members)


def nearest(packs: Packs, others: Packs, matters: Sequence[float]) -> Places:
    """Which of the others each pack is most like [n]."""
    mine, theirs = (_traits(one) * np.asarray(matters) for one in (packs, others))
    far = (mine * mine).sum(axis=1)[:, None] - 2.0 * mine @ theirs.T + (theirs * theirs).sum(axis=1)
    found: Places = far.argmin(axis=1)
    return found


def summed(values: Floats, groups: Groups) -> Floats:
    """Of packs [n, ...] for groups [groups, ...]; NaN where no member has a number."""
    found = []
    for places in groups.members:
        mine = values[places]
        known = np.isfinite(mine)
        total = np.where(known, mine, 0.0).sum(axis=0)
        found.append(np.where(known.any(axis=0), total, np.nan))
    return np.stack(found)


def shared_out(groups: Groups, packs: Packs, group_kw: Floats, step_h: float) -> Floats:
    """Power of each pack [n, steps] for the groups' [groups, steps]."""
    order, starts = np.concatenate(groups.members), _starts(groups)
    mine, found = packs.at(order), np.zeros((len(packs), group_kw.shape[1]))
    energy = mine.energy_kwh.astype(np.float64)
    floor = mine.floor * mine.capacity_kwh
    width = np.maximum(mine.ceiling - mine.floor, LEAST_WIDTH) * mine.capacity_kwh
    for step in range(group_kw.shape[1]):
        take, give = reach(mine, energy, step_h)
        totals = group_kw[:, step]
        power = _shared(totals, starts, energy - floor, width, take, give, mine.efficiency, step_h)
        power = _made_up(power, float(totals.sum()), take, give)
        found[order, step] = power
        energy = after(mine, energy, power, step_h)
    return found


def _traits(packs: Packs) -> Floats:
    """What makes packs unlike, each in classes that matter about alike [n, 5]: efficiency, wear,
    hours to fill and to empty, charge."""
    width = np.maximum(packs.ceiling - packs.floor, LEAST_WIDTH)
    part = (packs.energy_kwh / packs.capacity_kwh - packs.floor) / width
    hours = [np.log(packs.capacity_kwh / np.maximum(power, LEAST_RATE * packs.capacity_kwh))
             for power in (packs.charge_kw, packs.discharge_kw)]
    wear = np.log2(np.maximum(packs.wear_per_kwh, LEAST_WEAR))
    return np.column_stack((packs.efficiency / 0.03, wear / 0.5,
                            *(hour / np.log(1.5) for hour in hours),
                            np.clip(part, 0.0, 1.0) / 0.5))


def _spread(traits: Floats, weight: Floats, places: Places) -> tuple[float, int]:
    """How much a group differs, and in which trait."""
    mine, share = traits[places], weight[places]
    mean = share @ mine / share.sum()
    found = share @ (mine - mean) ** 2
    trait = int(found.argmax())
    return float(found[trait]), trait


def _virtual(packs: Packs, members: Sequence[Places]) -> Packs:
    def total(values: Floats) -> Floats:
        return np.array([values[places].sum() for places in members])

    def mean(values: Floats, weight: Floats) -> Floats:
        return np.array(list(_means(values, weight, members)))

    power = packs.charge_kw + packs.discharge_kw + 1e-9
    ids = tuple(f"group {number + 1}" for number in range(len(members)))
    return Packs(ids, total(packs.capacity_kwh), total(packs.energy_kwh), total(packs.charge_kw),
                 total(packs.discharge_kw), mean(packs.efficiency, power),
                 mean(packs.wear_per_kwh, power), mean(packs.floor, packs.capacity_kwh),
                 mean(packs.ceiling, packs.capacity_kwh))


def _means(values: Floats, weight: Floats, members: Sequence[Places]) -> Iterator[float]:
    for places in members:
        yield float((values[places] * weight[places]).sum() / weight[places].sum())


def _starts(groups: Groups) -> Places:
    """Where each group begins in the columns of all members."""
    ends = np.cumsum([len(places) for places in groups.members])
    return np.concatenate([[0], ends[:-1]]).astype(np.int64)


def _shared(totals: Floats, starts: Places, above: Floats, width: Floats, take: Floats,
            give: Floats, efficiency: Floats, step_h: float) -> Floats:
    """Groups' powers by their members, group behind group: all of one to the same part of their
    width."""
    sizes = np.diff(np.append(starts, len(width)))
    total = np.repeat(totals, sizes)
    worth = np.where(total > 0, efficiency, 1.0 / efficiency)
    whole = np.add.reduceat(width, starts)
    moved = totals * step_h * whole / np.add.reduceat(worth * width, starts)
    part = np.repeat((np.add.reduceat(above, starts) - moved) / whole, sizes)
    wish: Floats = (above - part * width) * worth / step_h
    low, high = np.where(total < -SAME_KW, -take, 0.0), np.where(total > SAME_KW, give, 0.0)
    return project_fleets(wish, low, high, totals, starts, 1.0 / width)[0]


def _made_up(power: Floats, total: float, take: Floats, give: Floats) -> Floats:
    """What groups lack of the fleet's sum, by whoever can still do more, or need not do as much
    the other way."""
    short = total - float(power.sum())
    if abs(short) <= SAME_KW:
        return power
    if short > 0:
        low, high = power, np.where(power < 0, 0.0, np.maximum(give, power))
    else:
        low, high = np.where(power > 0, 0.0, np.minimum(-take, power)), power
    return project_fleets(power, low, high, np.array([total]), np.zeros(1, dtype=np.int64),
                          np.ones(len(power)))[0]
