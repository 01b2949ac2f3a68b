"""Background work: seals the hot tail, merges and rolls up what is complete, makes room."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from threading import Lock

from core.errors import OrreryError, RetryLaterError
from store import sealed
from store.budget import Budget
from store.files import HOUR, MINUTE, PART, PERIOD_US, RAW, TIERS, Sealed
from store.rollup import Rows, coarser
from store.spans import Span, minus
from store.times import DAY_US, HOUR_US, MINUTE_US, ceil_to, floor_to
from store.vault import Vault

SEAL_GROWTH = 1.2
MINUTE_BYTES = 2048
FILE_BYTES = 8192
"""A sealed span with its minutes is never larger than its blobs times SEAL_GROWTH and these."""
EARLY_SHARE = 4
"""The hot tail is sealed early when it takes more than the budget divided by this."""
PIECE_SHARE = 8
"""And at most so much of it at once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lengths:
    """How much time the files hold that `tidy` makes [us].

    minute_us: rising; files of minutes are merged to each in turn, and rolled up by the last.
    hour_us: of files of hours.
    """

    minute_us: tuple[int, ...]
    hour_us: int

    def of(self, tier: str) -> int:
        return self.hour_us if tier == HOUR else self.minute_us[-1]


HOURLY = Lengths(minute_us=(HOUR_US,), hour_us=DAY_US)
DAILY = Lengths(minute_us=(HOUR_US, DAY_US), hour_us=32 * DAY_US)
"""For tens of nodes, of which an hour is hardly more than a file's own overhead."""


