"""The nearest powers that keep every pack inside its box and the fleet at its sum.

    min 1/2 sum w (p - wish)^2   so that   sum p = total,  low <= p <= high

Its solution is p = clip(wish + x / w, low, high) for the one x at which the sum is right (the
multiplier of the sum). The sum rises with x in straight pieces that break where a pack reaches an
end of its box: the breaks are sorted, the piece that holds the total is found by halves, and powers
lie on it where their sum is right. Exact, in O(n log n); Brucker 1984, Operations Research Letters
3, 163-166. Sums are those of the powers themselves, never running ones, so that packs which hardly
move do not blur others. Of many packs, some breaks first tell which ones need not be sorted.

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
LEAST_WEIGHT = 1e-12
FEW, SOME = 200, 64
"""So few packs of a fleet are sorted all; else so many of its breaks tell which ones."""
EXACT = 1e-13
"""Of a fleet's power: a sum that is not farther off is right."""


def project(wish: ArrayLike, low: ArrayLike, high: ArrayLike, total: ArrayLike,
            weight: ArrayLike = 1.0) -> Floats:
    """The nearest point to `wish` [..., n] with low <= p <= high and sum p = total [...].

    A total that the boxes do not reach: the end of them that is nearest to it. weight: how much
    a pack minds being moved. Raises RequestError for what is not finite, for low > high and for
    less weight than LEAST_WEIGHT.
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
                   weight: Floats, near: float = 0.0) -> tuple[Floats, Floats]:
    """`project` of fleets of unlike size, one behind the other in the columns [n], and the
    multiplier x of each fleet's sum [fleets].

    totals [fleets]; starts: where each begins [fleets], rising, the first 0, none empty. near:
    the x that is taken where it does as well as others, and is tried first; 0 is the wish. For
    numbers up to MOST_KW with low <= high and weights down to LEAST_WEIGHT (not looked at).
    """
    fleets = _Fleets(wish, low, high, weight, starts)
    aim = np.clip(totals, fleets.summed(low), fleets.summed(high))
    found = _Between(fleets, aim)
    found.tried(np.full(len(starts), near))
    if FEW * len(fleets) < len(wish):
        found.narrowed(*fleets.some_breaks())
    found.narrowed(*fleets.breaks(found.below, found.above))
    return found.powers()


class _Fleets:
    """Packs [n] of fleets, one fleet behind the other. first, last: between which x each moves."""

    def __init__(self, wish: Floats, low: Floats, high: Floats, weight: Floats,
                 starts: Places) -> None:
        self._wish, self.low, self.high = wish, low, high
        self._starts, self._sizes = starts, np.diff(np.append(starts, len(wish)))
        self._ease = 1.0 / weight
        self.first, self.last = (low - wish) * weight, (high - wish) * weight

    def __len__(self) -> int:
        return len(self._starts)

    def each(self, values: Floats) -> Floats:
        """Of fleets for their packs, or of the only one for all."""
        return values if len(self) == 1 else np.repeat(values, self._sizes)

    def summed(self, values: Floats) -> Floats:
        """Of packs for their fleets."""
        found: Floats = np.add.reduceat(values, self._starts)
        return found

    def ends(self) -> tuple[Floats, Floats]:
        """Below and above which x no pack of a fleet moves."""
        return (np.minimum.reduceat(self.first, self._starts),
                np.maximum.reduceat(self.last, self._starts))

    def at(self, multiplier: Floats) -> Floats:
        """Powers for an x of each fleet."""
        moved = self._wish + self.each(multiplier) * self._ease
        found: Floats = np.minimum(np.maximum(moved, self.low), self.high)
        return found

    def some_breaks(self) -> tuple[Floats, Places]:
        """SOME of each fleet, as `breaks`."""
        part = self._sizes[:, None] * np.arange(SOME // 2) // (SOME // 2)
        places = self._starts[:, None] + part
        some = np.sort(np.column_stack((self.first[places], self.last[places])), axis=1)
        return some.ravel(), np.full(len(self), SOME)

    def breaks(self, below: Floats, above: Floats) -> tuple[Floats, Places]:
        """Where packs begin and end to move between two x of their fleet: sorted, fleet behind
        fleet, and how many there are of each [fleets]."""
        least, most = self.each(below), self.each(above)
        begins, ends = (np.flatnonzero((at > least) & (at < most))
                        for at in (self.first, self.last))
        fleet = np.repeat(np.arange(len(self)), self._sizes)
        fleet = np.concatenate((fleet[begins], fleet[ends]))
        places = np.concatenate((self.first[begins], self.last[ends]))
        count = np.bincount(fleet, minlength=len(self))
        return places[np.lexsort((places, fleet))], count


class _Between:
    """Between which x the right one of each fleet lies [fleets], and the sums there."""

    def __init__(self, fleets: _Fleets, aim: Floats) -> None:
        self._fleets, self._aim = fleets, aim
        self._near = EXACT * (1.0 + np.abs(aim))
        self.below, self.above = fleets.ends()

    def tried(self, multiplier: Floats) -> NDArray[np.bool_]:
        """Whether it is too little, of each fleet."""
        x = np.minimum(np.maximum(multiplier, self.below), self.above)
        off = self._fleets.summed(self._fleets.at(x)) - self._aim
        self.below = np.where(off <= self._near, x, self.below)
        self.above = np.where(off >= -self._near, x, self.above)
        return off < 0

    def narrowed(self, breaks: Floats, count: Places) -> None:
        """To one of the pieces between sorted breaks: the middle one of those left is tried. (That
        of a fleet which has none left is any break, and does no harm: see `tried`.)"""
        start = np.cumsum(count) - count
        lower, upper = start - 1, start + count
        for _ in range(int(count.max()).bit_length()):
            middle = (lower + upper) // 2
            too_little = self.tried(breaks[middle])
            lower = np.where(too_little, middle, lower)
            upper = np.where(too_little, upper, middle)

    def powers(self) -> tuple[Floats, Floats]:
        """Of packs, in the part of the piece at which sums are right, and that x of each fleet."""
        fleets = self._fleets
        least, most = fleets.at(self.below), fleets.at(self.above)
        short, over = fleets.summed(least) - self._aim, fleets.summed(most) - self._aim
        part = np.divide(short, short - over, out=np.zeros_like(short), where=over > short)
        part = np.clip(part, 0.0, 1.0)
        found = least + (most - least) * fleets.each(part)
        return (np.clip(found, fleets.low, fleets.high),
                self.below + (self.above - self.below) * part)


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
    if not (minds >= LEAST_WEIGHT).all():
        raise RequestError(f"A pack's weight is not {LEAST_WEIGHT:g} or more")
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
