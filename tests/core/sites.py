"""Small sites and a source that says what a test tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from core.errors import SourceError
from core.frames import Reading, empty_columns
from core.ports import SourceInfo
from core.topology import DEFAULT_LEVELS, Level, NodeSpec, Topology

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def system(number: int = 0, modules: int = 2, cells: int = 3, chemistry: str = "LFP") -> NodeSpec:
    """One system, cluster and rack with `modules` of `cells` cells of 1 kWh."""
    top = f"system_{number}"
    rack = f"{top}_cluster_0_rack_0"
    module_specs = [
        NodeSpec(f"{rack}_module_{m}", f"Module {m}", "module", float(cells), chemistry, "series",
                 children=[NodeSpec(f"{rack}_module_{m}_cell_{c}", f"Cell {c}", "cell", 1.0,
                                    chemistry) for c in range(cells)])
        for m in range(modules)
    ]
    size = float(modules * cells)
    rack_spec = NodeSpec(rack, "Rack 0", "rack", size, chemistry, "series", children=module_specs)
    cluster = NodeSpec(f"{top}_cluster_0", "Cluster 0", "cluster", size, chemistry, "parallel",
                       children=[rack_spec])
    return NodeSpec(top, f"Power System {number}", "system", size, chemistry, "parallel",
                    children=[cluster])


class ScriptedReadings:
    """A source that answers with what the test put into `cells`, `heard` and `failure`."""

    def __init__(self, roots: Sequence[NodeSpec], levels: Sequence[Level] = DEFAULT_LEVELS,
                 stale_after_s: float = 5.0) -> None:
        self.roots = list(roots)
        self.topology = Topology(levels, self.roots)
        self.info = SourceInfo("test", "Test", "live", 1.0, stale_after_s, "discharge")
        self.columns = empty_columns(self.topology.size)
        self.heard: np.ndarray | None = None
        self.flags: np.ndarray | None = None
        self.failure: Exception | None = None
        self.closed = False

    def set(self, node_id: str, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.columns[name][self.topology.index(node_id)] = value

    def set_cells(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.columns[name][self.topology.child_count == 0] = value

    def start(self, now: datetime, topology: Topology) -> None:
        assert topology.ids == self.topology.ids

    def poll(self, now: datetime) -> Reading:
        if self.failure is not None:
            raise self.failure
        columns = {name: column.copy() for name, column in self.columns.items()}
        return Reading(now, columns, self.heard, self.flags)

    def close(self) -> None:
        self.closed = True


def lost() -> SourceError:
    return SourceError("the device does not answer; next try in 1 s")
