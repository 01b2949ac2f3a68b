"""Groups of the elements of a scene: by chemistry, by what they do, by side, row or phase."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from components import formats
from core.below import Below
from core.direction import direction_codes
from core.engine import Snapshot
from core.topology import Topology
from core.vocabulary import CHEMISTRIES, DIRECTIONS

CHEMISTRY, STATE = "chemistry", "state"
NOT_SAID, SEVERAL = -1, -2
WORDS = {NOT_SAID: "not said", SEVERAL: "several"}

Codes = NDArray[np.int32]
Groups = tuple[list[str], NDArray[np.uint16]]


def known(topology: Topology) -> list[str]:
    """What may be grouped by here, "" for nothing first."""
    chemistry = [CHEMISTRY] if (topology.chemistry >= 0).any() else []
    return ["", *chemistry, STATE, *topology.attributes]


def groups(rows: Below, snapshot: Snapshot, name: str) -> Groups:
    """The names of the groups that occur, and for each row which it is in, uint16[k]. What a
    site does not say of an element is said by what is below it, where that agrees. No group
    where nothing is grouped, or by what this site does not have."""
    topology = rows.topology
    if name == STATE:
        power_kw = np.where(rows.take(snapshot.frame.stale), np.float32(np.nan),
                            rows.take(snapshot.frame.columns["power_kw"]))
        words = tuple(formats.direction_word(way) for way in DIRECTIONS)
        return _occurring(words, direction_codes(power_kw, rows.take(topology.capacity_kwh)))
    if name == CHEMISTRY:
        return _occurring(CHEMISTRIES, rows.take(said(topology, name)))
    if name in topology.attributes:
        return _occurring(topology.attributes[name].values, rows.take(said(topology, name)))
    return [], np.zeros(rows.size, dtype=np.uint16)


@lru_cache(maxsize=32)
def said(topology: Topology, name: str) -> Codes:
    """int32[n]: the chemistry, or the value of an attribute, of each element; NOT_SAID; SEVERAL
    where what is below it differs."""
    own = topology.chemistry if name == CHEMISTRY else topology.attributes[name].codes
    codes = own.astype(np.int32)
    for start, stop in list(zip(topology.depth_offsets, topology.depth_offsets[1:],
                                strict=False))[-2::-1]:
        open_ones = np.arange(start, stop)[(codes[start:stop] < 0)
                                           & (topology.child_count[start:stop] > 0)]
        for node in open_ones.tolist():
            below = codes[topology.children(node)]
            codes[node] = below[0] if (below == below[0]).all() else SEVERAL
    return codes


def _occurring(words: tuple[str, ...], codes: NDArray[np.integer]) -> Groups:
    """codes: index into `words`, or one of WORDS."""
    found, group = np.unique(codes, return_inverse=True)
    names = [words[code] if code >= 0 else WORDS[code] for code in found.tolist()]
    return names, group.astype(np.uint16)
