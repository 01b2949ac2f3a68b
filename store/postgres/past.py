"""Writes minutes with their hours, and a told past of them, in the tables of a history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
from sqlalchemy import Connection

from store.amend import improved, put
from store.files import HOUR
from store.past import PIECE_BYTES
from store.postgres.shape import Shape
from store.rollup import Rows, coarser, concatenate
from store.spans import Span
from store.times import FOREVER_US, HOUR_US, floor_to


def keep_minutes(connection: Connection, shape: Shape, rows: Rows) -> None:
    """Minutes, sorted by (sid, ts), and anew the hours that they are of."""
    first_us, last_us = int(rows["ts"].min()), int(rows["ts"].max())
    hours = floor_to(first_us, HOUR_US), floor_to(last_us, HOUR_US) + HOUR_US
    there = shape.minutes.rows(connection, shape.minutes.names, hours)
    shape.minutes.keep(connection, rows)
    if len(there["ts"]):
        outside = (there["ts"] < first_us) | (there["ts"] > last_us)
        rows = concatenate([{name: there[name][outside] for name in rows}, rows])
    shape.hours.keep(connection, coarser(rows, shape.columns, HOUR_US))


def amend_hour(connection: Connection, shape: Shape, told: Rows) -> None:
    """What of minutes of one hour is better than what is kept of them, and the hour anew."""
    hour_us = floor_to(int(told["ts"].min()), HOUR_US)
    kept = shape.minutes.rows(connection, shape.minutes.names, (hour_us, hour_us + HOUR_US),
                              np.unique(told["sid"]).tolist())
    if not len(kept["ts"]):
        return
    better = improved(told, kept, shape.columns)
    if len(better["ts"]):
        keep_minutes(connection, shape, put(kept, better))
        shape.frames.amended_at(connection, np.unique(better["ts"]).tolist())


class TablesOfPast:
    """`store.past.PastKeeper`. writing: one transaction of the one that writes. provide: the
    partition of minutes that a moment falls into. first_us: of what was written [us]."""

    piece_bytes = PIECE_BYTES

    def __init__(self, shape: Shape, writing: Callable[[], AbstractContextManager[Connection]],
                 provide: Callable[[Connection, str, int], None]) -> None:
        self._shape, self._writing, self._provide = shape, writing, provide
        self.lengths = shape.lengths
        self.growing: Span | None = None
        self.first_us = FOREVER_US

    def write_past(self, tier: str, rows: Sequence[Rows]) -> None:
        """Raises RetryLaterError."""
        found = concatenate(rows)
        with self._writing() as connection:
            if tier == HOUR:
                self._shape.hours.keep(connection, found)
            else:
                table = self._shape.frames.minutes
                width_us = self._shape.frames.widths_us[table]
                for start_us in set((found["ts"] // width_us * width_us).tolist()):
                    self._provide(connection, table, start_us)
                keep_minutes(connection, self._shape, found)
        self.first_us = min(self.first_us, int(found["ts"].min()))

    def roll_up_whole(self, minutes: Rows) -> None:
        """Hours are kept with their minutes."""

    def tidy(self) -> None:
        """Nothing lies in pieces."""
