"""Frames on this disk that a server has not taken yet: SQLite, each kept before `add` returns."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np

from core.clock import Clock
from core.errors import RetryLaterError
from core.topology import FloatArray
from store.files import set_aside
from store.hot import NAME, SIDES, HotTail, Stored, is_damage
from store.lock import DirectoryLock
from store.nodes import NodeNumbers
from store.times import FOREVER_US

log = logging.getLogger(__name__)

AT_ONCE = 64
CHECKPOINT_EVERY = 512
BYTES_PER_VALUE = 4


class WaitingFrames:
    """Of some nodes, in a directory of its own; what was left by other ones is told in the order
    of these. columns: how many a frame has. One thread adds, one takes. Raises
    HistoryLockedError, RetryLaterError."""

    def __init__(self, directory: Path, ids: Sequence[str], columns: int, clock: Clock) -> None:
        self._directory, self._shape = directory, (columns, len(ids))
        with self._said("opened"):
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = DirectoryLock(directory, clock.now())
            try:
                self._hot = _opened(directory, columns, clock.now())
            except BaseException:
                self._lock.release()
                raise
            self._nodes = NodeNumbers(self._hot.node_ids())
            self._hot.add_nodes(self._nodes.add(ids))
            self._sids = self._nodes.sids(ids)
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
        """About: frames of other nodes are counted as of these."""
        return -(-self._bytes // max(1, BYTES_PER_VALUE * self._shape[0] * self._shape[1]))

    def bounds(self) -> tuple[int, int]:
        """The oldest and the newest; FOREVER_US and -1 where nothing waits [us]."""
        with self._said("read"):
            return self._hot.bounds() or (FOREVER_US, -1)

    def add(self, time_us: int, values: FloatArray) -> None:
        """Keep float32[columns, nodes]; raises RetryLaterError."""
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

    def values(self, stored: Stored) -> FloatArray:
        """float32[columns, nodes] in the order of the nodes, NaN for those not there then."""
        if np.array_equal(stored.sids, self._sids):
            return stored.values
        place = {sid: index for index, sid in enumerate(stored.sids.tolist())}
        values = np.full(self._shape, np.nan, np.float32)
        for node, sid in enumerate(self._sids.tolist()):
            if sid in place:
                values[:, node] = stored.values[:, place[sid]]
        return values

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


def _opened(directory: Path, columns: int, now: datetime) -> HotTail:
    try:
        return HotTail(directory, columns)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        for path in (directory / (NAME + side) for side in SIDES):
            if path.exists():
                log.error("%s is damaged (%s); it was set aside as %s, and what waited in it for "
                          "the server with it", path, error, set_aside(path, now).name)
        return HotTail(directory, columns)
