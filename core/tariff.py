"""What the energy at the grid connection costs: flat, time-of-use or a series of prices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike

from core.energy import SECONDS_PER_HOUR, Floats, checked, integral
from core.errors import RequestError

# Every zone's offset is a multiple of it, so a local hour begins on one of these ticks.
TICK_S = 900


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

    def holds(self, moment: datetime) -> bool:
        """Whether the local `moment` lies in the period."""
        if self.from_hour < self.to_hour:
            inside = self.from_hour <= moment.hour < self.to_hour
        else:
            inside = moment.hour >= self.from_hour or moment.hour < self.to_hour
        return inside and moment.weekday() in self.weekdays


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
        edges = np.array([start_s, end_s])
        spans = [tariff]
    elif isinstance(tariff, TimeOfUseTariff):
        ticks = np.arange(start_s // TICK_S * TICK_S + TICK_S, end_s, TICK_S)
        edges = np.concatenate([[start_s], ticks, [end_s]])
        spans = [_at(tariff, float(moment_s)) for moment_s in edges[:-1]]
    else:
        return _series_prices(tariff, start_s, end_s)
    table = np.array([(span.import_per_kwh, span.export_per_kwh) for span in spans], np.float64)
    return edges, table[:, 0], table[:, 1]


def _at(tariff: TimeOfUseTariff, moment_s: float) -> FlatTariff:
    local = datetime.fromtimestamp(moment_s, tariff.zone)
    held = (period.prices for period in tariff.periods if period.holds(local))
    return next(held, tariff.otherwise)


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
    edges, import_price, export_price = prices(tariff, start_s, end_s)
    bought, covered_s = integral(times, np.maximum(grid, 0.0), edges, gap_s, last_s)
    sold, _ = integral(times, np.maximum(-grid, 0.0), edges, gap_s, last_s)
    known = (covered_s > 0) & np.isfinite(import_price) & np.isfinite(export_price)
    if not known.any():
        return Cost(math.nan, math.nan, math.nan, 0.0)
    paid = float((bought * import_price)[known].sum() / SECONDS_PER_HOUR)
    earned = float((sold * export_price)[known].sum() / SECONDS_PER_HOUR)
    return Cost(paid, earned, paid - earned,
                min(float(covered_s[known].sum() / (end_s - start_s)), 1.0))
