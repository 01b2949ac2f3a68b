"""Float columns of many nodes over time: a hot tail in SQLite, sealed Parquet, one directory.

    lock          who writes here (flock)
    nodes.txt     ids by number, the mirror of a table in hot.sqlite
    hot.sqlite    the last minutes, one blob an instant; numbers of nodes; layouts of blobs
    raw/          FROM-TO.parquet: every sample of whole minutes
    minute/       FROM-TO.parquet: minimum, maximum, mean, last, count of each minute
    hour/         the same of each hour, and how many of its minutes are known
    *.damaged-UTC what could not be read and was set aside

FROM and TO are UTC, the end exclusive, and tell what a file covers.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from core.clock import Clock, SystemClock
from core.errors import ConfigurationError, RetryLaterError
from core.ports import Hole, Series, StoreHealth
from core.topology import FloatArray
from store.amend import minutes_of
from store.amender import Amender
from store.budget import Budget
from store.files import MINUTE, RAW
from store.hot import is_damage
from store.instant import InstantReader, Known
from store.keeper import HOURLY, Keeper, Lengths
from store.lock import DirectoryLock
from store.nodes import SidArray
from store.past import PastWriter, Told, whole_minutes
from store.reading import SealedReader
from store.series import Question, SeriesReader
from store.spans import Span
from store.times import MINUTE_US, SECOND_US, floor_to, from_us, to_us
from store.vault import Vault
from store.worker import Worker

CHECK_BYTES = 8 * 1024 * 1024
PAGES_BYTES = 64 * 1024
"""What one blob costs on disk beside itself, at most."""
PATIENCE_S = 5.0
"""How long `append` waits at most for a seal when the hot tail is too large [s]."""

BROKEN = "history is no longer sealed because of a defect (see the log); restart the app"

Answer = TypeVar("Answer")


class Archive:
    """What every embedded history is: rows of `columns` for each of `ids`, in that order.

    budget_bytes: all that the directory may take [B]. seal_after_s: how much the hot tail
    gathers before it is sealed [s]. lengths: of its files. Raises HistoryLockedError,
    ConfigurationError.
    """

    def __init__(self, directory: Path, ids: Sequence[str], columns: tuple[str, ...], *,
                 budget_bytes: int, seal_after_s: float = 600.0, clock: Clock | None = None,
                 lengths: Lengths = HOURLY) -> None:
        clock = clock or SystemClock()
        self.directory = directory
        _make(directory)
        self._lock = DirectoryLock(directory, clock.now())
        try:
            self._vault = Vault(directory, columns, clock)
            self._open(ids, budget_bytes, int(seal_after_s * SECOND_US), lengths)
        except (OSError, sqlite3.Error) as error:
            self._lock.release()
            raise RetryLaterError(_cannot(directory, "opened", error)) from error

    def _open(self, ids: Sequence[str], budget_bytes: int, seal_after_us: int,
              lengths: Lengths) -> None:
        self._vault.number(ids)
        self.sids = self._vault.nodes.sids(ids)
        """int32[ids]: their numbers, which no history ever gives to another."""
        self._layout = self._vault.hot.layout(self.sids)
        self._budget = Budget(self._vault, budget_bytes)
        self._keeper = Keeper(self._vault, self._budget, seal_after_us, lengths)
        self._reader = SealedReader(self._vault)
        self._series = SeriesReader(self._vault, self._reader)
        self._instants = InstantReader(self._vault, self._reader)
        self._amender = Amender(self._vault, self._keeper, self._reader)
        self._appending = threading.RLock()
        self._error, self._refused = "", 0
        self._check_bytes = min(CHECK_BYTES, max(1, budget_bytes // 32))
        self._unchecked = 0
        self._first_us, self._last_us = self._stored_bounds()
        self._seal_step_us = max(seal_after_us, MINUTE_US)
        self._asked_at_us = self._last_us or 0
        self._past = PastWriter(self._keeper, self._vault.columns, lambda: self._first_us)
        self._closed = False
        self._worker = Worker("history", self._work)
        self._worker.ask()

    def _stored_bounds(self) -> tuple[int | None, int | None]:
        """First and last known instant [us]."""
        catalog, hot = self._vault.catalog, self._vault.hot.bounds()
        starts = [] if catalog.start_us is None else [catalog.start_us]
        ends = [] if catalog.end_us is None else [catalog.end_us - 1]
        if hot is not None:
            starts, ends = [*starts, hot[0]], [*ends, hot[1]]
        return min(starts, default=None), max(ends, default=None)

    # -- writing

    def append(self, time: datetime, values: FloatArray) -> None:
        """Keep float32[columns, ids], C-contiguous, NaN = missing.

        Raises RetryLaterError when the disk or the budget is full, or the clock is back.
        """
        time_us = to_us(time)
        with self._appending:
            self._refuse_closed()
            self._refuse_old(time_us)
            self._within_budget(values.nbytes + PAGES_BYTES)
            self._insert(time_us, values)
            self._error, self._refused = "", 0
            self._first_us = time_us if self._first_us is None else self._first_us
            self._last_us = time_us
        self._ask_for_work(time_us)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise RetryLaterError(f"{self.directory}: this history is closed; open it again")

    def _refuse_old(self, time_us: int) -> None:
        if self._last_us is None or time_us > self._last_us:
            return
        self._refused += 1
        self._error = (
            f"the clock stepped back: {from_us(time_us).isoformat()} is not later than the "
            f"newest kept frame of {from_us(self._last_us).isoformat()}; {self._refused} frames "
            "were not kept, writing goes on when the clock has passed it. If it was ahead "
            f"before, move {self._vault.directory} away")
        raise RetryLaterError(self._error)

    def _within_budget(self, cost: int) -> None:
        """Now and then by the worker, here only when it does not keep up."""
        self._unchecked += cost
        if self._unchecked < 2 * self._check_bytes:
            return
        if self._keeper.hot_is_large():
            self._worker.ask()
            self._worker.settle(PATIENCE_S)
        if not self._budget.make_room(self._headroom_bytes(cost)):
            self._error = (f"{self._vault.directory}: the budget of {self._budget.limit_bytes} "
                           "bytes is too small for the newest minutes alone; raise "
                           "history.budget_mib")
            raise RetryLaterError(self._error)
        self._unchecked = 0

    def _headroom_bytes(self, cost: int = 0) -> int:
        """What may be written before the next look; the WAL and its target grow both [B]."""
        return 2 * (2 * self._check_bytes + cost)

    def _insert(self, time_us: int, values: FloatArray) -> None:
        try:
            self._healing(lambda: self._vault.hot.append(
                time_us, self._layout, values.data.cast("B")))
        except (sqlite3.Error, OSError) as error:
            self._error = _cannot(self._vault.hot.path, "written", error)
            raise RetryLaterError(self._error) from error

    def _healing(self, ask: Callable[[], Answer]) -> Answer:
        """Do it; once more with a fresh hot tail where the present one proves damaged."""
        hot = self._vault.hot
        try:
            return ask()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            with self._appending:
                if self._vault.hot is hot:
                    self._vault.replace_hot(str(error))
                    self._layout = self._vault.hot.layout(self.sids)
            return ask()

    def _answer(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return self._healing(ask)
        except (sqlite3.Error, OSError) as error:
            raise RetryLaterError(_cannot(self.directory, "read", error)) from error

    def _ask_for_work(self, time_us: int) -> None:
        waited_us = floor_to(time_us, MINUTE_US) - floor_to(self._asked_at_us, MINUTE_US)
        if waited_us >= self._seal_step_us or self._unchecked >= self._check_bytes:
            self._asked_at_us = time_us
            self._worker.ask()

    def _work(self) -> None:
        self._healing(lambda: self._keeper.work(self._headroom_bytes()))
        self._unchecked = 0

    def backfill(self, pieces: Iterator[Told], done: Callable[[datetime], None],
                 hole: Hole | None = None) -> None:
        """Write a past that ends before the first row, or in the hole before this opening, beside
        `append`; no raw values.

        done: told up to where everything is written. Raises RetryLaterError, GiveUpError.
        """
        try:
            if hole is None:
                self._past.write(pieces, done)
            elif (span := self._own_hole(hole)) is not None:
                self._past.write(pieces, done, span)
        except OSError as error:
            raise RetryLaterError(_cannot(self._vault.directory, "written", error)) from error
        finally:
            self._know_told()

    def _own_hole(self, hole: Hole) -> Span | None:
        """What of it is behind all that is kept before its end [us], once that is sealed: what is
        sealed must not lie behind what is not. Raises RetryLaterError."""
        span = whole_minutes(hole)
        if span is None:
            return None
        with self._vault.access:
            files = [file.end_us for tier in (RAW, MINUTE)
                     for file in self._vault.catalog.files(tier, 0, span[1])]
            last_us = self._vault.hot.last_before(span[1])
        begin_us = max(span[0], *files, 0 if last_us is None else
                       floor_to(last_us, MINUTE_US) + MINUTE_US)
        if begin_us >= span[1]:
            return None
        self._keeper.seal_before_us = begin_us
        self.settle()
        if self._is_hot(begin_us):
            raise RetryLaterError(self._keeper.error or f"{self.directory}: what was kept before "
                                  "the pause is not sealed yet; restart the app")
        return begin_us, span[1]

    def _know_told(self) -> None:
        """Another past ends before this one."""
        told_us = self._vault.catalog.start_us
        with self._appending:
            if told_us is not None:
                self._first_us = min(told_us, self._first_us or told_us)

    def amend(self, pieces: Iterator[Told], sids: SidArray) -> None:
        """Minutes of some nodes, one piece each, that may know more than what is kept of them;
        those that no file of minutes covers any more are left out. Raises RetryLaterError."""
        rows = minutes_of((piece.block for piece in pieces), self._vault.columns, sids)
        if rows is None:
            return
        self._refuse_closed()
        end_us = int(rows["ts"].max()) + MINUTE_US
        if self._is_hot(end_us):
            self._keeper.seal_before_us = end_us
            self.settle()
            if self._is_hot(end_us):
                raise RetryLaterError(self._keeper.error or f"{self.directory}: the last minutes "
                                      "are not sealed yet; they can be amended then")
        self._answer(lambda: self._amender.amend(rows))

    def _is_hot(self, before_us: int) -> bool:
        """Whether anything older waits to be sealed."""
        bounds = self._vault.hot.bounds()
        return bounds is not None and bounds[0] < before_us

    def settle(self) -> None:
        """Seal what is due and wait until the background work is done (tests, benches)."""
        self._worker.ask()
        self._worker.settle()

    # -- reading

    def knows(self, node_id: str) -> bool:
        """Of now or of earlier."""
        return node_id in self._vault.nodes

    def series(self, ids: Sequence[str], columns: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000, tier: str | None = None) -> list[Series]:
        """One Series an (id, column) with the points of [start, end], both included.

        The caller has checked ids and columns (law 11). tier: MINUTE or HOUR where it is known,
        None for what suits the span. Raises RetryLaterError.
        """
        self._refuse_closed()
        if max_points < 1 or end < start:
            raise ValueError("a series has at least one point, and ends after it starts")
        question = Question(ids, self._vault.nodes.sids(ids), columns,
                            (to_us(start), to_us(end) + 1), max_points, tier)
        return self._answer(lambda: self._series.answer(question))

    def known_at(self, when: datetime) -> Known | None:
        """The newest rows at `when`, at most 90 s older."""
        self._refuse_closed()
        when_us = to_us(when)
        return self._answer(lambda: self._instants.known_at(when_us))

    def health(self) -> StoreHealth:
        first_us, last_us = self._stored_bounds()
        return StoreHealth(
            oldest=None if first_us is None else from_us(first_us),
            newest=None if last_us is None else from_us(last_us),
            size_bytes=self._vault.size(), budget_bytes=self._budget.limit_bytes,
            set_aside=tuple(path.name for path in self._vault.set_aside),
            error=self._error or self._keeper.error or (BROKEN if self._worker.broken else ""))

    def close(self) -> None:
        """What is in the hot tail stays there for the next start; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._worker.stop()
        with self._appending, self._vault.access:
            self._reader.close()
            self._vault.hot.close()
        self._lock.release()


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError("orrery.toml", "history.directory", str(directory),
                                 f"a directory that this process may write ({error})") from error


def _cannot(path: Path, verb: str, error: Exception) -> str:
    return (f"{path} cannot be {verb} ({error}): free disk space or check the disk; "
            "history goes on by itself when it works again")
