from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.engine import Engine
from core.frames import Frame
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from tests.core.sites import NOON, ScriptedReadings, system

values = st.floats(-500, 500, width=32)


def engine_with(source: ScriptedReadings) -> Engine:
    return Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))


def leaves(site: Topology) -> np.ndarray:
    return np.flatnonzero(site.child_count == 0)


@given(st.lists(values, min_size=12, max_size=12))
def test_power_of_children_adds_up_to_their_parent(power: list[float]) -> None:
    source = ScriptedReadings([system(0), system(1)])
    source.columns["power_kw"][leaves(source.topology)] = power
    frame = engine_with(source).tick().frame
    site = source.topology
    for node in range(site.size):
        if not site.is_leaf(node):
            total = frame.columns["power_kw"][site.children(node)].astype(float).sum()
            assert frame.value("power_kw", node) == pytest.approx(total, rel=1e-5, abs=1e-3)


@given(st.lists(st.one_of(st.just(math.nan), st.floats(0, 100, width=32)), min_size=6, max_size=6))
def test_means_leave_the_missing_out_and_an_all_missing_parent_is_missing(
        soc: list[float]) -> None:
    source = ScriptedReadings([system(0)])
    source.columns["soc_pct"][leaves(source.topology)] = soc
    top = engine_with(source).tick().frame.value("soc_pct", 1)
    known = [value for value in soc if not math.isnan(value)]
    if not known:
        assert math.isnan(top)
    else:
        assert min(known) - 1e-3 <= top <= max(known) + 1e-3


def test_voltage_follows_the_wiring_and_current_the_power() -> None:
    source = ScriptedReadings([system(0, modules=2, cells=3)])
    source.set_cells({"power_kw": 0.33, "voltage_v": 3.3})
    frame = engine_with(source).tick().frame
    site = source.topology
    module = site.index("system_0_cluster_0_rack_0_module_0")
    assert frame.value("voltage_v", module) == pytest.approx(9.9, rel=1e-5)
    assert frame.value("voltage_v", site.index("system_0")) == pytest.approx(19.8, rel=1e-5)
    assert frame.value("current_a", module) == pytest.approx(100, rel=1e-5)
    assert math.isnan(frame.value("voltage_v", 0))


def test_one_missing_cell_makes_a_series_voltage_missing() -> None:
    source = ScriptedReadings([system(0)])
    source.set_cells({"voltage_v": 3.3})
    source.set("system_0_cluster_0_rack_0_module_0_cell_1", {"voltage_v": math.nan})
    frame = engine_with(source).tick().frame
    assert math.isnan(frame.value("voltage_v", source.topology.index("system_0")))


def test_zero_is_a_value() -> None:
    source = ScriptedReadings([system(0)])
    source.set_cells({"power_kw": 0.0, "soc_pct": 0.0})
    frame = engine_with(source).tick().frame
    assert frame.value("power_kw", 0) == 0
    assert frame.value("soc_pct", 0) == 0


def half_silent(pause_s: float) -> tuple[ScriptedReadings, Frame]:
    source = ScriptedReadings([system(0), system(1)])
    source.set_cells({"power_kw": 1.0, "soc_pct": 50.0})
    clock = ManualClock(NOON)
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    engine.tick()
    source.heard = np.array([not name.startswith("system_1") for name in source.topology.ids])
    clock.advance(pause_s)
    return source, engine.tick().frame


def test_what_is_not_heard_ages_and_then_leaves_the_sums() -> None:
    source, frame = half_silent(4)
    silent = source.topology.index("system_1")
    assert frame.age_s[silent] == 4
    assert not frame.stale[silent]
    assert frame.value("power_kw", 0) == 12

    source, frame = half_silent(6)
    assert frame.stale[silent]
    assert frame.coverage[0] == 0.5
    assert frame.value("power_kw", 0) == 6
    cell = source.topology.index("system_1_cluster_0_rack_0_module_0_cell_0")
    assert frame.value("power_kw", cell) == 1


def test_a_never_heard_node_is_stale_and_has_no_age() -> None:
    source = ScriptedReadings([system(0)])
    frame = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON)).snapshot.frame
    assert np.isnan(frame.age_s[1])
    assert frame.stale[1]
    assert frame.coverage[0] == 0


def test_a_measured_parent_keeps_its_own_reading_beside_the_sum() -> None:
    cells = [NodeSpec(f"system_0_cell_{i}", f"Cell {i}", "cell", 1.0) for i in range(2)]
    pack = NodeSpec("system_0", "Pack", "system", 2.0, "LFP", "series", measured=True,
                    children=cells)
    source = ScriptedReadings([pack])
    source.set_cells({"power_kw": 1.0, "voltage_v": 3.3})
    source.set("system_0", {"power_kw": 2.1})
    frame = engine_with(source).tick().frame
    assert frame.value("power_kw", 1) == pytest.approx(2.1)
    assert frame.value("voltage_v", 1) == pytest.approx(6.6)


def test_two_sources_lie_side_by_side() -> None:
    first, second = ScriptedReadings([system(0)]), ScriptedReadings([system(1), system(2)])
    first.set_cells({"power_kw": 1.0})
    second.set_cells({"power_kw": -2.0})
    engine = Engine(DEFAULT_LEVELS, [first, second], ManualClock(NOON))
    frame = engine.tick().frame
    assert [frame.value("power_kw", engine.topology.index(f"system_{i}")) for i in range(3)] == [
        6, -12, -12]


def test_ages_follow_the_time_of_measurement() -> None:
    source = ScriptedReadings([system(0)])
    clock = ManualClock(NOON)
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    engine.tick()
    source.heard = np.zeros(source.topology.size, dtype=bool)
    clock.advance(2.5)
    assert engine.tick().frame.age_s[0] == 2.5
    assert engine.snapshot.frame.time == NOON + timedelta(seconds=2.5)
