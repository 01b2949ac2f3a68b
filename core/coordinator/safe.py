"""The safety layer between any controller and any pack: what it asked for, made harmless.

First the box of each pack (`box`): how much it may give and take over one step by its C-rate, its
device's current limit, its cells' voltages and temperatures (the ladder of core/allowance.py), what
the digital twin leaves of these (twin_power.py), and its charge, so that a step cannot carry it
past its floor or ceiling. What is not known allows
nothing of what depends on it (law 4). Then `make_safe`: the wish into the boxes, within the ramps,
and the fleet's sum within what the connection allows, by the exact projection. A box holds always;
where the rest contradicts itself the connection comes before the ramps. Leading axes are fleets,
each for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.allowance import Reason, along, shape_of, window
from core.coordinator.problem import Floats
from core.coordinator.projection import MOST_KW, project_band
from core.coordinator.usual import MOST_A
from core.reach import Way
from core.topology import IndexArray
from core.vocabulary import CHEMISTRIES

Codes = NDArray[np.int8]
Cut = Literal["", "no number", "unknown", "c-rate", "device", "voltage", "hot", "cold", "twin",
              "charge", "ramp", "connection"]
CUTS: tuple[Cut, ...] = ("", "no number", "unknown", "c-rate", "device", "voltage", "hot", "cold",
                         "twin", "charge", "ramp", "connection")
WORDS: dict[Cut, str] = {
    "": "as asked", "no number": "the controller gave no number", "unknown":
    "its state is not known", "c-rate": "its C-rate", "device": "what its device allows",
    "voltage": "its cells' voltage", "hot": "its warmest cell", "cold": "its coldest cell",
    "twin": "its cells' voltage limit, as the digital twin foretells it",
    "charge": "its charge", "ramp": "the ramp", "connection": "what the connection allows"}
(NONE, NO_NUMBER, UNKNOWN, C_RATE, DEVICE, VOLTAGE, HOT, COLD, TWIN, CHARGE, RAMP,
 CONNECTION) = range(12)
LIMITS = slice(C_RATE, CHARGE + 1)
"""Of the codes, those that set a box."""
SAME_KW = 1e-9
"""A smaller difference is rounding [kW]."""
INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class PacksNow:
    """What packs are at this moment, columns [n] or [fleets, n]; NaN = not known, which allows
    nothing of what depends on it.

    capacity_kwh: between empty and full; energy_kwh: stored in it. efficiency: of each way. floor,
    ceiling: charge to stay within, as parts of capacity. c_rate: the most, either way, in
    capacities an hour [1/h]. voltage_v: of the pack; charge_limit_a, discharge_limit_a:
    magnitudes that its device has in force [A], inf where there is no such limit.
    chemistry: index into CHEMISTRIES. low_cell_v, high_cell_v, cold_c, hot_c: its lowest and
    highest cell voltage [V] and coldest and warmest cell [degC]. None: a column that is not
    judged here, because the device's limits cover it. twin_charge_kw, twin_discharge_kw: what the
    digital twin leaves, magnitudes, inf where it says nothing; None without one.
    """

    capacity_kwh: Floats
    energy_kwh: Floats
    efficiency: Floats
    floor: Floats
    ceiling: Floats
    c_rate: Floats
    voltage_v: Floats
    charge_limit_a: Floats
    discharge_limit_a: Floats
    chemistry: IndexArray | None = None
    low_cell_v: Floats | None = None
    high_cell_v: Floats | None = None
    cold_c: Floats | None = None
    hot_c: Floats | None = None
    twin_charge_kw: Floats | None = None
    twin_discharge_kw: Floats | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """low_kw <= 0 <= high_kw: mean power over a step that harms nothing, discharge positive.
    low_by, high_by: which limit sets each end, index into CUTS."""

    low_kw: Floats
    high_kw: Floats
    low_by: Codes
    high_by: Codes


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the fleet's sum shall keep [kW], each a number or [fleets]; see `at_connection`. Where
    the two contradict, the least holds: too much import trips a fuse."""

    least_kw: ArrayLike = -INFINITE
    most_kw: ArrayLike = INFINITE


@dataclass(frozen=True, slots=True)
class Ramps:
    """The most that may change between two orders [kW]: of a pack (a number or [n]), of the
    fleet."""

    pack_kw: ArrayLike = INFINITE
    fleet_kw: float = INFINITE


