"""What can be planned with: a site's packs as columns, and by name each that was left out and why.

A pack is believed where its device is heard, tells its charge and limits, is not stopped, and the
digital twin does not contradict it. What the twin estimates of its charge, capacity and resistance
narrows what it is planned with; its device's limits hold whatever the twin says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np

from core.coordinator.problem import Floats, Packs
from core.coordinator.safe import CUTS, TWIN, Codes, PacksNow, rates
from core.coordinator.twin_power import Cells, power_to_voltage_kw
from core.coordinator.twin_word import TwinWord
from core.coordinator.usual import CEILING, EFFICIENCY, FLOOR, HEADROOM, MOST_A, MOST_C
from core.coordinator.view import LeftOut
from core.coordinator.wear import PackLife
from core.fleet.ports import PackState
from core.frames import Frame
from core.topology import FloatArray, Topology
from core.twin.interval import Interval
from core.twin.tree import PackTable
from core.vocabulary import CHEMISTRIES

STALE_S = 30.0
"""A pack that was measured before is not planned with [s]."""
LEAST_TOLD = 0.005
"""A part of capacity that is less is not worth a word."""
MIDDLE = (FLOOR + CEILING) / 2.0
"""Of a plan, which passes through all charges, the voltage limit counts there; at the present one
it counts now."""
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
    element, where they are foretold, None by a twin that foretells none; capacity: by element, as
    it found it, share of the rated one."""

    table: PackTable
    soh_pct: Mapping[str, float] = field(default_factory=dict)
    lives: Mapping[str, PackLife] | None = field(default_factory=dict)
    capacity: Mapping[str, Interval] = field(default_factory=dict)

    def at(self, now: datetime) -> TwinWord:
        """What it says then."""
        return TwinWord(self.table, self.soh_pct, self.capacity, self.lives, now)


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
    of all of it, "" for nothing. narrowed: those that are planned with for less than their devices
    say, and why."""

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
    narrowed: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """more_told: how much more charge its device tells than the twin believes, a part of
    capacity, below 0 less; twin_soc: its charge as the twin is sure of, else as told; resistance:
    as the twin is sure of, NaN where it is not; less: why its capacity is less than told."""

    node: int
    rated_kwh: float
    capacity_kwh: float
    soc: float
    volts: float
    power_kw: float
    charge_a: float
    discharge_a: float
    more_told: float
    twin_soc: float
    resistance: float
    less: str


def gathered(seen: Seen) -> Gathered:
    """The packs of `seen` that can be planned with."""
    twin = TwinWord(None, {}, {}, {}, seen.now) if seen.twin is None else seen.twin.at(seen.now)
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
    ahead = _with_twin(now, rows, np.full(len(rows), MIDDLE))
    charge_kw, discharge_kw, charge_by, discharge_by = rates(ahead)
    wear = [twin.wear(state) for state in used]
    packs = Packs(tuple(state.device for state in used), now.capacity_kwh, now.energy_kwh,
                  charge_kw, discharge_kw, now.efficiency,
                  np.array([one.per_kwh for one in wear], dtype=np.float64), now.floor,
                  now.ceiling)
    narrowed = [LeftOut(state.device, state.label, why) for place, state in enumerate(used)
                if (why := _narrowed(place, rows[place], packs, charge_by, discharge_by))]
    return Gathered(packs, _with_twin(now, rows, _column(rows, "twin_soc")), tuple(used),
                    100.0 * _column(rows, "soc"), _column(rows, "power_kw"),
                    tuple(CUTS[by] for by in charge_by), tuple(CUTS[by] for by in discharge_by),
                    tuple(left_out), twin.words, tuple(one.by for one in wear), tuple(narrowed))


def _now(states: Sequence[PackState], rows: Sequence[_Row], seen: Seen) -> PacksNow:
    capacity, soc = _column(rows, "capacity_kwh"), _column(rows, "soc")
    more_told = _column(rows, "more_told")
    kinds = [CHEMISTRIES.index(state.chemistry) if state.chemistry in CHEMISTRIES else -1
             for state in states]
    cells = [seen.topology.children(row.node) for row in rows]
    volts, celsius = (_ends(seen.frame.columns[name], cells)
                      for name in ("voltage_v", "temperature_c"))
    # What is measured outside of the band is where the band begins: it may only come back.
    return PacksNow(
        capacity, soc * capacity, np.full(len(rows), EFFICIENCY),
        np.minimum(FLOOR + np.maximum(more_told, 0.0), soc),
        np.maximum(CEILING + np.minimum(more_told, 0.0), soc), np.full(len(rows), MOST_C),
        _column(rows, "volts"), _column(rows, "charge_a"), _column(rows, "discharge_a"),
        np.array(kinds, dtype=np.int64), volts[0], volts[1], celsius[0], celsius[1])


def _with_twin(now: PacksNow, rows: Sequence[_Row], charge: Floats) -> PacksNow:
    """With what the twin leaves of power at a charge, parts of capacity [n]."""
    if now.chemistry is None or now.cold_c is None:
        return now
    cells = Cells(now.chemistry, _column(rows, "rated_kwh"), charge,
                  _column(rows, "resistance"), now.cold_c)
    return replace(now, twin_charge_kw=power_to_voltage_kw(cells, "charge"),
                   twin_discharge_kw=power_to_voltage_kw(cells, "discharge"))


def _narrowed(place: int, row: _Row, packs: Packs, charge_by: Codes, discharge_by: Codes) -> str:
    """Why a pack is planned with for less than its device says, "" where it is not."""
    told = [row.less] if row.less else []
    if abs(row.more_told) >= LEAST_TOLD:
        end, at = ("emptied below", packs.floor) if row.more_told > 0 else (
            "filled above", packs.ceiling)
        told.append(f"its device says {100.0 * row.soc:.0f} % charged, the digital twin "
                    f"{100.0 * row.twin_soc:.0f} %: it is not {end} {100.0 * at[place]:.0f} %")
    for way, by, kw in (("charges", charge_by, packs.charge_kw),
                        ("discharges", discharge_by, packs.discharge_kw)):
        if by[place] == TWIN:
            told.append(f"it {way} by {kw[place]:.1f} kW at most: with {row.resistance:.1f} times "
                        "a new cell's resistance, as the digital twin finds, and as cold as its "
                        "cells are, they meet their voltage limit there")
    return "; ".join(told)


def _ends(values: FloatArray, parts: Sequence[slice]) -> tuple[Floats, Floats]:
    """Lowest and highest known value of each part, NaN where none is."""
    if not parts:
        return np.empty(0), np.empty(0)
    joined = np.concatenate([values[part] for part in parts]).astype(np.float64)
    firsts = np.cumsum([0, *(part.stop - part.start for part in parts[:-1])])
    return np.fmin.reduceat(joined, firsts), np.fmax.reduceat(joined, firsts)


def _column(rows: Sequence[_Row], name: str) -> Floats:
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)


def _row(state: PackState, seen: Seen, twin: TwinWord) -> _Row | str:
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
    return _numbers(state, node, told, twin, seen.refused.get(state.device))


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


def _numbers(state: PackState, node: int, told: Mapping[str, float], twin: TwinWord,
             refused: Refused | None) -> _Row:
    volts, soc_pct, rated_kwh = told["voltage_v"], told["soc_pct"], state.capacity_kwh or 0.0
    limit = {"charge": state.charge_limit_a, "discharge": state.discharge_limit_a}
    amperes = {way: HEADROOM * min(MOST_A, most or 0.0) for way, most in limit.items()}
    if refused is not None:
        amperes[refused.way] = min(amperes[refused.way], 1000.0 * refused.most_kw / volts)
    health, less = twin.health(state)
    sure_pct = twin.charge_pct(node)
    return _Row(node, rated_kwh, health * rated_kwh, soc_pct / 100.0, volts, told["power_kw"],
                amperes["charge"], amperes["discharge"],
                twin.more_told_pct(node, soc_pct) / 100.0,
                (soc_pct if math.isnan(sure_pct) else sure_pct) / 100.0, twin.resistance(node),
                less)
