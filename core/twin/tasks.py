"""What crosses between the app and the physics of `services/twin`: tasks, their progress and
their results, strict and as msgpack (law 11).

Everything is about one cell: the mean cell of a pack, or its worst. Columns are little-endian
float32 as bytes, NaN where a value is missing (law 4); moments are seconds since 1970, UTC.
Signs: law 1, + is discharging. A charge of 0..1 is of the parameter set's whole window.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from core.errors import RequestError
from core.topology import FloatArray

MOST_PACKS = 10_000
"""Of one window; each has its own words where it cannot be modelled."""
MOST_POINTS = 100_000
"""Of one column."""
MOST_BYTES = 256 * 1024 * 1024
"""Of a task or result on its way."""
MOST_TEXT = 8 * 1024 * 1024
"""Letters of a file that a person gives."""
MOST_BPX = 1024 * 1024
"""Of a parameter file: those that are published have some ten thousand."""
LONGEST_HOLD = 0.9
LEAST_HOLD = 0.1
HOLD = 0.3
"""Part of a record that judges a calibration."""
FITTED = ("negative_active", "positive_active", "contact_ohm")
"""What a calibration may fit: active material left in each electrode as a share of the parameter
set's own, and a resistance of contacts [ohm, of the parameter set's cell]."""

Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Pack = Annotated[str, Meta(min_length=1, max_length=200)]
Positive = Annotated[float, Meta(gt=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]
COLDEST_C, WARMEST_C = -60.0, 200.0
Celsius = Annotated[float, Meta(ge=COLDEST_C, le=WARMEST_C)]
Chemistry = Literal["LFP", "NMC", "LCO"]
Model = Literal["SPM", "SPMe"]
FileKind = Literal["bpx", "csv"]
Bpx = Annotated[str, Meta(max_length=MOST_BPX)]
Origin = Literal["own", "grafted"]
"""Of degradation parameters: the parameter set's own, or borrowed from another chemistry's and
never fitted to this one. No calibration fits them."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No further fields, no other types."""


# -- tasks


class WindowPack(_Strict, frozen=True):
    """One pack's last minutes, from `time_s - window_s` on.

    capacity_ah: what its cell holds now between the parameter set's limits; a current is passed to
    the model as a C-rate of it. soc: at the start of the window; start_v: open-circuit voltage
    there, which goes before `soc` where it is known. current_a, voltage_v: columns, one value
    each `step_s`, the first at the start; a missing current is that of its neighbours. plan_a:
    current after the window, None = as its last minute. temperature_c: measured on the mean of the
    window, which cools the modelled cell, None = 25; start_c: the first that was measured, by which
    the cell begins, None = the same. fitted: what a calibration found of it (`FITTED`).
    """

    pack: Pack
    capacity_ah: Positive
    soc: Share
    current_a: bytes
    voltage_v: bytes
    start_v: float | None = None
    temperature_c: Celsius | None = None
    start_c: Celsius | None = None
    plan_a: float | None = None
    fitted: dict[str, float] = {}


class WindowTask(_Strict, frozen=True, tag="window"):
    """All packs of one parameter set over the same window in one batch. time_s: its end.
    horizon_s: how far to predict after it. bpx: a BPX parameter file instead of the chemistry's
    set."""

    id: Id
    chemistry: Chemistry
    time_s: float
    packs: Annotated[tuple[WindowPack, ...], Meta(min_length=1, max_length=MOST_PACKS)]
    step_s: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    horizon_s: Annotated[float, Meta(ge=0, le=86_400)] = 900.0
    model: Model = "SPM"
    bpx: Bpx = ""


class Usage(_Strict, frozen=True):
    """A usage class: what one day looks like to a cell. rest_soc: where it waits; depth: share of
    the window that a cycle takes; a cycle a day."""

    discharge_c: Annotated[float, Meta(ge=0.02, le=2)] = 0.25
    charge_c: Annotated[float, Meta(ge=0.02, le=1)] = 0.25
    depth: Annotated[float, Meta(ge=0.05, le=1)] = 0.75
    temperature_c: Annotated[float, Meta(ge=0, le=45)] = 25.0
    rest_soc: Annotated[float, Meta(ge=0.3, le=1)] = 0.9


