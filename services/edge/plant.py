"""A battery pack as an edge device sees it: cells in series, each with a charge, an open-circuit
voltage, a resistance and a temperature, behind a fuse and two contactors. Signs: law 1, + is
discharging."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.safety.layout import Pack as Rating
from core.safety.monitor import Hardware
from core.safety.plant import PackPlant
from core.topology import FloatArray

GRID_PCT = np.linspace(0.0, 100.0, 11)
CURVES_V: Mapping[str, tuple[float, ...]] = {
    "LFP": (2.95, 3.18, 3.21, 3.25, 3.265, 3.27, 3.28, 3.305, 3.315, 3.32, 3.42),
    "NMC": (3.36, 3.47, 3.53, 3.59, 3.65, 3.71, 3.77, 3.83, 3.90, 3.97, 4.06),
    "LCO": (3.55, 3.68, 3.69, 3.70, 3.72, 3.74, 3.76, 3.79, 3.83, 3.88, 4.02),
}
"""Open-circuit voltage of a cell at 0, 10, ... 100 % of the pack's window [V]."""
NOMINAL_V: Mapping[str, float] = {"LFP": 3.2, "NMC": 3.65, "LCO": 3.7}
DROP_1C_V = 0.05
"""Lost inside a new cell at 1 C [V]."""
HEAT_J_PER_K_PER_AH = 38.0
LOSS_W_PER_K_PER_AH = 0.012
AMBIENT_C = 22.0
HOTTEST_C = 75.0
"""A heated cell stays here: beyond it real cells would burn."""
RAMP = "fast"
"""Of `core/profiles/safety.yaml`: how fast an allowed current comes back."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the pack. cell_voltage_v, cell_temperature_c: float32[cells], NaN where a sensor
    is lost. voltage_v: measured over all cells. hardware: what fuse and contactors say."""

    cell_voltage_v: FloatArray
    cell_temperature_c: FloatArray
    current_a: float
    voltage_v: float
    hardware: Hardware = Hardware()

    @property
    def power_kw(self) -> float:
        return self.voltage_v * self.current_a / 1000.0


class Plant(Protocol):
    """A real pack behind its bus, or a simulated one."""

    @property
    def rating(self) -> Rating: ...

    @property
    def cells(self) -> int: ...

    @property
    def capacity_ah(self) -> float: ...

    def step(self, power_kw: float, dt_s: float, close_plus: bool = True,
             close_minus: bool = True) -> Sample:
        """Ask for a power [kW] and for the contactors, and look at the pack `dt_s` later [s]."""
        ...


def rated(device: str, chemistry: str, cells: int, capacity_kwh: float) -> Rating:
    """What a pack is rated for: 100 A, or 1 C where that is less (law 8's outermost bound)."""
    return Rating(device, chemistry, cells, 1000.0 * capacity_kwh / (NOMINAL_V[chemistry] * cells),
                  ramp=RAMP)


class SimulatedPack:
    """Plant. Cells differ by a few percent, fixed by `seed`; 280 Ah class cells in series.

    Faults are set from outside: those of `switch` (fuse, contactors), `heating_k_per_s` up to
    `hottest_c`, `lost_voltage` and `lost_temperature` (bool[cells]), `cooling_failed`."""

    def __init__(self, chemistry: str, cells: int, capacity_kwh: float, seed: int,
                 soc_pct: float = 60.0, device: str = "pack") -> None:
        rng = np.random.default_rng(seed)
        self.rating = rated(device, chemistry, cells, capacity_kwh)
        self.cells, self.capacity_ah = cells, self.rating.capacity_ah
        self._curve = np.array(CURVES_V[chemistry])
        self._cell_ah = self.capacity_ah * rng.normal(1.0, 0.01, cells)
        self._ohm = DROP_1C_V / self.capacity_ah * rng.normal(1.0, 0.05, cells)
        self._soc_pct = np.clip(soc_pct + rng.normal(0.0, 0.4, cells), 0.0, 100.0)
        self._temperature_c = AMBIENT_C + rng.normal(0.0, 0.5, cells)
        self._noise = rng
        self.switch = PackPlant(self.rating)
        self.heating_k_per_s, self.hottest_c = np.zeros(cells), HOTTEST_C
        self.lost_voltage = np.zeros(cells, dtype=np.bool_)
        self.lost_temperature = np.zeros(cells, dtype=np.bool_)
        self.cooling_failed = False
        self.current_a = 0.0

    def repair(self) -> None:
        """What a person does on site: exchange what is broken, cells that were heated included."""
        self._temperature_c[self.heating_k_per_s > 0] = AMBIENT_C
        self.heating_k_per_s[:], self.hottest_c = 0.0, HOTTEST_C
        self.lost_voltage[:] = self.lost_temperature[:] = False
        self.cooling_failed = False
        self.switch.repair()

    def step(self, power_kw: float, dt_s: float, close_plus: bool = True,
             close_minus: bool = True) -> Sample:
        rest_v = np.interp(self._soc_pct, GRID_PCT, self._curve)
        wanted_a = self._current(1000.0 * power_kw, float(rest_v.sum()))
        switch = self.switch.step(dt_s, wanted_a, close_plus, close_minus)
        self.current_a = current_a = switch.current_a
        self._soc_pct = np.clip(
            self._soc_pct - 100.0 * current_a * dt_s / 3600.0 / self._cell_ah, 0.0, 100.0)
        self._warm(current_a, dt_s)
        cell_v = rest_v - current_a * self._ohm + self._noise.normal(0.0, 5e-4, self.cells)
        hardware = Hardware(switch.plus_closed, switch.minus_closed, switch.fuse_intact,
                            switch.short_circuit, switch.interlock)
        return Sample(self._told(cell_v, self.lost_voltage),
                      self._told(self._temperature_c, self.lost_temperature),
                      current_a, float(cell_v.sum()), hardware)

    @staticmethod
    def _told(values: NDArray[np.float64], lost: NDArray[np.bool_]) -> FloatArray:
        told = values.astype(np.float32)
        told[lost] = np.nan
        return told

    def _current(self, power_w: float, rest_v: float) -> float:
        """Of P = (U - I R) I [A]; the most that the pack gives where it cannot."""
        ohm = float(self._ohm.sum())
        inside = max(0.0, rest_v * rest_v - 4.0 * ohm * power_w)
        return (rest_v - float(np.sqrt(inside))) / (2.0 * ohm)

    def _warm(self, current_a: float, dt_s: float) -> None:
        heat_w = current_a * current_a * self._ohm
        lost_w = LOSS_W_PER_K_PER_AH * self.capacity_ah * (self._temperature_c - AMBIENT_C)
        self._temperature_c += (heat_w - lost_w) * dt_s / (HEAT_J_PER_K_PER_AH * self.capacity_ah)
        room_k = np.maximum(self.hottest_c - self._temperature_c, 0.0)
        self._temperature_c += np.minimum(self.heating_k_per_s * dt_s, room_k)
