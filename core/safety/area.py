"""The safe operating area with its delays: one tier per (cell, condition) and per (pack,
condition), the worst of each pack and the cell that has it (laws 7 and 8).

A missing value is a condition of its own: warning (0 A) with the first lost sample, trip after
the delay. At the limit counts as violated for voltage, temperature and state of charge, above
it for current; a warning of current only beyond the measuring error, because a pack that is held
at what it is allowed is not too high. At rest, and where the current is not known, the charge
limits hold: they are the stricter ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.limits import SafeOperatingArea, safe_operating_area
from core.safety.bands import (
    ALARM_ONLY,
    CELL_CONDITIONS,
    CONDITIONS,
    LIMITED_CELL,
    LIMITED_PACK,
    NEGATED,
    PACK_CONDITIONS,
    TRIP,
    UNITS,
    Bands,
    cell_bands,
    delays,
    discharging,
    pack_bands,
)
from core.safety.debounce import EVERY, BoolArray, Debouncer, Held
from core.safety.layout import NO_LEAF, Extremes, Layout
from core.safety.profile import SafetyProfile, safety_profile
from core.topology import FloatArray, IndexArray

TierArray = NDArray[np.uint8]
_PROTECTIVE = np.array([[name not in ALARM_ONLY] for name in PACK_CONDITIONS], dtype=np.uint8)
_WEIGHT, _FURTHEST = 1000.0, 400.0
MANY = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """One instant of all packs of a layout. float32; NaN where not known (law 4).

    current_a > 0 discharges (law 1). string_voltage_v: measured over the pack.
    bms_*_a: the limits that the packs' own BMS allows, both >= 0."""

    voltage_v: FloatArray
    temperature_c: FloatArray
    current_a: FloatArray
    soc_pct: FloatArray
    soh_pct: FloatArray
    string_voltage_v: FloatArray
    bms_charge_a: FloatArray
    bms_discharge_a: FloatArray


@dataclass(frozen=True, slots=True)
class AreaState:
    """What holds after a sample.

    cell_tier: uint8[cell condition, cells]; pack_tier: uint8[pack condition, packs].
    worst_tier, worst_condition (into CONDITIONS), worst_leaf (a cell or -1): [packs].
    protection_tier: the worst without what alarms alone: uint8[packs]. inside: all is known
    and nothing is beyond an information limit now, whatever still has to clear.
    voltage, temperature: the extremes of each pack. values, limits: signed, of the cells and
    of the packs, by which `cause_of` tells what it is. capacity_ah: of each pack, new."""

    cell_tier: TierArray
    pack_tier: TierArray
    worst_tier: TierArray
    worst_condition: NDArray[np.int64]
    worst_leaf: IndexArray
    protection_tier: TierArray
    inside: bool
    voltage: Extremes
    temperature: Extremes
    cell_values: FloatArray
    cell_bands: Bands
    pack_values: FloatArray
    pack_bands: Bands
    capacity_ah: FloatArray


@dataclass(frozen=True, slots=True)
class Cause:
    """Why: a condition, its tier, the cell (or -1: the pack itself), value and limit in
    `unit`; NaN where the condition has none or the value is missing. capacity_ah: of the pack,
    new, by which a current is told as a C-rate too."""

    condition: str
    tier: int = TRIP
    leaf: int = NO_LEAF
    value: float = math.nan
    limit: float = math.nan
    unit: str = ""
    capacity_ah: float = math.nan

    def words(self) -> str:
        """ "voltage_high, cell 12: 3.66 V, limit 3.65 V",
        "current_discharge: 104 A (0.8 C), limit 100.5 A (0.773 C)" """
        where = "" if self.leaf == NO_LEAF else f", cell {self.leaf}"
        value = "" if math.isnan(self.value) else f": {self._amount(self.value)}"
        limit = "" if math.isnan(self.limit) else f", limit {self._amount(self.limit)}"
        return f"{self.condition}{where}{value}{limit}"

    def _amount(self, value: float) -> str:
        if math.isinf(value):
            return "an infinite value"
        told = f"{value:.4g} {self.unit}"
        if self.unit != "A" or math.isnan(self.capacity_ah):
            return told
        return f"{told} ({value / self.capacity_ah:.3g} C)"


