"""Limits as signed arrays: violated at `value >= limit`, clear at `value <= clear` (law 8).

A lower limit is the upper limit of the negative value. For currents, where only more than the
limit is a violation, the limit is the next float32 above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigurationError
from core.limits import SafeOperatingArea
from core.safety.layout import Layout
from core.safety.profile import Delay, SafetyProfile
from core.topology import FloatArray

MissingCell = Literal["voltage_missing", "temperature_missing"]
PackCondition = Literal["current_charge", "current_discharge", "soc_high", "soc_low",
                        "voltage_spread", "temperature_spread", "string_voltage",
                        "current_missing", "soc_missing"]
MISSING_CELL: tuple[MissingCell, ...] = get_args(MissingCell)
CELL_CONDITIONS: tuple[str, ...] = ("voltage_high", "voltage_low", "temperature_high",
                                    "temperature_low", *MISSING_CELL)
PACK_CONDITIONS: tuple[PackCondition, ...] = get_args(PackCondition)
CONDITIONS: tuple[str, ...] = CELL_CONDITIONS + PACK_CONDITIONS
LIMITED_CELL, LIMITED_PACK = 4, 7
NONE, INFO, WARNING, TRIP = range(4)
# They alarm and limit, and neither trip nor hold back a reset: estimates and plausibility.
ALARM_ONLY = ("soc_high", "soc_low", "voltage_spread", "temperature_spread", "string_voltage",
              "soc_missing")
# Stored with the other sign, so that each limit is an upper one.
NEGATED = ("voltage_low", "temperature_low", "soc_low")
UNITS: dict[str, str] = {
    "voltage_high": "V", "voltage_low": "V", "temperature_high": "°C", "temperature_low": "°C",
    "voltage_missing": "V", "temperature_missing": "°C", "current_charge": "A",
    "current_discharge": "A", "soc_high": "%", "soc_low": "%", "voltage_spread": "V",
    "temperature_spread": "K", "string_voltage": "V", "current_missing": "A",
    "soc_missing": "%"}
_KIND = {"voltage": "voltage", "temperature": "temperature", "current": "current", "soc": "soc"}


@dataclass(frozen=True, slots=True)
class Bands:
    """limit, clear: float32[condition, tier, element], signed."""

    limit: FloatArray
    clear: FloatArray


def cell_bands(area: SafeOperatingArea, profile: SafetyProfile, layout: Layout,
               direction: str) -> Bands:
    """float32[4, 3, cells] for `direction` "charge" (which holds at rest too) or "discharge".
    Raises ConfigurationError where a tier does not lie beyond the one before it."""
    names = _limit_names(direction)
    limit = chemistry_limits(area, direction)
    for row, name in enumerate(names):
        if not (np.diff(limit[row], axis=0) > 0).all():
            raise ConfigurationError("safe_operating_area.yaml", name, area.table(name).tolist(),
                                     "three limits, each further out than the one before")
    clear = limit - _cell_deadband(area, profile)
    # A voltage trip clears inside the warning limit, not at it.
    clear[:2, 2] = np.nextafter(limit[:2, 1], np.float32(-np.inf))
    per_cell = layout.chemistry[layout.pack_of]
    return Bands(np.ascontiguousarray(limit[:, :, per_cell]),
                 np.ascontiguousarray(clear[:, :, per_cell]))


def chemistry_limits(area: SafeOperatingArea, direction: str) -> FloatArray:
    """Signed float32[4, 3, chemistry] in the order of CELL_CONDITIONS."""
    signs = np.array([1, -1, 1, -1], dtype=np.float32)[:, None, None]
    limits: FloatArray = np.stack([area.table(name).T for name in _limit_names(direction)]) * signs
    return limits


def _limit_names(direction: str) -> tuple[str, ...]:
    return ("voltage_max_v", "voltage_min_v",
            f"{direction}_temperature_max_c", f"{direction}_temperature_min_c")


def discharging(current_a: NDArray[np.floating[Any]],
                profile: SafetyProfile) -> NDArray[np.bool_]:
    """Whether the limits of discharging hold: not at rest, nor where nothing is known (NaN)."""
    found: NDArray[np.bool_] = current_a > np.float32(profile.machine.rest_current_a)
    return found


def _cell_deadband(area: SafeOperatingArea, profile: SafetyProfile) -> FloatArray:
    """float32[4, 3, 1]; the trip of a voltage is set by the caller."""
    volts = [area.deadband.voltage_v] * 3
    kelvin = [area.deadband.temperature_c] * 2 + [profile.deadband.temperature_trip_c]
    return np.array([volts, volts, kelvin, kelvin], dtype=np.float32)[:, :, None]


def pack_bands(profile: SafetyProfile, layout: Layout) -> Bands:
    """float32[7, 3, packs]; currents in A."""
    band = profile.deadband
    never = float("inf")
    rows = [profile.current_tiers, profile.current_tiers, profile.soc_max_pct,
            tuple(-limit for limit in profile.soc_min_pct), (never,) * 3,
            profile.temperature_spread_k, (profile.string_voltage_v,) * 2 + (never,)]
    table = np.repeat(np.array(rows, dtype=np.float32)[:, :, None], layout.size, axis=2)
    for index, pack in enumerate(layout.packs):
        table[4, :, index] = profile.spread[pack.chemistry].voltage_v
    # Nothing, not even an infinite value, reaches NaN: a tier that there is not.
    table[np.isinf(table)] = np.nan
    wide = np.array([band.current_c_rate, band.current_c_rate, band.soc_pct, band.soc_pct,
                     band.voltage_spread_v, band.temperature_spread_k, band.string_voltage_v],
                    dtype=np.float32)[:, None, None]
    clear = table - wide
    for multiple in (table, clear):
        multiple[:2] *= layout.reference_current_a
    table[:2] = np.nextafter(table[:2], np.float32(np.inf))
    return Bands(table, clear)


def delays(profile: SafetyProfile, conditions: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """On- and off-delays in s: float32[condition, tier, 1] each."""
    on = np.zeros((len(conditions), 3, 1), dtype=np.float32)
    off = np.zeros_like(on)
    for row, condition in enumerate(conditions):
        delay = _delay(profile, condition)
        on[row], off[row] = delay.set_s, delay.clear_s
        if condition.endswith("_missing"):
            on[row, :2] = 0
    return on, off


def _delay(profile: SafetyProfile, condition: str) -> Delay:
    if condition.endswith("_missing"):
        return profile.delays.missing
    if condition.endswith("_spread") or condition == "string_voltage":
        return profile.delays.plausibility
    kind: Delay = getattr(profile.delays, _KIND[condition.split("_")[0]])
    return kind