class ForecastTask(_Strict, frozen=True, tag="forecast"):
    """Fade of a cell under one usage. jump: K, how many days one solved day stands for; check:
    also solve every day, which takes ten times as long, and tell the error of the jump;
    check_days: only the first so many, 0 = all. parameters: of a calibration (`FITTED`), by which
    the cell begins."""

    id: Id
    chemistry: Chemistry
    usage: Usage = Usage()
    days: Annotated[int, Meta(ge=10, le=7300)] = 365
    jump: Annotated[int, Meta(ge=1, le=60)] = 10
    check: bool = False
    check_days: Annotated[int, Meta(ge=0, le=7300)] = 0
    parameters: dict[str, float] = {}


class CalibrationTask(_Strict, frozen=True, tag="calibration"):
    """Fit a cell to its own record. Columns as in `WindowPack`; hold: share of the record, its
    end, that is not fitted and judges. bpx: a BPX parameter file (JSON) instead of the chemistry's
    set. fitted: of `FITTED`."""

    id: Id
    pack: Pack
    chemistry: Chemistry
    capacity_ah: Positive
    soc: Share
    step_s: Annotated[float, Meta(gt=0, le=3600)]
    current_a: bytes
    voltage_v: bytes
    start_v: float | None = None
    temperature_c: Celsius | None = None
    hold: Annotated[float, Meta(ge=LEAST_HOLD, le=LONGEST_HOLD)] = HOLD
    fitted: tuple[str, ...] = FITTED
    bpx: Bpx = ""


def last_seen(points: int, hold: float) -> int:
    """Place of the last point that is fitted, before the part that judges."""
    return math.ceil((1.0 - hold) * points) - 1


class FileTask(_Strict, frozen=True, tag="file"):
    """Read what a person gave: a BPX parameter file, which is also tried, or a CSV of a cell's
    own record."""

    id: Id
    kind: FileKind
    text: Annotated[str, Meta(max_length=MOST_TEXT)]


Task = WindowTask | ForecastTask | CalibrationTask | FileTask


# -- results


class Progress(_Strict, frozen=True, tag="progress"):
    """How far a task is. share: of its work; words: what it does now."""

    id: Id
    share: Share
    words: str = ""


class WindowAnswer(_Strict, frozen=True):
    """One pack. failed: why there is no answer, in words, "" where there is one.

    voltage_v: modelled, at the task's points (column). residual_rms_mv, residual_mean_mv,
    residual_most_mv: measured less modelled over the window, root mean square, mean, and the
    largest by magnitude; None without a measured point. states: columns of the model's inside at
    the same points, by name with the unit. ahead_s, ahead_v, ahead_soc: columns of the
    prediction, seconds after the window's end, under a current of plan_a. end_soc: at the window's
    end. note: what limits the answer, for a person.
    """

    pack: Pack
    failed: str = ""
    voltage_v: bytes = b""
    residual_rms_mv: float | None = None
    residual_mean_mv: float | None = None
    residual_most_mv: float | None = None
    end_soc: float | None = None
    plan_a: float | None = None
    states: dict[str, bytes] = {}
    ahead_s: bytes = b""
    ahead_v: bytes = b""
    ahead_soc: bytes = b""
    note: str = ""

    @property
    def off_v(self) -> float:
        """By how much what is ahead is told otherwise than modelled [V]: what the window was off on
        the mean; 0 where nothing was measured."""
        return 0.0 if self.residual_mean_mv is None else self.residual_mean_mv / 1000.0


class WindowResult(_Strict, frozen=True, tag="window_result"):
    """failed: why no pack has an answer. parameter_set: name and what it is; solve_ms: of the batch
    alone, all packs together, processor time, once the model is built; cpu_s: with all before."""

    id: Id
    failed: str = ""
    chemistry: Chemistry | None = None
    model: Model | None = None
    time_s: float | None = None
    step_s: float | None = None
    parameter_set: str = ""
    answers: tuple[WindowAnswer, ...] = ()
    solve_ms: float | None = None
    cpu_s: float | None = None


