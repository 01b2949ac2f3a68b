"""What the spheres are coloured by: one value an element, its unit, and the ends of the colours.

Cells count as themselves. A parent has the value of its own reading, but for voltage the mean
cell voltage below it, because parents differ in how many cells they hold in series, and for a
deviation that of its cell that is farthest off, with its sign (law 7).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from core.below import Below
from core.deviation import deviations
from core.engine import Snapshot
from core.frames import Frame
from core.topology import FloatArray, IndexArray, Topology

Kind = Literal["flow", "sequential", "diverging", "alarm"]
Ends = tuple[float, float]
Number = TypeVar("Number", float, FloatArray)

LOW_SHARE, HIGH_SHARE = 2.0, 98.0
"""Percentiles at which the colours end: a single odd reading must not use them all up."""
FAHRENHEIT_PER_KELVIN = 1.8


@dataclass(frozen=True, slots=True)
class Colouring:
    """metric: column of the frame. scale: from its unit into `unit`. narrowest: the least
    distance between the ends of the colours, in `unit`; bounds: where they stop at the latest.
    factor, offset: from what `values` tells into `unit`, 1 and 0 but for °F."""

    by: str
    label: str
    unit: str
    kind: Kind
    metric: str = ""
    scale: float = 1.0
    decimals: int = 0
    narrowest: float = 1.0
    bounds: Ends = (-math.inf, math.inf)
    factor: float = 1.0
    offset: float = 0.0


COLOURINGS: Mapping[str, Colouring] = {one.by: one for one in (
    Colouring("state", "Charging, discharging", "kW", "flow", "power_kw"),
    Colouring("soc_pct", "State of charge", "%", "sequential", "soc_pct", narrowest=2.0,
              bounds=(0.0, 100.0)),
    Colouring("temperature_c", "Temperature", "°C", "sequential", "temperature_c", decimals=1,
              narrowest=2.0),
    Colouring("voltage_v", "Cell voltage", "V", "sequential", "voltage_v", decimals=3,
              narrowest=0.02, bounds=(0.0, math.inf)),
    Colouring("soh_pct", "State of health", "%", "sequential", "soh_pct", decimals=1,
              narrowest=1.0, bounds=(0.0, math.inf)),
    Colouring("deviation_voltage_v", "Voltage off the rack's median", "mV", "diverging",
              "voltage_v", 1000.0, 0, 10.0),
    Colouring("deviation_temperature_c", "Temperature off the rack's median", "K", "diverging",
              "temperature_c", 1.0, 1, 2.0),
    Colouring("deviation_soc_pct", "State of charge off the rack's median", "%", "diverging",
              "soc_pct", 1.0, 1, 2.0),
    Colouring("age_s", "Age of the data", "s", "sequential", "age_s", 1.0, 0, 10.0,
              (0.0, math.inf)),
    Colouring("alarm", "Alarm", "", "alarm"),
)}


def values(rows: Below, snapshot: Snapshot, by: str) -> FloatArray:
    """float32[k] in the unit of `COLOURINGS[by]`; NaN where stale or unknown. The age of what
    is stale is known; an alarm is its tier, 0 to 3; "state" is the power [kW]."""
    one, frame = COLOURINGS[by], snapshot.frame
    if one.kind == "alarm":
        return rows.take(snapshot.alarms.worst_tier).astype(np.float32)
    if by == "age_s":
        return rows.take(frame.age_s)
    if one.kind == "diverging":
        found = _farthest(rows, frame, one.metric) * np.float32(one.scale)
    elif by == "voltage_v":
        found = _cell_mean(rows, frame, one.metric)
    else:
        found = rows.take(frame.columns[one.metric])
    return np.where(rows.take(frame.stale), np.float32(np.nan), found)


def ends(one: Colouring, shown: FloatArray, chosen: Ends | None = None) -> Ends | None:
    """Where the colours end: as chosen, else from the 2nd to the 98th percentile, outwards to
    round numbers, so that they stand still while values move; never a single number. A
    diverging range has 0 in its middle. None where nothing has a colour of its own."""
    if one.kind in ("flow", "alarm"):
        return None
    if chosen is not None:
        return chosen
    known = shown[np.isfinite(shown)]
    if not known.size:
        return None
    low, high = (float(end) for end in np.percentile(known, (LOW_SHARE, HIGH_SHARE)))
    if one.kind == "diverging":
        reach = _round_up(max(abs(low), abs(high), one.narrowest / 2))
        return -reach, reach
    missing = max(one.narrowest - (high - low), 0.0) / 2
    low, high = _outwards(low - missing, high + missing)
    return max(low, one.bounds[0]), min(high, one.bounds[1])


def _outwards(low: float, high: float) -> Ends:
    step = _round_up((high - low) / 10)
    return (round(math.floor(low / step + 1e-6) * step, 9),
            round(math.ceil(high / step - 1e-6) * step, 9))


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... that is not below `value` > 0."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-6)) * power


def in_fahrenheit(one: Colouring) -> Colouring:
    """The same quantity as those who think in °F read it; others as they are."""
    if one.metric != "temperature_c":
        return one
    factor, offset = FAHRENHEIT_PER_KELVIN, 0.0 if one.kind == "diverging" else 32.0
    return replace(one, unit="°F", factor=factor, offset=offset, narrowest=one.narrowest * factor)


def on_screen(one: Colouring, value: Number) -> Number:
    """From the unit of `values` into that of `one`."""
    return value * one.factor + one.offset


def off_screen(one: Colouring, value: float) -> float:
    """Back again."""
    return (value - one.offset) / one.factor


def fahrenheit(celsius: FloatArray) -> FloatArray:
    return celsius * FAHRENHEIT_PER_KELVIN + 32.0


def _all_parts(rows: Below) -> list[slice]:
    return rows.topology.descendants(rows.place)


def _cells_of(topology: Topology, part: slice) -> IndexArray:
    """Nodes of a part that are cells: leaves of the last level."""
    found: IndexArray = part.start + np.flatnonzero(
        (topology.child_count[part] == 0) & (topology.level[part] == len(topology.levels) - 1))
    return found


def _farthest(rows: Below, frame: Frame, metric: str) -> FloatArray:
    """The deviation of each row's cells that is largest in magnitude, with its sign."""
    topology, parts = rows.topology, _all_parts(rows)
    found: list[FloatArray] = []
    inner: FloatArray | None = None
    for part in reversed(parts):
        own = np.full(part.stop - part.start, np.nan, dtype=np.float32)
        cells = _cells_of(topology, part)
        if cells.size:
            own[cells - part.start] = deviations(topology, frame, cells, metric)
        if inner is not None:
            parents, starts = _segments(topology, part)
            low, high = (edge.reduceat(inner, starts) for edge in (np.fmin, np.fmax))
            own[parents] = np.where(-low > high, low, high)
        inner = own
        found.append(own)
    return _rows_of(rows, found[::-1])


