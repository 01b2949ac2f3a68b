"""What a transport sends of a pump's registers, as quantities of the house (laws 2, 4 and 11).

Partial results first: one bad register never hurts another. What is refused is NaN and said in
words; what is a sensor that is not there is NaN and no problem.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.heatpump.profile_model import INTEGERS, Profile, Register, Transport
from core.quantities import QUANTITY, Quantity

TEN = 10.0
NEAR = 1e-6
DIGITS = 9
WHOLE = frozenset({"alarm_code", "alarm_bits"})
FEWEST_TEN_TIMES = 3
"""From so many on, and more than of those that seem right, the transport itself is doubted."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """values: quantity -> value, NaN = sensor absent or refused; only quantities that a sent
    register tells. problems: register id -> what is wrong, in words. unknown: how many sent
    registers the profile does not have. ten_times: ids that look ten times too large."""

    values: dict[str, float]
    problems: dict[str, str]
    unknown: int = 0
    ten_times: tuple[str, ...] = ()


class _Refused(ValueError):
    """A register that tells nothing; the message says why."""

    def __init__(self, words: str, ten_times: bool = False) -> None:
        super().__init__(words)
        self.ten_times = ten_times


def decode(profile: Profile, transport: Transport, raw: Mapping[str, object]) -> Decoded:
    """All registers of one answer. Of several registers of one quantity the first that tells
    anything counts. Raises KeyError for a transport that the profile has no scales for."""
    reading = _Reading(profile, transport, raw)
    values: dict[str, float] = {}
    for register in profile.registers:
        if register.id in raw:
            value = reading.value(register)
            if math.isnan(values.get(register.metric, math.nan)):
                values[register.metric] = value
    _doubt_the_transport(profile, raw, values, reading)
    known = {register.id for register in profile.registers}
    return Decoded(values, reading.problems, sum(1 for name in raw if name not in known),
                   tuple(reading.ten_times))


class _Reading:
    """One answer, register by register; problems and ten_times grow as they are found."""

    def __init__(self, profile: Profile, transport: Transport, raw: Mapping[str, object]) -> None:
        self.problems: dict[str, str] = {}
        self.ten_times: dict[str, None] = {}
        self._profile, self._transport, self._raw = profile, transport, raw

    def value(self, register: Register) -> float:
        """In the unit of its quantity; NaN where it tells nothing."""
        try:
            return _value(self._profile, register, self._transport, self._raw[register.id])
        except _Refused as refused:
            self.problems[register.id] = str(refused)
            if refused.ten_times:
                self.ten_times[register.id] = None
            return math.nan


def sentinels_for(profile: Profile, metric: str) -> tuple[float, ...]:
    """The profile's sentinels where the quantity is a temperature, else none: -49 degree
    minutes are 49 degree minutes."""
    return profile.sentinels if QUANTITY[metric].unit == "°C" else ()


def _value(profile: Profile, register: Register, transport: Transport, sent: object) -> float:
    number = _number(sent)
    if transport in INTEGERS and not number.is_integer():
        raise _Refused(f"{number:g} is not a whole number: {transport} sends whole numbers; check "
                       "whether this is the right source for this pump")
    if transport == "coil" and number == _no_sensor(register):
        return math.nan
    value = round(number * register.scale[transport], DIGITS)
    if any(abs(value - sentinel) < NEAR for sentinel in sentinels_for(profile, register.metric)):
        return math.nan
    if register.metric in WHOLE and abs(value - round(value)) > NEAR:
        raise _Refused(f"{value:g} is no number of an alarm: check the transport and the scale in "
                       "the profile")
    return _in_bounds(_named(register, value), QUANTITY[register.metric])


def _number(sent: object) -> float:
    if isinstance(sent, bool) or not isinstance(sent, int | float):
        raise _Refused(f"{_short(sent)} is not a number")
    try:
        number = float(sent)
    except OverflowError:
        raise _Refused("a number too large to be a reading") from None
    if not math.isfinite(number):
        raise _Refused(f"{number} is not a number")
    return number


def _short(sent: object) -> str:
    if sent is None or isinstance(sent, bool | str):
        return repr(sent[:40] if isinstance(sent, str) else sent)
    return f"a {type(sent).__name__[:40]}"


def _no_sensor(register: Register) -> float:
    """The raw integer that says that nothing is connected; NaN where the size is not known."""
    if register.size is None:
        return math.nan
    bits = int(register.size[1:])
    return -(2.0 ** (bits - 1)) if register.size[0] == "s" else 2.0 ** bits - 1.0


def _named(register: Register, value: float) -> float:
    if register.above_zero_is_on:
        return 1.0 if value > 0 else value
    if register.values is None:
        return value
    for raw, meaning in register.values.items():
        if abs(raw - value) < NEAR:
            return meaning
    known = ", ".join(f"{raw:g}" for raw in register.values)
    raise _Refused(f"{value:g} has no meaning in the profile; it knows {known}")


def _in_bounds(value: float, quantity: Quantity) -> float:
    low, high = quantity.plausible
    if low <= value <= high:
        return value
    said = f"{value:g} {quantity.unit}".strip()
    if quantity.unit in ("°C", "%") and low <= value / TEN <= high:
        raise _Refused(f"{said} looks ten times too large: check the transport and the scale in "
                       "the profile", ten_times=True)
    raise _Refused(f"{said} is outside of {low:g} to {high:g} {quantity.unit}".rstrip())


def _doubt_the_transport(profile: Profile, raw: Mapping[str, object], values: dict[str, float],
                         reading: _Reading) -> None:
    """Where most temperatures look ten times too large, those that only seem right (3.5 °C
    outdoors, sent as 35) are refused with them."""
    told = {register.id: register for register in profile.registers
            if register.id in raw and register.id not in reading.problems
            and QUANTITY[register.metric].unit == "°C"
            and not math.isnan(values.get(register.metric, math.nan))}
    wrong = len(reading.ten_times)
    if wrong < FEWEST_TEN_TIMES or wrong <= len(told):
        return
    for register in told.values():
        reading.problems[register.id] = (
            f"not believed: {wrong} other readings look ten times too large; check the transport "
            "and the scale in the profile")
    for register in profile.registers:
        if register.id in told and register.metric in values:
            values[register.metric] = math.nan
