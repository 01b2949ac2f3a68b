"""Frames on this disk that a server has not taken yet: SQLite, each kept before `add` returns."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np

from core.clock import Clock
from core.errors import RetryLaterError
from core.frames import Frame
from core.topology import FloatArray, Topology
from core.vocabulary import METRIC_NAMES
from store.files import set_aside
from store.hot import NAME, SIDES, HotTail, Stored, is_damage
from store.lock import DirectoryLock
from store.nodes import NodeNumbers
from store.times import FOREVER_US, from_us

log = logging.getLogger(__name__)

AT_ONCE = 64
CHECKPOINT_EVERY = 512


class WaitingFrames:
    """Of one topology, in a directory of its own; what was left by another one is told in this
    one's order. One thread adds, one takes. Raises HistoryLockedError, RetryLaterError."""

    def __init__(self, directory: Path, topology: Topology, clock: Clock) -> None:
        self._directory, self._topology = directory, topology
        with self._said("opened"):
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = DirectoryLock(directory, clock.now())
            try:
                self._hot = _opened(directory, clock.now())
            except BaseException:
                self._lock.release()
                raise
            self._nodes = NodeNumbers(self._hot.node_ids())
            self._hot.add_nodes(self._nodes.add(topology.ids))
            self._sids = self._nodes.sids(topology.ids)
            self._layout = self._hot.layout(self._sids)
            self._counting = threading.Lock()
            self._bytes = self._hot.bytes_in(0, FOREVER_US)
            self._since_checkpoint = 0

    @property
    def size(self) -> int:
        """Of what waits [B]."""
        return self._bytes

    @property
    def count(self) -> int:
        """About: frames of another topology are counted as this one's."""
        return -(-self._bytes // max(1, 4 * len(METRIC_NAMES) * self._topology.size))

    def bounds(self) -> tuple[int, int]:
        """The oldest and the newest; FOREVER_US and -1 where nothing waits [us]."""
        with self._said("read"):
            return self._hot.bounds() or (FOREVER_US, -1)

    def add(self, time_us: int, values: FloatArray) -> None:
        """Keep float32[metrics, nodes]; raises RetryLaterError."""
        with self._said("written"):
            self._hot.append(time_us, self._layout, values.data.cast("B"))
        self._count(values.nbytes)

    def oldest(self, most: int = AT_ONCE) -> list[Stored]:
        with self._said("read"):
            return list(islice(self._hot.frames(0, FOREVER_US), most))

    def drop(self, until_us: int) -> None:
        """All until then, and with it."""
        with self._said("written"):
            gone = self._hot.bytes_in(0, until_us + 1)
            self._hot.delete_before(until_us + 1)
            self._count(-gone)
            self._since_checkpoint += 1
            if self._since_checkpoint >= CHECKPOINT_EVERY:
                self._tidy()

    def drop_oldest(self, to_bytes: int) -> int:
        """The oldest, until about `to_bytes` are left [B]; how many."""
        gone = 0
        while self._bytes > to_bytes and (found := self.oldest()):
            self.drop(found[-1].time_us)
            gone += len(found)
        self._tidy()
        return gone

    def _tidy(self) -> None:
        self._since_checkpoint = 0
        self._hot.shrink()
        self._hot.checkpoint()

    def _count(self, added: int) -> None:
        with self._counting:
            self._bytes = max(0, self._bytes + added)

    def frame(self, stored: Stored) -> Frame:
        """In the order of this topology, NaN for nodes that were not there then."""
        values, size = stored.values, self._topology.size
        if not np.array_equal(stored.sids, self._sids):
            place = {sid: index for index, sid in enumerate(stored.sids.tolist())}
            values = np.full((len(METRIC_NAMES), size), np.nan, np.float32)
            for node, sid in enumerate(self._sids.tolist()):
                if sid in place:
                    values[:, node] = stored.values[:, place[sid]]
        return Frame(from_us(stored.time_us), dict(zip(METRIC_NAMES, values, strict=True)),
                     np.zeros(size, np.float32), np.zeros(size, np.bool_),
                     np.ones(size, np.float32), np.zeros(size, np.uint8))

    def close(self) -> None:
        self._hot.close()
        self._lock.release()

    @contextmanager
    def _said(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise RetryLaterError(
                f"{self._directory / NAME} cannot be {verb} ({error}): free disk space or check "
                "the disk; it goes on by itself when it works again") from error


def _opened(directory: Path, now: datetime) -> HotTail:
    try:
        return HotTail(directory, len(METRIC_NAMES))
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        for path in (directory / (NAME + side) for side in SIDES):
            if path.exists():
                log.error("%s is damaged (%s); it was set aside as %s, and what waited in it for "
                          "the server with it", path, error, set_aside(path, now).name)
        return HotTail(directory, len(METRIC_NAMES))
