"""How every pack stands, as columns: a thousand of them are judged, sorted and filtered as
arrays, and only the rows of one screen become words. No Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.direction import direction_codes
from core.engine import Snapshot
from core.fleet.called import names_of
from core.fleet.messages import SafetyState
from core.fleet.ports import GONE, PackState
from core.safety.margins import shares, trip_limits
from core.topology import Topology
from core.twin.interval import UNKNOWN, Interval
from core.twin.study import Judged
from core.vocabulary import CHEMISTRIES

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Numbers = NDArray[np.int64]

NO_NODE = -1
NOT_JUDGED: Mapping[str, Judged] = {}
TRIPPED: frozenset[SafetyState] = frozenset({"opening", "latched"})
LIMITED: frozenset[SafetyState] = frozenset({"derate", "zero"})
SAFETY: Mapping[SafetyState | None, tuple[str, str]] = {
    "normal": ("verified_user", "Normal"), "derate": ("speed", "Derated"),
    "zero": ("block", "At 0 A"), "opening": ("link_off", "Opening"),
    "latched": ("error", "Tripped"), "unguarded": ("gpp_maybe", "Unguarded"),
    None: ("help", "Not known")}
WHICH = ("highest", "lowest", "hottest", "coldest")
"""In the order of `core.safety.margins`."""


@dataclass(frozen=True, slots=True)
class Standings:
    """Columns over n packs in the order of `packs`; NaN where something is not known (law 4).

    names: as a person calls them. node: place in the tree, NO_NODE where it has none. silent: not
    heard within its time, or its device is offline. extremes: float64[4, n] over its cells in the
    order of WHICH [V, V, °C, °C]; limits: where its safety trips them, by its direction now;
    margin: how much of the window to that limit is left, 1 = all of it, below 0 = beyond it.
    soh_pct: as the device tells it, else as the twin estimates it; soh_off_pct: half of the
    interval of an estimate, NaN of what a device tells.
    """

    packs: Sequence[PackState]
    names: Sequence[str]
    node: Numbers
    tier: NDArray[np.int8]
    alarms: NDArray[np.int32]
    silent: Bools
    age_s: Floats
    power_kw: Floats
    soc_pct: Floats
    soh_pct: Floats
    soh_off_pct: Floats
    temperature_c: Floats
    direction: NDArray[np.uint8]
    extremes: Floats
    limits: Floats
    margin: Floats

    @property
    def least_margin(self) -> Floats:
        """Of its four extremes, float64[n]."""
        return np.fmin.reduce(self.margin, axis=0)

    def of(self, states: Iterable[SafetyState]) -> Bools:
        """Which packs are in one of `states`."""
        wanted = set(states)
        return np.array([pack.safety in wanted for pack in self.packs], dtype=np.bool_)


def standings(topology: Topology, snapshot: Snapshot, packs: Sequence[PackState],
              now: datetime, judged: Mapping[str, Judged] = NOT_JUDGED) -> Standings:
    """Of `packs` as they stand at `now`. judged: by the digital twin, by element."""
    node = np.array([topology.index_of_id.get(pack.element, NO_NODE) for pack in packs],
                    dtype=np.int64)
    there = node != NO_NODE
    frame = snapshot.frame
    age_s = np.array([math.nan if pack.heard_at is None else
                      (now - pack.heard_at).total_seconds() for pack in packs])
    gone = np.array([pack.link in GONE for pack in packs], dtype=np.bool_)
    low_v, high_v = _extremes(topology, frame.columns["voltage_v"], node)
    cold_c, hot_c = _extremes(topology, frame.columns["temperature_c"], node)
    extremes = np.stack((high_v, low_v, hot_c, cold_c))
    limits = trip_limits(np.array([chemistry_index(pack.chemistry) for pack in packs]),
                         _at(frame.columns["current_a"], node))
    power_kw = _at(frame.columns["power_kw"], node)
    capacity = np.array([_number(pack.capacity_kwh) for pack in packs])
    soh_pct, soh_off_pct = _health(packs, judged)
    silent = gone | ~np.isfinite(age_s) | np.where(there, frame.stale[node], True)
    power_kw = np.where(silent, np.nan, power_kw)
    names = names_of(packs)
    return Standings(
        packs, [names[pack.site, pack.device] for pack in packs], node,
        np.where(there, snapshot.alarms.worst_tier[node], 0).astype(np.int8),
        np.where(there, snapshot.alarms.count[node], 0).astype(np.int32), silent, age_s,
        power_kw, _at(frame.columns["soc_pct"], node), soh_pct, soh_off_pct,
        _at(frame.columns["temperature_c"], node), direction_codes(power_kw, capacity),
        extremes, limits, shares(extremes, limits))


def estimated_soh(pack: PackState, judged: Mapping[str, Judged]) -> Interval:
    """Of the digital twin [%], UNKNOWN where the device tells its own or there is none."""
    found = judged.get(pack.element)
    if found is None or math.isfinite(_number(pack.soh_pct)):
        return UNKNOWN
    return found.soh.times(100.0)


def _health(packs: Sequence[PackState], judged: Mapping[str, Judged]) -> tuple[Floats, Floats]:
    """Per pack its health and how far off that may be [%]."""
    told = np.array([_number(pack.soh_pct) for pack in packs])
    own = [estimated_soh(pack, judged) for pack in packs]
    half = np.array([0.5 * (one.high - one.low) for one in own])
    return np.where(np.isfinite(told), told, [one.value for one in own]), half


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _at(column: NDArray[np.float32], node: Numbers) -> Floats:
    return np.where(node != NO_NODE, column[node], np.nan).astype(np.float64)


def _extremes(topology: Topology, column: NDArray[np.float32],
              node: Numbers) -> tuple[Floats, Floats]:
    """Lowest and highest known value among the cells of each pack; they lie side by side."""
    nothing = np.full(node.shape, np.nan)
    has = (node != NO_NODE) & (topology.child_count[node] > 0)
    if not has.any():
        return nothing, nothing.copy()
    first = topology.first_child[node[has]]
    bounds = np.stack((first, first + topology.child_count[node[has]]), axis=1).ravel()
    if bounds[-1] == column.size:
        bounds = bounds[:-1]
    elif bounds.max() == column.size:
        column = np.append(column, np.float32(np.nan))
    low, high = nothing, nothing.copy()
    low[has] = np.fmin.reduceat(column, bounds)[::2]
    high[has] = np.fmax.reduceat(column, bounds)[::2]
    return low, high


def chemistry_index(name: str) -> int:
    """-1 for one that is not known."""
    return CHEMISTRIES.index(name) if name in CHEMISTRIES else -1


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to see. text: part of a name, site or firmware; states: of STATES,
    chemistries: () for all. sort: of SORTS."""

    text: str = ""
    states: tuple[str, ...] = ()
    chemistries: tuple[str, ...] = ()
    sort: str = "alarms"


