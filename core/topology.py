"""The tree of a site as arrays in level order: the children of a node are contiguous.

Node 0 is the grid connection. Depth is the distance from it; the level ("cluster",
"rack") is data (law 6), so that a branch may skip a level or end early: a recorded pack
holds cells and no modules, and beside it stands a battery whose parts nobody reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import TopologyError, UnknownIdError
from core.vocabulary import CHEMISTRIES

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]

Arrangement = Literal["series", "parallel", "none"]
ARRANGEMENTS: tuple[Arrangement, ...] = ("none", "series", "parallel")

ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]{0,23}\Z")
LONGEST_ATTRIBUTE = 60
OWN_ATTRIBUTES = ("chemistry", "state", "level", "name", "id")
"""Words that every element has a value for already."""

GRID_ID = "poc_main"
GRID_NAME = "Grid POC"


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the hierarchy; `name` is the id's own segment ("rack" in `..._rack_0`)."""

    name: str
    plural: str

    @property
    def title(self) -> str:
        return self.name.capitalize()


DEFAULT_LEVELS: tuple[Level, ...] = (
    Level("system", "systems"),
    Level("cluster", "clusters"),
    Level("rack", "racks"),
    Level("module", "modules"),
    Level("cell", "cells"),
)


@dataclass(slots=True)
class NodeSpec:
    """What a source says about one element when it describes its part of the site.

    capacity_kwh: nominal energy [kWh], NaN when not known.
    arrangement: how the CHILDREN are wired, for the parent's voltage and current.
    measured: the source reports this parent's own readings; no roll-up replaces them (law 7).
    attributes: what else it may be grouped by (side, row, phase); what is below inherits them.
    """

    id: str
    name: str
    level: str
    capacity_kwh: float = float("nan")
    chemistry: str | None = None
    arrangement: Arrangement = "none"
    measured: bool = False
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    note: str = ""
    attributes: Mapping[str, str] | None = None
    children: list[NodeSpec] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Attribute:
    """values: the different ones, sorted. codes: int32[n], index into them, -1 where nobody
    said it of the element or of one above it."""

    values: tuple[str, ...]
    codes: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class LeafRanges:
    """The leaves in an order in which those below any node lie side by side: they are
    order[start[node]:stop[node]], the node itself when it is one.

    order: int64[leaves], nodes. start, stop: int64[n], positions in it.
    """

    order: IndexArray
    start: IndexArray
    stop: IndexArray


