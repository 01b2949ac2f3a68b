"""From the state of the systems to every cell: a handful of vector operations, float32.

A cell's state is a function of its system's state and of fixed properties of the cell, so
nothing is integrated a cell. The work goes block by block, so that what is between lies in
the processor's cache; the columns are new at each call and belong to the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from core.topology import FloatArray, IndexArray, Topology
from core.vocabulary import CHEMISTRIES, METRIC_NAMES
from sim.chemistry import BY_NAME, HIGHEST_PCT, LOWEST_PCT, POINTS, open_circuit_table
from sim.dynamics import SystemState

BLOCK = 16384
POINTS_PER_PCT = (POINTS - 1) / (HIGHEST_PCT - LOWEST_PCT)
SOC_SPREAD_PCT = 0.7
WARM_K = 2.0
"""What the electronics around a cell at rest add to the ambient temperature [K]."""
CENTRE_K = 1.5
"""What a cell in the middle of its parent is warmer than one at the edge [K]."""
HEAT_K = (80.0, 130.0)
"""Temperature rise [K] for a heat of 1 (a lasting 1 C): about 5 K at the usual 0.2 C."""
SOH_PCT = (90.0, 99.0)
SOH_SPREAD_PCT = 0.6
FADE_PCT_PER_CYCLE = 0.004
"""20 % lost after 5,000 equivalent full cycles."""
CALENDAR_PCT_PER_S = 1.0 / (365.25 * 86400.0)
RESISTANCE_PER_LOST_PCT = 0.02
RESISTANCE_SPREAD = 0.03


class CellModel:
    """The fixed properties of all leaves of a fleet's topology, and how they follow."""

    def __init__(self, topology: Topology, ambient_c: float, seed: int) -> None:
        """All leaves must lie at one depth, as those of a simulated fleet do."""
        self._size = topology.size
        self.leaves = slice(int(topology.depth_offsets[-2]), topology.size)
        self._system = _system_of_leaves(topology)
        self._systems = int(topology.child_count[0])
        rng = np.random.default_rng([seed, 0xCE115])
        capacity = topology.capacity_kwh[self.leaves].astype(np.float64)
        self._capacity_kwh = self._sum(capacity)
        self._share = _single(capacity / self._capacity_kwh[self._system])
        self._fix_charge(rng, capacity)
        self._fix_heat(rng, topology, ambient_c)
        self._fix_health(rng)
        self._fix_voltage(rng, topology, capacity)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """Sum over each system's leaves, float64[systems]."""
        return np.bincount(self._system, weights=values, minlength=self._systems)

    def _fix_charge(self, rng: np.random.Generator, capacity: np.ndarray) -> None:
        """Offsets [%] whose mean weighted by capacity is zero in each system."""
        offset = np.clip(rng.normal(0.0, SOC_SPREAD_PCT, len(capacity)), -2.0, 2.0)
        mean = self._sum(offset * capacity) / self._capacity_kwh
        self._soc_offset = _single(offset - mean[self._system])

    def _fix_heat(self, rng: np.random.Generator, topology: Topology, ambient_c: float) -> None:
        parents = topology.parent[self.leaves]
        position = np.arange(topology.size)[self.leaves] - topology.first_child[parents]
        relative = (position + 0.5) / topology.child_count[parents]
        self._rest_c = _single(ambient_c + WARM_K + CENTRE_K * 4.0 * relative * (1.0 - relative))
        self._heat_k = _single(rng.uniform(*HEAT_K, len(parents)))

    def _fix_health(self, rng: np.random.Generator) -> None:
        system = rng.uniform(*SOH_PCT, self._systems)[self._system]
        spread = rng.normal(0.0, SOH_SPREAD_PCT, len(system))
        self._soh_pct = _single(np.clip(system + spread, 88.5, 100.0))
        self._fade = _single(FADE_PCT_PER_CYCLE * rng.uniform(0.8, 1.2, len(system)))

    def _fix_voltage(self, rng: np.random.Generator, topology: Topology,
                     capacity: np.ndarray) -> None:
        """4 R at full health, in V^2/kW: R = drop_1c / Ah and Ah = 1000 kWh / nominal."""
        kind = topology.chemistry[self.leaves].astype(np.int64)
        known = [BY_NAME[name] for name in CHEMISTRIES]
        drop = np.array([chemistry.drop_1c_v * chemistry.nominal_v for chemistry in known])
        spread = np.clip(rng.normal(1.0, RESISTANCE_SPREAD, len(kind)), 0.85, 1.15)
        self._four_r = _single(4.0 * drop[kind] * spread / capacity)
        self._ocv = open_circuit_table()
        self._ocv_start = _single(kind * POINTS + 0.5 - LOWEST_PCT * POINTS_PER_PCT)

    def expand(self, state: SystemState) -> dict[str, FloatArray]:
        """Columns over all nodes, float32[n]; NaN above the leaves, which the engine fills."""
        columns = {name: np.empty(self._size, dtype=np.float32) for name in METRIC_NAMES}
        for column in columns.values():
            column[:self.leaves.start] = np.nan
        systems = self._per_system(state)
        for part in self._blocks():
            self._follow(part, systems, columns)
            self.electrical(part, columns)
        return columns

    def _per_system(self, state: SystemState) -> dict[str, FloatArray]:
        return {
            "power_kw": _single(state.rate * self._capacity_kwh),
            "soc_pct": _single(state.soc_pct),
            "heat": _single(state.heat),
            "cycles": _single(state.cycles),
            "calendar_pct": _single(np.array(state.elapsed_s * CALENDAR_PCT_PER_S)),
        }

    def _blocks(self) -> Iterator[slice]:
        """Slices of nodes that together are all leaves."""
        for start in range(self.leaves.start, self.leaves.stop, BLOCK):
            yield slice(start, min(start + BLOCK, self.leaves.stop))

    def _own(self, part: slice) -> slice:
        return slice(part.start - self.leaves.start, part.stop - self.leaves.start)

    def _follow(self, part: slice, systems: Mapping[str, FloatArray],
                columns: Mapping[str, FloatArray]) -> None:
        """Power by share of capacity, charge, temperature and health of the leaves in `part`."""
        own = self._own(part)
        index = self._system[own]
        power, soc = columns["power_kw"][part], columns["soc_pct"][part]
        warm, soh = columns["temperature_c"][part], columns["soh_pct"][part]
        np.take(systems["power_kw"], index, out=power, mode="clip")
        power *= self._share[own]
        np.take(systems["soc_pct"], index, out=soc, mode="clip")
        soc += self._soc_offset[own]
        np.take(systems["heat"], index, out=warm, mode="clip")
        warm *= self._heat_k[own]
        warm += self._rest_c[own]
        np.take(systems["cycles"], index, out=soh, mode="clip")
        soh *= self._fade[own]
        soh += systems["calendar_pct"]
        np.subtract(self._soh_pct[own], soh, out=soh)

    def electrical(self, part: slice, columns: Mapping[str, FloatArray],
                   resistance_factor: float = 1.0) -> None:
        """Voltage and current of the leaves in `part` from their power, charge and health.

        P = V I and V = OCV - R I give V = (OCV + sqrt(OCV^2 - 4 R P)) / 2 and I = P / V. R
        grows by 2 % for each percent of health lost.
        """
        own = self._own(part)
        power, voltage = columns["power_kw"][part], columns["voltage_v"][part]
        lost = RESISTANCE_PER_LOST_PCT * resistance_factor
        under = columns["soh_pct"][part] * np.float32(-lost)
        under += np.float32(resistance_factor + 100.0 * lost)
        under *= self._four_r[own]
        under *= power
        ocv = self._open_circuit(columns["soc_pct"][part], self._ocv_start[own])
        np.multiply(ocv, ocv, out=voltage)
        voltage -= under
        np.sqrt(voltage, out=voltage)
        voltage += ocv
        voltage *= np.float32(0.5)
        current = columns["current_a"][part]
        np.divide(power, voltage, out=current)
        current *= np.float32(1000.0)

    def _open_circuit(self, soc_pct: FloatArray, start: FloatArray) -> FloatArray:
        place = soc_pct * np.float32(POINTS_PER_PCT)
        place += start
        return self._ocv.take(place.astype(np.intp), mode="clip")


def _single(values: np.ndarray) -> FloatArray:
    return values.astype(np.float32)


def _system_of_leaves(topology: Topology) -> IndexArray:
    """Number of the system, from 0, of each leaf."""
    found: IndexArray = np.arange(int(topology.child_count[0]))
    for depth in range(1, int(topology.depth[-1])):
        low, high = int(topology.depth_offsets[depth]), int(topology.depth_offsets[depth + 1])
        found = np.repeat(found, topology.child_count[low:high])
    return found
