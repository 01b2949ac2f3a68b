"""How much energy one way can still take: until the weakest cell of each string ends it.

The model, stated so that anybody can reckon it again:

* A leaf gives capacity x health x (charge - floor), and takes capacity x health x (ceiling -
  charge); never less than nothing. Floor and ceiling are where `core.safety` allows no more
  current (profiles/safety.yaml, the warning tier of the state of charge). A leaf that does not
  tell its health is reckoned with its nominal capacity, and counted.
* Parts in series carry one current. All leaves of a string count as one nominal voltage, so the
  charge left in a part is its energy over its leaves in series, and the part with the least of
  it ends them all: usable = least x leaves in series. What the others still hold is stranded.
* Parts in parallel, or each behind a converter of its own, add up.
* An open contactor strands all below it.
* A pack whose cells tell no state of charge speaks for them with its own.
* One leaf that is missing makes all above it unknown: NaN, no number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.frames import CONTACTOR_OPEN, Frame
from core.safety.profile import safety_profile
from core.topology import ARRANGEMENTS, IndexArray, Topology
from core.worst import NO_NODE

Way = Literal["discharge", "charge"]
Numbers = NDArray[np.float64]

SERIES = ARRANGEMENTS.index("series")
NO_CURRENT = 1
"""The tier at which the current is derated to zero."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Of the element that was asked for and all below it; arrays over all n nodes.

    whole_kwh, usable_kwh: float64[n], NaN unknown: what the cells could give (or take), and
    what comes out of them together. nominal: bool[n], reckoned with its nominal capacity, as it
    tells no health. weakest: int64[n], the leaf with the least charge left, which
    ends a string; NO_NODE unknown.
    """

    whole_kwh: Numbers
    usable_kwh: Numbers
    weakest: IndexArray
    nominal: NDArray[np.bool_]


def open_contactors(frame: Frame) -> IndexArray:
    """Elements that say so of themselves, and are heard."""
    return np.flatnonzero((frame.flags & CONTACTOR_OPEN > 0) & ~frame.stale)


def end_pct(way: Way) -> float:
    """Charge at which one way ends [%]: the floor of a discharge, the ceiling of a charge."""
    profile = safety_profile()
    tiers = profile.soc_min_pct if way == "discharge" else profile.soc_max_pct
    return tiers[NO_CURRENT]


def reach(topology: Topology, frame: Frame, node: int, way: Way) -> Reach:
    """From the leaves below `node` up to it."""
    work = _Work(topology, frame, way)
    for block in reversed([slice(node, node + 1), *topology.descendants(node)]):
        work.take(block)
    return Reach(work.whole, work.usable, work.weakest, work.nominal)


class _Work:
    """units: leaves in series. told: how many leaves below tell their charge."""

    def __init__(self, topology: Topology, frame: Frame, way: Way) -> None:
        self._topology, self._frame, self._way = topology, frame, way
        size = topology.size
        self.whole, self.usable, self.units = (np.full(size, np.nan) for _ in range(3))
        self.weakest = np.full(size, NO_NODE, dtype=np.int64)
        self.nominal = np.zeros(size, dtype=np.bool_)
        self._told = np.zeros(size, dtype=np.int64)
        self._open = np.zeros(size, dtype=np.bool_)
        self._open[open_contactors(frame)] = True

    def take(self, block: slice) -> None:
        """One depth; the one below it was taken before."""
        own_kwh = self._own(block)
        nodes = np.arange(block.start, block.stop)
        leaf = self._topology.child_count[block] == 0
        self._speak(nodes[leaf], own_kwh[leaf])
        parents = nodes[~leaf]
        if parents.size:
            self._combine(parents)
            alone = (self._topology.measured[parents] & (self._told[parents] == 0)
                     & np.isfinite(own_kwh[~leaf]))
            self._speak(parents[alone], own_kwh[~leaf][alone])
        cut = nodes[self._open[block]]
        self.usable[cut] = np.where(np.isnan(self.whole[cut]), np.nan, 0.0)

    def _speak(self, nodes: IndexArray, energy_kwh: Numbers) -> None:
        self.whole[nodes] = self.usable[nodes] = energy_kwh
        self.units[nodes] = 1.0
        self.weakest[nodes] = np.where(np.isnan(energy_kwh), NO_NODE, nodes)
        self._told[nodes] = np.isfinite(energy_kwh)
        self.nominal[nodes] = (np.isfinite(energy_kwh)
                               & ~np.isfinite(self._frame.columns["soh_pct"][nodes]))

    def _own(self, block: slice) -> Numbers:
        topology, frame = self._topology, self._frame
        soc = frame.columns["soc_pct"][block].astype(np.float64)
        soc[~np.isfinite(soc) | frame.stale[block]] = np.nan
        health = frame.columns["soh_pct"][block].astype(np.float64)
        health[~np.isfinite(health)] = 100.0
        away = soc - end_pct(self._way) if self._way == "discharge" else end_pct(self._way) - soc
        capacity_kwh = topology.capacity_kwh[block].astype(np.float64)
        found: Numbers = capacity_kwh * health / 100.0 * np.maximum(away, 0.0) / 100.0
        return found

    def _combine(self, parents: IndexArray) -> None:
        topology = self._topology
        first = topology.first_child[parents]
        counts = topology.child_count[parents]
        children = slice(int(first[0]), int(first[-1] + counts[-1]))
        starts = first - children.start
        units, usable = self.units[children], self.usable[children]
        series = topology.arrangement[parents] == SERIES
        in_series = np.add.reduceat(units, starts)
        charge = usable / units
        least = np.minimum.reduceat(charge, starts)
        self.units[parents] = np.where(series, in_series, in_series / counts)
        self.usable[parents] = np.where(series, least * in_series, np.add.reduceat(usable, starts))
        self.whole[parents] = np.add.reduceat(self.whole[children], starts)
        self._told[parents] = np.add.reduceat(self._told[children], starts)
        row = np.repeat(np.arange(parents.size), counts)
        hit = np.flatnonzero(charge == least[row])[::-1]
        self.weakest[parents[row[hit]]] = self.weakest[children.start + hit]
