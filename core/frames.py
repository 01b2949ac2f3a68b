"""A frame is one instant of the whole site: a time and float32 columns over the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.topology import FloatArray
from core.vocabulary import METRIC_NAMES

CONTACTOR_OPEN = np.uint8(1)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source says at one tick about ITS nodes, in the order of its own topology.

    m is that topology's size: the grid connection counts as number 0 and is not looked at.
    The arrays are the reader's: the source never writes to them again.
    columns: metric -> float32[m], NaN where the device reports nothing (law 4).
    heard: bool[m], which nodes reported since the last poll; None means all of them.
    measured_at: when the devices measured (UTC).
    flags: uint8[m] of CONTACTOR_OPEN ..., None = none is set.
    channels: float64[c] of the source's devices, in the order of their quantities, NaN where
    a device reports nothing; None from a source without devices. channels_heard: bool[c],
    None means all of them.
    measured_s: float64[m], seconds since 1970, of a source whose nodes are measured by clocks
    of their own; measured_at is then the newest. None: all of them at measured_at.
    """

    measured_at: datetime
    columns: Mapping[str, FloatArray]
    heard: NDArray[np.bool_] | None = None
    flags: NDArray[np.uint8] | None = None
    channels: NDArray[np.float64] | None = None
    channels_heard: NDArray[np.bool_] | None = None
    measured_s: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """The newest knowledge of every node at `time` (UTC). n nodes in the topology's order.

    columns: metric -> float32[n]; NaN = missing (law 4), stale values are kept here and
    marked in `stale`, but are left out of every parent's roll-up.
    age_s: float32[n], seconds since the node was heard, NaN = never heard.
    stale: bool[n], older than its source allows, or never heard.
    coverage: float32[n], the share (0..1) of the leaves below that are not stale.
    flags: uint8[n], what devices say of themselves (CONTACTOR_OPEN ...), not rolled up.
    """

    time: datetime
    columns: Mapping[str, FloatArray]
    age_s: FloatArray
    stale: NDArray[np.bool_]
    coverage: FloatArray
    flags: NDArray[np.uint8]

    def value(self, metric: str, node: int) -> float:
        """Value as a Python float; NaN when missing."""
        return float(self.columns[metric][node])


def empty_columns(size: int) -> dict[str, FloatArray]:
    """All metrics as NaN: nothing is known yet."""
    return {name: np.full(size, np.nan, dtype=np.float32) for name in METRIC_NAMES}
