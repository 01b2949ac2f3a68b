"""Charge of the cells of all packs of one process, by the filter of the digital twin: its columns
run over all packs (law 7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.fleet.messages import PACK_BOUNDS
from core.fleet.telemetry import possible_cells
from core.safety.layout import Layout
from core.safety.layout import Pack as Rating
from core.topology import FloatArray
from core.twin.filter import CellFilter, Tuning
from core.twin.models import Floats, cell_model
from services.edge.plant import Sample
from services.edge.ports import Estimate

BEGIN_SIGMA = 0.03
"""Of a charge that was told, one standard deviation."""


class CellEstimators:
    """Estimators. A cell's charge begins as it was told, or else as its voltage tells it, which of
    a flat curve is little. It knows nothing of health and says so. While the current is lost it
    says nothing of the charge; the pack is at 0 A then, and the count goes on where it was. What no
    cell can have is lost too, and so is more current than a shorted pack can give for long: a
    single sample of it would spoil the count for good."""

    def __init__(self, ratings: Sequence[Rating], begin_pct: Sequence[float] | None = None,
                 tuning: Tuning | None = None) -> None:
        """begin_pct: charge of each pack at the start [%], NaN where nobody knows. tuning: of
        the filter; a sample after more than its `gap_s` counts no charge, since nobody knows what
        flowed: the charge is trusted less, and voltages correct it the more."""
        self._layout = layout = Layout(ratings)
        counts = layout.counts.tolist()
        self._parts = [slice(first, first + count) for first, count in
                       zip(layout.offsets.tolist(), counts, strict=True)]
        capacity_ah = np.array([rating.capacity_ah for rating in ratings])[layout.pack_of]
        self._filter = CellFilter([cell_model(rating.chemistry) for rating in ratings], counts,
                                  capacity_ah, tuning)
        self._most_a = np.minimum(PACK_BOUNDS["current_a"][1],
                                  [_shorted_a(rating) for rating in ratings])
        if begin_pct is not None:
            self._filter.begin(np.array(begin_pct)[layout.pack_of] / 100.0, BEGIN_SIGMA)

    def update(self, samples: Sequence[Sample], dt_s: float) -> list[Estimate]:
        """As `Estimators`."""
        current_a = np.array([sample.current_a for sample in samples], dtype=np.float64)
        current_a[~(np.abs(current_a) <= self._most_a)] = np.nan
        volts = np.concatenate([sample.cell_voltage_v for sample in samples])
        warmth = np.concatenate([sample.cell_temperature_c for sample in samples])
        self._filter.step(current_a, possible_cells("voltage_v", volts), dt_s,
                          self._means(possible_cells("temperature_c", warmth)))
        told = 100.0 * self._filter.soc
        means = self._means(told)
        return [Estimate(None if np.isnan(mean) else mean, None, told[part]) if sure
                else Estimate()
                for sure, part, mean in zip(np.isfinite(current_a).tolist(), self._parts,
                                            means.tolist(), strict=True)]

    def _means(self, values: FloatArray) -> Floats:
        """Of each pack's known cells, float64[packs], NaN without one."""
        known, offsets = np.isfinite(values), self._layout.offsets
        cells = np.add.reduceat(known, offsets, dtype=np.int64)
        sums = np.add.reduceat(np.where(known, values, 0.0), offsets, dtype=np.float64)
        means: Floats = np.divide(sums, cells, out=np.full(cells.size, np.nan), where=cells > 0)
        return means


def _shorted_a(rating: Rating) -> float:
    """What flows for long out of a full pack, at 25 °C, when nothing but its cells resists [A]."""
    model = cell_model(rating.chemistry)
    return rating.capacity_ah * float(model.ocv_v(1.0)) / model.drop_1c_v
