"""From the sources' readings to one frame of the whole site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from core.frames import Frame, Reading, empty_columns
from core.ports import Source
from core.rollup import RollUp
from core.topology import Level, Topology


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a source's nodes lie in the site: one block a depth."""

    topology: Topology
    blocks: tuple[tuple[slice, slice], ...]


def place(levels: Sequence[Level], sources: Sequence[Source]) -> tuple[Topology, list[Placement]]:
    """The site's topology and each source's place in it; raises TopologyError."""
    site = Topology(levels, [root for source in sources for root in source.roots])
    offsets = site.depth_offsets.copy()
    placements = []
    for source in sources:
        own = Topology(levels, source.roots)
        blocks = []
        for depth in range(1, len(own.depth_offsets) - 1):
            start, stop = int(own.depth_offsets[depth]), int(own.depth_offsets[depth + 1])
            target = slice(int(offsets[depth]), int(offsets[depth]) + stop - start)
            offsets[depth] = target.stop
            blocks.append((slice(start, stop), target))
        placements.append(Placement(own, tuple(blocks)))
    return site, placements


class Assembler:
    """Holds the last known values of every node and makes frames of them.

    stale_after_s: one a placement [s].
    """

    def __init__(self, site: Topology, placements: Sequence[Placement],
                 stale_after_s: Sequence[float]) -> None:
        self._site = site
        self._placements = placements
        self._roll_up = RollUp(site)
        self._columns = empty_columns(site.size)
        self._flags = np.zeros(site.size, dtype=np.uint8)
        self._heard_at_s = np.full(site.size, -np.inf)
        self._limit_s = np.full(site.size, np.inf, dtype=np.float32)
        for placement, limit in zip(placements, stale_after_s, strict=True):
            for _, target in placement.blocks:
                self._limit_s[target] = limit

    def apply(self, index: int, reading: Reading) -> None:
        """Take over what source number `index` reported."""
        measured_at_s = reading.measured_at.timestamp()
        for own, target in self._placements[index].blocks:
            heard = True if reading.heard is None else reading.heard[own]
            for name, column in reading.columns.items():
                np.copyto(self._columns[name][target], column[own], where=heard)
            flags = np.uint8(0) if reading.flags is None else reading.flags[own]
            np.copyto(self._flags[target], flags, where=heard)
            at_s = measured_at_s if reading.measured_s is None else reading.measured_s[own]
            np.copyto(self._heard_at_s[target], at_s, where=heard)

    def frame(self, now: datetime) -> Frame:
        """The site at `now`: the parents rolled up, ages and staleness told."""
        age_s = np.maximum(now.timestamp() - self._heard_at_s, 0).astype(np.float32)
        age_s[np.isinf(age_s)] = np.nan
        stale = ~(age_s <= self._limit_s)
        stale[0] = False
        parents = self._site.child_count > 0
        stale[parents & ~self._site.measured] = False
        coverage = self._roll_up.freshness(age_s, stale, self._site.measured)
        columns = {name: column.copy() for name, column in self._columns.items()}
        self._roll_up.values(columns, stale)
        return Frame(now, columns, age_s, stale, coverage, self._flags.copy())
