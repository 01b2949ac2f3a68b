"""What is left of a pack: an ageing run, a law of its own measured fade, or both, down to 80 %.

How far an ageing run may be off in pace is told by models that others fitted to laboratory cells
of the same chemistry: BLAST-Lite 1.1.1 (NREL, BSD-3), one cycle a day between 20 and 90 % at
25 °C. Of a chemistry without such a model the run is trusted no better than the worst of the
others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from core.errors import RequestError
from core.twin.fade import END, Band, Fade, combined, first_below, fit_fade
from core.twin.interval import SIGMAS, Interval
from core.twin.models import Floats
from core.twin.tasks import ForecastResult, floats

YEAR_D = 365.25
FARTHEST_D = 100 * YEAR_D
"""No life is told beyond, and that of a law alone no further than `Fade.until`."""
LAB_LOSS_PCT: Mapping[str, tuple[float, ...]] = {"NMC": (2.7, 4.8, 8.7), "LFP": (2.1, 4.1)}
"""Lost in the first year: Kokam 75 Ah, NMC 50 Ah and LG M50 5 Ah; LFP 250 Ah and Sony 3 Ah."""
RUN_LOSS_PCT: Mapping[str, float] = {"NMC": 1.58, "LFP": 5.06}
"""By the ageing runs of `services.twin` under the same use: depth 0.7, rest at 0.9."""
NEW = Interval(1.0, 1.0, 1.0)
POINTS = 240
GRID_D: Floats = FARTHEST_D * np.linspace(0.0, 1.0, 8 * POINTS + 1) ** 2
"""Finer for what is near: days in the first years, a month at the end."""
TOLD_POINTS = 40
"""Of an ageing run, of which its law beyond its end is made."""


@dataclass(frozen=True, slots=True)
class Course:
    """An ageing run: float64[n] of days, rising from 0, and capacity, 1 = new. beyond: the law by
    which it goes on. cycles: equivalent full cycles a day."""

    days: Floats
    capacity: Floats
    beyond: Fade
    cycles: float

    def at(self, day: Floats) -> Floats:
        """Capacity, after the end of the run by its law."""
        inside = np.interp(day, self.days, self.capacity)
        last = float(self.days[-1])
        lost = self.beyond.at(np.array([last])).value - self.beyond.at(np.maximum(day, last)).value
        return np.asarray(inside - np.maximum(lost, 0.0))

    def day_at(self, capacity: float) -> float:
        """When it is first down to that; the run's last day where it never is."""
        found = first_below(self.days, self.capacity, capacity)
        return min(found, float(self.days[-1]))


@dataclass(frozen=True, slots=True)
class Life:
    """From now on. days: until `END`, inf = beyond what is told, NaN = not known; cycles:
    equivalent full cycles until then. at_d float64[k] [days], band: capacity there. physics_share:
    how much of it the ageing run weighs, the measured fade the rest."""

    days: Interval
    cycles: Interval
    at_d: Floats
    band: Band
    physics_share: float


