"""Load and sun within the hours: appliances that switch, clouds that pass.

A function of (seed, hour) alone: the same answer for any order of questions, and the mean of
every hour is that of the data. Under the appliances runs a curve through the hourly means, the
piecewise parabola of Colella & Woodward (1984, eq. 1.5-1.6) with the positivity limiter of
Zhang & Shu (2010, eq. 2.3). All integrals are closed forms, so means are exact for any step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.house_data import F64, HOUR_S, I64, Calendar, Profile

SLOTS = 6
SLOT = 1.0 / SLOTS
"""An hour has six slots, each with one appliance and one cloud [h]."""
BASE_SHARE = 0.55
FRIDGE_SLOTS = (1, 4)
FRIDGE_KW, FRIDGE_SHARE = 0.12, 0.15
APPLIANCES_KW = np.array([0.3, 0.8, 1.2, 2.0, 2.4, 3.0])
LEAST_WEIGHT = 0.25
SHORTEST, LONGEST = 45.0 / HOUR_S, 570.0 / HOUR_S
CLOUD_WIDTH = (0.25, 0.95)
DEEPEST_SHADE = 0.85


@dataclass(frozen=True, slots=True)
class Site:
    """What load and sun follow from. solar_kw: installed [kW]. base_share: of the load, that does
    not switch."""

    seed: int
    calendar: Calendar
    profile: Profile
    solar_kw: float
    base_share: float = BASE_SHARE


@dataclass(frozen=True, slots=True)
class Pulses:
    """start and stop within the hour [h], height: float64[hours, SLOTS]."""

    start: F64
    stop: F64
    height: F64


class Hours:
    """Load and sun of the site at any moment from `begin_s` to `end_s` [s]."""

    def __init__(self, site: Site, begin_s: float, end_s: float) -> None:
        calendar, data = site.calendar, site.profile
        self.first = calendar.number(begin_s)
        count = calendar.number(end_s) - self.first + 1
        self._start_s = calendar.start_s(self.first)
        around = calendar.rows(self.first - 2, count + 4)
        self._rows = around[2:-2]
        numbers = np.arange(self.first, self.first + count)
        load, sun = data.load_kw[around], data.solar_kw[around] * site.solar_kw
        self._base = parabolas(site.base_share * load)
        self._pulses = appliances(site.seed, numbers, (1.0 - site.base_share) * load[2:-2])
        self._sun = parabolas(sun)
        self._clouds = clouds(site.seed, numbers, data.solar_kw[self._rows],
                              data.clear_kw[self._rows])
        every = np.arange(count)
        lit = self._sunlit(every, np.ones(count))
        self._bright = np.where(lit > 0.0, sun[2:-2] / np.where(lit > 0.0, lit, 1.0), 0.0)
        self._load_before = np.cumsum(load[2:-2]) - load[2:-2]
        self._sun_before = np.cumsum(sun[2:-2]) - sun[2:-2]

    def covers(self, time_s: float) -> bool:
        return self._start_s <= time_s < self._start_s + len(self._rows) * HOUR_S

    def rows(self, time_s: F64) -> I64:
        """Rows of the profile, int64[k]."""
        found: I64 = self._rows[self._place(time_s)[0]]
        return found

    def at(self, time_s: F64) -> tuple[F64, F64]:
        """Load and solar power at each moment, float64[k] [kW]."""
        hour, x = self._place(time_s)
        on = _inside(self._pulses, hour, x)
        load = _value(self._base[hour], x) + (self._pulses.height[hour] * on).sum(axis=1)
        shade = (self._clouds.height[hour] * _inside(self._clouds, hour, x)).sum(axis=1)
        sun = _value(self._sun[hour], x) * (1.0 - shade) * self._bright[hour]
        return np.maximum(load, 0.0), np.maximum(sun, 0.0)

    def means(self, edges_s: F64) -> tuple[F64, F64]:
        """Mean load and solar power between successive edges, float64[k - 1] [kW]."""
        hour, x = self._place(edges_s)
        load = self._load_before[hour] + self._drawn(hour, x)
        sun = self._sun_before[hour] + self._sunlit(hour, x) * self._bright[hour]
        hours = np.diff(edges_s) / HOUR_S
        return np.maximum(np.diff(load) / hours, 0.0), np.maximum(np.diff(sun) / hours, 0.0)

    def _place(self, time_s: F64) -> tuple[I64, F64]:
        """Number of the hour in this span and how far into it, 0..1."""
        since = (time_s - self._start_s) / HOUR_S
        hour = np.clip(since.astype(np.int64), 0, len(self._rows) - 1)
        return hour, since - hour

    def _drawn(self, hour: I64, x: F64) -> F64:
        """Load from the hour's begin to x [kWh]."""
        start, stop = self._pulses.start[hour], self._pulses.stop[hour]
        on = np.clip(x[:, None] - start, 0.0, stop - start)
        drawn: F64 = _area(self._base[hour], x) + (self._pulses.height[hour] * on).sum(axis=1)
        return drawn

    def _sunlit(self, hour: I64, x: F64) -> F64:
        """Sun from the hour's begin to x under the clouds, not yet made bright again [kWh]."""
        start, stop = self._clouds.start[hour], self._clouds.stop[hour]
        curve = self._sun[hour][:, :, None]
        passed = np.clip(x[:, None], start, stop)
        shaded = self._clouds.height[hour] * (_area(curve, passed) - _area(curve, start))
        lit: F64 = _area(self._sun[hour], x) - shaded.sum(axis=1)
        return lit


