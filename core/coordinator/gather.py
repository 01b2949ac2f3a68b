"""What can be planned with: a site's packs as columns, and by name each that was left out and why.

A pack is believed where its device is heard, tells its charge and limits, is not stopped, and the
digital twin does not contradict it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np

from core.coordinator.problem import Floats, Packs
from core.coordinator.safe import CUTS, PacksNow, rates
from core.coordinator.usual import CEILING, EFFICIENCY, FLOOR, HEADROOM, MOST_A, MOST_C
from core.coordinator.view import LeftOut
from core.coordinator.wear import BY_CHEMISTRY, PackLife, Wear, wear_of
from core.fleet.ports import PackState
from core.frames import Frame
from core.topology import FloatArray, Topology
from core.twin.tree import PackTable
from core.vocabulary import CHEMISTRIES

STALE_S = 30.0
"""A pack that was measured before is not planned with [s]."""
TWIN_STALE_S = 120.0
"""An older estimate says nothing of the charge now [s]."""
DISAGREES_PCT, SURE_PCT, SIGMAS = 12.0, 6.0, 3.0
"""The twin contradicts a charge where it is as sure as SURE_PCT (one standard deviation) and both
DISAGREES_PCT and SIGMAS away."""
NO_LIVES = ("what a kWh wears is taken by each pack's chemistry: the app's digital twin foretells "
            "the lives of packs, and has told none here")
WORKS: frozenset[str] = frozenset({"normal", "derate"})

Way = Literal["charge", "discharge"]


@dataclass(frozen=True, slots=True)
class Refused:
    """What a pack would not take. most_kw: the magnitude that it goes for instead [kW]."""

    way: Way
    most_kw: float
    why: str
    since: datetime


@dataclass(frozen=True, slots=True)
class TwinSays:
    """What the digital twin knows of packs. soh_pct: by element, where it was judged [%]; lives: by
    element, where they are foretold, None by a twin that foretells none."""

    table: PackTable
    soh_pct: Mapping[str, float] = field(default_factory=dict)
    lives: Mapping[str, PackLife] | None = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """A site at `now`. twin: None where there is none; refused: by device."""

    now: datetime
    states: Sequence[PackState]
    frame: Frame
    topology: Topology
    twin: TwinSays | None = None
    refused: Mapping[str, Refused] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gathered:
    """packs: those to plan with; now: the same for the safety layer; states: theirs, in the same
    order; soc_pct, power_kw: as measured [n]. charge_by, discharge_by: which limit sets what they
    may take and give [n]; wear_by: what their wear comes from [n]. words: what a person should know
    of all of it, "" for nothing."""

    packs: Packs
    now: PacksNow
    states: tuple[PackState, ...]
    soc_pct: Floats
    power_kw: Floats
    charge_by: tuple[str, ...]
    discharge_by: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    words: str = ""
    wear_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    node: int
    capacity_kwh: float
    soc: float
    volts: float
    power_kw: float
    charge_a: float
    discharge_a: float


def gathered(seen: Seen) -> Gathered:
    """The packs of `seen` that can be planned with."""
    twin = _Twin(seen)
    used: list[PackState] = []
    rows: list[_Row] = []
    left_out: list[LeftOut] = []
    for state in seen.states:
        found = _row(state, seen, twin)
        if isinstance(found, str):
            left_out.append(LeftOut(state.device, state.label, found))
        else:
            used.append(state)
            rows.append(found)
    now = _now(used, rows, seen)
    charge_kw, discharge_kw, charge_by, discharge_by = rates(now)
    wear = [twin.wear(state) for state in used]
    packs = Packs(tuple(state.device for state in used), now.capacity_kwh, now.energy_kwh,
                  charge_kw, discharge_kw, now.efficiency,
                  np.array([one.per_kwh for one in wear], dtype=np.float64), now.floor,
                  now.ceiling)
    return Gathered(packs, now, tuple(used), 100.0 * _column(rows, "soc"),
                    _column(rows, "power_kw"), tuple(CUTS[by] for by in charge_by),
                    tuple(CUTS[by] for by in discharge_by), tuple(left_out), twin.words,
                    tuple(one.by for one in wear))


def _now(states: Sequence[PackState], rows: Sequence[_Row], seen: Seen) -> PacksNow:
    capacity, soc = _column(rows, "capacity_kwh"), _column(rows, "soc")
    kinds = [CHEMISTRIES.index(state.chemistry) if state.chemistry in CHEMISTRIES else -1
             for state in states]
    cells = [seen.topology.children(row.node) for row in rows]
    volts, celsius = (_ends(seen.frame.columns[name], cells)
                      for name in ("voltage_v", "temperature_c"))
    # What is measured outside of the band is where the band begins: it may only come back.
    return PacksNow(
        capacity, soc * capacity, np.full(len(rows), EFFICIENCY), np.minimum(FLOOR, soc),
        np.maximum(CEILING, soc), np.full(len(rows), MOST_C), _column(rows, "volts"),
        _column(rows, "charge_a"), _column(rows, "discharge_a"), np.array(kinds, dtype=np.int64),
        volts[0], volts[1], celsius[0], celsius[1])


def _ends(values: FloatArray, parts: Sequence[slice]) -> tuple[Floats, Floats]:
    """Lowest and highest known value of each part, NaN where none is."""
    if not parts:
        return np.empty(0), np.empty(0)
    joined = np.concatenate([values[part] for part in parts]).astype(np.float64)
    firsts = np.cumsum([0, *(part.stop - part.start for part in parts[:-1])])
    return np.fmin.reduceat(joined, firsts), np.fmax.reduceat(joined, firsts)


def _column(rows: Sequence[_Row], name: str) -> Floats:
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)


def _row(state: PackState, seen: Seen, twin: _Twin) -> _Row | str:
    """Its numbers, or why it is left out."""
    trouble = _silence(state, seen.now) or _stopped(state)
    if trouble:
        return trouble
    node = seen.topology.index(state.element)
    told = {name: seen.frame.value(name, node)
            for name in ("soc_pct", "voltage_v", "power_kw")}
    if not 0.0 <= told["soc_pct"] <= 100.0:
        told["soc_pct"] = twin.charge_pct(node)
    if not 0.0 <= told["soc_pct"] <= 100.0:
        return ("it does not say how charged it is, and the digital twin is not sure of it; see "
                "that its estimator runs")
    contradicted = twin.contradicts(node, told["soc_pct"])
    if contradicted:
        return contradicted
    if not state.capacity_kwh or not told["voltage_v"] > 0:
        return "its capacity or its voltage is not known; see its device's settings"
    return _numbers(state, node, told, twin.health(state), seen.refused.get(state.device))


def _silence(state: PackState, now: datetime) -> str:
    if state.link == "offline":
        return "its device is offline; see that it has power and network"
    if state.link == "conflict":
        return "two devices use its id; end one of them"
    if state.heard_at is None:
        return "nothing was heard of it yet"
    silent_s = (now - state.heard_at).total_seconds()
    return "" if silent_s <= STALE_S else (
        f"nothing was heard of it since {state.heard_at:%H:%M:%S} UTC; see that its device runs")


def _stopped(state: PackState) -> str:
    if state.safety not in WORKS:
        why = f" ({state.limit_reason})" if state.limit_reason else ""
        return f"its safety says {state.safety or 'nothing'}{why}; see its page"
    if "stopped: " in state.limit_reason:
        return f"a person has {state.limit_reason}; reset it to plan with it"
    if state.charge_limit_a is None or state.discharge_limit_a is None:
        return "its device has not told what it may take and give"
    return ""


def _numbers(state: PackState, node: int, told: Mapping[str, float], health: float,
             refused: Refused | None) -> _Row:
    volts = told["voltage_v"]
    limit = {"charge": state.charge_limit_a, "discharge": state.discharge_limit_a}
    amperes = {way: HEADROOM * min(MOST_A, most or 0.0) for way, most in limit.items()}
    if refused is not None:
        amperes[refused.way] = min(amperes[refused.way], 1000.0 * refused.most_kw / volts)
    return _Row(node, health * (state.capacity_kwh or 0.0), told["soc_pct"] / 100.0, volts,
                told["power_kw"], amperes["charge"], amperes["discharge"])


class _Twin:
    """What the digital twin says of charges, where it is fresh. words: why it is not used."""

    def __init__(self, seen: Seen) -> None:
        self.words = ""
        self._rows: dict[int, tuple[float, float]] = {}
        self._soh_pct: Mapping[str, float] = {}
        self._lives: Mapping[str, PackLife] = {}
        self._without = BY_CHEMISTRY
        if seen.twin is None or seen.twin.table.time is None:
            return
        table, self._soh_pct = seen.twin.table, seen.twin.soh_pct
        age_s = (seen.now - seen.twin.table.time).total_seconds()
        if age_s > TWIN_STALE_S:
            self.words = (f"the digital twin last looked at {seen.twin.table.time:%H:%M} UTC: "
                          "charges are taken as devices tell them, wear by chemistry; see its page")
            self._without = f"{BY_CHEMISTRY}, for the twin is stale"
            return
        if seen.twin.lives is None:
            self.words = NO_LIVES
        self._lives = seen.twin.lives or {}
        self._rows = {node: (soc, sigma) for node, soc, sigma in zip(
            table.packs.tolist(), table.soc_pct.tolist(), table.soc_sigma_pct.tolist(),
            strict=True)}

    def health(self, state: PackState) -> float:
        """Of the capacity when new: as its device says, else as the twin has judged, else whole."""
        told = state.soh_pct or self._soh_pct.get(state.element, math.nan)
        return min(1.0, told / 100.0) if told > 0 else 1.0

    def wear(self, state: PackState) -> Wear:
        found = wear_of(state.chemistry, self._lives.get(state.element))
        return replace(found, by=self._without) if found.by == BY_CHEMISTRY else found

    def charge_pct(self, node: int) -> float:
        """As it is sure of, NaN where it is not [%]."""
        soc, sigma = self._rows.get(node, (math.nan, math.nan))
        return soc if sigma <= SURE_PCT else math.nan

    def contradicts(self, node: int, soc_pct: float) -> str:
        """In words, "" where it does not."""
        soc, (_, sigma) = self.charge_pct(node), self._rows.get(node, (math.nan, math.nan))
        if math.isnan(soc):
            return ""
        off = abs(soc - soc_pct)
        if off <= max(DISAGREES_PCT, SIGMAS * sigma):
            return ""
        return (f"its device says {soc_pct:.0f} % charged, the digital twin {soc:.0f} %; see its "
                "page of the Digital Twin, and calibrate it")
