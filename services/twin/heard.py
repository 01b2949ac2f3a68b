"""The last half hour of each pack's mean cell, as its telemetry told it, in steps of ten seconds.

A device's clock may be off by minutes (`core.fleet.telemetry.CLOCK_TOLERANCE_S`): a second is
placed by when it came, less how long its device had it before it was sent.

Between the steps the estimator of `core/twin/filter.py` runs over all packs at once, so that it
is known how charged each was at every step: where a window's model starts from.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.fleet.messages import Status
from core.fleet.telemetry import Telemetry
from core.topology import FloatArray
from core.twin.filter import CellFilter
from core.twin.models import CellModel, cell_models

log = logging.getLogger(__name__)

STEP_S = 10
STEPS = 180
OPEN = 2
"""Steps that are not closed: the one that settles, and the one that has begun meanwhile."""
SETTLE_S = 2.0
"""So long after a step its last telemetry may come."""
LEAST_ROWS = 64
LEAST_HEALTH_PCT = 40.0
"""What tells less does not know its health: a lithium-ion cell fails before, and charge that is
counted by a twentieth of a capacity runs twenty times too fast."""
CELL_AH = (1e-3, 1e6)
"""What any cell is rated at, of those in parallel together."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plate:
    """What a device says of its pack, whose cells are in one row; rated_ah: between the charges
    that it calls 0 and 100 %."""

    device: str
    chemistry: str
    model: CellModel
    rated_ah: float
    cells: int

    @property
    def full_ah(self) -> float:
        """Over the cell's whole window."""
        low, high = self.model.window
        return self.rated_ah / (high - low)


def rated_ah_of(status: Status) -> float:
    """Of one of the cells in a row; NaN of a device that does not say enough."""
    model = cell_models().get(status.chemistry)
    if model is None or not status.cells or not status.capacity_kwh:
        return math.nan
    return 1000.0 * status.capacity_kwh / (status.cells * model.nominal_v)


def plate_of(status: Status) -> Plate | None:
    """None of a device that does not say enough, or whose cells can be none (`CELL_AH`)."""
    rated_ah = rated_ah_of(status)
    if not CELL_AH[0] <= rated_ah <= CELL_AH[1]:
        return None
    return Plate(status.device, status.chemistry, cell_models()[status.chemistry], rated_ah,
                 status.cells)


@dataclass(frozen=True, slots=True)
class Past:
    """One pack's columns over some steps, NaN = missing, its temperature on their mean and at the
    first that is known, and its charge (0..1 of the pack's own window) at the first; NaN where it
    is not known. holds: what it holds now, share of the rated capacity, as the device tells its
    health; 1 where it tells none."""

    current_a: FloatArray
    voltage_v: FloatArray
    temperature_c: float | None
    start_c: float | None
    soc: float
    holds: float


