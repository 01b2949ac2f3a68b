"""The site at one instant of its past: from the hot tail, raw files, or else the minutes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.frames import Frame
from core.rollup import RollUp
from core.topology import FloatArray, Topology
from core.vocabulary import METRIC_NAMES
from store.files import MINUTE, RAW
from store.nodes import SidArray
from store.reading import SealedReader
from store.rollup import Rows
from store.times import MINUTE_US, SECOND_US, floor_to, from_us
from store.vault import Vault

OLDEST_US = 90 * SECOND_US
RAW_ROWS = ("sid", *METRIC_NAMES)
MINUTE_ROWS = ("sid", "ts", "seen", *(f"{name}_last" for name in METRIC_NAMES))


@dataclass(frozen=True, slots=True)
class Known:
    """Values of some nodes. seen_us: int64[s], when each was known [us], 0 = never."""

    sids: SidArray
    values: FloatArray
    seen_us: NDArray[np.int64]


class InstantReader:
    """Answers `Store.frame_at` in the order of the present topology."""

    def __init__(self, vault: Vault, reader: SealedReader, topology: Topology,
                 sids: SidArray) -> None:
        self._vault = vault
        self._reader = reader
        self._topology = topology
        self._sids = sids
        self._roll_up = RollUp(topology)

    def frame_at(self, when_us: int) -> Frame | None:
        """None where nothing is known that is at most 90 s older."""
        oldest_us = when_us - OLDEST_US
        with self._vault.access:
            known = (self._hot(oldest_us, when_us) or self._raw(oldest_us, when_us)
                     or self._minute(oldest_us, when_us))
        if known is None or not np.isin(known.sids, self._sids).any():
            return None
        return self._frame(known, when_us)

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
        rows = self._reader.rows(files, RAW_ROWS, at_us, at_us + 1)
        if not rows:
            return None
        return _known_at(rows["sid"], np.stack([rows[name] for name in METRIC_NAMES]), at_us)

    def _minute(self, oldest_us: int, when_us: int) -> Known | None:
        first_us = floor_to(oldest_us, MINUTE_US)
        files = self._vault.catalog.files(MINUTE, first_us, when_us + 1)
        rows = self._reader.rows(files, MINUTE_ROWS, first_us, when_us + 1)
        if rows:
            rows = _newest_of_each(rows, oldest_us, when_us)
        if not rows or not len(rows["sid"]):
            return None
        values = np.stack([rows[f"{name}_last"] for name in METRIC_NAMES])
        return Known(rows["sid"], values, rows["seen"])

    def _frame(self, known: Known, when_us: int) -> Frame:
        size = self._topology.size
        values = np.full((len(METRIC_NAMES), size), np.nan, dtype=np.float32)
        seen_us = np.zeros(size, dtype=np.int64)
        place = np.full(int(max(self._sids.max(), known.sids.max())) + 1, -1, dtype=np.int64)
        place[self._sids] = np.arange(size)
        target = place[known.sids]
        ours = target >= 0
        values[:, target[ours]] = known.values[:, ours]
        seen_us[target[ours]] = known.seen_us[ours]
        stale = np.logical_and.reduce(np.isnan(values), axis=0)
        age_s = ((when_us - seen_us) / SECOND_US).astype(np.float32)
        age_s[stale] = np.nan
        coverage = self._roll_up.freshness(age_s, stale, self._topology.measured)
        columns = dict(zip(METRIC_NAMES, values, strict=True))
        return Frame(from_us(int(seen_us.max())), columns, age_s, stale, coverage,
                     np.zeros(size, dtype=np.uint8))


def _known_at(sids: SidArray, values: FloatArray, at_us: int) -> Known:
    return Known(sids, values, np.full(len(sids), at_us, dtype=np.int64))


def _newest_of_each(rows: Rows, oldest_us: int, when_us: int) -> Rows:
    """Per node the newest minute whose last sample lies in the window."""
    fits = (rows["seen"] >= oldest_us) & (rows["seen"] <= when_us)
    rows = {name: column[fits] for name, column in rows.items()}
    order = np.lexsort((rows["ts"], rows["sid"]))
    sids = rows["sid"][order]
    newest = order[np.append(sids[1:] != sids[:-1], True)] if len(order) else order
    return {name: column[newest] for name, column in rows.items()}
