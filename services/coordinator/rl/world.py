"""Many sites with fleets at once, each living through a day: what a policy learns in.

Between any action and any pack stand the box of each pack and the projection of the safety layer
(core/coordinator/safe.py), in training as in life; the packs themselves are the simulated fleet's
(services/coordinator/rl/fleet.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.coordinator import usual
from core.coordinator.policy import Sight, features, power_of, spread
from core.coordinator.problem import Connection, Floats, Packs
from core.coordinator.safe import at_connection, box, make_safe, ramps_of, rates, violations
from core.coordinator.wear import wear_per_kwh
from core.fleet.catalogue import MIX
from core.vocabulary import CHEMISTRIES
from services.coordinator.rl.days import AN_HOUR, I64, STEP_S, STEPS, Days
from services.coordinator.rl.fleet import Fleet, Made

PACKS = 8
STEP_H = STEP_S / 3600.0
REWARD = 10.0
"""A reward of 1 is a tenth of the mean price for each kWh of capacity."""
FUSE = 1.05
"""A connection carries so much more than the day's highest load."""
SHARE = (0.5, 2.0)
"""A site's load is so many times that of the recorded one, for the same packs."""


@dataclass(frozen=True, slots=True)
class Fleets:
    """Of sites [b]: packs, what a kWh wears them [b, n], and size: kW of site for each recorded
    kW [b]."""

    fleet: Fleet
    wear_per_kwh: Floats
    size: Floats


def drawn(seeds: I64, capacity_kwh: float, packs: int = PACKS) -> Fleets:
    """Fleets of shipped plates, aged, in rooms warm or cold, at sites of different size: the same
    for the same seed."""
    columns = [_drawn(np.random.default_rng(int(seed)), packs) for seed in seeds]
    told = {name: np.stack([column[name] for column in columns]) for name in columns[0]}
    made = Made(told["kind"].astype(np.int64), told["series"], told["new_kwh"], told["health"],
                told["soc"], told["ambient_c"])
    share = np.array([column["share"][0] for column in columns])
    capacity = (made.new_kwh * made.health).sum(axis=1)
    return Fleets(Fleet(made), told["wear"], share * capacity / capacity_kwh)


def _drawn(rng: np.random.Generator, packs: int) -> dict[str, Floats]:
    plates = [MIX[at] for at in rng.integers(0, len(MIX), packs)]
    ambient = rng.uniform(4.0, 30.0) + rng.normal(0.0, 1.0, packs)
    soc = rng.uniform(0.2, 0.8) + rng.normal(0.0, 0.03, packs)
    return {
        "kind": np.array([CHEMISTRIES.index(kind) for kind, *_ in plates], dtype=np.float64),
        "series": np.array([cells for _, cells, _ in plates], dtype=np.float64),
        "new_kwh": np.array([kwh for *_, kwh in plates]),
        "health": rng.uniform(0.75, 1.0, packs),
        "soc": np.clip(soc, usual.FLOOR, usual.CEILING), "ambient_c": ambient,
        "wear": np.array([wear_per_kwh(kind) for kind, *_ in plates]),
        "share": np.full(packs, np.exp(rng.uniform(*np.log(SHARE))))}


