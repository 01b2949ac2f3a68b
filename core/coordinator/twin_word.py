"""What the digital twin says of packs that a coordinator plans with: it narrows what a device tells
and allows, and never widens it. A stale twin says nothing, and that is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from core.coordinator.wear import BY_CHEMISTRY, PackLife, Wear, wear_of
from core.fleet.ports import PackState
from core.twin.interval import UNKNOWN, Interval
from core.twin.tree import PackTable
from core.twin.trend import TOLD_CAPACITY

STALE_S = 120.0
"""An older estimate says nothing of a pack now [s]."""
DISAGREES_PCT, SURE_PCT, SIGMAS = 12.0, 6.0, 3.0
"""The twin contradicts a charge where it is as sure as SURE_PCT (one standard deviation) and both
DISAGREES_PCT and SIGMAS away."""
DOUBTED_SIGMAS = 2.0
"""What is further off than that is taken off the charge that may be used."""
SURE_RESISTANCE = 0.3
"""A resistance with a greater standard deviation says nothing of a power."""
NO_LIVES = ("what a kWh wears is taken by each pack's chemistry: the app's digital twin foretells "
            "the lives of packs, and has told none here")
NO_HEALTH = ("capacities are taken as devices tell them: the app's digital twin finds them, and "
             "has told none here")


class Cell(NamedTuple):
    """The mean cell of a pack, NaN = not known: charge [%], resistance (a multiple of a new
    cell's), each with one standard deviation."""

    soc_pct: float
    soc_sigma_pct: float
    resistance: float
    resistance_sigma: float


NOTHING = Cell(math.nan, math.nan, math.nan, math.nan)


class TwinWord:
    """Of one site at `now`. words: what a person should know of it, "" for nothing."""

    def __init__(self, table: PackTable | None, soh_pct: Mapping[str, float],
                 capacity: Mapping[str, Interval], lives: Mapping[str, PackLife] | None,
                 now: datetime) -> None:
        """table: None without a twin; the others by element, lives None where none are
        foretold."""
        self.words = ""
        self._cells: dict[int, Cell] = {}
        self._soh_pct: Mapping[str, float] = {}
        self._capacity: Mapping[str, Interval] = {}
        self._lives: Mapping[str, PackLife] = {}
        self._without = BY_CHEMISTRY
        if table is None or table.time is None:
            return
        if (now - table.time).total_seconds() > STALE_S:
            self.words = (f"the digital twin last looked at {table.time:%H:%M} UTC: charges, "
                          "capacities and limits are taken as devices tell them, wear by "
                          "chemistry; see its page")
            self._without = f"{BY_CHEMISTRY}, for the twin is stale"
            return
        if lives is None:  # a twin without a history, which is told by another
            healthy = any(map(math.isfinite, soh_pct.values())) or any(
                one.known for one in capacity.values())
            self.words = NO_LIVES if healthy else f"{NO_LIVES}; {NO_HEALTH}"
        self._soh_pct, self._capacity, self._lives = soh_pct, capacity, lives or {}
        self._cells = {node: Cell(*cell) for node, *cell in zip(
            table.packs.tolist(), table.soc_pct.tolist(), table.soc_sigma_pct.tolist(),
            table.resistance.tolist(), table.resistance_sigma.tolist(), strict=True)}

    def _cell(self, node: int) -> Cell:
        return self._cells.get(node, NOTHING)

    def health(self, state: PackState) -> tuple[float, str]:
        """Of the capacity when new: as its device says, else as the twin has judged, else whole;
        less where the twin is sure to have found less. Why it is less than its device says, ""
        where it is not."""
        own = state.soh_pct is not None and state.soh_pct > 0
        told = state.soh_pct if own else self._soh_pct.get(state.element)
        share = min(1.0, told / 100.0) if told is not None and told > 0 else 1.0
        found = self._capacity.get(state.element, UNKNOWN)
        if not (found.known and 0.0 < found.value and found.high < share
                and found.sigma <= TOLD_CAPACITY * found.value):
            return share, ""
        whose = "its device says" if own else "it is taken for"
        return found.value, (f"{whose} {100.0 * share:.0f} % healthy, the digital twin finds "
                             f"{100.0 * found.value:.0f} % of its capacity")

    def wear(self, state: PackState) -> Wear:
        found = wear_of(state.chemistry, self._lives.get(state.element))
        return replace(found, by=self._without) if found.by == BY_CHEMISTRY else found

    def charge_pct(self, node: int) -> float:
        """As it is sure of, NaN where it is not [%]."""
        cell = self._cell(node)
        return cell.soc_pct if cell.soc_sigma_pct <= SURE_PCT else math.nan

    def contradicts(self, node: int, soc_pct: float) -> str:
        """In words, "" where it does not."""
        soc = self.charge_pct(node)
        if math.isnan(soc):
            return ""
        off = abs(soc - soc_pct)
        if off <= max(DISAGREES_PCT, SIGMAS * self._cell(node).soc_sigma_pct):
            return ""
        return (f"its device says {soc_pct:.0f} % charged, the digital twin {soc:.0f} %; see its "
                "page of the Digital Twin, and calibrate it")

    def more_told_pct(self, node: int, soc_pct: float) -> float:
        """How much more charge a device tells than the twin believes at most, below 0 how much
        less than it believes at least; 0 where it is not sure [%]."""
        off = soc_pct - self.charge_pct(node)
        if math.isnan(off):
            return 0.0
        return math.copysign(max(
            abs(off) - DOUBTED_SIGMAS * self._cell(node).soc_sigma_pct, 0.0), off)

    def resistance(self, node: int) -> float:
        """As it is sure of, a multiple of a new cell's; NaN where it is not."""
        cell = self._cell(node)
        return cell.resistance if cell.resistance_sigma <= SURE_RESISTANCE else math.nan
