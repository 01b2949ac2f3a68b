"""The embedded history of the battery tree: frames in an archive with a column a metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from core.clock import Clock
from core.errors import UnknownIdError
from core.frames import Frame
from core.ports import Hole, Moment, Series, StoreHealth
from core.topology import IndexArray, Topology
from core.vocabulary import BY_NAME, METRIC_NAMES
from store.archive import Archive
from store.tick import FrameMaker, not_a_mean, told_of, values_of
from store.times import to_us

DEFAULT_BUDGET_BYTES = 1024**3


class EmbeddedStore:
    """`core.ports.Store` in a directory of its own.

    budget_bytes: all that the directory may take [B]. seal_after_s: how much the hot tail
    gathers before it is sealed [s]. Raises HistoryLockedError, ConfigurationError.
    """

    def __init__(self, directory: Path, topology: Topology, *,
                 budget_bytes: int = DEFAULT_BUDGET_BYTES, seal_after_s: float = 600.0,
                 clock: Clock | None = None) -> None:
        self.directory = directory
        self._topology = topology
        self._archive = Archive(directory, topology.ids, METRIC_NAMES, budget_bytes=budget_bytes,
                                seal_after_s=seal_after_s, clock=clock)
        self._frames = FrameMaker(topology, self._archive.sids)

    def append(self, frame: Frame) -> None:
        """Raises RetryLaterError when the disk or the budget is full, or the clock is back."""
        self._archive.append(frame.time, values_of(frame))

    def backfill(self, frames: Iterator[Frame], done: Callable[[datetime], None],
                 hole: Hole | None = None) -> None:
        """As minutes and hours, no raw values. Raises RetryLaterError, GiveUpError."""
        self._archive.backfill(told_of(frames, self._archive.sids), done, hole)

    def amend(self, frames: Iterator[Frame], nodes: IndexArray) -> None:
        """Raises RetryLaterError."""
        self._archive.amend(told_of(frames, self._archive.sids), self._archive.sids[nodes])

    def settle(self) -> None:
        """Seal what is due and wait until the background work is done (tests, benches)."""
        self._archive.settle()

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        """Points of [start, end], both included; raises UnknownIdError (law 11)."""
        for metric in metrics:
            if metric not in BY_NAME:
                raise UnknownIdError(f"no metric is called {metric[:80]!r}")
        for node_id in node_ids:
            if not self._archive.knows(node_id):
                self._topology.index(node_id)
        return self._archive.series(node_ids, metrics, start, end, max_points)

    def moment_at(self, when: datetime) -> Moment | None:
        """Raises RetryLaterError."""
        known = self._archive.known_at(when)
        return None if known is None else self._frames.moment(known, to_us(when))

    def frame_at(self, when: datetime) -> Frame | None:
        """Raises RetryLaterError."""
        return not_a_mean(self.moment_at(when))

    def health(self) -> StoreHealth:
        return self._archive.health()

    def close(self) -> None:
        """What is in the hot tail stays there for the next start; safe to call twice."""
        self._archive.close()
