"""The packs that a policy learns with are those of the simulated fleet: the same cells
(services/edge/cells.py), the same ladder that cuts a current (core/allowance.py).

One cell stands for all that a pack has in series. Of a pack a coordinator is told what
core/coordinator/gather.py makes of a device's words: its charge, not what its cells truly hold.
Signs: law 1, + is discharging.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.allowance import Reason, along, shape_of, window
from core.coordinator import usual
from core.coordinator.problem import Floats
from core.coordinator.safe import PacksNow
from core.reach import Way
from core.vocabulary import CHEMISTRIES
from services.coordinator.rl.days import I64
from services.edge.cells import CURVES_V, DROP_1C_V, GRID_PCT, Cells, Curves, current_of
from services.edge.plant import HOTTEST_C, NOMINAL_V

PIECE_S = 120.0
"""A power is lived in such pieces [s]: in one a charge moves by 3 % at most."""
LADDER: tuple[Reason, ...] = ("voltage", "hot", "cold", "soc")
WH_PER_AH = {name: np.concatenate(([0.0], np.cumsum(np.diff(GRID_PCT / 100.0)
                                                     * (volts[1:] + volts[:-1]) / 2.0)))
             for name, volts in CURVES_V.items()}
"""What a cell holds at the charges of GRID_PCT: open-circuit voltage over charge [Wh/Ah]."""


@dataclass(frozen=True, slots=True)
class Made:
    """Packs as a day begins with them, columns [sites, packs]. kind: index into CHEMISTRIES;
    series: cells; new_kwh: when new; health: part of that which is left; soc: parts of 1."""

    kind: I64
    series: Floats
    new_kwh: Floats
    health: Floats
    soc: Floats
    ambient_c: Floats


class Fleet:
    """Packs [sites, packs], moved together. lost_kwh: in their resistance so far. beyond: packs x
    pieces in which charge or voltage was where a device begins to cut."""

    def __init__(self, made: Made) -> None:
        self._made, self._shape = made, made.kind.shape
        self._kind = made.kind.ravel()
        names = [CHEMISTRIES[kind] for kind in self._kind.tolist()]
        self._series, self._ambient_c = made.series.ravel(), made.ambient_c.ravel()
        nominal_v = np.array([NOMINAL_V[name] for name in names])
        self._new_ah = 1000.0 * made.new_kwh.ravel() / (nominal_v * self._series)
        self._reference_a = np.minimum(usual.MOST_A, usual.MOST_C * self._new_ah)
        self._curves = Curves(names, np.ones(len(names), dtype=np.int64).tolist())
        own_ah, whole = self._new_ah * made.health.ravel(), np.zeros(len(names), dtype=np.bool_)
        self._cells = Cells(own_ah, DROP_1C_V / own_ah, 100.0 * made.soc.ravel(),
                            self._ambient_c.copy(), np.zeros(len(names)), whole, whole)
        self._steps = {way: [(reason, *window(reason, way, self._kind)) for reason in LADDER]
                       for way in ("charge", "discharge")}
        self._volts = self._curves.volts(self._cells.soc_pct)
        self.lost_kwh = np.zeros(self._shape)
        self.beyond = 0

    @property
    def soc(self) -> Floats:
        """Parts of 1 [sites, packs]."""
        return self._told(self._cells.soc_pct / 100.0)

    @property
    def temperature_c(self) -> Floats:
        return self._told(self._cells.temperature_c.copy())

    @property
    def held_kwh(self) -> Floats:
        """What would come out of each without any loss until it is empty [sites, packs]."""
        found = np.empty(len(self._kind))
        for at, name in enumerate(CHEMISTRIES):
            of = self._kind == at
            found[of] = np.interp(self._cells.soc_pct[of], GRID_PCT, WH_PER_AH[name])
        return self._told(found * self._cells.capacity_ah * self._series / 1000.0)

    def told(self) -> PacksNow:
        """As `core.coordinator.gather.gathered` of devices that tell all, whose health is known."""
        capacity, soc = self._made.new_kwh * self._made.health, self.soc
        charge_a, discharge_a = (self._told(usual.HEADROOM * self.allowed_a(way))
                                 for way in ("charge", "discharge"))
        volts, celsius = self._told(self._volts), self.temperature_c
        return PacksNow(
            capacity, soc * capacity, np.full(self._shape, usual.EFFICIENCY),
            np.minimum(usual.FLOOR, soc), np.maximum(usual.CEILING, soc),
            np.full(self._shape, usual.MOST_C), volts * self._made.series, charge_a, discharge_a,
            self._made.kind, volts, volts, celsius, celsius)

    def allowed_a(self, way: Way) -> Floats:
        """What the devices of all packs in a row allow now, magnitudes [A]."""
        values = {"voltage": self._volts, "soc": self._cells.soc_pct}
        parts = [along(shape_of(reason), (values.get(reason, self._cells.temperature_c) - start)
                       / (end - start)) for reason, start, end in self._steps[way]]
        found: Floats = self._reference_a * np.min(parts, axis=0)
        return found

    def move(self, power_kw: Floats, dt_s: float) -> Floats:
        """Ask for powers for so long, in each piece no more than the coordinator asks of a device
        that allows so much; what they were on the mean [kW], both [sites, packs]."""
        wanted_w, cells = 1000.0 * power_kw.ravel(), self._cells
        ohm = cells.ohm * self._series
        count = max(1, round(dt_s / PIECE_S))
        piece_s, given_w = dt_s / count, np.zeros(len(self._kind))
        for _ in range(count):
            rest_v = self._half_way(wanted_w, ohm, piece_s)
            current_a = self._let(current_of(wanted_w, rest_v * self._series, ohm))
            self._volts = rest_v - current_a * cells.ohm
            given_w += self._volts * self._series * current_a / count
            self.lost_kwh += self._told(current_a ** 2 * ohm * piece_s / 3.6e6)
            cells.discharge(current_a, piece_s)
            cells.warm(current_a, self._new_ah, HOTTEST_C, piece_s, self._ambient_c)
            self.beyond += self._count_beyond()
        return self._told(given_w / 1000.0)

    def _half_way(self, wanted_w: Floats, ohm: Floats, piece_s: float) -> Floats:
        """Open-circuit voltages in the middle of a piece [V]: those of its begin would make energy
        out of nothing."""
        cells = self._cells
        rest_v = self._curves.volts(cells.soc_pct)
        current_a = self._let(current_of(wanted_w, rest_v * self._series, ohm))
        half_pct = 50.0 * current_a * piece_s / 3600.0 / cells.capacity_ah
        return self._curves.volts(np.clip(cells.soc_pct - half_pct, 0.0, 100.0))

    def _let(self, current_a: Floats) -> Floats:
        """What is asked of the devices of it."""
        found: Floats = np.clip(current_a, -usual.HEADROOM * self.allowed_a("charge"),
                                usual.HEADROOM * self.allowed_a("discharge"))
        return found

    def _count_beyond(self) -> int:
        outside = np.zeros(len(self._kind), dtype=np.bool_)
        for sign, way in ((1.0, "charge"), (-1.0, "discharge")):
            for reason, start, _ in self._steps[way]:
                if reason in ("voltage", "soc"):
                    value = self._volts if reason == "voltage" else self._cells.soc_pct
                    outside |= sign * (value - start) > 0.0
        return int(outside.sum())

    def _told(self, values: NDArray[np.float64]) -> Floats:
        return values.reshape(self._shape)
