"""A year of three real homes with one pack: what a coordinator saves of what perfect foresight
would.

Homes, sun and tariff: `sim/house_profiles` (CityLearn 2022, buildings 1, 2 and 5, those of the
figures that it is held against); 4 kW of PV each, one pack of 19.2 kWh and 15 kW, 95 % each way,
0.02 $ of wear a kWh, export pays nothing. It plans each hour for 24; the hour that runs is known as
a meter tells it, all others are forecast.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import eye_array, hstack

from bench.report import figure_line
from core.coordinator.account import cost_of, moved_on, reach
from core.coordinator.blend import Blend
from core.coordinator.forecasts import Forecaster, Past, Persistence, score, with_now
from core.coordinator.plan import Plan
from core.coordinator.ports import Planner
from core.coordinator.problem import (
    Band,
    Connection,
    Floats,
    Objectives,
    Outlook,
    Packs,
    Problem,
)
from core.coordinator.rules import RuleBased
from services.coordinator.mpc import MpcPlanner
from sim.house_data import mean_home

START = datetime(2022, 8, 1, 7, tzinfo=UTC)
"""1 August 00:00 in California."""
BUILDINGS = (1, 2, 5)
HOUR_S, DAY, HORIZON, YEAR = 3600.0, 24, 24, 8760
PV_KW = 4.0
PAST = 71 * DAY
"""What forecasts are told of."""
SHORT = slice(100 * DAY, 107 * DAY)
"""A week of November."""
LIMIT_S = 5.0
TOLERANCE = 1e-6

line = partial(figure_line, "coordinator")


@dataclass(frozen=True, slots=True)
class Homes:
    """Hourly, [YEAR]."""

    load_kw: Floats
    pv_kw: Floats
    price: Floats

    @classmethod
    def read(cls) -> Homes:
        mean, count = mean_home(*BUILDINGS), len(BUILDINGS)
        return cls(count * mean.load_kw, count * PV_KW * mean.solar_kw, mean.price_per_kwh)


@dataclass(frozen=True, slots=True)
class Lived:
    """cost: with wear [currency]; forecast_mae: of load and PV an hour to a day ahead [kW]."""

    cost: float
    violations: int
    cycles: float
    cpu_s: float
    forecast_mae: Mapping[str, float]


def pack() -> Packs:
    """Empty."""
    one = np.ones(1)
    return Packs(("pack",), 19.2 * one, 0.05 * 19.2 * one, 15.0 * one, 15.0 * one, 0.95 * one,
                 0.02 * one, 0.05 * one, 0.95 * one)


def year(short: bool) -> Iterator[dict[str, object]]:
    """All figures (short: a week of November)."""
    homes, span = Homes.read(), SHORT if short else slice(0, YEAR)
    case = "three homes, a week" if short else "three homes, a year"
    without, best = bill(homes, span), foresight(homes, span)
    share = partial(captured, without, best)
    yield line(case, "rules of self-consumption, captured", share(by_rules(homes, span)), "%")
    by_price = live(homes, span, RuleBased("time-of-use"), (Persistence(), Persistence()))
    yield line(case, "rules of time-of-use by persistence, captured", share(by_price.cost), "%")
    for name, forecasters, target in (
            ("persistence", (Persistence(), Persistence()), 91.0),
            ("blend of days and weeks", (Blend(), Blend()), 94.0)):
        lived = live(homes, span, MpcPlanner(), forecasters)
        yield line(case, f"MPC by {name}, captured", share(lived.cost), "%", target, "higher")
        yield line(case, f"MPC by {name}, violations", lived.violations, "", 0)
        yield line(case, f"MPC by {name}, full cycles", lived.cycles, "")
        for what, mae in lived.forecast_mae.items():
            yield line(case, f"{name}, error of {what}", mae, "kW")
        each_ms = 1000.0 * lived.cpu_s / (span.stop - span.start)
        yield line(case, f"MPC by {name}, processor time a run", each_ms, "ms")


def captured(without: float, best: float, cost: float) -> float:
    """Of what perfect foresight saves [%]."""
    return 100.0 * (without - cost) / (without - best)


def bill(homes: Homes, span: slice) -> float:
    """Without a pack [currency]."""
    net = homes.load_kw[span] - homes.pv_kw[span]
    return float(homes.price[span] @ np.maximum(net, 0.0))


def by_rules(homes: Homes, span: slice) -> float:
    """Self-consumption, which needs no forecast."""
    packs, total, rules = pack(), 0.0, RuleBased()
    for hour in range(span.start, span.stop):
        outlook = known(homes, hour)
        plan = rules.plan(Problem(packs, outlook), outlook.start, LIMIT_S)
        total += plan.cost.total
        packs = replace(packs, energy_kwh=plan.energy_kwh[:, 1])
    return total


def known(homes: Homes, hour: int) -> Outlook:
    """One hour as it was."""
    here = slice(hour, hour + 1)
    load, pv, price = homes.load_kw[here], homes.pv_kw[here], homes.price[here]
    return Outlook(START + timedelta(hours=hour), HOUR_S, Band(load, load, load),
                   Band(pv, pv, pv), price, np.zeros(1))


def live(homes: Homes, span: slice, planner: Planner,
         forecasters: tuple[Forecaster, Forecaster]) -> Lived:
    """Plan each hour, do its first step as far as the pack can, go on."""
    packs, total, violations, moved = pack(), 0.0, 0, 0.0
    began, before = time.process_time(), None
    errors: dict[str, list[float]] = {"load": [], "PV": []}
    for hour in range(span.start, span.stop):
        outlook = ahead(homes, hour, forecasters, errors)
        problem = Problem(packs, outlook, before_kw=_carried(before))
        before = planner.plan(problem, outlook.start, LIMIT_S)
        take, give = reach(packs, packs.energy_kwh, 1.0)
        wish = before.pack_kw[:, 0]
        violations += int((wish > give + TOLERANCE).any() or (wish < -take - TOLERANCE).any())
        power = np.clip(wish, -take, give)
        total += cost_of(power[:, None], packs, known(homes, hour), Connection(),
                         Objectives()).total
        moved += float(np.abs(power).sum())
        packs = moved_on(packs, power, 1.0)
    return Lived(total, violations, moved / 2.0 / float(packs.capacity_kwh.sum()),
                 time.process_time() - began,
                 {what: float(np.mean(found)) for what, found in errors.items()})


def _carried(plan: Plan | None) -> Floats | None:
    """The plan of the hour before, moved on."""
    if plan is None:
        return None
    return np.column_stack([plan.pack_kw[:, 1:], np.full(len(plan.ids), np.nan)])


def ahead(homes: Homes, hour: int, forecasters: tuple[Forecaster, Forecaster],
          errors: dict[str, list[float]]) -> Outlook:
    """The hour that runs as measured, the others as forecast from what was measured up to it."""
    bands = []
    first = max(0, hour + 1 - PAST)
    for what, values, forecaster in zip(errors, (homes.load_kw, homes.pv_kw), forecasters,
                                        strict=True):
        past = Past(START + timedelta(hours=first), HOUR_S, values[first:hour + 1])
        told = forecaster.ahead(past, HORIZON - 1)
        came = values[hour + 1:hour + HORIZON]
        if len(came) == HORIZON - 1:
            errors[what].append(score(told, came).mae)
        bands.append(with_now(Band(*(np.concatenate([[0.0], part]) for part in (
            told.expected, told.low, told.high))), float(values[hour])))
    prices = homes.price[np.arange(hour, hour + HORIZON) % YEAR]
    return Outlook(START + timedelta(hours=hour), HOUR_S, bands[0], bands[1], prices,
                   np.zeros(HORIZON))


def foresight(homes: Homes, span: slice) -> float:
    """The least that the span can cost with the pack, all hours known: a linear programme of
    charge, discharge, stored energy and import, solved by HiGHS [currency]."""
    packs, price = pack(), homes.price[span]
    net, hours = homes.load_kw[span] - homes.pv_kw[span], span.stop - span.start
    way, capacity = float(packs.efficiency[0]), float(packs.capacity_kwh[0])
    one = eye_array(hours, format="csc")
    stored = one - eye_array(hours, k=-1, format="csc")
    begin = np.zeros(hours)
    begin[0] = packs.energy_kwh[0]
    wear = np.full(hours, packs.wear_per_kwh[0])
    bounds = np.concatenate([np.tile([[0.0, packs.discharge_kw[0]]], (2 * hours, 1)),
                             np.tile([[packs.floor[0] * capacity, packs.ceiling[0] * capacity]],
                                     (hours, 1)),
                             np.tile([[0.0, np.inf]], (hours, 1))])
    found = linprog(np.concatenate([wear, wear, np.zeros(hours), price]),
                    A_ub=hstack([one, -one, 0 * one, -one], format="csc"), b_ub=-net,
                    A_eq=hstack([-way * one, one / way, stored, 0 * one], format="csc"),
                    b_eq=begin, bounds=bounds, method="highs")
    if found.status != 0:
        raise RuntimeError(f"perfect foresight was not found: {found.message}")
    return float(found.fun)
