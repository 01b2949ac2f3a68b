"""What the energy at the grid connection costs: flat, time-of-use or a series of prices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.energy import (
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    Floats,
    checked,
    integral,
    wall_clock,
)
from core.errors import RequestError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Every zone's offset is a multiple of it, so a local hour begins on one of these ticks.
TICK_S = 900
FIRST_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0


@dataclass(frozen=True, slots=True)
class FlatTariff:
    """One price for import and one for export [currency/kWh]; both may be negative."""

    import_per_kwh: float
    export_per_kwh: float


@dataclass(frozen=True, slots=True)
class Period:
    """Prices in [from_hour, to_hour) local time, over midnight where to_hour <= from_hour, on
    the local `weekdays` (Monday is 0) of the moment itself."""

    from_hour: int
    to_hour: int
    weekdays: frozenset[int]
    prices: FlatTariff

    def holds(self, hour: Ints, weekday: Ints) -> Bools:
        """Whether local hours [n] on weekdays [n] lie in the period, bool[n]."""
        after, before = hour >= self.from_hour, hour < self.to_hour
        inside = after & before if self.from_hour < self.to_hour else after | before
        on_day: Bools = np.isin(weekday, list(self.weekdays))
        return inside & on_day


@dataclass(frozen=True, slots=True)
class TimeOfUseTariff:
    """The first period that holds decides; `otherwise` where none does."""

    zone: ZoneInfo
    periods: Sequence[Period]
    otherwise: FlatTariff


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Prices [n] [currency/kWh] from their time_s [n] until the next, the last for hold_s [s];
    a step wider than hold_s has no price after hold_s."""

    time_s: Floats
    import_per_kwh: Floats
    export_per_kwh: Floats
    hold_s: float


Tariff = FlatTariff | TimeOfUseTariff | PriceSeries


@dataclass(frozen=True, slots=True)
class Costs:
    """As Cost, one each bucket: paid, earned, net [currency] and coverage, float64[k]."""

    paid: Floats
    earned: Floats
    net: Floats
    coverage: Floats


@dataclass(frozen=True, slots=True)
class Cost:
    """paid for import, earned by export, net = paid - earned [currency]; NaN when nothing is
    known. coverage: share of the window in which power and price are both known."""

    paid: float
    earned: float
    net: float
    coverage: float


def prices(tariff: Tariff, start_s: float, end_s: float) -> tuple[Floats, Floats, Floats]:
    """The tariff cut into spans of constant price: edges [k + 1] [s], import and export price
    [k] [currency/kWh], NaN where there is none. RequestError unless start_s < end_s."""
    if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s < end_s):
        raise RequestError(f"a span from {start_s} to {end_s} s: the end must be after the start")
    if isinstance(tariff, FlatTariff):
        return (np.array([start_s, end_s]), np.array([tariff.import_per_kwh], np.float64),
                np.array([tariff.export_per_kwh], np.float64))
    if isinstance(tariff, TimeOfUseTariff):
        return _hourly_prices(tariff, start_s, end_s)
    return _series_prices(tariff, start_s, end_s)


