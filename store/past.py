"""Writes a told past as minutes and hours, one file after the other, beside `append`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from core.errors import GiveUpError, OrreryError
from core.ports import Hole
from store.files import HOUR, MINUTE, PERIOD_US
from store.keeper import Lengths
from store.rollup import Block, Rows, between, joined_blocks, rolled_up
from store.spans import Span
from store.times import FOREVER_US, HOUR_US, MINUTE_US, ceil_to, floor_to, from_us, to_us

PIECE_BYTES = 32 * 1024 * 1024
"""A file's worth of a large site is written in pieces, and merged when it is whole."""
ROW_BYTES = 20
"""Of a rollup row's keys, and again of each column."""


@dataclass(frozen=True, slots=True)
class Told:
    """A piece of a past. hours_only: it is too far back for minutes."""

    block: Block
    hours_only: bool = False


class PastKeeper(Protocol):
    """Where minutes and hours of a past are written. lengths: how much is written at once.
    growing: hours that may still be added to. piece_bytes: what may wait in memory [B]."""

    growing: Span | None
    lengths: Lengths

    @property
    def piece_bytes(self) -> int: ...

    def write_past(self, tier: str, rows: Sequence[Rows]) -> None:
        """Minutes or hours, each sorted by (sid, ts)."""
        ...

    def roll_up_whole(self, minutes: Rows) -> None:
        """The hours of minutes that were just written, to which none will be added."""
        ...

    def tidy(self) -> None:
        """What was written may be merged."""
        ...


