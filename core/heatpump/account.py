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
from core.heatpump.electricity import Electricity
from core.heatpump.energy_log import energy_log, with_cooling
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
    to hot water (0 to 1), water_electricity_share: of its electricity. finest_s: the shortest
    window that it tells [s]."""

    heat_kw: Floats
    pump_heat_kw: Floats
    electricity_kw: Floats
    compressor_kw: Floats
    water_share: Floats
    water_electricity_share: Floats
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
    `Pump`, "heat", "energy_log" (there is one, which tells no whole hour), "electricity" or
    "never_together". best: the first basis that is possible and knows enough, None without one.
    own_electricity: basis -> what it stands against where that is not what was measured: the
    energy log's, and the map's where nothing measures any. metered_by: the quantity of the heat
    of the basis "metered", "" = none.
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
    own_electricity: Mapping[Basis, Electricity]
    metered_by: str

    @property
    def map_has_electricity(self) -> bool:
        return "map" in self.own_electricity

    @property
    def step_h(self) -> float:
        return self.step_s / 3600.0

    def parts_are_estimates(self, basis: Basis) -> bool:
        """Whether the cells are so wide that most of them hold heating and hot water both, and
        nothing but the running tells them apart: then what goes to either is an estimate (on a
        simulated month of hours the COP of hot water came out 10 % too high), the sum of both is
        not. The energy log tells them apart."""
        told_apart = basis in self.own_electricity and (
            self.own_electricity[basis].water_share is not None)
        return self.step_s > FINE_CELLS_S and not told_apart

    def flows(self, basis: Basis) -> Flows:
        """All of one basis, possible or not."""
        own = self.own_electricity.get(basis)
        share = None if own is None else own.water_share
        return Flows(
            self.heat_kw[basis], self.pump_heat_kw[basis],
            self.electricity_kw if own is None else own.total,
            self.compressor_kw if own is None else own.compressor,
            self.water_share[basis], self.water_of_running if share is None else share,
            self.finest_s[basis])


def account(log: PumpLog, pump: Pump) -> Account:
    """The account of a log. Never raises: what is missing is told in `possible`."""
    on, valve = switches.compressor(log), switches.water(log)
    to_water = switches.water_of_running(log, on)
    logged = energy_log(log, pump, on, to_water)
    power = electricity.of(log, pump, on)
    if logged.electricity is not None and power.told_by != "electric_power_kw":
        power = with_cooling(logged.electricity, log)
    told: dict[Basis, heat.Heat] = {
        "metered": heat.metered(log, pump, on, to_water, power, logged),
        "flow": heat.by_flow(log, pump, on, power),
        "assumed_flow": heat.by_assumed_flow(log, pump, on, power),
        "map": heat.by_map(log, pump, on, power),
    }
    drawn = {basis: one.own or power for basis, one in told.items()}
    known = {basis: _cells_known(one, drawn[basis]) for basis, one in told.items()}
    possible = {basis: _missing(one, known[basis], drawn[basis].missing)
                for basis, one in told.items()}
    return Account(
        log.time_s, log.step_s, 1.0 - valve, valve, to_water, on,
        power.total, power.auxiliary, power.compressor,
        power.told_by, power.auxiliary_told_by, power.finest_s,
        {basis: one.all_kw for basis, one in told.items()},
        {basis: one.pump_kw for basis, one in told.items()},
        {basis: to_water if one.water_share is None else one.water_share
         for basis, one in told.items()},
        {basis: max(one.finest_s, drawn[basis].finest_s) for basis, one in told.items()},
        possible, _best(possible, known),
        {basis: one.own for basis, one in told.items() if one.own is not None},
        told["metered"].told_by)


def _cells_known(one: heat.Heat, drawn: Electricity) -> int:
    """In how many cells heat and electricity of one boundary are known together."""
    apart = int(np.count_nonzero(np.isfinite(one.pump_kw + drawn.compressor)))
    return max(apart, int(np.count_nonzero(np.isfinite(one.all_kw + drawn.total))))


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
