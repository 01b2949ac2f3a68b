"""Whether a fit holds: judged by the end of the record, which it has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]
LEAST_GAIN = 0.98
"""Accepted below this share of the error before, on the unseen: more than chance gives."""
MOST_OFF_MV = 30.0
"""Of a fit that no error before can be put beside: half as much again as the 20 mV by which the
twin calls a model one that follows its cell (`core.twin.diagnosis.GOOD_V`), for a cell at its end,
where alone a model is lost, has its steepest voltages."""


@dataclass(frozen=True, slots=True)
class Record:
    """A task's columns for the parameter set's cell. seen: bool[points], what is fitted."""

    time_s: Floats
    current_a: Floats
    voltage_v: Floats
    known: Rows
    seen: Rows


@dataclass(frozen=True, slots=True)
class Verdict:
    """Errors on the unseen [mV], NaN where nothing was measured or the model has ended before."""

    accepted: bool
    before_mv: float
    after_mv: float
    words: str


def rms_mv(record: Record, volts: Floats, where: Rows) -> float:
    """NaN where nothing was measured or the model has ended before."""
    gap = (volts - record.voltage_v)[where]
    return 1000.0 * float(np.sqrt(np.mean(gap ** 2))) if gap.size else math.nan


def judged(record: Record, before_v: Floats, after_v: Floats) -> Verdict:
    """float64[points] each, modelled, NaN from where the model has ended. Where the one before
    does not reach the end, the fit is to be near on its own, and better as far as that reached."""
    unseen = record.known & ~record.seen
    before_mv, after_mv = (rms_mv(record, volts, unseen) for volts in (before_v, after_v))
    if not unseen.any():
        return _said(False, before_mv, after_mv, "the part that judges holds no measured voltage")
    if math.isnan(after_mv):
        return _said(False, before_mv, after_mv,
                     "with what was fitted an electrode of the model is empty or full before the "
                     "record ends; check the declared capacity, the charge at the begin and the "
                     "sign of the current")
    words = f"on what it has not seen the error is {after_mv:.1f} mV, before "
    if not math.isnan(before_mv):
        return _said(after_mv < LEAST_GAIN * before_mv, before_mv, after_mv,
                     f"{words}{before_mv:.1f} mV")
    words += "the model came to no end"
    if after_mv > MOST_OFF_MV:
        return _said(False, before_mv, after_mv,
                     f"{words}; it is kept from {MOST_OFF_MV:.0f} mV down")
    reached = record.known & np.isfinite(before_v)
    there_mv = [rms_mv(record, volts, reached) for volts in (before_v, after_v)]
    return _said(there_mv[1] < LEAST_GAIN * there_mv[0], before_mv, after_mv,
                 f"{words}; as far as that came, {there_mv[1]:.1f} mV, before {there_mv[0]:.1f} mV")


def _said(accepted: bool, before_mv: float, after_mv: float, words: str) -> Verdict:
    return Verdict(accepted, before_mv, after_mv,
                   f"{'accepted' if accepted else 'not accepted'}: {words}")
