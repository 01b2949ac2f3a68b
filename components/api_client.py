"""What the pages ask: the engine of this process. Pages never see a source or a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.connections_api import ConnectionsApi
from components.energy_api import EnergyApi as EnergyApi
from components.energy_api import energy_api as energy_api
from core.alarms.journal import AlarmJournal
from core.alarms.ports import AlarmStore
from core.alarms.records import AuditEntry
from core.clock import Clock
from core.config import Config
from core.coordinator.asked import Coordination
from core.devices import Device, channel_id
from core.engine import Snapshot, SourceStatus, devices_of, fleets_of
from core.errors import UnknownIdError
from core.fleet.ports import CommandLife, FleetCounts, FleetSource, PackState
from core.household import Household
from core.houses import House
from core.ports import (
    ScriptedSource,
    Series,
    StoreHealth,
    Talk,
    Tier,
)
from core.replay import PastMoment
from core.runtime import Runtime, restart_runtime, shared_runtime
from core.site_records import SiteRecords
from core.told import DeviceNow
from core.topology import IndexArray, Topology
from core.trails import Trail
from core.twin.agenda import Due as AgendaDue
from core.twin.desk import SPAN_S, Foretold, Site, TwinDesk
from core.twin.kept import Kind, Own, ParameterFile, Recording
from core.twin.past import Plate
from core.twin.ports import Physics
from core.twin.record import Record
from core.twin.rounds import Foreseen
from core.twin.study import Study
from core.twin.tree import PackEstimate
from core.twin.windows import Window

NO_TWIN = ("the digital twin is turned off ([twin] enabled in orrery.toml), or it could not start: "
           "the log says why")


@dataclass(frozen=True, slots=True)
class BackfillState:
    """progress: share of the past that is written, 0..1. simulated: a part of it is."""

    running: bool
    progress: float
    error: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault script of a simulator; source, label: the simulator's."""

    source: str
    label: str
    name: str
    running: bool


