"""Series over frames, minutes and hours, without a hole or a double at any seam."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from sqlalchemy import Connection, text

from core.ports import Series
from core.vocabulary import METRIC_NAMES
from store.files import HOUR, MINUTE, PERIOD_US, RAW
from store.nodes import SidArray
from store.points import Points, joined, series_of
from store.postgres import frames
from store.series import (
    Question,
    cadence,
    columns_of,
    places,
    points_of,
    raw_points,
    wanted_tier,
)
from store.spans import Span
from store.times import FOREVER_US, HOUR_US, MINUTE_US, SECOND_US, floor_to

BOUNDS = text("""
SELECT (SELECT min(time_us) FROM history_raw), (SELECT max(time_us) FROM history_raw),
    (SELECT min(time_us) FROM history_minute), (SELECT min(time_us) FROM history_hour)
""")
TABLES = {MINUTE: frames.MINUTES, HOUR: frames.HOURS}
Parts = dict[tuple[int, int], list[Points]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """raw_us, last_us: the first and the newest frame; minute_us, hour_us: the first row of
    each; FOREVER_US where there is none [us]."""

    raw_us: int
    last_us: int
    minute_us: int
    hour_us: int

    @property
    def live_us(self) -> int:
        """Where the minute begins that no row tells yet."""
        return floor_to(self.last_us, MINUTE_US)

    def spans(self, tier: str, span: Span) -> dict[str, Span]:
        """Which origin answers which part of the range."""
        start_us, end_us = span
        if tier == HOUR:
            hours_us, minutes_us = floor_to(self.live_us, HOUR_US), self.live_us
        else:
            hours_us = floor_to(min(self.minute_us, self.live_us), HOUR_US)
            minutes_us = floor_to(self.raw_us, MINUTE_US) if tier == RAW else self.live_us
        first_us = start_us if tier == HOUR else floor_to(start_us, HOUR_US)
        return {HOUR: (first_us, min(end_us, hours_us)),
                MINUTE: (max(start_us, hours_us), min(end_us, minutes_us)),
                RAW: (max(start_us, minutes_us), end_us)}


def bounds_of(connection: Connection) -> Bounds:
    raw, last, minute, hour = (FOREVER_US if one is None else int(one)
                               for one in connection.execute(BOUNDS).one())
    return Bounds(raw, last, minute, hour)


class SeriesReader:
    """layouts: the nodes of the frames, by number."""

    def __init__(self, connection: Connection, layouts: dict[int, SidArray]) -> None:
        self._connection, self._layouts = connection, layouts

    def answer(self, question: Question) -> list[Series]:
        """One Series a (node, column), in that order."""
        start_us, end_us = question.span
        tier = question.tier or wanted_tier(end_us - start_us, len(question.node_ids))
        parts: Parts = {pair: [] for pair in product(range(len(question.node_ids)),
                                                     range(len(question.columns)))}
        step_us = 0
        for origin, span in bounds_of(self._connection).spans(tier, question.span).items():
            if span[0] >= span[1]:
                continue
            if origin == RAW:
                own_us = self._from_frames(question, span, parts)
            else:
                own_us = self._from_rows(question, origin, span, parts)
            if tier == RAW or origin != RAW:
                step_us = max(step_us, own_us)
        return [series_of(question.node_ids[node], question.columns[column],
                          joined(parts[node, column]), PERIOD_US[tier], step_us or SECOND_US,
                          (start_us, end_us - 1), question.max_points) for node, column in parts]

    def _from_frames(self, question: Question, span: Span, parts: Parts) -> int:
        metrics = [METRIC_NAMES.index(name) for name in question.columns]
        longest_us = 0
        for layout, sids in self._layouts.items():
            nodes, positions = places(sids, question.sids)
            asked = list(product(nodes.tolist(), range(len(metrics))))
            where = dict(zip(nodes.tolist(), positions.tolist(), strict=True))
            time_us, values = frames.frame_values(
                self._connection, layout, len(sids),
                [(metrics[column], where[node]) for node, column in asked], span)
            for index, pair in enumerate(asked):
                parts[pair].append(raw_points(time_us, values[:, index]))
            longest_us = max(longest_us, cadence(time_us))
        return longest_us

    def _from_rows(self, question: Question, origin: str, span: Span, parts: Parts) -> int:
        rows = frames.rollup_rows(self._connection, TABLES[origin],
                                  columns_of(origin, question.columns), span,
                                  question.sids.tolist())
        rows["ts"] = np.maximum(rows["ts"], question.span[0])
        low = np.searchsorted(rows["sid"], question.sids, "left")
        high = np.searchsorted(rows["sid"], question.sids, "right")
        for node, column in parts:
            own = {name: values[low[node]:high[node]] for name, values in rows.items()}
            parts[node, column].append(points_of(origin, own, question.columns[column]))
        return PERIOD_US[origin] if len(rows["ts"]) else 0