class World:
    """Sites [b], each on a day of `days`; see `begin`. Powers discharge positive. ramp_s: in so
    long packs go from rest to their rated power [s]; the usual one is over long before a step."""

    def __init__(self, days: Days, ramp_s: float = usual.RAMP_S) -> None:
        self.days, self._ramp_s = days, ramp_s

    def begin(self, day: I64, seeds: I64, packs: int = PACKS) -> None:
        """At the first step of these days with the fleets of these seeds, both [b]."""
        fleets = drawn(seeds, self.days.capacity_kwh, packs)
        self.day, self.step_now, self.fleet = day, 0, fleets.fleet
        self.now = fleets.fleet.told()
        self.wear, self.capacity_kwh = fleets.wear_per_kwh, self.now.capacity_kwh.sum(axis=1)
        self.size, self.power_kw = fleets.size, np.zeros(self.now.capacity_kwh.shape)
        self._ramps = ramps_of(self.now, self._ramp_s, STEP_S)
        self.net_kw = fleets.size[:, None] * (self.days.load_kw - self.days.pv_kw)[day]
        self.buy, self.sell = self.days.buy[day], self.days.sell[day]
        self.import_limit_kw = FUSE * fleets.size * self.days.load_kw[day].max(axis=1)
        self.cost, self.idle_cost = np.zeros(len(day)), np.zeros(len(day))
        self._wrong = 0
        self.begun_kwh = self._useful()
        self.worth = np.maximum(self.buy[:, :STEPS].min(axis=1), 0.0)
        self._price = self.buy[:, :STEPS].mean(axis=1)
        self._look()

    @property
    def over(self) -> bool:
        return self.step_now >= STEPS

    @property
    def total(self) -> Floats:
        """What the day has cost so far, what is left in the packs counted as core/coordinator/
        judge.py does [currency], [b]."""
        found: Floats = self.cost - self.worth * (self._useful() - self.begun_kwh)
        return found

    @property
    def violations(self) -> int:
        """Orders outside of a box, and packs where their own device would begin to cut."""
        return self._wrong + self.fleet.beyond

    def sight(self) -> Sight:
        """What there is to see before the next step."""
        return self._sight

    def observe(self) -> Floats:
        """[b, FEATURES]."""
        return features(self._sight)

    def power_of(self, action: ArrayLike, net_kw: ArrayLike) -> Floats:
        """Of each fleet [b] for what it believes to be load less PV [b]."""
        return power_of(action, net_kw, self._sight.take_kw, self._sight.give_kw)

    def step(self, action: ArrayLike) -> Floats:
        """One number for each fleet [b]; rewards [b]."""
        return self.step_total(self.power_of(action, self._sight.net_kw))

    def step_total(self, total_kw: ArrayLike) -> Floats:
        """One power for each fleet [b], by its packs; rewards [b]."""
        return self.step_packs(spread(total_kw, self._box.low_kw, self._box.high_kw, self.wear,
                                      self.now.capacity_kwh))

    def step_packs(self, wish_kw: ArrayLike) -> Floats:
        """Whatever is wished of each pack [b, n]; rewards [b]: what was saved against packs at
        rest, the change of what is stored counted."""
        net, before = self.net_kw[:, self.step_now], self._useful()
        safe = make_safe(wish_kw, self._box, at_connection(net, self.import_limit_kw, np.inf),
                         self.power_kw, self._ramps)
        self.power_kw = safe.power_kw
        self._wrong += violations(safe.power_kw, self._box)
        given = self.fleet.move(safe.power_kw, STEP_S)
        self.now = self.fleet.told()
        bill = (self._bill(net - given.sum(axis=1))
                + STEP_H * (self.wear * np.abs(given)).sum(axis=1))
        idle = self._bill(net)
        self.cost += bill
        self.idle_cost += idle
        gained = idle - bill + self.worth * (self._useful() - before)
        self.step_now += 1
        self._look()
        found: Floats = REWARD * gained / (self.capacity_kwh * np.abs(self._price))
        return found

    def _useful(self) -> Floats:
        """What can come out of what is stored [kWh], [b]."""
        found: Floats = usual.EFFICIENCY * self.fleet.held_kwh.sum(axis=1)
        return found

    def _bill(self, grid_kw: Floats) -> Floats:
        """Of this step [currency], [b]."""
        at = self.step_now
        found: Floats = STEP_H * (self.buy[:, at] * np.maximum(grid_kw, 0.0)
                                  - self.sell[:, at] * np.maximum(-grid_kw, 0.0))
        return found

    def _look(self) -> None:
        now, at = self.now, min(self.step_now, STEPS - 1)
        self._box = box(now, STEP_H)
        take, give = -self._box.low_kw.sum(axis=1), self._box.high_kw.sum(axis=1)
        net = self.net_kw[:, at]
        room = np.maximum(self.import_limit_kw - net, 0.0)
        stored = (now.energy_kwh - now.floor * now.capacity_kwh).sum(axis=1)
        band = ((now.ceiling - now.floor) * now.capacity_kwh).sum(axis=1)
        hours, power = at // AN_HOUR, now.capacity_kwh / self.capacity_kwh[:, None]
        span = AN_HOUR * (hours + np.arange(24))
        ahead = self.size[:, None] * self.days.net_ahead_kw[self.day, hours]
        self._sight = Sight(
            self.capacity_kwh, stored / band, band / self.capacity_kwh, np.minimum(take, room),
            give, (power * now.efficiency).sum(axis=1), (power * self.wear).sum(axis=1), net,
            ahead, self.buy[:, span], self.sell[:, span])

    # -- for planners

    def packs(self, site: int) -> Packs:
        """As they are now, for a `Problem`."""
        charge, discharge, *_ = rates(self.now)
        now = self.now
        return Packs(tuple(f"pack_{at}" for at in range(now.capacity_kwh.shape[1])),
                     now.capacity_kwh[site], now.energy_kwh[site], charge[site], discharge[site],
                     now.efficiency[site], self.wear[site], now.floor[site], now.ceiling[site])

    def connection(self, site: int) -> Connection:
        return Connection(import_limit_kw=float(self.import_limit_kw[site]))
