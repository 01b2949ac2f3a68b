"""Deviations from the median of what stands beside an element, against a search by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.deviation import deviations, group_medians, references
from core.frames import Frame, empty_columns
from core.topology import DEFAULT_LEVELS, Level, NodeSpec, Topology
from tests.core.sites import NOON, system


def rackless(cells: int) -> NodeSpec:
    """A recorded pack: cells right below a cluster."""
    below = [NodeSpec(f"system_9_cluster_0_cell_{c}", f"Cell {c}", "cell") for c in range(cells)]
    return NodeSpec("system_9", "Recorded", "system",
                    children=[NodeSpec("system_9_cluster_0", "Pack", "cluster", children=below)])


def frame_of(topology: Topology, volts: np.ndarray, stale: np.ndarray) -> Frame:
    columns = empty_columns(topology.size)
    columns["voltage_v"] = volts.astype(np.float32)
    size = topology.size
    return Frame(NOON, columns, np.zeros(size, np.float32), stale, np.ones(size, np.float32),
                 np.zeros(size, np.uint8))


def by_hand(topology: Topology, frame: Frame, node: int) -> float:
    """The definition, word by word: climb to the rack or what is above it, gather, compare."""
    if node == 0:
        return math.nan
    above = int(topology.parent[node])
    while int(topology.level[above]) > len(topology.levels) - 3:
        above = int(topology.parent[above])
    beside = [frame.value("voltage_v", one) for one in range(1, topology.size)
              if topology.level[one] == topology.level[node] and not frame.stale[one]
              and (above == 0 or above in topology.path(one)[:-1])]
    known = [value for value in beside if math.isfinite(value)]
    own = math.nan if frame.stale[node] else frame.value("voltage_v", node)
    return own - float(np.median(known)) if len(known) > 1 else math.nan


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_every_deviation_is_that_of_a_search_by_hand(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1,
                               max_size=3))
    roots = [system(k, modules, cells) for k, (modules, cells) in enumerate(sizes)]
    topology = Topology(DEFAULT_LEVELS, [*roots, rackless(data.draw(st.integers(1, 4)))])
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    volts = np.where(rng.random(topology.size) < 0.2, np.nan, rng.normal(3.3, 0.1, topology.size))
    frame = frame_of(topology, volts, rng.random(topology.size) < 0.15)
    nodes = rng.permutation(topology.size)[:data.draw(st.integers(1, topology.size))]
    found = deviations(topology, frame, nodes, "voltage_v")
    wanted = [by_hand(topology, frame, int(node)) for node in nodes]
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_a_cell_is_compared_with_its_rack_and_a_rack_with_its_cluster() -> None:
    topology = Topology(DEFAULT_LEVELS, [system(), rackless(2)])
    rack = topology.index("system_0_cluster_0_rack_0")
    cell = topology.index("system_0_cluster_0_rack_0_module_1_cell_2")
    pack = topology.index("system_9_cluster_0")
    nodes = np.array([cell, rack, pack, topology.index("system_9_cluster_0_cell_1"), 0])
    assert references(topology, nodes).tolist() == [
        rack, topology.index("system_0_cluster_0"), topology.index("system_9"), pack, 0]


def test_a_site_of_two_levels_is_one_rack() -> None:
    levels = (Level("pack", "packs"), Level("cell", "cells"))
    cells = [NodeSpec(f"pack_0_cell_{c}", f"Cell {c}", "cell") for c in range(3)]
    topology = Topology(levels, [NodeSpec("pack_0", "Pack", "pack", children=cells)])
    frame = frame_of(topology, np.array([0, 0, 3.0, 3.1, 3.3]), np.zeros(5, bool))
    found = deviations(topology, frame, np.arange(2, 5), "voltage_v")
    np.testing.assert_allclose(found, [-0.1, 0, 0.2], atol=1e-6)


def test_alone_or_unknown_there_is_no_deviation() -> None:
    topology = Topology(DEFAULT_LEVELS, [system(0, 1, 2)])
    cells = topology.leaves(0)
    one_known = np.where(np.arange(topology.size) == cells[0], 3.3, np.nan)
    frame = frame_of(topology, one_known, np.zeros(topology.size, bool))
    assert np.isnan(deviations(topology, frame, cells, "voltage_v")).all()
    assert deviations(topology, frame, np.empty(0, np.int64), "voltage_v").size == 0


@pytest.mark.parametrize(("values", "groups", "wanted"), [
    ([1, 3, 2, 9], [0, 0, 0, 0], [2.5, 2.5, 2.5, 2.5]),
    ([5, 1, 7, 3, np.nan], [1, 0, 1, 0, 0], [6, 2, 6, 2, 2]),
    ([np.nan, np.nan, 4], [0, 0, 1], [np.nan, np.nan, np.nan]),
])
def test_medians_of_groups(values: list[float], groups: list[int], wanted: list[float]) -> None:
    found = group_medians(np.array(values, np.float32), np.array(groups))
    np.testing.assert_allclose(found, wanted)
