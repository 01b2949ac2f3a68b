"""Telemetry out of bytes that anybody may have sent: all of it is checked, or it is refused. And by
the same bounds what a device may tell of its sensors, so that none of them costs it the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from core.errors import RequestError
from core.fleet.conditions import of_cells
from core.fleet.messages import (
    CELL_BOUNDS,
    MOST_BYTES,
    MOST_CELLS,
    PACK_BOUNDS,
    Body,
    Column,
    Condition,
    Envelope,
    PartialLimit,
    decode,
    decode_versioned,
    is_json,
    packed,
)
from core.fleet.rejections import FINAL, RejectedError, Rejection
from core.fleet.topics import Address, check_device
from core.topology import FloatArray

CLOCK_TOLERANCE_S = 300.0
EARLIEST_S = 1_577_836_800.0
"""2020-01-01: no fleet spoke this schema before, and clocks that nobody has set begin before: at
1970, 1980 (GPS) or 2000 [s since 1970]."""
MOST_OF_CONDITION = 1e5
"""No value or limit of a pack is beyond it, in A, V, K or %."""


def possible_cells(name: str, values: FloatArray) -> FloatArray:
    """A column as it may be told, float32[cells]: NaN for what no cell can have."""
    least, most = CELL_BOUNDS[name]
    with np.errstate(invalid="ignore"):  # a signalling NaN is a missing cell too
        return np.where((values >= least) & (values <= most), values, np.float32(np.nan))


def possible(name: str, value: float | None) -> float | None:
    """A value of a pack as it may be told: None for what no pack can have."""
    return _between(value, *PACK_BOUNDS[name])


def possible_condition(told: Condition) -> Condition:
    """It holds whatever its value and limit are; those are None where no pack can have them."""
    return replace(told, value=_between(told.value, -MOST_OF_CONDITION, MOST_OF_CONDITION),
                   limit=_between(told.limit, -MOST_OF_CONDITION, MOST_OF_CONDITION))


def _between(value: float | None, least: float, most: float) -> float | None:
    return value if value is not None and least <= value <= most else None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One message that may be stored. raw: the body as it came, msgpack; time_us: when the
    second ended, by the device's clock [us since 1970]. cells: float32[cells] by name."""

    envelope: Envelope
    body: Body
    raw: bytes
    cells: Mapping[str, FloatArray]

    @property
    def time_us(self) -> int:
        return round(self.body.time_s * 1e6)


@dataclass(frozen=True, slots=True)
class Refused:
    """One message that is not used. settles: its envelope, where to send it again cannot help."""

    reason: Rejection
    words: str
    settles: Envelope | None = None
    envelope: Envelope | None = None


def read_telemetry(payload: bytes, address: Address, now_s: float,
                   queued_s: float = 0.0) -> Telemetry | Refused:
    """Never raises. now_s: the centre's clock; queued_s: how long the broker kept it [s]."""
    envelope: Envelope | None = None
    try:
        if len(payload) > MOST_BYTES:
            raise RejectedError(Rejection.TOO_LARGE, f"{len(payload)} bytes of {MOST_BYTES}")
        envelope = decode_versioned(payload, Envelope)
        _check_sender(envelope, address)
        _check_clock(envelope, now_s, queued_s)
    except RejectedError as error:
        return Refused(error.reason, str(error), None, envelope)
    try:
        return _whole(envelope, is_json(payload))
    except RejectedError as error:
        final = error.reason in FINAL or error.reason is Rejection.NOT_DECODABLE
        return Refused(error.reason, str(error), envelope if final else None, envelope)


def _check_sender(envelope: Envelope, address: Address) -> None:
    try:
        check_device(envelope.device)
    except RequestError as error:
        raise RejectedError(Rejection.WRONG_SENDER, str(error)) from error
    if (envelope.site, envelope.device) != (address.site, address.device):
        raise RejectedError(Rejection.WRONG_SENDER, f"{envelope.site}/{envelope.device}")
    if not envelope.base < envelope.seq or envelope.floor > envelope.seq:
        raise RejectedError(Rejection.SEQUENCE_BACKWARDS, f"number {envelope.seq}, base "
                            f"{envelope.base}, floor {envelope.floor}")


def _check_clock(envelope: Envelope, now_s: float, queued_s: float) -> None:
    if not math.isfinite(envelope.sent_s):
        raise RejectedError(Rejection.NOT_FINITE, "sent_s")
    off_s = envelope.sent_s + queued_s - now_s
    if abs(off_s) > CLOCK_TOLERANCE_S:
        raise RejectedError(Rejection.CLOCK_OFF, f"by {off_s:+.0f} s")


