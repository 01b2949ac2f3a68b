"""Many days of one simulated heat pump lived at once: a lane each day.

A day begins at 02:30 (UTC+1), after ten coarse hours in which a lane forgets how it began. At
03:00 each night the control charges the tank to one temperature and then heats, so that two
lanes which live through the same night end up almost alike; between 04:00 and 06:00 the elder
one hands over to the younger one at the moment when they are most alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sim.heat_pump_drivers import DAY_S, MINUTE_S, Drivers, drivers
from sim.heat_pump_kernel import AT, COLUMNS, Kernel, Weather
from sim.heat_pump_plan import Plan
from sim.heat_pump_weather import ZONE_S
from sim.heat_pump_year import SlowYear
from sim.house_data import F64, I64

Cells: TypeAlias = NDArray[np.float32]

COARSE = 5
"""Minutes of a coarse step, in which a lane begins, and of the far past's cells."""
COARSE_STEPS = 120
BEGIN_MINUTE = 150
"""Of the day, in UTC+1, at which a lane's minutes begin."""
NIGHT_MINUTE = 180
STEPS = 1440 + 360 - BEGIN_MINUTE + 15
"""Minutes of a lane: until 06:15 of the next day."""
HANDED_FROM, HANDED_TO = (240 - BEGIN_MINUTE) // COARSE, (360 - BEGIN_MINUTE) // COARSE
"""Coarse cells of a lane in which it may take over."""
DAY_CELLS = 1440 // COARSE
DISTANCE = {"on": 100.0, "valve": 100.0, "auxiliary_on": 50.0, "defrost": 50.0, "loop_c": 2.0,
            "top_c": 1.0, "low_c": 1.0, "brine_c": 1.0, "degree_minutes": 0.1, "speed": 10.0}
"""How unlike two lanes are: the weight of each column's difference."""
FADING_S = {"loop_c": 6000.0, "top_c": 9000.0, "low_c": 9000.0, "brine_c": 3000.0,
            "gas_c": 1000.0, "degree_minutes": 4000.0, "air_c": 40000.0}
"""How fast such a difference dies away under one control: what remains of it at a handover is
told so, instead of as a jump."""

FLOAT_FIELDS = tuple(one.name for one in fields(Drivers)[2:])


