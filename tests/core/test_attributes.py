"""What elements may be grouped by: inherited downwards, checked, given by file or simulator."""

from __future__ import annotations

import pytest

from core.attributes import give
from core.config import load_config
from core.errors import ConfigurationError, TopologyError
from core.registry import make_sources
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from sim.fleet import Options, create
from tests.core.sites import system

RACK = "system_0_cluster_0_rack_0"


def values(site: Topology, name: str) -> list[str | None]:
    """Of every node, None where nobody said it."""
    column = site.attributes[name]
    return [column.values[code] if code >= 0 else None for code in column.codes.tolist()]


def test_what_is_below_inherits_unless_it_says_otherwise() -> None:
    root = system(0)
    rack = root.children[0].children[0]
    give([root], {RACK: {"side": "west"}, rack.children[1].id: {"side": "east"}}, "orrery.toml")
    site = Topology(DEFAULT_LEVELS, [root])
    found = dict(zip(site.ids, values(site, "side"), strict=True))
    assert found["poc_main"] is None
    assert found["system_0"] is None
    assert found[RACK] == "west"
    assert found[f"{RACK}_module_0_cell_2"] == "west"
    assert found[f"{RACK}_module_1_cell_2"] == "east"


def test_a_file_speaks_over_its_source_and_of_known_elements_alone() -> None:
    root = NodeSpec("system_0", "S", "system", attributes={"phase": "L1", "row": "1"})
    give([root], {"system_0": {"phase": "L2"}}, "orrery.toml")
    assert root.attributes == {"phase": "L2", "row": "1"}
    with pytest.raises(ConfigurationError, match=r"orrery.toml: attributes.system_9"):
        give([root], {"system_9": {"phase": "L2"}}, "orrery.toml")


@pytest.mark.parametrize(("name", "value", "allowed"), [
    ("Side", "west", "small letters"), ("chemistry", "LFP", "none of chemistry"),
    ("a" * 25, "west", "at most 24"), ("side", "", "1 to 60"), ("side", "x" * 61, "1 to 60"),
])
def test_names_and_values_are_checked(name: str, value: str, allowed: str) -> None:
    root = NodeSpec("system_0", "S", "system", attributes={name: value})
    with pytest.raises(TopologyError, match=allowed):
        Topology(DEFAULT_LEVELS, [root])


def test_a_site_without_attributes_has_none() -> None:
    assert Topology(DEFAULT_LEVELS, [system(0)]).attributes == {}


def test_the_simulator_gives_them_in_turn_and_knows_its_levels() -> None:
    options = Options(systems=3, past_hours=0.0,
                      attributes={"system": {"phase": ["L1", "L2"]}})
    site = Topology(DEFAULT_LEVELS, create("fleet", options, DEFAULT_LEVELS).roots)
    assert values(site, "phase")[1:4] == ["L1", "L2", "L1"]
    with pytest.raises(ConfigurationError, match="attributes.planet"):
        create("fleet", Options(attributes={"planet": {"side": ["a"]}}), DEFAULT_LEVELS)


def test_the_demo_can_be_grouped_by_phase_row_and_side() -> None:
    fleet = next(source for source in make_sources(load_config()) if source.info.name == "fleet")
    site = Topology(DEFAULT_LEVELS, fleet.roots)
    assert list(site.attributes) == ["phase", "row", "side"]
    rack = site.index(RACK)
    assert {name: values(site, name)[rack] for name in site.attributes} == {
        "phase": "L1", "row": "1", "side": "west"}
