"""A demo's packs with their edge devices, a source like any other (kind "packs").

The same packs, guards and orders as `python -m services.edge` has, in the engine's own process and
without a broker. Simulated, and told so; no claim on how fast it decides.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
import numpy as np

from core.alarms.records import Finding
from core.errors import SourceError, UnknownIdError
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate, catalogue
from core.fleet.messages import Id
from core.fleet.ports import CommandLife, CommandStore, FleetCounts, PackState
from core.fleet.tree import element_of, roots
from core.frames import Reading
from core.ports import SourceInfo
from core.topology import Level, NodeSpec, Topology
from core.vocabulary import METRIC_NAMES
from services.edge.cells import CURVES_V, GRID_PCT
from services.edge.demo_day import Day
from services.edge.demo_faults import FAULTS
from services.edge.demo_site import Site

PERIOD_S = 1.0
STALE_AFTER_S = 10.0
MOST_CELLS = 240
LEAST_CELLS = 4
HOUR_S = 3600.0


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """packs: of the catalogue. cells: of one that has 240 there, the others in proportion. site:
    in ids. past_hours: what `backfill` can tell."""

    packs: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 24
    cells: Annotated[int, msgspec.Meta(ge=LEAST_CELLS, le=MOST_CELLS)] = 60
    site: Id = "packs"
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Packs"
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 1
    past_hours: Annotated[float, msgspec.Meta(ge=0, le=168)] = 24.0


def create(name: str, options: Options, levels: tuple[Level, ...]) -> Packs:
    """Packs that do not live yet; raises ConfigurationError for levels that cannot hold them."""
    plates = [PackPlate(plate.device, plate.label, plate.chemistry,
                        max(LEAST_CELLS, plate.cells * options.cells // MOST_CELLS),
                        plate.capacity_kwh) for plate in catalogue(options.packs)]
    return Packs(name, options, plates, roots(options.site, options.label, plates, levels))


class Packs:
    """A FleetSource, BackfillingSource and ScriptedSource; made by `create`, for any threads."""

    def __init__(self, name: str, options: Options, plates: Sequence[PackPlate],
                 systems: Sequence[NodeSpec]) -> None:
        self._options, self._plates, self._roots = options, tuple(plates), tuple(systems)
        self._info = SourceInfo(name, options.label, "simulated", PERIOD_S, STALE_AFTER_S,
                                native_sign="discharge")
        self._lock = threading.RLock()
        self._board = FleetBoard(options.site, self._plates)
        self._topology: Topology | None = None
        self._living: Site | None = None

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return self._roots

    def start(self, now: datetime, topology: Topology) -> None:
        """They wake with the charge that the day has come to."""
        with self._lock:
            self._topology = topology
            self._board.place(topology)
            self._living = Site(self._options.site, self._plates, self._board, now.timestamp(),
                                self._options.seed)

    def poll(self, now: datetime) -> Reading:
        """Live on until `now`."""
        with self._lock:
            self._site().live_until(now.timestamp())
            return self._board.reading(now)

    def close(self) -> None:
        with self._lock:
            if self._living is not None:
                self._living.close()
            self._living = None

    # -- a fleet

    def packs(self) -> Sequence[PackState]:
        return self._board.packs()

    def findings(self) -> Sequence[Finding]:
        return self._board.findings()

    def counts(self) -> FleetCounts:
        with self._lock:
            site = self._living
            return FleetCounts(
                self._info.name, self._options.site, broker="", connected=site is not None,
                received=site.received if site else 0, rate=site.per_s if site else 0.0,
                lag_s=0.0 if site else None)

    def command(self, device: str, action: str, issuer: str, ttl_s: float = 30.0,
                power_kw: float | None = None, hold_s: float | None = None,
                policy: bytes | None = None) -> CommandLife:
        """As `FleetSource`; the device takes it with its next sample."""
        if device not in self._board.records:
            raise UnknownIdError(f"no device is called {device[:40]!r}")
        with self._lock:
            return self._site().send(device, action, issuer, ttl_s, power_kw, hold_s, policy)

    def commands(self) -> Sequence[CommandLife]:
        with self._lock:
            return [] if self._living is None else self._living.inbox.book.lives()

    def allocate(self, power_kw: Mapping[str, float], valid_s: float,
                 lease_s: float | None = None) -> None:
        """Until it ends the packs leave their fixed day. Raises as `FleetSource`."""
        unknown = next((one for one in power_kw if one not in self._board.records), None)
        if unknown is not None:
            raise UnknownIdError(f"no device is called {unknown[:40]!r}")
        with self._lock:
            self._site().steer(power_kw, valid_s, lease_s)

    def remember(self, store: CommandStore) -> None:
        """Raises RetryLaterError."""
        with self._lock:
            self._site().inbox.book.remember(store)

    # -- faults

    def scripts(self) -> Sequence[str]:
        return sorted(FAULTS)

    def start_script(self, name: str, now: datetime) -> None:
        """From the next sample on; raises UnknownIdError."""
        if name not in FAULTS:
            raise UnknownIdError(f"no fault script is called {name[:80]!r}; "
                                 f"there are {', '.join(sorted(FAULTS))}")
        with self._lock:
            self._site().start_fault(name)

    def stop_scripts(self) -> None:
        """What is broken is repaired; what has tripped waits for a person's reset."""
        with self._lock:
            if self._living is not None:
                self._living.repair()

    def running_scripts(self) -> Sequence[str]:
        with self._lock:
            return [] if self._living is None else self._living.faults()

    # -- the past

    def backfill(self, start: datetime, end: datetime, step_s: float) -> Iterator[Reading]:
        """Packs by the same day, as far back as `past_hours` reach; cells are not told."""
        if not step_s > 0.0:
            raise ValueError(f"step_s = {step_s!r}: a step goes forward")
        topology = self._placed()
        nodes = np.array([topology.index(element_of(self._options.site, plate.device))
                          for plate in self._plates])
        heard = np.zeros(topology.size, dtype=np.bool_)
        heard[nodes] = True
        known = end - timedelta(seconds=self._options.past_hours * HOUR_S)
        for number in range(int((end - start).total_seconds() / step_s) + 1):
            when = start + timedelta(seconds=number * step_s)
            if when >= known:
                values = np.full((len(METRIC_NAMES), topology.size), np.nan, dtype=np.float32)
                values[:, nodes] = np.array([_told(number, plate, when.timestamp())
                                             for number, plate in enumerate(self._plates)]).T
                yield Reading(when, dict(zip(METRIC_NAMES, values, strict=True)), heard)

    def _site(self) -> Site:
        if self._living is None:
            raise SourceError(f"{self._info.name} is not started; ask again once it is")
        return self._living

    def _placed(self) -> Topology:
        if self._topology is None:
            raise SourceError(f"{self._info.name} is not started; ask again once it is")
        return self._topology


def _told(number: int, plate: PackPlate, time_s: float) -> list[float]:
    """A pack of that number in the past, in the order of METRIC_NAMES; NaN where nothing tells."""
    day = Day.of(number, plate)
    soc_pct, power_kw = day.soc_pct(time_s), day.power_kw(time_s)
    voltage_v = plate.cells * float(np.interp(soc_pct, GRID_PCT, CURVES_V[plate.chemistry]))
    told = {"soc_pct": soc_pct, "power_kw": power_kw, "voltage_v": voltage_v,
            "current_a": 1000.0 * power_kw / voltage_v}
    return [told.get(name, float("nan")) for name in METRIC_NAMES]
