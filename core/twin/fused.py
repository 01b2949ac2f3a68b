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
    infinite, unknown = np.float32(np.inf), np.float32(np.nan)
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
        first, end = firsts[pack], firsts[pack + 1]
        p_soc, p_res, p_leak = soc_of[first:end], resistance_of[first:end], leak_of[first:end]
        p_ss, p_sr, p_sl = ss_of[first:end], sr_of[first:end], sl_of[first:end]
        p_rr, p_rl, p_ll = rr_of[first:end], rl_of[first:end], ll_of[first:end]
        p_volts, p_left, p_per = volts[first:end], residual[first:end], per_ah[first:end]
        ocv, slopes = ocv_v[at:at + POINTS], slope_v[at:at + POINTS]
        far_off = 0
        # Without a branch, for the processor; of those that surprise it only says how many.
        for cell in range(end - first):
            leak, resistance = p_leak[cell], p_res[cell]
            soc = p_soc[cell] - used * p_per[cell] - leak * hours
            carried = p_ll[cell] * hours
            sl = p_sl[cell]
            ss = p_ss[cell] + walk + (carried - two * sl) * hours
            sl -= carried
            rl = p_rl[cell]
            sr = p_sr[cell] - rl * hours
            rr = p_rr[cell] + resistance_walk
            ll = p_ll[cell] + leak_walk
            place = (soc - low) * per
            place = place if place > zero else zero
            place = place if place < last else last
            index = np.uint32(place)
            h = slopes[index]
            told_v = resistance * drop + p_volts[cell]
            left = told_v - ocv[index]
            off = abs(left)
            p_left[cell] = left if off < infinite else unknown
            good = (h >= least) & (off <= surprise) & (off < most_off) & (soc == soc)
            far_off += off > surprise
            gs, gr, gl = ss * h - sr * drop, sr * h - rr * drop, sl * h - rl * drop
            product = max(gs * h - gr * drop, zero)
            s = (noise + charge_noise * h * h) * alike
            inverse = one / (s + product)
            inverse = inverse if good else zero
            weight = left * inverse if good else zero
            soc = soc + gs * weight
            resistance += gr * weight
            leak += gl * weight
            ss -= gs * gs * inverse
            sr -= gs * gr * inverse
            sl -= gs * gl * inverse
            rr -= gr * gr * inverse
            rl -= gr * gl * inverse
            ll -= gl * gl * inverse
            # What surprises is bound below, once it is corrected.
            as_is = (off > surprise) & (off < infinite) & (soc == soc)
            p_soc[cell] = soc if as_is or soc != soc else min(max(soc, low), high)
            p_res[cell] = min(max(resistance, np.float32(0.1)), np.float32(10.0))
            p_leak[cell] = min(max(leak, np.float32(-0.1)), np.float32(0.1))
            p_ss[cell] = ss if as_is else min(max(ss, np.float32(1e-8)), np.float32(0.25))
            p_rr[cell] = rr if as_is else min(max(rr, np.float32(1e-6)), np.float32(4.0))
            p_ll[cell] = ll if as_is else min(max(ll, np.float32(1e-10)), np.float32(1e-2))
            p_sr[cell], p_sl[cell], p_rl[cell] = sr, sl, rl
        if far_off == 0:
            continue
        for cell in range(end - first):  # those that the model did not expect
            left, soc = p_left[cell], p_soc[cell]
            if not surprise < abs(left) or soc != soc:
                continue
            resistance, ss, sr, sl = p_res[cell], p_ss[cell], p_sr[cell], p_sl[cell]
            rr, rl = p_rr[cell], p_rl[cell]
            h = slopes[np.uint32(min(max((soc - low) * per, zero), last))]
            told_v = resistance * drop + p_volts[cell]
            told = soc_at[at + np.uint32(min(max((told_v - low_v) * per_v, zero), last))]
            told_slope = slopes[np.uint32(min(max((told - low) * per, zero), last))]
            away = told - soc
            good = (abs(left) < most_off) & ((h >= least) | (told_slope >= least))
            far = abs(away) > near
            if far:
                h = left / away
            steeper = max(told_slope, h)
            gs, gr, gl = ss * h - sr * drop, sr * h - rr * drop, sl * h - rl * drop
            product = max(gs * h - gr * drop, zero)
            s = noise + charge_noise * steeper * steeper
            if product < s or not far:
                s = s * alike
            inverse = one / (s + product) if good else zero
            weight = left * inverse
            p_soc[cell] = min(max(soc + gs * weight, low), high)
            p_res[cell] = min(max(resistance + gr * weight, np.float32(0.1)), np.float32(10.0))
            p_leak[cell] = min(max(p_leak[cell] + gl * weight, np.float32(-0.1)), np.float32(0.1))
            p_ss[cell] = min(max(ss - gs * gs * inverse, np.float32(1e-8)), np.float32(0.25))
            p_rr[cell] = min(max(rr - gr * gr * inverse, np.float32(1e-6)), np.float32(4.0))
            p_ll[cell] = min(max(p_ll[cell] - gl * gl * inverse, np.float32(1e-10)),
                             np.float32(1e-2))
            p_sr[cell], p_sl[cell] = sr - gs * gr * inverse, sl - gs * gl * inverse
            p_rl[cell] = rl - gr * gl * inverse
