"""What a simulated heat pump's refrigerant circuit does at which temperatures.

Planes through source and water temperature, from hplib's fits of laboratory points (see
`sim/heat_pump_data/README.md`) or from a maker's published points.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from core.pump import Medium
from sim.house_data import F64

DATA = Path(__file__).parent / "heat_pump_data"
FILE = DATA / "hplib_1_9_rows.csv"
HPLIB = "hplib 1.9 (Tjaden, Hoops, Rösken; CC BY 4.0)"

LEAST_COP = 1.3
LEAST_POWER_W = 200.0
FULL_HZ = 90.0
CAPACITY_PER_K = 0.015
"""An air-source compressor at full speed gives so much more heat for each kelvin of warmer air."""


@dataclass(frozen=True, slots=True)
class Plane:
    """at + per_source_k * source + per_water_k * water, temperatures in degC."""

    at: float
    per_source_k: float
    per_water_k: float

    def __call__(self, source_c: F64 | float, water_c: F64 | float) -> F64 | float:
        return self.at + self.per_source_k * source_c + self.per_water_k * water_c


@dataclass(frozen=True, slots=True)
class Machine:
    """A heat pump without its house.

    cop: plane of the COP. duty_w: plane of the compressor's electric power where it is simply
    on or off, of its heat at full speed where it is regulated [W]. least_speed: share of full
    speed below which a regulated one switches off; 1 = on or off. nominal_w: heat by which
    its pumps are sized. standby_w, brine_pump_w: electric power [W]; the fan of an air source
    is in `duty_w`.
    """

    name: str
    model: str
    cited: str
    medium: Medium
    cop: Plane
    duty_w: Plane
    least_speed: float
    nominal_w: float
    standby_w: float
    brine_pump_w: float

    @property
    def regulated(self) -> bool:
        return self.least_speed < 1.0

    def points(self, sources_c: tuple[float, ...], waters_c: tuple[float, ...],
               ) -> list[tuple[float, float, float, float]]:
        """(source_c, water_c, COP, heat in kW) at full speed at each pair."""
        found = []
        for source_c in sources_c:
            for water_c in waters_c:
                cop = max(float(np.asarray(self.cop(source_c, water_c))), LEAST_COP)
                duty_w = float(np.asarray(self.duty_w(source_c, water_c)))
                heat_w = duty_w if self.regulated else max(duty_w, LEAST_POWER_W) * cop
                found.append((source_c, water_c, round(cop, 3), round(heat_w / 1000.0, 3)))
        return found


def _hplib_rows() -> dict[str, dict[str, str]]:
    with FILE.open(encoding="utf-8") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def _fit(row: dict[str, str], kind: str, air: bool) -> Plane:
    """hplib's plane p1 * source + p2 * water + p3 + p4 * outdoor. Of an air source the outdoor
    air is the source; for brine it is 0 degC: what that term fits is the test's own link of
    supply and outdoor temperature, and at 0 degC B0/W35 is what laboratories measured."""
    source, water, at, outdoor = (float(row[f"{kind}_p{number}"]) for number in (1, 2, 3, 4))
    return Plane(at, source + outdoor if air else source, water)


def _on_off(name: str, row: dict[str, str]) -> Machine:
    """A brine pump that is on or off."""
    full_w = float(row["power_ref_w"])
    power = _fit(row, "power", air=False)
    duty = Plane(power.at * full_w, power.per_source_k * full_w, power.per_water_k * full_w)
    return Machine(name, row["model"], HPLIB, "brine", _fit(row, "cop", air=False), duty, 1.0,
                   float(row["heat_ref_w"]), float(row["standby_w"]), 60.0)


def _regulated_air(name: str, row: dict[str, str]) -> Machine:
    """An air source with an inverter: COP as fitted, heat at full speed through the reference
    point at -7 degC air, 52 degC water; hplib's power holds for part load and is not used."""
    heat_w = float(row["heat_ref_w"])
    per_k = CAPACITY_PER_K * heat_w
    return Machine(name, row["model"], HPLIB, "air", _fit(row, "cop", air=True),
                   Plane(heat_w + 7.0 * per_k, per_k, 0.0), 0.25, heat_w,
                   float(row["standby_w"]), 0.0)


def _published(name: str) -> Machine:
    """Danfoss DHP-H 10, of one maker with Thermia's: B0/W35 9.40 kW, COP 4.24 and B0/W45
    9.24 kW, COP 3.51 (Danfoss's manual). What a warmer brine gives is not published there; it
    is that of NIBE's F1145-8: 2 % of the COP, and 0.1 % of the heat, a kelvin."""
    per_water = (3.51 - 4.24) / 10.0
    cop = Plane(4.24 - 35.0 * per_water, 0.0915, per_water)
    power = 9400.0 / 4.24, 9240.0 / 3.51
    per_water_w = (power[1] - power[0]) / 10.0
    return Machine(name, "Danfoss DHP-H 10 (twin of a Thermia)", "Danfoss's manual", "brine", cop,
                   Plane(power[0] - 35.0 * per_water_w, -32.0, per_water_w), 1.0, 9000.0, 8.0,
                   60.0)


@cache
def machines() -> dict[str, Machine]:
    """All simulated machines by name."""
    rows = _hplib_rows()
    found = [_published("thermia-10"), _on_off("ivt-8", rows["Bosch Compress 6000 8 LW"]),
             _on_off("nibe-f-8", rows["F1145-8 1x230"]),
             _regulated_air("nibe-air-16", rows["F2120-16"])]
    return {machine.name: machine for machine in found}
