"""The state of a site in words."""

from __future__ import annotations

import numpy as np

from components import describe
from components.blocks import Alarm
from core.clock import ManualClock
from core.engine import Engine
from core.topology import DEFAULT_LEVELS
from tests.core.sites import NOON, ScriptedReadings, system


class Site:
    def __init__(self) -> None:
        self.source = ScriptedReadings([system(0), system(1), system(2)])
        self.source.set_cells({"power_kw": 0.5, "soc_pct": 60.0, "voltage_v": 3.3,
                               "temperature_c": 25.0})
        self.clock = ManualClock(NOON)
        self.engine = Engine(DEFAULT_LEVELS, [self.source], self.clock)
        self.topology = self.engine.topology

    def heat(self, module: str, celsius: float) -> None:
        for node_id in self.topology.ids:
            if node_id.startswith(f"{module}_cell"):
                self.source.set(node_id, {"temperature_c": celsius})

    def title(self, node: int = 0) -> str:
        parts = describe.title_parts(self.topology, self.engine.snapshot, node)
        return "".join(part.text if isinstance(part, Alarm) else str(part) for part in parts)


def test_the_title_is_the_answer() -> None:
    site = Site()
    assert site.title() == "3 systems, no data, no alarms"
    site.engine.tick()
    assert site.title() == "3 systems, 9.00 kW discharging, no alarms"
    assert site.title(1) == "System 0: 1 cluster, 3.00 kW discharging, no alarms"


def test_neighbouring_cells_with_one_cause_are_one_line() -> None:
    site = Site()
    site.heat("system_1_cluster_0_rack_0_module_0", 52.0)
    site.engine.tick()
    site.clock.advance(6)
    site.heat("system_1_cluster_0_rack_0_module_1", 61.0)
    snapshot = site.engine.tick()
    groups = describe.alarm_groups(site.topology, snapshot.alarms.active)
    rows = [describe.alarm_row(site.topology, group, site.clock.now()) for group in groups]
    assert [(row.tier, row.element, row.what, row.since) for row in rows] == [
        (3, "System 1 · Cluster 0 · Rack 0 · Module 1",
         "3 cells, too hot: 61.0 °C, limit 60.0 °C", "0 s"),
        (1, "System 1 · Cluster 0 · Rack 0 · Module 0",
         "3 cells, too hot: 52.0 °C, limit 50.0 °C", "6 s"),
    ]
    assert site.title().endswith("6 alarms")


def test_alarmed_first_silent_last() -> None:
    site = Site()
    site.engine.tick()
    site.heat("system_1_cluster_0_rack_0_module_0", 52.0)
    site.source.heard = np.array([not name.startswith("system_0") for name in site.topology.ids])
    site.clock.advance(10)
    snapshot = site.engine.tick()
    order = [site.topology.ids[node] for node in describe.worst_first(site.topology, snapshot)]
    assert order == ["system_1", "system_2", "system_0"]
    silent = describe.system_row(site.topology, snapshot, site.topology.index("system_0"))
    assert silent.stale
    assert silent.note == "last heard 10 s ago"
    assert np.isnan(silent.power_kw)


def test_details_name_the_leaf_behind_an_extreme() -> None:
    site = Site()
    hot = "system_2_cluster_0_rack_0_module_1_cell_2"
    site.source.set(hot, {"temperature_c": 31.5})
    snapshot = site.engine.tick()
    node = site.topology.index("system_2")
    pairs = {pair.label: pair for pair in [
        *describe.details_pairs(site.topology, snapshot, node),
        *describe.extreme_pairs(site.topology, snapshot, node)]}
    assert str(pairs["Hottest cell"].value) == "31.5 °C"
    assert pairs["Hottest cell"].note == "Cluster 0 · Rack 0 · Module 1 · Cell 2"
    assert str(pairs["State of health"].value) == "– %"
