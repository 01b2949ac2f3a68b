"""Sites to plan for, and the same question put to HiGHS in another form."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_matrix

from core.coordinator.curtailment import at_grid
from core.coordinator.plan import Plan
from core.coordinator.problem import Band, Connection, Floats, Objectives, Outlook, Packs, Problem

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def band(values: Floats) -> Band:
    return Band(values, values, values)


def site(count: int, steps: int, seed: int = 0, step_h: float = 0.5,
         connection: Connection | None = None, **wanted: float | None) -> Problem:
    """Packs of two chemistries at a site with two peaks of load, PV at noon and prices that move;
    calm and patience 0 and energy worth 0.1 at the end, unless wanted says otherwise."""
    rng = np.random.default_rng(seed)
    capacity = rng.uniform(5, 20, count)
    kinds = rng.integers(0, 2, count)
    hours = 6.0 + np.arange(steps) * step_h
    load = count * (1.5 + 0.8 * np.sin(hours / 6 * np.pi)) + rng.uniform(0, 0.2, steps)
    pv = count * 3.0 * np.clip(np.sin((hours - 6) / 12 * np.pi), 0.0, None)
    price = 0.25 + 0.1 * np.sin(hours / 6 * np.pi) + rng.normal(0, 0.02, steps)
    packs = Packs(
        tuple(f"pack_{number}" for number in range(count)), capacity,
        capacity * rng.uniform(0.2, 0.8, count), capacity * rng.uniform(0.3, 1.0, count),
        capacity * rng.uniform(0.3, 1.0, count), np.array([0.97, 0.93])[kinds],
        np.array([0.01, 0.02])[kinds], np.full(count, 0.05), np.full(count, 0.95))
    wishes = Objectives(**({"calm": 0.0, "patience": 0.0, "energy_value": 0.1} | wanted))
    return Problem(packs, Outlook(NOW, 3600 * step_h, band(load), band(pv), price, 0.3 * price),
                   connection or Connection(), wishes)


def value(problem: Problem, pack_kw: Floats, energy_kwh: Floats) -> float:
    """What the objective makes of powers, with energy worth `energy_value` at the end."""
    wanted, outlook, packs = problem.objectives, problem.outlook, problem.packs
    grid, _ = at_grid(pack_kw, outlook, problem.connection)
    bought, sold = np.maximum(grid, 0.0), np.maximum(-grid, 0.0)
    found = wanted.cost * float(outlook.import_price @ bought - outlook.export_price @ sold)
    found += wanted.export_per_kwh * float(sold.sum())
    found += wanted.wear * float(packs.wear_per_kwh @ np.abs(pack_kw).sum(axis=1))
    kept = wanted.reserve * packs.capacity_kwh.sum()
    found += wanted.reserve_per_kwh * float(np.maximum(kept - energy_kwh[:, 1:].sum(0), 0).sum())
    if wanted.setpoint_kw is not None:
        found += wanted.setpoint_per_kwh * float(np.abs(grid - wanted.setpoint_kw).sum())
    found *= outlook.step_h
    found += wanted.peak_per_kw * max(float(bought.max()) - problem.connection.peak_kw, 0.0)
    return found - (wanted.energy_value or 0.0) * float(packs.efficiency @ energy_kwh[:, -1])


def value_of(problem: Problem, plan: Plan) -> float:
    return value(problem, plan.pack_kw, plan.energy_kwh)


class Oracle:
    """The least value of all plans by HiGHS, with a choice of one way for every pack and for the
    connection in every step; connections alone whose limits can be kept."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        packs, steps = len(problem.packs), problem.outlook.steps
        self.charge, self.discharge, self.energy, self.way = np.arange(
            4 * packs * steps).reshape(4, packs, steps)
        first = 4 * packs * steps
        self.buy, self.sell, self.grid_way, self.lacking, self.above, self.below, self.curtailed = (
            first + np.arange(7 * steps).reshape(7, steps))
        self.peak = first + 7 * steps
        self.width = self.peak + 1
        self.rows: list[tuple[dict[int, float], float, float]] = []
        for step in range(steps):
            self._connection(step)
            self._wishes(step)
            for pack in range(packs):
                self._pack(pack, step)

    def best(self) -> float:
        matrix = lil_matrix((len(self.rows), self.width))
        for number, (entries, _, _) in enumerate(self.rows):
            for column, entry in entries.items():
                matrix[number, column] = entry
        low, high, kinds = self._bounds()
        found = milp(self._cost(), integrality=kinds, bounds=Bounds(low, high),
                     constraints=LinearConstraint(matrix.tocsc(), [row[1] for row in self.rows],
                                                  [row[2] for row in self.rows]),
                     options={"mip_rel_gap": 1e-7})
        assert found.success, found.message
        wanted, peak_kw = self.problem.objectives, self.problem.connection.peak_kw
        return float(found.fun) - wanted.peak_per_kw * peak_kw

    def _pack(self, pack: int, step: int) -> None:
        packs, dt = self.problem.packs, self.problem.outlook.step_h
        charge, discharge = int(self.charge[pack, step]), int(self.discharge[pack, step])
        energy, way, eta = (int(self.energy[pack, step]), int(self.way[pack, step]),
                            packs.efficiency[pack])
        self._add({charge: 1, way: -packs.charge_kw[pack]}, -np.inf, 0)
        self._add({discharge: 1, way: packs.discharge_kw[pack]}, -np.inf, packs.discharge_kw[pack])
        moved = {energy: 1.0, charge: -dt * eta, discharge: dt / eta}
        if step:
            self._add(moved | {int(self.energy[pack, step - 1]): -1.0}, 0.0, 0.0)
        else:
            self._add(moved, packs.energy_kwh[pack], packs.energy_kwh[pack])

    def _connection(self, step: int) -> None:
        problem, buy, sell = self.problem, int(self.buy[step]), int(self.sell[step])
        packs, net = problem.packs, float(problem.outlook.net_kw[step])
        reach = float(abs(net) + packs.charge_kw.sum() + packs.discharge_kw.sum())
        self._add({buy: 1, int(self.grid_way[step]): -reach}, -np.inf, 0)
        self._add({sell: 1, int(self.grid_way[step]): reach}, -np.inf, reach)
        self._add({self.peak: 1, buy: -1}, 0, np.inf)
        self._add({buy: 1.0, sell: -1.0, int(self.curtailed[step]): -1.0}
                  | dict.fromkeys(self.charge[:, step].tolist(), -1.0)
                  | dict.fromkeys(self.discharge[:, step].tolist(), 1.0), net, net)

    def _wishes(self, step: int) -> None:
        wanted, packs = self.problem.objectives, self.problem.packs
        kept = wanted.reserve * float(packs.capacity_kwh.sum())
        self._add({int(self.lacking[step]): 1.0}
                  | dict.fromkeys(self.energy[:, step].tolist(), 1.0), kept, np.inf)
        if wanted.setpoint_kw is not None:
            self._add({int(self.buy[step]): 1, int(self.sell[step]): -1,
                       int(self.above[step]): -1, int(self.below[step]): 1},
                      wanted.setpoint_kw, wanted.setpoint_kw)

    def _add(self, entries: dict[int, float], low: float, high: float) -> None:
        self.rows.append((entries, low, high))

    def _bounds(self) -> tuple[Floats, Floats, Floats]:
        packs = self.problem.packs
        low, high, kinds = np.zeros(self.width), np.full(self.width, np.inf), np.zeros(self.width)
        for choices in (self.way, self.grid_way):
            kinds[choices] = high[choices] = 1
        low[self.energy] = (packs.floor * packs.capacity_kwh)[:, None]
        high[self.energy] = (packs.ceiling * packs.capacity_kwh)[:, None]
        connection, outlook = self.problem.connection, self.problem.outlook
        high[self.buy], high[self.sell] = connection.import_limit_kw, connection.export_limit_kw
        high[self.curtailed] = connection.curtailable * outlook.pv_kw.expected
        low[self.peak] = self.problem.connection.peak_kw
        return low, high, kinds

    def _cost(self) -> Floats:
        packs, wanted, outlook = self.problem.packs, self.problem.objectives, self.problem.outlook
        cost = np.zeros(self.width)
        cost[self.buy] = wanted.cost * outlook.import_price
        cost[self.sell] = wanted.export_per_kwh - wanted.cost * outlook.export_price
        cost[self.lacking] = wanted.reserve_per_kwh
        cost[self.above] = cost[self.below] = wanted.setpoint_per_kwh
        for way in (self.charge, self.discharge):
            cost[way] = wanted.wear * packs.wear_per_kwh[:, None]
        cost *= outlook.step_h
        cost[self.energy[:, -1]] = -(wanted.energy_value or 0.0) * packs.efficiency
        cost[self.peak] = wanted.peak_per_kw
        return cost