class Client(Protocol):
    """One contract for this process's engine and, later, for a gateway over HTTP."""

    @property
    def title(self) -> str: ...

    @property
    def topology(self) -> Topology: ...

    @property
    def period_s(self) -> float: ...

    def now(self) -> datetime:
        """The time that everything is about: the present, or `past`."""
        ...

    def present(self) -> datetime:
        """The time of the clock."""
        ...

    @property
    def past(self) -> datetime | None:
        """The moment that is shown instead of the present, None while live."""
        ...

    def snapshot(self) -> Snapshot: ...

    def moment(self, when: datetime) -> PastMoment:
        """The site as it was; where nothing is known, or history cannot be read, all missing."""
        ...

    def alarm_marks(self, start: datetime, end: datetime, parts: int) -> NDArray[np.int8]:
        """As `Replay.marks`."""
        ...

    def trail(self, nodes: IndexArray, metric: str, end: datetime) -> Trail:
        """What `metric` of nodes was during the minutes before `end`; as `Trails.of`."""
        ...

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]: ...

    @property
    def houses(self) -> tuple[House, ...]:
        """Those of the Energy Monitor."""
        ...

    def house(self, house_id: str) -> House:
        """Any house, also one with a heat pump alone; raises UnknownIdError."""
        ...

    def household(self, house_id: str) -> Household:
        """The house as it stands; raises UnknownIdError."""
        ...

    @property
    def heat_pumps(self) -> list[Device]: ...

    def device_now(self, device: Device) -> DeviceNow: ...

    def status_of(self, device: Device) -> SourceStatus:
        """Of the source that a device belongs to."""
        ...

    def problems_of(self, device: Device) -> Mapping[str, str]:
        """Quantity -> why its reading was refused, in words."""
        ...

    def talk_with(self, source: str) -> Talk | None:
        """What a source of that name and its device said to each other; None for one that has
        nobody to talk with. Raises UnknownIdError."""
        ...

    def ping(self, source: str) -> float:
        """Round trip to the device of a source that talks [s]; raises SourceError."""
        ...

    def ask_now(self, source: str) -> None:
        """Have a source that talks ask its device for everything."""
        ...

    def coverage(self, source: str, start: datetime, end: datetime, parts: int,
                 ) -> NDArray[np.float64]:
        """Share of each of `parts` equal parts in which history knows a source, float64[parts],
        0..1; empty without history. Raises SourceError and UnknownIdError."""
        ...

    def channel_series(self, channel_ids: Sequence[str], start: datetime, end: datetime,
                       max_points: int = 1000, tier: Tier = "auto") -> list[Series]:
        """[] without history; raises UnknownIdError, and SourceError where a server with a
        history of its own does not answer."""
        ...

    def history(self) -> StoreHealth | None:
        """None when there is no history; `snapshot().history_error` says why."""
        ...

    def backfill(self) -> BackfillState | None: ...

    def systems_by_kind(self) -> dict[str, int]:
        """How many systems are "live", "recorded" and "simulated"."""
        ...

    def faults(self) -> list[Fault]:
        """All fault scripts of all simulators."""
        ...

    def start_fault(self, fault: Fault) -> None:
        """Raises UnknownIdError and ConfigurationError as `ScriptedSource.start_script`."""
        ...

    def stop_faults(self) -> None: ...

    @property
    def journal(self) -> AlarmJournal:
        """All alarms, and what a person may do about them."""
        ...

    @property
    def alarm_store(self) -> AlarmStore | None:
        """Their history and the audit; None where nothing is kept, and `alarms_error` says why."""
        ...

    @property
    def alarms_error(self) -> str: ...

    def audit(self, entry: AuditEntry) -> None:
        """Raises RetryLaterError where it is not kept."""
        ...

    def packs(self) -> list[PackState]:
        """Of all fleets."""
        ...

    def fleet_counts(self) -> list[FleetCounts]: ...

    def command(self, element: str, action: str, issuer: str, ttl_s: float = 30.0,
                power_kw: float | None = None, hold_s: float | None = None,
                policy: bytes | None = None) -> CommandLife:
        """Of a pack; element: its id in the tree. Raises as `FleetSource.command`."""
        ...

    def commands(self) -> list[CommandLife]:
        """The newest first."""
        ...

    def reconnects(self, source: str) -> bool:
        """Whether a source has a connection that can be made anew; raises UnknownIdError."""
        ...

    def reconnect(self, source: str) -> None:
        """Leave the server, broker or device of a source and come back. Raises UnknownIdError for
        one without a connection, SourceError where it wants to be left alone."""
        ...

    @property
    def physics(self) -> Physics | str:
        """Of the digital twin, or in words why there is none; it may lack a package, and then its
        `missing` says so."""
        ...

    def twin_site(self) -> Site | str:
        """All packs of the twin, or in words why there is none."""
        ...

    def twin_packs(self) -> list[str]:
        """Ids of the elements right above cells that the twin models; [] where there is none."""
        ...

    def twin_has(self, pack: str) -> bool:
        """Whether it is one of `twin_packs`."""
        ...

    def twin_plate(self, pack: str) -> Plate:
        """What a pack is; raises UnknownIdError, as all that follow."""
        ...

    def twin_estimate(self, pack: str) -> PackEstimate: ...

    def twin_record(self, pack: str, span_s: float = SPAN_S) -> Record:
        """The mean cell over the last span_s seconds out of history, read now (some ms); raises
        RetryLaterError where history cannot be read. `twin_study` has one that costs nothing."""
        ...

    def twin_study(self, pack: str) -> Study | None:
        """The last hours of a pack with its health, verdict and fade, at most a minute old once
        somebody asks; None while the first is worked out (a second)."""
        ...

    def twin_window(self, pack: str) -> Window | None:
        """The last window of the physics, None before there is one."""
        ...

    def twin_window_due(self, pack: str) -> AgendaDue:
        """When its physics is asked next."""
        ...

    def twin_predictions(self, pack: str) -> Foretold:
        """Raises RetryLaterError where they cannot be read."""
        ...

    def twin_foreseen(self, pack: str) -> Foreseen:
        """Its ageing run that came by itself, and when the next comes."""
        ...

    def twin_own(self, pack: str) -> Own:
        """What is kept of a pack; raises RetryLaterError too."""
        ...

    def twin_outlives(self) -> bool:
        """Whether what is kept of packs outlives a restart."""
        ...

    def twin_watch(self, pack: str, task_id: str, by: str) -> None:
        """What is accepted of this calibration is kept, asked for by `by`."""
        ...

    def twin_keep(self, told: ParameterFile | Recording) -> None:
        """In place of the one before; raises RetryLaterError."""
        ...

    def twin_drop(self, kind: Kind, name: str) -> None:
        """What is kept by this name: a pack's id, or `core.twin.kept.about_chemistry`; raises
        RetryLaterError."""
        ...

    @property
    def coordination(self) -> Coordination | str:
        """Plans, allocations and settings of all sites of packs, or in words why there are
        none."""
        ...


