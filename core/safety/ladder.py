"""Four layers and four responses; an upper layer may only be stricter than a lower (law 8).

    layer      response                 by what
    HARDWARE   IMMEDIATE_SHUTDOWN       short circuit, interlock, 1.1 times a trip limit
    EDGE       CONTROLLED_SHUTDOWN      trips after their delay, missing input, own overrun
    CLOUD      REBALANCING              derating, state of charge, C-rate, forecasts
    HUMAN      OPERATOR_ALERT           alarms of any tier; manual override, if stricter
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from core.safety.bands import NONE, TRIP
from core.safety.debounce import BoolArray

Amps = NDArray[np.float64]


class Layer(IntEnum):
    """From the bottom up."""

    HARDWARE = 1
    EDGE = 2
    CLOUD = 3
    HUMAN = 4


class Response(IntEnum):
    """What each layer answers with."""

    IMMEDIATE_SHUTDOWN = 1
    CONTROLLED_SHUTDOWN = 2
    REBALANCING = 3
    OPERATOR_ALERT = 4


RESPONSE_OF: dict[Layer, Response] = {layer: Response(layer.value) for layer in Layer}
IMMEDIATE_CAUSES = ("short_circuit", "hardware_limit", "interlock", "fuse_blown",
                    "contactor_feedback")
# Conditions that ask for less than a shutdown and yet for another share of the load.
NO_SHARE = ("voltage_spread", "temperature_spread", "string_voltage")


def responses(condition: str, tier: int) -> tuple[Response, ...]:
    """What a condition at a tier calls for, strictest first; the operator hears of all."""
    if condition in IMMEDIATE_CAUSES:
        return tuple(Response)
    if tier >= TRIP:
        return tuple(Response)[1:]
    if tier > NONE and condition not in NO_SHARE:
        return tuple(Response)[2:]
    return (Response.OPERATOR_ALERT,) if tier > NONE else ()


@dataclass(frozen=True, slots=True)
class Command:
    """What one layer asks of its packs: float64[packs] and bool[packs].

    charge_a, discharge_a: allowed, >= 0. setpoint_a: wanted, > 0 discharges (law 1). stop: bring
    to 0 A and open."""

    charge_a: Amps
    discharge_a: Amps
    setpoint_a: Amps
    stop: BoolArray

    @classmethod
    def of(cls, charge_a: object, discharge_a: object, setpoint_a: object = 0.0,
           stop: object = False) -> Command:
        """From numbers or arrays of one length."""
        charge, discharge, wanted = (np.atleast_1d(np.asarray(value, dtype=np.float64))
                                     for value in (charge_a, discharge_a, setpoint_a))
        stopped = np.atleast_1d(np.asarray(stop, dtype=np.bool_))
        charge, discharge, wanted, stopped = np.broadcast_arrays(charge, discharge, wanted,
                                                                 stopped)
        return cls(charge, discharge, wanted, stopped)


def combine(lower: Command, upper: Command | None) -> Command:
    """What holds when `upper` speaks to `lower`: never more than `lower` allows. An upper layer
    that is silent (None) changes nothing. A limit that is missing, negative or not a number is
    0 A; a setpoint that is not finite is 0 A, and every setpoint is clamped. Where either stops,
    nothing is allowed."""
    upper = upper or lower
    stop = lower.stop | upper.stop
    charge = np.where(stop, 0.0, np.minimum(_limit(lower.charge_a), _limit(upper.charge_a)))
    discharge = np.where(stop, 0.0,
                         np.minimum(_limit(lower.discharge_a), _limit(upper.discharge_a)))
    return Command(charge, discharge, clamp(upper.setpoint_a, charge, discharge), stop)


def clamp(setpoint_a: Amps, charge_a: Amps, discharge_a: Amps) -> Amps:
    """The last word: setpoints within what is allowed; what is missing or infinite is 0 A."""
    wanted = np.where(np.isfinite(setpoint_a), setpoint_a, 0.0)
    clamped: Amps = np.clip(wanted, -_limit(charge_a), _limit(discharge_a))
    return clamped


def no_looser(upper: Command, lower: Command) -> BoolArray:
    """Where `upper` allows no more than `lower`: bool[packs]."""
    fits: BoolArray = ((_limit(upper.charge_a) <= _limit(lower.charge_a))
                       & (_limit(upper.discharge_a) <= _limit(lower.discharge_a))
                       & (upper.stop | ~lower.stop))
    return fits


def _limit(amps: Amps) -> Amps:
    """NaN and what is negative allow nothing; inf allows all."""
    return np.fmax(np.where(np.isnan(amps), 0.0, amps), 0.0)
