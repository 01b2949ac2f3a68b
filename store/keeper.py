"""Background work: seals the hot tail, merges and rolls up what is complete, makes room."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from itertools import groupby
from threading import Lock

from core.errors import OrreryError, RetryLaterError
from store import sealed
from store.budget import Budget
from store.files import HOUR, MINUTE, PART, RAW, Sealed, Span
from store.rollup import Rows
from store.times import DAY_US, HOUR_US, MINUTE_US, ceil_to, floor_to
from store.vault import Vault

SEAL_GROWTH = 1.2
"""A sealed span with its minutes is never larger than its blobs times this."""
EARLY_SHARE = 4
"""The hot tail is sealed early when it takes more than the budget divided by this."""
PIECE_SHARE = 8
"""And at most so much of it at once."""

log = logging.getLogger(__name__)


class Keeper:
    """One thread calls `work`; the one that writes the past calls `tidy` beside it."""

    def __init__(self, vault: Vault, budget: Budget, seal_after_us: int) -> None:
        self._vault = vault
        self._budget = budget
        self._seal_after_us = max(seal_after_us, MINUTE_US)
        self._tidying = Lock()
        self.growing: Span | None = None
        """Hours that a backfill may still add to; not merged yet."""
        self.error = ""

    def work(self, headroom_bytes: int) -> None:
        """Everything that is due; keeps what went wrong in `error` until it works again.

        Raises sqlite3.DatabaseError where the hot tail is damaged.
        """
        try:
            self._vault.hot.checkpoint()
            if self._is_due():
                self._seal_all()
                self.tidy()
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
        waiting = floor_to(bounds[1], MINUTE_US) - floor_to(bounds[0], MINUTE_US)
        return waiting >= (MINUTE_US if self.hot_is_large() else self._seal_after_us)

    def hot_is_large(self) -> bool:
        """So large that it is sealed minute by minute, however young."""
        return self._vault.hot.size() > self._budget.limit_bytes // EARLY_SHARE

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
        most = self._budget.limit_bytes // PIECE_SHARE
        while end - start > MINUTE_US and self._vault.hot.bytes_in(start, end) > most:
            end = start + ceil_to((end - start) // 2, MINUTE_US)
        return start, end

    def _seal(self, span: Span) -> None:
        vault = self._vault
        minutes: list[Rows] = []
        self._written([RAW, MINUTE], span, int(vault.hot.bytes_in(*span) * SEAL_GROWTH),
                      lambda: self._write_raw(span, minutes), lambda: sealed.write_rollup(
                          vault.part_path(MINUTE, span), minutes))
        vault.hot.delete_before(span[1])

    def _write_raw(self, span: Span, minutes: list[Rows]) -> None:
        blocks = self._vault.hot.blocks(*span)
        minutes += sealed.write_raw(self._vault.part_path(RAW, span), blocks)

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

    def write_past(self, span: Span, minutes: Sequence[Rows]) -> None:
        """Minutes of the past as one file of whole minutes within one hour.

        The hour of the first live frame may be rolled up already: it is, then, anew.
        """
        size = sum(column.nbytes for rows in minutes for column in rows.values())
        self._written([MINUTE], span, size, lambda: sealed.write_rollup(
            self._vault.part_path(MINUTE, span), minutes))
        with self._tidying:
            self._vault.discard([file for file in self._vault.catalog.files(HOUR, *span)
                                 if file.end_us - file.start_us == HOUR_US])

    # -- merging

    def tidy(self) -> None:
        """Roll up complete hours, and merge the pieces of complete hours and days."""
        with self._tidying:
            for start, pieces in self._complete(MINUTE, HOUR_US):
                hours = self._vault.catalog.files(HOUR, start, start + HOUR_US)
                if not hours:
                    self._merge(HOUR, (start, start + HOUR_US), pieces, HOUR_US)
                if len(pieces) > 1:
                    self._merge(MINUTE, _span_of(pieces), pieces)
            for _, pieces in self._complete(HOUR, DAY_US):
                if len(pieces) > 1:
                    self._merge(HOUR, _span_of(pieces), pieces)

    def _complete(self, tier: str, period_us: int) -> list[tuple[int, list[Sealed]]]:
        """Files of each period that nothing is added to any more."""
        catalog = self._vault.catalog
        with self._vault.access:
            files, until = catalog.files(tier), catalog.end_us or 0
        found = []
        for start, group in groupby(files, lambda f: floor_to(f.start_us, period_us)):
            end = start + period_us
            growing = self.growing
            if end <= until and not (growing and start < growing[1] and end > growing[0]):
                found.append((start, list(group)))
        return found

    def _merge(self, tier: str, span: Span, pieces: Sequence[Sealed],
               period_us: int | None = None) -> None:
        """A piece that cannot be read is set aside; the rest is merged at the next turn."""
        size = sum(piece.size for piece in pieces)
        path = self._vault.part_path(tier, span)
        try:
            self._written([tier], span, size, lambda: sealed.merge(path, pieces, period_us),
                          instead=() if period_us else pieces)
        except sealed.UnreadableError as error:
            self._vault.put_aside(error.file, str(error))


def _span_of(pieces: Sequence[Sealed]) -> Span:
    return pieces[0].start_us, max(piece.end_us for piece in pieces)

