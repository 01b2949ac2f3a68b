"""A number with what it may be, so that none is shown without (law 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIGMAS = 1.645
"""Half of a 90 % interval of a normal distribution, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the 90 % interval around it, all NaN where it is not known."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, sigma: float) -> Interval:
        return cls(value, value - SIGMAS * sigma, value + SIGMAS * sigma)

    @property
    def known(self) -> bool:
        return math.isfinite(self.value)

    @property
    def sigma(self) -> float:
        """Standard deviation."""
        return (self.high - self.low) / (2 * SIGMAS)

    def times(self, factor: float) -> Interval:
        """factor above 0."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


UNKNOWN = Interval(math.nan, math.nan, math.nan)


def weighed(parts: Sequence[Interval]) -> Interval:
    """Mean of independent estimates of one thing, each by 1 / variance; UNKNOWN of none. Where
    they disagree more than they say the interval grows by the ratio (Birge, Phys. Rev. 40, 1932,
    207)."""
    known = [part for part in parts if part.known and part.sigma > 0]
    if not known:
        return UNKNOWN
    values = np.array([part.value for part in known])
    weights = np.array([part.sigma for part in known]) ** -2.0
    mean = float((values * weights).sum() / weights.sum())
    sigma = float(weights.sum() ** -0.5)
    if len(known) > 1:
        ratio = float((weights * (values - mean) ** 2).sum() / (len(known) - 1))
        sigma *= math.sqrt(max(1.0, ratio))
    return Interval.of(mean, sigma)
