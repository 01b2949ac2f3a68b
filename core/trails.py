"""Where elements were during the last minutes: one metric at a few moments of a fixed grid.

All screens and all refreshes ask for the same moments, so that each is read once and only the
newest one has to be read again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.clock import from_epoch
from core.engine import Engine
from core.errors import UnknownIdError
from core.ports import Store
from core.topology import FloatArray, IndexArray
from core.vocabulary import BY_NAME

SPAN_S, POINTS = 600.0, 12
STEP_S = SPAN_S / POINTS
MOST_ITEMS = 2000
READ_S = 0.06
"""So long history is read in one refresh, the newest moments first: the others follow in the
next, one at least [s]."""
MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Trail:
    """row: int32[k], position in the nodes that were asked for; age_s: float32[k], how long
    before the asked end [s]; value: float32[k], never NaN. By row, then from old to new."""

    row: NDArray[np.int32]
    age_s: FloatArray
    value: FloatArray


class Trails:
    """An engine's; safe for the threads of one process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._of: tuple[Store, OrderedDict[tuple[str, int], FloatArray]] | None = None

    def of(self, nodes: IndexArray, metric: str, end: datetime) -> Trail:
        """Of the first MOST_ITEMS nodes over SPAN_S before `end`; empty without history. Raises
        UnknownIdError, and RetryLaterError where history cannot be read."""
        if metric not in BY_NAME:
            raise UnknownIdError(f"no metric is called {metric[:80]!r}")
        nodes, end_s = nodes[:MOST_ITEMS], end.timestamp()
        store = self._engine.store
        newest = int(end_s // STEP_S)
        with self._lock:
            known = {} if store is None else self._known(store, metric, newest)
        at = sorted(known)
        values = np.array([known[step][nodes] for step in at], dtype=np.float32)
        ages = np.array([end_s - step * STEP_S for step in at], dtype=np.float32)
        return _flat(values.reshape(len(at), len(nodes)), ages)

    def _known(self, store: Store, metric: str, newest: int) -> dict[int, FloatArray]:
        """Number of a moment -> float32[n], of those that are read."""
        if self._of is None or self._of[0] is not store:
            self._of = store, OrderedDict()
        kept, found = self._of[1], {}
        began_s, reads = time.perf_counter(), True
        for step in range(newest, newest - POINTS, -1):
            if (metric, step) not in kept and reads:
                kept[metric, step] = self._read(store, metric, step)
                reads = time.perf_counter() - began_s < READ_S
            if (metric, step) in kept:
                kept.move_to_end((metric, step))
                found[step] = kept[metric, step]
        while sum(column.nbytes for column in kept.values()) > MOST_BYTES:
            kept.popitem(last=False)
        return found

    def _read(self, store: Store, metric: str, step: int) -> FloatArray:
        """A copy, so that the moment's other metrics are not kept."""
        moment = store.moment_at(from_epoch(step * STEP_S))
        if moment is None or moment.grain == "hour":
            return np.full(self._engine.topology.size, np.nan, dtype=np.float32)
        return moment.frame.columns[metric].copy()


def _flat(values: FloatArray, ages: FloatArray) -> Trail:
    """values: float32[moments, items], ages: float32[moments]."""
    row, at = np.nonzero(np.isfinite(values.T))
    return Trail(row.astype(np.int32), ages[at], values[at, row])
