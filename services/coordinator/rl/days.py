"""Days that a policy learns from and is judged on: what a site used, made and paid, and what was
forecast for it at each hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.coordinator.forecasts import Forecaster, Past
from core.coordinator.policy import HOURS, Typical
from core.coordinator.problem import Floats
from core.errors import RequestError

I64: TypeAlias = NDArray[np.int64]

STEP_S = 600.0
STEPS = 144
AN_HOUR = 6
"""Steps."""
PAST_DAYS = 84
EVALUATED = 64
SEED = 20_261


@dataclass(frozen=True, slots=True)
class Days:
    """load_kw, pv_kw, buy, sell: of a day and the one after it [days, 2 STEPS]. net_ahead_kw:
    load less PV as forecast at each hour [days, hours, HOURS]. capacity_kwh: of the site's packs;
    zone: of its wall clock."""

    starts: tuple[datetime, ...]
    load_kw: Floats
    pv_kw: Floats
    buy: Floats
    sell: Floats
    net_ahead_kw: Floats
    capacity_kwh: float
    zone: str

    def __len__(self) -> int:
        return len(self.load_kw)

    def picked(self, which: I64) -> Days:
        return Days(tuple(self.starts[at] for at in which), self.load_kw[which],
                    self.pv_kw[which], self.buy[which], self.sell[which],
                    self.net_ahead_kw[which], self.capacity_kwh, self.zone)


@dataclass(frozen=True, slots=True)
class Year:
    """What a site's meter remembers in steps of STEP_S from `start` (UTC, a local midnight),
    columns [n]; the first PAST_DAYS days are for forecasts alone."""

    start: datetime
    load_kw: Floats
    pv_kw: Floats
    buy: Floats
    sell: Floats

    @property
    def days(self) -> int:
        """That have a day after them."""
        return len(self.load_kw) // STEPS - PAST_DAYS - 1


def fixed_days(count: int, wanted: int = EVALUATED) -> tuple[I64, I64]:
    """Which of `count` days are evaluated on, always the same, and which of the others are learnt
    from: none that overlaps with a day of the evaluation. Raises RequestError for too few."""
    if count < 2 * wanted:
        raise RequestError(f"{count} days are too few to learn from and be judged on: {2 * wanted} "
                           "are needed; record longer")
    evaluated = np.sort(np.random.default_rng(SEED).choice(count, wanted, replace=False))
    taken = np.union1d(evaluated, evaluated - 1)
    return evaluated, np.setdiff1d(np.arange(count), taken)


def days_of(year: Year, which: I64, forecasters: tuple[Forecaster, Forecaster],
            capacity_kwh: float, zone: str) -> Days:
    """forecasters: of load and PV."""
    for name in ("load_kw", "pv_kw", "buy", "sell"):
        if not np.isfinite(getattr(year, name)).all():
            raise RequestError(f"The site's past has gaps in {name}: nothing can be learnt from "
                               "days that are not known")
    first = (PAST_DAYS + which) * STEPS
    at = first[:, None] + np.arange(2 * STEPS)
    ahead = np.stack([_forecast(year, int(begin), forecasters) for begin in first])
    return Days(tuple(year.start + timedelta(seconds=STEP_S * int(begin)) for begin in first),
                year.load_kw[at], year.pv_kw[at], year.buy[at], year.sell[at], ahead, capacity_kwh,
                zone)


def _forecast(year: Year, begin: int, forecasters: tuple[Forecaster, Forecaster]) -> Floats:
    """[hours, HOURS]."""
    found = np.empty((HOURS, HOURS))
    for hour in range(HOURS):
        end = begin + hour * AN_HOUR
        start = year.start + timedelta(seconds=STEP_S * (end - PAST_DAYS * STEPS))
        load, pv = (np.maximum(forecaster.ahead(
            Past(start, STEP_S, values[end - PAST_DAYS * STEPS:end]), STEPS).expected, 0.0)
            for forecaster, values in zip(forecasters, (year.load_kw, year.pv_kw), strict=True))
        found[hour] = (load - pv).reshape(HOURS, AN_HOUR).mean(axis=1)
    return found


def typical(year: Year, capacity_kwh: float, zone: str, without: I64) -> Typical:
    """By month and hour, of all days but those; a month without any as the whole year."""
    hours = len(year.load_kw) // AN_HOUR
    net = (year.load_kw - year.pv_kw)[:hours * AN_HOUR].reshape(hours, AN_HOUR).mean(axis=1)
    buy, sell = year.buy[:hours * AN_HOUR:AN_HOUR], year.sell[:hours * AN_HOUR:AN_HOUR]
    wall = ZoneInfo(zone)
    local = [(year.start + timedelta(hours=hour)).astimezone(wall) for hour in range(hours)]
    month = np.array([one.month - 1 for one in local])
    hour = np.array([one.hour for one in local])
    known = ~np.isin(np.arange(hours) // HOURS - PAST_DAYS, without)
    return Typical(zone, *(_climate(values, month, hour, known)
                           for values in (net / capacity_kwh, buy, sell)))


def _climate(values: Floats, month: I64, hour: I64, known: NDArray[np.bool_]) -> Floats:
    found = np.empty((12, HOURS))
    for at in range(HOURS):
        whole = known & (hour == at)
        for own in range(12):
            these = whole & (month == own)
            found[own, at] = values[these if these.any() else whole].mean()
    return found
