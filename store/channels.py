"""The history of the devices' channels: an archive with the one column "value"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.clock import Clock
from core.errors import GiveUpError, UnknownIdError
from core.ports import Past, Series, StoreHealth, Tier
from core.topology import FloatArray
from store.archive import Archive
from store.keeper import DAILY
from store.nodes import SidArray
from store.past import Told
from store.rollup import Block
from store.times import SECOND_US

COLUMN = "value"


class ChannelArchive(Protocol):
    """What such an archive does, embedded or on a server."""

    sids: SidArray

    def append(self, time: datetime, values: FloatArray) -> None: ...

    def backfill(self, pieces: Iterator[Told], done: Callable[[datetime], None]) -> None: ...

    def knows(self, node_id: str) -> bool: ...

    def series(self, ids: Sequence[str], columns: Sequence[str], start: datetime, end: datetime,
               max_points: int, tier: str | None) -> list[Series]: ...

    def health(self) -> StoreHealth: ...

    def close(self) -> None: ...


class ArchivedChannels:
    """`core.ports.ChannelHistory` of an archive."""

    def __init__(self, archive: ChannelArchive) -> None:
        self._archive = archive
        self._rising = np.argsort(archive.sids)

    def append(self, time: datetime, values: NDArray[np.float32] | NDArray[np.float64]
               ) -> None:
        """Keep one value a channel, [c], NaN = missing, as float32.

        Raises RetryLaterError when the disk or the budget is full, or the clock is back.
        """
        self._archive.append(time, row_of(values, len(self._rising)))

    def backfill(self, pieces: Iterator[Past], done: Callable[[datetime], None]) -> None:
        """As minutes and hours, no raw values. Raises RetryLaterError, and GiveUpError where
        times do not rise or values do not fit."""
        self._archive.backfill((self._told(piece) for piece in pieces), done)

    def _told(self, piece: Past) -> Told:
        if piece.values.shape != (len(piece.time_s), len(self._rising)):
            raise GiveUpError(f"a past of {len(piece.time_s)} times and {piece.values.shape} "
                              f"values for {len(self._rising)} channels; this is a defect of its "
                              "source")
        time_us = np.round(np.asarray(piece.time_s, np.float64) * SECOND_US).astype(np.int64)
        values = np.asarray(piece.values, np.float32)[:, np.newaxis, self._rising]
        return Told(Block(time_us, self._archive.sids[self._rising], values), piece.hours_only)

    def series(self, channel_ids: Sequence[str], start: datetime, end: datetime,
               max_points: int = 1000, tier: Tier = "auto") -> list[Series]:
        """Points of [start, end], both included; raises UnknownIdError (law 11)."""
        for channel_id in channel_ids:
            if not self._archive.knows(channel_id):
                raise UnknownIdError(f"no channel is called {channel_id[:80]!r}")
        return self._archive.series(channel_ids, (COLUMN,), start, end, max_points,
                                    None if tier == "auto" else tier)

    def health(self) -> StoreHealth:
        return self._archive.health()

    def close(self) -> None:
        """Safe to call twice."""
        self._archive.close()


class EmbeddedChannelHistory(ArchivedChannels):
    """In a directory of its own.

    budget_bytes: all that the directory may take [B]. seal_after_s: how much the hot tail
    gathers before it is sealed [s]. Raises HistoryLockedError, ConfigurationError, and
    ValueError for an id that occurs twice.
    """

    def __init__(self, directory: Path, channel_ids: Sequence[str], *, budget_bytes: int,
                 seal_after_s: float = 600.0, clock: Clock | None = None) -> None:
        self.directory = directory
        self._files = Archive(directory, each_once(channel_ids), (COLUMN,),
                              budget_bytes=budget_bytes, seal_after_s=seal_after_s, clock=clock,
                              lengths=DAILY)
        super().__init__(self._files)

    def settle(self) -> None:
        """Seal what is due and wait until the background work is done (tests, benches)."""
        self._files.settle()


def each_once(channel_ids: Sequence[str]) -> Sequence[str]:
    """Raises ValueError for an id that occurs twice."""
    if len(set(channel_ids)) != len(channel_ids):
        raise ValueError("a channel's id occurs once")
    return channel_ids


def row_of(values: NDArray[np.float32] | NDArray[np.float64], channels: int) -> FloatArray:
    """float32[1, c]; raises ValueError for another number of channels."""
    row = np.ascontiguousarray(values, dtype=np.float32)
    if row.shape != (channels,):
        raise ValueError(f"{row.shape} values for {channels} channels")
    return row.reshape(1, -1)
