"""Frames and their stored form: float32[metrics, nodes], NaN where stale or missing (law 4)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.frames import Frame
from core.ports import Moment
from core.rollup import RollUp
from core.topology import FloatArray, Topology
from core.vocabulary import METRIC_NAMES
from store.hot import Stored, block_of
from store.instant import Known
from store.nodes import SidArray
from store.past import Told
from store.times import MINUTE_US, SECOND_US, floor_to, from_us, to_us


def values_of(frame: Frame) -> FloatArray:
    """A new array in the order of METRIC_NAMES."""
    values = np.empty((len(METRIC_NAMES), len(frame.stale)), dtype=np.float32)
    for index, name in enumerate(METRIC_NAMES):
        values[index] = frame.columns.get(name, np.nan)
    if frame.stale.any():
        values[:, frame.stale] = np.nan
    return values


def frame_of(time_us: int, values: FloatArray) -> Frame:
    """As fresh as can be: what was stale is missing in float32[metrics, nodes]."""
    size = values.shape[1]
    return Frame(from_us(time_us), dict(zip(METRIC_NAMES, values, strict=True)),
                 np.zeros(size, np.float32), np.zeros(size, np.bool_),
                 np.ones(size, np.float32), np.zeros(size, np.uint8))


def told_of(frames: Iterator[Frame], sids: SidArray) -> Iterator[Told]:
    """One piece a minute that has frames."""
    minute: list[Stored] = []
    for frame in frames:
        time_us = to_us(frame.time)
        if minute and floor_to(time_us, MINUTE_US) != floor_to(minute[0].time_us, MINUTE_US):
            yield Told(block_of(minute))
            minute = []
        minute.append(Stored(time_us, sids, values_of(frame)))
    if minute:
        yield Told(block_of(minute))


def not_a_mean(moment: Moment | None) -> Frame | None:
    """What `core.ports.Store.frame_at` answers."""
    return None if moment is None or moment.grain == "hour" else moment.frame


class FrameMaker:
    """Frames from what was stored, in the order of the present topology."""

    def __init__(self, topology: Topology, sids: SidArray) -> None:
        self._topology = topology
        self._sids = sids
        self._roll_up = RollUp(topology)

    def moment(self, known: Known, when_us: int) -> Moment | None:
        """Ages are those at `when_us`; None where no node of the topology is known."""
        if not np.isin(known.sids, self._sids).any():
            return None
        return Moment(self._frame(known, when_us), known.grain)

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
