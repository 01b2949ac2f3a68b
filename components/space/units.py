"""Readings of cells and differences between them, in the units that a person chose."""

from __future__ import annotations

from components import formats
from components.formats import Text
from core.paint import FAHRENHEIT_PER_KELVIN
from core.vocabulary import BY_NAME

MILLIVOLTS_PER_VOLT = 1000.0
CELL_DECIMALS = {"voltage_v": 3}


def reading(metric: str, value: float, temperature: str = "C") -> Text:
    """ "3.266 V"; temperature: "C" or "F", of °C."""
    if metric == "temperature_c" and temperature == "F":
        return formats.quantity(value * FAHRENHEIT_PER_KELVIN + 32.0, "°F", 1)
    return formats.value(metric, value, CELL_DECIMALS.get(metric))


def difference(metric: str, delta: float, temperature: str = "C") -> Text:
    """ "23 mV", "3.7 K"."""
    if metric == "voltage_v":
        return formats.quantity(delta * MILLIVOLTS_PER_VOLT, "mV")
    if metric == "temperature_c":
        return (formats.quantity(delta * FAHRENHEIT_PER_KELVIN, "°F", 1) if temperature == "F"
                else formats.quantity(delta, "K", 1))
    return formats.quantity(delta, BY_NAME[metric].unit, BY_NAME[metric].decimals)