def best_value(problem: Problem) -> float:
    """As `value` reckons."""
    return Oracle(problem).best()


def hostile_site(seed: int) -> Problem:
    """What a settings page and lying packs can come up with: contradicting limits, charge outside
    of capacity, packs a thousand times as large as others, prices of 100 and below 0."""
    rng = np.random.default_rng(seed)
    count, steps = int(rng.integers(1, 13)), int(rng.integers(1, 50))

    def some(*of: float) -> Floats:
        return np.asarray(rng.choice(of, count), dtype=np.float64)

    def one(*of: float) -> float:
        return float(rng.choice(of))

    plain = site(count, steps, seed, calm=one(0.0, 2e-5, 1e-2), energy_value=one(-1.0, 0.0, 2.0),
                 reserve=one(0.0, 0.3, 1.5), peak_per_kw=one(0.0, 1.0, 100.0),
                 setpoint_kw=None if seed % 2 else one(-50.0, 0.0, 50.0), patience=1e-4,
                 connection=Connection(one(0.0, 5.0, np.inf), one(0.0, 5.0, np.inf), one(0.0, 9.0)))
    capacity = 10.0 ** rng.uniform(-1, one(1.5, 4.0), count)
    packs = Packs(plain.packs.ids, capacity, capacity * rng.uniform(-0.1, 1.2, count),
                  capacity * some(0, 0.2, 1, 5), capacity * some(0, 0.2, 1, 5), some(1, 0.95, 0.6),
                  some(0, 0.02, 1), some(0, 0.05, 0.8), some(0.2, 0.95, 1))
    ahead, size = plain.outlook, 10.0 ** rng.uniform(-1, 2)
    price = ahead.import_price * one(0.0, 1.0, 100.0, -1.0)
    outlook = Outlook(NOW, ahead.step_s, band(ahead.load_kw.expected * size),
                      band(ahead.pv_kw.expected * size * one(0.0, 1.0, 10.0)), price,
                      price * one(0.0, 0.3, 1.0, 1.5, -1.0))
    before = rng.normal(0, 5, (count, steps)) if one(0, 1) else None
    connection = replace(plain.connection, curtailable=bool(one(0, 1)))
    return Problem(packs, outlook, connection, plain.objectives, before)
