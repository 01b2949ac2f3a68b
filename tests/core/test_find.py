"""What may be asked, and what the answer names."""

from __future__ import annotations

import numpy as np
import pytest

from core.clock import ManualClock
from core.engine import Engine
from core.errors import RequestError
from core.find import find, levels_below
from core.frames import Frame
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from core.worst import NO_NODE, worst
from tests.core.sites import NOON, ScriptedReadings, system

HOT = "system_1_cluster_0_rack_0_module_1_cell_2"


def scripted() -> ScriptedReadings:
    source = ScriptedReadings([system(0), system(1), system(2)])
    source.set_cells({"soc_pct": 60.0, "voltage_v": 3.3, "temperature_c": 25.0, "soh_pct": 100.0})
    source.set(HOT, {"temperature_c": 41.5, "voltage_v": 3.21})
    return source


def at_once(source: ScriptedReadings) -> tuple[Topology, Frame]:
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    return engine.topology, engine.tick().frame


def test_the_hottest_rack_is_the_rack_of_the_hottest_cell() -> None:
    site, frame = at_once(scripted())
    first = find(site, frame, "hottest", "rack").found[0]
    assert site.ids[first.node] == "system_1_cluster_0_rack_0"
    assert (first.value, site.ids[first.leaf]) == (41.5, HOT)


def test_the_widest_spread_names_both_ends() -> None:
    site, frame = at_once(scripted())
    first = find(site, frame, "voltage_spread", "module").found[0]
    assert site.ids[first.node] == "system_1_cluster_0_rack_0_module_1"
    assert first.value == pytest.approx(0.09, abs=1e-6)
    assert site.ids[first.low_leaf] == HOT
    assert first.leaf not in (NO_NODE, first.low_leaf)


def test_from_here_nothing_else_is_looked_at() -> None:
    site, frame = at_once(scripted())
    here = site.index("system_2")
    found = find(site, frame, "hottest", "cell", here, most=100)
    assert {one.value for one in found.found} == {25.0}
    assert len(found.found) == found.compared == 6


def test_the_oldest_was_never_heard() -> None:
    source = scripted()
    source.heard = np.array([not name.startswith("system_0") for name in source.topology.ids])
    site, frame = at_once(source)
    found = find(site, frame, "oldest", "rack").found
    assert [one.value for one in found] == [np.inf, 0.0, 0.0]
    assert site.ids[found[0].node] == "system_0_cluster_0_rack_0"
    hottest = find(site, frame, "hottest", "cell")
    assert (hottest.compared, hottest.unknown) == (12, 6)


def test_a_pack_that_knows_its_charge_alone_is_found_by_it() -> None:
    cells = [NodeSpec(f"system_0_cell_{i}", f"Cell {i}", "cell", 1.0, "LFP") for i in range(3)]
    pack = NodeSpec("system_0", "Pack", "system", 3.0, "LFP", "series", measured=True,
                    children=cells)
    source = ScriptedReadings([pack])
    source.set_cells({"voltage_v": 3.3})
    source.set("system_0", {"soc_pct": 12.0, "temperature_c": 30.0})
    site, frame = at_once(source)
    assert [(site.ids[one.node], one.value)
            for one in find(site, frame, "lowest_soc", "cell").found] == [("system_0", 12.0)]
    whole = worst(site, frame, 0, "soc_pct")
    assert whole is not None
    assert (whole.known, whole.missing) == (1, 0)
    assert worst(site, frame, 0, "voltage_v").known == 3  # type: ignore[union-attr]


def test_levels_are_those_that_are_below() -> None:
    site, _ = at_once(scripted())
    names = [[one.name for one in levels_below(site, site.index(place))]
             for place in ("system_0", "system_0_cluster_0_rack_0_module_0", HOT)]
    assert names == [["cell", "module", "rack", "cluster"], ["cell"], []]


@pytest.mark.parametrize(("name", "level", "most", "says"), [
    ("loudest", "cell", 5, "hottest"), ("hottest", "drawer", 5, "rack"),
    ("voltage_spread", "cell", 5, "no spread"), ("hottest", "cell", 0, "1 to 1000")])
def test_what_there_is_not_is_refused_in_words(name: str, level: str, most: int,
                                               says: str) -> None:
    site, frame = at_once(scripted())
    with pytest.raises(RequestError, match=says):
        find(site, frame, name, level, 0, most)
