"""The battery tree's history in PostgreSQL: every frame, and minutes and hours of each node.

A frame is one transaction. The first one of a minute also keeps the minute before as rows, and
the first one of an hour that hour; what stands in no row yet is read from the frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from core.clock import Clock
from core.errors import RetryLaterError, UnknownIdError
from core.frames import Frame
from core.ports import Moment, Series, StoreHealth
from core.topology import Topology
from core.vocabulary import BY_NAME, METRIC_NAMES
from store.hot import Stored, block_of
from store.instant import OLDEST_US, Known, hour_means, newest_of_each
from store.nodes import NodeNumbers, SidArray
from store.postgres import frames
from store.postgres.database import Database
from store.postgres.past import PastKeeper
from store.postgres.series import SeriesReader, bounds_of
from store.postgres.writer import Writer
from store.rollup import bucket_rows, coarser
from store.series import Question
from store.tick import FrameMaker, not_a_mean, told_of, values_of
from store.times import FOREVER_US, HOUR_US, MINUTE_US, floor_to, from_us, to_us

LOCK = 3
class PostgresStore:
    """`core.ports.Store`. variable: NAME of the environment variable with the URL.
    budget_bytes: raw frames go first, then minutes, a partition at once [B]; the partitions that
    are written stay. Raises DatabaseHeldError, ConfigurationError, RetryLaterError."""

    def __init__(self, variable: str, topology: Topology, *, budget_bytes: int,
                 clock: Clock | None = None) -> None:
        self._lock = threading.RLock()
        self._topology, self._budget_bytes = topology, budget_bytes
        self._error = ""
        self._minute: list[Stored] = []
        self._first_us, self._last_us = FOREVER_US, -1
        self._provided: set[tuple[str, int]] = set()
        self._nodes, self._layouts = NodeNumbers(), dict[int, SidArray]()
        self._sids, self._layout = np.empty(0, np.int32), 0
        self._database = Database(variable, clock)
        try:
            self._writer = Writer(self._database, LOCK, "history", self._begun)
        except BaseException:
            self._database.dispose()
            raise
        self._frames = FrameMaker(topology, self._sids)

    def _begun(self, connection: Connection) -> None:
        """What a session begins with: numbers, and the minute that is not yet kept as rows."""
        self._nodes = frames.numbers(connection)
        frames.keep_numbers(connection, self._nodes.add(self._topology.ids))
        self._sids = self._nodes.sids(self._topology.ids)
        self._layouts = frames.layouts(connection)
        self._layout = frames.layout_of(connection, self._layouts, self._sids)
        self._provided = set()
        bounds = bounds_of(connection)
        self._first_us, self._last_us = bounds.raw_us, -1
        self._minute = []
        if bounds.last_us != FOREVER_US:
            self._last_us = bounds.last_us
            self._minute = frames.frames_since(connection, self._layouts, bounds.live_us)

    # -- writing

    def append(self, frame: Frame) -> None:
        """Raises RetryLaterError when it is not kept, or the clock went back."""
        time_us, values = to_us(frame.time), values_of(frame)
        with self._lock:
            try:
                with self._writer.transaction() as connection:
                    if time_us <= self._last_us:
                        raise RetryLaterError(f"history has a frame of {from_us(self._last_us)}; "
                                              f"{frame.time} is not after it; correct the clock")
                    kept = Stored(time_us, self._sids, values)
                    begins = self._begins_a_minute(time_us)
                    if begins:
                        self._keep_minute(connection, time_us)
                    self._provide(connection, "history_raw", time_us)
                    frames.keep_frame(connection, time_us, self._layout, values)
            except RetryLaterError as error:
                self._error = str(error)
                raise
            self._error = ""
            self._minute = [kept] if begins else [*self._minute, kept]
            self._first_us, self._last_us = min(self._first_us, time_us), time_us

    def _begins_a_minute(self, time_us: int) -> bool:
        return (not self._minute or floor_to(self._minute[0].time_us, MINUTE_US)
                != floor_to(time_us, MINUTE_US))

    def _keep_minute(self, connection: Connection, now_us: int) -> None:
        """The minute before `now_us`, and its hour where that is over; then the budget."""
        if not self._minute:
            return
        begun_us = floor_to(self._minute[0].time_us, MINUTE_US)
        hour_us = floor_to(begun_us, HOUR_US)
        self._provide(connection, frames.MINUTES, begun_us)
        frames.keep_rollup(connection, frames.MINUTES,
                           bucket_rows(block_of(self._minute), METRIC_NAMES, MINUTE_US))
        if floor_to(now_us, HOUR_US) != hour_us:
            minutes = frames.rollup_rows(
                connection, frames.MINUTES, frames.COLUMNS[frames.MINUTES][len(frames.KEYS):],
                (hour_us, hour_us + HOUR_US))
            frames.keep_rollup(connection, frames.HOURS, coarser(minutes, METRIC_NAMES, HOUR_US))
        if frames.size(connection) > self._budget_bytes:
            frames.drop_oldest(connection)

    def _provide(self, connection: Connection, table: str, time_us: int) -> None:
        part = (table, floor_to(time_us, frames.WIDTH_US[table]))
        if part not in self._provided:
            frames.provide(connection, table, time_us)
            self._provided.add(part)

    def backfill(self, told: Iterator[Frame], done: Callable[[datetime], None]) -> None:
        """As minutes and hours, no raw values. Raises RetryLaterError, GiveUpError."""
        PastKeeper(self._database, self._cut_us).keep(told_of(told, self._sids), done)

    def _cut_us(self) -> int:
        """A past ends with the minute before the first frame's."""
        with self._lock:
            return (FOREVER_US if self._first_us == FOREVER_US
                    else floor_to(self._first_us, MINUTE_US))

    # -- reading

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        """Points of [start, end], both included; raises UnknownIdError (law 11),
        RetryLaterError."""
        for metric in metrics:
            if metric not in BY_NAME:
                raise UnknownIdError(f"no metric is called {metric[:80]!r}")
        for node_id in node_ids:
            if node_id not in self._nodes:
                self._topology.index(node_id)
        if max_points < 1 or end < start:
            raise ValueError("a series has at least one point, and ends after it starts")
        if not node_ids or not metrics:
            return []
        question = Question(node_ids, self._nodes.sids(node_ids), metrics,
                            (to_us(start), to_us(end) + 1), max_points)
        with self._database.transaction() as connection:
            return SeriesReader(connection, self._layouts).answer(question)

    def moment_at(self, when: datetime) -> Moment | None:
        """Raises RetryLaterError."""
        when_us = to_us(when)
        with self._database.transaction() as connection:
            known = self._known_at(connection, when_us) or self._hour(connection, when_us)
        return None if known is None else self._frames.moment(known, when_us)

    def frame_at(self, when: datetime) -> Frame | None:
        """Raises RetryLaterError."""
        return not_a_mean(self.moment_at(when))

    def _known_at(self, connection: Connection, when_us: int) -> Known | None:
        """From a frame, else from the minutes."""
        oldest_us = when_us - OLDEST_US
        found = frames.newest_frame(connection, self._layouts, oldest_us, when_us)
        if found is not None:
            return Known(found.sids, found.values,
                         np.full(len(found.sids), found.time_us, np.int64))
        last = [f"{name}_last" for name in METRIC_NAMES]
        rows = newest_of_each(frames.rollup_rows(
            connection, frames.MINUTES, last,
            (floor_to(oldest_us, MINUTE_US), when_us + 1)), oldest_us, when_us)
        if not len(rows["sid"]):
            return None
        return Known(rows["sid"], np.stack([rows[name] for name in last]), rows["seen"], "minute")

    def _hour(self, connection: Connection, when_us: int) -> Known | None:
        """The means of an hour of which nothing finer is kept."""
        span = (floor_to(when_us, HOUR_US), floor_to(when_us, HOUR_US) + HOUR_US)
        if frames.knows_finer(connection, span):
            return None
        mean = [f"{name}_mean" for name in METRIC_NAMES]
        return hour_means(frames.rollup_rows(connection, frames.HOURS, mean, span), mean, when_us)

    def health(self) -> StoreHealth:
        """Where the server does not answer, the error says so."""
        try:
            with self._database.transaction() as connection:
                bounds, size = bounds_of(connection), frames.size(connection)
        except RetryLaterError as error:
            return StoreHealth(None, None, 0, self._budget_bytes, error=str(error))
        oldest_us = min(bounds.raw_us, bounds.minute_us, bounds.hour_us)
        last_us = bounds.last_us
        return StoreHealth(None if oldest_us == FOREVER_US else from_us(oldest_us),
                           None if last_us == FOREVER_US else from_us(last_us),
                           size, self._budget_bytes, error=self._error)

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._writer.close()
            self._database.dispose()
