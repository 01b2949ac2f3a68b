"""Writes a told past as minutes and hours, an hour a transaction, beside the frames that come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import text

from core.errors import GiveUpError
from core.vocabulary import METRIC_NAMES
from store.past import Told
from store.postgres import frames
from store.postgres.database import Database
from store.rollup import Rows, bucket_rows, coarser, concatenate
from store.times import HOUR_US, MINUTE_US, floor_to, from_us

IS_THERE = text("SELECT EXISTS (SELECT 1 FROM history_minute "
                "WHERE time_us >= :start AND time_us < :start + :length)")


class PastKeeper:
    """One `keep` at a time. cut_us: where the first appended frame's minute begins [us].

    The hour that the past ends in is kept as minutes where the first frame goes on in it, and
    dropped where nothing goes on; an hour that has minutes already is left as it is.
    """

    def __init__(self, database: Database, cut_us: Callable[[], int]) -> None:
        self._database, self._cut_us = database, cut_us
        self._minutes: list[Rows] = []
        self._hour_us, self._last_us, self._step_us = -1, -1, MINUTE_US

    def keep(self, pieces: Iterator[Told], done: Callable[[datetime], None]) -> None:
        """pieces: each within one minute. Raises GiveUpError for times that do not rise,
        RetryLaterError."""
        for piece in pieces:
            block, late = piece.block.split(self._cut_us())
            for time_us in block.ts.tolist():
                self._step(time_us)
            if len(block):
                hour_us = floor_to(int(block.ts[0]), HOUR_US)
                if hour_us != self._hour_us:
                    self._keep_hour(done, whole=True)
                    self._hour_us = hour_us
                self._minutes.append(bucket_rows(block, METRIC_NAMES, MINUTE_US))
            if len(late):
                break
        end_us, cut_us = self._hour_us + HOUR_US, self._cut_us()
        if end_us in (cut_us, self._last_us + self._step_us):
            self._keep_hour(done, whole=True)
        elif self._hour_us < cut_us < end_us:
            self._keep_hour(done, whole=False)

    def _step(self, time_us: int) -> None:
        if time_us <= self._last_us:
            raise GiveUpError(f"the past goes back from {from_us(self._last_us)} to "
                              f"{from_us(time_us)}; correct the source")
        if self._last_us >= 0:
            self._step_us = time_us - self._last_us
        self._last_us = time_us

    def _keep_hour(self, done: Callable[[datetime], None], *, whole: bool) -> None:
        """whole: nothing will be added to it, so that the hour itself is kept too."""
        minutes, self._minutes = self._minutes, []
        if not minutes:
            return
        rows = concatenate(minutes)
        with self._database.transaction() as connection:
            there = connection.execute(IS_THERE, {"start": self._hour_us, "length": HOUR_US})
            if not there.scalar():
                frames.provide(connection, frames.MINUTES, self._hour_us)
                frames.keep_rollup(connection, frames.MINUTES, rows)
                if whole:
                    frames.keep_rollup(connection, frames.HOURS,
                                       coarser(rows, METRIC_NAMES, HOUR_US))
        done(from_us(self._hour_us + HOUR_US))
