"""Can a reported SOC be believed? It is held against the ampere-hours that were counted.

Thresholds are the house's own; the cases behind them are in venus #1668 (a collapse from 99 to
11 % on about 1 Ah), Home Assistant #28574 (signs) and dbus-serialbattery #360.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.energy import SECONDS_PER_HOUR, Floats, checked, positive

Word = Literal["aligned", "never_synchronised", "voltage_estimate", "stale", "sign_inverted",
               "collapse", "unknown"]

SECONDS_PER_DAY = 86_400.0
# Unexplained falls [%] within a span [s], or from one sample to the next, that are a collapse.
COLLAPSES = ((60.0, 2.0), (900.0, 5.0))
MOVED_PCT = 5.0  # less counted movement than this says nothing about a sign or a freeze
AGREE_PCT = 5.0
FULL_PCT = 99.5
FULL_EVERY_S = 14 * SECONDS_PER_DAY
VOLTAGE_STEP_PCT = 1.0  # SOC that jumps so far with the current comes from the voltage


@dataclass(frozen=True, slots=True)
class Trace:
    """One source: time_s [n] [s], soc_pct [n] [%], current_a [n] [A] + discharging, and the
    capacity_ah [Ah]. gap_s: a wider step is a gap; stale_after_s: older is stale [s]."""

    time_s: Floats
    soc_pct: Floats
    current_a: Floats
    capacity_ah: float
    gap_s: float
    stale_after_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """Change of SOC as reported and as counted [%], both summed over the same pieces: those of
    which SOC at both ends and all that flowed are known. whole: no piece between the first and
    the last known SOC is left out."""

    reported_pct: float
    counted_pct: float
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """First minus second source: now and on the mean (bias) [%], drift [%/day], points."""

    now_pct: float
    bias_pct: float
    drift_pct_per_day: float
    points: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """word for the code, cause for the reader."""

    word: Word
    cause: str


def counted_soc(trace: Trace) -> Floats:
    """Change of SOC since the first row by counting alone, float64[n] [%]: minus Ah out /
    capacity. NaN from the first unknown piece on, for what flowed in it is not known.

    Raises RequestError for times that do not rise or a capacity that is not above 0.
    """
    steps = _counted_steps(trace)
    return np.concatenate([np.zeros(min(len(np.atleast_1d(trace.time_s)), 1)), np.cumsum(steps)])


def _counted_steps(trace: Trace) -> Floats:
    """What each step from one row to the next adds, float64[n-1] [%]; NaN over a gap."""
    times, current = checked(trace.time_s, trace.current_a)
    step_s = np.diff(times)
    flowed_ah = np.where(step_s <= trace.gap_s, current[:-1] * step_s, np.nan) / SECONDS_PER_HOUR
    return -flowed_ah / positive("capacity_ah", trace.capacity_ah) * 100


def change(trace: Trace) -> Change:
    """The reported against the counted change. Raises RequestError as `counted_soc` does."""
    _, soc = checked(trace.time_s, trace.soc_pct)
    counted_pct = _counted_steps(trace)
    known = np.flatnonzero(np.isfinite(soc))
    if known.size < 2:
        return Change(math.nan, math.nan)
    pieces = np.add.reduceat(counted_pct[:known[-1]], known[:-1])
    told = np.isfinite(pieces)
    if not told.any():
        return Change(math.nan, math.nan, whole=False)
    reported = np.diff(soc[known])[told]
    return Change(float(reported.sum()), float(pieces[told].sum()), bool(told.all()))


def last_full_s(trace: Trace) -> float:
    """When SOC was last at 99.5 % or more [s]; NaN when never in the trace."""
    times, soc = checked(trace.time_s, trace.soc_pct)
    full = np.flatnonzero(soc >= FULL_PCT)
    return float(times[full[-1]]) if full.size else math.nan


def collapse_s(trace: Trace) -> float:
    """The first moment at which SOC has fallen further than the counted charge explains, by
    one of COLLAPSES [s]; NaN when never. A source polled slower is judged from one sample to
    the next.

    Half of what was counted is granted as error of the capacity. A fall across a gap is not
    judged. Raises RequestError as `counted_soc` does.
    """
    times, soc = checked(trace.time_s, trace.soc_pct)
    _, current = checked(trace.time_s, trace.current_a)
    rows = np.flatnonzero(np.isfinite(soc))
    if rows.size < 2:
        return math.nan
    step_s = np.diff(times)
    unknown = ~np.isfinite(current[:-1]) | (step_s > trace.gap_s)
    out_ah = np.where(unknown, 0.0, current[:-1] * step_s) / SECONDS_PER_HOUR
    out_pct = np.append(0.0, np.cumsum(out_ah)) / positive("capacity_ah", trace.capacity_ah) * 100
    unknown_before = np.append(0, np.cumsum(unknown))
    found = [_fell_at(times, soc, rows, out_pct, unknown_before, *limit) for limit in COLLAPSES]
    return min((moment_s for moment_s in found if math.isfinite(moment_s)), default=math.nan)


def _fell_at(times: Floats, soc: Floats, rows: NDArray[np.intp], out_pct: Floats,
             unknown_before: NDArray[np.intp], span_s: float, least_pct: float) -> float:
    """The first of the known `rows` [s] by which SOC fell `least_pct` within `span_s`."""
    then = np.searchsorted(times[rows], times[rows] - span_s)
    then = rows[np.minimum(then, np.maximum(np.arange(rows.size) - 1, 0))]
    fall, counted = soc[then] - soc[rows], out_pct[rows] - out_pct[then]
    sudden = fall - counted >= np.maximum(least_pct, np.abs(counted) / 2)
    found = rows[sudden & (unknown_before[then] == unknown_before[rows])]
    return float(times[found[0]]) if found.size else math.nan


def compare(time_s: ArrayLike, first_soc_pct: ArrayLike, second_soc_pct: ArrayLike) -> Comparison:
    """Difference of two sources over one time base [n], moments that both know. Drift is the
    slope of the least-squares line, NaN below two moments. RequestError as `checked`."""
    times, first = checked(time_s, first_soc_pct)
    _, second = checked(time_s, second_soc_pct)
    both = np.isfinite(first) & np.isfinite(second)
    difference, days = (first - second)[both], times[both] / SECONDS_PER_DAY
    if not difference.size:
        return Comparison(math.nan, math.nan, math.nan, 0)
    return Comparison(float(difference[-1]), float(difference.mean()),
                      _slope(days, difference), int(difference.size))


def held_at(time_s: ArrayLike, value: ArrayLike, at_s: ArrayLike, max_age_s: float) -> Floats:
    """The last row of [n] at or before each at_s [k], NaN where older than max_age_s [s] or
    none: puts two sources on one time base. RequestError as `checked`."""
    times, values = checked(time_s, value)
    moments = np.asarray(at_s, np.float64)
    row = np.searchsorted(times, moments, side="right") - 1
    held = np.full(moments.shape, np.nan)
    known = row >= 0
    known[known] = moments[known] - times[row[known]] <= max_age_s
    held[known] = values[row[known]]
    return held


def _slope(x: Floats, y: Floats) -> float:
    """Least-squares slope of y over x, NaN where x does not vary."""
    away = x - x.mean() if x.size else x
    spread = float((away**2).sum())
    return float((away * (y - y.mean())).sum() / spread) if spread > 0 else math.nan


def _correlation(x: Floats, y: Floats) -> float:
    """Pearson's r, NaN where either does not vary."""
    slopes = _slope(x, y) * _slope(y, x)
    return math.copysign(math.sqrt(slopes), _slope(x, y)) if slopes >= 0 else math.nan