class ForecastResult(_Strict, frozen=True, tag="forecast_result"):
    """Columns over the days solved: days, cycles (equivalent full), capacity (share of the new
    cell's), the cyclable lithium that was lost (sei, plating; as a share of the new cell's
    capacity), and the active material that each electrode lost (lam_negative, lam_positive; as a
    share of what it had).

    loss_pct: of capacity at the end. checked_days: so many of the first were solved each, too;
    there this run lost checked_loss_pct and that one full_loss_pct, and error_pct is how far the
    first is off, as a share of the second; None where it was not checked. dominates: in words,
    what takes most. origin: of the ageing parameters; calibrated: the cell begins with what a
    calibration found. cached: this very run was made before (`made_s`)."""

    id: Id
    failed: str = ""
    parameter_set: str = ""
    origin: Origin | None = None
    days: bytes = b""
    cycles: bytes = b""
    capacity: bytes = b""
    sei: bytes = b""
    plating: bytes = b""
    lam_negative: bytes = b""
    lam_positive: bytes = b""
    loss_pct: float | None = None
    full_loss_pct: float | None = None
    error_pct: float | None = None
    checked_days: int | None = None
    checked_loss_pct: float | None = None
    calibrated: bool = False
    dominates: str = ""
    solved_days: int = 0
    jump: int = 0
    cpu_s: float | None = None
    made_s: float | None = None
    cached: bool = False
    note: str = ""


class Fitted(_Strict, frozen=True):
    """One parameter: before, after, and its 95 % interval; None where the record does not tell."""

    before: float
    after: float
    low: float | None = None
    high: float | None = None


class CalibrationResult(_Strict, frozen=True, tag="calibration_result"):
    """rms_before_mv, rms_after_mv: of what was fitted; unseen_before_mv, unseen_after_mv: of what
    was not. accepted: better on the unseen. words: why, or why not. before_v, after_v: columns at
    the task's points. digest: of the BPX file that was fitted (`core.twin.kept`)."""

    id: Id
    failed: str = ""
    pack: str = ""
    digest: str = ""
    accepted: bool = False
    words: str = ""
    parameter_set: str = ""
    parameters: dict[str, Fitted] = {}
    rms_before_mv: float | None = None
    rms_after_mv: float | None = None
    unseen_before_mv: float | None = None
    unseen_after_mv: float | None = None
    before_v: bytes = b""
    after_v: bytes = b""
    solves: int = 0
    cpu_s: float | None = None


class FileResult(_Strict, frozen=True, tag="file_result"):
    """Of a BPX file title, and its cell's limits low_v, high_v and capacity_ah. Of a CSV step_s,
    columns on its even grid, and the mean temperature_c. note: what was done to it, for a
    person."""

    id: Id
    failed: str = ""
    kind: FileKind = "bpx"
    title: str = ""
    low_v: float | None = None
    high_v: float | None = None
    capacity_ah: float | None = None
    step_s: float | None = None
    current_a: bytes = b""
    voltage_v: bytes = b""
    temperature_c: float | None = None
    note: str = ""


Result = WindowResult | ForecastResult | CalibrationResult | FileResult
Told = Progress | WindowResult | ForecastResult | CalibrationResult | FileResult
"""What a child says."""

_RESULTS: Mapping[type[Task], type[Result]] = {
    WindowTask: WindowResult, ForecastTask: ForecastResult, CalibrationTask: CalibrationResult,
    FileTask: FileResult,
}
_ENCODER = msgspec.msgpack.Encoder()
_TASKS = msgspec.msgpack.Decoder(WindowTask | ForecastTask | CalibrationTask | FileTask)
_TOLD = msgspec.msgpack.Decoder(Progress | WindowResult | ForecastResult | CalibrationResult
                                | FileResult)


def new_id() -> str:
    """Of a task."""
    return secrets.token_hex(16)


