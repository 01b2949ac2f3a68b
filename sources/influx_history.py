"""The past of one pump from windows of its registers: what is not plausible is left out.

Aggregates hide what a single reading shows, so a window is used only where its lowest and its
highest value are both plausible and no sentinel: one 448 °C among good values would falsify the
mean. What has no mean (a code, a register whose numbers are names) is told by its last value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.devices import channel_id
from core.errors import SourceError
from core.heatpump.decode import sentinels_for
from core.heatpump.profile import Profile, Register, Transport
from core.ports import Series
from core.quantities import QUANTITY
from sources.influx_schema import Floats, Group, Newest, Windows

TRANSPORT: Transport = "influx"
CODES = frozenset({"alarm_code", "alarm_bits"})
TEN, NEAR = 10.0, 1e-6
LONGEST_STEP_S = 900.0
NOTHING: Floats = np.zeros(0, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Recalled:
    """series: in the order of the asked quantities. problems: quantity -> what was left out, in
    words."""

    series: list[Series]
    problems: dict[str, str]


def has_mean(register: Register) -> bool:
    """Whether the mean of a register's numbers says something."""
    named = register.values is not None or register.above_zero_is_on
    return not named and register.metric not in CODES


def groups_of(profile: Profile, quantities: Sequence[str]) -> tuple[Group, ...]:
    """What to ask for quantities of a profile: registers by how they are told, and those whose
    sentinels are known apart from the others, for which the same number is a value."""
    found: dict[tuple[Literal["mean", "last"], tuple[float, ...]], list[str]] = {}
    for register in profile.registers:
        if register.metric in quantities:
            raw = tuple(value / register.scale[TRANSPORT]
                        for value in sentinels_for(profile, register.metric))
            told: Literal["mean", "last"] = "mean" if has_mean(register) else "last"
            found.setdefault((told, raw), []).append(register.id)
    return tuple(Group(tuple(ids), told, without) for (told, without), ids in found.items())


def recalled(profile: Profile, device_id: str, quantities: Sequence[str],
             windows: Sequence[Windows], window_s: int) -> Recalled:
    """One Series a quantity, empty where nothing is known. Raises SourceError where readings of
    several pumps would be mixed."""
    one_pump(windows)
    told = {found.register_id: found for found in windows}
    problems: dict[str, str] = {}
    series = [_series(profile, device_id, quantity, told, window_s, problems)
              for quantity in quantities]
    return Recalled(series, problems)


def one_pump(found: Sequence[Newest] | Sequence[Windows]) -> None:
    """Raises SourceError where several pumps share the bucket and none was named."""
    pumps = sorted({one.pump for one in found})
    if len(pumps) > 1:
        named = ", ".join(repr(name[:40]) for name in pumps[:8])
        raise SourceError(f"several pumps share this measurement (tag pump: {named}); name one: "
                          "pump = \"...\"")


def _series(profile: Profile, device_id: str, quantity: str, told: Mapping[str, Windows],
            window_s: int, problems: dict[str, str]) -> Series:
    """Of the first register of the quantity that tells anything."""
    for register in (one for one in profile.registers if one.metric == quantity):
        if register.id not in told:
            continue
        time_s, low, high, mean = _clean(profile, register, told[register.id], problems)
        if time_s.size:
            return _as_series(device_id, quantity, time_s, low, high, mean, window_s)
    return _as_series(device_id, quantity, NOTHING, NOTHING, NOTHING, NOTHING, window_s)


def _as_series(device_id: str, quantity: str, time_s: Floats, low: Floats, high: Floats,
               mean: Floats, window_s: int) -> Series:
    """resolution_s: the window, or how far apart the readings usually are where that is more;
    else every reading of a slow collector would stand alone between two gaps."""
    usual_s = float(np.median(np.diff(time_s))) if time_s.size > 2 else 0.0
    return Series(channel_id(device_id, quantity), "value", time_s, low.astype(np.float32),
                  high.astype(np.float32), mean.astype(np.float32),
                  max(float(window_s), min(usual_s, LONGEST_STEP_S)))


def _clean(profile: Profile, register: Register, found: Windows,
           problems: dict[str, str]) -> tuple[Floats, Floats, Floats, Floats]:
    """Scaled or named, and without the windows that are not plausible, which are told."""
    low, high, mean = _in_units(register, found)
    absent = np.zeros(low.shape, dtype=bool)
    for sentinel in sentinels_for(profile, register.metric):
        absent |= (np.abs(low - sentinel) < NEAR) | (np.abs(high - sentinel) < NEAR)
    bounds = QUANTITY[register.metric].plausible
    good = (low >= bounds[0]) & (high <= bounds[1]) & ~absent
    left_out = ~good & ~absent
    if left_out.any():
        problems[register.metric] = _words(register, low, high, left_out)
    return found.time_s[good], low[good], high[good], mean[good]


def _in_units(register: Register, found: Windows) -> tuple[Floats, Floats, Floats]:
    """Lowest, highest and mean in the unit of the quantity; NaN for a number without a name."""
    factor = register.scale[TRANSPORT]
    low, high, told = found.low * factor, found.high * factor, found.told * factor
    if register.above_zero_is_on:
        return _switched(low), _switched(high), _switched(told)
    if register.values is None:
        return low, high, told
    named = np.full(told.shape, np.nan)
    for raw, value in register.values.items():
        named[np.abs(told - raw) < NEAR] = value
    return named, named, named


def _switched(values: Floats) -> Floats:
    return np.where(values > 0.0, 1.0, values)


def _words(register: Register, low: Floats, high: Floats, left_out: np.ndarray) -> str:
    quantity = QUANTITY[register.metric]
    bounds = quantity.plausible
    worst = low[left_out] if (low[left_out] < bounds[0]).any() else high[left_out]
    said = f"{np.count_nonzero(left_out)} of {left_out.size} windows are left out"
    if not np.isfinite(worst).any():
        return f"{said}: their numbers have no meaning in the profile"
    value = float(worst[np.nanargmax(np.abs(worst))])
    said += f": {value:g} {quantity.unit} is outside of {bounds[0]:g} to {bounds[1]:g}"
    if quantity.unit in ("°C", "%") and bounds[0] <= value / TEN <= bounds[1]:
        said += "; it looks ten times too large: check what writes it, and the profile's scale"
    return said
