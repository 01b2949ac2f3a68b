"""All nodes at one instant of their past: from the hot tail, raw files, the minutes, or else the
hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.ports import Grain
from core.topology import FloatArray
from store.files import HOUR, MINUTE, RAW
from store.nodes import SidArray
from store.reading import SealedReader
from store.rollup import Rows
from store.times import HOUR_US, MINUTE_US, SECOND_US, floor_to
from store.vault import Vault

OLDEST_US = 90 * SECOND_US


@dataclass(frozen=True, slots=True)
class Known:
    """Values of some nodes: float32[columns, s]. seen_us: int64[s], when each was known [us],
    0 = never. grain: what the values are."""

    sids: SidArray
    values: FloatArray
    seen_us: NDArray[np.int64]
    grain: Grain = "frame"


class InstantReader:
    """Answers `Archive.known_at`."""

    def __init__(self, vault: Vault, reader: SealedReader) -> None:
        self._vault = vault
        self._reader = reader

    def known_at(self, when_us: int) -> Known | None:
        """None where nothing is known that is at most 90 s older; of an hour of which nothing
        finer is kept, its means."""
        oldest_us = when_us - OLDEST_US
        with self._vault.access:
            frame = self._hot(oldest_us, when_us) or self._raw(oldest_us, when_us)
            if frame is None:
                return self._minute(oldest_us, when_us) or self._hour(when_us)
            if self._vault.hot.amended(floor_to(oldest_us, MINUTE_US), when_us + 1):
                return filled(frame, self._minute(oldest_us, when_us))
            return frame

    def _hot(self, oldest_us: int, when_us: int) -> Known | None:
        stored = self._vault.hot.newest(when_us)
        if stored is None or stored.time_us < oldest_us:
            return None
        return _known_at(stored.sids, stored.values, stored.time_us)

    def _raw(self, oldest_us: int, when_us: int) -> Known | None:
        files = self._vault.catalog.files(RAW, oldest_us, when_us + 1)
        at_us = self._reader.newest_ts(files, oldest_us, when_us + 1)
        if at_us is None:
            return None
        columns = self._vault.columns
        rows = self._reader.rows(files, ("sid", *columns), at_us, at_us + 1)
        if not rows:
            return None
        return _known_at(rows["sid"], np.stack([rows[name] for name in columns]), at_us)

    def _minute(self, oldest_us: int, when_us: int) -> Known | None:
        first_us = floor_to(oldest_us, MINUTE_US)
        files = self._vault.catalog.files(MINUTE, first_us, when_us + 1)
        last = [f"{name}_last" for name in self._vault.columns]
        rows = self._reader.rows(files, ("sid", "ts", "seen", *last), first_us, when_us + 1)
        if rows:
            rows = newest_of_each(rows, oldest_us, when_us)
        if not rows or not len(rows["sid"]):
            return None
        return Known(rows["sid"], np.stack([rows[name] for name in last]), rows["seen"], "minute")

    def _hour(self, when_us: int) -> Known | None:
        start_us = floor_to(when_us, HOUR_US)
        catalog, hot = self._vault.catalog, self._vault.hot.newest(start_us + HOUR_US - 1)
        if catalog.files(MINUTE, start_us, start_us + HOUR_US) or (
                hot is not None and hot.time_us >= start_us):
            return None
        files = catalog.files(HOUR, start_us, start_us + HOUR_US)
        mean = [f"{name}_mean" for name in self._vault.columns]
        rows = self._reader.rows(files, ("sid", "seen", *mean), start_us, start_us + 1)
        return hour_means(rows, mean, when_us) if rows else None


def filled(frame: Known, minutes: Known | None) -> Known:
    """Nodes of which a frame knows nothing as their minute told them, which came late."""
    if minutes is None:
        return frame
    bare = np.flatnonzero(np.isnan(frame.values).all(axis=0))
    at = np.minimum(np.searchsorted(minutes.sids, frame.sids[bare]), len(minutes.sids) - 1)
    fits = minutes.sids[at] == frame.sids[bare]
    values, seen_us = frame.values.copy(), frame.seen_us.copy()
    values[:, bare[fits]] = minutes.values[:, at[fits]]
    seen_us[bare[fits]] = minutes.seen_us[at[fits]]
    return replace(frame, values=values, seen_us=seen_us)


def hour_means(rows: Rows, mean: Sequence[str], when_us: int) -> Known | None:
    """Of the rows of one hour; a node that was heard later than `when_us` in it is of now."""
    if not len(rows["sid"]):
        return None
    return Known(rows["sid"], np.stack([rows[name] for name in mean]),
                 np.minimum(rows["seen"], when_us), "hour")


def _known_at(sids: SidArray, values: FloatArray, at_us: int) -> Known:
    return Known(sids, values, np.full(len(sids), at_us, dtype=np.int64))


def newest_of_each(rows: Rows, oldest_us: int, when_us: int) -> Rows:
    """Per node the newest minute whose last sample lies in the window."""
    fits = (rows["seen"] >= oldest_us) & (rows["seen"] <= when_us)
    rows = {name: column[fits] for name, column in rows.items()}
    order = np.lexsort((rows["ts"], rows["sid"]))
    sids = rows["sid"][order]
    newest = order[np.append(sids[1:] != sids[:-1], True)] if len(order) else order
    return {name: column[newest] for name, column in rows.items()}
