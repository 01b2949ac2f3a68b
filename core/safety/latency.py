"""How long decisions took: fixed bounds, so that histograms of many devices add up."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

BOUNDS_S: tuple[float, ...] = (25e-6, 50e-6, 100e-6, 150e-6, 200e-6, 300e-6, 400e-6, 500e-6,
                               750e-6, 1e-3, 2e-3, 5e-3, 10e-3, 50e-3, 100e-3)


@dataclass(slots=True)
class Histogram:
    """counts[i]: decisions of at most bounds_s[i]; the last: longer than all bounds."""

    bounds_s: tuple[float, ...] = BOUNDS_S
    counts: list[int] = field(init=False)
    total: int = 0
    sum_s: float = 0.0
    worst_s: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds_s) + 1)

    def add(self, seconds: float) -> None:
        """One decision; a clock that ran backwards counts as 0."""
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.total += 1
        self.sum_s += seconds
        self.worst_s = max(self.worst_s, seconds)

    def add_counts(self, counts: Sequence[int], worst_s: float) -> None:
        """Those of another histogram with these bounds; their sum is not known, and none of this
        one from then on."""
        for at, count in enumerate(counts):
            self.counts[at] += count
        self.total += sum(counts)
        self.sum_s = math.nan
        self.worst_s = max(self.worst_s, worst_s)

    def by_edge_us(self) -> dict[float, int]:
        """Decisions by upper edge [us], the last edge is inf; empty without any."""
        edges = [round(1e6 * bound, 3) for bound in self.bounds_s]
        return dict(zip([*edges, math.inf], self.counts, strict=True)) if self.total else {}

    def cumulative(self) -> list[tuple[float, int]]:
        """(bound in s, decisions within it), as Prometheus wants its buckets."""
        found, so_far = [], 0
        for bound, count in zip((*self.bounds_s, float("inf")), self.counts, strict=True):
            so_far += count
            found.append((bound, so_far))
        return found

    def quantile(self, part: float) -> float:
        """The bound within which `part` (0 to 1) of the decisions lie; the worst beyond the
        last bound, NaN without any."""
        if not self.total:
            return float("nan")
        for bound, count in self.cumulative():
            if count >= part * self.total:
                return min(bound, self.worst_s)
        return self.worst_s
