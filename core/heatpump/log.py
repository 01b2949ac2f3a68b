"""A heat pump's past on a uniform grid: what all of its arithmetic starts from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.energy import GAP_FACTOR
from core.errors import RequestError
from core.ports import Series

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Grouping = Callable[[Floats, NDArray[np.int64]], Floats]

MOST_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class PumpLog:
    """k cells of step_s [s]; cell i is [time_s[i], time_s[i] + step_s), time_s float64[k] in
    seconds since 1970. columns, highest, lowest: quantity -> float64[k], the mean and the
    extremes of each cell in the quantity's unit; a switch's mean is the share of the cell in
    which it was on. hours: quantity of an energy log -> float64[k], the energy of the whole hour
    (UTC) in which the cell lies [kWh]. NaN = not known."""

    time_s: Floats
    step_s: float
    columns: Mapping[str, Floats]
    highest: Mapping[str, Floats]
    lowest: Mapping[str, Floats]
    hours: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return int(self.time_s.size)

    @property
    def step_h(self) -> float:
        return self.step_s / 3600.0

    @property
    def end_s(self) -> float:
        """Where the last cell ends [s since 1970]; NaN of an empty log."""
        return float(self.time_s[-1]) + self.step_s if self.size else math.nan

    def column(self, name: str) -> Floats:
        """The means of a quantity, float64[k]; all NaN where the pump has none."""
        return self._of(self.columns, name)

    def peak(self, name: str) -> Floats:
        """The highest values, float64[k]: for codes and counters, whose mean never occurred.
        The means where no highest ones were kept."""
        return self._of(self.highest if name in self.highest else self.columns, name)

    def trough(self, name: str) -> Floats:
        """The lowest values, float64[k]; the means where no lowest ones were kept."""
        return self._of(self.lowest if name in self.lowest else self.columns, name)

    def tells(self, name: str) -> bool:
        """Whether any cell knows the quantity."""
        return name in self.columns and bool(np.isfinite(self.columns[name]).any())

    def known(self) -> Flags:
        """bool[k]: whether anything at all is known of a cell."""
        heard = np.zeros(self.size, dtype=np.bool_)
        for values in self.columns.values():
            heard |= np.isfinite(values)
        return heard

    def between(self, start_s: float, end_s: float) -> PumpLog:
        """The cells that begin in [start_s, end_s) [s since 1970], as views."""
        first, last = np.searchsorted(self.time_s, [start_s, end_s])
        cut = slice(int(first), int(last))
        return PumpLog(self.time_s[cut], self.step_s,
                       *({name: values[cut] for name, values in kept.items()}
                         for kept in (self.columns, self.highest, self.lowest, self.hours)))

    def _of(self, kept: Mapping[str, Floats], name: str) -> Floats:
        return kept[name] if name in kept else np.full(self.size, np.nan)


def log_of(series: Mapping[str, Series], start: datetime, end: datetime,
           step_s: float) -> PumpLog:
    """The log of quantity -> Series from `start` to `end`; the grid stands on multiples of
    step_s [s] since 1970, so that the first cell may begin before `start`.

    A cell holds the mean of its known rows; a row of whose time less than half is known counts
    as unknown. A cell without a row holds the row before it, as
    long as that row holds: to the next one, but not over a gap (a step wider than 2.5
    resolutions), where it ends after one resolution. Raises RequestError for times without a
    zone, an end that is not after the start, and more than 2,000,000 cells.
    """
    if start.tzinfo is None or end.tzinfo is None or end <= start:
        raise RequestError("a span needs two times with a zone, the end after the start")
    if not 0 < step_s < math.inf:
        raise RequestError(f"step_s = {step_s!r}; it must be a number of seconds above 0")
    first = math.floor(start.timestamp() / step_s)
    count = math.ceil(end.timestamp() / step_s) - first
    if count > MOST_CELLS:
        raise RequestError(f"{count} cells are too many: ask for a wider step or less time")
    edges_s: Floats = (first + np.arange(count + 1)).astype(np.float64) * step_s
    kept: tuple[dict[str, Floats], dict[str, Floats], dict[str, Floats]] = ({}, {}, {})
    places: _Places | None = None
    for name, one in series.items():
        if places is None or not places.fits(one):
            places = _places(one, edges_s, step_s)
        found = _gridded(one, places)
        for into, values in zip(kept, found, strict=True):
            into[name] = values
    return PumpLog(edges_s[:-1], step_s, *kept)


@dataclass(frozen=True, slots=True)
class _Places:
    """Which rows of a series fill which of `cells` cells: rows `inside`, grouped from `begins`
    on, go into the cells `into`; the cells `empty` hold the rows `held`."""

    time_s: Floats
    resolution_s: float
    cells: int
    inside: slice
    begins: NDArray[np.int64]
    into: NDArray[np.int64]
    single: bool
    empty: NDArray[np.int64]
    held: NDArray[np.int64]

    def fits(self, one: Series) -> bool:
        return (one.resolution_s == self.resolution_s
                and np.array_equal(one.time_s, self.time_s))


def _places(one: Series, edges_s: Floats, step_s: float) -> _Places:
    time_s = np.asarray(one.time_s, np.float64)
    cells = edges_s.size - 1
    first, last = (int(row) for row in np.searchsorted(time_s, edges_s[[0, -1]]))
    at = np.floor((time_s[first:last] - edges_s[0]) / step_s).astype(np.int64)
    begins = np.flatnonzero(np.append(True, np.diff(at) > 0)) if at.size else at
    has_row = np.zeros(cells, dtype=np.bool_)
    has_row[at] = True
    empty = np.flatnonzero(~has_row)
    held = _held(time_s, one.resolution_s, edges_s[empty], step_s)
    return _Places(time_s, one.resolution_s, cells, slice(first, last), begins, at[begins],
                   begins.size == at.size, empty[held >= 0], held[held >= 0])


def _held(time_s: Floats, resolution_s: float, begin_s: Floats,
          step_s: float) -> NDArray[np.int64]:
    """For each cell without a row the one that holds to the middle of the cell; -1 = none."""
    before = np.searchsorted(time_s, begin_s, side="right").astype(np.int64) - 1
    if not time_s.size:
        return before
    apart_s = np.append(np.diff(time_s), resolution_s)
    until_s = time_s + np.where(apart_s <= GAP_FACTOR * resolution_s, apart_s, resolution_s)
    return np.where(begin_s + step_s / 2 <= until_s[before], before, -1)


def _gridded(one: Series, places: _Places) -> tuple[Floats, Floats, Floats]:
    """Mean, highest and lowest of each cell; the same array where the rows were the same."""
    mean = _filled(_mostly_known(one), places, _means)
    if places.single and one.maximum is one.mean and one.minimum is one.mean:
        return mean, mean, mean
    return (mean, _filled(one.maximum, places, np.fmax.reduceat),
            _filled(one.minimum, places, np.fmin.reduceat))


def _mostly_known(one: Series) -> NDArray[np.float32]:
    """The means, NaN where less than half of what a row stands for is known: a cell counts as a
    whole."""
    if one.known_s is None:
        return one.mean
    own_s = np.minimum(np.append(np.diff(one.time_s), np.inf)[: one.mean.size], one.resolution_s)
    return np.where(2 * one.known_s >= own_s, one.mean, np.float32(np.nan))


def _filled(told: NDArray[np.float32], places: _Places, way: Grouping) -> Floats:
    values, cells = np.asarray(told, np.float64), np.full(places.cells, np.nan)
    inside = values[places.inside]
    cells[places.into] = inside if places.single else way(inside, places.begins)
    cells[places.empty] = values[places.held]
    return np.where(np.isfinite(cells), cells, np.nan)


def _means(values: Floats, begins: NDArray[np.int64]) -> Floats:
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(np.float64), begins)
    total = np.add.reduceat(np.where(known, values, 0.0), begins)
    means: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means
