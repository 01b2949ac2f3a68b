"""What part of its power a string is allowed now: the ladder of `core.safety` without its memory.

Its power is 1 C of its nominal energy, or what its device allows while it holds nothing back, if
that is less. The part falls from 1 at a cell's information limit to 0 at its warning limit, by
the shapes of profiles/safety.yaml, with the limits of profiles/safe_operating_area.yaml for the
string's chemistry and the way the power would flow. The worst cell of a string sets it. What a
device that holds back allows counts too, at the string's voltage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.frames import Frame
from core.limits import safe_operating_area
from core.reach import Numbers, Way, end_pct
from core.safety.profile import Polyline, safety_profile
from core.topology import IndexArray, Topology
from core.worst import NO_NODE, BoolArray, Spans, spans

Reason = Literal["voltage", "hot", "cold", "soc", "device", "contactor"]
REASONS: tuple[Reason, ...] = ("voltage", "hot", "cold", "soc", "device")
METRIC: Mapping[str, str] = {"voltage": "voltage_v", "hot": "temperature_c",
                             "cold": "temperature_c", "soc": "soc_pct"}
DEVICE = REASONS.index("device")


@dataclass(frozen=True, slots=True)
class DeviceLimit:
    """What the device of an element says. allowed_a: magnitude [A]; words: why. holds: its
    safety holds it back; else what it allows is its rating."""

    allowed_a: float
    words: str = ""
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Allowance:
    """Of k strings. value, limit, part: float64[5, k] in the order of REASONS: what is judged,
    where the current ends, and the part that is allowed, 0..1 (of a device: part of 1 C); NaN
    where it is not known. blind: bool[k], something that could allow less is not known. rating:
    float64[k], its power as a part of 1 C, 0..1. spans: by metric.
    """

    value: Numbers
    limit: Numbers
    part: Numbers
    blind: BoolArray
    rating: Numbers
    spans: Mapping[str, Spans]

    @property
    def least(self) -> Numbers:
        """What all that is known allows, float64[k]; 1 where nothing is known."""
        ones = np.ones((1, self.part.shape[1]))
        found: Numbers = np.fmin.reduce(np.vstack((self.part, ones)), axis=0)
        return found

    def leaf(self, row: int, reason: Reason, way: Way) -> int:
        """Who has the value that is judged; NO_NODE of a device."""
        of = self.spans[METRIC[reason]].at(row) if reason in METRIC else None
        if of is None:
            return NO_NODE
        return of.high_node if is_upper(reason, way) else of.low_node


def allowance(topology: Topology, frame: Frame, strings: IndexArray, way: Way,
              devices: Mapping[int, DeviceLimit]) -> Allowance:
    """Of `strings` in leaf order, none within another. devices: by element, for this way."""
    of = {metric: spans(topology, frame, strings, metric) for metric in set(METRIC.values())}
    first = topology.leaf_ranges.order[topology.leaf_ranges.start[strings]]
    chemistry = topology.chemistry[first].astype(np.int64)
    shape = (len(REASONS), strings.size)
    value, limit, part = (np.full(shape, np.nan) for _ in range(3))
    for row, reason in enumerate(REASONS[:DEVICE]):
        one = of[METRIC[reason]]
        value[row] = one.high if is_upper(reason, way) else one.low
        start, limit[row] = window(reason, way, chemistry)
        part[row] = along(shape_of(reason), (value[row] - start) / (limit[row] - start))
    rating = np.ones(strings.size)
    for row, node in enumerate(strings.tolist() if devices else ()):
        told = devices.get(node)
        if told is not None and (told.holds or told.allowed_a == 0):
            value[DEVICE, row] = told.allowed_a
            part[DEVICE, row] = _allowed_by(topology, frame, node, told.allowed_a)
        elif told is not None:
            rating[row] = np.nan_to_num(_allowed_by(topology, frame, node, told.allowed_a),
                                        nan=1.0)
    blind = np.isnan(part[:DEVICE]).any(axis=0)
    for one in of.values():
        blind |= one.missing > 0
    return Allowance(value, limit, part, blind, rating, of)


def is_upper(reason: Reason, way: Way) -> bool:
    """Whether the highest cell is the worst."""
    return reason == "hot" or (reason != "cold" and way == "charge")


def window(reason: Reason, way: Way, chemistry: IndexArray) -> tuple[Numbers, Numbers]:
    """Where the current begins to be cut and where it ends; NaN for an unknown chemistry."""
    if reason == "soc":
        profile = safety_profile()
        tiers = profile.soc_min_pct if way == "discharge" else profile.soc_max_pct
        return np.full(chemistry.size, tiers[0]), np.full(chemistry.size, end_pct(way))
    name = f"{way}_temperature_{'max' if reason == 'hot' else 'min'}_c"
    if reason == "voltage":
        name = "voltage_min_v" if way == "discharge" else "voltage_max_v"
    table = safe_operating_area().table(name).astype(np.float64)
    rows = np.vstack((table, np.full(table.shape[1], np.nan)))[chemistry]
    return rows[:, 0], rows[:, 1]


def shape_of(reason: Reason) -> Polyline:
    """Part allowed, from the information limit (0) to the warning limit (1)."""
    shapes = safety_profile().derating
    if reason == "voltage":
        return shapes.voltage_shape
    return shapes.soc_shape if reason == "soc" else shapes.temperature_shape


def along(shape: Polyline, way: Numbers) -> Numbers:
    """The part at `way`, NaN where that is NaN."""
    ways, parts = zip(*shape, strict=True)
    found: Numbers = np.interp(way, ways, parts)
    return found


def _allowed_by(topology: Topology, frame: Frame, node: int, allowed_a: float) -> float:
    """Part of 1 C of what a device allows; NaN where voltage or capacity is not known."""
    if allowed_a == 0:
        return 0.0
    volts = math.nan if frame.stale[node] else frame.value("voltage_v", node)
    capacity_kwh = float(topology.capacity_kwh[node])
    if not (allowed_a > 0 and volts > 0 and capacity_kwh > 0):
        return math.nan
    return min(1.0, allowed_a * volts / 1000.0 / capacity_kwh)
