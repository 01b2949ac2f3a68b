"""What a stored kWh is worth to packs that meet the prices ahead: the other side of a plan.

A pack that may buy and sell at `price` earns most by dynamic programming over what it holds; the
slope of what it can still earn is what a kWh more is worth [currency/kWh]. Backward over a step,
with buy = (price + wear) / efficiency and sell = (price - wear) x efficiency for a stored kWh:

    before(e) = max(after(e + most), min(buy, max(after(e), min(sell, after(e - least)))))

where most and least are what fits into the step. It falls with e, and is kept at LEVELS between
floor and ceiling, for kinds of packs; beside it how it moves with wear and with efficiency, so
that a pack that is not quite of its kind is told its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.coordinator.problem import Floats, Packs

Worth = NDArray[np.float32]
"""[steps, 3, kinds x LEVELS]: of a kWh stored after each step [currency/kWh], and what that
changes by with wear [1] and with efficiency [currency/kWh]."""
LEVELS = 12


class _Shift(NamedTuple):
    """Where the levels come to by a step at full power: the level below, the part of the way to
    the next, and whether that is outside [kinds, LEVELS]."""

    place: NDArray[np.int64]
    part: Floats
    outside: NDArray[np.bool_]

    def of(self, values: Floats, beyond: float) -> Floats:
        """values [3, kinds, LEVELS] there, the first `beyond` outside."""
        flat = values.reshape(3, -1)
        low = flat.take(self.place, axis=1)
        found: Floats = low + (flat.take(self.place + 1, axis=1) - low) * self.part
        found[0][self.outside] = beyond
        return found


def worth_of(kinds: Packs, wear: Floats, price: Floats, held: Floats, end_value: float,
             step_h: float) -> Worth:
    """wear: as it is weighed [currency/kWh] [kinds]; price: of a kWh at the connection [steps];
    held: what a kWh stored at the end of a step saves by being there [steps]; end_value: of a kWh
    that can be given after the last [currency/kWh]."""
    efficiency = kinds.efficiency
    up = _shift(kinds, efficiency * kinds.charge_kw * step_h)
    down = _shift(kinds, -kinds.discharge_kw * step_h / efficiency)
    ends = [end_value * efficiency, np.zeros(len(kinds)), np.full(len(kinds), end_value)]
    now = np.repeat(np.stack(ends)[:, :, None], LEVELS, axis=2)
    bargains = _bargains(efficiency, wear)
    never = 10.0 * (float(np.abs(price).max()) + float(wear.max()) + abs(end_value) + 1.0) / float(
        efficiency.min()) + float(held.sum())
    found = np.empty((len(price), 3, len(kinds) * LEVELS), dtype=np.float32)
    for step in range(len(price) - 1, -1, -1):
        now[0] += held[step]
        found[step] = now.reshape(3, -1)
        fuller, emptier = up.of(now, -never), down.of(now, never)
        now = _before(now, fuller, emptier, *bargains.at(float(price[step])))
    return found


class _Bargains(NamedTuple):
    """What a stored kWh is sold for and bought at, where the price is 0, and by how much more a
    price [3, kinds, 1]: itself, and its changes by wear and by efficiency."""

    sell: Floats
    sell_rise: Floats
    buy: Floats
    buy_rise: Floats

    def at(self, price: float) -> tuple[Floats, Floats]:
        return self.sell + self.sell_rise * price, self.buy + self.buy_rise * price


def _bargains(efficiency: Floats, wear: Floats) -> _Bargains:
    one, none = np.ones(len(wear)), np.zeros(len(wear))
    return _Bargains(*(np.stack(part)[:, :, None] for part in (
        (-wear * efficiency, -efficiency, -wear), (efficiency, none, one),
        (wear / efficiency, one / efficiency, -wear / efficiency ** 2),
        (one / efficiency, none, -one / efficiency ** 2))))


def _before(now: Floats, fuller: Floats, emptier: Floats, sell: Floats, buy: Floats) -> Floats:
    """The module's head, with its changes by wear and by efficiency [3, kinds, LEVELS]."""
    found = np.where(emptier[0] < sell[0], emptier, sell)
    found = np.where(found[0] > now[0], found, now)
    found = np.where(found[0] > buy[0], buy, found)
    least: Floats = np.where(fuller[0] > found[0], fuller, found)
    return least


def _shift(kinds: Packs, by_kwh: Floats) -> _Shift:
    width = np.maximum((kinds.ceiling - kinds.floor) * kinds.capacity_kwh, 1e-9)
    to = np.arange(LEVELS) + (by_kwh / width * (LEVELS - 1))[:, None]
    inside = np.clip(to, 0, LEVELS - 1)
    below = np.minimum(inside.astype(np.int64), LEVELS - 2)
    rows = LEVELS * np.arange(len(kinds))[:, None]
    return _Shift(rows + below, inside - below, (to < 0) | (to > LEVELS - 1))
