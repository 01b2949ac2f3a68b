from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import TopologyError, UnknownIdError
from core.topology import DEFAULT_LEVELS, GRID_ID, Level, NodeSpec, Topology
from tests.core.sites import system


@st.composite
def sites(draw: st.DrawFn) -> list[NodeSpec]:
    def branch(prefix: str, level: int) -> list[NodeSpec]:
        if level == len(DEFAULT_LEVELS):
            return []
        name = DEFAULT_LEVELS[level].name
        count = draw(st.integers(1 if level == 0 else 0, 3))
        return [NodeSpec(f"{prefix}{name}_{i}", f"{name} {i}", name,
                         draw(st.floats(0, 100)),
                         children=branch(f"{prefix}{name}_{i}_", level + 1))
                for i in range(count)]
    return branch("", 0)


@given(sites())
def test_children_are_contiguous_and_level_order_is_kept(roots: list[NodeSpec]) -> None:
    site = Topology(DEFAULT_LEVELS, roots)
    for node in range(site.size):
        part = site.children(node)
        assert (site.parent[part] == node).all()
        assert part.stop - part.start == site.child_count[node]
    assert (np.diff(site.depth) >= 0).all()
    assert site.parent[0] == -1


@given(sites())
def test_leaves_are_those_found_by_walking(roots: list[NodeSpec]) -> None:
    site = Topology(DEFAULT_LEVELS, roots)

    def walk(node: int) -> list[int]:
        part = site.children(node)
        below = [leaf for child in range(part.start, part.stop) for leaf in walk(child)]
        return below or [node]

    for node in range(site.size):
        assert sorted(site.leaves(node).tolist()) == sorted(walk(node))


def test_path_and_index_are_inverse() -> None:
    site = Topology(DEFAULT_LEVELS, [system(0), system(1)])
    for node in range(1, site.size):
        path = site.path(node)
        assert path[-1] == node
        assert site.index(site.ids[node]) == node
        assert [int(site.parent[child]) for child in path] == [0, *path[:-1]]
    assert site.ids[0] == GRID_ID


def test_a_new_level_is_configuration_only() -> None:
    levels = (*DEFAULT_LEVELS[:3], Level("string", "strings"), *DEFAULT_LEVELS[3:])
    cell = NodeSpec("system_0_string_0_cell_0", "Cell 0", "cell")
    string = NodeSpec("system_0_string_0", "String 0", "string", children=[cell])
    site = Topology(levels, [NodeSpec("system_0", "S", "system", children=[string])])
    assert site.items_level(site.index("system_0")) == "strings"
    assert site.level_title(site.index("system_0_string_0")) == "String"


@pytest.mark.parametrize(("roots", "allowed"), [
    ([NodeSpec("a", "A", "system"), NodeSpec("a", "B", "system")], "occurs once"),
    ([NodeSpec("a", "A", "system", capacity_kwh=-1)], "0 or more"),
    ([NodeSpec("a", "A", "planet")], "one of system"),
    ([NodeSpec("a", "A", "cell", children=[NodeSpec("b", "B", "rack")])], "below its parent"),
    ([NodeSpec("a", "A", "system", chemistry="NiCd")], "one of LFP"),
])
def test_a_broken_hierarchy_is_refused_in_words(roots: list[NodeSpec], allowed: str) -> None:
    with pytest.raises(TopologyError, match=allowed):
        Topology(DEFAULT_LEVELS, roots)


def test_a_cycle_is_refused() -> None:
    rack = NodeSpec("r", "R", "rack")
    top = NodeSpec("s", "S", "system", children=[rack])
    rack.children.append(rack)
    with pytest.raises(TopologyError, match="without cycles"):
        Topology(DEFAULT_LEVELS, [top])


def test_an_unknown_id_is_named_but_not_echoed_at_length() -> None:
    site = Topology(DEFAULT_LEVELS, [system()])
    with pytest.raises(UnknownIdError) as error:
        site.index("x" * 10_000)
    assert len(str(error.value)) < 200
