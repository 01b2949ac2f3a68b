"""What happens to a simulated heat pump from outside, minute by minute: weather, sun, showers.

A function of (plan, time) alone, so that any stretch of time gives the same minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sim.heat_pump_plan import Plan
from sim.heat_pump_weather import ZONE_S, between_hours, daily_mean, hours_of_year, year
from sim.house_data import F64
from sim.house_hours import uniform

MINUTE_S = 60.0
DAY_S = 86400.0
DAY_MINUTES = 1440
HEATING_BELOW_C = 15.0
"""The house is heated while the day's mean outdoors is below."""
SUPPLY_C = (20.0, 58.0)

DRAWS = np.array([[380.0, 40.0, 24.0], [415.0, 40.0, 20.0], [560.0, 120.0, 5.0],
                  [730.0, 80.0, 7.0], [900.0, 120.0, 4.0], [1060.0, 90.0, 10.0],
                  [1180.0, 90.0, 20.0], [1270.0, 60.0, 22.0]])
"""A day's hot water: around which minute of the day, spread [min], litres."""
DRAW_MINUTES = 4
FROST_FULL_S = 3000.0
"""An evaporator is full of frost after so long at full speed in wet air near 0 degC."""


@dataclass(frozen=True, slots=True)
class Drivers:
    """Means over cells of equal length from `begin_s` on, each float64[n].

    outdoor_c, gain_w (sun and people), draw_lps (hot water), wanted_c (supply temperature by
    the curve), heated (1 = the house is heated), frost_per_s (at full speed).
    """

    begin_s: float
    cell_s: float
    outdoor_c: F64
    gain_w: F64
    draw_lps: F64
    wanted_c: F64
    heated: F64
    frost_per_s: F64

    def coarse(self, cells: int) -> Drivers:
        """Means over `cells` cells each, which divide its length."""
        means = {one.name: getattr(self, one.name).reshape(-1, cells).mean(axis=1)
                 for one in fields(self)[2:]}
        means["heated"] = np.round(means["heated"])
        return Drivers(self.begin_s, self.cell_s * cells, **means)


def drivers(plan: Plan, begin_s: float, days: int) -> Drivers:
    """`days` whole days in minutes from `begin_s`, a whole minute."""
    data = year(plan.climate)
    hours = hours_of_year(begin_s + MINUTE_S * (np.arange(0.0, days * DAY_MINUTES) + 0.5))
    outdoor_c = between_hours(data.outdoor_c, hours) + plan.outdoor_offset_c
    day_c = between_hours(daily_mean(data.outdoor_c), hours) + plan.outdoor_offset_c
    humidity = between_hours(data.humidity_pct, hours)
    sun = between_hours(data.sun_w_per_m2, hours)
    return Drivers(
        begin_s, MINUTE_S, outdoor_c, plan.people_w + plan.sun_m2 * sun,
        _draws(plan.seed, begin_s, days), supply_wanted_c(plan.curve, outdoor_c),
        (day_c < HEATING_BELOW_C).astype(np.float64), frost_per_s(outdoor_c, humidity))


def supply_wanted_c(curve: float, outdoor_c: F64) -> F64:
    """By the heating curve [degC]."""
    return np.clip(20.0 + curve * (20.0 - outdoor_c), *SUPPLY_C)


def frost_per_s(outdoor_c: F64, humidity_pct: F64) -> F64:
    """Share of a full evaporator that freezes each second at full speed: none in mild air,
    less in cold air, which holds little water."""
    cold = np.clip((6.0 - outdoor_c) / 4.0, 0.0, 1.0)
    wet = np.clip((humidity_pct - 40.0) / 55.0, 0.0, 1.0)
    return cold * wet * 10.0 ** (np.minimum(outdoor_c, 0.0) / 30.0) / FROST_FULL_S


def _draws(seed: int, begin_s: float, days: int) -> F64:
    """Hot water drawn [l/s], float64[minutes]."""
    begin = round((begin_s + ZONE_S) / MINUTE_S)
    numbers = np.arange(begin // DAY_MINUTES, (begin + days * DAY_MINUTES) // DAY_MINUTES + 1)
    random = uniform(seed, numbers, 7, 2 * len(DRAWS)).reshape(-1, 2, len(DRAWS))
    minute = np.round(DRAWS[:, 0] + (random[:, 0] - 0.5) * DRAWS[:, 1])
    litres = DRAWS[:, 2] * (0.5 + random[:, 1])
    first = (numbers[:, None] * DAY_MINUTES + minute - begin).astype(np.int64)
    drawn = np.zeros(days * DAY_MINUTES)
    for later in range(DRAW_MINUTES):
        place = first + later
        inside: NDArray[np.bool_] = (place >= 0) & (place < len(drawn))
        np.add.at(drawn, place[inside], (litres / DRAW_MINUTES / MINUTE_S)[inside])
    return drawn
