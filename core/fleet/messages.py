"""The messages of the fleet, schema version 1: strict models, msgpack or JSON (law 11).

Telemetry is columnar: an envelope that the outbox numbers, and a body that never changes once it
is made. Columns over cells are little-endian float32 as bytes (base64 in JSON) or, in JSON, lists
with null for missing. Times are seconds since 1970, UTC. Signs: law 1, + is discharging.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
import numpy as np
from msgspec import Meta

from core.errors import RequestError
from core.fleet.rejections import RejectedError, Rejection
from core.safety.bands import INFO, TRIP, MissingCell, PackCondition
from core.safety.derating import LIMITS, WAYS, LimitName, Way
from core.safety.latency import BOUNDS_S
from core.topology import FloatArray
from core.turned_away import MOST_TOLD, Reason

VERSION = 1
MOST_BYTES = 256 * 1024
MOST_CELLS = 4096
MOST_SMALL_BYTES = 64 * 1024
MOST_COMMAND_BYTES = 160 * 1024
MOST_POLICY_BYTES = 100_000
"""As a file; a command brings it in base64."""
MOST_SEQUENCE = 2 ** 53
MOST_QUOTED = 1000
LONGEST_SILENCE_S = 86_400.0
LATEST_S = 4e9
"""Of a time that is shown [s since 1970]."""

Id = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}\Z")]
StreamId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
CommandId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Sequence = Annotated[int, Meta(ge=1, le=MOST_SEQUENCE)]
Mark = Annotated[int, Meta(ge=0, le=MOST_SEQUENCE)]
Words = Annotated[str, Meta(max_length=200)]
Decisions = Annotated[tuple[Mark, ...], Meta(min_length=len(BOUNDS_S) + 1,
                                             max_length=len(BOUNDS_S) + 1)]
Column = bytes | list[float | None]
CellNumber = Annotated[int, Meta(ge=1, le=MOST_CELLS)]
"""Counted from 1 within its pack."""
SafetyState = Literal["normal", "derate", "zero", "opening", "latched", "unguarded"]
TRIPPED: frozenset[SafetyState] = frozenset({"zero", "opening", "latched"})
ConditionName = Literal[PackCondition, MissingCell, "contactor_open", "contactor_welded",
                        "short_circuit", "cooling_failed"]
CONDITIONS: tuple[ConditionName, ...] = get_args(ConditionName)
MOST_CONDITIONS = TRIP * len(CONDITIONS)
"""Each once a tier."""

CELL_BOUNDS: Mapping[str, tuple[float, float]] = {
    "voltage_v": (-1.0, 10.0),
    "temperature_c": (-60.0, 200.0),
    "soc_pct": (-20.0, 120.0),
}
"""Columns over cells and what no cell can exceed."""
PACK_BOUNDS: Mapping[str, tuple[float, float]] = {
    "power_kw": (-1e5, 1e5),
    "voltage_v": (0.0, MOST_CELLS * CELL_BOUNDS["voltage_v"][1]),
    "current_a": (-1e5, 1e5),
    "temperature_c": (-60.0, 200.0),
    "soc_pct": (0.0, 100.0),
    "soh_pct": (0.0, 110.0),
    "allocation_kw": (-1e5, 1e5),
    "charge_limit_a": (0.0, 1e5),
    "discharge_limit_a": (0.0, 1e5),
    "decision_us": (0.0, 1e9),
}


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True,
              omit_defaults=True):
    """No further fields, no other types. What stands at its default is not sent, so that a field
    that is new here troubles a program of before only where it is used."""


class PartialLimit(_Strict, frozen=True):
    """One of the limits that make what a pack allows, below its reference current: the most that
    it allows one way [A], and why. cell: None for no cell."""

    way: Way
    limit: LimitName
    amps: float
    why: Annotated[str, Meta(min_length=1, max_length=120)]
    cell: CellNumber | None = None


class Condition(_Strict, frozen=True):
    """What is wrong with a pack now and no column tells: the limits of cells are the centre's to
    judge. tier: 1 info, 2 warning, 3 trip. cells: where values of cells are missing, of which.
    value, limit: of the pack, in A, V, K or %; None where the condition has none."""

    condition: ConditionName
    tier: Annotated[int, Meta(ge=INFO, le=TRIP)]
    cells: Annotated[tuple[CellNumber, ...], Meta(max_length=MOST_CELLS)] = ()
    value: float | None = None
    limit: float | None = None


class Body(_Strict, frozen=True):
    """One second of a pack. None = missing (law 4). samples: how many made it. decision_us: the
    longest safety decision of that second [us]. limit_reason: why the limits are what they are;
    partial_limits: all that are near, each once a way. conditions: all that hold as the body is
    made, each once, those of cells once a cell."""

    time_s: float
    samples: Annotated[int, Meta(ge=0, le=100_000)]
    safety: SafetyState
    cells: dict[str, Column]
    power_kw: float | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    temperature_c: float | None = None
    soc_pct: float | None = None
    soh_pct: float | None = None
    allocation_kw: float | None = None
    charge_limit_a: float | None = None
    discharge_limit_a: float | None = None
    decision_us: float | None = None
    limit_reason: Words = ""
    partial_limits: Annotated[tuple[PartialLimit, ...],
                              Meta(max_length=len(WAYS) * len(LIMITS))] = ()
    conditions: Annotated[tuple[Condition, ...], Meta(max_length=MOST_CONDITIONS)] = ()


class Envelope(_Strict, frozen=True):
    """seq: the outbox's number, rising by one. stream: one life of an outbox file; base: the
    number after which that life began. floor: the lowest number that may still come. sent_s: the
    device's clock when it sent."""

    v: int
    site: Id
    device: Id
    stream: StreamId
    base: Mark
    seq: Sequence
    floor: Sequence
    sent_s: float
    body: msgspec.Raw


