"""How much current a pack allows each way, and why: the least of all partial limits (law 8).

Every partial limit is kept with its name and the cell that sets it. A limit is cut at once and
comes back slowly, by so many A/s; a voltage limit that has begun to fall may only fall
further until its cell is out of the limiting zone (as OpenEMS does), because the voltage
recovers as soon as the current goes: its reason names the cell and the voltage that set it,
and the voltage that ends it. What is missing allows 0 A (law 4). Between the
information limit and the warning limit a part is allowed, by the profile's shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import msgspec
import numpy as np

from core.errors import GiveUpError
from core.limits import SafeOperatingArea, safe_operating_area
from core.safety.area import AreaState, Sample
from core.safety.debounce import BoolArray
from core.safety.layout import NO_LEAF, Layout
from core.safety.profile import Polyline, SafetyProfile, safety_profile
from core.topology import FloatArray, IndexArray

CHARGE, DISCHARGE = 0, 1
Way = Literal["charge", "discharge"]
WAYS: tuple[Way, ...] = get_args(Way)
BMS, VOLTAGE, HEAT, COLD, SOC, RATE, CURRENT, OPERATOR, STATE, RAMP = range(10)
LimitName = Literal["bms", "voltage", "temperature_max", "temperature_min", "soc", "c_rate",
                    "current", "operator", "safety_state", "ramp"]
LIMITS: tuple[LimitName, ...] = get_args(LimitName)
UNIT = {VOLTAGE: "V", HEAT: "°C", COLD: "°C", SOC: "%", RATE: "%", CURRENT: "A"}
SPOKEN: Mapping[LimitName, str] = {"bms": "battery management", "soc": "state of charge",
                                   "c_rate": "state of health"}
"""Limits whose names are no words that a person would say."""


class FallenPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To what part of the current a voltage limit has fallen, 1: it has not; by which of the
    pack's cells, -1: none, and at which voltage [V]."""

    part: float = 1.0
    cell: int = NO_LEAF
    value: float | None = None


Fallen = tuple[FallenPart, FallenPart]
"""Charge and discharge."""


@dataclass(frozen=True, slots=True)
class Derated:
    """allowed_a: float32[way, packs], A >= 0. partial_a: float32[limit, way, packs] in the
    order of LIMITS. leaf: int64[limit, way, packs], the cell or -1. value: what the limit was
    read from, in UNIT. binding: int64[way, packs], the limit that holds. until_v: float32[way,
    packs], the voltage at which a limit of voltage that is held ends; NaN where none is.
    capacity_ah: float32[packs], new."""

    allowed_a: FloatArray
    partial_a: FloatArray
    leaf: IndexArray
    value: FloatArray
    binding: IndexArray
    until_v: FloatArray
    reference_current_a: FloatArray
    capacity_ah: FloatArray

    def reason(self, way: int, pack: int) -> Reason:
        """Which limit holds one way of one pack."""
        return self._reason(int(self.binding[way, pack]), way, pack)

    def limited(self, way: int, pack: int) -> bool:
        """Whether less than the reference current is allowed."""
        return bool(self.allowed_a[way, pack] < self.reference_current_a[pack])

    def near(self, way: int, pack: int) -> list[Reason]:
        """All limits below the reference current, the one that holds first, then by their
        amperes. The ramp follows what is allowed, so it is told only where it holds."""
        amps, holds = self.partial_a[:, way, pack], int(self.binding[way, pack])
        below = np.flatnonzero(amps < self.reference_current_a[pack]).tolist()
        told = [limit for limit in below if limit != RAMP or limit == holds]
        return [self._reason(limit, way, pack)
                for limit in sorted(told, key=lambda limit: (amps[limit], limit != holds))]

    def _reason(self, limit: int, way: int, pack: int) -> Reason:
        amps = float(self.partial_a[limit, way, pack])
        return Reason(LIMITS[limit], WAYS[way], amps,
                      amps / float(self.capacity_ah[pack]),
                      int(self.leaf[limit, way, pack]), float(self.value[limit, way, pack]),
                      UNIT.get(limit, ""),
                      float(self.until_v[way, pack]) if limit == VOLTAGE else math.nan)


@dataclass(frozen=True, slots=True)
class Reason:
    """amps allowed, as a C-rate too: over the capacity of the new pack; leaf -1: no cell.
    until: the voltage at which a limit ends that is held since `leaf` was at `value`; NaN for
    one that follows what is measured now."""

    limit: LimitName
    way: Way
    amps: float
    c_rate: float
    leaf: int
    value: float
    unit: str
    until: float = math.nan

    def words(self, leaf_name: str = "") -> str:
        """ "charge limited to 0.6 C by cell 12 at 44 °C" """
        return f"{self.way} {self.held(leaf_name)}"

    def held(self, leaf_name: str = "") -> str:
        """ "limited to 0.6 C by cell 12 at 44 °C", "limited to 0 C since cell 6 was at 3.62 V,
        until all cells are below 3.5 V" """
        name = leaf_name or f"cell {self.leaf}"
        said = SPOKEN.get(self.limit, self.limit.replace("_", " "))
        by = said if self.leaf == NO_LEAF else name
        value = f"{self.value:.4g} {self.unit}"
        if not math.isfinite(self.value):
            value = "a missing value" if math.isnan(self.value) else "an infinite value"
        if not math.isnan(self.until):
            side = "below" if self.way == "charge" else "above"
            return (f"limited to {self.c_rate:.2g} C since {by} was at {value}, until all cells "
                    f"are {side} {self.until:.4g} {self.unit}")
        at = f" at {value}" if self.unit else ""
        return f"limited to {self.c_rate:.2g} C by {by}{at}"


