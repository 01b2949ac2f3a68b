"""Was this normal? One window against the same local hours of each of the days before it.

A figure is unusual when it lies outside of the 10th to 90th percentile of the other days AND
clearly away from their median: both, because the band of a very regular house is so narrow that
one day in five would be called unusual for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from core.energy import (
    GAP_FACTOR,
    SECONDS_PER_HOUR,
    Floats,
    Running,
    checked,
    closed,
    positive,
    running,
)
from core.errors import RequestError
from core.ports import Series

Word = Literal["usual", "higher", "lower", "unknown"]
Band = tuple[float, float]

LEAST_COVERAGE = 0.8
FEWEST_DAYS = 4
BAND = (0.1, 0.9)
AWAY_SHARE = 0.15
AWAY_KWH, AWAY_PCT, AWAY_KW = 0.2, 2.0, 0.2
NIGHT_RUNS_AFTER_S = SECONDS_PER_HOUR
ROUNDING = 1e-6  # differences of running integrals are no exact numbers
EXACT_S = 300.0  # a row no longer than this is told as one moment
NOT_KNOWN = (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Window:
    """From start_s to end_s [s]; label: how a sentence names it, "Last night"; running: it has
    not ended, end_s is now."""

    start_s: float
    end_s: float
    label: str
    running: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one window: energy_kwh as far as it is known [kWh], coverage: that share of the
    window, 0 to 1. depth_pct: the largest fall of SOC from a running maximum to a later
    minimum, lowest_pct: the lowest SOC [%], both NaN where less than 0.8 of it is known.
    peak_kw: the highest power [kW]; it was met within peak_width_s after peak_s [s]."""

    start_s: float
    end_s: float
    energy_kwh: float
    depth_pct: float
    lowest_pct: float
    peak_kw: float
    peak_s: float
    peak_width_s: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Normality:
    """`this` window's figures against those of `others`, newest first.

    Bands: 10th to 90th percentile of the others, (NaN, NaN) below four of them. Words: where
    this lies. asked: how many days; left_out: of these, less than 0.8 known. reason: why a word
    is "unknown", "" where none is.
    """

    window: Window
    zone: ZoneInfo
    this: Figures
    others: tuple[Figures, ...]
    energy_band: Band
    depth_band: Band
    peak_band: Band
    energy_word: Word
    depth_word: Word
    peak_word: Word
    asked: int
    left_out: int
    reason: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Mean power in bins: time_s float64[k], where each begins [s]; this_kw, and the 10th, 50th
    and 90th percentile over the other days, float64[k] [kW], NaN where less than 0.8 of a bin
    or fewer than four days are known. days: the most other days that any bin knows."""

    time_s: Floats
    this_kw: Floats
    low_kw: Floats
    median_kw: Floats
    high_kw: Floats
    days: int


def windows(start: datetime, end: datetime, days: int, zone: ZoneInfo,
            ) -> list[tuple[float, float]]:
    """The same wall-clock window on each of the `days` before, newest first [s]: where clocks
    change it is an hour longer or shorter. A window that a clock skipped is left out.

    Raises RequestError for a time without a zone or an end that is not after the start.
    """
    if start.tzinfo is None or end.tzinfo is None or end <= start:
        raise RequestError("a window needs two times with a zone, the end after the start")
    edges = np.array([start.timestamp(), end.timestamp()])
    moved = [_days_before(edges, day, zone) for day in range(1, days + 1)]
    return [(float(first), float(last)) for first, last in moved if first < last]


def _days_before(time_s: Floats, days: int, zone: ZoneInfo) -> Floats:
    """The same wall-clock times `days` earlier [s]."""
    local = (datetime.fromtimestamp(float(moment), zone) for moment in time_s)
    return np.array([(moment - timedelta(days=days)).timestamp() for moment in local])


def last_night(now: datetime, zone: ZoneInfo, from_hour: int = 18, to_hour: int = 6) -> Window:
    """The night from_hour to to_hour, local time: the running one once an hour of it is over
    ("Tonight so far"), else the last complete one ("Last night").

    Raises RequestError for a time without a zone.
    """
    if now.tzinfo is None:
        raise RequestError("the time of a night needs a zone")
    local = now.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    begin = midnight.replace(hour=from_hour)
    while begin.timestamp() > now.timestamp() - NIGHT_RUNS_AFTER_S:
        begin -= timedelta(days=1)
    end = begin.replace(hour=to_hour) + timedelta(days=0 if from_hour < to_hour else 1)
    if now.timestamp() < end.timestamp():
        return Window(begin.timestamp(), now.timestamp(), "Tonight so far", True)
    return Window(begin.timestamp(), end.timestamp(), "Last night")


def judge_window(window: Window, power: Series, soc: Series | None, days: int, zone: ZoneInfo,
                 ) -> Normality:
    """The window against the same local hours of each of the `days` before. soc: None where
    the house has none, then depth is unknown. RequestError as `windows` and `core.energy`."""
    past = windows(datetime.fromtimestamp(window.start_s, zone),
                   datetime.fromtimestamp(window.end_s, zone), days, zone)
    found = _figures([(window.start_s, window.end_s), *past], power, soc)
    this, others = found[0], tuple(one for one in found[1:] if one.coverage >= LEAST_COVERAGE)
    energy_band, energy_word = _judged(this.energy_kwh, [one.energy_kwh for one in others],
                                       AWAY_KWH)
    depth_band, depth_word = _judged(this.depth_pct, [one.depth_pct for one in others], AWAY_PCT)
    peak_band, peak_word = _judged(this.peak_kw, [one.peak_kw for one in others], AWAY_KW)
    if this.coverage < LEAST_COVERAGE:
        energy_word = peak_word = "unknown"
    reason = _reason(this, len(others), days, soc is not None, depth_word)
    return Normality(window, zone, this, others, energy_band, depth_band, peak_band, energy_word,
                     depth_word, peak_word, days, days - len(others), reason)


def _reason(this: Figures, usable: int, days: int, has_soc: bool, depth_word: Word) -> str:
    if this.coverage < LEAST_COVERAGE:
        return f"only {100 * this.coverage:.0f} % of this window is known"
    if usable < FEWEST_DAYS:
        return f"{FEWEST_DAYS} earlier days are needed; {usable} of the last {days} are known"
    if has_soc and depth_word == "unknown":
        return "the state of charge is known on too few days"
    return ""


def _judged(value: float, others: Sequence[float], least: float) -> tuple[Band, Word]:
    """Band of the others, and where `value` lies: unusual only outside of the band, more than
    15 % and more than `least` away from the median."""
    known = np.array([one for one in others if math.isfinite(one)], np.float64)
    if known.size < FEWEST_DAYS:
        return NOT_KNOWN, "unknown"
    low, median, high = (float(one) for one in np.quantile(known, [BAND[0], 0.5, BAND[1]]))
    if not math.isfinite(value):
        return (low, high), "unknown"
    away = value - median
    clear = abs(away) > max(AWAY_SHARE * abs(median), least) + ROUNDING
    if not clear or low - ROUNDING <= value <= high + ROUNDING:
        return (low, high), "usual"
    return (low, high), "higher" if away > 0 else "lower"


def _figures(spans: Sequence[tuple[float, float]], power: Series, soc: Series | None,
             ) -> list[Figures]:
    """One a span [s]; the energy of all in one go."""
    starts, ends = np.array(spans, np.float64).reshape(-1, 2).T
    flowed, known_s = _running(power).between(starts, ends)
    energy_kwh, coverage = flowed / SECONDS_PER_HOUR, known_s / (ends - starts)
    depths = _depths(starts, ends, soc)
    return [Figures(start_s, end_s, float(energy_kwh[number]), *depths[number],
                    *_peak(power, start_s, end_s), min(float(coverage[number]), 1.0))
            for number, (start_s, end_s) in enumerate(spans)]


def _running(series: Series) -> Running:
    return running(*closed(series.time_s, series.mean, series.resolution_s, series.known_s),
                   GAP_FACTOR * series.resolution_s)


def _rows(times: Floats, start_s: float, end_s: float) -> slice:
    return slice(*np.searchsorted(times, [start_s, end_s]).tolist())


def _peak(power: Series, start_s: float, end_s: float) -> tuple[float, float, float]:
    """Highest power [kW], start [s] and width [s] of its row; the first of equals."""
    inside = _rows(power.time_s, start_s, end_s)
    highest = power.maximum[inside].astype(np.float64)
    if not np.isfinite(highest).any():
        return math.nan, math.nan, math.nan
    row = inside.start + int(np.argmax(np.where(np.isfinite(highest), highest, -np.inf)))
    until_s = np.append(power.time_s, np.inf)[row + 1]
    width_s = min(float(until_s - power.time_s[row]), power.resolution_s)
    return float(power.maximum[row]), float(power.time_s[row]), width_s


def _depths(starts: Floats, ends: Floats, soc: Series | None) -> list[tuple[float, float]]:
    """(depth, lowest) [%] of each span."""
    if soc is None:
        return [NOT_KNOWN] * starts.size
    times, values = checked(soc.time_s, soc.mean)
    covered_s = _running(soc).between(starts, ends)[1]
    known = covered_s >= LEAST_COVERAGE * (ends - starts)
    return [depth(values[_rows(times, first, last)]) if enough else NOT_KNOWN
            for first, last, enough in zip(starts, ends, known, strict=True)]


def depth(soc_pct: Floats) -> tuple[float, float]:
    """The largest fall from a running maximum to a later minimum of SOC [n], and the lowest SOC
    [%]; NaN where none is known."""
    there = soc_pct[np.isfinite(soc_pct)]
    if not there.size:
        return NOT_KNOWN
    return float((np.maximum.accumulate(there) - there).max()), float(there.min())


def profile(window: Window, power: Series, days: int, zone: ZoneInfo, bin_s: float = 1800.0,
            ) -> Profile:
    """The window's mean power in bins of bin_s [s] and the band of the same bins by the local
    clock on the `days` before. RequestError for an empty window or a bin_s not above 0."""
    if not window.start_s < window.end_s:
        raise RequestError("a window must end after its start")
    starts = np.arange(window.start_s, window.end_s, positive("bin_s", bin_s))
    edges = np.append(starts, window.end_s)
    all_edges = np.array([edges, *(_days_before(edges, day, zone) for day in range(1, days + 1))])
    flowed, known_s = _running(power).between(all_edges[:, :-1], all_edges[:, 1:])
    width_s = np.diff(all_edges)
    # A bin that the clock skips on one day has no width there.
    enough = (known_s > 0) & (known_s >= LEAST_COVERAGE * width_s)
    mean_kw = np.where(enough, flowed / np.where(enough, known_s, 1.0), np.nan)
    low, median, high = np.array([_percentiles(one) for one in mean_kw[1:].T]).reshape(-1, 3).T
    most = int(np.isfinite(mean_kw[1:]).sum(axis=0).max(initial=0))
    return Profile(starts, mean_kw[0], low, median, high, most)


def _percentiles(values: Floats) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    if known.size < FEWEST_DAYS:
        return math.nan, math.nan, math.nan
    low, median, high = np.quantile(known, [BAND[0], 0.5, BAND[1]])
    return float(low), float(median), float(high)


_SUBJECT = {"Load": "{label} used {value}", "Battery": "{label} the battery gave {value}",
            "Grid": "{label} the grid gave {value}", "Solar": "{label} the sun gave {value}"}
_OPINION = {"usual": "as usual", "higher": "more than usual", "lower": "less than usual"}
_PEAK_OPINION = {"usual": "was usual", "higher": "was higher than usual",
                 "lower": "was lower than usual"}


def sentence(normality: Normality, what: str = "Load") -> str:
    """What the window was like in plain words, each value before the opinion of it and nothing
    that is not known. what: "Load", "Battery", "Grid", "Solar" or another name."""
    parts = [_energy_part(normality, what), _depth_part(normality), _peak_part(normality)]
    told = "; ".join(part for part in parts if part)
    if not normality.reason:
        return f"{told}."
    of_what = "that is usual" if normality.energy_word == "unknown" else "such a fall is usual"
    return f"{told}. Whether {of_what} cannot be said: {normality.reason}."


def _energy_part(normality: Normality, what: str) -> str:
    this, label = normality.this, normality.window.label
    if not math.isfinite(this.energy_kwh):
        return f"{label}: {what.lower()} is not known"
    least = "at least " if this.coverage < LEAST_COVERAGE else ""
    form = _SUBJECT.get(what, "{label} " + what.lower() + " was {value}")
    told = form.format(label=label, value=f"{least}{this.energy_kwh:.1f} kWh")
    if normality.energy_word == "unknown":
        return told
    low, high = normality.energy_band
    inside = sum(low - ROUNDING <= one.energy_kwh <= high + ROUNDING for one in normality.others)
    band = f"{low:.1f} kWh" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f} kWh"
    return (f"{told}, {_OPINION[normality.energy_word]} ({band} on {inside} of "
            f"{len(normality.others)} earlier {_noun(normality)})")


def _depth_part(normality: Normality) -> str:
    this = normality.this
    if not math.isfinite(this.depth_pct):
        return ""
    told = f"the battery fell by {this.depth_pct:.0f} % (lowest {this.lowest_pct:.0f} %)"
    opinion = _OPINION.get(normality.depth_word)
    return f"{told}, {opinion}" if opinion else told


def _peak_part(normality: Normality) -> str:
    this = normality.this
    if not math.isfinite(this.peak_kw):
        return ""
    opinion = _PEAK_OPINION.get(normality.peak_word)
    value = f"{this.peak_kw:.1f} kW {_when(this, normality.zone)}"
    return f"the peak of {value} {opinion}" if opinion else f"the peak was {value}"


def _when(this: Figures, zone: ZoneInfo) -> str:
    """"at 19:42", or the span of a row that is long."""
    first, last = (datetime.fromtimestamp(moment, zone) for moment in
                   (this.peak_s, this.peak_s + this.peak_width_s))
    if this.peak_width_s <= EXACT_S:
        return f"at {first:%H:%M}"
    return f"between {first:%H:%M} and {last:%H:%M}"


def _noun(normality: Normality) -> str:
    """Nights where the window passes local midnight, else days."""
    first, last = (datetime.fromtimestamp(moment, normality.zone).date() for moment in
                   (normality.window.start_s, normality.window.end_s - 1))
    return "nights" if first != last else "days"
