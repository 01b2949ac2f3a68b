"""Float columns of many nodes over time in PostgreSQL: every frame, and minutes and hours of each.

A frame is one transaction. The first one of a new grain (a minute, an hour) also keeps what is
before it as rows of minutes, and the first one of an hour that hour; what stands in no row yet is
read from the frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from core.clock import Clock
from core.errors import RetryLaterError
from core.ports import Hole, Series, StoreHealth
from core.topology import FloatArray
from store.amend import minutes_of
from store.hot import Stored, block_of
from store.nodes import NodeNumbers, SidArray
from store.past import PastWriter, Told, whole_minutes
from store.postgres.database import Database
from store.postgres.past import TablesOfPast, amend_hour, keep_minutes
from store.postgres.series import Bounds, SeriesReader
from store.postgres.shape import Shape
from store.postgres.writer import Writer
from store.rollup import between, bucket_rows, concatenate
from store.series import Question
from store.times import FOREVER_US, HOUR_US, MINUTE_US, floor_to, from_us, to_us


class PostgresArchive:
    """As `store.archive.Archive`. variable: NAME of the environment variable with the URL.
    budget_bytes: frames go first, then minutes, a partition at once [B]; the partitions that are
    written stay. Raises DatabaseHeldError, ConfigurationError, RetryLaterError."""

    def __init__(self, variable: str, ids: Sequence[str], shape: Shape, *, budget_bytes: int,
                 clock: Clock | None = None) -> None:
        self._lock = threading.RLock()
        self._ids, self._shape, self._budget_bytes = tuple(ids), shape, budget_bytes
        self._error, self._closed = "", False
        self._open: list[Stored] = []
        self._bounds = Bounds(shape.grain_us)
        self._provided: set[tuple[str, int]] = set()
        self._nodes, self.layouts = NodeNumbers(), dict[int, SidArray]()
        self.sids, self._layout = np.empty(0, np.int32), 0
        self._database = Database(variable, clock)
        try:
            self._writer = Writer(self._database, shape.lock, shape.what, self._begun)
        except BaseException:
            self._database.dispose()
            raise
        self._tables = TablesOfPast(shape, self._writing_past, self._provide)
        self._past = PastWriter(self._tables, shape.columns, self._first_us)

    def _begun(self, connection: Connection) -> None:
        """What a session begins with: numbers, and the frames that are not yet kept as rows."""
        frames = self._shape.frames
        self._nodes = frames.numbers(connection)
        frames.keep_numbers(connection, self._nodes.add(self._ids))
        self.sids = self._nodes.sids(self._ids)
        self.layouts = frames.layouts(connection)
        self._layout = frames.layout_of(connection, self.layouts, self.sids)
        self._provided = set()
        self._bounds = self._read_bounds(connection)
        last_us = self._bounds.last_us
        self._open = ([] if last_us == FOREVER_US else
                      frames.since(connection, self.layouts, floor_to(last_us, self._grain_us)))

    @property
    def _grain_us(self) -> int:
        return self._shape.grain_us

    def _read_bounds(self, connection: Connection) -> Bounds:
        found = self._shape.frames.bounds(connection)
        row_us = self._shape.frames.oldest_row(connection)
        first_us, last_us = found or (FOREVER_US, FOREVER_US)
        oldest_us = min(first_us, FOREVER_US if row_us is None else row_us)
        return Bounds(self._grain_us, first_us, last_us, oldest_us)

    # -- writing

    def append(self, time: datetime, values: FloatArray) -> None:
        """Keep float32[columns, ids]; raises RetryLaterError when it is not kept, or the clock
        went back."""
        time_us = to_us(time)
        with self._lock:
            self._refuse_closed()
            try:
                with self._writer.transaction() as connection:
                    self._refuse_old(time_us)
                    kept = Stored(time_us, self.sids, values)
                    begins = self._begins_a_grain(time_us)
                    bounds = self._keep_open(connection, time_us) if begins else self._bounds
                    self._provide(connection, self._shape.frames.raw, time_us)
                    self._shape.frames.keep(connection, time_us, self._layout, values)
            except RetryLaterError as error:
                self._error = str(error)
                raise
            self._error = ""
            if begins:
                self._open = []
            self._open.append(kept)
            self._bounds = replace(bounds, raw_us=min(bounds.raw_us, time_us), last_us=time_us,
                                   oldest_us=min(bounds.oldest_us, time_us))

    def _refuse_closed(self) -> None:
        if self._closed:
            raise RetryLaterError("this history is closed; open it again")

    def _refuse_old(self, time_us: int) -> None:
        last_us = self._bounds.last_us
        if last_us != FOREVER_US and time_us <= last_us:
            raise RetryLaterError(f"the clock stepped back: {from_us(time_us).isoformat()} is not "
                                  f"later than the newest kept frame of "
                                  f"{from_us(last_us).isoformat()}; correct the clock")

    def _begins_a_grain(self, time_us: int) -> bool:
        return (not self._open or floor_to(self._open[0].time_us, self._grain_us)
                != floor_to(time_us, self._grain_us))

    def _keep_open(self, connection: Connection, now_us: int) -> Bounds:
        """The minutes before `now_us`, and their hour where that is over; then the budget."""
        if not self._open:
            return self._bounds
        block, shape = block_of(self._open), self._shape
        hour_us = floor_to(self._open[0].time_us, HOUR_US)
        self._provide(connection, shape.frames.minutes, hour_us)
        minutes = concatenate([bucket_rows(minute, shape.columns, MINUTE_US)
                               for minute in block.periods(MINUTE_US)])
        if floor_to(now_us, HOUR_US) == hour_us:
            shape.minutes.keep(connection, minutes)
        else:
            keep_minutes(connection, shape, minutes)
        return self._within_budget(connection)

    def _within_budget(self, connection: Connection) -> Bounds:
        """Frames and minutes may go for it, hours stay, and with them what is known first."""
        frames, dropped = self._shape.frames, False
        while frames.size(connection) > self._budget_bytes and frames.drop_oldest(connection):
            dropped = True
        found = frames.bounds(connection) if dropped else None
        return replace(self._bounds, raw_us=found[0]) if found else self._bounds

    def _provide(self, connection: Connection, table: str, time_us: int) -> None:
        part = (table, floor_to(time_us, self._shape.frames.widths_us[table]))
        if part not in self._provided:
            self._shape.frames.provide(connection, table, time_us)
            self._provided.add(part)

    def backfill(self, pieces: Iterator[Told], done: Callable[[datetime], None],
                 hole: Hole | None = None) -> None:
        """Write a past that ends before the first row, or in a hole, beside `append`; no raw
        values. Raises RetryLaterError, GiveUpError."""
        try:
            if hole is None:
                self._past.write(pieces, done)
            elif (span := whole_minutes(self._own_hole(hole))) is not None:
                self._past.write(pieces, done, span)
        finally:
            self._know_told()

    def amend(self, pieces: Iterator[Told], sids: SidArray) -> None:
        """Minutes of some nodes, one piece each, that may know more than what is kept of them, and
        their hours; those of hours of which no minute is kept are left out. Raises
        RetryLaterError."""
        rows = minutes_of((piece.block for piece in pieces), self._shape.columns, sids)
        if rows is None:
            return
        with self._writing_past() as connection:
            for hour_us in np.unique(rows["ts"] // HOUR_US * HOUR_US).tolist():
                amend_hour(connection, self._shape, between(rows, hour_us, hour_us + HOUR_US))

    def _own_hole(self, hole: Hole) -> Hole:
        """What of it is behind all frames before its end."""
        with self._database.transaction() as connection:
            found = self._shape.frames.newest(connection, self.layouts, to_us(hole.after),
                                              to_us(hole.until) - 1)
        return hole if found is None else replace(hole, after=from_us(found.time_us))

    @contextmanager
    def _writing_past(self) -> Iterator[Connection]:
        with self._lock:
            self._refuse_closed()
            with self._writer.transaction() as connection:
                yield connection
                bounds = self._within_budget(connection)
            self._bounds = bounds

    def _know_told(self) -> None:
        """Another past ends before this one."""
        with self._lock:
            oldest_us = min(self._bounds.oldest_us, self._tables.first_us)
            self._bounds = replace(self._bounds, oldest_us=oldest_us)

    def _first_us(self) -> int | None:
        """Where the past ends that is told."""
        with self._lock:
            return None if self._bounds.oldest_us == FOREVER_US else self._bounds.oldest_us

    # -- reading

    def knows(self, node_id: str) -> bool:
        """Of now or of earlier."""
        return node_id in self._nodes

    def series(self, ids: Sequence[str], columns: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000, tier: str | None = None) -> list[Series]:
        """One Series an (id, column) with the points of [start, end], both included.

        The caller has checked ids and columns (law 11). tier: MINUTE or HOUR where it is known,
        None for what suits the span. Raises RetryLaterError.
        """
        self._refuse_closed()
        if max_points < 1 or end < start:
            raise ValueError("a series has at least one point, and ends after it starts")
        if not ids or not columns:
            return []
        question = Question(ids, self._nodes.sids(ids), columns,
                            (to_us(start), to_us(end) + 1), max_points, tier)
        with self._database.transaction() as connection:
            return SeriesReader(connection, self._shape, self.layouts,
                                self._bounds).answer(question)

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction for another question; raises RetryLaterError."""
        return self._database.transaction()

    def health(self) -> StoreHealth:
        """Where the server does not answer, the error says so."""
        try:
            with self._database.transaction() as connection:
                found = self._shape.frames.bounds(connection)
                size = self._shape.frames.size(connection)
        except RetryLaterError as error:
            return StoreHealth(None, None, 0, self._budget_bytes, error=str(error))
        oldest_us = min(self._bounds.oldest_us, found[0] if found else FOREVER_US)
        return StoreHealth(None if oldest_us == FOREVER_US else from_us(oldest_us),
                           None if found is None else from_us(found[1]),
                           size, self._budget_bytes, error=self._error)

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._closed = True
            self._writer.close()
            self._database.dispose()
