"""Simulated cells in series, of one pack or of several in a row: charge, resistance, heat.

Whatever is said of a whole pack (its current, its capacity) is a number for one pack, and
float64[cells] for several. Signs: law 1, + is discharging.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from core.topology import FloatArray
from core.twin.models import cell_models

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GRID_PCT = np.linspace(0.0, 100.0, 101)
CURVES_V: Mapping[str, Floats] = {name: model.ocv_v(GRID_PCT / 100.0)
                                  for name, model in cell_models().items()}
"""Open-circuit voltage of a cell at 0, 1, ... 100 % of the pack's window [V]."""
DROP_1C_V = 0.05
"""Lost inside a new cell at 1 C [V]."""
HEAT_J_PER_K_PER_AH = 38.0
LOSS_W_PER_K_PER_AH = 0.012
AMBIENT_C = 22.0
NOISE_V = 5e-4
"""Of a voltage reading, one standard deviation [V]."""


class Curves:
    """Open-circuit voltages over packs in a row; counts: cells of each."""

    def __init__(self, chemistries: Sequence[str], counts: Sequence[int]) -> None:
        of = np.repeat(np.array(chemistries), counts)
        self._parts = [(CURVES_V[name], np.flatnonzero(of == name))
                       for name in dict.fromkeys(chemistries)]

    def volts(self, soc_pct: Floats) -> Floats:
        """float64[cells], of float64[cells]."""
        found = np.empty(soc_pct.shape)
        for curve, cells in self._parts:
            found[cells] = np.interp(soc_pct[cells], GRID_PCT, curve)
        return found


@dataclass(frozen=True, slots=True)
class Cells:
    """What each cell is and has now; the arrays are written in place. capacity_ah: its own, a
    pack's is the rated one. heating_k_per_s: a fault from outside. lost_...: sensors."""

    capacity_ah: Floats
    ohm: Floats
    soc_pct: Floats
    temperature_c: Floats
    heating_k_per_s: Floats
    lost_voltage: Flags
    lost_temperature: Flags

    @classmethod
    def made(cls, rng: np.random.Generator, count: int, capacity_ah: float,
             soc_pct: float) -> Cells:
        """Of one pack; they differ by a few percent."""
        return cls(capacity_ah * rng.normal(1.0, 0.01, count),
                   DROP_1C_V / capacity_ah * rng.normal(1.0, 0.05, count),
                   np.clip(soc_pct + rng.normal(0.0, 0.4, count), 0.0, 100.0),
                   AMBIENT_C + rng.normal(0.0, 0.5, count), np.zeros(count),
                   np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_))

    @classmethod
    def joined(cls, packs: Sequence[Cells]) -> Cells:
        """A copy of several in a row."""
        return cls(*(np.concatenate([getattr(pack, field.name) for pack in packs])
                     for field in fields(cls)))

    def part(self, cells: slice) -> Cells:
        """Views: what is written to one of both is written to both."""
        return Cells(*(getattr(self, field.name)[cells] for field in fields(self)))

    def discharge(self, current_a: float | Floats, dt_s: float) -> None:
        """Carry a current for so long."""
        charge = self.soc_pct
        charge -= 100.0 * current_a * dt_s / 3600.0 / self.capacity_ah
        np.clip(charge, 0.0, 100.0, out=charge)

    def warm(self, current_a: float | Floats, pack_ah: float | Floats,
             hottest_c: float | Floats, dt_s: float,
             ambient_c: float | Floats = AMBIENT_C) -> None:
        """By their resistance, and by a fault up to `hottest_c`."""
        heat_w = current_a * current_a * self.ohm
        lost_w = LOSS_W_PER_K_PER_AH * pack_ah * (self.temperature_c - ambient_c)
        now_c = self.temperature_c
        now_c += (heat_w - lost_w) * dt_s / (HEAT_J_PER_K_PER_AH * pack_ah)
        if self.heating_k_per_s.any():
            room_k = np.maximum(hottest_c - now_c, 0.0)
            now_c += np.minimum(self.heating_k_per_s * dt_s, room_k)

    def told_v(self, volts: Floats) -> FloatArray:
        """What the sensors say: float32[cells], NaN where one is lost."""
        return _told(volts, self.lost_voltage)

    def told_c(self) -> FloatArray:
        return _told(self.temperature_c, self.lost_temperature)


def _told(values: Floats, lost: Flags) -> FloatArray:
    told = values.astype(np.float32)
    told[lost] = np.nan
    return told


def current_of(power_w: float | Floats, rest_v: float | Floats, ohm: float | Floats) -> Floats:
    """Of P = (U - I R) I [A]; the most that a pack gives where it cannot, NaN of NaN."""
    inside = np.maximum(rest_v * rest_v - 4.0 * ohm * power_w, 0.0)
    found: Floats = (rest_v - np.sqrt(inside)) / (2.0 * ohm)
    return found