def parabolas(mean: F64) -> F64:
    """Coefficients c of c0 + c1 x + c2 x^2 on 0..1 for each hour but two at either end,
    float64[n - 4, 3]: nowhere negative, with the hour's mean, and continuous where the
    limiter need not act. mean: float64[n], >= 0."""
    pair = mean[1:-2], mean[2:-1]
    edge = (7.0 * (pair[0] + pair[1]) - mean[:-3] - mean[3:]) / 12.0
    edge = np.clip(edge, np.minimum(*pair), np.maximum(*pair))
    left, right, middle = edge[:-1], edge[1:], mean[2:-2]
    bow = 6.0 * (middle - (left + right) / 2.0)
    slope = right - left + bow
    lowest = np.minimum(left, right)
    turn = np.where(bow < 0.0, slope / np.where(bow < 0.0, 2.0 * bow, 1.0), -1.0)
    inside = (turn > 0.0) & (turn < 1.0)
    lowest = np.where(inside, left + turn * (slope - bow * turn), lowest)
    depth = middle - lowest
    keep = np.minimum(1.0, np.where(depth > 0.0, middle / np.where(depth > 0.0, depth, 1.0), 1.0))
    return np.stack([keep * left + (1.0 - keep) * middle, keep * slope, -keep * bow], axis=1)


def appliances(seed: int, numbers: I64, energy_kwh: F64) -> Pulses:
    """Which appliance runs when, with `energy_kwh` float64[n] in all; two slots are the fridge.

    Each has its nominal power and the duration that its share of the energy needs; one that
    would need more than its slot, or less than 45 s, has another power instead.
    """
    draws = uniform(seed, numbers, 1, 3 * SLOTS).reshape(-1, 3, SLOTS)
    nominal_kw = APPLIANCES_KW[(draws[:, 0] * len(APPLIANCES_KW)).astype(np.int64)]
    weight = LEAST_WEIGHT - np.log1p(-draws[:, 1])
    fridge = list(FRIDGE_SLOTS)
    nominal_kw[:, fridge], weight[:, fridge] = FRIDGE_KW, 0.0
    energy = np.zeros_like(weight)
    energy[:, fridge] = np.minimum(FRIDGE_KW * LONGEST * (0.8 + 0.2 * draws[:, 1, fridge]),
                                   FRIDGE_SHARE * energy_kwh[:, None])
    left = energy_kwh - energy.sum(axis=1)
    energy += weight * (left / np.maximum(weight.sum(axis=1), 1e-12))[:, None]
    lasting = np.clip(energy / nominal_kw, SHORTEST, LONGEST)
    start = SLOT * np.arange(SLOTS) + draws[:, 2] * (SLOT - lasting)
    return Pulses(start, start + lasting, energy / lasting)


def clouds(seed: int, numbers: I64, solar_kw: F64, clear_kw: F64) -> Pulses:
    """One cloud a slot, its height the share of light that it takes, float64[n] in all.

    They take what the hour lacks against a clear one, so that between them the sun shines as
    on a clear day; a closed cover, which lets little through anyway, varies less.
    """
    draws = uniform(seed, numbers, 2, 2 * SLOTS).reshape(-1, 2, SLOTS)
    low, high = CLOUD_WIDTH
    width = SLOT * (low + (high - low) * draws[:, 0])
    start = SLOT * np.arange(SLOTS) + draws[:, 1] * (SLOT - width)
    lack = 1.0 - np.minimum(solar_kw / np.maximum(clear_kw, 1e-9), 1.0)
    shade = np.minimum(lack / width.sum(axis=1), DEEPEST_SHADE) * np.sqrt(1.0 - lack)
    return Pulses(start, start + width, np.repeat(shade[:, None], SLOTS, axis=1))


def uniform(seed: int, numbers: I64, purpose: int, count: int) -> F64:
    """Draws in [0, 1) of each hour, float64[n, count]: splitmix64 (Steele et al. 2014) as a
    hash, so that an hour's draws are the same whichever other hours are asked for."""
    start = _mixed(np.array([seed], dtype=np.uint64) + np.uint64(purpose))
    hours = _mixed(start + numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    cells = hours[:, None] + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(
        0xD1B54A32D192ED03)
    drawn: F64 = (_mixed(cells) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return drawn


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _inside(pulses: Pulses, hour: I64, x: F64) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (
        (pulses.start[hour] <= x[:, None]) & (x[:, None] < pulses.stop[hour]))
    return inside


def _value(curve: F64, x: F64) -> F64:
    value: F64 = curve[:, 0] + x * (curve[:, 1] + x * curve[:, 2])
    return value


def _area(curve: F64, x: F64) -> F64:
    """Integral of the parabola from 0 to x."""
    area: F64 = x * (curve[:, 0] + x * (curve[:, 1] / 2.0 + x * curve[:, 2] / 3.0))
    return area
