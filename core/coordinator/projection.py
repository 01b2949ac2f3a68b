"""The nearest powers that keep every pack inside its box and the fleet at its sum.

    min 1/2 sum w (p - wish)^2   so that   sum p = total,  low <= p <= high

Its solution is p = clip(wish + x / w, low, high) for the one x at which the sum is right (the
multiplier of the sum). The sum rises with x in straight pieces that break where a pack reaches an
end of its box: the breaks are sorted, and x lies on the piece that holds the total. Exact, in
O(n log n); Brucker 1984, Operations Research Letters 3, 163-166. Of many packs, breaks that lie
where x cannot be are left out of the sort: trying the wish itself, then the middle of some of the
breaks over and over, tells where that is.

One function does this for any number of fleets of any size at once: for the safety layer, for the
groups of a large fleet (clusters.py) and for power by merit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.coordinator.problem import Floats
from core.errors import RequestError

Places = NDArray[np.int64]
MOST_KW = 1e12
"""Larger numbers are no powers [kW]."""
FEW, SOME = 200, 64
"""So few packs are sorted sooner than x is tried; so many breaks of a fleet tell where."""
EXACT = 1e-13
"""Of a fleet's power: a sum that is not farther off is right."""


def project(wish: ArrayLike, low: ArrayLike, high: ArrayLike, total: ArrayLike,
            weight: ArrayLike = 1.0) -> Floats:
    """The nearest point to `wish` [..., n] with low <= p <= high and sum p = total [...].

    A total that the boxes do not reach: the end of them that is nearest to it. weight: > 0, how
    much a pack minds being moved. Raises RequestError for what is not finite and for low > high.
    """
    near, least, most, minds = _columns(wish, low, high, weight)
    aim = np.clip(_totals(total, near), least.sum(-1), most.sum(-1))
    return _in_rows(near, least, most, minds, aim)


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
        found[off] = _in_rows(near[off], low_kw[off], high_kw[off], minds[off], aim[off])
    return found


def project_fleets(wish: Floats, low: Floats, high: Floats, totals: Floats, starts: Places,
                   weight: Floats) -> tuple[Floats, Floats]:
    """`project` of fleets of unlike size, one behind the other in the columns [n], and the
    multiplier x of each fleet's sum [fleets].

    totals [fleets]; starts: where each begins [fleets], rising, the first 0, none empty. For finite
    numbers with low <= high and weight > 0 (not looked at).
    """
    fleets = _Fleets(wish, low, high, weight, starts)
    aim = np.clip(totals, fleets.summed(low), fleets.summed(high))
    below, above = (np.minimum.reduceat(fleets.first, starts),
                    np.maximum.reduceat(fleets.last, starts))
    if len(wish) > FEW:
        below, above = _narrowed(fleets, below, above, aim)
    if (below < above).any():
        multiplier = _on_its_piece(fleets, below, above, aim)
    else:
        multiplier = below
    found = fleets.at(multiplier)
    # Rounding of the running sums, spread over those that can still move.
    moves = np.where((found > low) & (found < high), fleets.ease, 0.0)
    room, off = fleets.summed(moves), aim - fleets.summed(found)
    found += fleets.each(np.divide(off, room, out=np.zeros_like(off), where=room > 0)) * moves
    return np.clip(found, low, high), multiplier


