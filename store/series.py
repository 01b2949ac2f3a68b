"""Series over sealed files and the hot tail, without a hole or a double at any seam.

Each moment of the range is answered by one origin: the finest that the range asks for and
that covers it, else the next one. What an origin covers is told by the files' names and by
where the hot tail begins, so the seams are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from core.ports import Series
from core.topology import FloatArray
from store.files import HOUR, MINUTE, PERIOD_US, RAW
from store.nodes import SidArray
from store.points import Points, joined, series_of
from store.reading import SealedReader
from store.rollup import Rows
from store.spans import Span, minus, united
from store.times import (
    DAY_US,
    FOREVER_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    ceil_to,
    floor_to,
)
from store.vault import Vault

HOT = "hot"
RAW_UP_TO_US = HOUR_US + 5 * MINUTE_US
MINUTE_UP_TO_US = 2 * DAY_US + HOUR_US
FEW_MINUTE_UP_TO_US = 8 * DAY_US
FEW_NODES = 8
ORDER = {
    RAW: (RAW, HOT, MINUTE, HOUR),
    MINUTE: (MINUTE, HOT, RAW, HOUR),
    HOUR: (HOUR, MINUTE, HOT, RAW),
}
ROLLUP_PARTS = {MINUTE: ("min", "max", "mean", "n"), HOUR: ("min", "max", "mean", "n", "minutes")}

Parts = dict[tuple[int, int], list[Points]]
"""(node, column) in the order of the question -> points by origin."""


@dataclass(frozen=True, slots=True)
class Question:
    """sids: int32[nodes]. span: from, to (exclusive). tier: the one to answer from where it
    is known, None for what suits the span."""

    node_ids: Sequence[str]
    sids: SidArray
    columns: Sequence[str]
    span: Span
    max_points: int
    tier: str | None = None


def wanted_tier(length_us: int, nodes: int) -> str:
    """Raw for about an hour, minutes for days (a week of a few nodes), else hours."""
    if length_us <= RAW_UP_TO_US:
        return RAW
    limit = FEW_MINUTE_UP_TO_US if nodes <= FEW_NODES else MINUTE_UP_TO_US
    return MINUTE if length_us <= limit else HOUR


class SeriesReader:
    """Answers `Archive.series`."""

    def __init__(self, vault: Vault, reader: SealedReader) -> None:
        self._vault = vault
        self._reader = reader

    def answer(self, question: Question) -> list[Series]:
        """One Series a (node, column), in that order."""
        start, end = question.span
        tier = question.tier or wanted_tier(end - start, len(question.node_ids))
        base_us = PERIOD_US[tier]
        pairs = list(product(range(len(question.node_ids)), range(len(question.columns))))
        lost = -1
        while lost != self._reader.lost:  # another origin fills in for a file set aside
            lost = self._reader.lost
            parts: Parts = {pair: [] for pair in pairs}
            with self._vault.access:
                step_us = self._collect(question, tier, parts)
        return [series_of(question.node_ids[node], question.columns[column],
                          joined(parts[node, column]), base_us, step_us,
                          (start, end - 1), question.max_points) for node, column in pairs]

    def _collect(self, question: Question, tier: str, parts: Parts) -> int:
        """Fill `parts`; returns the widest step of the origins [us].

        Where only hours are known, the one that the range begins in belongs to a finer answer.
        """
        left = [question.span]
        step_us = 0
        for origin in ORDER[tier]:
            taken, left = minus(left, self._covered(origin, tier))
            for span in united(taken):
                if origin == HOUR != tier and span[0] == question.span[0]:
                    span = floor_to(span[0], HOUR_US), span[1]
                cadence_us = (self._from_hot(question, span, parts) if origin == HOT else
                              self._from_sealed(question, origin, span, parts))
                if tier == RAW or origin in (MINUTE, HOUR):
                    step_us = max(step_us, cadence_us)
        if tier == RAW:
            step_us = max(step_us, self._from_amended(question, parts))
        return step_us or SECOND_US

    def _from_amended(self, question: Question, parts: Parts) -> int:
        """What came late to minutes whose samples lack it; what a point stands for, 0 without
        any [us]."""
        minutes = self._vault.hot.amended(*question.span)
        if not minutes:
            return 0
        there: Parts = {pair: [] for pair in parts}
        self._from_sealed(question, MINUTE, (minutes[0], minutes[-1] + MINUTE_US), there)
        return MINUTE_US if fill(parts, there, minutes) else 0

    def _covered(self, origin: str, tier: str) -> list[Span]:
        """Hours fill in for minutes only where there is no minute of that hour at all."""
        if origin == HOT:
            return [(self._vault.sealed_until_us, FOREVER_US)]
        spans = self._vault.catalog.spans(origin)
        if origin == HOUR and tier != HOUR:
            finer = [*self._vault.catalog.spans(MINUTE), *self._covered(HOT, tier)]
            spans = minus(spans, [(floor_to(start, HOUR_US), ceil_to(end, HOUR_US))
                                  for start, end in finer])[1]
        return spans

    def _from_hot(self, question: Question, span: Span, parts: Parts) -> int:
        """Frame by frame: all of them together are as large as the hot tail."""
        columns = np.array([self._vault.columns.index(name) for name in question.columns],
                           dtype=np.intp)
        times: list[int] = []
        rows: list[FloatArray] = []
        sids: SidArray | None = None
        for frame in self._vault.hot.frames(*span):
            if sids is not frame.sids:
                sids = frame.sids
                asked, kept = places(sids, question.sids)
                picked = np.ix_(columns, kept)
            row = np.full((len(columns), len(question.sids)), np.nan, np.float32)
            row[:, asked] = frame.values[picked]
            times.append(frame.time_us)
            rows.append(row)
        if not rows:
            return 0
        values, time_us = np.stack(rows), np.array(times, dtype=np.int64)
        for node, column in parts:
            parts[node, column].append(raw_points(time_us, values[:, column, node]))
        return cadence(time_us)

    def _from_sealed(self, question: Question, tier: str, span: Span, parts: Parts) -> int:
        files = self._vault.catalog.files(tier, *span)
        if not len(question.sids) or not files:
            return 0
        columns = ["sid", "ts", *columns_of(tier, question.columns)]
        rows = self._reader.rows(files, columns, *span, sids=question.sids.tolist())
        if not rows or not len(rows["ts"]):
            return 0
        rows["ts"] = np.maximum(rows["ts"], question.span[0])
        order = np.lexsort((rows["ts"], rows["sid"]))
        rows = {name: column[order] for name, column in rows.items()}
        low = np.searchsorted(rows["sid"], question.sids, "left")
        high = np.searchsorted(rows["sid"], question.sids, "right")
        for node, column in parts:
            own = {name: values[low[node]:high[node]] for name, values in rows.items()}
            parts[node, column].append(points_of(tier, own, question.columns[column]))
        longest = int(np.argmax(high - low))
        return PERIOD_US[tier] or cadence(rows["ts"][low[longest]:high[longest]])


def fill(parts: Parts, there: Parts, minutes: Sequence[int]) -> int:
    """Adds points of `minutes` [us] of which `parts` know nothing; how many."""
    added = 0
    for pair, found in there.items():
        known = [part.time_us[part.count > 0] // MINUTE_US for part in parts[pair]]
        taken = np.concatenate(known) if known else np.empty(0, np.int64)
        for points in found:
            lacking = points.chosen((points.count > 0) & np.isin(points.time_us, minutes)
                                    & ~np.isin(points.time_us // MINUTE_US, taken))
            parts[pair].append(lacking)
            added += len(lacking.time_us)
    return added


def columns_of(tier: str, columns: Sequence[str]) -> list[str]:
    """What a Series is made of."""
    unique = list(dict.fromkeys(columns))
    if tier == RAW:
        return unique
    return [f"{name}_{part}" for name in unique for part in ROLLUP_PARTS[tier]]


def places(have: SidArray, want: SidArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions in `want`, and in `have`, of the numbers that both hold."""
    order = np.argsort(have)
    found = np.searchsorted(have, want, sorter=order)
    found[found == len(have)] = 0
    places = order[found]
    both = np.flatnonzero(have[places] == want)
    return both, places[both]


def raw_points(time_us: NDArray[np.int64], values: FloatArray) -> Points:
    known = ~np.isnan(values)
    return Points(time_us, values, values, values, known.astype(np.int32),
                  np.zeros(len(values), np.int32))


def points_of(tier: str, rows: Rows, column: str) -> Points:
    if tier == RAW:
        return raw_points(rows["ts"], rows[column])
    minimum, maximum, mean, count = (rows[f"{column}_{part}"] for part in ROLLUP_PARTS[MINUTE])
    minutes = rows[f"{column}_minutes"] if tier == HOUR else np.ones_like(count)
    return Points(rows["ts"], minimum, maximum, mean, count, minutes)


def cadence(time_us: NDArray[np.int64]) -> int:
    """How far apart frames are [us], told by the closer ones: pauses are no cadence."""
    steps = np.sort(np.diff(time_us))
    return int(steps[len(steps) // 4]) if len(steps) else 0
