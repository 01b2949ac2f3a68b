"""What a source of a coordinated fleet can tell beside its readings and be asked to do, and where
its messages are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from core.alarms.records import Finding
from core.fleet.entries import FleetEntry, Mark, Taken
from core.fleet.messages import Command, IngestReport, PartialLimit, SafetyState
from core.ports import Source, StoreHealth
from core.safety.derating import Way

LinkState = Literal["online", "offline", "conflict", "unknown"]
GONE: frozenset[LinkState] = frozenset({"offline", "conflict"})
"""Then what a pack told last is not of now."""
CommandState = Literal["sent", "received", "executed", "refused", "expired"]
INGEST_EVERY_S = 5.0
INGEST_SILENT_S = 20.0
"""So long without a report, and the ingest is taken for gone [s]."""
SETTLED: frozenset[CommandState] = frozenset({"executed", "refused", "expired"})


@dataclass(frozen=True, slots=True)
class PackState:
    """One pack beside its readings; None, "" and NaN where it did not say.

    element: its id in the tree. heard_at: when its newest telemetry was measured, by the centre's
    clock (UTC). link: what its device last said of itself, or its last will. charge_limit_a,
    discharge_limit_a: magnitudes in force [A], with limit_reason. allocation_kw: what it is asked
    for [kW]. pending: messages in its outbox; dropped: given up by it. missing: numbers that have
    not come; duplicate, late: messages. decision_us: longest safety decision of its newest second
    [us]; samples: how many its newest message is made of. rejected: what it refused itself, by
    reason, as far as it told since this process runs; last_refusal: the last of it. policy,
    policy_before, real_time, opened_after_s, silent_s, lease_s: as in Status. partial_limits: as
    in Body. clock_off_s: by how much its clock is behind the centre's [s], below 0 ahead; None
    where it is right, or not known.
    """

    site: str
    device: str
    element: str
    label: str
    chemistry: str = ""
    cells: int = 0
    capacity_kwh: float | None = None
    firmware: str = ""
    link: LinkState = "unknown"
    heard_at: datetime | None = None
    safety: SafetyState | None = None
    soh_pct: float | None = None
    charge_limit_a: float | None = None
    discharge_limit_a: float | None = None
    limit_reason: str = ""
    allocation_kw: float | None = None
    decision_us: float | None = None
    pending: int = 0
    dropped: int = 0
    missing: int = 0
    duplicate: int = 0
    late: int = 0
    policy: str | None = None
    policy_before: str | None = None
    samples: int | None = None
    real_time: bool | None = None
    opened_after_s: float | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    partial_limits: tuple[PartialLimit, ...] = ()
    silent_s: float | None = None
    lease_s: float | None = None
    last_refusal: Refusal | None = None
    clock_off_s: float | None = None

    def limits_of(self, way: Way) -> list[PartialLimit]:
        """The strictest, which is in force, first."""
        return sorted((one for one in self.partial_limits if one.way == way),
                      key=lambda one: one.amps)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was not used. text: its payload, cut, as a person may read it; it comes
    from anybody, so it is escaped where it is shown."""

    at: datetime
    topic: str
    reason: str
    words: str
    text: str


@dataclass(frozen=True, slots=True)
class IngestTold:
    """The newest report of the ingest, which stores what this process only looks at. heard_at:
    when it came; age_s: how long ago that was [s]."""

    said: IngestReport
    heard_at: datetime
    age_s: float
    last_refusal: Refusal | None = None

    @property
    def runs(self) -> bool:
        return self.said.state == "running" and self.age_s <= INGEST_SILENT_S


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """What came of a fleet since its source started. rate: messages a second over the last ten
    [1/s]. lag_s: age of the newest messages when they arrived, median [s]. rejected: by reason.
    decisions: safety decisions by upper edge [us], the last edge is inf; empty where no device
    tells how long they take. worst_decision_us: the longest of all [us]. ingest: None where none
    told anything."""

    source: str
    site: str
    broker: str
    connected: bool
    received: int = 0
    duplicate: int = 0
    late: int = 0
    missing: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    last_refusal: Refusal | None = None
    rate: float = 0.0
    lag_s: float | None = None
    decisions: Mapping[float, int] = field(default_factory=dict)
    worst_decision_us: float | None = None
    ingest: IngestTold | None = None


@dataclass(frozen=True, slots=True)
class CommandLife:
    """What is known of one command, without the policy that it brought. state "expired": the
    device said so, and then did nothing, or it told no outcome until its time was over, and then
    is `untold`: it may have acted. changed_at: when it came into that state (UTC)."""

    command: Command
    site: str
    device: str
    state: CommandState
    reason: str = ""
    changed_at: datetime | None = None
    untold: bool = False

    @property
    def settled(self) -> bool:
        return self.state in SETTLED


