"""The nearest powers that keep every pack inside its box and the fleet at its sum.

    min 1/2 sum w (p - wish)^2   so that   sum p = total,  low <= p <= high

Its solution is p = clip(wish + x / w, low, high) for the one x at which the sum is right (the
multiplier of the sum). The sum rises with x in straight pieces that break where a pack reaches an
end of its box: the breaks are sorted, and x lies on the piece that holds the total. Exact, in
O(n log n); Brucker 1984, Operations Research Letters 3, 163-166. Leading axes are fleets, each
projected for itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.coordinator.problem import Floats
from core.errors import RequestError

Places = NDArray[np.int64]
MOST_KW = 1e12
"""Larger numbers are no powers [kW]."""
MOST_ROUNDS = 60
"""Of Newton's steps; a handful do, halves alone take so many."""


def project(wish: ArrayLike, low: ArrayLike, high: ArrayLike, total: ArrayLike,
            weight: ArrayLike = 1.0) -> Floats:
    """The nearest point to `wish` [..., n] with low <= p <= high and sum p = total [...].

    A total that the boxes do not reach: the end of them that is nearest to it. weight: > 0, how
    much a pack minds being moved. Raises RequestError for what is not finite and for low > high.
    """
    near, least, most, minds = _columns(wish, low, high, weight)
    aim = np.clip(_totals(total, near), least.sum(-1), most.sum(-1))
    found = _at_sum(near, least, most, minds, aim)
    return found


def project_band(wish: ArrayLike, low: ArrayLike, high: ArrayLike, least_total: ArrayLike,
                 most_total: ArrayLike, weight: ArrayLike = 1.0) -> Floats:
    """`project` to least_total <= sum p <= most_total, either may be infinite, and the least wins
    where they contradict: a wish inside its box whose sum is inside stays as it is. Raises
    RequestError as `project` does."""
    near, low_kw, high_kw, minds = _columns(wish, low, high, weight)
    found: Floats = np.clip(near, low_kw, high_kw)
    sums = found.sum(-1)
    aim = np.maximum(np.minimum(sums, most_total), least_total)
    if np.isnan(aim).any():
        raise RequestError("A sum to keep is not a number")
    off = aim != sums
    if off.any():
        aim = np.clip(aim, low_kw.sum(-1), high_kw.sum(-1))
        found[off] = _at_sum(near[off], low_kw[off], high_kw[off], minds[off], aim[off])
    return found


def project_groups(wish: Floats, low: Floats, high: Floats, totals: Floats, starts: Places,
                   weight: Floats) -> Floats:
    """`project` of many fleets of unlike size at once, one behind the other in the columns [n].

    totals [groups]; starts: where each begins [groups], rising, the first 0, none empty. For finite
    numbers with low <= high and weight > 0 (not looked at). The multiplier is found by Newton's
    steps on the pieces, kept between brackets, which ends at the piece that holds the total; a
    fleet for which that does not end in MOST_ROUNDS is projected by `project`.
    """
    sizes = np.diff(np.append(starts, len(wish)))
    least, most = np.add.reduceat(low, starts), np.add.reduceat(high, starts)
    aim = np.clip(totals, least, most)
    scale = 1e-9 * (1.0 + np.abs(least) + np.abs(most))
    below = np.minimum.reduceat(weight * (low - wish), starts)
    above = np.maximum.reduceat(weight * (high - wish), starts)
    short, over = aim - least, aim - most
    at = np.clip(np.zeros(len(starts)), below, above)
    for tried in range(MOST_ROUNDS):
        moved = wish + np.repeat(at, sizes) / weight
        found: Floats = np.minimum(np.maximum(moved, low), high)
        off = aim - np.add.reduceat(found, starts)
        lacks = off > 0
        unsettled = np.abs(off) > scale
        if not unsettled.any():
            return found
        below, short = np.where(lacks, at, below), np.where(lacks, off, short)
        above, over = np.where(lacks, above, at), np.where(lacks, over, off)
        rise = np.add.reduceat(np.where(moved == found, 1.0 / weight, 0.0), starts)
        step = at + np.divide(off, rise, out=np.full(len(at), np.inf), where=rise > 0)
        part = np.divide(short, short - over, out=np.full(len(at), 0.5), where=short > over)
        between = below + (above - below) * (part if tried % 2 == 0 else 0.5)
        inside = (step > below) & (step < above)
        at = np.where(unsettled, np.where(inside, step, between), at)
    for group in np.flatnonzero(unsettled):
        own = slice(starts[group], starts[group] + sizes[group])
        found[own] = project(wish[own], low[own], high[own], aim[group], weight[own])
    return found


def _columns(wish: ArrayLike, low: ArrayLike, high: ArrayLike,
             weight: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """All of one shape, checked."""
    near, least, most, minds = (np.asarray(part, dtype=np.float64)
                                for part in np.broadcast_arrays(wish, low, high, weight))
    for name, values in (("wish", near), ("low", least), ("high", most), ("weight", minds)):
        if not (np.abs(values) <= MOST_KW).all():
            raise RequestError(f"The {name} of a pack is not a number below {MOST_KW:g}")
    if not (least <= most).all():
        raise RequestError("A pack's least power is above its most")
    if not (minds > 0).all():
        raise RequestError("A pack's weight is not above 0")
    return near, least, most, minds


def _totals(total: ArrayLike, near: Floats) -> Floats:
    wanted = np.broadcast_to(np.asarray(total, dtype=np.float64), near.shape[:-1])
    if np.isnan(wanted).any():
        raise RequestError("A sum to keep is not a number")
    return wanted


def _at_sum(near: Floats, low: Floats, high: Floats, minds: Floats, aim: Floats) -> Floats:
    """`project` of checked numbers and reachable sums."""
    if near.shape[-1] == 0:
        return near.copy()
    found: Floats = np.clip(near + _multiplier(near, low, high, minds, aim) / minds, low, high)
    # Rounding of the running sums, spread over those that can still move.
    free = (found > low) & (found < high)
    ease = np.where(free, 1.0 / minds, 0.0)
    room = ease.sum(-1, keepdims=True)
    off = aim[..., None] - found.sum(-1, keepdims=True)
    found += np.divide(off, room, out=np.zeros_like(off), where=room > 0) * ease
    return np.clip(found, low, high)


def _multiplier(near: Floats, low: Floats, high: Floats, minds: Floats, aim: Floats) -> Floats:
    """The x of the module's head, [..., 1]."""
    breaks = np.concatenate((minds * (low - near), minds * (high - near)), axis=-1)
    turns = np.concatenate((1.0 / minds, -1.0 / minds), axis=-1)
    order = breaks.argsort(axis=-1)
    breaks = np.take_along_axis(breaks, order, axis=-1)
    slope = np.take_along_axis(turns, order, axis=-1).cumsum(axis=-1)
    sums = np.empty_like(breaks)
    sums[..., 0] = low.sum(-1)
    np.cumsum(slope[..., :-1] * np.diff(breaks, axis=-1), axis=-1, out=sums[..., 1:])
    sums[..., 1:] += sums[..., :1]
    piece = np.maximum((sums <= aim[..., None]).sum(-1, keepdims=True) - 1, 0)
    after = np.minimum(piece + 1, breaks.shape[-1] - 1)
    start, rise, base, end = (np.take_along_axis(of, at, axis=-1) for of, at in (
        (breaks, piece), (slope, piece), (sums, piece), (breaks, after)))
    way = np.divide(aim[..., None] - base, rise, out=np.zeros_like(base), where=rise > 0)
    found: Floats = np.clip(start + way, start, end)
    return found
