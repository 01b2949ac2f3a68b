"""What the deviation map draws: which elements in which blocks, how far each is from its rack's
median, and its value; no Streamlit in here. A parent stands for its cell that is farthest off,
as in the scene."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from orrery_spheres import Colour

from components import describe
from components.space import items
from components.space.settings import Settings
from core.below import below
from core.deviation import references
from core.engine import Snapshot
from core.topology import FloatArray, IndexArray, Topology

MOST_CELLS = 20_000


@dataclass(frozen=True, slots=True)
class Squares:
    """groups: the element of each block, int64[g]; counts: squares in each, int64[g]; cells: the
    element of each square, block after block, int64[n]. tiers: how far below the place the
    lowest of them is."""

    groups: IndexArray
    counts: IndexArray
    cells: IndexArray
    tiers: int

    def row(self, node: int | None) -> int:
        """The square of an element; -1 where it has none."""
        return -1 if node is None else _first(self.cells == node)

    def block(self, node: int | None) -> int:
        """The block of an element; -1 where it has none."""
        return -1 if node is None else _first(self.groups == node)


def _first(found: NDArray[np.bool_]) -> int:
    places = np.flatnonzero(found)
    return int(places[0]) if places.size else -1


def squares(topology: Topology, node: int, depth: int = 2) -> Squares:
    """Blocks of the children of `node` with a square for each of theirs; of elements without
    children one block of squares. depth: 3 goes a level deeper, 0 down to the last."""
    part = topology.children(node)
    cells = np.arange(part.start, part.stop, dtype=np.int64)
    if not (topology.child_count[cells] > 0).any():
        return Squares(np.array([node]), np.array([cells.size]), cells, 1)
    deepest, tiers = depth or len(topology.levels) + 1, 1
    groups, counts = cells, np.ones(cells.size, dtype=np.int64)
    while tiers < deepest and (topology.child_count[cells] > 0).any():
        groups, counts, cells = _opened(topology, cells)
        tiers += 1
    return Squares(groups, counts, cells, tiers)


def _opened(topology: Topology, groups: IndexArray) -> tuple[IndexArray, IndexArray, IndexArray]:
    """A square for each child; an element without children stands for itself."""
    children = topology.child_count[groups]
    counts = np.maximum(children, 1)
    first = np.where(children > 0, topology.first_child[groups], groups)
    begins = np.cumsum(counts) - counts
    cells = np.repeat(first - begins, counts) + np.arange(int(counts.sum()))
    return groups, counts, cells


def painted(topology: Topology, snapshot: Snapshot, node: int, shown: Squares, by: str,
            chosen: Settings) -> tuple[FloatArray, Colour]:
    """Of each square what `by` names in the unit that a person chose, NaN where stale or unknown,
    float32[n]; and what it means. A scale that was fixed for the scene holds for its own
    quantity."""
    rows = below(topology, node, shown.tiers)
    scale = chosen.scale if chosen.colour == by else "auto"
    values, colour = items.painted(rows, snapshot, replace(chosen, colour=by, scale=scale))
    return values[np.searchsorted(rows.nodes, shown.cells)], colour


def beside(topology: Topology, cells: IndexArray) -> str:
    """With what each is compared: "its rack", "the site"."""
    level = int(topology.level[references(topology, topology.leaves(int(cells[0]))[:1])[0]])
    return f"its {topology.levels[level].name}" if level >= 0 else "the site"


def wire(topology: Topology, snapshot: Snapshot, cells: IndexArray, value: FloatArray,
         away: FloatArray, fresh: NDArray[np.bool_], matches: NDArray[np.bool_] | None) -> pa.Table:
    """The columns that deviation.js reads. fresh: of all elements; matches: of the squares, None
    for all."""
    dim = np.zeros(cells.size, np.uint8) if matches is None else (~matches).astype(np.uint8)
    return pa.table({
        "name": pa.array([describe.name(topology, cell) for cell in cells.tolist()], pa.string()),
        "value": value,
        "away": away,
        "alarm": snapshot.alarms.worst_tier[cells].astype(np.uint8),
        "fresh": fresh[cells].astype(np.uint8),
        "stale": snapshot.frame.stale[cells].astype(np.uint8),
        "inner": (topology.child_count[cells] > 0).astype(np.uint8),
        "dim": dim,
    })