class CommandStore(Protocol):
    """Where the lives of commands are kept; several processes may share it."""

    def keep_commands(self, site: str, lives: Sequence[CommandLife]) -> None:
        """In place of what was known of each before; raises RetryLaterError."""
        ...

    def commands(self, site: str, since: datetime, most: int) -> list[CommandLife]:
        """The newest issued since then, oldest first; raises RetryLaterError."""
        ...


class FleetSource(Source, Protocol):
    """A source of packs that their devices guard and the centre commands."""

    def packs(self) -> Sequence[PackState]:
        """All packs, in the order of the tree."""
        ...

    def findings(self) -> Sequence[Finding]:
        """Conditions that the devices themselves report, for the alarm list."""
        ...

    def counts(self) -> FleetCounts: ...

    def command(self, device: str, action: str, issuer: str, ttl_s: float = 30.0,
                power_kw: float | None = None, hold_s: float | None = None,
                policy: bytes | None = None) -> CommandLife:
        """Send a command; its life begins as "sent". Raises RequestError for what the schema
        does not know, UnknownIdError for an unknown device, SourceError where it cannot be
        sent."""
        ...

    def commands(self) -> Sequence[CommandLife]:
        """The newest first, each as it is now."""
        ...

    def allocate(self, power_kw: Mapping[str, float], valid_s: float,
                 lease_s: float | None = None) -> None:
        """Ask devices for powers [kW], + discharging, that end by themselves after valid_s [s].
        lease_s: as in Allocation; it is sent where all devices that are there know leases.
        `PackState.allocation_kw` says what each makes of it. Raises UnknownIdError, RequestError
        for what is no finite number, and SourceError where nothing can be sent."""
        ...

    def remember(self, store: CommandStore) -> None:
        """Go on with the commands of the last hours, and keep there what follows; once, after
        `start`. Raises RetryLaterError."""
        ...


@dataclass(frozen=True, slots=True)
class StoredBody:
    """One body as a device made it. time_us: the device's clock [us since 1970]."""

    device: str
    seq: int
    time_us: int
    body: bytes


class FleetPast(Protocol):
    """What a FleetStore holds, for processes beside the one that writes there. A store that is
    not there yet holds nothing."""

    def bodies_between(self, site: str, devices: Sequence[str], after_us: int, until_us: int,
                       every_us: int) -> Sequence[StoredBody]:
        """By time, of after < time <= until the newest of each device in every `every_us` that
        pass from `after_us` on. Raises RetryLaterError."""
        ...

    def late_minutes(self, site: str, after_us: int, until_us: int, late_us: int) -> Sequence[int]:
        """Minutes, rising, of the bodies that were received in after < time <= until and measured
        more than late_us before that [us since 1970]. Raises RetryLaterError."""
        ...

    def oldest_us(self, site: str) -> int | None:
        """About the time of the oldest body; None without any. Raises RetryLaterError."""
        ...

    def health(self) -> StoreHealth:
        """As last seen, so that nobody waits for a server; without a budget."""
        ...

    def close(self) -> None: ...


class FleetStore(Protocol):
    """Each (site, device, sequence) once. What `take` returned from survives SIGKILL. One process
    writes; a second one is refused with ConfigurationError."""

    def take(self, entries: Sequence[FleetEntry]) -> Taken:
        """Keep a batch in one transaction; raises RetryLaterError, and then nothing is kept."""
        ...

    def mark(self, site: str, device: str) -> Mark | None:
        """How far a device is settled; None for one that nothing came from. A device that numbers
        anew above `last` is refused by no store that is there."""
        ...

    def marks(self) -> Sequence[Mark]:
        """Of all devices, by site and device."""
        ...

    def bodies(self, site: str, device: str, first: int, last: int) -> Sequence[tuple[int, bytes]]:
        """(sequence, body) from `first` to `last`, both included, rising."""
        ...

    def gaps(self, site: str, device: str) -> Sequence[tuple[int, int]]:
        """(first, last) of numbers that their device gave up: they never come."""
        ...

    def forget(self, before_us: int, most: int = 5000) -> int:
        """Drop at most `most` settled bodies that were received before `before_us`; how many.
        Their numbers stay settled, and `marks` and `gaps` as they are."""
        ...

    def behind(self) -> str:
        """Of several stores, which lack messages that wait for them or that they refused, and why;
        "" for none."""
        ...

    def close(self) -> None: ...