class Topology:
    """A site: node arrays in level order. Shapes: n nodes, d depths.

    ids, names: n strings. parent: int64[n], -1 for the grid. depth, level: int64[n]
    (level indexes `levels`, -1 for the grid). first_child, child_count: int64[n].
    capacity_kwh: float32[n], NaN unknown. chemistry: int8[n], -1 unknown.
    arrangement: int8[n]. measured: bool[n]. depth_offsets: int64[d + 1].
    attributes: by name, those that sources or orrery.toml gave.
    """

    def __init__(self, levels: Sequence[Level], roots: Iterable[NodeSpec]) -> None:
        self.levels = tuple(levels)
        self._level_index = {level.name: i for i, level in enumerate(self.levels)}
        grid = NodeSpec(GRID_ID, GRID_NAME, "", children=list(roots))
        self._fill(_level_order(grid))
        self._check()

    def _fill(self, rows: list[tuple[NodeSpec, int, int]]) -> None:
        specs = [spec for spec, _, _ in rows]
        self.ids: tuple[str, ...] = tuple(spec.id for spec in specs)
        self.names: tuple[str, ...] = tuple(spec.name for spec in specs)
        self.notes: dict[str, str] = {spec.id: spec.note for spec in specs if spec.note}
        self.places: dict[str, tuple[float, float]] = {
            spec.id: (spec.latitude_deg, spec.longitude_deg)
            for spec in specs
            if spec.latitude_deg is not None and spec.longitude_deg is not None
        }
        self.parent = np.array([parent for _, parent, _ in rows], dtype=np.int64)
        self.depth = np.array([depth for _, _, depth in rows], dtype=np.int64)
        self.level = np.array([self._level_of(spec) for spec in specs], dtype=np.int64)
        self.child_count = np.array([len(spec.children) for spec in specs], dtype=np.int64)
        self.first_child = 1 + np.concatenate(([0], np.cumsum(self.child_count)[:-1]))
        self.capacity_kwh = np.array([spec.capacity_kwh for spec in specs], dtype=np.float32)
        self.chemistry = np.array([_chemistry_index(spec) for spec in specs], dtype=np.int8)
        self.arrangement = np.array(
            [ARRANGEMENTS.index(spec.arrangement) for spec in specs], dtype=np.int8
        )
        self.measured = np.array([spec.measured for spec in specs], dtype=bool)
        self.depth_offsets = np.searchsorted(self.depth, np.arange(self.depth[-1] + 2))
        self.capacity_kwh[0] = np.nansum(self.capacity_kwh[self.children(0)])
        self.attributes: dict[str, Attribute] = self._attributes(specs)

    def _level_of(self, spec: NodeSpec) -> int:
        if spec.id == GRID_ID:
            return -1
        if spec.level not in self._level_index:
            raise TopologyError("topology", f"{spec.id}.level", spec.level,
                                "one of " + ", ".join(self._level_index))
        return self._level_index[spec.level]

    def _attributes(self, specs: Sequence[NodeSpec]) -> dict[str, Attribute]:
        told: dict[str, dict[int, str]] = {}
        for node, spec in enumerate(specs):
            for name, value in (spec.attributes or {}).items():
                _check_attribute(spec.id, name, value)
                told.setdefault(name, {})[node] = value
        return {name: self._inherited(own) for name, own in sorted(told.items())}

    def _inherited(self, own: Mapping[int, str]) -> Attribute:
        values = tuple(sorted(set(own.values())))
        codes = np.full(self.size, -1, dtype=np.int32)
        codes[list(own)] = [values.index(value) for value in own.values()]
        for start, stop in zip(self.depth_offsets[1:-1], self.depth_offsets[2:], strict=True):
            above = codes[self.parent[start:stop]]
            codes[start:stop] = np.where(codes[start:stop] < 0, above, codes[start:stop])
        return Attribute(values, codes)

    def _check(self) -> None:
        if len(self.index_of_id) != len(self.ids):
            seen: set[str] = set()
            double = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise TopologyError("topology", "id", double, "an id that occurs once")
        negative = np.flatnonzero(self.capacity_kwh < 0)
        if negative.size:
            node = int(negative[0])
            raise TopologyError("topology", f"{self.ids[node]}.capacity_kwh",
                                float(self.capacity_kwh[node]), "0 or more kWh")
        inverted = np.flatnonzero(self.level[1:] <= self.level[self.parent[1:]]) + 1
        if inverted.size:
            raise TopologyError("topology", f"{self.ids[int(inverted[0])]}.level",
                                self.levels[int(self.level[inverted[0]])].name,
                                "a level below its parent's")

    @property
    def size(self) -> int:
        return len(self.ids)

    @cached_property
    def index_of_id(self) -> dict[str, int]:
        return {node_id: i for i, node_id in enumerate(self.ids)}

    def index(self, node_id: str) -> int:
        """Node of an id; raises UnknownIdError."""
        try:
            return self.index_of_id[node_id]
        except KeyError:
            raise UnknownIdError(f"no element is called {node_id[:80]!r}") from None

    def children(self, node: int) -> slice:
        first = int(self.first_child[node])
        return slice(first, first + int(self.child_count[node]))

    def is_leaf(self, node: int) -> bool:
        return int(self.child_count[node]) == 0

    def path(self, node: int) -> list[int]:
        """Nodes from the top to `node`, the grid left out; [] for the grid."""
        found: list[int] = []
        while node > 0:
            found.append(node)
            node = int(self.parent[node])
        return found[::-1]

    def path_ids(self, node: int) -> list[str]:
        return [self.ids[i] for i in self.path(node)]

    def level_title(self, node: int) -> str:
        return self.levels[int(self.level[node])].title if node else "Grid"

    def items_level(self, node: int) -> str:
        """Plural name of the level of the children of `node`; "" when it has none."""
        if self.is_leaf(node):
            return ""
        return self.levels[int(self.level[self.first_child[node]])].plural

    def chemistry_name(self, node: int) -> str | None:
        found = int(self.chemistry[node])
        return None if found < 0 else CHEMISTRIES[found]

    def descendants(self, node: int, last: int | None = None) -> list[slice]:
        """One contiguous slice of nodes a depth below `node`, or below all from `node` to `last`,
        which have one depth; the nearest depth first."""
        found: list[slice] = []
        first, last = node, node if last is None else last
        while True:
            block = np.arange(first, last + 1)
            having = block[self.child_count[block] > 0]
            if not having.size:
                return found
            first = int(self.first_child[having[0]])
            last = int(self.first_child[having[-1]] + self.child_count[having[-1]]) - 1
            found.append(slice(first, last + 1))

    def leaves(self, node: int) -> IndexArray:
        """Indices of the leaves below `node` (`node` itself when it is one)."""
        if self.is_leaf(node):
            return np.array([node], dtype=np.int64)
        parts = [np.arange(part.start, part.stop) for part in self.descendants(node)]
        below = np.concatenate(parts)
        found: IndexArray = below[self.child_count[below] == 0]
        return found

    @cached_property
    def leaf_ranges(self) -> LeafRanges:
        """Every node's leaves as a range; made once."""
        is_leaf = self.child_count == 0
        count = is_leaf.astype(np.int64)
        start = np.zeros(self.size, dtype=np.int64)
        depths = range(1, len(self.depth_offsets) - 1)
        blocks = [slice(*self.depth_offsets[depth:depth + 2].tolist()) for depth in depths]
        for block in reversed(blocks):
            np.add.at(count, self.parent[block], count[block])
        for block in blocks:
            above = self.parent[block]
            before = np.cumsum(count[block]) - count[block]
            start[block] = start[above] + before - before[self.first_child[above] - block.start]
        leaves = np.flatnonzero(is_leaf)
        order = np.empty(leaves.size, dtype=np.int64)
        order[start[leaves]] = leaves
        return LeafRanges(order, start, start + count)