@dataclass(frozen=True, slots=True)
class Safe:
    """power_kw: what may be sent, same shape as the wish. by: index into CUTS, what changed it.
    beyond_kw [...]: what the sum lacks of its bounds, + discharging, 0 where it keeps them."""

    power_kw: Floats
    asked_kw: Floats
    by: Codes
    beyond_kw: Floats

    def words(self, pack: int) -> str:
        """Of one fleet: "2.0 of 5.0 kW: its charge"; "" for a pack that gets what was asked."""
        cut = CUTS[int(self.by[pack])]
        if not cut:
            return ""
        asked = float(self.asked_kw[pack])
        return f"{self.power_kw[pack]:.1f} of {asked:.1f} kW: {WORDS[cut]}"


def rates(now: PacksNow) -> tuple[Floats, Floats, Codes, Codes]:
    """What packs may take and what they may give whatever their charge: magnitudes (charge,
    discharge) [kW] and by what (index into CUTS); `Packs.charge_kw` and `discharge_kw`."""
    charge_kw, charge_by = _least(_rates(now, "charge"))
    discharge_kw, discharge_by = _least(_rates(now, "discharge"))
    return charge_kw, discharge_kw, charge_by, discharge_by


def box(now: PacksNow, step_h: float) -> Box:
    """The box over the next step of step_h [h]."""
    take, give = _rates(now, "charge"), _rates(now, "discharge")
    with np.errstate(all="ignore"):
        room = (now.ceiling * now.capacity_kwh - now.energy_kwh) / (now.efficiency * step_h)
        left = (now.energy_kwh - now.floor * now.capacity_kwh) * now.efficiency / step_h
    take[CHARGE - C_RATE] = np.where(np.isfinite(room), room, np.nan)
    give[CHARGE - C_RATE] = np.where(np.isfinite(left), left, np.nan)
    charge_kw, low_by = _least(take)
    discharge_kw, high_by = _least(give)
    return Box(-charge_kw, discharge_kw, low_by, high_by)


def at_connection(net_kw: ArrayLike, import_limit_kw: float, export_limit_kw: float) -> Bounds:
    """Bounds of the fleet's sum, where load minus PV is net_kw and limits are magnitudes."""
    net = np.asarray(net_kw, dtype=np.float64)
    return Bounds(net - import_limit_kw, net + export_limit_kw)


def make_safe(wish_kw: ArrayLike, within: Box, bounds: Bounds | None = None,
              before_kw: ArrayLike | None = None, ramps: Ramps | None = None) -> Safe:
    """What of wish_kw [n] or [fleets, n] may be sent; a wish that is no finite number is 0 kW.

    before_kw: what is in force, for the ramps (NaN: that pack has no ramp). What the bounds take
    is taken from all packs alike, as far as their boxes go.
    """
    bounds, ramps = bounds or Bounds(), ramps or Ramps()
    wish = np.asarray(wish_kw, dtype=np.float64)
    number = np.isfinite(wish)
    asked = np.clip(np.where(number, wish, 0.0), -MOST_KW, MOST_KW)
    boxed = np.clip(asked, within.low_kw, within.high_kw)
    low, high = _ramped(within, before_kw, ramps)
    kept = np.clip(boxed, low, high)
    least, most = _sums(bounds, before_kw, ramps)
    power = project_band(kept, low, high, least, most)
    # Where ramps leave the connection out of reach, the boxes alone hold.
    power = project_band(power, within.low_kw, within.high_kw, bounds.least_kw, bounds.most_kw)
    by = np.where(boxed < asked, within.high_by, np.where(boxed > asked, within.low_by, NONE))
    by = np.where(np.abs(kept - boxed) > SAME_KW, RAMP, by)
    by = np.where(np.abs(power - kept) > SAME_KW, CONNECTION, by)
    by = np.where(number, by, NO_NUMBER).astype(np.int8)
    return Safe(power, wish, by, _beyond(power, bounds))


def ramps_of(now: PacksNow, ramp_s: float, seconds: float) -> Ramps:
    """What `seconds` after the last order may change, for packs that go from rest to their rated
    power in ramp_s [s]."""
    return Ramps(rated_kw(now) * (seconds / ramp_s))


def rated_kw(now: PacksNow) -> Floats:
    """By C-rate and the fleet's outermost current, whatever a pack is held back by now; 0 where
    that is not known, for its box is nothing then."""
    rated = np.fmin(now.c_rate * now.capacity_kwh, MOST_A * now.voltage_v / 1000.0)
    known: Floats = np.clip(np.nan_to_num(rated, nan=0.0), 0.0, MOST_KW)
    return known