def _cell_mean(rows: Below, frame: Frame, metric: str) -> FloatArray:
    """The mean of the fresh cells of each row; its own value where nothing shown has cells."""
    topology = rows.topology
    column, stale = frame.columns[metric], frame.stale
    found: list[FloatArray] = []
    total = count = None
    for part in reversed(_all_parts(rows)):
        own, cells = column[part], _cells_of(topology, part) - part.start
        known = np.zeros(own.size, dtype=bool)
        known[cells] = np.isfinite(own[cells]) & ~stale[part][cells]
        sums, counts = np.where(known, own, np.float32(0)), known.astype(np.float32)
        if total is not None and count is not None:
            parents, starts = _segments(topology, part)
            sums[parents] = np.add.reduceat(total, starts)
            counts[parents] = np.add.reduceat(count, starts)
        total, count = sums, counts
        mean = np.full(own.size, np.nan, dtype=np.float32)
        found.append(np.divide(sums, counts, out=mean, where=counts > 0))
    means = _rows_of(rows, found[::-1])
    return means if np.isfinite(means).any() else rows.take(column)


def _segments(topology: Topology, part: slice) -> tuple[IndexArray, IndexArray]:
    """Rows of a part that have children, and where those begin in the next part."""
    parents: IndexArray = np.flatnonzero(topology.child_count[part] > 0)
    first: IndexArray = topology.first_child[part][parents]
    return parents, first - first[0]


def _rows_of(rows: Below, parts: list[FloatArray]) -> FloatArray:
    """The shown rows of what was reckoned for all tiers below the place."""
    shown = [values[: part.stop - part.start] for values, part in zip(parts, rows.parts,
                                                                      strict=False)]
    return np.concatenate([np.zeros(0, np.float32), *shown])
