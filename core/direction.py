"""Which way the power flows, in a word: idle by dead band only, never by `== 0` (law 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.topology import FloatArray
from core.vocabulary import DIRECTIONS, Direction

DEAD_BAND_C_RATE = 1 / 200
DEAD_BAND_W = 50.0

IDLE, CHARGING, DISCHARGING, UNKNOWN = range(4)


def direction_codes(power_kw: FloatArray, capacity_kwh: FloatArray) -> NDArray[np.uint8]:
    """Index into DIRECTIONS per element. Idle below C/200, or below 50 W where the capacity
    is not known; unknown where the power is missing. power_kw > 0 is discharging."""
    band_kw = np.where(np.isfinite(capacity_kwh), capacity_kwh * DEAD_BAND_C_RATE,
                       DEAD_BAND_W / 1000)
    codes = np.full(power_kw.shape, IDLE, dtype=np.uint8)
    codes[power_kw > band_kw] = DISCHARGING
    codes[power_kw < -band_kw] = CHARGING
    codes[~np.isfinite(power_kw)] = UNKNOWN
    return codes


def direction(power_kw: float, capacity_kwh: float) -> Direction:
    """The word for one element."""
    codes = direction_codes(np.array([power_kw], np.float32), np.array([capacity_kwh], np.float32))
    return DIRECTIONS[int(codes[0])]
