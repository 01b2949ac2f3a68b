"""Simulated packs stepped together: their cells in columns over all packs (law 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.safety.layout import Layout
from services.edge.cells import NOISE_V, Cells, Curves, Floats, current_of
from services.edge.plant import Sample, SimulatedPack, hardware_of


class PlantGroup:
    """Plants. The cells of each pack become views of all cells, so that its faults are set where
    they always are. It steps them from now on; nobody steps one alone. unheard_s: after so long
    without an order they rest, and what is beyond is not lived [s]."""

    def __init__(self, plants: Sequence[SimulatedPack], unheard_s: float = math.inf) -> None:
        self._plants, self._unheard_s = tuple(plants), unheard_s
        self._layout = layout = Layout([plant.rating for plant in plants])
        self._parts = [slice(first, first + count) for first, count in
                       zip(layout.offsets.tolist(), layout.counts.tolist(), strict=True)]
        self._cells = Cells.joined([plant.state for plant in plants])
        for plant, part in zip(plants, self._parts, strict=True):
            plant.state = self._cells.part(part)
        self._curves = Curves([plant.rating.chemistry for plant in plants], layout.counts.tolist())
        self._ohm = self._sums(self._cells.ohm)
        self._pack_ah = self._each([plant.capacity_ah for plant in plants])
        self._drawn = np.empty(layout.cells)

    def step(self, power_kw: Sequence[float], dt_s: float,
             close: Sequence[tuple[bool, bool]]) -> list[Sample]:
        """As `Plants`."""
        if dt_s > self._unheard_s:
            power_kw, dt_s = [0.0] * len(self._plants), self._unheard_s
        cells = self._cells
        rest_v = self._curves.volts(cells.soc_pct)
        wanted_a = current_of(1000.0 * np.array(power_kw), self._sums(rest_v), self._ohm)
        switches = [plant.switch.step(dt_s, amperes, *pair) for plant, amperes, pair in
                    zip(self._plants, wanted_a.tolist(), close, strict=True)]
        for plant, switch in zip(self._plants, switches, strict=True):
            plant.current_a = switch.current_a
        current_a = self._each([switch.current_a for switch in switches])
        cells.discharge(current_a, dt_s)
        cells.warm(current_a, self._pack_ah,
                   self._each([plant.hottest_c for plant in self._plants]), dt_s)
        volts = rest_v - current_a * cells.ohm + self._noise()
        told_v, told_c, total_v = cells.told_v(volts), cells.told_c(), self._sums(volts).tolist()
        return [Sample(told_v[part], told_c[part], switch.current_a, volt, hardware_of(switch),
                       plant.cooling_failed)
                for plant, part, switch, volt in zip(self._plants, self._parts, switches, total_v,
                                                     strict=True)]

    def _sums(self, values: Floats) -> Floats:
        """float64[packs] of float64[cells]"""
        found: Floats = np.add.reduceat(values, self._layout.offsets)
        return found

    def _each(self, values: Sequence[float]) -> Floats:
        """float64[cells] of one number a pack."""
        return np.array(values)[self._layout.pack_of]

    def _noise(self) -> Floats:
        """Each pack's own [V]."""
        for plant, part in zip(self._plants, self._parts, strict=True):
            plant.noise.standard_normal(out=self._drawn[part])
        return NOISE_V * self._drawn
