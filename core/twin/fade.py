"""How a capacity goes on falling: cheap laws over what was measured, chosen by what they foretold.

A law is linear, square root, or both, over equivalent full cycles (or days). Each is fitted to
the first points of the record and asked for the later ones; the simplest wins unless another
foretells clearly better. Few points tell a law badly, so the interval is what is left of the
points, widened by what fade rates of equal cells were found to differ by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from core.errors import RequestError
from core.twin.interval import SIGMAS, UNKNOWN, Interval
from core.twin.models import Floats

Law = Literal["linear", "sqrt", "sqrt_linear"]
LAWS: Mapping[Law, Callable[[Floats], Floats]] = {
    "linear": lambda x: np.stack([np.ones_like(x), x], axis=-1),
    "sqrt": lambda x: np.stack([np.ones_like(x), np.sqrt(x)], axis=-1),
    "sqrt_linear": lambda x: np.stack([np.ones_like(x), np.sqrt(x), x], axis=-1),
}
LEAST_POINTS = 3
CLEARLY = 0.5
"""A law of more parts, or of another shape than a line, must foretell so much better."""
LEAST_ERROR = 0.005
"""Of one capacity, one standard deviation: no test is better."""
RATE_ERROR = 0.27
"""By how much a fade goes on otherwise than so far, one standard deviation, as a share of what is
still to come: the least that holds 90 % of the held-back capacities of Baumhoefer's 48 NMC cells.
Chosen by one half of them it holds 84 or 92 % of the other half's, 88 % together (bench twin)."""
FARTHEST = 20.0
"""By a law alone no life is told beyond so many times what was measured."""
END = 0.8


@dataclass(frozen=True, slots=True)
class Band:
    """Capacity, 1 = new, and its 90 % interval; float64[k] each."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Fade:
    """A law fitted to capacities (1 = new) over x, equivalent full cycles or days. foretold: by
    how much each law missed the later points when fitted to the earlier ones, root mean square;
    left: what the chosen law leaves, one standard deviation of a capacity; last_x: of the last
    point; rate_sigma: how badly the points tell the rate at the end, one standard deviation, 0
    where their own errors are not known."""

    law: Law
    coefficients: tuple[float, ...]
    foretold: Mapping[Law, float]
    left: float
    last_x: float
    points: int
    rate_sigma: float

    @property
    def rate(self) -> Interval:
        """What it loses from the last point to x + 1, as far as the points tell it."""
        lost = -float(_slopes(self.law, self.last_x) @ np.asarray(self.coefficients))
        return Interval.of(lost, self.rate_sigma)

    @property
    def coming(self) -> Interval:
        """As `rate`, and fades go on otherwise than so far."""
        return Interval.of(self.rate.value, math.hypot(self.rate_sigma,
                                                       RATE_ERROR * self.rate.value))

    def at(self, x: ArrayLike) -> Band:
        """Capacity at x [k]."""
        asked = np.maximum(np.asarray(x, np.float64), 0.0)
        value = _value(self.law, self.coefficients, asked)
        now = _value(self.law, self.coefficients, np.array(self.last_x))
        later = asked > self.last_x
        to_come = np.where(later, np.abs(now - value), 0.0)
        badly = np.where(later, self.rate_sigma * (asked - self.last_x), 0.0)
        half = SIGMAS * np.sqrt(self.left**2 + (RATE_ERROR * to_come) ** 2 + badly**2)
        return Band(value, value - half, value + half)

    def until(self, end: float = END) -> Interval:
        """x at which the capacity is down to `end`; a bound beyond FARTHEST times what was
        measured is infinite, and a value there UNKNOWN."""
        grid = np.linspace(0.0, FARTHEST * self.last_x, 4001)
        band = self.at(grid)
        value, low, high = (first_below(grid, curve, end)
                            for curve in (band.value, band.low, band.high))
        return Interval(value, low, high) if math.isfinite(value) else UNKNOWN


@dataclass(frozen=True, slots=True)
class Score:
    """How well forecasts from the first half of a record met its second: mean absolute error [% of
    the capacity], share of the points inside of the interval, and points."""

    mape_pct: float
    covered: float
    points: int


def fit_fade(x: ArrayLike, capacity: ArrayLike, sigma: ArrayLike | None = None) -> Fade:
    """x [n]: equivalent full cycles or days, 0 and above; capacity [n], 1 = new; sigma [n]: their
    standard deviations where they are known, by which points weigh. Most of it may be common to
    all (a curve that is off), so that it widens the level, and their scatter the rate. Rows with a
    missing number are left out. Raises RequestError below LEAST_POINTS points of different x."""
    at, told, error = _points(x, capacity, sigma)
    stated = sigma is not None
    weight = 1.0 / error if stated else np.ones_like(at)
    foretold = {law: missed for law in LAWS
                if math.isfinite(missed := _foretold(law, at, told, weight))
                and _falls(law, at, told, weight)}
    law: Law = "linear"
    for other in ("sqrt", "sqrt_linear"):
        best = foretold.get(law, math.inf)
        if other in foretold and (foretold[other] < CLEARLY * best or law not in foretold):
            law = other
    coefficients = _fitted(law, at, told, weight)
    freedom = max(1, at.size - len(coefficients))
    away = weight * (_value(law, coefficients, at) - told)
    scatter = math.sqrt(float((away**2).sum()) / freedom)
    if not stated:
        left = max(scatter, LEAST_ERROR) * math.sqrt(1 + 1 / at.size)
        return Fade(law, coefficients, foretold, left, float(at[-1]), int(at.size), 0.0)
    usual = float(np.median(error))
    return Fade(law, coefficients, foretold, max(1.0, scatter) * usual, float(at[-1]),
                int(at.size), max(scatter, LEAST_ERROR / usual) * _rate_spread(law, at, weight))


def _rate_spread(law: Law, x: Floats, weight: Floats) -> float:
    """Standard deviation of the rate at the end, where that of a point is 1 / weight."""
    design = weight[:, np.newaxis] * LAWS[law](x)
    step = _slopes(law, float(x[-1]))
    return math.sqrt(max(0.0, float(step @ np.linalg.pinv(design.T @ design) @ step)))


def _slopes(law: Law, x: float) -> Floats:
    """What each part of a law changes by from x to x + 1."""
    parts = LAWS[law](np.array([x, x + 1.0]))
    return np.asarray(parts[1] - parts[0])


def past_score(x: ArrayLike, capacity: ArrayLike) -> Score:
    """Of this cell's own past. Raises RequestError where the first half is too short."""
    at, told, _ = _points(x, capacity, None)
    first = at <= (at[0] + at[-1]) / 2
    return score(fit_fade(at[first], told[first]), at[~first], told[~first])