def cause_of(state: AreaState, pack: int) -> Cause | None:
    """The worst condition of a pack, or None where all is well."""
    tier = int(state.worst_tier[pack])
    if tier == 0:
        return None
    index, leaf = int(state.worst_condition[pack]), int(state.worst_leaf[pack])
    name = CONDITIONS[index]
    if name.endswith("_missing"):
        return Cause(name, tier, leaf, unit=UNITS[name])
    of_cell = leaf != NO_LEAF
    row, element = (index, leaf) if of_cell else (index - len(CELL_CONDITIONS), pack)
    values = state.cell_values if of_cell else state.pack_values
    bands = state.cell_bands if of_cell else state.pack_bands
    sign = -1.0 if name in NEGATED else 1.0
    return Cause(name, tier, leaf, sign * float(values[row, element]),
                 sign * float(bands.limit[row, tier - 1, element]), UNITS[name],
                 float(state.capacity_ah[pack]))


class Area:
    """Judges samples one after the other."""

    def __init__(self, layout: Layout, profile: SafetyProfile | None = None,
                 area: SafeOperatingArea | None = None) -> None:
        self.layout = layout
        self.profile = profile or safety_profile()
        limits = area or safe_operating_area()
        self._charge = cell_bands(limits, self.profile, layout, "charge")
        self._discharge = cell_bands(limits, self.profile, layout, "discharge")
        self._pack = pack_bands(self.profile, layout)
        self._cells = self._debouncer(CELL_CONDITIONS, layout.cells)
        self._packs = self._debouncer(PACK_CONDITIONS, layout.size)
        self._no_cell = np.zeros((len(CELL_CONDITIONS), layout.cells), dtype=np.uint8)
        self._no_pack = np.zeros((len(PACK_CONDITIONS), layout.size), dtype=np.uint8)
        for shared in (self._no_cell, self._no_pack):
            shared.setflags(write=False)
        self._calm = (np.zeros(layout.size, dtype=np.uint8),
                      np.zeros(layout.size, dtype=np.int64),
                      np.full(layout.size, NO_LEAF, dtype=np.int64),
                      np.zeros(layout.size, dtype=np.uint8))
        spreads = [self.profile.spread[pack.chemistry] for pack in layout.packs]
        self._below = np.array([item.judged_below_v for item in spreads], dtype=np.float32)
        self._above = np.array([item.judged_above_v for item in spreads], dtype=np.float32)

    def voltage_trips(self) -> tuple[FloatArray, FloatArray]:
        """Trip limits of a cell's voltage, high and low, in V: float32[packs] each."""
        first = self.layout.offsets
        return self._charge.limit[0, 2, first], -self._charge.limit[1, 2, first]

    def _debouncer(self, conditions: tuple[str, ...], elements: int) -> Debouncer:
        on_s, off_s = delays(self.profile, conditions)
        return Debouncer((len(conditions), 3, elements), on_s, off_s,
                         self.profile.clear_samples)

    def evaluate(self, sample: Sample, dt_s: float) -> AreaState:
        """The tiers after `sample`, which came `dt_s` after the one before."""
        voltage = self.layout.extremes(sample.voltage_v)
        temperature = self.layout.extremes(sample.temperature_c)
        bands = self._bands_of(sample)
        signed = np.empty((LIMITED_CELL, self.layout.cells), dtype=np.float32)
        signed[0], signed[2] = sample.voltage_v, sample.temperature_c
        np.negative(signed[::2], out=signed[1::2])
        values = self._pack_values(sample, voltage, temperature)
        cells_inside = self._cells_inside(bands, voltage, temperature)
        packs_inside = bool((values < self._pack.limit[:, 0]).all())
        cell_tier = (self._no_cell if cells_inside and not self._cells.busy
                     else self._cell_tiers(signed, bands, dt_s))
        pack_tier = (self._no_pack if packs_inside and not self._packs.busy
                     else self._pack_tiers(sample, values, dt_s))
        worst = self._worst(cell_tier, pack_tier, signed, bands)
        return AreaState(cell_tier, pack_tier, *worst, cells_inside and packs_inside, voltage,
                         temperature, signed, bands, values, self._pack,
                         self.layout.capacity_ah)

    def _bands_of(self, sample: Sample) -> Bands:
        """The limits of the direction of each pack."""
        out = discharging(sample.current_a, self.profile)
        if self.layout.size == 1 or out.all() or not out.any():
            return self._discharge if out[0] else self._charge
        chosen = out[self.layout.pack_of]
        return Bands(np.where(chosen, self._discharge.limit, self._charge.limit),
                     np.where(chosen, self._discharge.clear, self._charge.clear))

    def _cells_inside(self, bands: Bands, voltage: Extremes, temperature: Extremes) -> bool:
        """Whether every cell is known and within its information limits: the extremes of a
        pack are, and a missing value makes both of them NaN."""
        ends = np.array([voltage.high, -voltage.low, temperature.high, -temperature.low])
        return bool((ends < bands.limit[:, 0, self.layout.offsets]).all())

    def _cell_tiers(self, signed: FloatArray, bands: Bands, dt_s: float) -> TierArray:
        """Only cells beyond an information limit, or with something set, are looked at."""
        missing = ~np.isfinite(signed[::2])
        concerned = (signed >= bands.limit[:, 0]).any(axis=0)
        concerned |= missing[0] | missing[1] | self._cells.touched
        cells = self._chosen(concerned)
        wide = signed[:, None, cells]
        gone = np.repeat(missing[:, None, cells], 3, axis=1)
        violated = np.concatenate([wide >= bands.limit[:, :, cells], gone])
        clear = np.concatenate([wide <= bands.clear[:, :, cells], ~gone])
        tiers = np.zeros_like(self._no_cell)
        tiers[:, cells] = _tiers(self._cells.step(violated, clear, dt_s, cells))
        return tiers

    @staticmethod
    def _chosen(concerned: BoolArray) -> IndexArray | slice:
        """A few cells by index; where many are concerned, all of them at once are cheaper."""
        cells = np.flatnonzero(concerned)
        return cells if cells.size * MANY < concerned.size else EVERY

    def _pack_tiers(self, sample: Sample, values: FloatArray, dt_s: float) -> TierArray:
        wide, last = values[:, None, :], LIMITED_PACK - 1
        violated = np.empty(self._packs.active.shape, dtype=np.bool_)
        np.greater_equal(wide, self._pack.limit, out=violated[:LIMITED_PACK])
        # Without cells or without a measured string nothing proves that the two agree.
        violated[last, :2] |= np.isnan(values[last])
        violated[LIMITED_PACK] = ~np.isfinite(sample.current_a)
        violated[LIMITED_PACK + 1] = ~np.isfinite(sample.soc_pct)
        clear = np.empty_like(violated)
        np.less_equal(wide, self._pack.clear, out=clear[:LIMITED_PACK])
        clear[LIMITED_PACK:] = ~violated[LIMITED_PACK:]
        violated[LIMITED_PACK + 1, 2] = False
        return _tiers(self._packs.step(violated, clear, dt_s))

    def _pack_values(self, sample: Sample, voltage: Extremes,
                     temperature: Extremes) -> FloatArray:
        """float32[7, packs] in the order of PACK_CONDITIONS, signed."""
        values = np.empty((LIMITED_PACK, self.layout.size), dtype=np.float32)
        values[1] = sample.current_a
        np.negative(sample.current_a, out=values[0])
        values[2] = sample.soc_pct
        np.negative(sample.soc_pct, out=values[3])
        judged = (voltage.low < self._below) | (voltage.high > self._above)
        values[4] = (voltage.high - voltage.low) * judged
        np.subtract(temperature.high, temperature.low, out=values[5])
        np.abs(sample.string_voltage_v - self.layout.sums(sample.voltage_v), out=values[6])
        return values

    def _worst(self, cell_tier: TierArray, pack_tier: TierArray, signed: FloatArray,
               bands: Bands) -> tuple[TierArray, IndexArray, IndexArray, TierArray]:
        """Worst tier, its condition, its cell, and the tier of protection of each pack."""
        if cell_tier is self._no_cell and pack_tier is self._no_pack:
            return self._calm
        protection = (pack_tier * _PROTECTIVE).max(axis=0)
        worst, condition = pack_tier.max(axis=0), pack_tier.argmax(axis=0) + len(CELL_CONDITIONS)
        leaf = np.full(self.layout.size, NO_LEAF, dtype=np.int64)
        if cell_tier is self._no_cell:
            return worst, condition, leaf, protection
        of_cell, found = self._worst_cells(cell_tier, signed, bands)
        tier = cell_tier[of_cell, found]
        wins = (tier > 0) & (tier >= worst)
        return (np.where(wins, tier, worst), np.where(wins, of_cell, condition),
                np.where(wins, found, leaf), np.maximum(protection, tier))

    def _worst_cells(self, cell_tier: TierArray, signed: FloatArray,
                     bands: Bands) -> tuple[IndexArray, IndexArray]:
        """Per pack the condition and the cell: highest tier first, then furthest beyond."""
        cells = np.flatnonzero(cell_tier.any(axis=0))
        tiers = cell_tier[:, cells]
        beyond = np.zeros(tiers.shape, dtype=np.float64)
        beyond[:LIMITED_CELL] = signed[:, cells] - bands.limit[:, 0, cells]
        # A missing value is as far beyond as nothing; an infinite one is clipped.
        beyond = np.fmax(np.minimum(beyond, _FURTHEST), -_FURTHEST) + tiers * _WEIGHT
        score = np.zeros(self.layout.cells, dtype=np.float64)
        score[cells] = beyond.max(axis=0)
        condition = np.zeros(self.layout.cells, dtype=np.int64)
        condition[cells] = beyond.argmax(axis=0)
        _, leaf = self.layout.worst(score)
        return condition[leaf], leaf

    @property
    def touched(self) -> BoolArray:
        """bool[packs]: those with anything set or on its way."""
        cells: BoolArray = np.logical_or.reduceat(self._cells.touched, self.layout.offsets)
        return cells | self._packs.touched

    def state(self, pack: int) -> tuple[Held, Held]:
        """What a restart needs of a pack: of its cells, and of itself."""
        cells, own = self._parts(pack)
        return self._cells.state(cells), self._packs.state(own)

    def restore(self, pack: int, of_cells: Held, of_pack: Held) -> None:
        """A pack goes on where `state` was taken; raises GiveUpError if it is damaged or of
        another pack."""
        cells, own = self._parts(pack)
        self._cells.restore(of_cells, cells)
        self._packs.restore(of_pack, own)

    def _parts(self, pack: int) -> tuple[slice, slice]:
        first = int(self.layout.offsets[pack])
        return slice(first, first + int(self.layout.counts[pack])), slice(pack, pack + 1)


def _tiers(active: BoolArray) -> TierArray:
    """Highest active tier: uint8[condition, element] of bool[condition, tier, element]."""
    tiers = active[:, 0].astype(np.uint8)
    tiers[active[:, 1]] = 2
    tiers[active[:, 2]] = TRIP
    return tiers
