"""The battery tree's history in PostgreSQL: frames in an archive with a column a metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from core.clock import Clock
from core.errors import UnknownIdError
from core.frames import Frame
from core.ports import Hole, Moment, Series, StoreHealth
from core.topology import IndexArray, Topology
from core.vocabulary import BY_NAME, METRIC_NAMES
from store.instant import OLDEST_US, Known, filled, hour_means, newest_of_each
from store.postgres.archive import PostgresArchive
from store.postgres.shape import TREE
from store.tick import FrameMaker, not_a_mean, told_of, values_of
from store.times import HOUR_US, MINUTE_US, floor_to, to_us


class PostgresStore:
    """`core.ports.Store`. variable: NAME of the environment variable with the URL.
    budget_bytes: raw frames go first, then minutes, a partition at once [B]; the partitions that
    are written stay. Raises DatabaseHeldError, ConfigurationError, RetryLaterError."""

    def __init__(self, variable: str, topology: Topology, *, budget_bytes: int,
                 clock: Clock | None = None) -> None:
        self._topology = topology
        self._archive = PostgresArchive(variable, topology.ids, TREE, budget_bytes=budget_bytes,
                                        clock=clock)
        self._frames = FrameMaker(topology, self._archive.sids)

    def append(self, frame: Frame) -> None:
        """Raises RetryLaterError when it is not kept, or the clock went back."""
        self._archive.append(frame.time, values_of(frame))

    def backfill(self, frames: Iterator[Frame], done: Callable[[datetime], None],
                 hole: Hole | None = None) -> None:
        """As minutes and hours, no raw values. Raises RetryLaterError, GiveUpError."""
        self._archive.backfill(told_of(frames, self._archive.sids), done, hole)

    def amend(self, frames: Iterator[Frame], nodes: IndexArray) -> None:
        """Raises RetryLaterError."""
        self._archive.amend(told_of(frames, self._archive.sids), self._archive.sids[nodes])

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        """Points of [start, end], both included; raises UnknownIdError (law 11),
        RetryLaterError."""
        for metric in metrics:
            if metric not in BY_NAME:
                raise UnknownIdError(f"no metric is called {metric[:80]!r}")
        for node_id in node_ids:
            if not self._archive.knows(node_id):
                self._topology.index(node_id)
        return self._archive.series(node_ids, metrics, start, end, max_points)

    def moment_at(self, when: datetime) -> Moment | None:
        """Raises RetryLaterError."""
        when_us = to_us(when)
        with self._archive.reading() as connection:
            known = self._known_at(connection, when_us) or _hour(connection, when_us)
        return None if known is None else self._frames.moment(known, when_us)

    def frame_at(self, when: datetime) -> Frame | None:
        """Raises RetryLaterError."""
        return not_a_mean(self.moment_at(when))

    def _known_at(self, connection: Connection, when_us: int) -> Known | None:
        """From a frame, else from the minutes."""
        oldest_us = when_us - OLDEST_US
        found = TREE.frames.newest(connection, self._archive.layouts, oldest_us, when_us)
        frame = None if found is None else Known(
            found.sids, found.values, np.full(len(found.sids), found.time_us, np.int64))
        first_us = floor_to(oldest_us, MINUTE_US)
        if frame is None or TREE.frames.amended(connection, (first_us, when_us + 1)):
            minutes = self._minutes_at(connection, when_us)
            return minutes if frame is None else filled(frame, minutes)
        return frame

    def _minutes_at(self, connection: Connection, when_us: int) -> Known | None:
        oldest_us = when_us - OLDEST_US
        last = [f"{name}_last" for name in METRIC_NAMES]
        rows = newest_of_each(TREE.minutes.rows(
            connection, last, (floor_to(oldest_us, MINUTE_US), when_us + 1)), oldest_us, when_us)
        if not len(rows["sid"]):
            return None
        return Known(rows["sid"], np.stack([rows[name] for name in last]), rows["seen"], "minute")

    def health(self) -> StoreHealth:
        """Where the server does not answer, the error says so."""
        return self._archive.health()

    def close(self) -> None:
        """Safe to call twice."""
        self._archive.close()


def _hour(connection: Connection, when_us: int) -> Known | None:
    """The means of an hour of which nothing finer is kept."""
    span = (floor_to(when_us, HOUR_US), floor_to(when_us, HOUR_US) + HOUR_US)
    if TREE.frames.knows_finer(connection, span):
        return None
    mean = [f"{name}_mean" for name in METRIC_NAMES]
    return hour_means(TREE.hours.rows(connection, mean, span), mean, when_us)