STATES: Mapping[str, str] = {"alarmed": "Alarmed", "limited": "Limited", "tripped": "Tripped",
                             "silent": "Silent"}
SORTS: Mapping[str, str] = {
    "alarms": "Alarmed first", "name": "Name", "charge": "Lowest charge",
    "health": "Lowest health", "power": "Most power", "cell": "Worst cell",
    "temperature": "Hottest", "age": "Oldest message", "missing": "Most missing"}


def wanted(all_: Standings, wish: Wish) -> Numbers:
    """Places of the packs that `wish` names, in its order."""
    keep = np.ones(len(all_.packs), dtype=np.bool_)
    if wish.states:
        of = {"alarmed": all_.tier > 1, "limited": all_.of(LIMITED),
              "tripped": all_.of(TRIPPED), "silent": all_.silent}
        keep &= np.logical_or.reduce([of[state] for state in wish.states])
    if wish.chemistries:
        keep &= np.array([pack.chemistry in wish.chemistries for pack in all_.packs], np.bool_)
    word = wish.text.strip().casefold()
    if word:
        keep &= np.array([word in " ".join((name, pack.device, pack.site, pack.firmware,
                                            pack.chemistry)).casefold()
                          for name, pack in zip(all_.names, all_.packs, strict=True)], np.bool_)
    order = _order(all_, wish.sort)
    return order[keep[order]]


def _order(all_: Standings, sort: str) -> Numbers:
    """Stable; what is not known comes last."""
    if sort == "name":
        return np.array(sorted(range(len(all_.packs)), key=all_.names.__getitem__),
                        dtype=np.int64)
    if sort == "alarms":
        return np.lexsort((-all_.alarms, ~all_.of(TRIPPED), -all_.tier, all_.silent))
    by = {"charge": all_.soc_pct, "health": all_.soh_pct, "power": -np.abs(all_.power_kw),
          "cell": all_.least_margin, "temperature": -all_.temperature_c, "age": -all_.age_s,
          "missing": -np.array([pack.missing for pack in all_.packs], dtype=np.float64)}
    return np.argsort(by[sort], kind="stable")
