"""How the pump spent its time: shares that sum to the whole of the known time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.heatpump import switches
from core.heatpump.log import Floats, PumpLog
from core.pump import Pump


@dataclass(frozen=True, slots=True)
class Runtimes:
    """Shares of the known time, 0 to 1, that sum to 1; all NaN where nothing is known.

    compressor_space, compressor_water: compressor alone, by the valve; compressor_unsorted: the
    valve was not known. overlap: compressor and auxiliary heater at once; auxiliary: that alone.
    defrost: whatever else ran; idle: nothing. compressor_h, auxiliary_h: hours of each in the
    known time (overlap in both); known_h, unknown_h [h]. auxiliary_known, defrost_known: whether
    the pump tells it at all; where not, its share is 0 and means nothing.
    """

    compressor_space: float
    compressor_water: float
    compressor_unsorted: float
    overlap: float
    auxiliary: float
    defrost: float
    idle: float
    compressor_h: float
    auxiliary_h: float
    known_h: float
    unknown_h: float
    auxiliary_known: bool
    defrost_known: bool

    @property
    def compressor(self) -> float:
        """Share of the known time in which the compressor ran outside of defrosts."""
        return (self.compressor_space + self.compressor_water + self.compressor_unsorted
                + self.overlap)


def runtimes(log: PumpLog, pump: Pump) -> Runtimes:
    """The runtimes of a log. A cell is known when the compressor and all that the pump tells of
    auxiliary heater and defrost are known in it. Within a cell (a minute) two that both ran for
    a part are taken to have run at once as long as they could."""
    on = _bounded(switches.compressor(log))
    heater, heater_known = _or_zero(_bounded(switches.auxiliary(log, pump)))
    frost, frost_known = _or_zero(_bounded(switches.defrost(log)))
    known = np.isfinite(on) & np.isfinite(heater) & np.isfinite(frost)
    known_h = float(np.count_nonzero(known)) * log.step_h
    unknown_h = float(log.size) * log.step_h - known_h
    if not known_h:
        nan = math.nan
        return Runtimes(nan, nan, nan, nan, nan, nan, nan, nan, nan, 0.0, unknown_h,
                        heater_known, frost_known)
    on, heater, frost = on[known], heater[known], frost[known]
    to_water = switches.water_of_running(log, _bounded(switches.compressor(log)))[known]
    compressor, auxiliary = np.maximum(on - frost, 0.0), np.maximum(heater - frost, 0.0)
    overlap = np.minimum(compressor, auxiliary)
    alone = compressor - overlap
    sorted_alone = np.where(np.isfinite(to_water), alone, 0.0)
    alone_water = sorted_alone * np.where(np.isfinite(to_water), to_water, 0.0)
    space, to_tank, unsorted, both, heater_alone, defrosting = (float(part.mean()) for part in (
        sorted_alone - alone_water, alone_water, alone - sorted_alone, overlap, auxiliary - overlap,
        frost))
    idle = max(1.0 - (space + to_tank + unsorted + both + heater_alone + defrosting), 0.0)
    return Runtimes(space, to_tank, unsorted, both, heater_alone, defrosting, idle,
                    float(on.sum()) * log.step_h, float(heater.sum()) * log.step_h, known_h,
                    unknown_h, heater_known, frost_known)


def _bounded(share: Floats) -> Floats:
    return np.clip(share, 0.0, 1.0)


def _or_zero(share: Floats) -> tuple[Floats, bool]:
    """The shares, or zeros for what the pump does not tell; and whether it does."""
    told = bool(np.isfinite(share).any())
    return (share if told else np.zeros(share.shape)), told
