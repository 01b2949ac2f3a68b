"""Counters that only rise: what was added, and when.

A counter of coarse steps says that a kWh has passed, not in which minute. So the energy of a
step belongs to the time between the increment before and this one, and is spread over the cells
of that time in which the pump ran. Resets, jumps and what passed during a gap never become
energy: then nobody knows when it flowed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.heatpump.log import Flags, Floats, PumpLog

# A counter stands through a silence of this long (emoncms carries its values 900 s forward) [s].
CARRIED_S = 900.0
# No heat pump of a house moves more than this; a counter that says so has jumped [kW].
MOST_KW = 200.0
# So many increments make a window in which a counter's steps no longer show.
STEPS_OF_A_WINDOW = 3.0
# A compressor does not start more often than this [s].
FASTEST_EVENT_S = 60.0


@dataclass(frozen=True, slots=True)
class Counted:
    """kw: float64[k], mean power of each cell [kW], NaN where not known. finest_s: the shortest
    window that the counter tells apart [s]; NaN where it never rose."""

    kw: Floats
    finest_s: float


@dataclass(frozen=True, slots=True)
class Increments:
    """rise: float64[k], what a counter rose by in each cell; since_s: float64[k], the time that
    this is the rise of [s], longer than a cell after a silence. NaN where not known."""

    rise: Floats
    since_s: Floats


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Stretches between the marks of a counter: from first[p] to last[p], cells included.
    added: what the counter rose by at the end; NaN where that is no energy that is known."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    added: Floats


def counted(log: PumpLog, name: str, weight: Floats) -> Counted:
    """The counter `name` [kWh] as power. weight: float64[k] >= 0, how much of a cell the pump
    ran in; a stretch with an unknown weight is spread evenly.

    Before the first and after the last increment of an unbroken stretch less than one step has
    passed: 0 where the weight is 0 or the counter stands for three times as long as it usually
    does, else NaN.
    """
    values = carried(log.peak(name), log.step_s)
    kw = np.where(np.isfinite(values) & (weight == 0), 0.0, np.nan)
    pieces = _pieces(values, MOST_KW * log.step_h)
    if not pieces.first.size:
        return Counted(kw, float("nan"))
    length = pieces.last - pieces.first + 1
    usual = float(np.median(length))
    kw[_stands(values, STEPS_OF_A_WINDOW * usual)] = 0.0
    cells = np.repeat(pieces.first - np.append(0, np.cumsum(length)[:-1]), length)
    cells += np.arange(cells.size)
    total = _sums(weight, pieces.first, pieces.last)
    known = total > 0
    share = np.where(np.repeat(known, length), weight[cells], 1.0)
    kw[cells] = share * np.repeat(pieces.added / np.where(known, total, length), length)
    kw[cells] /= log.step_h
    return Counted(kw, log.step_s if usual <= 1 else STEPS_OF_A_WINDOW * usual * log.step_s)


def _stands(values: Floats, longest: float) -> Flags:
    """bool[k]: the counter is as in the cell before, and that for more than `longest` cells."""
    same = np.append(False, np.diff(values) == 0) if values.size else np.zeros(0, np.bool_)
    begins = np.flatnonzero(~same)
    length = np.diff(np.append(begins, values.size))
    stands: Flags = same & (np.repeat(length, length) > longest)
    return stands


def increments(values: Floats, step_s: float) -> Increments:
    """How much a counter of events (float64[k], e.g. of starts) rose, since the cell before that
    knew it. A fall is a reset, and more than one event a minute a jump: neither is known."""
    rows = np.flatnonzero(np.isfinite(values))
    rise, since_s = np.full(values.size, np.nan), np.full(values.size, np.nan)
    later = rows[1:]
    since_s[later] = np.diff(rows) * step_s
    rise[later] = np.diff(values[rows])
    good = (rise >= 0) & (rise <= np.maximum(since_s / FASTEST_EVENT_S, 1.0))
    return Increments(np.where(good, rise, np.nan), np.where(good, since_s, np.nan))


def carried(values: Floats, step_s: float, longest_s: float = CARRIED_S) -> Floats:
    """float64[k] with silences of at most longest_s filled by the value before them."""
    known = np.isfinite(values)
    place = np.maximum.accumulate(np.where(known, np.arange(values.size), -1))
    age_s = (np.arange(values.size) - place) * step_s
    filled: Floats = np.where((place >= 0) & (age_s <= longest_s), values[place], np.nan)
    # A silence longer than that is told as one from its first cell.
    return np.where(known | ~_in_long_silence(known, longest_s / step_s), filled, np.nan)


def _in_long_silence(known: Flags, longest: float) -> Flags:
    """bool[k]: in a run of unknown cells that is longer than `longest`, or has no end."""
    change = np.flatnonzero(np.diff(known)) + 1
    edges = np.concatenate([[0], change, [known.size]])
    length = np.diff(edges).astype(np.float64)
    if not known.size:
        return np.zeros(0, dtype=np.bool_)
    length[-1] = length[-1] if known[-1] else np.inf
    return ~known & (np.repeat(length, np.diff(edges)) > longest)


def _pieces(values: Floats, most: float) -> _Pieces:
    """Every increment of the counter of at most `most` a cell, with the stretch since the
    increment before it."""
    if values.size < 2:
        nothing = np.zeros(0, dtype=np.int64)
        return _Pieces(nothing, nothing, np.zeros(0))
    rise = np.diff(values)
    highest = np.fmax.accumulate(values)[:-1]
    # Back above what it once was in one leap: a counter that had answered nonsense.
    recovered = (values[:-1] < highest) & (values[1:] >= highest)
    broken = ~np.isfinite(rise) | (rise < 0) | recovered
    marks = np.flatnonzero(broken | (rise > 0))
    added = np.where(broken[marks], np.nan, rise[marks])
    whole = np.isfinite(added[1:]) & np.isfinite(added[:-1])
    whole &= added[1:] <= most * np.diff(marks)
    return _Pieces((marks[:-1] + 2)[whole], (marks[1:] + 1)[whole], added[1:][whole])


def _sums(values: Floats, first: NDArray[np.int64], last: NDArray[np.int64]) -> Floats:
    """The sum of `values` over each stretch, both ends included; NaN where one is NaN."""
    known = np.isfinite(values)
    total = np.append(0.0, np.cumsum(np.where(known, values, 0.0)))
    unknown = np.append(0, np.cumsum(~known))
    sums = total[last + 1] - total[first]
    return np.where(unknown[last + 1] > unknown[first], np.nan, np.where(sums > 1e-9, sums, 0.0))
