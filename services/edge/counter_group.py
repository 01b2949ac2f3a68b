"""Charge of the packs of one process counted together: their cells in columns (law 7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.safety.layout import Layout
from core.safety.layout import Pack as Rating
from core.topology import FloatArray
from services.edge.cells import DROP_1C_V, Curves, Floats
from services.edge.plant import Sample
from services.edge.ports import PULL_PER_S, REST_C_RATE, Estimate


class CounterGroup:
    """Estimators. `CoulombCounter` of each pack, all in one count."""

    def __init__(self, ratings: Sequence[Rating]) -> None:
        self._layout = layout = Layout(ratings)
        counts = layout.counts.tolist()
        self._parts = [slice(first, first + count) for first, count in
                       zip(layout.offsets.tolist(), counts, strict=True)]
        self._curves = Curves([rating.chemistry for rating in ratings], counts)
        self._capacity_ah = np.array([rating.capacity_ah for rating in ratings])
        self._pct = np.full(layout.cells, np.nan)

    def update(self, samples: Sequence[Sample], dt_s: float) -> list[Estimate]:
        """As `Estimators`."""
        current_a = np.array([sample.current_a for sample in samples])
        current_a[~np.isfinite(current_a)] = np.nan
        told = self._told_pct(samples, current_a)
        pct = np.where(np.isnan(self._pct), told, self._pct)
        used = np.nan_to_num(100.0 * current_a * dt_s / 3600.0 / self._capacity_ah)
        pct -= used[self._layout.pack_of]
        rests = np.abs(current_a) < REST_C_RATE * self._capacity_ah
        pull = np.nan_to_num(told - pct, nan=0.0) * min(1.0, PULL_PER_S * dt_s)
        pct += pull * rests[self._layout.pack_of]
        self._pct = np.clip(pct, 0.0, 100.0)
        return self._estimates(np.isfinite(current_a))

    def _told_pct(self, samples: Sequence[Sample], current_a: Floats) -> Floats:
        """What the voltages tell, NaN where one or the current is lost: float64[cells]."""
        drop_v = (current_a * DROP_1C_V / self._capacity_ah).astype(np.float32)
        volts: FloatArray = np.concatenate([sample.cell_voltage_v for sample in samples])
        return self._curves.soc_pct(volts + drop_v[self._layout.pack_of])

    def _estimates(self, counted: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[Estimate]:
        """counted: packs of which the current is known."""
        known, offsets = np.isfinite(self._pct), self._layout.offsets
        cells = np.add.reduceat(known, offsets, dtype=np.int64)
        sums = np.add.reduceat(np.where(known, self._pct, 0.0), offsets)
        told = self._pct.astype(np.float32)
        return [Estimate(total / count if count else None, None, told[part]) if sure
                else Estimate()
                for sure, part, total, count in zip(counted.tolist(), self._parts, sums.tolist(),
                                                    cells.tolist(), strict=True)]
