"""What a learnt policy sees of a site, and what its one number means.

Everything is told per kWh of the fleet's capacity and in parts of the mean price ahead, so that
the same policy serves a site of any size, in any currency, and one pack alone at the edge.

Its action in -1..1 says what the whole fleet does. It has plateaus where good plans mostly lie: at
rest, and where the connection carries nothing.

     -1          -0.5 .. -0.25         0.25 .. 0.5           1
     charge      what PV leaves over,  what the load lacks,  discharge
     all it can  at rest without any   at rest without any   all it can
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.coordinator.problem import Floats, Outlook
from core.coordinator.projection import project

HOURS = 24
NUMBERS = 7
TAKE, GIVE, NET = 2, 3, 6
"""Places of those features."""
FEATURES = NUMBERS + 3 * HOURS
MOST = 10.0
"""Beyond it a feature says nothing more."""
OUTER, INNER = 0.5, 0.25
"""Where the plateaus begin and end."""
LEAST_PRICE = 1e-3
LEAST_KWH = 1e-6
SAME = 0.005
"""Of capacity: a power so near to a plateau is meant to be on it [1/h]."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Of fleets [b]. stored: charge as a part of what lies between floor and ceiling, band: that
    as a part of capacity. take_kw, give_kw: what the fleet may take and give in the next step,
    magnitudes. net_kw: load less PV now. net_ahead_kw, buy, sell: [b, HOURS], means of the rest
    of this hour and of those that follow [kW], [currency/kWh]."""

    capacity_kwh: Floats
    stored: Floats
    band: Floats
    take_kw: Floats
    give_kw: Floats
    efficiency: Floats
    wear_per_kwh: Floats
    net_kw: Floats
    net_ahead_kw: Floats
    buy: Floats
    sell: Floats

    @classmethod
    def of_one(cls, *, capacity_kwh: float, stored: float, band: float, take_kw: float,
               give_kw: float, efficiency: float, wear_per_kwh: float, net_kw: float,
               ahead: tuple[Floats, Floats, Floats]) -> Sight:
        """Of one fleet. ahead: net_ahead_kw, buy, sell [HOURS]."""
        numbers = np.array([[capacity_kwh, stored, band, take_kw, give_kw, efficiency,
                             wear_per_kwh, net_kw]])
        net_ahead, buy, sell = (column[None, :] for column in ahead)
        return cls(numbers[:, 0], numbers[:, 1], numbers[:, 2], numbers[:, 3], numbers[:, 4],
                   numbers[:, 5], numbers[:, 6], numbers[:, 7], net_ahead, buy, sell)


def features(sight: Sight) -> Floats:
    """[b, FEATURES]; what is not known is 0."""
    price = np.maximum(np.abs(sight.buy).mean(axis=1), LEAST_PRICE)
    size = np.maximum(sight.capacity_kwh, LEAST_KWH)
    columns = (sight.stored, sight.band, sight.take_kw / size, sight.give_kw / size,
               10.0 * (1.0 - sight.efficiency), sight.wear_per_kwh / price, sight.net_kw / size)
    found = np.concatenate((np.stack(columns, axis=1), sight.net_ahead_kw / size[:, None],
                            sight.buy / price[:, None] - 1.0, sight.sell / price[:, None]), axis=1)
    told: Floats = np.clip(np.nan_to_num(found, nan=0.0, posinf=MOST, neginf=-MOST), -MOST, MOST)
    return told


def power_of(action: ArrayLike, net_kw: ArrayLike, take_kw: ArrayLike,
             give_kw: ArrayLike) -> Floats:
    """Of the whole fleet, discharge positive [kW]; an action that is no number is rest."""
    take, give = np.asarray(take_kw, dtype=np.float64), np.asarray(give_kw, dtype=np.float64)
    told = np.asarray(action, dtype=np.float64)
    number = np.isfinite(told)
    told = np.where(number, told, 0.0)
    balance = np.clip(net_kw, -take, give)
    low, high = np.minimum(balance, 0.0), np.maximum(balance, 0.0)
    first = np.clip((told + 1.0) / (1.0 - OUTER), 0.0, 1.0)
    second = np.clip((told + INNER) / (2.0 * INNER), 0.0, 1.0)
    third = np.clip((told - OUTER) / (1.0 - OUTER), 0.0, 1.0)
    found = -take + first * (low + take) + second * (high - low) + third * (give - high)
    return np.where(number, found, 0.0)


def action_of(power_kw: Floats, net_kw: Floats, take_kw: Floats, give_kw: Floats,
              capacity_kwh: Floats) -> Floats:
    """The action that gives such a power, the middle of a plateau where it is near one."""
    power = np.clip(power_kw, -take_kw, give_kw)
    balance = np.clip(net_kw, -take_kw, give_kw)
    low, high = np.minimum(balance, 0.0), np.maximum(balance, 0.0)
    near, middle = SAME * capacity_kwh, (OUTER + INNER) / 2.0
    between = -INNER + 2.0 * INNER * _part(power - low, high - low)
    found = np.where(power < low, -1.0 + (1.0 - OUTER) * _part(power + take_kw, low + take_kw),
                     np.where(power > high, OUTER + (1.0 - OUTER) * _part(power - high,
                                                                         give_kw - high), between))
    found = np.where(np.abs(power - high) <= near, middle, found)
    return np.where(np.abs(power - low) <= near, np.where(high - low <= near, 0.0, -middle), found)


def spread(total_kw: ArrayLike, low_kw: Floats, high_kw: Floats, wear_per_kwh: Floats,
           capacity_kwh: Floats) -> Floats:
    """A fleet's power by its packs [..., n]: those that wear little first, each by its size."""
    minds = (wear_per_kwh + LEAST_PRICE) / np.maximum(capacity_kwh, LEAST_KWH)
    return project(np.zeros(low_kw.shape), low_kw, high_kw, total_kw,
                   minds / minds.max(axis=-1, keepdims=True))