class Derating:
    """Judges samples one after the other. Begins at 0 A: a start ramps up as well."""

    def __init__(self, layout: Layout, profile: SafetyProfile | None = None,
                 area: SafeOperatingArea | None = None) -> None:
        """Raises GiveUpError for a ramp that the profile does not have."""
        self.layout = layout
        self._profile = profile or safety_profile()
        self._lines = _Lines(layout, self._profile, area or safe_operating_area())
        ramps = self._profile.derating.ramp_a_per_s
        unknown = {pack.ramp for pack in layout.packs} - set(ramps)
        if unknown:
            raise GiveUpError(f"no such ramp: {sorted(unknown)}; there are {sorted(ramps)}")
        self._ramp = np.array([ramps[pack.ramp] for pack in layout.packs], dtype=np.float32)
        self._allowed = np.zeros((2, layout.size), dtype=np.float32)
        self._ratchet = _Ratchet(layout)

    def step(self, sample: Sample, state: AreaState, operator_a: FloatArray,
             stopped: BoolArray, dt_s: float) -> Derated:
        """What is allowed `dt_s` after the last sample.

        operator_a: float32[way, packs], inf where the operator set none, NaN counts as 0 A.
        stopped: bool[packs], packs whose safety state allows nothing."""
        partial, leaf, value, until_v = self._partial(sample, state)
        partial[OPERATOR] = operator_a
        partial[STATE] = np.where(stopped, 0, np.inf)
        partial = np.maximum(np.nan_to_num(partial, nan=0.0, posinf=np.inf, neginf=0.0), 0)
        partial[RAMP] = self._allowed + self._ramp * np.float32(dt_s if dt_s > 0 else 0.0)
        binding = partial.argmin(axis=0)
        self._allowed = partial.min(axis=0)
        return Derated(self._allowed.copy(), partial, leaf, value, binding, until_v,
                       self.layout.reference_current_a, self.layout.capacity_ah)

    def _partial(self, sample: Sample, state: AreaState
                 ) -> tuple[FloatArray, IndexArray, FloatArray, FloatArray]:
        packs = self.layout.size
        partial = np.full((len(LIMITS), 2, packs), np.inf, dtype=np.float32)
        leaf = np.full((len(LIMITS), 2, packs), NO_LEAF, dtype=np.int64)
        value = np.full((len(LIMITS), 2, packs), np.nan, dtype=np.float32)
        volts, heat = state.voltage, state.temperature
        value[VOLTAGE], leaf[VOLTAGE] = (volts.high, volts.low), (volts.high_leaf, volts.low_leaf)
        value[HEAT], leaf[HEAT] = heat.high, heat.high_leaf
        value[COLD], leaf[COLD] = heat.low, heat.low_leaf
        value[SOC], value[RATE], value[CURRENT] = (
            sample.soc_pct, sample.soh_pct, sample.current_a)
        fraction = self._lines.fractions(value)
        held = self._ratchet.take(fraction[VOLTAGE - 1], leaf[VOLTAGE], value[VOLTAGE])
        until_v = np.where(held, self._lines.whole_v, np.float32(np.nan))
        partial[VOLTAGE:SOC + 1] = fraction * self.layout.reference_current_a
        self._unsure(sample.string_voltage_v, partial, leaf, value, until_v)
        partial[RATE] = self._rated(sample.soh_pct)
        partial[CURRENT] = np.where(np.isfinite(sample.current_a), np.inf, 0)
        bms = np.stack([sample.bms_charge_a, sample.bms_discharge_a])
        partial[BMS] = np.where(np.isfinite(bms), bms, 0)
        return partial, leaf, value, until_v

    @staticmethod
    def _unsure(string_voltage_v: FloatArray, partial: FloatArray, leaf: IndexArray,
                value: FloatArray, until_v: FloatArray) -> None:
        """Where the voltage of a pack is none, no power is known to be within a current. A cell
        without a voltage is named instead."""
        lost = ~(np.isfinite(string_voltage_v) & (string_voltage_v > 0))
        lost &= np.isfinite(value[VOLTAGE]).all(axis=0)
        for told, nothing in ((partial, 0.0), (leaf, NO_LEAF), (value, np.nan)):
            told[VOLTAGE][:, lost] = nothing
        until_v[:, lost] = np.nan

    def _rated(self, soh_pct: FloatArray) -> FloatArray:
        """A per pack: the reference current, less for an aged pack, nothing for a worn one."""
        part = np.clip(soh_pct / 100, 0, 1)
        part = np.where(soh_pct < self._profile.soh_min_pct, 0, part)
        rated: FloatArray = (part * self.layout.reference_current_a).astype(np.float32)
        return rated

    @property
    def held(self) -> BoolArray:
        """bool[packs]: those whose voltage limit has fallen and is not whole again."""
        return self._ratchet.held

    def ratchet(self, pack: int) -> Fallen:
        """What a restart needs. What is allowed ramps up anew."""
        return self._ratchet.of(pack)

    def restore(self, pack: int, fallen: Fallen) -> None:
        """A pack goes on where `ratchet` was taken; raises GiveUpError where that is damaged."""
        self._ratchet.restore(pack, fallen)


