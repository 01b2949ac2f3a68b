"""What the twin says of the next minutes of a pack, and how such words came true.

A prediction is published on `pulsebms/{site}/{device}/prediction` (JSON) and kept; when its time
has come, what was measured is put beside it. It is scored only where the current did what the
prediction took for granted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from core.fleet.messages import Id, Words

VERSION = 1
KEPT_C_RATE = 0.05
"""So far the mean current may be from the plan, and the plan still counts as kept."""

Chemistry = Annotated[str, Meta(max_length=20)]
After = Annotated[float, Meta(gt=0, le=86_400)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No further fields, no other types."""


class Point(_Strict, frozen=True):
    """The mean cell, `after_s` after the prediction was made. low_v, high_v: the interval that is
    to hold 95 %, from how far the model was off in the window before; None where nothing was
    measured there. soc: of the parameter set's window, 0..1."""

    after_s: After
    cell_v: float
    low_v: float | None = None
    high_v: float | None = None
    soc: float | None = None


class Prediction(_Strict, frozen=True):
    """Of one pack. plan_a: the current that it takes for granted [A], + discharging; rated_ah: of
    the pack. failed: why there is none, in words. residual_...: of the window before
    (`core.twin.tasks.WindowAnswer`)."""

    v: int
    site: Id
    device: Id
    made_s: float
    plan_a: float
    rated_ah: float
    points: tuple[Point, ...] = ()
    parameter_set: Words = ""
    residual_rms_mv: float | None = None
    residual_mean_mv: float | None = None
    soc: float | None = None
    note: Words = ""
    failed: Words = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A point whose time has come and whose truth is not known."""

    number: int
    device: str
    made_at: datetime
    due_at: datetime
    plan_a: float
    rated_ah: float


@dataclass(frozen=True, slots=True)
class Met:
    """What a point met: the measured mean cell voltage, None where nothing was measured at its
    time, and whether the current kept the plan."""

    number: int
    truth_v: float | None
    kept: bool


@dataclass(frozen=True, slots=True)
class Score:
    """How predictions `after_s` ahead came true. count: those that are scored; waiting: whose time
    has not come; unkept: whose plan was not kept; unmeasured: whose truth nobody measured.
    rms_mv, mean_mv: measured less predicted. covered: share within their interval. None without
    one."""

    after_s: float
    count: int
    waiting: int
    unkept: int
    unmeasured: int
    rms_mv: float | None
    mean_mv: float | None
    covered: float | None


class PredictionStore(Protocol):
    """Several processes may read, one writes. Each method raises RetryLaterError."""

    def keep(self, predictions: Sequence[Prediction]) -> None:
        """Those that are no failures; one of the same pack and moment again is not kept."""
        ...

    def due(self, site: str, now: datetime) -> Sequence[Due]:
        """Points whose time has come."""
        ...

    def meet(self, met: Sequence[Met]) -> None: ...

    def newest(self, site: str, device: str) -> Prediction | None: ...

    def scores(self, site: str, since: datetime, device: str | None = None) -> Sequence[Score]:
        """By how far ahead, of one pack or of all."""
        ...

    def close(self) -> None: ...
