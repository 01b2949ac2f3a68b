"""What the twin says of the next minutes of a pack, and how such words came true.

A prediction is published on `pulsebms/{site}/{device}/prediction` (JSON) and kept; when its time
has come, what was measured is put beside it. It is scored only where the current did what the
prediction took for granted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec
import numpy as np
from msgspec import Meta

from core.fleet.messages import Id, Words
from core.twin.models import Floats
from core.twin.tasks import WindowAnswer, WindowResult, floats

VERSION = 1
AFTER_S = (300.0, 600.0, 900.0)
"""Moments of a prediction that are kept and scored."""
MOST_WORDS = 200
LEAST_V, RESIDUAL_SHARE = 0.002, 0.3
"""Of a spread: a sensor's resolution, and of the residual in the window."""
KEPT_C_RATE = 0.05
"""So far the current may be from the plan, on the mean of the time and at its end, and the plan
still counts as kept."""

Chemistry = Annotated[str, Meta(max_length=20)]
After = Annotated[float, Meta(gt=0, le=86_400)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No further fields, no other types."""


class Point(_Strict, frozen=True):
    """The mean cell, `after_s` after the prediction was made. low_v, high_v: the interval that is
    to hold 90 % (`core.twin.bands`), None where nothing tells it. basis: of what it was made: this
    pack's own earlier errors, those of all packs, or a widening that is stated; basis_count: how
    many. spread_v: how hard it is to foretell. soc: of the parameter set's window, 0..1."""

    after_s: After
    cell_v: float
    low_v: float | None = None
    high_v: float | None = None
    soc: float | None = None
    basis: Literal["own", "all", "stated"] | None = None
    basis_count: int = 0
    spread_v: float | None = None


class Prediction(_Strict, frozen=True):
    """Of one pack. plan_a: the current that it takes for granted [A], + discharging, None where
    there is no prediction; plan: who says so, in words, "" where it is that of the last minute;
    rated_ah: of the pack. failed: why there is none, in words. residual_...: of the window before
    (`core.twin.tasks.WindowAnswer`). next_s: when its next window is due [s since 1970], None where
    that is not told."""

    v: int
    site: Id
    device: Id
    made_s: float
    rated_ah: float
    plan_a: float | None = None
    plan: Words = ""
    points: tuple[Point, ...] = ()
    parameter_set: Words = ""
    residual_rms_mv: float | None = None
    residual_mean_mv: float | None = None
    soc: float | None = None
    note: Words = ""
    failed: Words = ""
    next_s: float | None = None


def prediction_of(result: WindowResult, answer: WindowAnswer, site: str, device: str,
                  rated_ah: float, plan: str = "") -> Prediction:
    """What one pack's window says of the next minutes, yet without an interval
    (`core.twin.bands`)."""
    return Prediction(
        v=VERSION, site=site, device=device, made_s=result.time_s or 0.0,
        plan_a=answer.plan_a, plan=plan[:MOST_WORDS], rated_ah=rated_ah,
        points=_points(answer),
        parameter_set=result.parameter_set[:MOST_WORDS], residual_rms_mv=answer.residual_rms_mv,
        residual_mean_mv=answer.residual_mean_mv, soc=answer.end_soc,
        note=answer.note[:MOST_WORDS], failed=answer.failed[:MOST_WORDS])


def _points(answer: WindowAnswer) -> tuple[Point, ...]:
    """Modelled, and what the window was off on the mean: a model that is 50 mV too low is so in a
    quarter of an hour, too."""
    after, volts, socs = (floats(told) for told in (answer.ahead_s, answer.ahead_v,
                                                    answer.ahead_soc))
    known = np.isfinite(volts)
    if answer.plan_a is None or not known.any():
        return ()
    found = []
    for at in (moment for moment in AFTER_S if moment <= after[known][-1]):
        modelled = float(np.interp(at, after[known], volts[known]))
        found.append(Point(after_s=at, cell_v=modelled + answer.off_v,
                           soc=float(np.interp(at, after[known], socs[known])),
                           spread_v=_spread_v(answer, modelled)))
    return tuple(found)


def _spread_v(answer: WindowAnswer, ahead_v: float) -> float | None:
    """How hard the prediction is [V]: by how far the voltage is to move, and by how badly the
    window was followed; None where that is not known."""
    inside = floats(answer.voltage_v)
    inside = inside[np.isfinite(inside)]
    if answer.residual_rms_mv is None or not inside.size:
        return None
    return float(np.hypot(max(LEAST_V, RESIDUAL_SHARE * answer.residual_rms_mv / 1000.0),
                          ahead_v - float(inside[-1])))


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


def keeps_plan(due: Due, mean_a: float, now_a: float) -> bool:
    """mean_a: current from the prediction to its moment, now_a: at it [A]; NaN keeps nothing."""
    far_a = KEPT_C_RATE * due.rated_ah
    return abs(mean_a - due.plan_a) <= far_a and abs(now_a - due.plan_a) <= far_a


class PredictionStore(Protocol):
    """Several processes may read, one writes. Each method raises RetryLaterError."""

    def keep(self, predictions: Sequence[Prediction]) -> None:
        """Those that are no failures; one of the same pack and moment again is not kept."""
        ...

    def due(self, site: str, now: datetime) -> Sequence[Due]:
        """Points whose time has come."""
        ...

    def meet(self, met: Sequence[Met]) -> None: ...

    def errors(self, site: str, device: str | None, most: int) -> Mapping[float, Floats]:
        """By lead time [s]: measured less predicted in spreads, without a sign, float64[n], the
        newest first, of the `most` newest that are scored; of one pack or of all."""
        ...

    def newest(self, site: str, device: str, now: datetime) -> Prediction | None:
        """None of later than `now`: a clock that was ahead made it."""
        ...

    def scores(self, site: str, since: datetime, device: str | None = None) -> Sequence[Score]:
        """By how far ahead, of one pack or of all."""
        ...

    def close(self) -> None: ...
