"""The documented answers of the fleet's and the alarms' API, field by field.

Times are ISO 8601 with "+00:00"; a top-level `timestamp` is the moment of the answer [s since
1970]. Power and current are positive when DISCHARGING. null = not known; zero is a value. Texts
come from devices and people: escape them where they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.safety.derating import LimitName, Way

Side = Literal["highest_voltage", "lowest_voltage", "hottest", "coldest"]
Link = Literal["online", "offline", "conflict", "unknown"]
Safety = Literal["normal", "derate", "zero", "opening", "latched", "unguarded"]
Severity = Literal["none", "info", "warning", "trip"]
LifeState = Literal["sent", "received", "executed", "refused", "expired"]
Action = Literal["override", "release", "controlled_shutdown", "emergency_stop", "reset"]
AlarmAct = Literal["acknowledge", "reset", "shelve", "unshelve", "suppress", "unsuppress",
                   "out_of_service", "return_to_service", "comment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCell:
    """The cell that is nearest to a trip limit by the direction of its pack now; at rest that of
    a charge. value and limit in V, of "hottest" and "coldest" in °C."""

    element: str
    label: str
    side: Side
    value: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialLimitTold:
    """One of the limits that make what a pack allows one way: the most it allows [A], why in the
    device's words, and the cell, counted from 1 within the pack. in_force: the strictest of its
    way."""

    way: Way
    limit: LimitName
    amps: float
    why: str
    cell: int | None
    in_force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PackTold:
    """One pack. stale: it has not told in time, so that power_kw, soc_pct, temperature_c and
    worst_cell are null. heard_at: when its newest telemetry was measured. charge_limit_a,
    discharge_limit_a: magnitudes in force [A]. allocation_kw: what it is asked for. decision_us:
    its longest safety decision of its newest message [us], which is made of `samples`; real_time:
    made with real-time priority. opened_after_s: from its last trip or stop to open contactors [s].
    silent_s: so long without a word of the centre, and it helps itself [s]; lease_s: since when who
    gave its order holds the site [s since 1970], 0 without one, null where it knows no leases.
    pending, dropped: messages in its outbox and given up; missing, duplicate, late: messages.
    rejected: what it refused itself, by reason; last_refusal: the last of it. partial_limits: those
    in force or near, charge first, the strictest of each way first. alarms: open at it and below.
    clock_off_s: by how much its device's clock is behind [s], below 0 ahead, null where it is right
    or not known."""

    site: str
    device: str
    element: str
    label: str
    chemistry: str
    cells: int
    capacity_kwh: float | None
    firmware: str
    link: Link
    heard_at: str | None
    safety: Safety | None
    soh_pct: float | None
    charge_limit_a: float | None
    discharge_limit_a: float | None
    limit_reason: str
    partial_limits: list[PartialLimitTold]
    allocation_kw: float | None
    decision_us: float | None
    samples: int | None
    real_time: bool | None
    opened_after_s: float | None
    silent_s: float | None
    lease_s: float | None
    pending: int
    dropped: int
    missing: int
    duplicate: int
    late: int
    rejected: dict[str, int]
    last_refusal: RefusalTold | None
    policy: str | None
    policy_before: str | None
    clock_off_s: float | None
    stale: bool
    power_kw: float | None
    soc_pct: float | None
    temperature_c: float | None
    worst_cell: WorstCell | None
    alarms: int
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All packs in the order of the tree."""

    status: Literal["success"]
    packs: list[PackTold]
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePack:
    """One pack."""

    status: Literal["success"]
    pack: PackTold
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalTold:
    """The last message that was not used. text: its payload, cut; anybody may have sent it."""

    at: str
    topic: str
    reason: str
    words: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionsTold:
    """How many safety decisions took at most upper_us [us] and more than the one before; null =
    without a bound."""

    upper_us: float | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestTold:
    """What the process that stores each message once told of itself since it started. runs: False
    after its last will, and where it is silent. given_up: messages that their devices gave up;
    overflow: messages of QoS 0 without room; waiting: not looked at yet. lag: from the device's
    sending to the commit [s]. trouble: why it cannot store now. behind: of
    several stores, which lack what waits for them."""

    runs: bool
    heard_at: str
    received: int
    stored: int
    duplicate: int
    late: int
    given_up: int
    overflow: int
    waiting: int
    lag_p50_s: float | None
    lag_p95_s: float | None
    rejected: dict[str, int]
    last_refusal: RefusalTold | None
    trouble: str
    behind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsTold:
    """What came of one fleet since its source started. rate: messages a second. lag_s: age of
    the newest messages when they arrived [s]. rejected: by reason. decisions and
    worst_decision_us, the longest [us]: since the devices' processes began, as far as they told.
    ingest: null where none told anything."""

    source: str
    site: str
    broker: str
    connected: bool
    received: int
    duplicate: int
    late: int
    missing: int
    rejected: dict[str, int]
    last_refusal: RefusalTold | None
    rate: float | None
    lag_s: float | None
    decisions: list[DecisionsTold]
    worst_decision_us: float | None
    ingest: IngestTold | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCountsTold:
    """A row for each fleet."""

    status: Literal["success"]
    fleets: list[CountsTold]
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandTold:
    """The life of one command. element: null where no pack has this device any more. untold: it
    is over and its device told no outcome; it may have acted, and may still say so."""

    id: str
    element: str | None
    site: str
    device: str
    action: str
    issuer: str
    issued_at: str
    ttl_s: float
    power_kw: float | None
    hold_s: float | None
    state: LifeState
    reason: str
    changed_at: str | None
    settled: bool
    untold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Newest first. total: how many are known."""

    status: Literal["success"]
    total: int
    commands: list[CommandTold]
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ToConfirm:
    """Nothing is sent yet. token: for one `POST /api/fleet/commands/confirm` by the same
    operator until expires_at. effect, expiry: what it does to whom, and until when, in words.
    packs: elements of those it goes to."""

    status: Literal["confirm"]
    token: str
    target: str
    element: str
    packs: list[str]
    action: Action
    effect: str
    expiry: str
    valid_s: float
    expires_at: str
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """On its way; `/api/fleet/commands` tells what becomes of it. unsent: device -> why.
    not_written: why the audit could not be kept, "" if it was; only a stop goes out then."""

    status: Literal["sent"]
    commands: list[CommandTold]
    unsent: dict[str, str]
    not_written: str
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentTold:
    at: str
    who: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmKey:
    """One alarm exists an element and condition."""

    element: str
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HidingTold:
    """Why it is shelved, suppressed or out of service. cause: the alarm that explains it."""

    at: str
    who: str
    why: str
    until: str | None
    once: bool
    cause: AlarmKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmTold:
    """One alarm that is not normal. state: the letter of ISA-18.2, state_words: the same in
    words. value and limit in the unit of metric. label: of the element, "" outside the tree.
    occurrence: a number that no other raising has."""

    element: str
    label: str
    condition: str
    words: str
    state: str
    state_words: str
    severity: Severity
    metric: str
    value: float | None
    limit: float | None
    began: str
    raised_at: str | None
    returned_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str
    occurrence: int
    count: int
    hidden: HidingTold | None
    comments: list[CommentTold]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTold:
    """A cause with what follows from it. place: the lowest element above all. size: all of
    them; members: the first of the others."""

    root: AlarmKey
    members: list[AlarmKey]
    place: str
    severity: Severity
    size: int
    began: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCounts:
    """info, warning, trip: in the list now. asking: of them, those that nobody acknowledged.
    raised: within the last ten minutes, a flood above ten."""

    info: int
    warning: int
    trip: int
    asking: int
    shelved: int
    suppressed: int
    out_of_service: int
    raised: int
    flood: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlarms:
    """Worst first, then newest. total: how many there are, also where `limit` left some out.
    error: why nothing is kept, "" when all is well."""

    status: Literal["success"]
    total: int
    alarms: list[AlarmTold]
    groups: list[GroupTold]
    counts: AlarmCounts
    error: str
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTold:
    """One transition of history. by: a person, or "design" for a rule of the house."""

    at: str
    element: str
    condition: str
    event: str
    before: str
    after: str
    severity: Severity
    metric: str
    value: float | None
    limit: float | None
    by: str
    occurrence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmHistory:
    """Newest first, at most `limit`."""

    status: Literal["success"]
    lines: list[LineTold]
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTold:
    """Who did what, when and why; before and after in words."""

    at: str
    who: str
    action: str
    element: str
    condition: str
    why: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Newest first, at most `limit`."""

    status: Literal["success"]
    entries: list[AuditTold]
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTold:
    """An alarm after an action."""

    element: str
    condition: str
    state: str
    state_words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What was done and written down. acknowledge leaves out what asks for nothing."""

    status: Literal["success"]
    action: AlarmAct
    who: str
    done: list[StateTold]
    timestamp: float
