"""What a heat pump took and gave in each cell of its log, by every basis that its log allows.

Powers are means of a cell in kW. Missing is NaN: what one basis cannot know stays unknown in
it, and nothing is taken from another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.heatpump import electricity, heat, switches
from core.heatpump.log import Floats, PumpLog
from core.pump import Pump

Basis = Literal["metered", "flow", "assumed_flow", "map"]
BASES: tuple[Basis, ...] = ("metered", "flow", "assumed_flow", "map")

# The best basis is the first that knows at least this share of what the fullest one knows.
ENOUGH_OF_THE_FULLEST = 0.5
# Cells up to this wide tell heating from hot water [s].
FINE_CELLS_S = 600.0


@dataclass(frozen=True, slots=True)
class Flows:
    """One basis, float64[k] each [kW]. heat_kw: all that was delivered, the auxiliary heater's
    too; pump_heat_kw: the compressor's alone. electricity_kw: all; compressor_kw: without the
    auxiliary heater, i.e. compressor and pumps. water_share: share of a cell's heat that went
    to hot water (0 to 1). finest_s: the shortest window that it tells [s]."""

    heat_kw: Floats
    pump_heat_kw: Floats
    electricity_kw: Floats
    compressor_kw: Floats
    water_share: Floats
    finest_s: float

    def pair(self, with_auxiliary: bool) -> tuple[Floats, Floats]:
        """Heat and electricity [kW] of the same boundary."""
        if with_auxiliary:
            return self.heat_kw, self.electricity_kw
        return self.pump_heat_kw, self.compressor_kw


@dataclass(frozen=True, slots=True)
class Account:
    """The accounts of k cells of step_s [s], float64[k] each.

    space, water: shares of a cell in which the valve stood so; water_of_running: share of the
    cell's running that went to hot water, by which electricity is split. compressor_on: share
    in which the compressor ran. electricity_kw (all), auxiliary_kw, compressor_kw (all without
    the auxiliary heater): as measured, NaN where not; electricity_from, auxiliary_from: the
    quantity that told it, "" = none; electricity_finest_s: the shortest window that it tells [s].
    heat_kw, pump_heat_kw: basis -> all heat delivered, and the compressor's alone.
    possible: basis -> "" or the name of what is missing for a COP: a quantity, a field of
    `Pump`, "heat", "electricity" or "never_together". best: the first basis that is possible
    and knows enough, None without one. map_has_electricity: whether the electricity of the
    basis "map" is the map's own, because nothing measured it.
    """

    time_s: Floats
    step_s: float
    space: Floats
    water: Floats
    water_of_running: Floats
    compressor_on: Floats
    electricity_kw: Floats
    auxiliary_kw: Floats
    compressor_kw: Floats
    electricity_from: str
    auxiliary_from: str
    electricity_finest_s: float
    heat_kw: Mapping[Basis, Floats]
    pump_heat_kw: Mapping[Basis, Floats]
    water_share: Mapping[Basis, Floats]
    finest_s: Mapping[Basis, float]
    possible: Mapping[Basis, str]
    best: Basis | None
    map_has_electricity: bool
    map_electricity_kw: Floats
    map_compressor_kw: Floats

    @property
    def step_h(self) -> float:
        return self.step_s / 3600.0

    @property
    def parts_are_rough(self) -> bool:
        """Whether the cells are so wide that most of them hold heating and hot water both: then
        what goes to either is an estimate (on a simulated month of hours the COP of hot water
        came out 10 % too high), the sum of both is not."""
        return self.step_s > FINE_CELLS_S

    def flows(self, basis: Basis) -> Flows:
        """All of one basis, possible or not."""
        own = basis == "map" and self.map_has_electricity
        return Flows(
            self.heat_kw[basis], self.pump_heat_kw[basis],
            self.map_electricity_kw if own else self.electricity_kw,
            self.map_compressor_kw if own else self.compressor_kw,
            self.water_share[basis], self.finest_s[basis])


def account(log: PumpLog, pump: Pump) -> Account:
    """The account of a log. Never raises: what is missing is told in `possible`."""
    on, valve = switches.compressor(log), switches.water(log)
    to_water = switches.water_of_running(log, on)
    power = electricity.of(log, pump, on)
    told: dict[Basis, heat.Heat] = {
        "metered": heat.metered(log, pump, on, to_water, power),
        "flow": heat.by_flow(log, pump, on, power),
        "assumed_flow": heat.by_assumed_flow(log, pump, on, power),
        "map": heat.by_map(log, pump, on, power),
    }
    by_map = told["map"]
    own = bool(by_map.compressor_kw is not None)
    map_compressor = by_map.compressor_kw if by_map.compressor_kw is not None else power.compressor
    map_all = map_compressor + power.auxiliary if own else power.total
    known = {basis: _cells_known(one, map_compressor if basis == "map" else power.compressor,
                                 map_all if basis == "map" else power.total)
             for basis, one in told.items()}
    possible = {basis: _missing(one, known[basis], power.missing if basis != "map" else "")
                for basis, one in told.items()}
    return Account(
        log.time_s, log.step_s, 1.0 - valve, valve, to_water, on,
        power.total, power.auxiliary, power.compressor,
        power.told_by, power.auxiliary_told_by, power.finest_s,
        {basis: one.all_kw for basis, one in told.items()},
        {basis: one.pump_kw for basis, one in told.items()},
        {basis: to_water if one.water_share is None else one.water_share
         for basis, one in told.items()},
        {basis: max(one.finest_s, log.step_s if own and basis == "map" else power.finest_s)
         for basis, one in told.items()},
        possible, _best(possible, known), own, map_all, map_compressor)


def _cells_known(one: heat.Heat, compressor_kw: Floats, total_kw: Floats) -> int:
    """In how many cells heat and electricity of one boundary are known together."""
    apart = int(np.count_nonzero(np.isfinite(one.pump_kw + compressor_kw)))
    return max(apart, int(np.count_nonzero(np.isfinite(one.all_kw + total_kw))))


def _missing(one: heat.Heat, known: int, electricity_missing: str) -> str:
    if one.missing or electricity_missing:
        return one.missing or electricity_missing
    return "" if known else "never_together"


def _best(possible: Mapping[Basis, str], known: Mapping[Basis, int]) -> Basis | None:
    usable = [basis for basis in BASES if not possible[basis]]
    if not usable:
        return None
    fullest = max(known[basis] for basis in usable)
    return next(basis for basis in usable
                if known[basis] >= ENOUGH_OF_THE_FULLEST * fullest)