class Ack(_Strict, frozen=True):
    """The ingest's own word: everything up to and with `high` is settled in stream `stream`.
    refused: a stream that is not taken: it must number anew from `high` + 1, or, where not
    `renumber`, it belongs to a second device with this id. why: for a person."""

    v: int
    stream: StreamId
    high: Mark
    refused: StreamId | None = None
    renumber: bool = True
    why: Words = ""


class Reply(_Strict, frozen=True):
    """A device's word on a command."""

    id: CommandId
    state: Literal["received", "executed", "refused", "expired"]
    reason: Words = ""


class RefusedTold(_Strict, frozen=True):
    """The last message that a program did not use: its beginning in printable letters."""

    reason: Rejection
    topic: Annotated[str, Meta(max_length=MOST_QUOTED)]
    words: Annotated[str, Meta(max_length=MOST_QUOTED)]
    payload: Annotated[str, Meta(max_length=MOST_QUOTED)]


class Status(_Strict, frozen=True):
    """state: "offline" is the last will, of all devices of the same `process` where that is named
    after this device (`topics.process_of`), else of this device alone: one connection has one
    will. pending: rows in the outbox; dropped: rows that it gave up since it was made. cells:
    how many the pack has. policy: version of the learnt policy that steers it while the centre is
    out of reach, "" for none, None where it does not say; policy_before: which one a roll-back
    brings back, "" for none, None where there is nothing to go back to. decisions: how many safety
    decisions of its process took how long, by `core.safety.latency.BOUNDS_S`, since that began;
    one device of each process tells them. worst_decision_us: the longest of them [us]. real_time:
    whether they are made with real-time priority. opened_after_s: from the last trip or stop to
    open contactors [s]. rejected: what this device did not use of what came to it, and could not
    send, since its process began; one device of each process tells what names none; last_rejected:
    the last message among them, and when that was. silent_s:
    so long without a word of the centre, and it helps itself [s]. lease_s: of the order in force,
    0 where that has none. unkept: its disk takes nothing, so that a restart forgets what its safety
    did last. None where it does not say, and of a device that knows no leases."""

    v: int
    site: Id
    device: Id
    state: Literal["online", "offline", "conflict"]
    process: Words = ""
    time_s: float | None = None
    firmware: Words = ""
    chemistry: Words = ""
    cells: Annotated[int, Meta(ge=0, le=MOST_CELLS)] = 0
    capacity_kwh: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    pending: Mark = 0
    dropped: Mark = 0
    replies: Annotated[tuple[Reply, ...], Meta(max_length=64)] = ()
    policy: Words | None = None
    policy_before: Words | None = None
    decisions: Decisions | None = None
    worst_decision_us: Annotated[float, Meta(ge=0)] | None = None
    real_time: bool | None = None
    opened_after_s: Annotated[float, Meta(ge=0)] | None = None
    rejected: dict[Rejection, Mark] | None = None
    last_rejected: RefusedTold | None = None
    last_rejected_s: Annotated[float, Meta(ge=0, le=LATEST_S)] | None = None
    silent_s: Annotated[float, Meta(gt=0, le=LONGEST_SILENCE_S)] | None = None
    lease_s: Annotated[float, Meta(ge=0, le=LATEST_S)] | None = None
    unkept: bool | None = None