def _follows_voltage(soc: Floats, counted: Floats, current_a: Floats) -> bool:
    """Whether SOC steps down as the current steps up: the drop over the inner resistance,
    which a counter never shows but an estimate from the voltage does."""
    if soc.size < 3:
        return False
    step, current_step = np.diff(soc - counted), np.diff(current_a)
    reach_pct = -_slope(current_step, step) * float(np.ptp(current_a))
    return _correlation(current_step, step) < -0.5 and reach_pct >= VOLTAGE_STEP_PCT


def verdict(trace: Trace, now_s: float, bias_pct: float = math.nan) -> Verdict:
    """What to think of one source at now_s [s]; the worst cause first, "unknown" where the data
    do not suffice. bias_pct: against another source, where there is one (`compare`).

    Raises RequestError as `counted_soc` does.
    """
    times, soc = checked(trace.time_s, trace.soc_pct)
    known = np.flatnonzero(np.isfinite(soc))
    if not known.size:
        return Verdict("unknown", "no SOC was reported")
    age_s = now_s - float(times[known[-1]])
    if age_s > trace.stale_after_s:
        return Verdict("stale", f"the last SOC is {age_s:.0f} s old")
    fell_s = collapse_s(trace)
    if math.isfinite(fell_s) and not _jumps_with_current(trace):
        return Verdict("collapse", "SOC fell further than the counted ampere-hours explain, "
                                   f"first {now_s - fell_s:.0f} s ago")
    return _against_counting(trace, times, bias_pct)


def _jumps_with_current(trace: Trace) -> bool:
    """An estimate falls by percents when a kettle starts, and rises again: no collapse."""
    return _follows_voltage(*_known_together(trace))


def _known_together(trace: Trace) -> tuple[Floats, Floats, Floats]:
    """SOC, counted change [%] and current [A] of the moments that know all three."""
    _, soc = checked(trace.time_s, trace.soc_pct)
    _, current = checked(trace.time_s, trace.current_a)
    counted = counted_soc(trace)
    use = np.isfinite(soc) & np.isfinite(counted) & np.isfinite(current)
    return soc[use], counted[use], current[use]


def _against_counting(trace: Trace, times: Floats, bias_pct: float) -> Verdict:
    soc, counted, current = _known_together(trace)
    moved_pct = float(np.ptp(counted)) if counted.size else 0.0
    if moved_pct >= MOVED_PCT:
        if np.ptp(soc) == 0:
            return Verdict("stale", f"SOC stands still while {moved_pct:.0f} % were counted")
        if _correlation(counted, soc) < -0.5:
            return Verdict("sign_inverted", "SOC rises while the current says discharging")
    if _follows_voltage(soc, counted, current):
        return Verdict("voltage_estimate", "SOC jumps with the current: an estimate from voltage")
    if _unsynchronised(trace, times, bias_pct):
        return Verdict("never_synchronised", "the counter has not met a full battery in "
                       f"{float(np.ptp(times)) / SECONDS_PER_DAY:.1f} days")
    if moved_pct < MOVED_PCT:
        return Verdict("unknown", f"only {moved_pct:.1f} % were counted: too little to judge")
    off_pct = float(np.ptp(soc - counted))
    if off_pct > AGREE_PCT:
        return Verdict("unknown", f"SOC and counted ampere-hours part by {off_pct:.1f} %; "
                                  "check the capacity")
    return Verdict("aligned", f"SOC and counted ampere-hours agree within {off_pct:.1f} %")


def _unsynchronised(trace: Trace, times: Floats, bias_pct: float) -> bool:
    """Never full in the trace, and that long enough or off from another source."""
    if math.isfinite(last_full_s(trace)):
        return False
    return float(np.ptp(times)) >= FULL_EVERY_S or abs(bias_pct) > AGREE_PCT
