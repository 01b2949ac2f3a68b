"""One history in several stores: written to all, read from the first that can answer.

A store that fails is said, and holds up neither the others nor a reader.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from queue import Full, Queue
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import GiveUpError, OrreryError, RetryLaterError, UnknownIdError
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
from core.topology import IndexArray
from store.tick import not_a_mean

log = logging.getLogger(__name__)

FRAMES_AHEAD, DAYS_AHEAD = 64, 3
"""Pieces of a past by which the quickest store may be ahead of the slowest."""
LOOK_S = 0.5
ABOUT = 2
"""Points that may be missing at a span's beginning: it is known all the same."""

Item = TypeVar("Item")


One = TypeVar("One", bound=Keeping)


class Several(Generic[One]):
    """Histories by name, in the order in which they are asked."""

    def __init__(self, stores: Mapping[str, One]) -> None:
        self._stores = dict(stores)
        self._errors: dict[str, str] = {}

    # -- writing

    def write(self, write: Callable[[One], None]) -> None:
        """To all; raises RetryLaterError where none takes it."""
        taken = [self._tried(name, lambda store=store: write(store))  # type: ignore[misc]
                 for name, store in self._stores.items()]
        if not any(taken):
            raise RetryLaterError("; ".join(self._errors[name] for name in self._stores))

    def _tried(self, name: str, write: Callable[[], None]) -> bool:
        try:
            write()
        except OrreryError as error:
            if name not in self._errors:
                log.error("history in %s is not written: %s", name, error)
            self._errors[name] = f"{name}: {error}"
            return False
        if self._errors.pop(name, None) is not None:
            log.info("history in %s is written again", name)
        return True

    def tell(self, pieces: Iterator[Item], ahead: int, done: Callable[[datetime], None],
             backfill: Callable[[One, Iterator[Item], Callable[[datetime], None]], None]) -> None:
        """A past to each at its own pace; `done` tells of the first. ahead: pieces by which the
        quickest may be ahead of the slowest. Raises what the first that failed raised, where all
        did."""
        feeds = [_Feed[Item](partial(backfill, store), done if first else _nothing, ahead)
                 for first, store in zip([True, *[False] * len(self._stores)],
                                         self._stores.values(), strict=False)]
        try:
            for piece in pieces:
                taken = [feed.put(piece) for feed in feeds]
                if not any(taken):
                    break
        except OrreryError as broken:
            for feed in feeds:
                feed.put(broken)
        failed = [error for feed in feeds if (error := feed.end()) is not None]
        for error in failed:
            log.error("a past was not told: %s", error)
        if len(failed) == len(feeds):
            raise failed[0]

    # -- reading

    def first(self, start: datetime, ask: Callable[[One], list[Series]]) -> list[Series]:
        """Of the first store that knows the span from its beginning; of the one that reaches
        back furthest where none does. Raises RetryLaterError where none answers."""
        best: list[Series] | None = None
        best_s, start_s = math.inf, start.timestamp()
        problems: list[OrreryError] = []
        for store in self._stores.values():
            if best is not None and not _reaches(store, best_s):
                continue
            try:
                found = ask(store)
            except (RetryLaterError, GiveUpError, UnknownIdError) as error:
                problems.append(error)
                continue
            begins_s, step_s = _beginning(found)
            if best is None or begins_s < best_s:
                best, best_s = found, begins_s
            if best_s <= start_s + ABOUT * step_s:
                break
        return _told(best, problems)

    def health(self) -> StoreHealth:
        """Of them all: error where nothing is written anywhere, else each one's in `parts`."""
        parts = {name: self._part(name, store) for name, store in self._stores.items()}
        every = list(parts.values())
        oldest = [one.oldest for one in every if one.oldest is not None]
        newest = [one.newest for one in every if one.newest is not None]
        errors = [one.error for one in every]
        return StoreHealth(
            min(oldest, default=None), max(newest, default=None),
            sum(one.size_bytes for one in every), sum(one.budget_bytes for one in every),
            tuple(name for one in every for name in one.set_aside),
            "; ".join(errors) if all(errors) else "", parts)

    def _part(self, name: str, store: One) -> StoreHealth:
        health = store.health()
        return health if health.error else replace(health, error=self._errors.get(name, ""))

    def settle(self) -> None:
        """Of those that work in the background (tests, benches)."""
        for store in self._stores.values():
            getattr(store, "settle", _nothing)()

    def close(self) -> None:
        """Safe to call twice."""
        for store in self._stores.values():
            store.close()


