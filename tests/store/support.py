"""Small sites, frames whose values tell where they belong, and a brute-force history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from core.frames import Frame
from core.ports import Series, Store
from core.topology import DEFAULT_LEVELS, Topology
from core.vocabulary import METRIC_NAMES
from store.embedded import EmbeddedStore
from tests.core.sites import system

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SITE = Topology(DEFAULT_LEVELS, [system()])
CELL = SITE.ids[-1]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=float(seconds))


def frame(second: float, values: np.ndarray | None = None, topology: Topology = SITE,
          stale: np.ndarray | None = None) -> Frame:
    """values: float32[metrics, nodes]; left out, each tells its second, metric and node."""
    size = topology.size
    if values is None:
        values = values_at(second, size)
    columns = {name: values[index].astype(np.float32) for index, name in enumerate(METRIC_NAMES)}
    return Frame(at(second), columns, np.zeros(size, np.float32),
                 np.zeros(size, bool) if stale is None else stale, np.ones(size, np.float32),
                 np.zeros(size, np.uint8))


def values_at(second: float, size: int) -> np.ndarray:
    metrics = np.arange(len(METRIC_NAMES))[:, np.newaxis]
    return (second + 10_000 * metrics + np.arange(size) / 64).astype(np.float32)


def fill(store: Store, seconds: Iterable[float], topology: Topology = SITE) -> None:
    for second in seconds:
        store.append(frame(second, topology=topology))


def opened(directory: Path, **options: object) -> EmbeddedStore:
    """A store that seals each whole minute when it is asked to settle."""
    return EmbeddedStore(directory, SITE, **{"seal_after_s": 60.0, **options})


def voltages(store: Store, start: float, end: float, max_points: int = 10_000) -> Series:
    """Of the last cell."""
    (found,) = store.series([CELL], ["voltage_v"], at(start), at(end), max_points)
    return found


def seconds_of(series: Series) -> list[float]:
    """Its times as seconds after NOON."""
    found: list[float] = np.round(series.time_s - NOON.timestamp(), 6).tolist()
    return found
