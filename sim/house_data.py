"""Hourly load, sun and price of real homes, and which hour of them a moment is.

Where the data come from: `sim/house_profiles/README.md`. They follow the wall clock of
California; a house elsewhere gets the same month, day and hour of its own wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]

FILE = Path(__file__).parent / "house_profiles" / "citylearn_2022.csv"
MORE_FILE = FILE.with_name("citylearn_2022_more.csv.gz")
FIFTH_FILE = FILE.with_name("citylearn_2022_fifth.csv.gz")
HOUR_S = 3600.0
ROWS = 8760
CLEAR_DAYS = 15
"""A clear hour is the brightest of its hour of the day, this many days before and after."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One home's year, float64[8760]; row n is the n-th hour after 1 August 00:00.

    load_kw; solar_kw and clear_kw, the same on a clear day, per kW installed; price_per_kwh.
    """

    load_kw: F64
    solar_kw: F64
    clear_kw: F64
    price_per_kwh: F64


@cache
def profile(building: int) -> Profile:
    """The year of building 1 or 2."""
    columns = np.loadtxt(FILE, delimiter=",", skiprows=1).T
    loads, solar_kw, price = columns[:2], columns[2] / 1000.0, columns[3]
    return Profile(loads[building - 1].copy(), solar_kw, _clear(solar_kw), price.copy())


def three_homes() -> Profile:
    """The year of the mean of buildings 1 to 3, each under its own sun."""
    return mean_home(1, 2, 3)


@cache
def mean_home(*buildings: int) -> Profile:
    """The year of the mean of some of buildings 1, 2, 3 and 5, each under its own sun."""
    first, more, fifth = (np.loadtxt(file, delimiter=",", skiprows=1).T
                          for file in (FILE, MORE_FILE, FIFTH_FILE))
    loads_kw = {1: first[0], 2: first[1], 3: more[0], 5: fifth[0]}
    suns_w = {1: first[2], 2: more[1], 3: more[2], 5: fifth[1]}
    load_kw = np.mean([loads_kw[one] for one in buildings], axis=0)
    solar_kw = np.mean([suns_w[one] for one in buildings], axis=0) / 1000.0
    return Profile(load_kw, solar_kw, _clear(solar_kw), first[3].copy())


def _clear(solar_kw: F64) -> F64:
    days = solar_kw.reshape(-1, 24)
    around = [np.roll(days, shift, axis=0) for shift in range(-CLEAR_DAYS, CLEAR_DAYS + 1)]
    brightest: F64 = np.max(around, axis=0)
    return brightest.ravel()


def _first_rows() -> dict[tuple[int, int], int]:
    first = date(2022, 8, 1)
    days = [first + timedelta(days=number) for number in range(365)]
    rows = {(day.month, day.day): 24 * number for number, day in enumerate(days)}
    return {**rows, (2, 29): rows[2, 28]}


FIRST_ROW = _first_rows()
"""(month, day) -> row of its midnight; 29 February is 28 February."""


def row_of(local: datetime) -> int:
    """The row that holds a local wall-clock time."""
    return FIRST_ROW[local.month, local.day] + local.hour


class Calendar:
    """Hours are numbered from 1970; number n is [n, n + 1) hours after `phase_s`, which lets
    them begin with the wall clock's hours also where a zone is off UTC by half an hour."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        offset = datetime(2020, 1, 1, tzinfo=UTC).astimezone(zone).utcoffset()
        self.phase_s = -(offset or timedelta()).total_seconds() % HOUR_S

    def number(self, time_s: float) -> int:
        return int((time_s - self.phase_s) // HOUR_S)

    def start_s(self, number: int) -> float:
        return number * HOUR_S + self.phase_s

    def rows(self, first: int, count: int) -> I64:
        """Rows of `count` hours from number `first` on, int64[count]. Where clocks go back an
        hour's row comes twice, where they go forward one is left out."""
        middle_s = self.start_s(first) + HOUR_S / 2
        return np.array([row_of(datetime.fromtimestamp(middle_s + hour * HOUR_S, self.zone))
                         for hour in range(count)], dtype=np.int64)

    def rows_at(self, time_s: F64) -> I64:
        """Rows of the moments `time_s`, which rise, int64[k], k > 0."""
        first = self.number(float(time_s[0]))
        rows = self.rows(first, self.number(float(time_s[-1])) - first + 1)
        found: I64 = rows[((time_s - self.start_s(first)) // HOUR_S).astype(np.int64)]
        return found
