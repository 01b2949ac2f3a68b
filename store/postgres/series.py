"""Series over frames, minutes and hours, without a hole or a double at any seam."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from sqlalchemy import Connection

from core.ports import Series
from store.files import HOUR, MINUTE, PERIOD_US, RAW
from store.nodes import SidArray
from store.points import NOTHING, Points, joined, series_of
from store.postgres.shape import Shape
from store.series import (
    Question,
    cadence,
    columns_of,
    fill,
    places,
    points_of,
    raw_points,
    wanted_tier,
)
from store.spans import Span
from store.times import FOREVER_US, HOUR_US, MINUTE_US, SECOND_US, floor_to

Parts = dict[tuple[int, int], list[Points]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """raw_us, last_us: the first and the newest frame; oldest_us: what is known first; FOREVER_US
    where there is none [us]. grain_us: of how much time frames become rows at once."""

    grain_us: int
    raw_us: int = FOREVER_US
    last_us: int = FOREVER_US
    oldest_us: int = FOREVER_US

    @property
    def live_us(self) -> int:
        """Where the frames begin that no row tells yet."""
        return max(floor_to(self.last_us, self.grain_us), floor_to(self.raw_us, MINUTE_US))

    def spans(self, tier: str, span: Span) -> dict[str, Span]:
        """Which origin answers which part of the range; hours only where there is no minute."""
        start_us, end_us = span
        minutes_us = floor_to(self.raw_us, MINUTE_US) if tier == RAW else self.live_us
        first_us = start_us if tier == HOUR else floor_to(start_us, HOUR_US)
        hours_us = floor_to(minutes_us, HOUR_US)
        from_us = max(start_us, hours_us) if tier == HOUR else first_us
        return {RAW: (max(start_us, minutes_us), end_us),
                MINUTE: (from_us, min(end_us, minutes_us)),
                HOUR: (first_us, min(end_us, hours_us))}


class SeriesReader:
    """layouts: the nodes of the frames, by number."""

    def __init__(self, connection: Connection, shape: Shape, layouts: dict[int, SidArray],
                 bounds: Bounds) -> None:
        self._connection, self._shape = connection, shape
        self._layouts, self._bounds = layouts, bounds

    def answer(self, question: Question) -> list[Series]:
        """One Series a (node, column), in that order."""
        start_us, end_us = question.span
        tier = question.tier or wanted_tier(end_us - start_us, len(question.node_ids))
        parts: Parts = {pair: [] for pair in product(range(len(question.node_ids)),
                                                     range(len(question.columns)))}
        step_us = 0
        for origin, span in self._bounds.spans(tier, question.span).items():
            if span[0] >= span[1]:
                continue
            if origin == RAW:
                own_us = self._from_frames(question, span, parts)
            else:
                own_us = self._from_rows(question, origin, tier, span, parts)
            if tier == RAW or origin != RAW:
                step_us = max(step_us, own_us)
        if tier == RAW:
            step_us = max(step_us, self._from_minutes_without_frames(question, parts),
                          self._from_amended(question, parts))
        return [series_of(question.node_ids[node], question.columns[column],
                          _since(joined(parts[node, column]), start_us), PERIOD_US[tier],
                          step_us or SECOND_US, (start_us, end_us - 1), question.max_points)
                for node, column in parts]

    def _from_frames(self, question: Question, span: Span, parts: Parts) -> int:
        metrics = [self._shape.columns.index(name) for name in question.columns]
        longest_us = 0
        for layout, sids in self._layouts.items():
            nodes, positions = places(sids, question.sids)
            asked = list(product(nodes.tolist(), range(len(metrics))))
            where = dict(zip(nodes.tolist(), positions.tolist(), strict=True))
            time_us, values = self._shape.frames.values(
                self._connection, layout, len(sids),
                [(metrics[column], where[node]) for node, column in asked], span)
            for index, pair in enumerate(asked):
                parts[pair].append(raw_points(time_us, values[:, index]))
            longest_us = max(longest_us, cadence(time_us))
        return longest_us

    def _from_minutes_without_frames(self, question: Question, parts: Parts) -> int:
        """Minutes that were written in a hole between frames; what a point of them stands for,
        0 without any [us]."""
        first_us = max(question.span[0], floor_to(self._bounds.raw_us, MINUTE_US))
        last_us = min(question.span[1], self._bounds.live_us)
        framed = np.unique(np.concatenate([NOTHING.time_us, *(
            part.time_us // MINUTE_US for found in parts.values() for part in found)]))
        bare = np.setdiff1d(np.arange(first_us // MINUTE_US, -(-last_us // MINUTE_US)), framed)
        if not len(bare):
            return 0
        span = int(bare[0]) * MINUTE_US, (int(bare[-1]) + 1) * MINUTE_US
        there: Parts = {pair: [] for pair in parts}
        self._from_rows(question, MINUTE, RAW, span, there)
        added = 0
        for pair, (points,) in there.items():
            chosen = points.chosen(np.isin(points.time_us // MINUTE_US, bare))
            parts[pair].append(chosen)
            added += len(chosen.time_us)
        return MINUTE_US if added else 0

    def _from_amended(self, question: Question, parts: Parts) -> int:
        """What came late to minutes whose frames lack it; what a point of it stands for, 0 without
        any [us]."""
        minutes = self._shape.frames.amended(self._connection, question.span)
        if not minutes:
            return 0
        there: Parts = {pair: [] for pair in parts}
        self._from_rows(question, MINUTE, RAW, (min(minutes), max(minutes) + MINUTE_US), there)
        return MINUTE_US if fill(parts, there, minutes) else 0

    def _from_rows(self, question: Question, origin: str, tier: str, span: Span,
                   parts: Parts) -> int:
        """How much time one of the points stands for that they add [us]."""
        table = self._shape.minutes if origin == MINUTE else self._shape.hours
        rows = table.rows(self._connection, columns_of(origin, question.columns), span,
                          question.sids.tolist())
        low = np.searchsorted(rows["sid"], question.sids, "left")
        high = np.searchsorted(rows["sid"], question.sids, "right")
        added = False
        for node, column in parts:
            own = {name: values[low[node]:high[node]] for name, values in rows.items()}
            points = points_of(origin, own, question.columns[column])
            if origin == HOUR:
                if tier != HOUR:
                    points = _without_finer(points, parts[node, column])
                points = _begun(points, question.span[0])
            parts[node, column].append(points)
            added = added or bool((points.time_us >= question.span[0]).any())
        return PERIOD_US[origin] if added else 0


def _without_finer(hours: Points, finer: list[Points]) -> Points:
    """The hours of which no minute and no reading is known."""
    known = [part.time_us[part.count > 0] // HOUR_US for part in finer]
    taken = np.concatenate(known) if known else np.empty(0, np.int64)
    return hours.chosen((hours.count > 0) & ~np.isin(hours.time_us // HOUR_US, taken))


def _begun(hours: Points, start_us: int) -> Points:
    """The hour that the range begins in, from there."""
    return replace(hours, time_us=np.maximum(hours.time_us, start_us))


def _since(points: Points, start_us: int) -> Points:
    return points.chosen(points.time_us >= start_us)
