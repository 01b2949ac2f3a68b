"""From leaves to the grid connection: one `reduceat` a depth and metric (laws 4 and 7).

A parent's power is the sum of its children, state of charge and health are means weighted
by capacity, temperature is the plain mean (its extremes come from `core.worst`), voltage
follows from the wiring (series: sum, parallel: mean) and current is power over voltage.
Missing and stale children are left out; a parent without any known child is missing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.topology import ARRANGEMENTS, FloatArray, IndexArray, Topology
from core.vocabulary import METRICS

BoolArray: TypeAlias = NDArray[np.bool_]

WATTS_PER_KILOWATT = np.float32(1000.0)


@dataclass(frozen=True, slots=True)
class _Step:
    """One depth: `parents` that have children, and their children's block."""

    parents: IndexArray
    children: slice
    starts: IndexArray
    series: BoolArray
    parallel: BoolArray
    rolled: BoolArray
    weight: FloatArray
    weight_sum: FloatArray
    leaf_count: FloatArray
    child_leaf_count: FloatArray


class RollUp:
    """Fills the parents' values of a site's columns in place."""

    def __init__(self, topology: Topology) -> None:
        self._is_leaf = topology.child_count == 0
        leaf_count = _leaf_counts(topology)
        self._steps = [_step(topology, depth, leaf_count)
                       for depth in range(int(topology.depth[-1]) - 1, -1, -1)]
        self._full_coverage = np.ones(topology.size, dtype=np.float32)
        self._full_coverage.flags.writeable = False

    def values(self, columns: dict[str, FloatArray], stale: BoolArray) -> None:
        """Write every parent of every column; float32[n] each."""
        held: dict[str, FloatArray] = {}
        if stale.any():
            held = {name: column.copy() for name, column in columns.items()}
            for column in columns.values():
                column[stale] = np.nan
        for step in self._steps:
            self._depth(columns, step)
        for name, last_known in held.items():
            unknown = stale & np.isnan(columns[name])
            columns[name][unknown] = last_known[unknown]

    def _depth(self, columns: dict[str, FloatArray], step: _Step) -> None:
        for metric in METRICS:
            column = columns[metric.name]
            children = column[step.children]
            if metric.roll_up == "sum":
                self._store(column, step, _sum(children, step.starts))
            elif metric.roll_up == "capacity_mean":
                self._store(column, step, _weighted_mean(children, step))
            elif metric.roll_up == "mean":
                self._store(column, step, _mean(children, step.starts))
            elif metric.roll_up == "arrangement":
                self._store(column, step, _wired_voltage(children, step))
        self._store(columns["current_a"], step, _current(columns, step))

    @staticmethod
    def _store(column: FloatArray, step: _Step, values: FloatArray) -> None:
        own = column[step.parents]
        keep = ~step.rolled & np.isfinite(own)
        column[step.parents] = np.where(keep, own, values)

    def freshness(self, age_s: FloatArray, stale: BoolArray, measured: BoolArray) -> FloatArray:
        """Write every parent's age (the freshest child's) and staleness; returns coverage."""
        complete = not stale[self._is_leaf].any()
        coverage = self._full_coverage if complete else np.where(stale, 0, 1).astype(np.float32)
        for step in self._steps:
            rolled = step.parents[~measured[step.parents]]
            age_s[rolled] = np.fmin.reduceat(age_s[step.children], step.starts)[
                ~measured[step.parents]]
            if not complete:
                heard = coverage[step.children] * step.child_leaf_count
                coverage[step.parents] = np.add.reduceat(heard, step.starts) / step.leaf_count
            stale[rolled] = coverage[rolled] == 0
        return coverage


def _leaf_counts(topology: Topology) -> FloatArray:
    counts: FloatArray = (topology.child_count == 0).astype(np.float32)
    for node_depth in range(int(topology.depth[-1]) - 1, -1, -1):
        parents, children, starts = _segments(topology, node_depth)
        counts[parents] = np.add.reduceat(counts[children], starts)
    return counts


def _segments(topology: Topology, depth: int) -> tuple[IndexArray, slice, IndexArray]:
    low, high, end = (int(topology.depth_offsets[depth + i]) for i in range(3))
    parents = np.arange(low, high)
    parents = parents[topology.child_count[parents] > 0]
    return parents, slice(high, end), topology.first_child[parents] - high


def _step(topology: Topology, depth: int, leaf_count: FloatArray) -> _Step:
    parents, children, starts = _segments(topology, depth)
    wiring = topology.arrangement[parents]
    weight = np.nan_to_num(topology.capacity_kwh[children])
    return _Step(
        parents=parents, children=children, starts=starts,
        series=wiring == ARRANGEMENTS.index("series"),
        parallel=wiring == ARRANGEMENTS.index("parallel"),
        rolled=~topology.measured[parents],
        weight=weight, weight_sum=np.add.reduceat(weight, starts),
        leaf_count=leaf_count[parents], child_leaf_count=leaf_count[children],
    )


def _is_complete(values: FloatArray) -> bool:
    return bool(np.isfinite(np.sum(values)))


def _sum(values: FloatArray, starts: IndexArray) -> FloatArray:
    if _is_complete(values):
        complete: FloatArray = np.add.reduceat(values, starts)
        return complete
    known = np.isfinite(values)
    total = np.add.reduceat(np.where(known, values, np.float32(0)), starts)
    return np.where(np.logical_or.reduceat(known, starts), total, np.float32(np.nan))


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    out = np.full(numerator.shape, np.nan, dtype=np.float32)
    ratio: FloatArray = np.divide(numerator, denominator, out=out, where=denominator > 0)
    return ratio


def _weighted_mean(values: FloatArray, step: _Step) -> FloatArray:
    if _is_complete(values):
        return _ratio(np.add.reduceat(values * step.weight, step.starts), step.weight_sum)
    known = np.isfinite(values)
    products = np.where(known, values * step.weight, np.float32(0))
    weights = np.where(known, step.weight, np.float32(0))
    return _ratio(np.add.reduceat(products, step.starts), np.add.reduceat(weights, step.starts))


def _mean(values: FloatArray, starts: IndexArray) -> FloatArray:
    known = np.isfinite(values)
    counts = np.add.reduceat(known.astype(np.float32), starts)
    return _ratio(np.add.reduceat(np.where(known, values, np.float32(0)), starts), counts)


def _wired_voltage(values: FloatArray, step: _Step) -> FloatArray:
    """Series: the sum, missing when a child is missing; parallel: the mean of the known."""
    series = np.add.reduceat(values, step.starts)
    out = np.where(step.series, series, np.float32(np.nan))
    if step.parallel.any():
        out = np.where(step.parallel, _mean(values, step.starts), out)
    return out


def _current(columns: dict[str, FloatArray], step: _Step) -> FloatArray:
    power = columns["power_kw"][step.parents] * WATTS_PER_KILOWATT
    return _ratio(power, columns["voltage_v"][step.parents])