def failure(task: Task, words: str) -> Result:
    """The result of a task that came to nothing."""
    if isinstance(task, CalibrationTask):
        return CalibrationResult(id=task.id, pack=task.pack, failed=words)
    return _RESULTS[type(task)](id=task.id, failed=words)


def packed(told: Task | Told) -> bytes:
    """msgpack."""
    return _ENCODER.encode(told)


def read_task(payload: bytes) -> Task:
    """Strictly; raises RequestError."""
    try:
        task: Task = _TASKS.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RequestError(f"this is no task of the twin: {str(error)[:150]}") from error
    check_task(task)
    return task


def read_told(payload: bytes) -> Told:
    """What a child said, strictly; raises RequestError."""
    try:
        told: Told = _TOLD.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RequestError(f"this is no result of the twin: {str(error)[:150]}") from error
    return told


def column(values: FloatArray | Iterable[float | None]) -> bytes:
    """As it crosses; None and NaN = missing."""
    if not isinstance(values, np.ndarray):
        values = np.array([math.nan if value is None else value for value in values])
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def floats(told: bytes) -> FloatArray:
    """float32[points] of a column; raises RequestError for what is none."""
    if len(told) % 4:
        raise RequestError(f"a column of {len(told)} bytes is not made of float32")
    return np.frombuffer(told, dtype="<f4")


def check_task(task: Task) -> None:
    """Raises RequestError that says what is wrong with a task that is well formed."""
    if isinstance(task, WindowTask):
        names = [pack.pack for pack in task.packs]
        if len(set(names)) < len(names):
            raise RequestError("a window holds each pack once")
        _check_numbers("the window", task.time_s, task.step_s, task.horizon_s)
        lengths = {_check_columns(pack.pack, pack.current_a, pack.voltage_v)
                   for pack in task.packs}
        if len(lengths) > 1:
            raise RequestError(f"columns of one window are of one length, not {sorted(lengths)}")
        for pack in task.packs:
            _check_numbers(pack.pack, pack.capacity_ah, pack.soc, pack.start_v, pack.plan_a)
            _check_parameters(pack.fitted)
    elif isinstance(task, ForecastTask):
        _check_parameters(task.parameters)
    elif isinstance(task, FileTask):
        if task.kind == "bpx" and len(task.text) > MOST_BPX:
            raise RequestError(f"a parameter file has at most {MOST_BPX // 1024} KiB")
    else:
        _check_columns(task.pack, task.current_a, task.voltage_v)
        _check_numbers(task.pack, task.capacity_ah, task.soc, task.start_v)
        _check_fitted(task.fitted)


def _check_fitted(names: tuple[str, ...]) -> None:
    if not names or len(set(names)) < len(names) or set(names) - set(FITTED):
        raise RequestError(f"what is fitted is one or more of {', '.join(FITTED)}, each once")


def _check_parameters(parameters: Mapping[str, float]) -> None:
    unknown = set(parameters) - set(FITTED)
    if unknown:
        raise RequestError(f"{sorted(unknown)[0][:60]!r} is no calibrated parameter; they are "
                           f"{', '.join(FITTED)}")
    for name, value in parameters.items():
        least = -math.inf if name != "contact_ohm" else 0.0
        if not math.isfinite(value) or not least <= value <= 10.0 or \
                (name != "contact_ohm" and value <= 0.05):
            raise RequestError(f"{name} = {value:g} is no possible value")


def _check_numbers(what: str, *numbers: float | None) -> None:
    if any(number is not None and not math.isfinite(number) for number in numbers):
        raise RequestError(f"{what}: a number of the task is not finite")


def _check_columns(what: str, current_a: bytes, voltage_v: bytes) -> int:
    """How many points they have."""
    current, voltage = floats(current_a), floats(voltage_v)
    if current.size != voltage.size or not 2 <= current.size <= MOST_POINTS:
        raise RequestError(f"{what}: current and voltage have the same number of points, 2 to "
                           f"{MOST_POINTS}, not {current.size} and {voltage.size}")
    if np.isinf(current).any() or np.isinf(voltage).any():
        raise RequestError(f"{what}: a column holds what is infinite")
    return current.size
