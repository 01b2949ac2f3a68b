"""What is known of a fleet's packs now: columns over their part of the tree, and the rest beside.

Every message writes its own rows, so that a poll is one copy of arrays whatever the number of
packs. For any threads.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.alarms.records import TRIP, WARNING, Finding
from core.clock import from_epoch
from core.fleet.catalogue import PackPlate
from core.fleet.conditions import findings_of, is_open
from core.fleet.device_clock import OFF_S, DeviceClock
from core.fleet.messages import TRIPPED, Body, SafetyState, Status
from core.fleet.ports import LinkState, PackState, Refusal
from core.fleet.refused import refusal_of
from core.fleet.rejections import Rejection
from core.fleet.telemetry import CLOCK_TOLERANCE_S
from core.fleet.topics import process_of
from core.fleet.tree import element_of
from core.frames import CONTACTOR_OPEN, Reading
from core.safety.latency import Histogram
from core.topology import FloatArray, Topology
from core.vocabulary import BY_NAME, METRIC_NAMES

_Said = tuple[datetime | None, SafetyState | None, float | None, float | None, float | None, str,
              float | None, float | None]
_UNHEARD: _Said = (None, None, None, None, None, "", None, None)
_VOLTAGE, _CURRENT, _POWER = (METRIC_NAMES.index(name)
                              for name in ("voltage_v", "current_a", "power_kw"))
_LOW, _HIGH = (np.array([BY_NAME[name].plausible[side] for name in METRIC_NAMES],
                        dtype=np.float32)[:, None] for side in (0, 1))


@dataclass(slots=True)
class PackRecord:
    """One pack beside its columns. link and what follows it as in PackState. process: where its
    device says that it lives; said_s: when it said so, by its clock [s since 1970]. differs: its
    device says another chemistry or number of cells than the plate, so that its limits are wrong.
    true_at: when its body was, by this machine's clock, None = as it says. decisions: of its
    processes, each since it began, as far as they told; told_decisions: as the newest of them
    counts. rejected, told_rejected: likewise, what it refused itself; last_refusal: the last of
    it."""

    plate: PackPlate
    element: str
    body: Body | None = None
    true_at: datetime | None = None
    link: LinkState = "unknown"
    process: str = ""
    said_s: float | None = None
    firmware: str = ""
    pending: int = 0
    dropped: int = 0
    missing: int = 0
    duplicate: int = 0
    late: int = 0
    differs: bool = False
    unkept: bool = False
    policy: str | None = None
    policy_before: str | None = None
    real_time: bool | None = None
    opened_after_s: float | None = None
    silent_s: float | None = None
    lease_s: float | None = None
    decisions: Histogram = field(default_factory=Histogram)
    told_decisions: tuple[int, ...] = ()
    rejected: Counter[str] = field(default_factory=Counter)
    told_rejected: Mapping[Rejection, int] = field(default_factory=dict)
    last_refusal: Refusal | None = None
    clock: DeviceClock = field(default_factory=DeviceClock)

    def state(self, site: str) -> PackState:
        plate, body = self.plate, self.body
        said: _Said = _UNHEARD if body is None else (
            self.true_at or from_epoch(body.time_s), body.safety, body.soh_pct, body.charge_limit_a,
            body.discharge_limit_a, body.limit_reason, body.allocation_kw, body.decision_us)
        return PackState(
            site, plate.device, self.element, plate.label, plate.chemistry, plate.cells,
            plate.capacity_kwh, self.firmware, self.link, *said, self.pending, self.dropped,
            self.missing, self.duplicate, self.late, self.policy, self.policy_before,
            None if body is None else body.samples, self.real_time, self.opened_after_s,
            dict(self.rejected), () if body is None else body.partial_limits, self.silent_s,
            self.lease_s, self.last_refusal, self.clock.off_s)

    def has_newer(self, status: Status) -> bool:
        """Whether it said something later: a broker gives what it kept again. A clock that was set
        back by more than what is tolerated begins anew."""
        return (status.time_s is not None and self.said_s is not None
                and 0.0 < self.said_s - status.time_s <= CLOCK_TOLERANCE_S)

    def count(self, told: tuple[int, ...], worst_us: float | None) -> None:
        """Decisions since its process began; one that began anew begins at nothing."""
        former = self.told_decisions or (0,) * len(told)
        if any(now < before for now, before in zip(told, former, strict=True)):
            former = (0,) * len(told)
        self.decisions.add_counts([now - before for now, before in
                                   zip(told, former, strict=True)], 1e-6 * (worst_us or 0.0))
        self.told_decisions = told

    def refused(self, told: Mapping[Rejection, int]) -> None:
        """As `count`."""
        former = self.told_rejected
        if any(told.get(reason, 0) < before for reason, before in former.items()):
            former = {}
        self.rejected.update({reason.value: now - former.get(reason, 0)
                              for reason, now in told.items() if now > former.get(reason, 0)})
        self.told_rejected = told


@dataclass(slots=True)
class _Place:
    """Where a pack lies in the topology."""

    node: int
    cells: slice


@dataclass(slots=True)
class _Columns:
    """values: float32[metrics, m]; measured_s: float64[m]; heard: bool[m], since the last poll."""

    values: FloatArray
    measured_s: NDArray[np.float64]
    heard: NDArray[np.bool_]
    places: dict[str, _Place] = field(default_factory=dict)


class FleetBoard:
    """Of one site. `place` comes before the first `take`."""

    def __init__(self, site: str, plates: Sequence[PackPlate]) -> None:
        self._site = site
        self._lock = threading.RLock()
        self.records = {plate.device: PackRecord(plate, element_of(site, plate.device))
                        for plate in plates}
        self._columns = _empty(0)
        self._told: list[PackState] | None = None

    def place(self, topology: Topology) -> None:
        """Find the packs in the source's own topology; nothing is known yet."""
        with self._lock:
            self._columns = columns = _empty(topology.size)
            for device, record in self.records.items():
                node = topology.index(record.element)
                columns.places[device] = _Place(node, topology.children(node))

    def take(self, device: str, body: Body, cells: Mapping[str, FloatArray],
             true_at: datetime | None = None) -> None:
        """The newest second of a pack. cells: float32[cells] by name, of the plate's length.
        true_at: when that was, by this machine's clock, None = as it says."""
        with self._lock:
            columns, place = self._columns, self._columns.places[device]
            values = columns.values
            for row, name in enumerate(METRIC_NAMES):
                said = getattr(body, name)
                values[row, place.node] = math.nan if said is None else said
                values[row, place.cells] = cells.get(name, math.nan)
            values[_CURRENT, place.cells] = values[_CURRENT, place.node]
            with np.errstate(invalid="ignore"):  # a signalling NaN is a missing cell too
                values[_POWER, place.cells] = (values[_VOLTAGE, place.cells]
                                               * values[_CURRENT, place.node]
                                               / np.float32(1000.0))
            measured_s = body.time_s if true_at is None else true_at.timestamp()
            for rows in (place.node, place.cells):
                columns.measured_s[rows] = measured_s
                columns.heard[rows] = True
            record = self.records[device]
            record.body, record.true_at = body, true_at

    def tell(self, device: str, status: Status) -> None:
        """A device's own word; or the last will of its process, which tells alone that all its
        devices are gone, where it comes from the device that the process is named after."""
        with self._lock:
            record = self.records[device]
            if record.has_newer(status):
                return
            if status.state == "offline" and status.process == process_of(self._site, device):
                for one in self._of_process(status.process):
                    one.link, self._told = "offline", None
            if record.link != status.state:
                record.link, self._told = status.state, None
            if status.time_s is not None:
                record.said_s, record.process = status.time_s, status.process
                plate = record.plate
                record.firmware = status.firmware
                record.differs = (status.chemistry, status.cells) != (plate.chemistry, plate.cells)
                record.unkept = bool(status.unkept)
                record.pending, record.dropped = status.pending, status.dropped
                record.policy, record.policy_before = status.policy, status.policy_before
                record.real_time = status.real_time
                record.opened_after_s = status.opened_after_s
                record.silent_s, record.lease_s = status.silent_s, status.lease_s
                if status.decisions is not None:
                    record.count(status.decisions, status.worst_decision_us)
                if status.rejected is not None:
                    record.refused(status.rejected)
                if status.last_rejected is not None and status.last_rejected_s is not None:
                    record.last_refusal = refusal_of(status.last_rejected, status.last_rejected_s)

    def _of_process(self, process: str) -> list[PackRecord]:
        """Devices which said themselves that they live there."""
        return [record for record in self.records.values() if record.process == process]

    def reading(self, now: datetime) -> Reading:
        """Everything known, and what of it was heard since the last time. Nothing was measured
        after now. What no battery can have is missing."""
        with self._lock:
            columns = self._columns
            values = columns.values.copy()
            heard, columns.heard = columns.heard, np.zeros_like(columns.heard)
            measured_s = np.minimum(columns.measured_s, now.timestamp())
            flags = self._flags()
            self._told = None
        with np.errstate(invalid="ignore"):
            values[~((values >= _LOW) & (values <= _HIGH))] = np.nan
        newest_s = float(np.max(measured_s, initial=-np.inf, where=np.isfinite(measured_s)))
        at = now if math.isinf(newest_s) else from_epoch(newest_s)
        return Reading(at, dict(zip(METRIC_NAMES, values, strict=True)), heard, flags=flags,
                       measured_s=measured_s)

    def _flags(self) -> NDArray[np.uint8]:
        """uint8[m]: packs of which a contactor is open."""
        flags = np.zeros(self._columns.heard.size, dtype=np.uint8)
        for device, record in self.records.items():
            if record.body is not None and is_open(record.body.conditions):
                flags[self._columns.places[device].node] = CONTACTOR_OPEN
        return flags

    def packs(self) -> list[PackState]:
        """In the order of the tree, made once a reading, or change of a link, for all who ask."""
        with self._lock:
            if self._told is None:
                self._told = [record.state(self._site) for record in self.records.values()]
            return list(self._told)

    def findings(self) -> list[Finding]:
        """Tripped, silent by its last will, two with one id, another pack than configured, a disk
        that takes nothing, a clock that is off; and what the devices tell of themselves: a silent
        one's last word."""
        found: list[Finding] = []
        with self._lock:
            for record in self.records.values():
                if record.body is not None:
                    found += findings_of(record.element, record.body.conditions, record.true_at)
                    if record.body.safety in TRIPPED:
                        found.append(Finding(record.element, "safety_tripped", TRIP,
                                             at=record.true_at))
                if record.link == "offline":
                    found.append(Finding(record.element, "silent", WARNING))
                elif record.link == "conflict":
                    found.append(Finding(record.element, "two_devices", WARNING))
                if record.differs:
                    found.append(Finding(record.element, "another_pack", WARNING))
                if record.unkept:
                    found.append(Finding(record.element, "disk_fails", WARNING))
                off_s = record.clock.off_s
                if off_s is not None:
                    found.append(Finding(record.element, "clock_off", WARNING, "clock_off_s",
                                         abs(off_s), OFF_S))
        return found

    def knows_leases(self) -> bool:
        """All devices that are there say so; false where none is."""
        with self._lock:
            there = [record for record in self.records.values() if record.link != "offline"
                     and (record.link != "unknown" or record.body is not None)]
            return bool(there) and all(record.lease_s is not None for record in there)

    def decisions(self) -> Histogram:
        """All safety decisions that the processes of the devices told of."""
        found = Histogram()
        with self._lock:
            for record in self.records.values():
                found.add_counts(record.decisions.counts, record.decisions.worst_s)
        return found


def _empty(size: int) -> _Columns:
    return _Columns(np.full((len(METRIC_NAMES), size), np.nan, dtype=np.float32),
                    np.full(size, np.nan), np.zeros(size, dtype=bool))