def _chemistry_index(spec: NodeSpec) -> int:
    if spec.chemistry is None:
        return -1
    if spec.chemistry not in CHEMISTRIES:
        raise TopologyError("topology", f"{spec.id}.chemistry", spec.chemistry,
                            "one of " + ", ".join(CHEMISTRIES))
    return CHEMISTRIES.index(spec.chemistry)


def _check_attribute(node_id: str, name: str, value: str) -> None:
    if not ATTRIBUTE_NAME.match(name) or name in OWN_ATTRIBUTES:
        raise TopologyError("topology", f"{node_id}.attributes", name,
                            "small letters, digits and _ from a letter on, at most 24, and none "
                            "of " + ", ".join(OWN_ATTRIBUTES))
    if not 0 < len(value) <= LONGEST_ATTRIBUTE:
        raise TopologyError("topology", f"{node_id}.attributes.{name}", value[:80],
                            f"1 to {LONGEST_ATTRIBUTE} characters")


def _level_order(grid: NodeSpec) -> list[tuple[NodeSpec, int, int]]:
    """(spec, parent's index, depth) breadth first; raises TopologyError on a cycle."""
    rows: list[tuple[NodeSpec, int, int]] = [(grid, -1, 0)]
    seen = {id(grid)}
    position = 0
    while position < len(rows):
        spec, _, depth = rows[position]
        for child in spec.children:
            if id(child) in seen:
                raise TopologyError("topology", "id", child.id,
                                    "an element with one parent (a tree without cycles)")
            seen.add(id(child))
            rows.append((child, position, depth + 1))
        position += 1
    return rows
