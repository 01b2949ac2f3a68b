"""What a simulated heat pump's slow parts do over a year, hour by hour: walls and ground.

A coarse balance without a control: where a stretch of the past begins, and what the counters
had counted by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from sim.heat_pump_drivers import HEATING_BELOW_C, supply_wanted_c
from sim.heat_pump_kernel import THERMOSTAT_C, THERMOSTAT_K, THERMOSTAT_LEAST
from sim.heat_pump_plan import (
    FAR_W_PER_K_SHARE,
    GROUND_C,
    GROUND_J_PER_K_SHARE,
    Plan,
)
from sim.heat_pump_weather import YEAR_HOURS, daily_mean, hours_of_year, year
from sim.house_data import F64, HOUR_S

SPIN_HOURS = 1500
WATER_W = 280.0
"""Hot water and what its tank loses, as a mean."""
INSTALLED_YEAR = 2021
STARTS_AN_HOUR = 0.3
COUNTED = ("on", "on_water", "starts_per_s", "auxiliary_on", "auxiliary_1", "auxiliary_2",
           "compressor_w", "circulating", "auxiliary_w", "counted_heat_w", "water_heat_w",
           "water_auxiliary_w", "water_compressor_w")
"""Columns of the kernel that counters integrate [column x s]."""

DRIED = {"auxiliary_on": 4.0e6, "auxiliary_1": 3.6e6, "auxiliary_2": 2.8e6, "auxiliary_w": 2.8e10,
         "water_auxiliary_w": 3.0e9}
"""What the auxiliary heater had counted when the house was new and damp."""


@dataclass(frozen=True, slots=True)
class SlowYear:
    """Hour by hour from New Year, float64[8760]: temperatures [degC]; counted: sums of COUNTED
    since New Year, float64[8761, COUNTED]."""

    air_c: F64
    mass_c: F64
    ground_c: F64
    counted: F64

    def at(self, time_s: F64) -> tuple[F64, F64, F64]:
        """Air, walls and ground at moments that rise, float64[k] each."""
        place = hours_of_year(time_s).astype(np.int64)
        return self.air_c[place], self.mass_c[place], self.ground_c[place]

    def counters(self, time_s: float) -> F64:
        """Sums of COUNTED since the pump was installed, about, float64[COUNTED]."""
        years = max(datetime.fromtimestamp(time_s, UTC).year - INSTALLED_YEAR, 0)
        hour = float(hours_of_year(np.array([time_s]))[0])
        since = np.array([np.interp(hour, np.arange(YEAR_HOURS + 1.0), column)
                          for column in self.counted.T])
        sums: F64 = years * self.counted[-1] + since
        for name, began in DRIED.items():
            sums[COUNTED.index(name)] += began
        sums[COUNTED.index("starts_per_s")] = np.floor(sums[COUNTED.index("starts_per_s")])
        return sums


def slow_year(plan: Plan) -> SlowYear:
    """The year's hours, each with the means of its own weather."""
    data = year(plan.climate)
    outdoor = data.outdoor_c + plan.outdoor_offset_c
    heated = (daily_mean(data.outdoor_c) + plan.outdoor_offset_c) < HEATING_BELOW_C
    gain_w = plan.people_w + plan.sun_m2 * data.sun_w_per_m2
    supply = supply_wanted_c(plan.curve, outdoor)
    rows = zip(np.roll(outdoor, SPIN_HOURS).tolist(), np.roll(gain_w, SPIN_HOURS).tolist(),
               np.roll(supply, SPIN_HOURS).tolist(), np.roll(heated, SPIN_HOURS).tolist(),
               strict=True)
    told = _lived(plan, [*rows])
    emitted = np.maximum(told[:, 3], 0.0)
    return SlowYear(told[:, 0], told[:, 1], told[:, 2], _counted(plan, emitted, outdoor, supply))


def _lived(plan: Plan, rows: list[tuple[float, float, float, bool]]) -> F64:
    """Air, walls, ground, and what is emitted, float64[8760, 4]; `rows` begin SPIN_HOURS
    before New Year and the last are lived first again."""
    air, mass, ground = 20.5, 20.5, GROUND_C
    half_k = 3.0 / plan.machine.nominal_w
    far_w, near = FAR_W_PER_K_SHARE * plan.ua_w_per_k, 0.72
    per_air, per_mass = HOUR_S / plan.air_j_per_k, HOUR_S / plan.mass_j_per_k
    per_ground = HOUR_S / (GROUND_J_PER_K_SHARE * plan.ua_w_per_k)
    emitted, told = 0.0, []
    for outdoor, gain, supply, heated in [*rows, *rows[:SPIN_HOURS]]:
        told.append((air, mass, ground, emitted))
        shut = 1.0 - (air - plan.indoor_c - THERMOSTAT_C) / THERMOSTAT_K
        share = min(max(shut, THERMOSTAT_LEAST), 1.0) * plan.radiator_w_per_k
        emitted = max(share * (supply - half_k * emitted - air), 0.0) if heated else 0.0
        between = plan.air_mass_w_per_k * (mass - air)
        air += (emitted + gain + between - plan.ua_w_per_k * (air - outdoor)) * per_air
        mass -= between * per_mass
        far = far_w * (GROUND_C + plan.outdoor_offset_c - ground)
        ground += (far - near * (emitted + WATER_W)) * per_ground
    return np.array(told[SPIN_HOURS:SPIN_HOURS + YEAR_HOURS])


def _counted(plan: Plan, emitted_w: F64, outdoor_c: F64, supply_c: F64) -> F64:
    """What the counters count in each hour, summed up, float64[8761, COUNTED]."""
    heat_w = emitted_w + WATER_W
    source_c = outdoor_c if plan.machine.medium == "air" else np.full(YEAR_HOURS, 2.0)
    cop = np.maximum(plan.machine.cop(source_c, supply_c + 2.0), 2.0)
    on, on_water = heat_w / plan.machine.nominal_w, WATER_W / plan.machine.nominal_w
    none = np.zeros(YEAR_HOURS)
    hourly = {"on": on, "on_water": none + on_water, "auxiliary_on": none, "auxiliary_1": none,
              "auxiliary_2": none, "starts_per_s": none + STARTS_AN_HOUR / HOUR_S,
              "compressor_w": heat_w / cop, "circulating": np.minimum(on + 0.6, 1.0),
              "auxiliary_w": none, "counted_heat_w": heat_w, "water_heat_w": none + WATER_W,
              "water_auxiliary_w": none, "water_compressor_w": WATER_W / cop}
    rows = np.stack([hourly[name] for name in COUNTED], axis=1) * HOUR_S
    return np.concatenate([np.zeros((1, len(COUNTED))), np.cumsum(rows, axis=0)])