def violations(power_kw: Floats, within: Box, slack_kw: float = 1e-6) -> int:
    """How many packs are outside of their boxes by more than slack_kw, or no number."""
    inside = ((power_kw >= within.low_kw - slack_kw) & (power_kw <= within.high_kw + slack_kw))
    return int((~inside).sum())


def _rates(now: PacksNow, way: Way) -> Floats:
    """Magnitudes that each limit but the charge allows, [LIMITS, ..., n] [kW]."""
    limit_a = now.charge_limit_a if way == "charge" else now.discharge_limit_a
    cells: tuple[tuple[int, Reason, Floats | None], ...] = (
        (VOLTAGE, "voltage", now.high_cell_v if way == "charge" else now.low_cell_v),
        (HOT, "hot", now.hot_c), (COLD, "cold", now.cold_c))
    with np.errstate(all="ignore"):
        rated = now.c_rate * now.capacity_kwh
        found = np.full((LIMITS.stop - LIMITS.start, *np.shape(rated)), INFINITE)
        found[0] = rated
        found[DEVICE - C_RATE] = np.where(np.isposinf(limit_a), INFINITE,
                                          limit_a * now.voltage_v / 1000.0)
        for row, reason, value in cells:
            if value is not None:
                found[row - C_RATE] = rated * _part(reason, way, now.chemistry, value)
    twin_kw = now.twin_charge_kw if way == "charge" else now.twin_discharge_kw
    if twin_kw is not None:
        found[TWIN - C_RATE] = twin_kw
    return found


def _part(reason: Reason, way: Way, chemistry: IndexArray | None, value: Floats) -> Floats:
    """Part of its power that a pack's worst cell allows; NaN without a chemistry or a value."""
    kinds = np.broadcast_to(-1 if chemistry is None else chemistry, np.shape(value)).ravel()
    known = np.where((kinds >= 0) & (kinds < len(CHEMISTRIES)), kinds, -1)
    start, end = window(reason, way, known)
    parts = along(shape_of(reason), (np.ravel(value) - start) / (end - start))
    return parts.reshape(np.shape(value))


def _least(limits: Floats) -> tuple[Floats, Codes]:
    """The least of each pack and which it is; what is not known allows nothing."""
    missing = np.isnan(limits)
    known = np.where(missing, INFINITE, limits)
    unknown = missing.any(axis=0)
    by = np.where(unknown, UNKNOWN, known.argmin(axis=0) + C_RATE).astype(np.int8)
    return np.clip(np.where(unknown, 0.0, known.min(axis=0)), 0.0, MOST_KW), by


def _ramped(within: Box, before_kw: ArrayLike | None, ramps: Ramps) -> tuple[Floats, Floats]:
    """The boxes, narrowed to what the ramps of packs reach; a box that moved away holds."""
    if before_kw is None:
        return within.low_kw, within.high_kw
    before = np.asarray(before_kw, dtype=np.float64)
    ramp = np.where(np.isfinite(before), ramps.pack_kw, INFINITE)
    before = np.nan_to_num(before, nan=0.0, posinf=0.0, neginf=0.0)
    return (np.clip(before - ramp, within.low_kw, within.high_kw),
            np.clip(before + ramp, within.low_kw, within.high_kw))


def _sums(bounds: Bounds, before_kw: ArrayLike | None, ramps: Ramps) -> tuple[Floats, Floats]:
    """What the sum shall keep with the fleet's ramp, which yields to the connection."""
    least = np.asarray(bounds.least_kw, dtype=np.float64)
    most = np.maximum(np.asarray(bounds.most_kw, dtype=np.float64), least)
    if before_kw is None or ramps.fleet_kw == INFINITE:
        return least, most
    before = np.nan_to_num(np.asarray(before_kw, dtype=np.float64)).sum(-1)
    return (np.clip(before - ramps.fleet_kw, least, most),
            np.clip(before + ramps.fleet_kw, least, most))


def _beyond(power: Floats, bounds: Bounds) -> Floats:
    sums = power.sum(-1)
    under = np.maximum(np.asarray(bounds.least_kw) - sums, 0.0)
    over = np.maximum(sums - np.maximum(bounds.most_kw, bounds.least_kw), 0.0)
    found: Floats = np.where(under > SAME_KW, under, np.where(over > SAME_KW, -over, 0.0))
    return found
