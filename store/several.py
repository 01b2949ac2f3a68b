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
from queue import Full, Queue
from typing import TypeVar

import numpy as np

from core.errors import GiveUpError, OrreryError, RetryLaterError, UnknownIdError
from core.frames import Frame
from core.ports import Moment, Series, Store, StoreHealth
from store.tick import not_a_mean

log = logging.getLogger(__name__)

AHEAD = 64
"""Frames of a past by which the quickest store may be ahead of the slowest."""
LOOK_S = 0.5
ABOUT = 2
"""Points that may be missing at a span's beginning: it is known all the same."""

Answer = TypeVar("Answer")


class SeveralStores:
    """`core.ports.Store` of stores by name, in the order in which they are asked."""

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._stores = dict(stores)
        self._errors: dict[str, str] = {}

    # -- writing

    def append(self, frame: Frame) -> None:
        """Raises RetryLaterError where no store takes it."""
        taken = [self._tried(name, lambda store=store: store.append(frame))  # type: ignore[misc]
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

    def backfill(self, frames: Iterator[Frame], done: Callable[[datetime], None]) -> None:
        """Into each at its own pace; `done` tells of the first. Raises what the first that
        failed raised, where all did."""
        feeds = [_Feed(store, done if first else _nothing)
                 for first, store in zip([True, *[False] * len(self._stores)],
                                         self._stores.values(), strict=False)]
        for frame in frames:
            taken = [feed.put(frame) for feed in feeds]
            if not any(taken):
                break
        failed = [error for feed in feeds if (error := feed.end()) is not None]
        for error in failed:
            log.error("a past was not told: %s", error)
        if len(failed) == len(feeds):
            raise failed[0]

    # -- reading

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        """Of the first store that knows the span from its beginning; of the one that reaches
        back furthest where none does. Raises RetryLaterError where none answers."""
        best: list[Series] | None = None
        best_s, start_s = math.inf, start.timestamp()
        problems: list[OrreryError] = []
        for store in self._stores.values():
            if best is not None and not _reaches(store, best_s):
                continue
            try:
                found = store.series(node_ids, metrics, start, end, max_points)
            except (RetryLaterError, GiveUpError, UnknownIdError) as error:
                problems.append(error)
                continue
            begins_s, step_s = _beginning(found)
            if best is None or begins_s < best_s:
                best, best_s = found, begins_s
            if best_s <= start_s + ABOUT * step_s:
                break
        return _told(best, problems)

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

    def _part(self, name: str, store: Store) -> StoreHealth:
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


def _nothing(*_: object) -> None:
    return None


def _reaches(store: Store, before_s: float) -> bool:
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


def _told(answer: Answer | None, problems: Sequence[OrreryError]) -> Answer:
    if answer is None:
        raise next((error for error in problems if isinstance(error, UnknownIdError)),
                   problems[0])
    return answer


class _Feed:
    """Hands a past to one store on a thread of its own."""

    def __init__(self, store: Store, done: Callable[[datetime], None]) -> None:
        self._queue: Queue[Frame | None] = Queue(AHEAD)
        self._error: OrreryError | None = None
        self._thread = threading.Thread(target=self._run, args=(store, done), name="past",
                                        daemon=True)
        self._thread.start()

    def put(self, frame: Frame | None) -> bool:
        """Waits for room; False where the store has given up."""
        while self._thread.is_alive():
            try:
                self._queue.put(frame, timeout=LOOK_S)
            except Full:
                continue
            return True
        return False

    def end(self) -> OrreryError | None:
        """Why it was not told, None when it was."""
        self.put(None)
        self._thread.join()
        return self._error

    def _run(self, store: Store, done: Callable[[datetime], None]) -> None:
        try:
            store.backfill(self._frames(), done)
        except OrreryError as error:
            self._error = error

    def _frames(self) -> Iterator[Frame]:
        while (frame := self._queue.get()) is not None:
            yield frame