def day_of(time_s: float) -> int:
    """Number of the day whose lane is alive at `time_s` and began its minutes at least 3.5
    hours before [days since 1970 in UTC+1]."""
    return int((time_s + ZONE_S - 360 * MINUTE_S) // DAY_S)


def begin_s(day: int) -> float:
    """When the minutes of a day's lane begin [s]."""
    return day * DAY_S - ZONE_S + BEGIN_MINUTE * MINUTE_S


class Lanes:
    """The lanes of `count` days from number `day` on, lived by `minutes` up to any moment."""

    def __init__(self, plan: Plan, slow: SlowYear, day: int, count: int) -> None:
        self.plan = plan
        self.begin_s = begin_s(day)
        first_s = self.begin_s - COARSE_STEPS * COARSE * MINUTE_S
        whole = drivers(plan, first_s, count + 2)
        self._coarse = _windows(whole.coarse(COARSE), 0, count, COARSE_STEPS)
        self._fine = _windows(whole, COARSE_STEPS * COARSE, count, STEPS)
        starts_s = first_s + DAY_S * np.arange(0.0, count)
        air_c, mass_c, ground_c = slow.at(starts_s)
        first = self._coarse[0]
        loop_c = np.where(first.heated > 0.5, first.wanted_c, air_c)
        self.kernel = Kernel(plan, air_c, mass_c, ground_c, loop_c)
        for weather in self._coarse:
            self.kernel.step(weather, COARSE * MINUTE_S)

    def minutes(self, until: int = STEPS) -> Iterator[F64]:
        """Live the first `until` minutes; rows float64[COLUMNS, lanes]."""
        for minute in range(until):
            yield self.kernel.step(self._fine[minute], MINUTE_S, is_night(minute))

    def part(self, minute: int, step_s: float) -> F64:
        """Live `step_s` of a minute [s]."""
        return self.kernel.step(self._fine[minute], step_s, is_night(minute))


def is_night(minute: int) -> bool:
    """Whether a lane's minute begins the tank's nightly round."""
    return (minute + BEGIN_MINUTE) % 1440 == NIGHT_MINUTE


def _windows(told: Drivers, first: int, count: int, steps: int) -> list[Weather]:
    """The weather of each step of lanes that lie a day apart, without copies."""
    day = round(DAY_S / told.cell_s)
    views = [sliding_window_view(getattr(told, name)[first:], steps)[::day][:count].T
             for name in FLOAT_FIELDS]
    return [Weather(*(view[step] for view in views)) for step in range(steps)]


@dataclass(frozen=True, slots=True)
class Track:
    """A stretch of the past: cells of equal length from `begin_s`, float32[n, COLUMNS]."""

    begin_s: float
    cell_s: float
    rows: Cells

    @property
    def end_s(self) -> float:
        return self.begin_s + self.cell_s * len(self.rows)


def lived(plan: Plan, slow: SlowYear, first_day: int, near_day: int, seam_s: float,
          ) -> tuple[Track, Track]:
    """From 04:00 .. 06:00 of `first_day` to the end of the day that is alive at `seam_s`, where
    it tells what a live pump does: the days before `near_day` in coarse cells, the others in
    minutes."""
    count = day_of(seam_s) - first_day + 1
    near = min(max(near_day - first_day, 0), count)
    lanes = Lanes(plan, slow, first_day, count)
    far_rows = np.empty((STEPS // COARSE, count, len(COLUMNS)), dtype=np.float32)
    near_rows = np.empty((STEPS, count - near, len(COLUMNS)), dtype=np.float32)
    gathered = np.zeros((len(COLUMNS), count))
    for minute, row in enumerate(lanes.minutes()):
        gathered += row
        near_rows[minute] = row[:, near:].T
        if minute % COARSE == COARSE - 1:
            far_rows[minute // COARSE] = (gathered / COARSE).T
            gathered[:] = 0.0
    handed = _handed(far_rows)
    unlike = _unlike(far_rows, handed)
    starts_s = lanes.begin_s + DAY_S * np.arange(0.0, count) + handed[:-1] * COARSE * MINUTE_S
    lasting_s = np.clip(seam_s - starts_s, MINUTE_S, DAY_S)
    far = _joined(far_rows[:, :near], handed[:near + 1], unlike[:near], lasting_s[:near], 1)
    minutes = _joined(near_rows, handed[near:], unlike[near:], lasting_s[near:], COARSE)
    far_s, near_s = float(starts_s[0]), float(starts_s[near])
    return (Track(far_s, COARSE * MINUTE_S, far), Track(near_s, MINUTE_S, minutes))


def _handed(cells: Cells) -> I64:
    """The coarse cell of each lane with which it takes over, and that of the last one's end
    counted as if it were a next lane's; int64[lanes + 1]. cells: [cells, lanes, COLUMNS]."""
    elder = cells[HANDED_FROM + DAY_CELLS:HANDED_TO + DAY_CELLS, :-1]
    younger = cells[HANDED_FROM:HANDED_TO, 1:]
    unlike = sum(weight * np.abs(elder[..., AT[name]] - younger[..., AT[name]])
                 for name, weight in DISTANCE.items())
    best = HANDED_FROM + np.argmin(unlike, axis=0)
    end = cells.shape[0] - DAY_CELLS
    found: I64 = np.concatenate([[HANDED_FROM], best, [end]]).astype(np.int64)
    return found


def _unlike(cells: Cells, handed: I64) -> Cells:
    """How much more the elder lane told than the younger one where it hands over, of each of
    FADING_S, [lanes, FADING_S]; 0 for the first lane."""
    columns = [AT[name] for name in FADING_S]
    lanes = np.arange(cells.shape[1])
    elder = cells[handed[1:-1] + DAY_CELLS, lanes[:-1]][:, columns]
    younger = cells[handed[1:-1], lanes[1:]][:, columns]
    return np.concatenate([np.zeros((1, len(columns)), dtype=cells.dtype), elder - younger])


def _joined(rows: Cells, handed: I64, unlike: Cells, lasting_s: F64, factor: int) -> Cells:
    """Each lane from where it takes over to where the next one does, [n, COLUMNS]. rows:
    [cells, lanes, COLUMNS], `factor` cells for each coarse one. lasting_s: after so long nothing
    is left of what was unlike, float64[lanes]."""
    if not rows.shape[1]:
        return np.empty((0, rows.shape[2]), dtype=rows.dtype)
    columns = [AT[name] for name in FADING_S]
    since_s = np.arange(rows.shape[0])[:, None] * (COARSE * MINUTE_S / factor)
    fading = np.exp(-since_s / np.array([*FADING_S.values()]))
    pieces = []
    for lane, (first, last) in enumerate(zip(handed[:-1], handed[1:], strict=True)):
        piece = rows[first * factor:(last + DAY_CELLS) * factor, lane]
        left = np.maximum(1.0 - since_s[:len(piece)] / lasting_s[lane], 0.0)
        piece[:, columns] += (unlike[lane] * fading[:len(piece)] * left).astype(rows.dtype)
        pieces.append(piece)
    return np.concatenate(pieces)
