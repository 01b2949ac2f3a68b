"""Stretches of time in which a switch was on, out of the shares of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.heatpump.counters import carried
from core.heatpump.log import Flags, Floats

# A switch is taken to stand through a silence of this long [s], as emoncms does.
BRIDGED_S = 900.0
# A cell that is off for at least this share between two that are on more is a stop of its own.
DIP = 0.1
# In wider cells a dip may be anything [s].
DIPS_UP_TO_S = 600.0


@dataclass(frozen=True, slots=True)
class Spans:
    """n stretches. start_s, end_s float64[n] [s since 1970], to a part of a cell. first, last:
    int64[n], their cells, both included. open_start, open_end: bool[n], the stretch began
    before, or ended after, what is known: the edge of the window or of a silence."""

    start_s: Floats
    end_s: Floats
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    open_start: Flags
    open_end: Flags

    @property
    def seconds(self) -> Floats:
        return self.end_s - self.start_s

    def only(self, chosen: Flags) -> Spans:
        return Spans(self.start_s[chosen], self.end_s[chosen], self.first[chosen],
                     self.last[chosen], self.open_start[chosen], self.open_end[chosen])


def spans(share: Floats, time_s: Floats, step_s: float) -> Spans:
    """Where `share` (float64[k], 0 to 1, NaN = not known) was above 0. In the first cell of a
    stretch it came on late, in the last one it went off early, each by the share."""
    held = carried(share, step_s, BRIDGED_S)
    on, known = held > 0, np.isfinite(held)
    before, after = np.append(False, on[:-1]), np.append(on[1:], False)
    dip = _dips(held, step_s)
    first = np.flatnonzero((on & ~before) | dip)
    last = np.flatnonzero((on & ~after) | dip)
    if not first.size:
        nothing = np.zeros(0)
        flags = nothing.astype(np.bool_)
        return Spans(nothing, nothing, first, last, flags, flags)
    known_before, known_after = np.append(False, known[:-1]), np.append(known[1:], False)
    part = np.where(dip, held / 2, held) * step_s
    alone = first == last
    start_s = np.where(alone & ~before[first], time_s[first],
                       time_s[first] + step_s - part[first])
    end_s = np.where(alone & ~before[first], time_s[first] + part[first],
                     time_s[last] + part[last])
    full_start = ~known_before[first] & ~alone
    return Spans(np.where(full_start, time_s[first], start_s), end_s, first, last,
                 ~known_before[first], ~known_after[last])


def _dips(held: Floats, step_s: float) -> Flags:
    """Cells that went off and on again between two cells that were on."""
    dip = np.zeros(held.shape, dtype=np.bool_)
    if held.size < 3 or step_s > DIPS_UP_TO_S:
        return dip
    inner = held[1:-1]
    dip[1:-1] = ((inner > 0) & (inner < 1 - DIP) & (inner < held[:-2]) & (inner < held[2:]))
    return dip
