"""What is shown below one element: its children, their children ..., row by row, for a scene.

Rows are sorted by tier (1 = child) and within it as the topology is, so that parents precede
their children and each tier is one slice of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.topology import IndexArray, Topology

MOST = 100_000
"""Rows at most: what a browser draws in two calls."""
ALL = 0

Column = TypeVar("Column", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Below:
    """k rows below the node `place`. parts: the nodes of each tier shown. left_out: elements of
    the depth that was asked for beyond MOST. tier: uint8[k]. parent_row: int32[k], the row of
    the parent, -1 directly below the place."""

    topology: Topology
    place: int
    parts: tuple[slice, ...]
    left_out: int
    tier: NDArray[np.uint8]
    parent_row: NDArray[np.int32]

    @property
    def size(self) -> int:
        return self.tier.size

    @cached_property
    def nodes(self) -> IndexArray:
        """int64[k]."""
        return np.concatenate([np.arange(0), *(np.arange(part.start, part.stop)
                                               for part in self.parts)])

    def take(self, column: NDArray[Column]) -> NDArray[Column]:
        """The rows of a column over all nodes, [n] -> [k]."""
        if len(self.parts) == 1:
            return column[self.parts[0]]
        return np.concatenate([column[:0], *(column[part] for part in self.parts)])

    @property
    def deepest(self) -> int:
        """Number of the last tier, 0 where nothing is below."""
        return len(self.parts)


@lru_cache(maxsize=32)
def below(topology: Topology, place: int, depth: int = 1, most: int = MOST) -> Below:
    """`depth` tiers below `place`, ALL for all of them, as many whole tiers as `most` rows
    hold; of the first tier at least the first `most`."""
    asked = topology.descendants(place)[: depth or None]
    sizes = np.array([part.stop - part.start for part in asked], dtype=np.int64)
    fitting = int(np.count_nonzero(np.cumsum(sizes) <= most))
    parts = tuple(asked[:fitting])
    if asked and not parts:
        parts = (slice(asked[0].start, asked[0].start + most),)
    shown = [part.stop - part.start for part in parts]
    return Below(topology, place, parts, int(sizes.sum()) - sum(shown),
                 np.repeat(np.arange(1, len(parts) + 1), shown).astype(np.uint8),
                 _parent_rows(topology, parts))


def _parent_rows(topology: Topology, parts: tuple[slice, ...]) -> NDArray[np.int32]:
    found = []
    first_row, above = 0, None
    for part in parts:
        if above is None:
            rows = np.full(part.stop - part.start, -1)
        else:
            rows = topology.parent[part] - above.start + first_row
            first_row += above.stop - above.start
        found.append(rows)
        above = part
    return np.concatenate([np.arange(0), *found]).astype(np.int32)