class _Fleets:
    """Packs [n] of fleets, one fleet behind the other: between which x each moves, and how much
    for an x more by 1 (`first`, `last`, `ease`)."""

    def __init__(self, wish: Floats, low: Floats, high: Floats, weight: Floats,
                 starts: Places) -> None:
        self._wish, self._low, self._high, self._starts = wish, low, high, starts
        self._sizes = np.diff(np.append(starts, len(wish)))
        self.ease = 1.0 / weight
        self.first, self.last = (low - wish) * weight, (high - wish) * weight

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def fleet(self) -> Places:
        """Of each pack."""
        return np.repeat(np.arange(len(self)), self._sizes)

    def each(self, values: Floats) -> Floats:
        """Of fleets for their packs."""
        return np.repeat(values, self._sizes)

    def summed(self, values: Floats) -> Floats:
        """Of packs for their fleets."""
        found: Floats = np.add.reduceat(values, self._starts)
        return found

    def at(self, multiplier: Floats) -> Floats:
        """Powers for an x of each fleet."""
        moved = self._wish + self.each(multiplier) * self.ease
        found: Floats = np.minimum(np.maximum(moved, self._low), self._high)
        return found

    def some_breaks(self) -> Floats:
        """SOME of each fleet, sorted [fleets, SOME]."""
        part = self._sizes[:, None] * np.arange(SOME // 2) // (SOME // 2)
        places = self._starts[:, None] + part
        return np.sort(np.column_stack((self.first[places], self.last[places])), axis=1)


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


def _in_rows(near: Floats, low: Floats, high: Floats, minds: Floats, aim: Floats) -> Floats:
    """`project` of checked numbers [..., n]."""
    if near.size == 0:
        return near.copy()
    starts = np.arange(0, near.size, near.shape[-1])
    found, _ = project_fleets(near.ravel(), low.ravel(), high.ravel(), aim.ravel(), starts,
                              minds.ravel())
    return found.reshape(near.shape)


def _narrowed(fleets: _Fleets, below: Floats, above: Floats, aim: Floats) -> tuple[Floats, Floats]:
    """Between which x the right one lies [fleets], of those between which it does anyway. First the
    wish itself is tried, then, over and over, the middle of some of the breaks that are left."""
    near = EXACT * (1.0 + np.abs(aim))

    def tried(multiplier: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        mine = np.clip(multiplier, below, above)
        off = fleets.summed(fleets.at(mine)) - aim
        return np.where(off <= near, mine, below), np.where(off >= -near, mine, above), off < 0

    below, above, _ = tried(np.zeros(len(fleets)))
    if (below == above).all() or len(fleets.first) < FEW * len(fleets):
        return below, above
    some, rows = fleets.some_breaks(), np.arange(len(fleets))
    lower, upper = np.zeros_like(rows), np.full_like(rows, SOME)
    for _ in range(SOME.bit_length() - 1):
        middle = (lower + upper) // 2
        below, above, short = tried(some[rows, middle])
        lower, upper = np.where(short, middle, lower), np.where(short, upper, middle)
    return below, above


def _on_its_piece(fleets: _Fleets, below: Floats, above: Floats, aim: Floats) -> Floats:
    """The right x of each fleet, which lies between `below` and `above` [fleets]."""
    start, end = fleets.each(below), fleets.each(above)
    moving = np.where((fleets.first <= start) & (fleets.last > start), fleets.ease, 0.0)
    begins, ends = (np.flatnonzero((at > start) & (at < end)) for at in (fleets.first, fleets.last))
    of_fleet = fleets.fleet
    fleet = np.concatenate((of_fleet[begins], of_fleet[ends]))
    order = fleet.argsort(kind="stable")
    fleet = fleet[order]
    breaks = np.concatenate((fleets.first[begins], fleets.last[ends]))[order]
    turns = np.concatenate((fleets.ease[begins], -fleets.ease[ends]))[order]
    rise, base = fleets.summed(moving), fleets.summed(fleets.at(below))
    count = np.bincount(fleet, minlength=len(fleets))
    column = np.arange(len(fleet)) - np.repeat(np.cumsum(count) - count, count)
    found = np.empty(len(fleets))
    # Fleets of about as many breaks are the rows of one table, filled up with their last x.
    size = np.ceil(np.log2(count + 1)).astype(np.int64)
    for each in np.unique(size):
        rows, mine = np.flatnonzero(size == each), np.flatnonzero(size[fleet] == each)
        places = np.full((len(rows), 2 ** each), above[rows, None])
        changes = np.zeros_like(places)
        cells = np.searchsorted(rows, fleet[mine]), column[mine]
        places[cells], changes[cells] = breaks[mine], turns[mine]
        found[rows] = _in_table(below[rows], places, rise[rows], changes, base[rows], aim[rows])
    return found


def _in_table(below: Floats, ends: Floats, rise: Floats, changes: Floats, base: Floats,
              aim: Floats) -> Floats:
    """x [rows] where sums that are `base` at `below` and rise by `rise` there get to `aim`. ends:
    where pieces end, in any order [rows, pieces]; changes: by how much it rises more after."""
    order = ends.argsort(axis=1)
    ends, changes = (np.take_along_axis(of, order, axis=1) for of in (ends, changes))
    starts = np.column_stack((below, ends[:, :-1]))
    slopes = np.column_stack((rise, changes[:, :-1])).cumsum(axis=1)
    sums = np.column_stack((base, slopes * (ends - starts))).cumsum(axis=1)[:, :-1]
    piece = np.maximum((sums <= aim[:, None]).sum(axis=1) - 1, 0)
    start, end, slope, total = (of[np.arange(len(of)), piece]
                                for of in (starts, ends, slopes, sums))
    way = np.divide(aim - total, slope, out=np.zeros_like(aim), where=slope > 0)
    found: Floats = np.clip(start + way, start, end)
    return found