class SeveralStores(Several[Store]):
    """`core.ports.Store` of stores."""

    def append(self, frame: Frame) -> None:
        """Raises RetryLaterError where no store takes it."""
        self.write(lambda store: store.append(frame))

    def backfill(self, frames: Iterator[Frame], done: Callable[[datetime], None],
                 hole: Hole | None = None) -> None:
        """As `tell`."""
        self.tell(frames, FRAMES_AHEAD, done,
                  lambda store, told, reached: store.backfill(told, reached, hole))

    def amend(self, frames: Iterator[Frame], nodes: IndexArray) -> None:
        """In all; raises RetryLaterError where one did not: what is told twice changes nothing."""
        told, problems = list(frames), []
        for name, store in self._stores.items():
            try:
                store.amend(iter(told), nodes)
            except OrreryError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise RetryLaterError("; ".join(problems))

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        """As `first`."""
        return self.first(start, lambda store: store.series(node_ids, metrics, start, end,
                                                            max_points))

    def moment_at(self, when: datetime) -> Moment | None:
        """Of the first store that knows readings of that time; else a mean. Raises
        RetryLaterError where none answers."""
        mean: Moment | None = None
        problems: list[OrreryError] = []
        for store in self._stores.values():
            try:
                found = store.moment_at(when)
            except (RetryLaterError, GiveUpError) as error:
                problems.append(error)
                continue
            if found is not None and found.grain != "hour":
                return found
            mean = mean or found
        if len(problems) == len(self._stores):
            raise problems[0]
        return mean

    def frame_at(self, when: datetime) -> Frame | None:
        """As `moment_at`, of readings alone."""
        return not_a_mean(self.moment_at(when))


class SeveralChannels(Several[ChannelHistory]):
    """`core.ports.ChannelHistory` of histories."""

    def append(self, time: datetime, values: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """Raises RetryLaterError where no history takes it."""
        self.write(lambda history: history.append(time, values))

    def backfill(self, pieces: Iterator[Past], done: Callable[[datetime], None]) -> None:
        """As `tell`."""
        self.tell(pieces, DAYS_AHEAD, done,
                  lambda history, told, reached: history.backfill(told, reached))

    def series(self, channel_ids: Sequence[str], start: datetime, end: datetime,
               max_points: int = 1000, tier: Tier = "auto") -> list[Series]:
        """As `first`."""
        return self.first(start, lambda history: history.series(channel_ids, start, end,
                                                                max_points, tier))


def _nothing(*_: object) -> None:
    return None


def _reaches(store: Keeping, before_s: float) -> bool:
    """Whether it knows of anything before [s]; one that cannot tell is not waited for."""
    oldest = store.health().oldest
    return oldest is not None and oldest.timestamp() < before_s


def _beginning(found: Sequence[Series]) -> tuple[float, float]:
    """When the first value is of any of them, and what a point stands for [s]; inf: none."""
    begins_s, step_s = math.inf, 0.0
    for one in found:
        known = np.flatnonzero(np.isfinite(one.mean))
        if known.size:
            begins_s = min(begins_s, float(one.time_s[known[0]]))
        step_s = max(step_s, one.resolution_s)
    return begins_s, step_s


def _told(answer: Item | None, problems: Sequence[OrreryError]) -> Item:
    if answer is None:
        raise next((error for error in problems if isinstance(error, UnknownIdError)),
                   problems[0])
    return answer


class _Feed(Generic[Item]):
    """Hands a past to one store on a thread of its own."""

    def __init__(self, backfill: Callable[[Iterator[Item], Callable[[datetime], None]], None],
                 done: Callable[[datetime], None], ahead: int) -> None:
        self._queue: Queue[Item | OrreryError | None] = Queue(ahead)
        self._error: OrreryError | None = None
        self._thread = threading.Thread(target=self._run, args=(backfill, done), name="past",
                                        daemon=True)
        self._thread.start()

    def put(self, piece: Item | OrreryError | None) -> bool:
        """Waits for room; False where the store has given up. An error breaks the past off."""
        while self._thread.is_alive():
            try:
                self._queue.put(piece, timeout=LOOK_S)
            except Full:
                continue
            return True
        return False

    def end(self) -> OrreryError | None:
        """Why it was not told, None when it was."""
        self.put(None)
        self._thread.join()
        return self._error

    def _run(self, backfill: Callable[[Iterator[Item], Callable[[datetime], None]], None],
             done: Callable[[datetime], None]) -> None:
        try:
            backfill(self._pieces(), done)
        except OrreryError as error:
            self._error = error

    def _pieces(self) -> Iterator[Item]:
        while (piece := self._queue.get()) is not None:
            if isinstance(piece, OrreryError):
                raise piece
            yield piece