class IngestReport(_Strict, frozen=True):
    """What the ingest tells of itself each few seconds, counted since it started. state "gone":
    its last will, or its last word. given_up: numbers that their devices gave up; settled_unused:
    messages that nothing can mend; overflow: messages of QoS 0 that it had no room for; waiting:
    messages that it has not looked at. lag: from the device's sending to the commit [s], None
    before the first. trouble: why it cannot store now. behind: of several stores, which lack what
    waits for them on the ingest's disk."""

    v: int
    site: Id
    state: Literal["running", "gone"]
    received: Mark = 0
    stored: Mark = 0
    duplicate: Mark = 0
    late: Mark = 0
    given_up: Mark = 0
    settled_unused: Mark = 0
    commits: Mark = 0
    acks: Mark = 0
    status: Mark = 0
    overflow: Mark = 0
    forgotten: Mark = 0
    waiting: Mark = 0
    lag_p50_s: Annotated[float, Meta(ge=0)] | None = None
    lag_p95_s: Annotated[float, Meta(ge=0)] | None = None
    rejected: dict[Rejection, Mark] = {}
    last_rejected: RefusedTold | None = None
    last_rejected_s: Annotated[float, Meta(ge=0, le=LATEST_S)] | None = None
    trouble: Words = ""
    behind: Words = ""


class TurnedTold(_Strict, frozen=True):
    """One that a gateway turned away, as `core.turned_away.Turned`."""

    at_s: Annotated[float, Meta(ge=0, le=LATEST_S)]
    reason: Reason
    asked: Annotated[str, Meta(max_length=MOST_QUOTED)]
    who: Annotated[str, Meta(max_length=MOST_QUOTED)]


class DoorReport(_Strict, frozen=True):
    """Whom a gateway turned away since it started. door: its machine and port. newest: first."""

    v: int
    site: Id
    door: Annotated[str, Meta(min_length=1, max_length=80)]
    counts: dict[Reason, Mark] = {}
    newest: Annotated[tuple[TurnedTold, ...], Meta(max_length=MOST_TOLD)] = ()


class Command(_Strict, frozen=True):
    """issuer: who asked. It may be acted on until issued_s + ttl_s. power_kw, hold_s: of
    "override", which bounds the magnitude of the power for so long. policy: the signed file of
    "deploy"."""

    v: int
    id: CommandId
    issuer: Annotated[str, Meta(min_length=1, max_length=80)]
    issued_s: float
    ttl_s: Annotated[float, Meta(gt=0, le=3600)]
    action: Literal["ping", "override", "release", "controlled_shutdown", "emergency_stop", "reset",
                    "deploy", "roll_back"]
    power_kw: float | None = None
    hold_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    policy: Annotated[bytes, Meta(max_length=MOST_POLICY_BYTES)] | None = None


