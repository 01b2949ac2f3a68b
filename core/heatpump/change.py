"""A number against the same one of the period before."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """now and before in one unit; difference: now - before; relative: difference / |before|.
    All NaN where one is not known, relative also where before is 0."""

    now: float
    before: float
    difference: float
    relative: float


def against(now_value: float, before_value: float) -> Change:
    """How a value changed against the period before."""
    difference = now_value - before_value
    base = abs(before_value)
    usable = math.isfinite(difference) and base > 0
    return Change(now_value, before_value,
                  difference if math.isfinite(difference) else math.nan,
                  difference / base if usable else math.nan)
