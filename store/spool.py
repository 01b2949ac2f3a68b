"""A history whose server may be slow, silent or away: frames wait for it on this disk.

`append` returns when the frame is in a SQLite file here, so that no tick waits for a network and
SIGKILL loses nothing. One thread hands them on, in order and once each, and forgets what the
server has committed. Beyond its bound the oldest are given up, counted and said.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.clock import Clock, SystemClock
from core.errors import OrreryError, RetryLaterError
from core.frames import Frame
from core.ports import (
    ChannelHistory,
    Hole,
    Keeping,
    Moment,
    Past,
    Series,
    Store,
    StoreHealth,
    Tier,
)
from core.topology import FloatArray, IndexArray, Topology
from core.vocabulary import METRIC_NAMES
from store.channels import each_once, row_of
from store.tick import frame_of, not_a_mean, values_of
from store.times import from_us, to_us
from store.waiting import WaitingFrames
from store.worker import Worker

log = logging.getLogger(__name__)

READ_S = 1.0
DOUBTFUL_S = 0.1
"""So long a reader waits for frames that were just appended [s]; the second where it was seen that
the server takes none."""
LAGS = 30
BROKEN = "frames are no longer handed to the server because of a defect (see the log); restart"
CLOSE_S = 3.0
PAST_S = 10.0
LOOK_EVERY = timedelta(seconds=5)
LEFT = 7 / 8
"""What is kept of the bound when it was passed."""
HARD = 2
"""Times the bound, nothing more is taken: the thread does not come to giving up."""


Inner = TypeVar("Inner", bound=Keeping)


class Spool(Generic[Inner]):
    """A history before another. ids, columns: of its frames. open_inner: connects;
    RetryLaterError is tried again, whatever else it raises is raised here. hand: one frame to
    the other. budget_bytes: of what waits [B]."""

    def __init__(self, directory: Path, open_inner: Callable[[], Inner], ids: Sequence[str],
                 columns: int, hand: Callable[[Inner, int, FloatArray], None], *,
                 budget_bytes: int, clock: Clock | None) -> None:
        self._clock = clock or SystemClock()
        self._open_inner, self._hand, self._budget_bytes = open_inner, hand, budget_bytes
        self._inner: Inner | None = None
        self._error, self._given_up, self._handed = "", 0, 0
        self._known = StoreHealth(None, None, 0, 0)
        self._looked_at: datetime | None = None
        try:
            self._open()
        except RetryLaterError as error:
            self._failed(error)
        try:
            self._waiting = WaitingFrames(directory, ids, columns, self._clock)
        except BaseException:
            self._leave()
            raise
        self._appending = threading.Lock()
        self._first_us, self._last_us = self._waiting.bounds()
        if self._known.newest is not None:
            self._last_us = max(self._last_us, to_us(self._known.newest))
        self._in_doubt, self._closed = True, False
        self._worker = Worker("spool", self._work)
        self._worker.ask()

    # -- writing

    def keep(self, time_us: int, values: FloatArray) -> None:
        """float32[columns, ids]; raises RetryLaterError when this disk does not take it, or the
        clock went back."""
        with self._appending:
            self._refuse(time_us)
            self._waiting.add(time_us, values)
            self._first_us, self._last_us = min(self._first_us, time_us), time_us
        self._worker.ask()

    def _refuse(self, time_us: int) -> None:
        self._refuse_closed()
        if time_us <= self._last_us:
            raise RetryLaterError(
                f"the clock stepped back: {from_us(time_us).isoformat()} is not later than the "
                f"newest kept frame of {from_us(self._last_us).isoformat()}; correct the clock")
        if self._waiting.size > HARD * self._budget_bytes:
            raise RetryLaterError(f"{self._waiting.count} frames wait for the server and no more "
                                  f"have room; {self._error or 'it is silent'}")

    def _work(self) -> None:
        try:
            self._make_room()
            self._hand_on()
        except OrreryError as error:
            self._in_doubt = True
            self._failed(error)
        else:
            if self._error:
                log.info("history: the server takes frames again")
            self._error = ""

    def _failed(self, error: OrreryError) -> None:
        if not self._error:
            log.error("history: frames wait on this disk: %s", error)
        self._error = str(error)

    def _make_room(self) -> None:
        if self._waiting.size > self._budget_bytes:
            gone = self._waiting.drop_oldest(int(self._budget_bytes * LEFT))
            if not self._given_up:
                log.error("history: too many frames wait for the server; the oldest are given up")
            self._given_up += gone

    def _hand_on(self) -> None:
        """All that waits, oldest first."""
        inner = self._open()
        if self._in_doubt:
            self._forget_what_is_there(inner)
            self._in_doubt = False
        while not self._closed and (found := self._waiting.oldest()):
            for stored in found:
                self._hand(inner, stored.time_us, self._waiting.values(stored))
                self._handed += 1
                self._waiting.drop(stored.time_us)
        self._look(inner)

    def _open(self) -> Inner:
        if self._inner is None:
            self._inner = self._open_inner()
            self._look(self._inner)
        return self._inner

    def _forget_what_is_there(self, inner: Inner) -> None:
        """A commit whose answer was lost is there; what is older than the newest can never be."""
        health = inner.health()
        if health.newest is None:
            if health.error:
                raise RetryLaterError(health.error)
            return
        newest_us, late = to_us(health.newest), 0
        while (found := [one for one in self._waiting.oldest() if one.time_us <= newest_us]):
            self._waiting.drop(found[-1].time_us)
            late += len(found)
        if late > 1:
            log.warning("history: %d frames that waited are older than what another process wrote "
                        "meanwhile, until %s; they are given up", late, health.newest)
            self._given_up += late

    def _look(self, inner: Inner, *, now: bool = False) -> None:
        """At the server's own state, not at every frame."""
        at = self._clock.now()
        if (now or self._looked_at is None or self._known.oldest is None
                or not timedelta(0) <= at - self._looked_at < LOOK_EVERY):
            found = inner.health()
            if found.newest is not None or not found.error:
                self._known, self._looked_at = found, at

    def tell(self, backfill: Callable[[Inner], None]) -> None:
        """A past, where the server answers; raises RetryLaterError, GiveUpError."""
        self._worker.settle(PAST_S)
        inner = self.answering()
        backfill(inner)
        self._look(inner, now=True)

    def settle(self) -> None:
        """Wait until everything that was appended is tried (tests, benches)."""
        self._worker.settle()
        if self._inner is not None:
            self._look(self._inner, now=True)

    def answering(self) -> Inner:
        """The server, with what was appended until now, or while it catches up; raises
        RetryLaterError where it is away or silent."""
        self._refuse_closed()
        before = self._handed
        in_time = self._worker.settle(DOUBTFUL_S if self._error else READ_S)
        if self._inner is None or not (in_time or self._handed > before):
            raise RetryLaterError(self._error or "the server of this history is silent; see that "
                                  "it runs")
        return self._inner

    def _refuse_closed(self) -> None:
        if self._closed:
            raise RetryLaterError("this history is closed; open it again")

    # -- reading

    def health(self) -> StoreHealth:
        """As last seen, so that nobody waits for a server that is silent."""
        error, waiting = self._error, self._waiting.count
        if self._worker.broken:
            error = BROKEN
        elif not error and waiting > LAGS:
            error = "the server lags behind"
        if error:
            given_up = f", {self._given_up} were given up" if self._given_up else ""
            error = f"{error} ({waiting} frames wait on this disk{given_up})"
        if self._last_us < 0:
            return replace(self._known, error=error)
        return replace(self._known, oldest=self._known.oldest or from_us(self._first_us),
                       newest=from_us(self._last_us), error=error)

    def close(self) -> None:
        """What the server did not take in time stays on this disk for the next start; safe to
        call twice."""
        if self._closed:
            return
        self._worker.settle(CLOSE_S)
        self._closed = True
        self._worker.stop()
        self._leave()
        self._waiting.close()

    def _leave(self) -> None:
        if self._inner is not None:
            self._inner.close()