class Allocation(_Strict, frozen=True):
    """Power of each device [kW], for valid_s from when a device receives it, whose clock may be
    off, less what the broker kept it, which its expiry tells. issued_s: rises from one to the next
    of a sender. lease_s: since when that holds the site: a device does not take it while an order
    of a later lease is valid. None where nobody says, which every device takes."""

    v: int
    site: Id
    issued_s: float
    valid_s: Annotated[float, Meta(gt=0, le=86_400)]
    power_kw: dict[Id, float]
    lease_s: Annotated[float, Meta(gt=0, le=LATEST_S)] | None = None


MOST_OF_ONE = 500
"""Packs of one allocation."""


def allocations(site: str, power_kw: Mapping[str, float], issued_s: float,
                valid_s: float, lease_s: float | None = None) -> list[Allocation]:
    """Messages for any number of devices; raises RequestError for what the schema does not
    know."""
    wrong = next((device for device, power in power_kw.items() if not np.isfinite(power)), None)
    if wrong is not None:
        raise RequestError(f"{wrong[:40]}: {power_kw[wrong]} kW is no power; give a finite number")
    devices = list(power_kw)
    return [Allocation(v=VERSION, site=site, issued_s=issued_s, valid_s=valid_s,
                       power_kw={device: power_kw[device]
                                 for device in devices[first:first + MOST_OF_ONE]},
                       lease_s=lease_s)
            for first in range(0, len(devices), MOST_OF_ONE)]


class _Versioned(msgspec.Struct):
    v: int


T = TypeVar("T")
Small = TypeVar("Small", Ack, Status, Command, Allocation, IngestReport, DoorReport)
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: dict[tuple[type[Any], bool], Any] = {}
_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


def packed(message: msgspec.Struct) -> bytes:
    """msgpack."""
    return _ENCODER.encode(message)


def said(message: msgspec.Struct) -> bytes:
    """JSON, for what a person may want to read on the wire."""
    return msgspec.json.encode(message)


def decode(payload: bytes | msgspec.Raw, model: type[T], json: bool) -> T:
    """Strictly; raises RejectedError (NOT_DECODABLE or WRONG_FORM)."""
    decoder = _DECODERS.get((model, json))
    if decoder is None:
        kind: Any = msgspec.json.Decoder if json else msgspec.msgpack.Decoder
        decoder = _DECODERS[model, json] = kind(model)
    try:
        found: T = decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise RejectedError(Rejection.WRONG_FORM, str(error)[:150]) from error
    except _BROKEN as error:
        raise RejectedError(Rejection.NOT_DECODABLE, str(error)[:150]) from error
    return found


def is_json(payload: bytes) -> bool:
    """No msgpack map begins with this byte."""
    return payload[:1] == b"{"


def decode_versioned(payload: bytes, model: type[T]) -> T:
    """`decode`, and FUTURE_VERSION for a version that this program does not know."""
    json = is_json(payload)
    try:
        found = decode(payload, model, json)
    except RejectedError as error:
        if error.reason is Rejection.WRONG_FORM:
            check_version(decode(payload, _Versioned, json).v)
        raise
    check_version(getattr(found, "v", 0))
    return found


def check_version(version: int) -> None:
    if version != VERSION:
        raise RejectedError(Rejection.FUTURE_VERSION, f"version {version}, known: {VERSION}")


def read_small(payload: bytes, model: type[Small]) -> Small:
    """A message other than telemetry; raises RejectedError. Numbers must be finite."""
    most = MOST_COMMAND_BYTES if model is Command else MOST_SMALL_BYTES
    if len(payload) > most:
        raise RejectedError(Rejection.TOO_LARGE, f"{len(payload)} bytes of {most}")
    found = decode_versioned(payload, model)
    numbers = [getattr(found, name) for name in found.__struct_fields__]
    if isinstance(found, Allocation):
        numbers += list(found.power_kw.values())
    for number in numbers:
        if isinstance(number, float) and not np.isfinite(number):
            raise RejectedError(Rejection.NOT_FINITE)
        if isinstance(number, float) and abs(number) > 1e12:
            raise RejectedError(Rejection.ABSURD, f"{number:g}")
    return found


def column(values: FloatArray) -> bytes:
    """A column over cells as it is sent; NaN = missing."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()