class Keeper:
    """One thread calls `work`; the one that writes the past calls `tidy` beside it."""

    def __init__(self, vault: Vault, budget: Budget, seal_after_us: int,
                 lengths: Lengths = HOURLY) -> None:
        self._vault = vault
        self._budget = budget
        self._seal_after_us = max(seal_after_us, MINUTE_US)
        self.lengths = lengths
        self.tidying = Lock()
        """Held by whoever changes sealed files."""
        self.growing: Span | None = None
        """Hours that a backfill may still add to; not merged yet."""
        self.seal_before_us = 0
        """What is older is sealed, however young it is [us]."""
        self.error = ""

    def work(self, headroom_bytes: int) -> None:
        """Everything that is due; keeps what went wrong in `error` until it works again.

        Raises sqlite3.DatabaseError where the hot tail is damaged.
        """
        try:
            self._vault.hot.checkpoint()
            if self._is_due():
                self._seal_all()
                self._tidy_unless_busy()
            self._vault.hot.checkpoint()
            if self.hot_is_large():
                self._vault.hot.shrink()
                self._vault.hot.checkpoint()
            self._budget.make_room(headroom_bytes)
        except (OSError, sqlite3.OperationalError, sealed.WriteError, OrreryError) as error:
            if not self.error:
                log.error("history is not sealed, and tried again: %s", error)
            self.error = f"{self._vault.directory}: {error}"
        else:
            if self.error:
                log.info("history is sealed again")
            self.error = ""

    def _is_due(self) -> bool:
        bounds = self._vault.hot.bounds()
        if bounds is None:
            return False
        if bounds[0] < self.seal_before_us:
            return True
        waiting = floor_to(bounds[1], MINUTE_US) - floor_to(bounds[0], MINUTE_US)
        return waiting >= (MINUTE_US if self.hot_is_large() else self._seal_after_us)

    def hot_is_large(self) -> bool:
        """So large that it is sealed minute by minute, however young."""
        return self._vault.hot.size() > self._budget.limit_bytes // EARLY_SHARE

    @property
    def piece_bytes(self) -> int:
        """What may be written at once, before it is compressed [B]."""
        return self._budget.limit_bytes // PIECE_SHARE

    # -- sealing

    def _seal_all(self) -> None:
        span = self._next_span()
        while span is not None:
            self._seal(span)
            span = self._next_span()

    def _next_span(self) -> Span | None:
        """Whole minutes of one clock hour that are no longer written to."""
        hot = self._vault.hot
        bounds = hot.bounds()
        if bounds is None:
            return None
        start = floor_to(max(bounds[0], self._vault.sealed_until_us), MINUTE_US)
        end = min(floor_to(start, HOUR_US) + HOUR_US, floor_to(bounds[1], MINUTE_US))
        last = hot.last_before(end)
        if last is None or last < start:
            return None
        return self._fitting((start, floor_to(last, MINUTE_US) + MINUTE_US))

    def _fitting(self, span: Span) -> Span:
        """Shorter where the whole would take too much of the budget at once."""
        start, end = span
        while (end - start > MINUTE_US
               and self._vault.hot.bytes_in(start, end) > self.piece_bytes):
            end = start + ceil_to((end - start) // 2, MINUTE_US)
        return start, end

    def _seal(self, span: Span) -> None:
        vault = self._vault
        minutes: list[Rows] = []
        size = (int(vault.hot.bytes_in(*span) * SEAL_GROWTH) + FILE_BYTES
                + (span[1] - span[0]) // MINUTE_US * MINUTE_BYTES)
        self._written([RAW, MINUTE], span, size, lambda: self._write_raw(span, minutes),
                      lambda: self._write_rollup(MINUTE, span, minutes))
        vault.hot.delete_before(span[1])

    def _write_raw(self, span: Span, minutes: list[Rows]) -> None:
        vault = self._vault
        minutes += sealed.write_raw(vault.part_path(RAW, span), vault.columns,
                                    vault.hot.blocks(*span))

    def _write_rollup(self, tier: str, span: Span, rows: Sequence[Rows]) -> None:
        sealed.write_rollup(self._vault.part_path(tier, span), self._vault.columns, rows,
                            PERIOD_US[tier])

    def _written(self, tiers: Sequence[str], span: Span, size: int, *writes: Callable[[], None],
                 instead: Sequence[Sealed] = ()) -> None:
        """Write and publish within the budget; leaves nothing behind when it fails."""
        with self._budget.promised(size) as granted:
            if not granted:
                raise RetryLaterError(
                    f"the budget of {self._budget.limit_bytes} bytes is too small to keep "
                    "history; raise history.budget_mib")
            try:
                for write in writes:
                    write()
                self._vault.publish(tiers, span, instead)
            finally:
                for tier in tiers:
                    path = self._vault.part_path(tier, span)
                    path.with_name(path.name + PART).unlink(missing_ok=True)

    def write_past(self, tier: str, rows: Sequence[Rows]) -> None:
        """Minutes or hours of the past, each sorted by (sid, ts), as one file.

        The hour of the first live frame may be rolled up already: it is, then, anew.
        """
        span = (min(int(part["ts"].min()) for part in rows),
                max(int(part["ts"].max()) for part in rows) + PERIOD_US[tier])
        size = FILE_BYTES + sum(column.nbytes for part in rows for column in part.values())
        self._written([tier], span, size, lambda: self._write_rollup(tier, span, rows))
        if tier == MINUTE:
            with self.tidying:
                self._vault.discard([file for file in self._vault.catalog.files(HOUR, *span)
                                     if file.end_us - file.start_us <= self.lengths.of(MINUTE)])

    def roll_up_whole(self, minutes: Rows) -> None:
        """The hours of minutes that were just written and are a file of their own."""
        self.write_past(HOUR, [coarser(minutes, self._vault.columns, HOUR_US)])

    # -- merging

    def tidy(self) -> None:
        """Merge the pieces of complete hours and days, and roll up what is merged."""
        with self.tidying:
            self._tidy()

    def _tidy_unless_busy(self) -> None:
        """Minutes that came late may take long: sealing goes on meanwhile, because `append` waits
        for it where the hot tail is large. What is left is done at the next turn."""
        if self.tidying.acquire(blocking=False):
            try:
                self._tidy()
            finally:
                self.tidying.release()

    def _tidy(self) -> None:
        """Under `tidying`."""
        for period_us in self.lengths.minute_us:
            self._merge_all(MINUTE, period_us)
        for pieces in self._complete(MINUTE, self.lengths.of(MINUTE)):
            self._roll_up(pieces)
        self._merge_all(HOUR, self.lengths.hour_us)

    def _roll_up(self, pieces: Sequence[Sealed]) -> None:
        """Those of their hours that are not known yet."""
        hours = [(floor_to(run[0].start_us, HOUR_US), ceil_to(run[-1].end_us, HOUR_US))
                 for run in self._runs(pieces)]
        known = self._vault.catalog.files(HOUR, hours[0][0], hours[-1][1])
        for span in minus(hours, [(file.start_us, file.end_us) for file in known])[1]:
            own = [piece for piece in pieces
                   if piece.start_us < span[1] and piece.end_us > span[0]]
            self.rewritten(HOUR, span, own, partial(
                sealed.merge_coarser, columns=self._vault.columns, inputs=own,
                period_us=HOUR_US, span=span))

    def _merge_all(self, tier: str, period_us: int) -> None:
        for pieces in self._complete(tier, period_us):
            for run in self._runs(pieces):
                if len(run) > 1:
                    self.rewritten(tier, _span_of(run), run, partial(
                        sealed.merge, columns=self._vault.columns, inputs=run), instead=run)

    def _runs(self, pieces: Sequence[Sealed]) -> list[list[Sealed]]:
        """Pieces between which no other tier knows an hour: a merged file's name would hide it."""
        runs: list[list[Sealed]] = []
        for piece in pieces:
            if runs and self._is_void(runs[-1][-1].end_us, piece.start_us):
                runs[-1].append(piece)
            else:
                runs.append([piece])
        return runs

    def _is_void(self, start_us: int, end_us: int) -> bool:
        first, last = ceil_to(start_us, HOUR_US), floor_to(end_us, HOUR_US)
        return first >= last or not any(
            self._vault.catalog.files(tier, first, last) for tier in TIERS)

    def _complete(self, tier: str, period_us: int) -> list[list[Sealed]]:
        """Files of each period that nothing is added to any more."""
        catalog = self._vault.catalog
        with self._vault.access:
            files, until = catalog.files(tier), catalog.end_us or 0
        found = []
        for start, group in groupby(files, lambda f: floor_to(f.start_us, period_us)):
            end = start + period_us
            growing = self.growing
            if end <= until and not (growing and start < growing[1] and end > growing[0]):
                found.append(list(group))
        return found

    def rewritten(self, tier: str, span: Span, pieces: Sequence[Sealed],
                  write: Callable[[Path], None], instead: Sequence[Sealed] = ()) -> None:
        """Under `tidying`. A piece that cannot be read is set aside; the rest is done at the
        next turn."""
        size = FILE_BYTES + sum(piece.size for piece in pieces)
        path = self._vault.part_path(tier, span)
        try:
            self._written([tier], span, size, lambda: write(path), instead=instead)
        except sealed.UnreadableError as error:
            self._vault.put_aside(error.file, str(error))


def _span_of(pieces: Sequence[Sealed]) -> Span:
    return pieces[0].start_us, max(piece.end_us for piece in pieces)