class LocalClient(ConnectionsApi):
    """Asks the engine of this process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime.engine)
        self._runtime = runtime
        self._ways: dict[str, tuple[FleetSource, str]] = {}

    @property
    def title(self) -> str:
        return self._runtime.config.title

    @property
    def topology(self) -> Topology:
        return self._engine.topology

    @property
    def period_s(self) -> float:
        return self._engine.period_s

    @property
    def sign_in_mode(self) -> str:
        return self._runtime.config.sign_in.mode

    @property
    def clock(self) -> Clock:
        """Of the present, whatever moment is shown."""
        return self._engine.clock

    def now(self) -> datetime:
        return self._engine.clock.now()

    def present(self) -> datetime:
        return self._engine.clock.now()

    @property
    def past(self) -> datetime | None:
        return None

    def snapshot(self) -> Snapshot:
        return self._engine.snapshot

    def moment(self, when: datetime) -> PastMoment:
        return self._runtime.replay.moment(when)

    def alarm_marks(self, start: datetime, end: datetime, parts: int) -> NDArray[np.int8]:
        return self._runtime.replay.marks(start, end, parts)

    def trail(self, nodes: IndexArray, metric: str, end: datetime) -> Trail:
        return self._runtime.trails.of(nodes, metric, end)

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        if self._engine.store is None:
            return []
        return self._engine.store.series(node_ids, metrics, start, end, max_points)

    @property
    def config(self) -> Config:
        return self._runtime.config

    @property
    def is_current(self) -> bool:
        """False once the engine was started anew: whoever holds this client asks for another."""
        return self._runtime is shared_runtime()

    def restart(self) -> bool:
        """Take up a changed orrery.toml; False where the process must be started anew."""
        return restart_runtime()

    @property
    def houses(self) -> tuple[House, ...]:
        return self._runtime.energy_houses

    @property
    def all_houses(self) -> tuple[House, ...]:
        """Those with a heat pump alone too."""
        return self._runtime.houses

    def house(self, house_id: str) -> House:
        for house in self._runtime.houses:
            if house.id == house_id:
                return house
        raise UnknownIdError(f"no house is called {house_id[:80]!r}")

    def household(self, house_id: str) -> Household:
        return Household(self.house(house_id), self._engine.devices, self.snapshot().devices)

    @property
    def heat_pumps(self) -> list[Device]:
        return [device for device in self._engine.devices.devices.values()
                if device.pump is not None]

    def device_now(self, device: Device) -> DeviceNow:
        return DeviceNow(device, self._engine.devices, self.snapshot().devices)

    def status_of(self, device: Device) -> SourceStatus:
        statuses = zip(self._engine.sources, self.snapshot().sources, strict=True)
        return next(status for source, status in statuses if device in devices_of(source))

    def problems_of(self, device: Device) -> Mapping[str, str]:
        source = self._engine.source_of(device.id)
        return source.problems() if hasattr(source, "problems") else {}

    def coverage(self, source: str, start: datetime, end: datetime, parts: int,
                 ) -> NDArray[np.float64]:
        found = self._source(source)
        channels = [channel_id(device.id, name) for device in devices_of(found)[:1]
                    for name in device.quantities[:1]]
        told = (self.channel_series(channels, start, end, 4 * parts) if channels else
                self.series([root.id for root in found.roots[:1]], ["power_kw"], start, end,
                            4 * parts))
        return shares(told[0], start.timestamp(), end.timestamp(), parts) if told else np.empty(0)

    def channel_series(self, channel_ids: Sequence[str], start: datetime, end: datetime,
                       max_points: int = 1000, tier: Tier = "auto") -> list[Series]:
        return self._engine.recall(channel_ids, start, end, max_points, tier)

    def history(self) -> StoreHealth | None:
        store = self._engine.store
        return None if store is None else store.health()

    def channels_history(self) -> StoreHealth | None:
        """Of the devices' channels; None where there is none."""
        channels = self._engine.channels
        return None if channels is None else channels.health()

    def backfill(self) -> BackfillState | None:
        work = self._runtime.backfill
        return work and BackfillState(work.running, work.progress, work.error, work.simulates)

    def systems_by_kind(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for source in self._engine.sources:
            if source.roots:
                kind = source.info.kind
                found[kind] = found.get(kind, 0) + len(source.roots)
        return found

    def faults(self) -> list[Fault]:
        return [Fault(source.info.name, source.info.label, name,
                      name in source.running_scripts())
                for source in self._scripted() for name in source.scripts()]

    def start_fault(self, fault: Fault) -> None:
        for source in self._scripted():
            if source.info.name == fault.source:
                source.start_script(fault.name, self.now())

    def stop_faults(self) -> None:
        for source in self._scripted():
            source.stop_scripts()

    @property
    def journal(self) -> AlarmJournal:
        return self._engine.desk.journal

    @property
    def alarm_store(self) -> AlarmStore | None:
        return self._engine.desk.store

    @property
    def alarms_error(self) -> str:
        return self._engine.desk.error

    @property
    def records(self) -> SiteRecords | None:
        """Commands and what was saved; None where nothing is kept, and `records_error` says why."""
        return self._engine.records

    @property
    def records_error(self) -> str:
        return self._engine.records_error

    def audit(self, entry: AuditEntry) -> None:
        self._engine.desk.audit(entry)

    def _fleets(self) -> list[FleetSource]:
        return fleets_of(self._engine.sources)

    def packs(self) -> list[PackState]:
        return [pack for fleet in self._fleets() for pack in fleet.packs()]

    def fleet_counts(self) -> list[FleetCounts]:
        return [fleet.counts() for fleet in self._fleets()]

    def command(self, element: str, action: str, issuer: str, ttl_s: float = 30.0,
                power_kw: float | None = None, hold_s: float | None = None,
                policy: bytes | None = None) -> CommandLife:
        if element not in self._ways:
            self._ways = {pack.element: (one, pack.device)
                          for one in self._fleets() for pack in one.packs()}
        if element not in self._ways:
            raise UnknownIdError(f"no pack is called {element[:80]!r}")
        fleet, device = self._ways[element]
        return fleet.command(device, action, issuer, ttl_s, power_kw, hold_s, policy)

    def commands(self) -> list[CommandLife]:
        found = [life for fleet in self._fleets() for life in fleet.commands()]
        return sorted(found, key=lambda life: life.command.issued_s, reverse=True)

    @property
    def _twin(self) -> TwinDesk:
        if self._runtime.twin is None:
            raise UnknownIdError(NO_TWIN)
        return self._runtime.twin

    @property
    def physics(self) -> Physics | str:
        return NO_TWIN if self._runtime.twin is None else self._runtime.twin.physics

    def twin_site(self) -> Site | str:
        return NO_TWIN if self._runtime.twin is None else self._runtime.twin.site()

    def twin_packs(self) -> list[str]:
        return [] if self._runtime.twin is None else list(self._runtime.twin.plates)

    def twin_has(self, pack: str) -> bool:
        return self._runtime.twin is not None and pack in self._runtime.twin.plates

    def twin_plate(self, pack: str) -> Plate:
        return self._twin.plate(pack)

    def twin_estimate(self, pack: str) -> PackEstimate:
        return self._twin.estimate(pack)

    def twin_record(self, pack: str, span_s: float = SPAN_S) -> Record:
        return self._twin.past(pack, span_s).record

    def twin_study(self, pack: str) -> Study | None:
        return self._twin.study(pack)

    def twin_window(self, pack: str) -> Window | None:
        return self._twin.window(pack)

    def twin_window_due(self, pack: str) -> AgendaDue:
        return self._twin.window_due(pack)

    def twin_predictions(self, pack: str) -> Foretold:
        return self._twin.foretold(pack)

    def twin_foreseen(self, pack: str) -> Foreseen:
        return self._twin.foreseen(pack)

    def twin_own(self, pack: str) -> Own:
        return self._twin.shelf.own(pack, self._twin.plate(pack).chemistry)

    def twin_outlives(self) -> bool:
        return self._twin.shelf.outlives

    def twin_watch(self, pack: str, task_id: str, by: str) -> None:
        self._twin.watch(pack, task_id, by)

    def twin_keep(self, told: ParameterFile | Recording) -> None:
        self._twin.shelf.keep(told)

    def twin_drop(self, kind: Kind, name: str) -> None:
        self._twin.shelf.drop(kind, name)

    @property
    def coordination(self) -> Coordination | str:
        return self._runtime.coordinator

    def _scripted(self) -> list[ScriptedSource]:
        return [source for source in self._engine.sources
                if hasattr(source, "start_script")]  # type: ignore[misc]


def shares(one: Series, start_s: float, end_s: float, parts: int) -> NDArray[np.float64]:
    """Share of each of `parts` equal parts of a span [s] that a series knows, float64[parts]."""
    there = np.isfinite(one.mean)
    known_s = np.full(there.size, one.resolution_s) if one.known_s is None else one.known_s
    found_s, _ = np.histogram(one.time_s[there], bins=parts, range=(start_s, end_s),
                              weights=known_s[there])
    return np.minimum(found_s * parts / (end_s - start_s), 1.0)


def local_client() -> LocalClient:
    """The client of this process's engine; raises ConfigurationError."""
    return LocalClient(shared_runtime())
