"""The worst leaf below an element, with its id: never the mean alone (law 7).

A leaf is a cell, or a battery whose cells nobody reports. Voltages are compared between cells
alone, because a battery's is of another kind. Where no leaf of a measured element tells a metric
(a pack that knows only its own state of charge), the element itself stands in for them. Stale
and missing leaves are left out, and how many is told (law 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.frames import Frame
from core.topology import FloatArray, IndexArray, Topology

CELLS_ALONE = frozenset({"voltage_v"})
NO_NODE = -1

BoolArray = NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Worst:
    """The lowest and the highest of what is known, and who has it. known: how many were
    compared; missing: leaves of which nothing fresh is known."""

    low: float
    low_node: int
    high: float
    high_node: int
    known: int
    missing: int

    @property
    def delta(self) -> float:
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Told:
    """One metric of a range of leaves, in leaf order, m of them. first: position of the range.

    value: float32[m], NaN unknown. node: int64[m], who told it: the leaf, or who stands in.
    missing: bool[m], leaves that should be compared and cannot be.
    """

    first: int
    value: FloatArray
    node: IndexArray
    missing: BoolArray

    @property
    def known(self) -> BoolArray:
        found: BoolArray = np.isfinite(self.value)
        return found


class Spans:
    """The extremes of k elements that do not lie within each other; arrays of length k.

    low, high: float32, NaN where nothing is known. known, missing: int64, as of `Worst`.
    """

    def __init__(self, nodes: IndexArray, told: Told, edges: IndexArray) -> None:
        """edges: int64[2k], where the range of each begins and ends in `told`."""
        self.nodes = nodes
        self._told, self._edges = told, edges
        known = told.known
        self.known: IndexArray = each(np.add, known.astype(np.int64), edges)
        self.missing: IndexArray = each(np.add, told.missing.astype(np.int64), edges)
        self.low: FloatArray = each(np.fmin, told.value, edges)
        self.high: FloatArray = each(np.fmax, told.value, edges)

    @property
    def delta(self) -> FloatArray:
        found: FloatArray = self.high - self.low
        return found

    @cached_property
    def low_node(self) -> IndexArray:
        """Who has the lowest, the first of several; NO_NODE where nothing is known."""
        return self._who(self.low)

    @cached_property
    def high_node(self) -> IndexArray:
        return self._who(self.high)

    def at(self, row: int) -> Worst | None:
        """Of one element; None where nothing is known."""
        if not self.known[row]:
            return None
        part = slice(int(self._edges[2 * row]), int(self._edges[2 * row + 1]))
        low, high = (self._told.node[part][int(np.argmax(self._told.value[part] == value))]
                     for value in (self.low[row], self.high[row]))
        return Worst(float(self.low[row]), int(low), float(self.high[row]), int(high),
                     int(self.known[row]), int(self.missing[row]))

    def _who(self, wanted: FloatArray) -> IndexArray:
        """The first of each range with the value that is wanted there; NaN is no value."""
        found = np.full(self.nodes.size, NO_NODE, dtype=np.int64)
        if not found.size:
            return found
        sizes = np.diff(np.append(self._edges, self._told.value.size))
        between = np.full(found.size, np.nan, dtype=np.float32)
        sought = np.repeat(np.stack((wanted, between), axis=1).ravel(), sizes)
        first = int(self._edges[0])
        hits = np.append(np.flatnonzero(self._told.value[first:] == sought) + first,
                         self._told.value.size)
        hit = hits[np.searchsorted(hits, self._edges[::2])]
        known = hit < self._edges[1::2]
        found[known] = self._told.node[hit[known]]
        return found


def worst(topology: Topology, frame: Frame, node: int, metric: str) -> Worst | None:
    """Of `metric` below `node`, itself included; None when nothing is known."""
    return spans(topology, frame, np.array([node], dtype=np.int64), metric).at(0)


def worst_of_children(topology: Topology, frame: Frame, node: int, metric: str) -> Spans:
    """Of each child of `node`, in their order."""
    part = topology.children(node)
    return spans(topology, frame, np.arange(part.start, part.stop), metric)


def spans(topology: Topology, frame: Frame, nodes: IndexArray, metric: str) -> Spans:
    """Of `nodes`, int64[k]: in leaf order, none within another."""
    ranges = topology.leaf_ranges
    edges = np.stack((ranges.start[nodes], ranges.stop[nodes]), axis=1).ravel()
    found = told(topology, frame, nodes, metric)
    return Spans(nodes, found, edges - found.first)


def told(topology: Topology, frame: Frame, nodes: IndexArray, metric: str) -> Told:
    """What is fresh of `metric` from the first leaf of `nodes` to the last; who stands in is one
    of `nodes` or below one. nodes: as of `spans`."""
    ranges = topology.leaf_ranges
    if not nodes.size:
        empty = np.zeros(0, dtype=np.int64)
        return Told(0, empty.astype(np.float32), empty, empty.astype(np.bool_))
    first, stop = int(ranges.start[nodes[0]]), int(ranges.stop[nodes[-1]])
    leaf = ranges.order[first:stop]
    value = frame.columns[metric][leaf]
    known = np.isfinite(value) & ~frame.stale[leaf]
    if metric in CELLS_ALONE:
        cell = topology.level[leaf] == len(topology.levels) - 1
        known &= cell
        return Told(first, _kept(value, known), leaf, cell & ~known)
    found = Told(first, _kept(value, known), leaf, ~known)
    standing = _measured_within(topology, nodes)
    return _stood_in(topology, frame, found, standing, metric) if standing.size else found


def _kept(value: FloatArray, known: BoolArray) -> FloatArray:
    value[~known] = np.nan
    return value


def _measured_within(topology: Topology, nodes: IndexArray) -> IndexArray:
    """Measured elements with parts that are one of `nodes` or lie within one."""
    ranges = topology.leaf_ranges
    found = np.flatnonzero(topology.measured & (topology.child_count > 0))
    if not found.size:
        return found
    owner = np.searchsorted(ranges.start[nodes], ranges.start[found], side="right") - 1
    around = nodes[np.maximum(owner, 0)]
    within = (owner >= 0) & (ranges.stop[found] <= ranges.stop[around]) & (found >= around)
    return found[within]


def _stood_in(topology: Topology, frame: Frame, told: Told, standing: IndexArray,
              metric: str) -> Told:
    """With the readings of measured elements none of whose leaves is known, the deepest first,
    each in the place of its first leaf."""
    ranges = topology.leaf_ranges
    value, node, missing = told.value.copy(), told.node.copy(), told.missing.copy()
    for depth in np.unique(topology.depth[standing])[::-1]:
        here = standing[topology.depth[standing] == depth]
        edges = np.stack((ranges.start[here], ranges.stop[here]), axis=1).ravel() - told.first
        silent = ~each(np.logical_or, np.isfinite(value), edges)
        own = frame.columns[metric][here]
        use = silent & np.isfinite(own) & ~frame.stale[here]
        value[edges[::2][use]], node[edges[::2][use]] = own[use], here[use]
        change = np.zeros(value.size + 1, dtype=np.int64)
        change[edges[::2][use]] += 1
        change[edges[1::2][use]] -= 1
        missing &= np.cumsum(change[:-1]) == 0
    return Told(told.first, value, node, missing)


def each(function: np.ufunc, values: NDArray[Number], edges: IndexArray) -> NDArray[Number]:
    """`function` over each range from edges[2i] to edges[2i + 1], none of them empty."""
    if not edges.size:
        return values[:0]
    if edges[-1] == values.size:
        edges = edges[:-1]
    found: NDArray[Number] = function.reduceat(values, edges)[::2]
    return found
