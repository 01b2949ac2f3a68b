"""The deviation map, the table twin and the alarms of a place, without a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from components import sidebar
from components.api_client import LocalClient
from components.space import alarms, deviation, ramps, rows, squares, table
from components.space.settings import Settings
from core.clock import ManualClock
from core.config import Config, OperatorsConfig, SourceConfig
from core.engine import Engine
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from tests.components import space_app
from tests.core.sites import NOON, ScriptedReadings, system

RACK = "system_0_cluster_0_rack_0"
CELL = f"{RACK}_module_1_cell_2"
VIEWER = Path(deviation.__file__).parents[1] / "spheres" / "frontend" / "src" / "ramps.ts"
PLAIN = Settings()


def pack(cells: int) -> NodeSpec:
    """Recorded: a system with cells right below its cluster, and one without any parts."""
    below = [NodeSpec(f"system_9_cluster_0_cell_{c}", f"Cell {c}", "cell") for c in range(cells)]
    return NodeSpec("system_9", "Recorded", "system", children=[
        NodeSpec("system_9_cluster_0", "Pack", "cluster", children=below),
        NodeSpec("system_9_cluster_1", "Silent pack", "cluster")])


class Site:
    """A client of a small site that says what a test tells it."""

    def __init__(self, *roots: NodeSpec) -> None:
        self.source = ScriptedReadings(roots or (system(0, 3, 4), system(1, 2, 3), pack(3)))
        self.clock = ManualClock(NOON)
        self.source.columns["soc_pct"][:] = 50
        self.source.columns["power_kw"][:] = 0.1
        size = self.source.topology.size
        self.source.columns["temperature_c"][:] = 25 + np.arange(size, dtype=np.float32) % 7 / 10
        self.source.columns["voltage_v"][:] = 3.3
        self.engine = Engine(DEFAULT_LEVELS, [self.source], self.clock)
        self.client = LocalClient(Runtime(
            Config([SourceConfig("fleet", "fleet")],
                   operators=OperatorsConfig(mode="local", demo=True)), self.engine, (), None))
        self.lasting()

    def lasting(self, seconds: int = 15) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.engine.tick()

    def heat(self, *elements: str) -> None:
        for element in elements:
            self.source.set(element, {"temperature_c": 70.0})
        self.lasting()

    def node(self, element: str) -> int:
        return self.client.topology.index(element)


@pytest.fixture
def site() -> Site:
    return Site()


# -- squares


def test_the_blocks_of_a_rack_are_its_modules(site: Site) -> None:
    topology = site.client.topology
    shown = squares.squares(topology, site.node(RACK))
    assert [topology.names[one] for one in shown.groups] == ["Module 0", "Module 1", "Module 2"]
    assert shown.counts.tolist() == [4, 4, 4]
    assert [topology.ids[one] for one in shown.cells[4:6]] == [f"{RACK}_module_1_cell_0",
                                                              f"{RACK}_module_1_cell_1"]


def test_a_module_is_one_block_and_an_element_without_parts_a_square_of_its_own(
        site: Site) -> None:
    topology = site.client.topology
    module = site.node(f"{RACK}_module_0")
    assert squares.squares(topology, module).groups.tolist() == [module]
    mixed = squares.squares(topology, site.node("system_9"))
    assert mixed.counts.tolist() == [3, 1]
    assert topology.ids[mixed.cells[-1]] == "system_9_cluster_1"


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=3),
       st.sampled_from((2, 3, 0)))
@settings(max_examples=20, deadline=None)
def test_every_square_lies_in_the_block_of_its_parent(sizes: list[tuple[int, int]],
                                                      depth: int) -> None:
    topology = Topology(DEFAULT_LEVELS, [*(system(k, *size) for k, size in enumerate(sizes)),
                                         pack(2)])
    for place in range(topology.size):
        if topology.is_leaf(place):
            continue
        shown = squares.squares(topology, place, depth)
        owners = np.repeat(shown.groups, shown.counts)
        assert all(owner in {cell, int(topology.parent[cell])} for owner, cell in
                   zip(owners.tolist(), shown.cells.tolist(), strict=True))
        if depth == 0:
            assert sorted(shown.cells.tolist()) == sorted(topology.leaves(place).tolist())


def test_a_square_says_how_far_it_is_and_a_stale_one_says_nothing(site: Site) -> None:
    site.source.set(CELL, {"voltage_v": 3.25})
    site.source.heard = np.ones(site.source.topology.size, bool)
    site.source.heard[site.node(f"{RACK}_module_0_cell_0")] = False
    site.lasting()
    topology, snapshot = site.client.topology, site.client.snapshot()
    shown = squares.squares(topology, site.node(RACK))
    away, colour = squares.painted(topology, snapshot, site.node(RACK), shown,
                                   "deviation_voltage_v", PLAIN)
    assert away[shown.row(site.node(CELL))] == pytest.approx(-50, abs=0.01)
    assert colour["unit"] == "mV"
    assert colour["low"] == -colour["high"]
    assert np.isnan(away[0])
    assert away[1] == pytest.approx(0, abs=0.01)
    above, _ = squares.painted(topology, snapshot, 0, squares.squares(topology, 0),
                               "deviation_voltage_v", PLAIN)
    assert np.nanmin(above) == pytest.approx(-50, abs=0.01)
    assert squares.beside(topology, shown.cells) == "its rack"


@pytest.mark.parametrize("told", [
    None, 7, "row", {}, {"place": "elsewhere 2", "row": 0}, {"place": f"{RACK} 2", "row": -1},
    {"place": f"{RACK} 2", "row": 12}, {"place": f"{RACK} 2", "row": "0"},
    {"place": f"{RACK} 2", "row": float("nan")}, {"place": f"{RACK} 2", "row": float("inf")}])
def test_a_press_that_is_none_is_no_press(site: Site, told: object) -> None:
    assert deviation._target(site.client.topology, site.node(RACK), 2, told) is None


def test_a_press_names_a_square_or_a_block(site: Site) -> None:
    topology, rack = site.client.topology, site.node(RACK)
    cell = deviation._target(topology, rack, 2, {"place": f"{RACK} 2", "row": 6.0})
    block = deviation._target(topology, rack, 2, {"place": f"{RACK} 2", "group": 1})
    assert (topology.ids[cell or 0], topology.ids[block or 0]) == (CELL, f"{RACK}_module_1")


def test_the_colours_are_those_of_the_viewer() -> None:
    known = VIEWER.read_text()
    for themed in (ramps.DIVERGING, ramps.SEQUENTIAL, ramps.HEAT, ramps.SEED, ramps.GREYS):
        for steps in themed.values():
            assert " ".join(step.removeprefix("#") for step in steps) in known


def test_deviations_have_no_side_of_their_own() -> None:
    """Both ends of the scale are as far from the surface as each other, within a tenth."""
    for palette, theme in (("safe", "dark"), ("safe", "light")):
        steps = ramps.ramp("deviation_voltage_v", "diverging", palette, theme)
        light = [sum(part * int(one[at:at + 2], 16) / 255 for part, at in
                     ((0.2126, 1), (0.7152, 3), (0.0722, 5))) for one in steps]
        assert abs(light[0] - light[-1]) < 0.12
        middle = np.mean(light[4:6])
        assert all(abs(end - middle) > 0.3 for end in (light[0], light[-1]))


# -- the table twin


def lines(site: Site, place: str, chosen: Settings = PLAIN, sort: str = rows.ALARMS,
          down: bool = True) -> list[dict[str, object]]:
    topology, snapshot = site.client.topology, site.client.snapshot()
    nodes = np.arange(*topology.children(site.node(place)).indices(topology.size)[:2])
    columns = rows.columns(topology, snapshot, site.node(place), nodes, chosen)
    ranked = rows.order(next(one for one in columns if one.name == sort), down)
    return [rows.line(topology, snapshot, columns, nodes, int(at)) for at in ranked]


def test_the_worst_stand_first(site: Site) -> None:
    site.heat(CELL, f"{RACK}_module_2_cell_0", f"{RACK}_module_2_cell_1")
    found = lines(site, RACK)
    assert [one["name"] for one in found] == ["Module 2", "Module 1", "Module 0"]
    assert [one["icon"] for one in found] == ["error", "error", ""]
    assert all(one["enter"] for one in found)


def test_columns_are_those_that_were_chosen_in_their_units(site: Site) -> None:
    chosen = Settings(metrics=("temperature_c", "power_kw", "capacity_kwh"), temperature="F",
                      sign="charge")
    topology, snapshot = site.client.topology, site.client.snapshot()
    nodes = topology.leaves(site.node(RACK))
    columns = rows.columns(topology, snapshot, site.node(RACK), nodes, chosen)
    assert [one.label for one in columns] == ["Name", "State", "Alarms", "Temp.", "Power",
                                              "Capacity", "Heard"]
    assert [one.unit for one in columns] == ["", "", "", "°F", "W", "kWh", ""]
    assert columns[4].text(0) == "−100"
    assert columns[0].text(0) == "Module 0 · Cell 0"
    fahrenheit = snapshot.frame.value("temperature_c", int(nodes[0])) * 1.8 + 32
    assert columns[3].text(0) == f"{fahrenheit:.1f}"


def test_what_is_unknown_comes_last_either_way(site: Site) -> None:
    site.source.set(f"{RACK}_module_0_cell_1", {"temperature_c": float("nan")})
    site.lasting(1)
    for down in (True, False):
        found = lines(site, f"{RACK}_module_0", PLAIN, "temperature_c", down)
        assert found[-1]["name"] == "Cell 1"
        assert found[-1]["cells"][6] == "–"  # type: ignore[index]


@given(st.lists(st.one_of(st.none(), st.floats(-50, 90, width=32)), min_size=1, max_size=40),
       st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_order_is_that_of_the_numbers(numbers: list[float | None], down: bool) -> None:
    values = np.array([np.nan if one is None else one for one in numbers], np.float32)
    ranked = rows.order(rows.Column("x", "X", "", values, str), down).tolist()
    known = [float(values[at]) for at in ranked if np.isfinite(values[at])]
    assert known == sorted(known, reverse=down)
    assert all(np.isnan(values[at]) for at in ranked[len(known):])


@pytest.mark.parametrize("act", [None, "sort", {"kind": "sort"}, {"kind": 1, "id": "x"},
                                 {"kind": "pick", "id": "x", "place": "elsewhere"}])
def test_what_is_no_action_does_nothing(site: Site, act: object) -> None:
    assert table._told(site.client.topology, site.node(RACK), act) == ("", "")


# -- alarms of a place


def test_every_parent_knows_that_an_alarm_waits_below_it(site: Site) -> None:
    site.heat(CELL)
    topology = site.client.topology
    waiting = {topology.ids[node] for node in np.flatnonzero(alarms.fresh_mask(site.client))}
    assert waiting == {topology.ids[0], "system_0", "system_0_cluster_0", RACK,
                       f"{RACK}_module_1", CELL}
    for key in [one.key for one in site.client.journal.instances()]:
        site.client.journal.acknowledge(key, "ada")
    assert not alarms.fresh_mask(site.client).any()
    assert site.client.snapshot().alarms.count[0] == 1


def test_the_sidebar_counts_what_is_gone_as_the_alarms_page_does(site: Site) -> None:
    def told() -> str:
        return "".join(map(str, sidebar._alarms(site.client)))

    assert "No alarms" in told()
    site.source.set(CELL, {"temperature_c": 56.0})
    site.lasting()
    assert "1 unacknowledged" in told()
    assert "gone" not in told()
    site.source.set(CELL, {"temperature_c": 25.0})
    site.lasting(90)
    assert "1 unacknowledged" in told()
    assert "1 gone, not acknowledged" in told()
    assert "No alarms" not in told()


def test_of_a_place_only_what_is_below_it(site: Site) -> None:
    site.heat(CELL, "system_1_cluster_0_rack_0_module_0_cell_0")
    asking = alarms.asking_below(site.client, site.node("system_1"))
    assert [one.element for one in asking] == ["system_1_cluster_0_rack_0_module_0_cell_0"]
    assert len(alarms.asking_below(site.client, 0)) == 2
    assert alarms.asking_below(site.client, site.node("system_9")) == []


@pytest.fixture
def page(site: Site) -> Iterator[Callable[[str], AppTest]]:
    """The parts at a place, for somebody who may look."""
    def opened(place: str) -> AppTest:
        space_app.SITE[:] = [site.client]
        space_app.PLACE[:] = [site.node(place)]
        return AppTest.from_function(space_app.page, default_timeout=30).run()

    yield opened
    space_app.SITE.clear()


def labels(run: AppTest) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", one.label) for one in run.button]


def test_an_operator_acknowledges_in_the_list_of_the_place_and_a_viewer_does_not(
        site: Site, page: Callable[[str], AppTest]) -> None:
    site.heat(CELL)
    run = page(RACK)
    assert not run.exception
    acknowledge = next(one for one in run.button if one.label.startswith("Acknowledge"))
    assert acknowledge.disabled
    run.text_input[0].set_value("Ada")
    next(one for one in run.button if "Sign in as operator" in one.label).click().run()
    next(one for one in run.button if one.label.startswith("Acknowledge System")).click().run()
    assert not run.exception
    (one,) = site.client.journal.instances()
    assert one.acknowledged_by == "Ada"
    assert not any(text.startswith("Acknowledge ") for text in labels(run))
    assert run.toast[0].value == "1 alarm acknowledged\\."


def test_from_the_scene_one_alarm_is_acknowledged_at_once_and_several_are_asked_about(
        site: Site, page: Callable[[str], AppTest]) -> None:
    site.heat(CELL)
    run = page(RACK)
    space_app.ASKED[:] = [RACK]
    run.run()
    assert "You are looking only" in run.toast[0].value
    assert not next(iter(site.client.journal.instances())).acknowledged_by
    run.text_input[0].set_value("Ada")
    space_app.ASKED.clear()
    next(one for one in run.button if "Sign in as operator" in one.label).click().run()
    space_app.ASKED[:] = [RACK]
    run.run()
    assert next(iter(site.client.journal.instances())).acknowledged_by == "Ada"
    site.heat(f"{RACK}_module_0_cell_0", f"{RACK}_module_0_cell_1")
    run.run()
    assert "Acknowledge 2 alarms" in labels(run)
    assert len(alarms.asking_below(site.client, 0)) == 2
    next(one for one in run.button if one.label == "Acknowledge 2 alarms").click().run()
    assert alarms.asking_below(site.client, 0) == []
    space_app.ASKED.clear()


def test_the_parts_stand_at_every_level(site: Site, page: Callable[[str], AppTest]) -> None:
    site.heat(CELL)
    for place in ("poc_main", "system_0", RACK, f"{RACK}_module_1", CELL, "system_9"):
        run = page(place)
        assert not run.exception, place
        assert run.get("bidi_component") or place == CELL


def test_the_table_lists_what_matches_the_filter(site: Site, page: Callable[[str], AppTest],
                                                 ) -> None:
    site.heat(CELL)
    run = page(f"{RACK}_module_1")
    for text, told in (("temperature > 60", False), ("temperature > 80", True)):
        run.session_state["space_chosen"] = Settings(filter=text)
        run.run()
        assert not run.exception
        said = " ".join(one.proto.body for one in run.get("html"))
        assert ("Nothing here matches the filter" in said) is told
        listed = json.dumps([one.proto.json for one in run.get("bidi_component")])
        assert ("1 element of 4 that match" in listed) is not told


def told(run: AppTest, component: str) -> str:
    """What a component was given."""
    found = next(one.proto for one in run.get("bidi_component")
                 if one.proto.component_name.endswith(component))
    return found.json or found.mixed.json


def test_map_and_table_are_as_the_link_says(site: Site, page: Callable[[str], AppTest]) -> None:
    run = page(RACK)
    assert '"paint":"away"' in told(run, "map").replace(" ", "")
    assert "Map of temperature" in told(run, "map")
    assert '"sort":"alarms","down":true' in told(run, "table").replace(" ", "")
    run.session_state["space_chosen"] = Settings(map="soc_pct", map_kind="value", sort="voltage_v",
                                                 colour="voltage_v")
    run.run()
    assert not run.exception
    assert "Map of state of charge" in told(run, "map")
    assert '"paint":"value"' in told(run, "map").replace(" ", "")
    assert '"sort":"voltage_v","down":false' in told(run, "table").replace(" ", "")
    run.session_state["space_chosen"] = Settings(colour="voltage_v", sort="soh_pct",
                                                 metrics=("soc_pct",))
    run.run()
    assert "Map of voltage" in told(run, "map"), "as the scene is coloured"
    assert '"sort":"alarms","down":true' in told(run, "table").replace(" ", ""), "a hidden column"


def beside() -> None:
    """The panel beside the scene."""
    from components.space import details
    from tests.components import space_app

    details.show(space_app.SITE[-1], space_app.PLACE[-1])


def test_the_details_tell_what_was_chosen_in_its_units_and_always_the_worst(site: Site) -> None:
    site.source.set(CELL, {"current_a": 7.5})
    site.heat(CELL)
    space_app.SITE[:], space_app.PLACE[:] = [site.client], [site.node(CELL)]
    run = AppTest.from_function(beside, default_timeout=30).run()
    said = text_of(run)
    for words in ("State of charge", "Capacity", "Voltage", "7.5 A", "70.0 °C", "Too hot"):
        assert words in said, words
    run.session_state["space_chosen"] = Settings(metrics=("current_a", "temperature_c"),
                                                 temperature="F", sign="charge")
    run.run()
    said = text_of(run)
    for words in ("\N{MINUS SIGN}7.5 A", "158.0 °F", "Too hot"):
        assert words in said, words
    for words in ("State of charge", "Voltage", "Power"):
        assert words not in said, words
    assert "Capacity" in said
    space_app.PLACE[:] = [site.node(RACK)]
    run.session_state["space_chosen"] = Settings(metrics=())
    run.run()
    assert not run.exception
    assert "Lowest" in text_of(run)
    assert "1 alarm" in text_of(run)
    space_app.SITE.clear()


def text_of(run: AppTest) -> str:
    """The page's own HTML as it is read."""
    html = " ".join(one.proto.body for one in run.get("html"))
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)))


class PastClient(LocalClient):
    """Shows a moment that is over."""

    @property
    def past(self) -> datetime:
        return NOON


def test_in_the_past_nothing_is_acknowledged(site: Site, page: Callable[[str], AppTest]) -> None:
    site.heat(CELL)
    site.client = PastClient(site.client._runtime)
    space_app.ASKED[:] = [CELL]
    run = page(RACK)
    space_app.ASKED.clear()
    assert not run.exception
    assert run.toast[0].value.startswith("Alarms are acknowledged as they are now")
    assert all(one.disabled for one in run.button if one.label.startswith("Acknowledge"))


# -- while a page loads


def test_a_part_has_a_skeleton_the_first_time_on_a_page_and_not_again() -> None:
    def page() -> None:
        import streamlit as st

        from components import parts
        st.session_state["page_now"] = st.session_state.get("wanted", "alarms")
        st.session_state["drawn"] = parts._is_drawn("alarms_head")

    run = AppTest.from_function(page).run()
    assert run.session_state["drawn"] is False
    assert run.run().session_state["drawn"] is True
    run.session_state["wanted"] = "fleet"
    assert run.run().session_state["drawn"] is False