def by_hour(outlook: Outlook, step: int) -> tuple[Floats, Floats, Floats]:
    """net_ahead_kw, buy, sell [HOURS] of a `Sight` at a step of an outlook, whose end goes on as
    the day before."""
    start_s = outlook.start.timestamp() + step * outlook.step_s
    steps = np.arange(int(np.ceil(HOURS * 3600.0 / outlook.step_s)))
    hours = np.floor_divide(start_s + steps * outlook.step_s, 3600.0).astype(np.int64)
    hours -= hours[0]
    inside = hours < HOURS
    at = _repeated(step + steps[inside], outlook)
    counts = np.maximum(np.bincount(hours[inside], minlength=HOURS), 1)
    net, buy, sell = (np.bincount(hours[inside], weights=values[at], minlength=HOURS) / counts
                      for values in (outlook.net_kw, outlook.import_price, outlook.export_price))
    return net, buy, sell


def _repeated(at: NDArray[np.int64], outlook: Outlook) -> NDArray[np.int64]:
    day = max(1, min(outlook.steps, round(86_400.0 / outlook.step_s)))
    beyond = np.maximum(at - outlook.steps + 1, 0)
    found: NDArray[np.int64] = at - day * -(-beyond // day)
    return found


def _part(of: Floats, whole: Floats) -> Floats:
    found: Floats = np.divide(of, whole, out=np.zeros(np.broadcast(of, whole).shape),
                              where=whole > 0)
    return np.clip(found, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Typical:
    """What a site is usually like at each hour of the local day, by month [12, 24]: load less PV
    per kWh of its packs [1/h], prices [currency/kWh]. zone: whose wall clock."""

    zone: str
    net_per_kwh: Floats
    buy: Floats
    sell: Floats

    def ahead(self, local: datetime) -> tuple[Floats, Floats, Floats]:
        """net per kWh, buy, sell [HOURS] from the hour of `local` on."""
        hours = (local.hour + np.arange(HOURS)) % HOURS
        month = local.month - 1
        return self.net_per_kwh[month, hours], self.buy[month, hours], self.sell[month, hours]
