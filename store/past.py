"""Writes a told past as minutes and hours, one clock hour after the other, beside `append`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from core.errors import GiveUpError
from core.frames import Frame
from store.hot import Stored, block_of
from store.keeper import Keeper
from store.nodes import SidArray
from store.rollup import Rows, minute_rows
from store.tick import values_of
from store.times import FOREVER_US, HOUR_US, MINUTE_US, ceil_to, floor_to, from_us, to_us

PIECE_BYTES = 32 * 1024 * 1024
"""An hour of a large site is written in pieces, and merged when it is whole."""


class PastWriter:
    """One `write` at a time. `first_us` tells the first appended frame, None before it."""

    def __init__(self, keeper: Keeper, sids: SidArray, first_us: Callable[[], int | None]) -> None:
        self._keeper = keeper
        self._sids = sids
        self._first_us = first_us
        self._frames: list[Stored] = []
        self._minutes: list[Rows] = []

    def _cut_us(self) -> int:
        """The past ends with the minute before the first appended frame's."""
        first_us = self._first_us()
        return FOREVER_US if first_us is None else floor_to(first_us, MINUTE_US)

    def write(self, frames: Iterator[Frame], done: Callable[[datetime], None]) -> None:
        """An hour that the past does not finish is dropped, except the one of the first
        appended frame; of that one the whole minutes are kept. Raises GiveUpError.
        """
        last_us, step_us = 0, MINUTE_US
        try:
            for frame in frames:
                time_us = to_us(frame.time)
                if time_us <= last_us:
                    raise GiveUpError(f"a past whose times do not rise: {frame.time} after "
                                      f"{from_us(last_us)}; this is a defect of its source")
                if time_us >= self._cut_us():
                    break
                step_us = time_us - last_us if last_us else step_us
                self._take(Stored(time_us, self._sids, values_of(frame)), last_us, done)
                last_us = time_us
            if last_us:
                self._finish(last_us + step_us, done)
        finally:
            self._keeper.growing = None
            self._frames, self._minutes = [], []

    def _take(self, stored: Stored, last_us: int, done: Callable[[datetime], None]) -> None:
        minute, hour = floor_to(stored.time_us, MINUTE_US), floor_to(stored.time_us, HOUR_US)
        if last_us < minute:
            self._end_minute()
        if last_us < hour:
            self._end_hour(hour)
        if 0 < last_us < hour:
            done(from_us(hour))
        self._frames.append(stored)

    def _end_minute(self) -> None:
        if self._frames:
            self._minutes.append(minute_rows(block_of(self._frames)))
            self._frames = []
        if sum(rows["ts"].nbytes for rows in self._minutes) * 15 > PIECE_BYTES:
            self._write_minutes()

    def _end_hour(self, hour_us: int) -> None:
        """Everything before `hour_us` is told."""
        self._write_minutes()
        self._keeper.growing = hour_us, ceil_to(max(self._cut_us(), hour_us), HOUR_US)
        self._keeper.tidy()

    def _finish(self, end_us: int, done: Callable[[datetime], None]) -> None:
        """`end_us`: up to when the last frame counts."""
        cut_us = self._cut_us()
        last_minute_is_whole = end_us % MINUTE_US == 0 or end_us >= cut_us
        last_hour_is_kept = cut_us == FOREVER_US or end_us >= min(cut_us, ceil_to(end_us, HOUR_US))
        if last_minute_is_whole:
            self._end_minute()
        if last_hour_is_kept:
            self._write_minutes()
        self._keeper.growing = None
        self._keeper.tidy()
        done(from_us(end_us))

    def _write_minutes(self) -> None:
        """What does not lie before the cut is left out: the first frame may have come since."""
        cut_us = self._cut_us()
        minutes = [rows for rows in self._minutes if rows["ts"][0] < cut_us]
        self._minutes = []
        if minutes:
            span = int(minutes[0]["ts"][0]), int(minutes[-1]["ts"][0]) + MINUTE_US
            self._keeper.write_past(span, minutes)

