"""What the parts of an element are together: sums, weighted means, spreads, energy, wear.

The live part is reckoned from one frame, the history part from stored series of the element's own
power and state of charge. Missing and stale parts stay out, and how much is known is told (law 4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from core.direction import direction
from core.energy import (
    GAP_FACTOR,
    Efficiency,
    Energy,
    closed,
    energy,
    equivalent_full_cycles,
    round_trip_efficiency,
)
from core.frames import Frame
from core.ports import Series
from core.reach import SERIES, Reach, reach
from core.topology import FloatArray, Topology
from core.vocabulary import Direction
from core.worst import Worst, worst

SPREADS = ("voltage_v", "temperature_c", "soc_pct")
HOURS_PER_SECOND = 1 / 3600


@dataclass(frozen=True, slots=True)
class Amount:
    """Energy one way [kWh]. usable_kwh: what comes out of all cells together; whole_kwh: what
    they hold of it, the rest is stranded by weaker ones. known, parts: where one part is not
    known the amounts are those of the others; NaN where no part is, or where parts in series
    all depend on one."""

    usable_kwh: float
    whole_kwh: float
    known: int
    parts: int


@dataclass(frozen=True, slots=True)
class Stock:
    """left: above the floor; room: below the ceiling. hours: to the end that the power goes to
    [h], NaN where it goes to none or not all is known."""

    left: Amount
    room: Amount
    towards: Direction
    hours: float


@dataclass(frozen=True, slots=True)
class Together:
    """Of one element. parts: its children. power_kw: of the element itself, parts_kw: the sum
    of its parts, known_parts: of how many. Means are weighted by capacity, temperature_c is the
    plain mean of the parts. spreads: of what is furthest in, by metric."""

    parts: int
    known_parts: int
    power_kw: float
    parts_kw: float
    capacity_kwh: float
    soc_pct: float
    soh_pct: float
    temperature_c: float
    spreads: Mapping[str, Worst] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Past:
    """Over `hours` [h] of history, `coverage` (0..1) of them known. charged_kwh, discharged_kwh:
    >= 0, NaN unknown. cycles: equivalent full ones, NaN without a capacity."""

    hours: float
    coverage: float
    charged_kwh: float
    discharged_kwh: float
    cycles: float
    efficiency: Efficiency

    @property
    def throughput_kwh(self) -> float:
        return self.charged_kwh + self.discharged_kwh


def together(topology: Topology, frame: Frame, node: int) -> Together:
    """The parts of `node` at the time of `frame`."""
    part = topology.children(node)
    fresh = ~frame.stale[part]
    power = frame.columns["power_kw"][part]
    known = fresh & np.isfinite(power)
    capacity = topology.capacity_kwh[part]
    spreads = {name: found for name in SPREADS
               if (found := worst(topology, frame, node, name)) is not None}
    return Together(
        part.stop - part.start, int(np.count_nonzero(known)), _own(frame, "power_kw", node),
        float(power[known].sum(dtype=np.float64)) if known.any() else math.nan,
        float(topology.capacity_kwh[node]),
        _mean(frame, "soc_pct", part, capacity), _mean(frame, "soh_pct", part, capacity),
        _mean(frame, "temperature_c", part, np.ones(capacity.size, np.float32)), spreads)


def _own(frame: Frame, metric: str, node: int) -> float:
    return math.nan if frame.stale[node] else frame.value(metric, node)


def _mean(frame: Frame, metric: str, part: slice, weight: FloatArray) -> float:
    """Of the fresh and known parts; NaN without any."""
    values = frame.columns[metric][part]
    known = ~frame.stale[part] & np.isfinite(values) & np.isfinite(weight) & (weight > 0)
    if not known.any():
        return math.nan
    return float(np.average(values[known].astype(np.float64), weights=weight[known]))


def stock(topology: Topology, frame: Frame, node: int) -> Stock:
    """What can still be drawn and taken by the model of `core.reach`, whose floor and ceiling
    are those of the safety profile, and how long the present power can last."""
    left, room = (_amount(topology, reach(topology, frame, node, way), node)
                  for way in ("discharge", "charge"))
    power_kw = _own(frame, "power_kw", node)
    towards = direction(power_kw, float(topology.capacity_kwh[node]))
    moving = {"discharging": left, "charging": room}.get(towards)
    complete = moving is not None and moving.known == moving.parts
    hours = moving.usable_kwh / abs(power_kw) if moving is not None and complete else math.nan
    return Stock(left, room, towards, hours)


def _amount(topology: Topology, found: Reach, node: int) -> Amount:
    part = topology.children(node)
    usable, whole = found.usable_kwh[part], found.whole_kwh[part]
    known, parts = np.isfinite(usable), part.stop - part.start
    if math.isfinite(found.usable_kwh[node]) or topology.arrangement[node] == SERIES:
        complete = parts if math.isfinite(found.usable_kwh[node]) else 0
        return Amount(float(found.usable_kwh[node]), float(found.whole_kwh[node]), complete, parts)
    if not known.any():
        return Amount(math.nan, math.nan, 0, parts)
    return Amount(float(usable[known].sum()), float(whole[known].sum()),
                  int(np.count_nonzero(known)), parts)


def past(power: Series, soc: Series, capacity_kwh: float, start_s: float, end_s: float) -> Past:
    """Throughput, cycles and round trip from `start_s` to `end_s` [s since 1970] of series of
    means; the round trip is corrected for the change of the state of charge between the first
    and the last known, or says why there is none. capacity_kwh: nominal [kWh], NaN unknown."""
    hours = (end_s - start_s) * HOURS_PER_SECOND
    flowed = _flowed(power, start_s, end_s)
    charged, discharged, coverage = (float(one[0]) for one in (
        flowed.charged_kwh, flowed.discharged_kwh, flowed.coverage))
    if not capacity_kwh > 0:
        reason = "the capacity is not known"
        return Past(hours, coverage, charged, discharged, math.nan, Efficiency(math.nan, reason))
    known = np.flatnonzero(np.isfinite(soc.mean))
    change_pct = float(soc.mean[known[-1]] - soc.mean[known[0]]) if known.size else math.nan
    return Past(hours, coverage, charged, discharged,
                equivalent_full_cycles(charged, discharged, capacity_kwh),
                round_trip_efficiency(charged, discharged, change_pct, capacity_kwh, coverage))


def _flowed(power: Series, start_s: float, end_s: float) -> Energy:
    times, values = closed(power.time_s, power.mean, power.resolution_s, power.known_s)
    return energy(times, values, [start_s, end_s], GAP_FACTOR * power.resolution_s,
                  power.resolution_s)
