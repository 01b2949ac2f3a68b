"""What limits an element: which string ends a discharge (a charge) first, why, what it strands.

A string is the highest part whose own parts are in series (a rack), or a leaf by itself. Its
energy is modelled in `core.reach`, the current it is allowed in `core.allowance`. Beside them:

* Strings share power by their nominal energy, so the one with the least usable energy for each
  nominal kWh ends first, by its weakest cell's charge. A voltage that is measured goes before a
  charge that is estimated: a string whose current is cut by a cell's voltage already ends before
  those, and its energy is what its charge says at most. One that is cut off or allowed no
  current has ended.
* A string that may carry nothing strands all its energy and power; one that may carry a part of
  its power, the rest of that; one with a weak cell, what its other cells still hold when that
  one ends. A device that holds its string back does not tell its rating: how much power it
  strands is not known unless it allows none.
* What is not known is named and left out of the sums; of a string with a leaf unknown there is
  no number of that kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.allowance import DEVICE, REASONS, Allowance, DeviceLimit, Reason, allowance
from core.frames import Frame
from core.reach import SERIES, Numbers, Reach, Way, end_pct, open_contactors, reach
from core.topology import IndexArray, Topology
from core.worst import NO_NODE, BoolArray, each

VOLTAGE = REASONS.index("voltage")
CHEMISTRY, CAPACITY = "chemistry", "capacity_kwh"


@dataclass(frozen=True, slots=True)
class Bound:
    """One string and what bounds it.

    leaf: who has `value`: a cell, the element whose contactor is open, NO_NODE of a device.
    value, limit: in the reason's unit (V, °C, %, A), NaN where there is none; limit is where the
    current ends. part: of its power that is allowed now, 0..1. Energies [kWh] and power [kW] are
    the string's alone, NaN unknown. words: a device's own.
    """

    string: int
    reason: Reason
    leaf: int
    value: float
    limit: float
    part: float
    usable_kwh: float
    stranded_kwh: float
    stranded_kw: float
    words: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """count: how many leaves below do not tell `what`: a column, CAPACITY or CHEMISTRY."""

    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Strand:
    """first: what ends first, None where no string is known. held: of the strings that may give
    a part of their power alone, the one that loses most. Sums are over the strings that are
    known, NaN where none is. unknown: how many of `strings` have no known energy; unjudged: power.
    nominal: leaves reckoned with their nominal capacity, as they tell no health.
    """

    way: Way
    first: Bound | None
    held: Bound | None
    strings: int
    unknown: int
    unjudged: int
    usable_kwh: float
    stranded_kwh: float
    stranded_kw: float
    missing: tuple[Missing, ...]
    nominal: int


def strand(topology: Topology, frame: Frame, node: int, way: Way,
           devices: Mapping[int, DeviceLimit] | None = None) -> Strand:
    """What limits `node` one way. devices: what the devices of elements allow that way."""
    told = devices or {}
    energy = reach(topology, frame, node, way)
    strings = strings_of(topology, node)
    may = allowance(topology, frame, strings, way, told)
    of = _table(topology, frame, way, strings, energy, may)
    first, held = of.first(), of.held()
    return Strand(
        way, None if first is None else of.bound(first, told, ends=True),
        None if held is None else of.bound(held, told, ends=False),
        strings.size, int(np.isnan(of.lost_kwh).sum()), int(np.isnan(of.lost_kw).sum()),
        _total(of.usable_kwh), _total(of.lost_kwh), _total(of.lost_kw),
        _missing(topology, node, may), int(energy.nominal.sum()))


def strings_of(topology: Topology, node: int) -> IndexArray:
    """The strings at or below `node` in leaf order, int64[k]."""
    inside = np.zeros(topology.size, dtype=np.bool_)
    found = []
    for block in [slice(node, node + 1), *topology.descendants(node)]:
        if block.start > node:
            inside[block] = inside[topology.parent[block]]
        own = (topology.arrangement[block] == SERIES) | (topology.child_count[block] == 0)
        found.append(block.start + np.flatnonzero(own & ~inside[block]))
        inside[block] |= own
    nodes: IndexArray = np.concatenate(found)
    return nodes[np.argsort(topology.leaf_ranges.start[nodes], kind="stable")]


@dataclass(frozen=True, slots=True)
class _Table:
    """Columns over k strings. cut: whose open contactor cuts it off, NO_NODE for none.
    stopped: gives nothing now. usable_kwh, lost_kwh, lost_kw, nominal_kwh: float64[k]."""

    frame: Frame
    way: Way
    strings: IndexArray
    may: Allowance
    weakest: IndexArray
    cut: IndexArray
    stopped: BoolArray
    usable_kwh: Numbers
    lost_kwh: Numbers
    lost_kw: Numbers
    nominal_kwh: Numbers

    def first(self) -> int | None:
        """Row of what has ended, else of what its voltage ends, else of all; there of the least
        hours at 1 C, of equal ones of that which strands most."""
        known = self.stopped | (np.isfinite(self.usable_kwh) & (self.nominal_kwh > 0))
        if not known.any():
            return None
        hours = np.full(self.strings.size, np.inf)
        np.divide(self.usable_kwh, self.nominal_kwh, out=hours, where=known & ~self.stopped)
        hours[self.stopped] = 0.0
        later = np.where(self.stopped, 0, np.where(self.may.part[VOLTAGE] < 1, 1, 2))
        lost_kwh = np.nan_to_num(self.lost_kwh, nan=-1.0)
        return int(np.lexsort((-lost_kwh, hours, np.where(known, later, 3)))[0])

    def held(self) -> int | None:
        """Row that loses most power while it gives some; None where none does."""
        lost = np.where(self.stopped, 0.0, 1.0 - self.may.least) * np.nan_to_num(self.nominal_kwh)
        row = int(np.argmax(lost))
        return row if lost[row] > 0 else None

    def bound(self, row: int, devices: Mapping[int, DeviceLimit], *, ends: bool) -> Bound:
        """ends: what ends the string, else what holds its power back."""
        string, stopped = int(self.strings[row]), bool(self.stopped[row])
        reason, leaf, value, limit = self._why(row, ends and not stopped)
        words = devices[string].words if reason == "device" else ""
        return Bound(string, reason, leaf, value, limit,
                     0.0 if stopped else float(self.may.least[row]),
                     float(self.usable_kwh[row]), float(self.lost_kwh[row]),
                     float(self.lost_kw[row]), words)

    def _why(self, row: int, later: bool) -> tuple[Reason, int, float, float]:
        """later: it still gives something, and either its voltage or its charge will end it."""
        if self.cut[row] != NO_NODE:
            return "contactor", int(self.cut[row]), math.nan, math.nan
        if later and not self.may.part[VOLTAGE, row] < 1:
            leaf = int(self.weakest[row])
            return "soc", leaf, self.frame.value("soc_pct", leaf), end_pct(self.way)
        index = VOLTAGE if later else int(np.nanargmin(self.may.part[:, row]))
        reason = REASONS[index]
        leaf = self.may.leaf(row, reason, self.way)
        return reason, leaf, float(self.may.value[index, row]), float(self.may.limit[index, row])


def _table(topology: Topology, frame: Frame, way: Way, strings: IndexArray, energy: Reach,
           may: Allowance) -> _Table:
    cut = _cut_off(topology, frame, strings, energy)
    stopped: BoolArray = (cut != NO_NODE) | (may.least == 0)
    usable = np.where(stopped, 0.0, energy.usable_kwh[strings])
    nominal_kwh = _nominal(topology, strings)
    held_by_device = np.isfinite(may.part[DEVICE])
    part = np.where(may.blind | held_by_device, np.nan, may.least)
    return _Table(frame, way, strings, may, energy.weakest[strings], cut, stopped, usable,
                  energy.whole_kwh[strings] - usable,
                  (1.0 - np.where(stopped, 0.0, part)) * may.rating * nominal_kwh, nominal_kwh)


def _nominal(topology: Topology, strings: IndexArray) -> Numbers:
    """Nominal energy of the leaves of each string [kWh]."""
    ranges = topology.leaf_ranges
    edges = np.stack((ranges.start[strings], ranges.stop[strings]), axis=1).ravel()
    leaf = ranges.order[edges[0]:edges[-1]]
    found: Numbers = each(np.add, topology.capacity_kwh[leaf].astype(np.float64),
                          edges - edges[0])
    return found


def _cut_off(topology: Topology, frame: Frame, strings: IndexArray,
             energy: Reach) -> IndexArray:
    """int64[k]: an open contactor above a string, its own, or one in series within it."""
    ranges = topology.leaf_ranges
    starts, stops = ranges.start[strings], ranges.stop[strings]
    found = np.full(strings.size, NO_NODE, dtype=np.int64)
    for node in open_contactors(frame).tolist():
        start, stop = ranges.start[node], ranges.stop[node]
        above = (node <= strings) & (start <= starts) & (stop >= stops)
        within = (node > strings) & (start >= starts) & (stop <= stops)
        cut = above | (within & (energy.usable_kwh[strings] == 0))
        found[cut & (found == NO_NODE)] = node
    return found


def _missing(topology: Topology, node: int, may: Allowance) -> tuple[Missing, ...]:
    ranges = topology.leaf_ranges
    leaf = ranges.order[ranges.start[node]:ranges.stop[node]]
    counts = {metric: int(of.missing.sum()) for metric, of in may.spans.items()}
    counts["voltage_v"] += int((topology.level[leaf] != len(topology.levels) - 1).sum())
    counts[CAPACITY] = int(np.isnan(topology.capacity_kwh[leaf]).sum())
    counts[CHEMISTRY] = int((topology.chemistry[leaf] < 0).sum())
    return tuple(Missing(what, count) for what, count in sorted(counts.items()) if count)


def _total(values: Numbers) -> float:
    known = values[np.isfinite(values)]
    return float(known.sum()) if known.size else math.nan
