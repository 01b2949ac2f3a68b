"""The filter over a site's tree: every cell that has a chemistry and a capacity, each frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from core.errors import UnknownIdError
from core.frames import Frame
from core.topology import ARRANGEMENTS, FloatArray, IndexArray, Topology
from core.twin.filter import CellFilter
from core.twin.interval import Interval
from core.twin.models import Floats, cell_model
from core.vocabulary import CHEMISTRIES

SERIES = ARRANGEMENTS.index("series")
REPORTED_SIGMA = 0.05
"""Of a charge that a device reports, where the twin begins with it."""
CELL_V = 5.0
"""A leaf with more is a battery whose cells nobody reports, and has no cell's curve [V]."""


@dataclass(frozen=True, slots=True)
class PackEstimate:
    """The mean cell of one pack: charge [%], resistance as a multiple of the new cell's, current
    that flows unmeasured [% of C]. reported_pct: what its devices say [%], NaN where they do
    not. residual_v: measured less expected voltage, mean over the cells; off_cell: node of the
    cell furthest off and off_v its residual. known: share of its cells with a voltage."""

    soc_pct: Interval
    resistance: Interval
    leak_pct: Interval
    reported_pct: float
    residual_v: float
    off_cell: int
    off_v: float
    known: float


@dataclass(frozen=True, slots=True)
class PackTable:
    """The mean cell of all packs at `time`, one value each, NaN where not known; names as in
    `PackEstimate`, ..._sigma one standard deviation."""

    time: datetime | None
    packs: IndexArray
    soc_pct: Floats
    soc_sigma_pct: Floats
    resistance: Floats
    resistance_sigma: Floats
    reported_pct: Floats
    residual_v: Floats
    known: Floats