@lru_cache(maxsize=64)
def course_of(result: ForecastResult) -> Course:
    """Raises RequestError for a run that is too short to tell anything."""
    days = np.concatenate([[0.0], floats(result.days).astype(np.float64)])
    capacity = np.concatenate([[1.0], floats(result.capacity).astype(np.float64)])
    cycles = floats(result.cycles).astype(np.float64)
    if result.failed or days.size != capacity.size or cycles.size + 1 != days.size:
        raise RequestError(result.failed or "an ageing run's columns are of one length")
    capacity = np.minimum.accumulate(capacity)
    some = np.unique(np.linspace(days.size // 2, days.size - 1, TOLD_POINTS).astype(np.int64))
    return Course(days, capacity, fit_fade(days[some], capacity[some]),
                  float(cycles[-1] / days[-1]))


def pace_sigma(chemistry: str) -> float:
    """How far a run's pace is off, one standard deviation of its logarithm: by the laboratory's
    models of this chemistry, or of that whose run is furthest off where there are none."""
    found = {name: float(np.sqrt(np.mean(np.log(np.array(LAB_LOSS_PCT[name]) / own) ** 2)))
             for name, own in RUN_LOSS_PCT.items()}
    return found.get(chemistry, max(found.values()))


def by_physics(course: Course, chemistry: str, soh: Interval = NEW, aged: bool = False) -> Life:
    """From a capacity of soh (1 = new) on. aged: the run began with this very cell as it is, not
    with a new one. Without a laboratory's model there is no interval."""
    lost = _lost(course, 1.0 if aged else soh.value, GRID_D)
    pace = math.exp(SIGMAS * pace_sigma(chemistry))
    value, low, high = soh.value - lost, soh.low - pace * lost, soh.high - lost / pace
    return _life(GRID_D, Band(value, low, high), course.cycles, 1.0)


def by_law(fade: Fade, cycles: float) -> Life:
    """fade: over days. cycles: equivalent full ones a day. The pack is where its law stands."""
    at_d = np.linspace(0.0, min(FARTHEST_D, 19.0 * fade.last_x), 8 * POINTS + 1)
    return _life(at_d, fade.at(fade.last_x + at_d), cycles, 0.0)


def by_both(course: Course, chemistry: str, fade: Fade, aged: bool = False) -> Life:
    """Weighed by what each may be off, told where it ends; what a run loses may be short by
    exp(its pace's deviation) - 1 of itself. They reach as far as the run: a law weighs the less,
    the more it has lost."""
    error = math.expm1(pace_sigma(chemistry))
    now = float(fade.at(np.array([fade.last_x])).value[0])
    physics = now - _lost(course, 1.0 if aged else now, GRID_D)
    both = combined(fade, fade.last_x + GRID_D, physics, error)
    below = np.flatnonzero(both.band.value <= END)
    until = int(below[0]) + 1 if below.size else GRID_D.size
    share = combined(fade, fade.last_x + GRID_D[:until], physics[:until], error).physics_share
    return _life(GRID_D, both.band, course.cycles, share)


def life_of(run: ForecastResult | None, chemistry: str, fade: Fade | None, soh: Interval,
            cycles: float) -> Life | None:
    """Of what is known: an ageing run, the measured fade, or both; None of neither. soh: 1 = new,
    NEW where it is not known; cycles: equivalent full ones a day, where no run tells them. Raises
    RequestError for a run that tells nothing."""
    law = None if fade is None else by_law(fade, cycles)
    fades = law is not None and law.days.known
    if run is None:
        return law if fades else None
    course, aged = course_of(run), run.calibrated
    if fade is not None and fades:
        return by_both(course, chemistry, fade, aged)
    return by_physics(course, chemistry, soh if soh.known else NEW, aged)


def life_figures(run: ForecastResult | None, chemistry: str, fade: Fade | None, soh: Interval,
                 cycles: float) -> tuple[float, ...]:
    """Years and equivalent full cycles to 80 %, the capacity that they begin at (1 = new),
    `Life.physics_share`, and the 90 % intervals of the years and of the cycles: inf = beyond what
    is told, the years beyond FARTHEST_D; each NaN where it is not known. cycles: a day, where no
    run tells them, NaN where nobody knows."""
    try:
        life = life_of(run, chemistry, fade, soh, cycles)
    except RequestError:
        life = life_of(None, chemistry, fade, soh, cycles)
    if life is None:
        return (math.nan,) * 8
    years = life.days.times(1.0 / YEAR_D)
    return (years.value, life.cycles.value, float(life.band.value[0]), life.physics_share,
            years.low, years.high, life.cycles.low, life.cycles.high)


def _lost(course: Course, capacity: float, at_d: Floats) -> Floats:
    """What a cell that has faded to this capacity loses in at_d days."""
    begin = course.day_at(min(capacity, 1.0))
    start = course.at(np.array([begin]))
    return np.asarray(start - course.at(begin + at_d))


def _life(at_d: Floats, band: Band, cycles: float, share: float) -> Life:
    """The band is cut some way after its middle reaches the end."""
    value, low, high = (_reaches_end(at_d, curve) for curve in (band.value, band.low, band.high))
    days = Interval(value, low, high)
    shown_d = 1.3 * value if math.isfinite(value) else float(at_d[-1])
    shown = np.linspace(0.0, min(max(shown_d, 1.0), float(at_d[-1])), POINTS)
    thin = Band(*(np.interp(shown, at_d, curve) for curve in (band.value, band.low, band.high)))
    return Life(days, days.times(cycles), shown, thin, share)


def _reaches_end(at_d: Floats, curve: Floats) -> float:
    """Day, inf where it does not, NaN of a curve that is not known."""
    return first_below(at_d, curve, END) if np.isfinite(curve).all() else math.nan