def read_stored(raw: bytes, time_us: int, cells: int) -> tuple[Body, Mapping[str, FloatArray]]:
    """A body out of a store, with its columns: what a disk did to it is found here. time_us: that
    it is stored under; cells: that its pack has. Raises RejectedError."""
    body = decode(raw, Body, json=False)
    columns = _columns(body)
    if round(body.time_s * 1e6) != time_us:
        raise RejectedError(Rejection.ABSURD, "time_s is not that of its row")
    wrong = {values.size for values in columns.values()} - {cells}
    if wrong:
        raise RejectedError(Rejection.WRONG_FORM, f"{max(wrong)} cells, the configuration says "
                            f"{cells}")
    return body, columns


def _whole(envelope: Envelope, json: bool) -> Telemetry:
    body = decode(envelope.body, Body, json)
    cells = _columns(body)
    if body.time_s < EARLIEST_S:
        raise RejectedError(Rejection.ABSURD, "time_s is before 2020, as of a clock never set")
    if body.time_s > envelope.sent_s + CLOCK_TOLERANCE_S:
        raise RejectedError(Rejection.ABSURD, "time_s is after it was sent")
    return Telemetry(envelope, body, packed(body) if json else bytes(envelope.body), cells)


def _columns(body: Body) -> Mapping[str, FloatArray]:
    """All of a body is checked."""
    if not math.isfinite(body.time_s):
        raise RejectedError(Rejection.NOT_FINITE, "time_s")
    if not body.time_s > 0:
        raise RejectedError(Rejection.ABSURD, "time_s is before 1970")
    _check_pack(body)
    columns = {name: _column(name, values) for name, values in body.cells.items()}
    lengths = {values.size for values in columns.values()}
    if len(lengths) > 1:
        raise RejectedError(Rejection.WRONG_FORM, "columns of different lengths")
    _check_limits(body.partial_limits, max(lengths, default=MOST_CELLS))
    _check_conditions(body.conditions, max(lengths, default=0))
    return columns


def _check_pack(body: Body) -> None:
    for name, (least, most) in PACK_BOUNDS.items():
        value = getattr(body, name)
        if value is not None:
            _check_number(name, value, least, most)


def _check_number(name: str, value: float, least: float, most: float) -> None:
    if not math.isfinite(value):
        raise RejectedError(Rejection.NOT_FINITE, name)
    if not least <= value <= most:
        raise RejectedError(Rejection.ABSURD, f"{name} = {value:g}")


def _check_limits(limits: Sequence[PartialLimit], cells: int) -> None:
    for one in limits:
        _check_number(f"{one.way} {one.limit}", one.amps, *PACK_BOUNDS[f"{one.way}_limit_a"])
        if one.cell is not None and one.cell > cells:
            raise RejectedError(Rejection.ABSURD, f"a limit by cell {one.cell} of {cells}")
    if len({(one.way, one.limit) for one in limits}) < len(limits):
        raise RejectedError(Rejection.WRONG_FORM, "a limit is told twice")


def _check_conditions(told: Sequence[Condition], cells: int) -> None:
    """Of cells only those that the columns have."""
    for one in told:
        for number in (one.value, one.limit):
            if number is not None:
                _check_number(one.condition, number, -MOST_OF_CONDITION, MOST_OF_CONDITION)
        if of_cells(one.condition) != bool(one.cells):
            raise RejectedError(Rejection.WRONG_FORM, f"{one.condition} of {len(one.cells)} cells")
        if max(one.cells, default=0) > cells:
            raise RejectedError(Rejection.ABSURD, f"{one.condition} of cell {max(one.cells)} of "
                                f"{cells}")
    places = [(one.condition, cell) for one in told for cell in one.cells or (0,)]
    if len(set(places)) < len(places):
        raise RejectedError(Rejection.WRONG_FORM, "a condition is told twice")


def _column(name: str, values: Column) -> FloatArray:
    """NaN is a missing cell; infinite is none."""
    if name not in CELL_BOUNDS:
        raise RejectedError(Rejection.WRONG_FORM, f"no column {name[:40]!r}")
    found = _array(name, values)
    if not found.size:
        return found
    least, most = CELL_BOUNDS[name]
    lowest, highest = float(np.fmin.reduce(found)), float(np.fmax.reduce(found))
    if math.isinf(lowest) or math.isinf(highest):
        raise RejectedError(Rejection.NOT_FINITE, name)
    if lowest < least or highest > most:
        raise RejectedError(Rejection.ABSURD, f"{name} from {lowest:g} to {highest:g}")
    return found


def _array(name: str, values: Column) -> FloatArray:
    if isinstance(values, list):
        wide = np.array([math.nan if value is None else value for value in values], np.float64)
        if wide.size and np.fmax.reduce(np.abs(wide)) > float(np.finfo(np.float32).max):
            raise RejectedError(Rejection.NOT_FINITE, name)
        found = wide.astype(np.float32)
    else:
        if len(values) % 4:
            raise RejectedError(Rejection.WRONG_FORM, f"{name}: {len(values)} bytes")
        found = np.frombuffer(values, dtype="<f4")
    if found.size > MOST_CELLS:
        raise RejectedError(Rejection.TOO_LARGE, f"{found.size} cells of {MOST_CELLS}")
    return found
