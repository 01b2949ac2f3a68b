"""Weather of a simulated heat pump: a test reference year, repeated, minute by minute.

The data are those of the German weather service (see `sim/heat_pump_data/README.md`): an
hour's row belongs to the hour that ends at its number, in UTC+1 without summer time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Literal

import numpy as np

from sim.heat_pump_machines import DATA
from sim.house_data import F64, HOUR_S, I64

FILE = DATA / "dwd_try_2010.npz"
ATTRIBUTION = "weather: test reference years 2010 of the German weather service (DWD)"
ZONE_S = 3600.0
YEAR_HOURS = 8760

Climate = Literal["potsdam", "hof"]


@dataclass(frozen=True, slots=True)
class Year:
    """A year's hours, float64[8760]: outdoor_c, humidity_pct, sun_w_per_m2 (horizontal)."""

    outdoor_c: F64
    humidity_pct: F64
    sun_w_per_m2: F64


@cache
def year(climate: Climate) -> Year:
    """Potsdam (mean 9.5 degC) or Hof (7.4 degC, about as Stockholm)."""
    with np.load(FILE, allow_pickle=False) as data:
        rows = data[climate].astype(np.float64)
    return Year(rows[0] / 10.0, rows[1], rows[2])


def hours_of_year(time_s: F64) -> F64:
    """Hours since New Year in UTC+1 of moments that rise, float64[k], below 8760: 31 December
    of a leap year is lived twice."""
    local_s = time_s + ZONE_S
    first = datetime.fromtimestamp(float(local_s[0]), UTC).year
    last = datetime.fromtimestamp(float(local_s[-1]), UTC).year
    starts_s = np.array([datetime(number, 1, 1, tzinfo=UTC).timestamp()
                         for number in range(first, last + 2)])
    which = np.searchsorted(starts_s, local_s, side="right") - 1
    hours: F64 = (local_s - starts_s[which]) / HOUR_S
    return np.where(hours >= YEAR_HOURS, hours - 24.0, hours)


def between_hours(hourly: F64, hours: F64) -> F64:
    """Linear between the middles of the hours, round the year; float64[k]."""
    place = hours - 0.5
    before = np.floor(place)
    share = place - before
    number: I64 = before.astype(np.int64)
    found: F64 = (hourly[number % YEAR_HOURS] * (1.0 - share)
                  + hourly[(number + 1) % YEAR_HOURS] * share)
    return found


def daily_mean(hourly: F64) -> F64:
    """Mean of the 24 hours before each hour's end, round the year, float64[8760]."""
    sums = np.cumsum(np.concatenate([hourly[-24:], hourly]))
    found: F64 = (sums[24:] - sums[:-24]) / 24.0
    return found