def _hourly_prices(tariff: TimeOfUseTariff, start_s: float, end_s: float,
                   ) -> tuple[Floats, Floats, Floats]:
    """Local hours in one go; neighbours under the same prices are one span."""
    ticks = np.arange(start_s // TICK_S * TICK_S + TICK_S, end_s, TICK_S)
    begins = np.concatenate([[start_s], ticks])
    local_s = wall_clock(begins, tariff.zone)
    hour = (local_s % SECONDS_PER_DAY // SECONDS_PER_HOUR).astype(np.int64)
    weekday = (local_s // SECONDS_PER_DAY + FIRST_WEEKDAY).astype(np.int64) % 7
    held = np.full(begins.size, len(tariff.periods))
    for number in reversed(range(len(tariff.periods))):
        held[tariff.periods[number].holds(hour, weekday)] = number
    new = np.append(True, held[1:] != held[:-1])
    flats = [*(period.prices for period in tariff.periods), tariff.otherwise]
    table = np.array([(flat.import_per_kwh, flat.export_per_kwh) for flat in flats], np.float64)
    import_price, export_price = table[held[new]].T
    return np.append(begins[new], end_s), import_price, export_price


def _series_prices(tariff: PriceSeries, start_s: float, end_s: float,
                   ) -> tuple[Floats, Floats, Floats]:
    times, buy = checked(tariff.time_s, tariff.import_per_kwh)
    _, sell = checked(tariff.time_s, tariff.export_per_kwh)
    edges = np.unique(np.concatenate([times, times + tariff.hold_s, [start_s, end_s]]))
    edges = edges[(edges >= start_s) & (edges <= end_s)]
    row = np.searchsorted(times, edges[:-1], side="right") - 1
    known = row >= 0
    known[known] = edges[:-1][known] - times[row[known]] < tariff.hold_s
    import_price, export_price = np.full(row.size, np.nan), np.full(row.size, np.nan)
    import_price[known], export_price[known] = buy[row[known]], sell[row[known]]
    return edges, import_price, export_price


def cost(time_s: ArrayLike, grid_kw: ArrayLike, tariff: Tariff, start_s: float, end_s: float,
         gap_s: float, last_s: float = 0.0) -> Cost:
    """Cost of the grid power [n] [kW], + import, in [start_s, end_s): energy of each span of
    constant price x that price, so a price that changes between two samples is met exactly.

    Raises RequestError as `core.energy.integral` and `prices` do.
    """
    times, grid = checked(time_s, grid_kw)
    found = costs(times, np.maximum(grid, 0.0), np.maximum(-grid, 0.0), tariff,
                  [start_s, end_s], gap_s, last_s)
    return Cost(float(found.paid[0]), float(found.earned[0]), float(found.net[0]),
                float(found.coverage[0]))


def costs(time_s: ArrayLike, import_kw: ArrayLike, export_kw: ArrayLike, tariff: Tariff,
          edges_s: ArrayLike, gap_s: float, last_s: float = 0.0) -> Costs:
    """Cost between successive edges_s [k + 1] of what is imported and exported [n] [kW, both
    >= 0], apart because the mean of an hour that did both says nothing about either. What is
    known of one only is left out. Raises RequestError as `core.energy.integral` and `prices`.
    """
    times, bought_kw = checked(time_s, import_kw)
    _, sold_kw = checked(time_s, export_kw)
    edges = np.asarray(edges_s, np.float64)
    if edges.size < 2:
        raise RequestError("a cost needs a start and an end: give two edges or more")
    cuts, import_price, export_price = prices(tariff, float(edges[0]), float(edges[-1]))
    edges, _ = checked(edges, np.zeros(edges.shape))
    fine = np.union1d(cuts, edges)
    span = np.searchsorted(cuts, fine[:-1], side="right") - 1
    bucket = np.searchsorted(edges, fine[:-1], side="right") - 1
    both = np.isfinite(bought_kw) & np.isfinite(sold_kw)
    paid, paid_s = _priced(times, np.where(both, bought_kw, np.nan), fine, import_price[span],
                           gap_s, last_s)
    earned, earned_s = _priced(times, np.where(both, sold_kw, np.nan), fine, export_price[span],
                               gap_s, last_s)
    covered_s = np.minimum(paid_s, earned_s)
    sums = [_in_buckets(np.where(covered_s > 0, one, 0.0), bucket, edges.size - 1)
            for one in (paid, earned, covered_s)]
    known = sums[2] > 0
    spent, got = np.where(known, sums[0], np.nan), np.where(known, sums[1], np.nan)
    return Costs(spent, got, spent - got, np.minimum(sums[2] / np.diff(edges), 1.0))


def _priced(times: Floats, power_kw: Floats, edges: Floats, price: Floats, gap_s: float,
            last_s: float) -> tuple[Floats, Floats]:
    """Money of each span [k] and the seconds in which power and price are both known."""
    flowed, covered_s = integral(times, power_kw, edges, gap_s, last_s)
    return flowed / SECONDS_PER_HOUR * price, np.where(np.isfinite(price), covered_s, 0.0)


def _in_buckets(value: Floats, bucket: Ints, count: int) -> Floats:
    return np.bincount(bucket, weights=value, minlength=count).astype(np.float64)