class Heard:
    """For one thread. Moments are of this machine's clock, seconds since 1970. unfit: what is wrong
    with what a device says of its pack, in words; outside: by device, seconds of telemetry that
    belong to no step that is open."""

    def __init__(self) -> None:
        self.plates: dict[str, Plate] = {}
        self.unfit: dict[str, str] = {}
        self.outside: Counter[str] = Counter()
        self._rows: dict[str, int] = {}
        self._columns = {name: np.full((0, STEPS), np.nan, np.float32)
                         for name in ("current_a", "voltage_v", "temperature_c", "soc")}
        self._sums = np.zeros((OPEN, 0, 3))
        self._holds = np.zeros(0)
        self._counts = np.zeros((OPEN, 0, 3))  # rows as the columns: more than there are packs
        self._step = -1
        self._changed: set[int] = set()
        self._filter: CellFilter | None = None
        self._rated_ah = np.zeros(0)

    def status(self, status: Status) -> None:
        """A device says what it is; one that changed begins anew. One whose cells can be none is
        believed what it said before."""
        plate = plate_of(status)
        self._judge(status, plate)
        if plate is None or self.plates.get(status.device) == plate:
            return
        self.plates[status.device] = plate
        row = self._rows.setdefault(status.device, len(self._rows))
        if row == self._holds.size:
            self._grow(max(LEAST_ROWS, row))
        for values in self._columns.values():
            values[row] = np.nan
        self._holds[row] = 1.0
        self._changed.add(row)

    def _judge(self, status: Status, plate: Plate | None) -> None:
        """Tell in words what is wrong, once."""
        rated_ah = rated_ah_of(status)
        if plate is not None:
            self.unfit.pop(status.device, None)
        if plate is not None or math.isnan(rated_ah):
            return
        words = (f"{status.capacity_kwh:g} kWh in {status.cells} cells would be {rated_ah:.3g} Ah "
                 f"a cell, and cells have {CELL_AH[0]:g} to {CELL_AH[1]:,.0f} Ah; correct what the "
                 "device says of its pack")
        if self.unfit.get(status.device) != words:
            self.unfit[status.device] = words
            log.warning("%s: %s", status.device, words)

    def _grow(self, rows: int) -> None:
        """By so many."""
        self._columns = {name: np.vstack([values, np.full((rows, STEPS), np.nan, np.float32)])
                         for name, values in self._columns.items()}
        more = np.zeros((OPEN, rows, 3))
        self._sums = np.concatenate([self._sums, more], axis=1)
        self._counts = np.concatenate([self._counts, more], axis=1)
        self._holds = np.append(self._holds, np.ones(rows))

    def knows_then(self, device: str, at_s: float) -> bool:
        """Whether the step of that moment is open and holds something of it already."""
        row, place = self._rows.get(device), self._place(at_s)
        return row is not None and 0 <= place < OPEN and bool(self._counts[place, row].any())

    def _place(self, at_s: float) -> int:
        """Of a moment, among the steps that are open."""
        return int(at_s // STEP_S) - self._step

    def telemetry(self, told: Telemetry, came_s: float) -> None:
        """One second of a pack, that came then. What belongs to no step that is open is counted and
        left out, as what a device sends late out of its outbox."""
        device, sent_s = told.envelope.device, told.envelope.sent_s
        row = self._rows.get(device)
        if row is None:
            return
        self.close_steps(came_s - SETTLE_S)
        place = self._place(told.body.time_s - (sent_s - came_s))
        if not 0 <= place < OPEN:
            self.outside[device] += 1
            return
        volts = told.cells.get("voltage_v")
        mean_v = np.nan if volts is None or np.isnan(volts).all() else float(np.nanmean(volts))
        values = np.array([_or_nan(told.body.current_a), mean_v, _or_nan(told.body.temperature_c)])
        known = np.isfinite(values)
        self._sums[place, row, known] += values[known]
        self._counts[place, row, known] += 1
        if told.body.soh_pct is not None and told.body.soh_pct >= LEAST_HEALTH_PCT:
            self._holds[row] = told.body.soh_pct / 100.0

    def close_steps(self, now_s: float) -> None:
        """Make columns of the steps that are over."""
        step = int(now_s // STEP_S)
        if self._step < 0 or step < self._step:
            self._step = step
        for _ in range(min(step - self._step, STEPS)):
            self._close()
        self._step = step

    def _close(self) -> None:
        sums, counts = self._sums[0], self._counts[0]
        with np.errstate(invalid="ignore"):
            means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        for told in (self._sums, self._counts):
            told[:-1] = told[1:]
            told[-1] = 0.0
        for values in self._columns.values():
            values[:, :-1] = values[:, 1:]
        for place, name in enumerate(("current_a", "voltage_v", "temperature_c")):
            self._columns[name][:, -1] = means[:, place]
        self._estimate(means)

    def _estimate(self, means: Floats) -> None:
        packs = len(self._rows)
        if not packs:
            return
        if self._filter is None or self._changed:
            self._filter = self._made(self._filter)
        self._filter.set_capacity(self._rated_ah * self._holds[:packs])
        self._filter.step(means[:packs, 0], means[:packs, 1], STEP_S, means[:packs, 2])
        self._columns["soc"][:packs, -1] = self._filter.soc

    def _made(self, before: CellFilter | None) -> CellFilter:
        """A filter that goes on with what was known of packs that did not change."""
        plates = [self.plates[device] for device in self._rows]
        self._rated_ah = np.array([plate.rated_ah for plate in plates])
        made = CellFilter([plate.model for plate in plates], [1] * len(plates), self._rated_ah)
        if before is not None:
            made.go_on(before, np.setdiff1d(before.pack_of, list(self._changed)))
        self._changed.clear()
        return made

    @property
    def ends_s(self) -> float:
        """When the newest closed step ended."""
        return float(self._step * STEP_S)

    def past(self, device: str, steps: int) -> Past | None:
        """The newest closed steps; None where none of them has a voltage."""
        row = self._rows.get(device)
        if row is None:
            return None
        found = {name: values[row, -steps:].copy() for name, values in self._columns.items()}
        if np.isnan(found["voltage_v"]).all():
            return None
        warm = found["temperature_c"][np.isfinite(found["temperature_c"])]
        return Past(found["current_a"], found["voltage_v"],
                    float(warm.mean()) if warm.size else None,
                    float(warm[0]) if warm.size else None,
                    float(found["soc"][0]), float(self._holds[row]))

    def between(self, device: str, first_s: float, last_s: float) -> tuple[float, float]:
        """Mean current of the steps from `first_s` to `last_s`, and the voltage in the step that
        holds `last_s`; NaN where nothing was measured."""
        row = self._rows.get(device)
        first, last = (STEPS - self._step + int(at // STEP_S) for at in (first_s, last_s))
        if row is None or not 0 <= first <= last < STEPS:
            return float("nan"), float("nan")
        current = self._columns["current_a"][row, first:last + 1]
        mean_a = float("nan") if np.isnan(current).all() else float(np.nanmean(current))
        return mean_a, float(self._columns["voltage_v"][row, last])


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def by_chemistry(plates: Sequence[Plate]) -> dict[str, list[Plate]]:
    found: dict[str, list[Plate]] = {}
    for plate in plates:
        found.setdefault(plate.chemistry, []).append(plate)
    return found