def score(fade: Fade, x: ArrayLike, capacity: ArrayLike) -> Score:
    """A forecast against what was measured later, [n] each; NaN where there is nothing."""
    truth = np.asarray(capacity, np.float64)
    band = fade.at(x)
    if not truth.size:
        return Score(math.nan, math.nan, 0)
    inside = (truth >= band.low) & (truth <= band.high)
    return Score(100 * float(np.mean(np.abs(band.value / truth - 1.0))), float(inside.mean()),
                 int(truth.size))


@dataclass(frozen=True, slots=True)
class Combined:
    """Law and physics together: the band over x, and what each weighs at the end (they make 1)."""

    band: Band
    law_share: float
    physics_share: float


def combined(fade: Fade, x: ArrayLike, physics: ArrayLike, physics_error: float) -> Combined:
    """Both forecasts over x [k] by 1 / variance. physics: capacity [k] of the ageing model, 1 =
    new, moved so that it begins where the law stands now; physics_error: one standard deviation
    as a share of its loss. What they disagree by widens the interval."""
    at, told = np.asarray(x, np.float64), np.asarray(physics, np.float64)
    band = fade.at(at)
    now = fade.at(np.array([fade.last_x])).value[0]
    moved = told - np.interp(fade.last_x, at, told) + now
    mine = ((band.high - band.low) / (2 * SIGMAS)) ** 2
    theirs = fade.left**2 + (physics_error * np.abs(now - moved)) ** 2
    share = theirs / (mine + theirs)
    value = share * band.value + (1 - share) * moved
    sigma = np.sqrt(mine * theirs / (mine + theirs)
                    + share * (1 - share) * (band.value - moved) ** 2)
    return Combined(Band(value, value - SIGMAS * sigma, value + SIGMAS * sigma),
                    float(share[-1]), float(1 - share[-1]))


def _points(x: ArrayLike, capacity: ArrayLike,
            sigma: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    at, told = np.asarray(x, np.float64), np.asarray(capacity, np.float64)
    error = np.ones_like(at) if sigma is None else np.asarray(sigma, np.float64)
    if at.ndim != 1 or at.shape != told.shape or at.shape != error.shape:
        raise RequestError("cycles and capacities are columns of one length")
    good = np.isfinite(at) & np.isfinite(told) & (at >= 0) & (told > 0)
    good &= np.isfinite(error) & (error > 0)
    order = np.argsort(at[good], kind="stable")
    at, told, error = at[good][order], told[good][order], error[good][order]
    if np.unique(at).size < LEAST_POINTS:
        raise RequestError(f"a forecast needs capacities at {LEAST_POINTS} different times; "
                           f"{np.unique(at).size} are known")
    return at, told, error


def _fitted(law: Law, x: Floats, capacity: Floats, weight: Floats) -> tuple[float, ...]:
    found, *_ = np.linalg.lstsq(weight[:, np.newaxis] * LAWS[law](x), weight * capacity,
                                rcond=None)
    return tuple(found.tolist())


def _value(law: Law, coefficients: tuple[float, ...], x: Floats) -> Floats:
    return np.asarray(LAWS[law](x) @ np.asarray(coefficients))


def _falls(law: Law, x: Floats, capacity: Floats, weight: Floats) -> bool:
    """No part of the law gives capacity back."""
    return all(part <= 0 for part in _fitted(law, x, capacity, weight)[1:])


def _foretold(law: Law, x: Floats, capacity: Floats, weight: Floats) -> float:
    """Root mean square by which fits to the first points miss the later ones; NaN where no part
    of the record is left to ask."""
    parts = LAWS[law](x[:1]).shape[-1]
    missed = [_value(law, _fitted(law, x[:size], capacity[:size], weight[:size]), x[size:])
              - capacity[size:] for size in range(max(parts, (x.size + 1) // 2), x.size)]
    return float(np.sqrt(np.mean(np.concatenate(missed) ** 2))) if missed else math.nan


def first_below(x: Floats, curve: Floats, end: float) -> float:
    """Where a curve first reaches `end`, infinite where it does not."""
    below = np.flatnonzero(curve <= end)
    if not below.size:
        return math.inf
    row = int(below[0])
    if row == 0:
        return float(x[0])
    high, low = curve[row - 1], curve[row]
    return float(x[row - 1] + (x[row] - x[row - 1]) * (high - end) / (high - low))