class SpooledStore(Spool[Store]):
    """`core.ports.Store` before another."""

    def __init__(self, directory: Path, open_inner: Callable[[], Store], topology: Topology, *,
                 budget_bytes: int, clock: Clock | None = None) -> None:
        super().__init__(directory, open_inner, topology.ids, len(METRIC_NAMES), _hand_frame,
                         budget_bytes=budget_bytes, clock=clock)

    def append(self, frame: Frame) -> None:
        """Raises RetryLaterError when this disk does not take it, or the clock went back."""
        self.keep(to_us(frame.time), values_of(frame))

    def backfill(self, frames: Iterator[Frame], done: Callable[[datetime], None],
                 hole: Hole | None = None) -> None:
        """Where the server answers; raises RetryLaterError, GiveUpError."""
        self.tell(lambda inner: inner.backfill(frames, done, hole))

    def amend(self, frames: Iterator[Frame], nodes: IndexArray) -> None:
        """Where the server answers; raises RetryLaterError."""
        self.tell(lambda inner: inner.amend(frames, nodes))

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        """As the store behind; raises RetryLaterError where it does not answer."""
        return self.answering().series(node_ids, metrics, start, end, max_points)

    def moment_at(self, when: datetime) -> Moment | None:
        """As `series`."""
        to_us(when)
        return self.answering().moment_at(when)

    def frame_at(self, when: datetime) -> Frame | None:
        """As `series`."""
        return not_a_mean(self.moment_at(when))


class SpooledChannels(Spool[ChannelHistory]):
    """`core.ports.ChannelHistory` before another."""

    def __init__(self, directory: Path, open_inner: Callable[[], ChannelHistory],
                 channel_ids: Sequence[str], *, budget_bytes: int, clock: Clock | None = None,
                 ) -> None:
        self._channels = len(each_once(channel_ids))
        super().__init__(directory, open_inner, channel_ids, 1, _hand_row,
                         budget_bytes=budget_bytes, clock=clock)

    def append(self, time: datetime, values: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """One value a channel; raises as `SpooledStore.append`."""
        self.keep(to_us(time), row_of(values, self._channels))

    def backfill(self, pieces: Iterator[Past], done: Callable[[datetime], None]) -> None:
        """As `SpooledStore.backfill`."""
        self.tell(lambda inner: inner.backfill(pieces, done))

    def series(self, channel_ids: Sequence[str], start: datetime, end: datetime,
               max_points: int = 1000, tier: Tier = "auto") -> list[Series]:
        """As the history behind; raises RetryLaterError where it does not answer."""
        return self.answering().series(channel_ids, start, end, max_points, tier)


def _hand_frame(inner: Store, time_us: int, values: FloatArray) -> None:
    inner.append(frame_of(time_us, values))


def _hand_row(inner: ChannelHistory, time_us: int, values: FloatArray) -> None:
    inner.append(from_us(time_us), values[0])
