"""What a scene shows below a place, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.below import ALL, below
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from tests.core.test_topology import sites


@settings(max_examples=40)
@given(sites(), st.data())
def test_rows_are_tiers_in_order_and_know_their_parents(roots: list[NodeSpec],
                                                        data: st.DataObject) -> None:
    site = Topology(DEFAULT_LEVELS, roots)
    place = data.draw(st.integers(0, site.size - 1))
    depth = data.draw(st.sampled_from((1, 2, 3, ALL)))
    rows = below(site, place, depth)
    nodes = rows.nodes.tolist()
    expected = [node for node in range(site.size) if node != place
                and 0 < site.depth[node] - site.depth[place] <= (depth or 99)
                and (place == 0 or place in site.path(node))]
    assert nodes == expected
    assert rows.left_out == 0
    assert rows.tier.tolist() == [int(site.depth[node] - site.depth[place]) for node in nodes]
    for row, node in enumerate(nodes):
        above = int(rows.parent_row[row])
        assert (place if above < 0 else nodes[above]) == site.parent[node]
        assert above < row
    assert rows.take(site.depth).tolist() == [int(site.depth[node]) for node in nodes]


def _flat(count: int) -> Topology:
    cells = [NodeSpec(f"system_0_cell_{i}", f"Cell {i}", "cell", 1.0) for i in range(count)]
    return Topology(DEFAULT_LEVELS, [NodeSpec("system_0", "S", "system", children=cells)])


def test_fifty_thousand_children_under_one_are_all_there() -> None:
    site = _flat(50_000)
    rows = below(site, 1)
    assert rows.size == 50_000
    assert rows.left_out == 0
    assert (rows.parent_row == -1).all()


@pytest.mark.parametrize(("depth", "most", "shown", "left_out"), [
    (1, 4, 1, 0), (2, 4, 1, 10), (ALL, 11, 11, 0), (ALL, 10, 1, 10)])
def test_what_does_not_fit_is_left_out_by_whole_tiers(depth: int, most: int, shown: int,
                                                      left_out: int) -> None:
    rows = below(_flat(10), 0, depth, most)
    assert (rows.size, rows.left_out) == (shown, left_out)


def test_of_too_many_children_the_first_are_shown() -> None:
    rows = below(_flat(10), 1, 1, 4)
    assert rows.nodes.tolist() == [2, 3, 4, 5]
    assert rows.left_out == 6


def test_nothing_is_below_a_leaf() -> None:
    rows = below(_flat(1), 2, ALL)
    assert rows.size == 0
    assert rows.take(np.arange(3)).size == 0
    assert below(_flat(1), 1).size == 1
