"""The filter's step as one loop over cells, compiled where numba is installed (optional,
`requirements-numba.txt`): the same arithmetic as `core/twin/filter.py`, in a quarter of the time.

It is plain Python, so that it is tested without numba; compiled it is kept on disk by numba.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache

import numpy as np

from core.topology import FloatArray, IndexArray
from core.twin.grid import (
    HIGHEST,
    LEAK,
    LL,
    LOWEST,
    LOWEST_V,
    MOST_OFF_V,
    NEAR,
    PER_SOC,
    PER_V,
    POINTS,
    RESISTANCE,
    RL,
    RR,
    SL,
    SOC,
    SR,
    SS,
)

FUSE_FROM = 50_000
"""Cells: of fewer, numpy's way is fast enough to spare the seconds of compiling."""
REORDERED = {"reassoc", "arcp", "contract", "afn", "nsz"}
"""What the compiler may do to sums and products; NaN and infinity stay what they are."""

Kernel = Callable[..., None]


@cache
def kernel() -> Kernel | None:
    """The compiled loop, None where numba is not installed."""
    try:
        numba = importlib.import_module("numba")
    except ImportError:
        return None
    compiled: Kernel = numba.njit(cache=True, nogil=True, error_model="numpy",
                                  fastmath=REORDERED)(fused)
    return compiled


def fused(state: FloatArray, variance: FloatArray, volts: FloatArray, residual: FloatArray,
          per_ah: FloatArray, firsts: IndexArray, table_at: IndexArray, ocv_v: FloatArray,
          slope_v: FloatArray, soc_at: FloatArray, packs: FloatArray, hours: np.float32,
          resistance_walk: np.float32, leak_walk: np.float32) -> None:
    """One sample of all cells; the arrays are those of `CellFilter`. firsts: int64[packs + 1];
    packs: float32[8, packs], columns of `_Packs` in the order in which they are read here. A
    number that Python would take for 64 bits would make all of them 64: hence the constants."""
    zero, one, two, last = np.float32(0), np.float32(1), np.float32(2), np.float32(POINTS - 1)
    low, high, per = np.float32(LOWEST), np.float32(HIGHEST), np.float32(PER_SOC)
    low_v, per_v = np.float32(LOWEST_V), np.float32(PER_V)
    near, most_off = np.float32(NEAR), np.float32(MOST_OFF_V)
    soc_of, resistance_of, leak_of = state[SOC], state[RESISTANCE], state[LEAK]
    ss_of, sr_of, sl_of = variance[SS], variance[SR], variance[SL]
    rr_of, rl_of, ll_of = variance[RR], variance[RL], variance[LL]
    for pack in range(table_at.size):
        at = table_at[pack]
        used, walk, drop, noise = packs[0, pack], packs[1, pack], packs[2, pack], packs[3, pack]
        charge_noise, alike = packs[4, pack], packs[5, pack]
        surprise, least = packs[6, pack], packs[7, pack]
        if not np.isfinite(noise):
            least = np.float32(np.inf)  # without a current no voltage corrects
        for cell in range(firsts[pack], firsts[pack + 1]):
            leak, resistance = leak_of[cell], resistance_of[cell]
            soc = soc_of[cell] - used * per_ah[cell] - leak * hours
            carried = ll_of[cell] * hours
            sl = sl_of[cell]
            ss = ss_of[cell] + walk + (carried - two * sl) * hours
            sl -= carried
            rl = rl_of[cell]
            sr = sr_of[cell] - rl * hours
            rr = rr_of[cell] + resistance_walk
            ll = ll_of[cell] + leak_walk
            # What the voltage says.
            place = min(max((soc - low) * per, zero), last)
            index = at + (int(place) if place == place else 0)
            h = slope_v[index]
            told_v = resistance * drop + volts[cell]
            left = told_v - ocv_v[index]
            off = abs(left)
            residual[cell] = left
            # What that is worth.
            steeper, far = h, False
            if off > surprise:
                place = min(max((told_v - low_v) * per_v, zero), last)
                told = soc_at[at + (int(place) if place == place else 0)]
                told_slope = slope_v[at + int(min(max((told - low) * per, zero), last))]
                away = told - soc
                steep = h >= least or told_slope >= least
                far = abs(away) > near
                if far:
                    h = left / away
                steeper = max(told_slope, h)
            else:
                steep = h >= least
            if steep and off < most_off and soc == soc:
                gs, gr, gl = ss * h - sr * drop, sr * h - rr * drop, sl * h - rl * drop
                product = max(gs * h - gr * drop, zero)
                s = noise + charge_noise * steeper * steeper
                if product < s or not far:
                    s = s * alike
                inverse = one / (s + product)
                weight = left * inverse
                soc += gs * weight
                resistance += gr * weight
                leak += gl * weight
                ss -= gs * gs * inverse
                sr -= gs * gr * inverse
                sl -= gs * gl * inverse
                rr -= gr * gr * inverse
                rl -= gr * gl * inverse
                ll -= gl * gl * inverse
            soc_of[cell] = soc if soc != soc else min(max(soc, low), high)
            resistance_of[cell] = min(max(resistance, np.float32(0.1)), np.float32(10.0))
            leak_of[cell] = min(max(leak, np.float32(-0.1)), np.float32(0.1))
            ss_of[cell] = min(max(ss, np.float32(1e-8)), np.float32(0.25))
            rr_of[cell] = min(max(rr, np.float32(1e-6)), np.float32(4.0))
            ll_of[cell] = min(max(ll, np.float32(1e-10)), np.float32(1e-2))
            sr_of[cell], sl_of[cell], rl_of[cell] = sr, sl, rl
