"""Seed document sections 3.2, 3.3 and 13.1: ids, counts and capacities of the simulated site."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigurationError
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from sim.fleet import Options, create
from tests.sim.support import WITH_STRINGS

SEEDS = st.integers(min_value=0, max_value=2**63 - 1)


def all_of(spec: NodeSpec) -> Iterator[NodeSpec]:
    yield spec
    for child in spec.children:
        yield from all_of(child)


def fleet_roots(seed: int, **options: Any) -> list[NodeSpec]:
    return list(create("f", Options(seed=seed, **options), DEFAULT_LEVELS).roots)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_six_systems_with_the_documents_counts(seed: int) -> None:
    roots = fleet_roots(seed)
    assert len(roots) == 6
    allowed = {"system": (2, 4), "cluster": (2, 3), "rack": (3, 5), "module": (10, 20)}
    for root in roots:
        for spec in all_of(root):
            if spec.level == "cell":
                assert not spec.children
            else:
                low, high = allowed[spec.level]
                assert low <= len(spec.children) <= high


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_capacities_are_100_to_400_kwh_and_add_up_at_every_level(seed: int) -> None:
    for root in fleet_roots(seed):
        assert 100.0 <= root.capacity_kwh <= 400.0
        for spec in all_of(root):
            assert spec.capacity_kwh > 0.0
            if spec.children:
                total = math.fsum(child.capacity_kwh for child in spec.children)
                assert total == pytest.approx(spec.capacity_kwh, rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_cells_of_a_system_are_nearly_alike(seed: int) -> None:
    for root in fleet_roots(seed, systems=2):
        cells = [spec.capacity_kwh for spec in all_of(root) if spec.level == "cell"]
        assert max(cells) / min(cells) < 1.25


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_the_same_seed_gives_the_same_site(seed: int) -> None:
    assert fleet_roots(seed, systems=2) == fleet_roots(seed, systems=2)


def test_a_system_does_not_depend_on_the_others() -> None:
    assert fleet_roots(1, systems=3)[:2] == fleet_roots(1, systems=2)
    assert fleet_roots(1, systems=1) != fleet_roots(2, systems=1)


def test_ids_and_names_are_the_documents() -> None:
    roots = fleet_roots(0, counts={"cluster": (2, 2), "rack": (2, 2), "module": (3, 3),
                                   "cell": (16, 16)})
    topology = Topology(DEFAULT_LEVELS, roots)
    expected = {
        "system_0": "Power System 0",
        "system_0_cluster_1": "Cluster 1",
        "system_0_cluster_1_rack_0": "Rack 0",
        "system_0_cluster_1_rack_0_module_2": "Module 2",
        "system_0_cluster_1_rack_0_module_2_cell_15": "Cell 15",
    }
    for node_id, name in expected.items():
        assert topology.names[topology.index(node_id)] == name
    cell = topology.index("system_0_cluster_1_rack_0_module_2_cell_15")
    assert topology.path_ids(cell) == list(expected)


def test_cells_and_modules_are_in_series_and_the_rest_in_parallel() -> None:
    spec, found = fleet_roots(0)[0], []
    while spec.children:
        found.append(spec.arrangement)
        spec = spec.children[0]
    assert found == ["parallel", "parallel", "series", "series"]


def test_an_inserted_level_is_configuration_alone() -> None:
    fleet = create("f", Options(systems=2, counts={"string": (2, 3)}), WITH_STRINGS)
    topology = Topology(WITH_STRINGS, fleet.roots)
    cell = topology.index("system_0_cluster_1_rack_0_string_1_module_2_cell_9")
    assert topology.names[topology.index("system_0_cluster_1_rack_0_string_1")] == "String 1"
    assert len(topology.path(cell)) == 6
    wiring = [int(topology.arrangement[node]) for node in topology.path(cell)[:-1]]
    assert wiring == [2, 2, 2, 1, 1]


def test_chemistries_go_round_and_places_are_taken() -> None:
    roots = fleet_roots(0, systems=3, chemistries=["LCO", "NMC"], places=[(52.5, 13.4)],
                        first_system=4)
    assert [root.chemistry for root in roots] == ["LCO", "NMC", "LCO"]
    assert [root.id for root in roots] == ["system_4", "system_5", "system_6"]
    assert (roots[0].latitude_deg, roots[0].longitude_deg) == (52.5, 13.4)
    assert roots[1].latitude_deg is None


@pytest.mark.parametrize(("options", "key"), [
    ({"counts": {"shelf": (1, 2)}}, "counts.shelf"),
    ({"counts": {"system": (1, 2)}}, "counts.system"),
    ({"counts": {"cell": (5, 4)}}, "counts.cell"),
    ({"counts": {"cell": (10_000, 10_000), "module": (10_000, 10_000)}}, "counts"),
    ({"capacity_kwh": (400.0, 100.0)}, "capacity_kwh"),
])
def test_wrong_options_name_their_key(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create("f", Options(**options), DEFAULT_LEVELS)
    assert caught.value.key == f"sources.f.options.{key}"


def test_a_level_without_counts_is_an_error() -> None:
    with pytest.raises(ConfigurationError) as caught:
        create("f", Options(), WITH_STRINGS)
    assert caught.value.key == "sources.f.options.counts.string"


@pytest.mark.parametrize("options", [
    {"systems": 0}, {"systems": "6"}, {"system": 6}, {"chemistries": []},
    {"chemistries": ["LTO"]}, {"places": [[91.0, 0.0]]}, {"counts": {"cell": [0, 3]}},
    {"ambient_c": float("nan")}, {"capacity_kwh": [0.0, 1.0]}, {"past_hours": -1.0},
    {"seed": -1},
])
def test_options_are_strict(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, Options, strict=True)
