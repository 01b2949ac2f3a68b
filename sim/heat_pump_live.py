"""A simulated heat pump in the present: lived through from poll to poll."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.heat_pump_drivers import (
    DAY_MINUTES,
    DAY_S,
    MINUTE_S,
    Drivers,
    drivers,
    supply_wanted_c,
)
from sim.heat_pump_kernel import AT, SOUND, Damage, Kernel, Weather
from sim.heat_pump_lanes import FLOAT_FIELDS, Lanes, begin_s, day_of, is_night
from sim.heat_pump_plan import Plan
from sim.heat_pump_year import COUNTED, SlowYear
from sim.house_data import F64, HOUR_S

LONGEST_PAUSE_S = 1.5 * DAY_S
AHEAD_DAYS = 3
COUNTED_AT = [AT[name] for name in COUNTED]
UNKNOWN_OUTDOOR_C = -5.0
"""What the control takes for a broken outdoor sensor."""


class Live:
    """Lives from `now_s` (seconds since 1970) on, the hours before it included.

    counted: sums of COUNTED, float64[COUNTED]; last_hour: what they rose by in the last full
    hour. row: the last step's, float64[COLUMNS].
    """

    def __init__(self, plan: Plan, slow: SlowYear, now_s: float) -> None:
        self.plan = plan
        self._slow = slow
        self.counted = slow.counters(now_s)
        self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        """The day's lane up to `now_s`: the same that the past tells of it."""
        day = day_of(now_s)
        lane = Lanes(self.plan, self._slow, day, 1)
        self._kernel: Kernel = lane.kernel
        self.at_s = begin_s(day)
        self._drivers: Drivers = drivers(self.plan, self.at_s, AHEAD_DAYS)
        counted = self.counted.copy()
        self._hour_began, self.last_hour = counted, np.full(len(COUNTED), np.nan)
        self._live(now_s, SOUND, outdoor_known=True)
        self._hour_began = self._hour_began + (counted - self.counted)
        self.counted = counted

    @property
    def valve(self) -> bool:
        """Whether it stands at hot water."""
        return bool(self._kernel.water[0])

    def advance(self, now_s: float, damage: Damage, outdoor_known: bool) -> None:
        """Live on to `now_s`; a clock that steps back moves nothing. After a pause of days it
        begins again as at a start, its counters as many days further."""
        if now_s - self.at_s > LONGEST_PAUSE_S:
            passed = self._slow.counters(now_s) - self._slow.counters(self.at_s)
            self.counted = self.counted + np.maximum(passed, 0.0)
            self._begin(now_s)
        else:
            self._live(now_s, damage, outdoor_known)

    def _live(self, now_s: float, damage: Damage, outdoor_known: bool) -> None:
        while self.at_s < now_s:
            minute = int((self.at_s - self._drivers.begin_s) // MINUTE_S)
            if minute >= AHEAD_DAYS * DAY_MINUTES:
                begun_s = self._drivers.begin_s + (AHEAD_DAYS - 1) * DAY_S
                self._drivers = drivers(self.plan, begun_s, AHEAD_DAYS)
                minute -= (AHEAD_DAYS - 1) * DAY_MINUTES
            minute_s = self._drivers.begin_s + minute * MINUTE_S
            end_s = min(minute_s + MINUTE_S, now_s)
            night = is_night(minute) and self.at_s == minute_s
            weather = self._weather(minute, outdoor_known)
            row = self._kernel.step(weather, end_s - self.at_s, night, damage)
            self.row: F64 = row[:, 0]
            self.counted = self.counted + self.row[COUNTED_AT] * (end_s - self.at_s)
            self.at_s = end_s
            if end_s % HOUR_S == 0.0:
                self.last_hour = self.counted - self._hour_began
                self._hour_began = self.counted

    def _weather(self, minute: int, outdoor_known: bool) -> Weather:
        weather = Weather(*(getattr(self._drivers, name)[minute:minute + 1]
                            for name in FLOAT_FIELDS))
        if outdoor_known:
            return weather
        wanted_c = supply_wanted_c(self.plan.curve, np.array([UNKNOWN_OUTDOOR_C]))
        return replace(weather, wanted_c=wanted_c)