class TreeTwin:
    """One thread takes frames; the readers get copies. cells: int64[c], nodes; packs: int64[p],
    the nodes right above them."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        leaves = np.flatnonzero((topology.child_count == 0) & (topology.chemistry >= 0)
                                & (topology.capacity_kwh > 0) & (topology.parent > 0))
        order = np.argsort(topology.parent[leaves], kind="stable")
        self.cells: IndexArray = leaves[order]
        parents = topology.parent[self.cells]
        self.packs, self._firsts, counts = np.unique(parents, return_index=True,
                                                     return_counts=True)
        self._counts: IndexArray = counts
        self._row = {int(node): row for row, node in enumerate(self.packs)}
        self._reported: FloatArray = np.full(self.cells.size, np.nan, np.float32)
        self._known = np.zeros(self.cells.size, np.bool_)
        self._at: datetime | None = None
        self._rated_ah: FloatArray = np.empty(0, np.float32)
        self._filter = self._made() if self.cells.size else None

    def _made(self) -> CellFilter:
        """A pack is of its first cell's chemistry."""
        kinds = self._topology.chemistry[self.cells[self._firsts]].tolist()
        models = [cell_model(CHEMISTRIES[kind]) for kind in kinds]
        nominal_v = np.repeat([model.nominal_v for model in models], self._counts)
        self._rated_ah = np.asarray(
            1000.0 * self._topology.capacity_kwh[self.cells] / nominal_v, np.float32)
        return CellFilter(models, self._counts.tolist(), self._rated_ah)

    def set_capacity(self, shares: Mapping[int, float]) -> None:
        """What the cells of packs (nodes of `packs`) hold, as a share of what they are rated at;
        charge is counted by it from now on. Raises RequestError for a share that is none."""
        if self._filter is None or not shares:
            return
        told = np.full(self.packs.size, np.nan)
        for pack, share in shares.items():
            told[self._row[pack]] = share
        self._filter.set_capacity(np.repeat(told, self._counts) * self._rated_ah)

    def take(self, frame: Frame) -> None:
        """What is stale is missing; an older frame than the last adds no time."""
        if self._filter is None:
            return
        dt_s = (frame.time - self._at).total_seconds() if self._at is not None else 0.0
        stale = frame.stale[self.cells]
        told = {name: np.where(stale, np.float32(np.nan), frame.columns[name][self.cells])
                for name in ("voltage_v", "current_a", "temperature_c", "soc_pct")}
        volts = np.where(told["voltage_v"] < CELL_V, told["voltage_v"], np.float32(np.nan))
        soc_pct = self._with_packs(frame, told["soc_pct"])
        if self._at is None:
            self._filter.begin(soc_pct / 100.0, REPORTED_SIGMA)
        warm_c = self._means(told["temperature_c"])
        self._filter.step(self._current_a(frame, told["current_a"]), volts, dt_s,
                          np.where(np.isfinite(warm_c), warm_c, self._own(frame, "temperature_c")))
        self._reported, self._known, self._at = soc_pct, np.isfinite(volts), frame.time

    def _own(self, frame: Frame, name: str) -> FloatArray:
        """What packs say themselves, float32[packs], NaN where it is stale."""
        return np.where(frame.stale[self.packs], np.float32(np.nan),
                        frame.columns[name][self.packs])

    def _with_packs(self, frame: Frame, leaves_pct: FloatArray) -> FloatArray:
        """Charges of cells, that of their pack where it alone tells one."""
        own = self._own(frame, "soc_pct")
        alone = np.isnan(self._means(leaves_pct)) & np.isfinite(own)
        if not alone.any():
            return leaves_pct
        return np.where(np.repeat(alone, self._counts), np.repeat(own, self._counts), leaves_pct)

    def _current_a(self, frame: Frame, leaves_a: FloatArray) -> Floats:
        """Of each pack: its cells' mean, or its own where they are in series and say nothing."""
        means = self._means(leaves_a)
        series = (self._topology.arrangement[self.packs] == SERIES) & ~frame.stale[self.packs]
        own = np.where(series, frame.columns["current_a"][self.packs], np.nan)
        return np.where(np.isfinite(means), means, own)

    def _means(self, values: FloatArray) -> Floats:
        """Of each pack's known cells, float64[packs], NaN without one."""
        known = np.isfinite(values)
        counts = np.add.reduceat(known, self._firsts, dtype=np.int64)
        sums = np.add.reduceat(np.where(known, values, 0.0), self._firsts, dtype=np.float64)
        means: Floats = np.divide(sums, counts, out=np.full(counts.size, np.nan),
                                  where=counts > 0)
        return means

    def estimate(self, pack: int) -> PackEstimate:
        """Of one of `packs`, a node. Deviations are a cell's own, for those of one pack err
        alike. Raises UnknownIdError for another node."""
        row = self._row.get(pack)
        if row is None or self._filter is None:
            raise UnknownIdError(f"the twin knows no cells right below {self._topology.ids[pack]}")
        part = slice(int(self._firsts[row]), int(self._firsts[row] + self._counts[row]))
        cells, known = self._filter, self._known[part]
        residual = np.where(known, cells.residual_v[part], np.float32(np.nan))
        off = int(np.nanargmax(np.abs(residual))) if known.any() and \
            np.isfinite(residual).any() else None
        return PackEstimate(
            _interval(100 * cells.soc[part], 100 * cells.soc_sigma[part]),
            _interval(cells.resistance[part], cells.resistance_sigma[part]),
            _interval(100 * cells.leak_c[part], 100 * cells.leak_sigma_c[part]),
            _mean(self._reported[part]), _mean(residual),
            int(self.cells[part.start + off]) if off is not None else -1,
            float(residual[off]) if off is not None else float("nan"), float(known.mean()))

    def table(self) -> PackTable:
        """All packs as they are now."""
        cells = self._filter
        if cells is None:
            nothing = np.empty(0)
            return PackTable(self._at, self.packs, *[nothing] * 7)
        residual = np.where(self._known, cells.residual_v, np.float32(np.nan))
        return PackTable(
            self._at, self.packs, 100 * self._means(cells.soc), 100 * self._means(cells.soc_sigma),
            self._means(cells.resistance), self._means(cells.resistance_sigma),
            self._means(self._reported), self._means(residual),
            self._means(self._known.astype(np.float64)))

    def soc_pct(self) -> FloatArray:
        """Of all `cells` [%], float32[c]."""
        return 100 * self._filter.soc if self._filter is not None else self._reported.copy()

    def residual_v(self) -> FloatArray:
        """Of all `cells` [V], float32[c], NaN where no voltage is known."""
        if self._filter is None:
            return self._reported.copy()
        return np.where(self._known, self._filter.residual_v, np.float32(np.nan))


def _interval(values: FloatArray, sigmas: FloatArray) -> Interval:
    return Interval.of(_mean(values), _mean(sigmas))


def _mean(values: FloatArray) -> float:
    """Of what is known, NaN of nothing."""
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=np.float64)) if known.size else float("nan")