class PastWriter:
    """One `write` at a time. `first_us` tells the first appended frame, None before it.

    An hour is kept as its first sample says: as minutes, rolled up by the keeper, or as an
    hour alone. The one that the past ends in has minutes: live ones may join them.
    """

    def __init__(self, keeper: PastKeeper, columns: tuple[str, ...],
                 first_us: Callable[[], int | None]) -> None:
        self._keeper = keeper
        self._columns = columns
        self._first_us = first_us
        self._reset()

    def _reset(self) -> None:
        self._keeper.growing = None
        self._hole: Span | None = None
        self._tier = MINUTE
        self._last_us, self._step_us = 0, MINUTE_US
        self._open: list[Block] = []
        self._rows: list[Rows] = []
        self._rows_bytes = 0

    def _cut_us(self) -> int:
        """The past ends with the minute before the first appended frame's, or its hole's end."""
        if self._hole is not None:
            return self._hole[1]
        first_us = self._first_us()
        return FOREVER_US if first_us is None else floor_to(first_us, MINUTE_US)

    def write(self, pieces: Iterator[Told], done: Callable[[datetime], None],
              hole: Span | None = None) -> None:
        """An hour that the past does not finish is dropped, except the one of the first
        appended frame; of that one, and within a hole, the whole minutes are kept. Raises
        GiveUpError.
        """
        self._hole = hole
        if hole is not None:
            self._keeper.growing = floor_to(hole[0], HOUR_US), ceil_to(hole[1], HOUR_US)
        try:
            for piece in pieces:
                if len(piece.block):
                    self._refuse_falling(piece.block)
                    block, late = piece.block.split(self._cut_us())
                    _, block = block.split(0 if hole is None else hole[0])
                    if len(block):
                        self._tell(block, piece.hours_only, done)
                    if len(late):
                        break
            if self._last_us:
                self._finish(done)
        except OrreryError:
            self._keep_whole_hours()
            raise
        finally:
            self._reset()

    def _refuse_falling(self, block: Block) -> None:
        steps_us = np.diff(block.ts, prepend=self._last_us)
        if (steps_us <= 0).any():
            late = int(np.argmax(steps_us <= 0))
            before_us = int(block.ts[late - 1]) if late else self._last_us
            raise GiveUpError(f"a past whose times do not rise: {from_us(int(block.ts[late]))} "
                              f"after {from_us(before_us)}; this is a defect of its source")

    # -- gathering

    def _tell(self, block: Block, hours_only: bool, done: Callable[[datetime], None]) -> None:
        """Samples of the hour in hand are kept as it is, the others as they say."""
        in_hand, rest = block.split(floor_to(self._last_us, HOUR_US) + HOUR_US)
        for part, tier in ((in_hand, self._tier), (rest, HOUR if hours_only else MINUTE)):
            for file in part.periods(self._keeper.lengths.of(tier)):
                for piece in file.periods(self._at_once_us(tier, len(block.sids))):
                    self._take(piece, tier, done)

    def _at_once_us(self, tier: str, nodes: int) -> int:
        """A file's time, or so little of it that its rows are no more than a piece [us]."""
        bucket_bytes = nodes * ROW_BYTES * (1 + len(self._columns))
        buckets = self._keeper.lengths.of(tier) // PERIOD_US[tier]
        while buckets > 1 and buckets * bucket_bytes > self._piece_bytes():
            buckets //= 2
        return buckets * PERIOD_US[tier]

    def _piece_bytes(self) -> int:
        return min(PIECE_BYTES, self._keeper.piece_bytes)

    def _take(self, block: Block, tier: str, done: Callable[[datetime], None]) -> None:
        """`block` lies in one file."""
        first_us, last_us = int(block.ts[0]), int(block.ts[-1])
        begin_us = floor_to(first_us, self._keeper.lengths.of(tier) if tier == self._tier
                            else HOUR_US)
        if self._last_us < begin_us:
            self._end_file(begin_us)
            if self._last_us:
                done(from_us(begin_us))
        self._tier = tier
        before_us = int(block.ts[-2]) if len(block) > 1 else self._last_us
        self._step_us = last_us - before_us if before_us else self._step_us
        bucket_us = floor_to(last_us, PERIOD_US[tier])
        if self._last_us < bucket_us and not self._fills_file(block, tier):
            whole, block = block.split(bucket_us)
            self._open += [whole] if len(whole) else []
            self._end_bucket()
        self._open.append(block)
        self._last_us = last_us

    def _fills_file(self, block: Block, tier: str) -> bool:
        """Whether all of a file's time is in one block: it is rolled up as a whole."""
        first, last = (int(block.ts[at]) // PERIOD_US[tier] for at in (0, -1))
        return last - first + 1 == self._keeper.lengths.of(tier) // PERIOD_US[tier]

    def _is_whole_file(self, minutes: Rows, until_us: int) -> bool:
        """Whether nothing of their file was written before, or will be left out."""
        first_us = int(minutes["ts"].min())
        return until_us - first_us == self._keeper.lengths.of(MINUTE) and until_us <= self._cut_us()

    def _end_bucket(self) -> None:
        """No sample is added to the minutes, or hours, of what is open."""
        if self._open:
            rows = rolled_up(joined_blocks(self._open), self._columns, PERIOD_US[self._tier])
            self._rows.append(rows)
            self._rows_bytes += sum(column.nbytes for column in rows.values())
            self._open = []
        if self._rows_bytes > self._piece_bytes():
            self._write_rows()

    def _end_file(self, until_us: int) -> None:
        """Everything before `until_us` is told. Hours of a file in one piece are known at once;
        the keeper reads the others back."""
        self._end_bucket()
        minutes = self._rows if self._tier == MINUTE else []
        self._write_rows()
        if len(minutes) == 1 and self._is_whole_file(minutes[0], until_us):
            self._keeper.roll_up_whole(minutes[0])
        self._keeper.growing = until_us, ceil_to(max(self._cut_us(), until_us), HOUR_US)
        self._keeper.tidy()

    # -- ending

    def _finish(self, done: Callable[[datetime], None]) -> None:
        end_us, cut_us = self._last_us + self._step_us, self._cut_us()
        hour_end_us = floor_to(self._last_us, HOUR_US) + HOUR_US
        if self._tier == HOUR and min(end_us, cut_us) < hour_end_us:
            self._write_rows()
            self._tier = MINUTE
        last_bucket_end_us = floor_to(self._last_us, PERIOD_US[self._tier]) + PERIOD_US[self._tier]
        if self._hole is not None or end_us >= min(last_bucket_end_us, cut_us):
            self._end_bucket()
        if cut_us == FOREVER_US or end_us >= min(cut_us, hour_end_us):
            self._write_rows()
        else:
            self._keep_whole_hours()
        self._keeper.growing = None
        self._keeper.tidy()
        done(from_us(end_us))

    def _keep_whole_hours(self) -> None:
        """Of what is gathered, those before the last sample's hour; in a hole, all."""
        last_us = FOREVER_US if self._hole is not None else floor_to(self._last_us, HOUR_US)
        self._rows = [between(rows, 0, last_us) for rows in self._rows]
        self._write_rows()

    def _write_rows(self) -> None:
        """What does not lie before the cut is left out: the first frame may have come since."""
        last_us = self._cut_us() - PERIOD_US[self._tier]
        rows = [between(part, 0, last_us + 1) for part in self._rows]
        rows = [part for part in rows if len(part["ts"])]
        self._rows, self._rows_bytes = [], 0
        if rows:
            self._keeper.write_past(self._tier, rows)


def whole_minutes(hole: Hole) -> Span | None:
    """Those that lie within a hole; None where there is none."""
    first_us = floor_to(to_us(hole.after), MINUTE_US) + MINUTE_US
    end_us = floor_to(to_us(hole.until), MINUTE_US)
    return (first_us, end_us) if first_us < end_us else None
