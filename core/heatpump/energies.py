"""Where the energy came from and where it went: inputs and outputs that agree exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.heatpump.account import Account, Basis
from core.heatpump.log import Flags, Floats

# A condenser gives heat for a while after a stop; up to this share of all it is the source's.
AFTER_A_STOP = 0.01


@dataclass(frozen=True, slots=True)
class Energies:
    """kWh over the cells that know heat and electricity.

    In: source_heat (out of the ground or the air: the compressor's heat less the electricity
    that it ran on), electricity (compressor, pumps and electronics), auxiliary (NaN = cannot be
    told apart, then it is in electricity). Out: space_heat, water_heat, unsorted_heat (the
    valve was not known), losses: what balances both, i.e. what is drawn at standstill and the
    heat that defrosts took back. Below 0 (by more than 1 %) the meters disagree: more came out
    than went in, said by meters_disagree. free_share: source_heat over all inputs, 0 to 1.
    defrost_kwh: heat taken back, part of the losses. coverage: known share of the time, 0 to 1.
    hours: of those cells.
    reason: "" or why nothing is told (as `Account.possible`); then all are NaN.
    """

    source_heat: float
    electricity: float
    auxiliary: float
    space_heat: float
    water_heat: float
    unsorted_heat: float
    losses: float
    defrost_kwh: float
    free_share: float
    coverage: float
    hours: float
    meters_disagree: bool = False
    reason: str = ""

    @property
    def inputs(self) -> float:
        """[kWh]; an auxiliary that cannot be told apart is in the electricity."""
        known = 0.0 if math.isnan(self.auxiliary) else self.auxiliary
        return self.source_heat + self.electricity + known

    @property
    def outputs(self) -> float:
        """[kWh], losses included: equal to `inputs`."""
        return self.space_heat + self.water_heat + self.unsorted_heat + self.losses


def energies(account: Account, basis: Basis) -> Energies:
    """The energies of the whole account by one basis."""
    if account.possible[basis]:
        return _nothing(account.possible[basis])
    flows = account.flows(basis)
    apart = np.isfinite(flows.pump_heat_kw) & np.isfinite(flows.compressor_kw)
    both = apart & np.isfinite(flows.heat_kw) & np.isfinite(flows.electricity_kw)
    if both.any():
        auxiliary_kw = flows.electricity_kw - flows.compressor_kw
        return _told(account, both, flows.heat_kw, flows.pump_heat_kw, flows.compressor_kw,
                     auxiliary_kw, flows.water_share)
    heat, power = (flows.pump_heat_kw, flows.compressor_kw) if apart.any() else (
        flows.heat_kw, flows.electricity_kw)
    both = np.isfinite(heat) & np.isfinite(power)
    return _told(account, both, heat, heat, power, None, flows.water_share)


def _told(account: Account, both: Flags, heat_kw: Floats, pump_heat_kw: Floats,
          compressor_kw: Floats, auxiliary_kw: Floats | None, water_share: Floats) -> Energies:
    hours = account.step_h

    def kwh(powers: Floats) -> float:
        return float(powers[both].sum()) * hours

    runs = np.where(np.isfinite(account.compressor_on), account.compressor_on > 0, True)
    back_kw = np.maximum(-pump_heat_kw, 0.0)
    source = max(kwh(np.where(runs, pump_heat_kw + back_kw - compressor_kw, 0.0)), 0.0)
    electricity = kwh(compressor_kw)
    auxiliary = math.nan if auxiliary_kw is None else kwh(auxiliary_kw)
    sorted_share = np.where(np.isfinite(water_share), water_share, 0.0)
    water = kwh(heat_kw * sorted_share)
    unsorted = kwh(np.where(np.isfinite(water_share), 0.0, heat_kw))
    space = kwh(heat_kw) - water - unsorted
    inputs = source + electricity + (0.0 if auxiliary_kw is None else auxiliary)
    losses = inputs - (space + water + unsorted)
    if 0 < -losses <= AFTER_A_STOP * inputs:
        source, inputs, losses = source - losses, inputs - losses, 0.0
    known_h = float(np.count_nonzero(both)) * hours
    return Energies(source, electricity, auxiliary, space, water, unsorted, losses,
                    kwh(back_kw), source / inputs if inputs > 0 else math.nan,
                    float(np.count_nonzero(both)) / both.size, known_h, losses < 0)


def _nothing(reason: str) -> Energies:
    return Energies(*(math.nan,) * 9, 0.0, 0.0, False, reason)
