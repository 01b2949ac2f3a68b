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
import numpy as np
from msgspec import Meta

from core.fleet.messages import Id, Words
from core.twin.tasks import WindowAnswer, WindowResult, floats

VERSION = 1
AFTER_S = (300.0, 600.0, 900.0)
"""Moments of a prediction that are kept and scored."""
INTERVAL = 1.96
"""Standard deviations on either side that hold 95 %."""
LEAST_MV = 1.0
"""A residual below a sensor's resolution is no reason for a narrower interval."""
MOST_WORDS = 200
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


def prediction_of(result: WindowResult, answer: WindowAnswer, site: str, device: str,
                  rated_ah: float) -> Prediction:
    """What one pack's window says of the next minutes."""
    return Prediction(
        v=VERSION, site=site, device=device, made_s=result.time_s or 0.0,
        plan_a=answer.plan_a or 0.0, rated_ah=rated_ah, points=_points(answer),
        parameter_set=result.parameter_set[:MOST_WORDS], residual_rms_mv=answer.residual_rms_mv,
        residual_mean_mv=answer.residual_mean_mv, soc=answer.end_soc,
        note=answer.note[:MOST_WORDS], failed=answer.failed[:MOST_WORDS])


def _points(answer: WindowAnswer) -> tuple[Point, ...]:
    """With an interval as wide as the model was wrong in the window."""
    after, volts, socs = (floats(told) for told in (answer.ahead_s, answer.ahead_v,
                                                    answer.ahead_soc))
    known = np.isfinite(volts)
    if not known.any():
        return ()
    wide_v = None if answer.residual_rms_mv is None else \
        INTERVAL * max(LEAST_MV, answer.residual_rms_mv) / 1000.0
    found = []
    for at in (moment for moment in AFTER_S if moment <= after[known][-1]):
        cell_v = float(np.interp(at, after[known], volts[known]))
        found.append(Point(
            after_s=at, cell_v=cell_v, soc=float(np.interp(at, after[known], socs[known])),
            low_v=None if wide_v is None else cell_v - wide_v,
            high_v=None if wide_v is None else cell_v + wide_v))
    return tuple(found)


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
