"""A pack's past as its mean cell, out of the history of the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from core.ports import Series, Store
from core.topology import ARRANGEMENTS, Topology
from core.twin.models import CellModel, Floats, cell_model
from core.twin.record import Record
from core.vocabulary import CHEMISTRIES

MOST_POINTS = 400
"""Of a record: minutes of six hours."""


@dataclass(frozen=True, slots=True)
class Plate:
    """What is known of a pack before it is measured. rated_ah: of one cell when new, between the
    charges that the pack calls 0 and 100 %; full_ah: over the cell's whole window; cells: how
    many; series: all in one row, so that each carries the pack's current."""

    node: int
    id: str
    chemistry: str
    model: CellModel
    rated_ah: float
    cells: int
    series: bool

    @property
    def full_ah(self) -> float:
        low, high = self.model.window
        return self.rated_ah / (high - low)


def plate_of(topology: Topology, node: int) -> Plate:
    """Of a node right above cells, of which one at least has a chemistry and a capacity."""
    part = topology.children(node)
    name = next(CHEMISTRIES[kind] for kind in topology.chemistry[part].tolist() if kind >= 0)
    model = cell_model(name)
    count = part.stop - part.start
    cell_kwh = float(np.nanmean(topology.capacity_kwh[part]))
    return Plate(node, topology.ids[node], name, model, 1000.0 * cell_kwh / model.nominal_v, count,
                 bool(topology.arrangement[node] == ARRANGEMENTS.index("series")))


@dataclass(frozen=True, slots=True)
class Past:
    """record: of the mean cell, moments since 1970 [s]; temperature_c and soc_pct: of the pack at
    the record's rows, NaN where nobody told; coverage: share of the asked time that is known."""

    record: Record
    temperature_c: Floats
    soc_pct: Floats
    coverage: float

    @property
    def mean_temperature_c(self) -> float:
        """NaN where none is known."""
        known = self.temperature_c[np.isfinite(self.temperature_c)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def first_soc(self) -> float:
        """Charge that was reported at the first row, 0..1, NaN where none was."""
        return float(self.soc_pct[0]) / 100.0 if self.soc_pct.size else float("nan")


METRICS = ("current_a", "voltage_v", "temperature_c", "soc_pct")


def pasts_of(store: Store, plates: Sequence[Plate], start: datetime, end: datetime,
             max_points: int = MOST_POINTS) -> list[Past]:
    """One a pack, in their order, all of the same moments, in one question to the store; raises
    what `Store.series` does."""
    found = store.series([plate.id for plate in plates], METRICS, start, end, max_points)
    span_s = (end - start).total_seconds()
    times = np.unique(np.concatenate([one.time_s for one in found]))
    return [_past(plate, found[at:at + len(METRICS)], times, span_s)
            for plate, at in zip(plates, range(0, len(found), len(METRICS)), strict=True)]


def _past(plate: Plate, told: Sequence[Series], times: Floats, span_s: float) -> Past:
    """A cell's current and voltage are shares of the pack's."""
    current, voltage, temperature, soc = (_at(one, times) for one in told)
    cell_v = voltage / plate.cells if plate.series else voltage
    cell_a = current if plate.series else current / plate.cells
    record = Record.of(times, cell_a, cell_v)
    known = np.isfinite(record.current_a) & np.isfinite(record.voltage_v)
    step_s = max((one.resolution_s for one in told), default=1.0)
    coverage = min(1.0, float(known.sum()) * step_s / span_s) if span_s > 0 else 0.0
    return Past(record, temperature, soc, coverage)


def _at(one: Series, times: Floats) -> Floats:
    """Means at the times of all, NaN where this one has none."""
    found = np.full(times.size, np.nan)
    found[np.searchsorted(times, one.time_s)] = one.mean
    return found


def on_grid(past: Past, end_s: float, step_s: float, steps: int) -> tuple[Floats, Floats]:
    """Current [A] and voltage [V], float64[steps] each, means around moments that end at end_s;
    NaN where nothing is known."""
    record = past.record
    row = np.round((record.time_s - end_s) / step_s).astype(np.int64) + steps - 1
    return (_means(row, record.current_a, steps), _means(row, record.voltage_v, steps))


def warmth_on_grid(past: Past, end_s: float, step_s: float, steps: int) -> Floats:
    """Temperature [°C], as `on_grid`."""
    row = np.round((past.record.time_s - end_s) / step_s).astype(np.int64) + steps - 1
    return _means(row, past.temperature_c, steps)


def _means(row: np.ndarray[tuple[int], np.dtype[np.int64]], values: Floats, steps: int) -> Floats:
    good = np.isfinite(values) & (row >= 0) & (row < steps)
    counts = np.bincount(row[good], minlength=steps)
    sums = np.bincount(row[good], weights=values[good], minlength=steps)
    means: Floats = np.divide(sums, counts, out=np.full(steps, np.nan), where=counts > 0)
    return means


def back(end: datetime, span_s: float) -> tuple[datetime, datetime]:
    """The span [s] before `end`."""
    return end - timedelta(seconds=span_s), end
