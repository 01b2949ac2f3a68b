"""How much is left of the window in which `Area` leaves a cell alone (law 8)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.limits import safe_operating_area
from core.safety.bands import TRIP, chemistry_limits, discharging
from core.safety.profile import safety_profile
from core.topology import IndexArray

Floats = NDArray[np.float64]

HIGHEST, LOWEST, HOTTEST, COLDEST = range(4)
METRICS = ("voltage_v", "voltage_v", "temperature_c", "temperature_c")
"""By which each is judged."""
_SIGNS = np.array([1.0, -1.0, 1.0, -1.0])[:, None]


@cache
def _trips() -> Floats:
    """float64[way, 4, chemistry + 1]: charge, discharge; the last is of an unknown chemistry."""
    limits = np.stack([chemistry_limits(safe_operating_area(), way)[:, TRIP - 1]
                       for way in ("charge", "discharge")])
    return np.concatenate((_SIGNS * limits, np.full((2, 4, 1), np.nan)), axis=2)


def trip_limits(chemistry: IndexArray, current_a: Floats) -> Floats:
    """float64[4, n] of cells in V, V, °C and °C; NaN for an unknown chemistry (-1). current_a:
    float64[n] of the pack of each, > 0 discharging."""
    way = discharging(current_a, safety_profile()).astype(np.int64)
    return _trips()[way, :, chemistry].T


def left(values: Floats, limits: Floats) -> Floats:
    """float64[4, n]: from `values` of highest, lowest, hottest and coldest to their limits [V, K];
    0 and below where it trips."""
    found: Floats = _SIGNS * (limits - values)
    return found


def shares(values: Floats, limits: Floats) -> Floats:
    """As `left`, as parts of the windows between two limits: 1 = all of it."""
    volts, kelvin = limits[HIGHEST] - limits[LOWEST], limits[HOTTEST] - limits[COLDEST]
    found: Floats = left(values, limits) / np.stack((volts, volts, kelvin, kelvin))
    return found