class _Ratchet:
    """Parts of the current that voltages allow, which only fall until they are whole again, with
    the cell and the voltage that set each: arrays[way, packs]."""

    def __init__(self, layout: Layout) -> None:
        shape = (2, layout.size)
        self._first, self._cells = layout.offsets, layout.counts
        self._part = np.ones(shape, dtype=np.float32)
        self._leaf = np.full(shape, NO_LEAF, dtype=np.int64)
        self._value = np.full(shape, np.nan, dtype=np.float32)

    def take(self, part: FloatArray, leaf: IndexArray, value: FloatArray) -> BoolArray:
        """Changes what voltages allow now into what is held, where that is less, and tells where
        it is. A missing value allows nothing and leaves what was held."""
        held: BoolArray = self._part < part
        held &= part < 1
        keeps = held | np.isnan(part)
        for mine, now in ((self._part, part), (self._leaf, leaf), (self._value, value)):
            np.copyto(mine, now, where=~keeps)
            np.copyto(now, mine, where=held)
        return held

    @property
    def held(self) -> BoolArray:
        """bool[packs]"""
        low: BoolArray = np.logical_or(*(self._part < 1))
        return low

    def of(self, pack: int) -> Fallen:
        """Charge and discharge."""
        charge, discharge = (self._of(way, pack) for way in range(2))
        return charge, discharge

    def _of(self, way: int, pack: int) -> FallenPart:
        part, value = float(self._part[way, pack]), float(self._value[way, pack])
        if part >= 1:
            return FallenPart()
        leaf = int(self._leaf[way, pack])
        cell = NO_LEAF if leaf == NO_LEAF else leaf - int(self._first[pack])
        return FallenPart(part, cell, None if math.isnan(value) else value)

    def restore(self, pack: int, fallen: Fallen) -> None:
        """Raises GiveUpError."""
        for way, one in enumerate(fallen):
            told = one.value is None or math.isfinite(one.value)
            if not (0.0 <= one.part <= 1.0 and NO_LEAF <= one.cell < self._cells[pack] and told):
                raise GiveUpError(f"the saved derating is damaged: {fallen}")
            self._part[way, pack] = one.part
            self._leaf[way, pack] = (NO_LEAF if one.cell == NO_LEAF
                                     else one.cell + int(self._first[pack]))
            self._value[way, pack] = math.nan if one.value is None else one.value


class _Lines:
    """Parts of the current allowed, 1 at the information limit and 0 at the warning limit."""

    def __init__(self, layout: Layout, profile: SafetyProfile, area: SafeOperatingArea) -> None:
        shapes = profile.derating
        self._shapes = (shapes.voltage_shape, shapes.temperature_shape,
                        shapes.temperature_shape, shapes.soc_shape)
        tables = [[area.table(name) for name in names] for names in (
            ("voltage_max_v", "voltage_min_v"),
            ("charge_temperature_max_c", "discharge_temperature_max_c"),
            ("charge_temperature_min_c", "discharge_temperature_min_c"))]
        cells = np.array(tables)[:, :, layout.chemistry, :2]
        soc = np.array([profile.soc_max_pct, profile.soc_min_pct], dtype=np.float32)[:, None, :2]
        every = np.concatenate([cells, np.broadcast_to(soc, (1, 2, layout.size, 2))])
        self._start: FloatArray = every[..., 0].astype(np.float32)
        self._span: FloatArray = (every[..., 1] - every[..., 0]).astype(np.float32)

    @property
    def whole_v(self) -> FloatArray:
        """Voltages at which all is allowed again: float32[way, packs]."""
        whole: FloatArray = self._start[0]
        return whole

    def fractions(self, value: FloatArray) -> FloatArray:
        """float32[4, way, packs] for VOLTAGE, HEAT, COLD and SOC of value[limit, way, packs];
        NaN where the value is not finite."""
        way = (value[VOLTAGE:SOC + 1] - self._start) / self._span
        way[~np.isfinite(way)] = np.nan
        parts: FloatArray = np.stack([_along(shape, row) for shape, row
                                      in zip(self._shapes, way, strict=True)])
        return parts


def _along(shape: Polyline, way: FloatArray) -> FloatArray:
    ways, parts = zip(*shape, strict=True)
    part: FloatArray = np.interp(way, ways, parts).astype(np.float32)
    return part
