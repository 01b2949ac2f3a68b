"""A fleet without devices for tests of the Fleet page: what its packs say is set by the test."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from components.api_client import LocalClient
from core.alarms.records import AuditEntry, Finding
from core.clock import Clock, ManualClock
from core.config import Config, OperatorsConfig, SourceConfig
from core.engine import Engine
from core.errors import RetryLaterError, SourceError, UnknownIdError
from core.fleet.catalogue import catalogue
from core.fleet.messages import VERSION, Command
from core.fleet.ports import CommandLife, CommandState, FleetCounts, PackState
from core.fleet.tree import element_of, roots
from core.frames import Reading
from core.ports import SourceInfo
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from core.twin.desk import TwinDesk
from core.twin.diagnosis import Verdict
from core.twin.interval import UNKNOWN, Interval
from core.twin.study import Judged
from core.vocabulary import METRIC_NAMES
from tests.components.twin_site import StandingPhysics

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
SITE = "home"


class FakeFleet:
    """FleetSource. `told` may be changed at will; commands stay "sent" until `answer`. looks: how
    often all packs were asked for; anew: how often it was connected to anew. left_alone: why it is
    not."""

    def __init__(self, count: int, cells: int | None, clock: Clock, site: str = SITE,
                 name: str = "packs", label: str = "Home fleet") -> None:
        self._clock, self.site = clock, site
        self.plates = catalogue(count, cells)
        self.info = SourceInfo(name, "Packs", "simulated", 1.0, 10.0, "discharge")
        self.roots: Sequence[NodeSpec] = roots(site, label, self.plates, DEFAULT_LEVELS)
        self.told = [PackState(
            site, plate.device, element_of(site, plate.device), plate.label, plate.chemistry,
            plate.cells, plate.capacity_kwh, "1.4.2", "online", clock.now(), "normal", 97.0, 80.0,
            100.0, "", 0.0, 120.0) for plate in self.plates]
        self.lives: list[CommandLife] = []
        self.deaf: set[str] = set()
        self.files: dict[str, bytes | None] = {}
        self.looks = self.anew = 0
        self.left_alone = ""
        self._ids = itertools.count(1)
        self.volts = {"LFP": 3.3, "NMC": 3.7, "LCO": 3.8}

    def start(self, now: datetime, topology: Topology) -> None:
        self.topology = topology
        size = topology.size
        columns = {name: np.full(size, np.nan, np.float32) for name in METRIC_NAMES}
        for number, pack in enumerate(self.told):
            node = topology.index(pack.element)
            part = topology.children(node)
            step = np.arange(part.stop - part.start, dtype=np.float32) / 1e4
            columns["voltage_v"][part] = self.volts[pack.chemistry] + step
            columns["temperature_c"][part] = 25 + step
            for name, value in (("power_kw", 10.0 + number), ("soc_pct", 40.0 + number % 50),
                                ("temperature_c", 25.0), ("current_a", 20.0),
                                ("voltage_v", 700.0), ("soh_pct", 97.0)):
                columns[name][node] = value
        self.columns = columns

    def poll(self, now: datetime) -> Reading:
        return Reading(now, {name: column.copy() for name, column in self.columns.items()})

    def close(self) -> None:
        """Nothing to close."""

    def packs(self) -> Sequence[PackState]:
        self.looks += 1
        return self.told

    def change(self, number: int, **told: object) -> None:
        self.told[number] = replace(self.told[number], **told)  # type: ignore[arg-type]

    def findings(self) -> Sequence[Finding]:
        return [Finding(pack.element, "pack_tripped", 3) for pack in self.told
                if pack.safety == "latched"]

    def counts(self) -> FleetCounts:
        return FleetCounts("packs", SITE, "in this process", True, rate=float(len(self.told)))

    def command(self, device: str, action: str, issuer: str, ttl_s: float = 30.0,
                power_kw: float | None = None, hold_s: float | None = None,
                policy: bytes | None = None) -> CommandLife:
        if device not in {plate.device for plate in self.plates}:
            raise UnknownIdError(device)
        if device in self.deaf:
            raise SourceError("the broker is away")
        command = Command(v=VERSION, id=f"{next(self._ids):032x}", issuer=issuer,
                          issued_s=self._clock.now().timestamp(), ttl_s=ttl_s,
                          action=action, power_kw=power_kw,  # type: ignore[arg-type]
                          hold_s=hold_s)
        self.files[device] = policy
        self.lives.insert(0, CommandLife(command, self.site, device, "sent"))
        return self.lives[0]

    def answer(self, state: CommandState, reason: str = "") -> None:
        """All that are open."""
        self.lives = [life if life.settled else replace(
            life, state=state, reason=reason, changed_at=self._clock.now() + timedelta(seconds=2))
            for life in self.lives]

    def commands(self) -> Sequence[CommandLife]:
        return list(self.lives)

    def reconnect(self) -> None:
        if self.left_alone:
            raise SourceError(self.left_alone)
        self.anew += 1


class AuditedClient(LocalClient):
    """Keeps the audit where a test can read it; `full`: nothing more can be kept."""

    full = False

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.entries: list[AuditEntry] = []
        self._changed = threading.Condition()

    def audit(self, entry: AuditEntry) -> None:
        if self.full:
            raise RetryLaterError("the disk is full: make room")
        with self._changed:
            self.entries.append(entry)
            self._changed.notify_all()

    def waited_for(self, action: str) -> AuditEntry:
        """The first entry of that action, when it has come."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(entry.action == action for entry in self.entries), 20), self.entries
            return next(entry for entry in self.entries if entry.action == action)


def site(count: int = 24, cells: int | None = 12, operators: OperatorsConfig | None = None,
         ) -> tuple[AuditedClient, FakeFleet, ManualClock]:
    """A client of an engine with one fleet that was heard once."""
    clock = ManualClock(START)
    fleet = FakeFleet(count, cells, clock)
    return _client([fleet], clock, operators), fleet, clock


def two_sites(count: int = 3) -> tuple[AuditedClient, list[FakeFleet]]:
    """As `site`, of two whose packs have the same devices and labels."""
    clock = ManualClock(START)
    fleets = [FakeFleet(count, 12, clock, one, one, "Fleet") for one in ("north", "south")]
    return _client(fleets, clock), fleets


def _client(fleets: Sequence[FakeFleet], clock: Clock,
            operators: OperatorsConfig | None = None) -> AuditedClient:
    engine = Engine(DEFAULT_LEVELS, fleets, clock)
    engine.tick()
    config = Config(sources=[SourceConfig("packs", "packs")], file="orrery.toml",
                    operators=operators or OperatorsConfig(mode="local", demo=True))
    return AuditedClient(Runtime(config, engine, (), None))


def judge(client: LocalClient, soh: Mapping[str, Interval]) -> None:
    """What the digital twin found: by element, as a share."""
    runtime = client._runtime
    desk = TwinDesk(runtime.engine, StandingPhysics())
    found = desk.site()
    judged = {element: Judged(START, Verdict("agrees", ""), one, UNKNOWN, 0, UNKNOWN, 1.0, 1.0,
                              None, "") for element, one in soh.items()}
    desk.site = lambda: replace(found, judged=judged)  # type: ignore[method-assign]
    client._runtime = replace(runtime, twin=desk)


def tick(client: LocalClient) -> None:
    """The engine's next frame."""
    client._runtime.engine.tick()
