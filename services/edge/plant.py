"""A battery pack as an edge device sees it: cells in series, each with a charge, an open-circuit
voltage, a resistance and a temperature, behind a fuse and two contactors. Signs: law 1, + is
discharging."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.safety.layout import Pack as Rating
from core.safety.monitor import Hardware
from core.safety.plant import PackPlant, PlantState
from core.topology import FloatArray
from services.edge.cells import AMBIENT_C, NOISE_V, Cells, Curves, Flags, Floats, current_of

NOMINAL_V: Mapping[str, float] = {"LFP": 3.2, "NMC": 3.65, "LCO": 3.7}
HOTTEST_C = 75.0
"""A heated cell stays here: beyond it real cells would burn."""
UNKNOWN = Hardware(None, None, None)
"""Of fuse and contactors that say nothing."""
UNHEARD_S = 2.0
"""So long without an order, and a pack's own hardware lets nothing flow [s]. The guard of a process
shuts its packs down then, too (`overrun_s` of the profile)."""
RAMP = "fast"
"""Of `core/profiles/safety.yaml`: how fast an allowed current comes back."""


@dataclass(frozen=True, slots=True)
class NoSample:
    """The pack said nothing. why: for a person, "" where nobody knows."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the pack. cell_voltage_v, cell_temperature_c: float32[cells], NaN where a sensor
    is lost. voltage_v: measured over all cells. hardware: what fuse and contactors say.
    cooling_failed: as the pack's cooling says. silent: it stands for a sample that never came."""

    cell_voltage_v: FloatArray
    cell_temperature_c: FloatArray
    current_a: float
    voltage_v: float
    hardware: Hardware = Hardware()
    cooling_failed: bool = False
    silent: bool = False

    @classmethod
    def missing(cls, cells: int) -> Sample:
        """Nothing is known (law 4)."""
        unknown = np.full(cells, np.nan, dtype=np.float32)
        return cls(unknown, unknown, math.nan, math.nan, UNKNOWN, silent=True)

    @property
    def power_kw(self) -> float:
        return self.voltage_v * self.current_a / 1000.0

    @property
    def sure_voltage_v(self) -> float:
        """By which a current is turned into a power that asks for no more of it, although one of
        both ways to know lies [V]: the lower of the measured voltage and of the sum of the cells.
        NaN where one of them is none."""
        both = self.voltage_v, float(self.cell_voltage_v.sum(dtype=np.float64))
        return min(both) if all(0.0 < volts < math.inf for volts in both) else math.nan


class Plant(Protocol):
    """A real pack behind its bus, or a simulated one."""

    @property
    def rating(self) -> Rating: ...

    @property
    def cells(self) -> int: ...

    @property
    def capacity_ah(self) -> float: ...

    def step(self, power_kw: float, dt_s: float, close_plus: bool = True,
             close_minus: bool = True) -> Sample | NoSample:
        """Ask for a power [kW] and for the contactors, and look at the pack `dt_s` later [s].

        A pack that said nothing since the last look is `NoSample`, and so is one whose bus raises:
        it gets 0 A at once and is shut down soon. A look must come back within its period: nothing
        of any pack of the process is judged, and the last power and contactors stand, until it
        does. One that took longer than `overrun_s` of the profile shuts them all down when it
        comes back. What shuts a pack down whose process never comes back cannot be in that
        process: it is the pack's own hardware, that opens when no order comes over its bus."""
        ...


class Plants(Protocol):
    """The packs of one process, everything in their order."""

    def step(self, power_kw: Sequence[float], dt_s: float,
             close: Sequence[tuple[bool, bool]]) -> Sequence[Sample | NoSample]:
        """As `Plant.step` of each; close: of plus and minus contactor."""
        ...


class EachPlant:
    """Plants, one after the other: each behind a bus of its own, which alone is lost with it."""

    def __init__(self, plants: Sequence[Plant]) -> None:
        self._plants = plants

    def step(self, power_kw: Sequence[float], dt_s: float,
             close: Sequence[tuple[bool, bool]]) -> list[Sample | NoSample]:
        return [self._looked(plant, power, dt_s, pair)
                for plant, power, pair in zip(self._plants, power_kw, close, strict=True)]

    @staticmethod
    def _looked(plant: Plant, power_kw: float, dt_s: float,
                close: tuple[bool, bool]) -> Sample | NoSample:
        try:
            return plant.step(power_kw, dt_s, *close)
        except Exception as error:  # noqa: BLE001 - whatever a bus throws, the others are judged
            return lost_by(error)


def lost_by(error: Exception) -> NoSample:
    """What became of a look."""
    return NoSample(f"{type(error).__name__}: {error}")


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
        self.rating = rated(device, chemistry, cells, capacity_kwh)
        self.cells, self.capacity_ah = cells, self.rating.capacity_ah
        self.noise = np.random.default_rng(seed)
        self.state = Cells.made(self.noise, cells, self.capacity_ah, soc_pct)
        self._curves = Curves([chemistry], [cells])
        self.switch = PackPlant(self.rating)
        self.hottest_c, self.cooling_failed = HOTTEST_C, False
        self.current_a = 0.0

    @property
    def heating_k_per_s(self) -> Floats:
        return self.state.heating_k_per_s

    @property
    def lost_voltage(self) -> Flags:
        return self.state.lost_voltage

    @property
    def lost_temperature(self) -> Flags:
        return self.state.lost_temperature

    def repair(self) -> None:
        """What a person does on site: exchange what is broken, cells that were heated included."""
        self.state.temperature_c[self.heating_k_per_s > 0] = AMBIENT_C
        self.heating_k_per_s[:], self.hottest_c = 0.0, HOTTEST_C
        self.lost_voltage[:] = self.lost_temperature[:] = False
        self.cooling_failed = False
        self.switch.repair()

    def step(self, power_kw: float, dt_s: float, close_plus: bool = True,
             close_minus: bool = True) -> Sample:
        cells = self.state
        rest_v = self._curves.volts(cells.soc_pct)
        wanted_a = float(current_of(1000.0 * power_kw, rest_v.sum(), cells.ohm.sum()))
        switch = self.switch.step(dt_s, wanted_a, close_plus, close_minus)
        self.current_a = current_a = switch.current_a
        cells.discharge(current_a, dt_s)
        cells.warm(current_a, self.capacity_ah, self.hottest_c, dt_s)
        volts = rest_v - current_a * cells.ohm + self.noise.normal(0.0, NOISE_V, self.cells)
        return Sample(cells.told_v(volts), cells.told_c(), current_a, float(volts.sum()),
                      hardware_of(switch), self.cooling_failed)


def hardware_of(switch: PlantState) -> Hardware:
    """What fuse and contactors say."""
    return Hardware(switch.plus_closed, switch.minus_closed, switch.fuse_intact,
                    switch.short_circuit, switch.interlock)
