"""What parts are together, held against adding up one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.aggregate import Past, past, stock, together
from core.clock import ManualClock
from core.engine import Engine
from core.frames import Frame
from core.ports import Series
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from tests.core.sites import NOON, ScriptedReadings, system
from tests.core.test_paint import changed, site

START_S = NOON.timestamp()
HOUR_S = 3600.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from((0.0, 0.3, 1.0)))
def test_sums_and_means_are_those_of_the_fresh_parts(seed: int, lost: float) -> None:
    topology, snapshot = site(systems=2, seed=5)
    rng = np.random.default_rng(seed)
    frame = changed(snapshot, rng, lost).frame
    node = int(rng.choice(np.flatnonzero(topology.child_count > 0)))
    part = topology.children(node)
    fresh = [one for one in range(part.start, part.stop) if not frame.stale[one]]

    def known(metric: str) -> list[int]:
        return [one for one in fresh if math.isfinite(frame.columns[metric][one])]

    def weighted(metric: str, weight: np.ndarray) -> float:
        told = known(metric)
        total = math.fsum(float(weight[one]) for one in told)
        return math.nan if not told else math.fsum(
            float(frame.columns[metric][one]) * float(weight[one]) for one in told) / total

    found = together(topology, frame, node)
    power = known("power_kw")
    expected = math.fsum(float(frame.columns["power_kw"][one]) for one in power)
    assert found.parts_kw == pytest.approx(expected if power else math.nan, nan_ok=True, rel=1e-4,
                                           abs=1e-4)
    assert (found.known_parts, found.parts) == (len(power), part.stop - part.start)
    ones = np.ones(topology.size)
    for metric, weight in (("soc_pct", topology.capacity_kwh),
                           ("soh_pct", topology.capacity_kwh), ("temperature_c", ones)):
        assert getattr(found, metric) == pytest.approx(weighted(metric, weight), nan_ok=True,
                                                       rel=1e-4)
    cells = [one for one in topology.leaves(node).tolist() if not frame.stale[one]
             and math.isfinite(frame.columns["voltage_v"][one])]
    if cells:
        volts = [float(frame.columns["voltage_v"][one]) for one in cells]
        spread = found.spreads["voltage_v"]
        assert (spread.low, spread.high) == (min(volts), max(volts))
    else:
        assert "voltage_v" not in found.spreads


def one_rack(power_kw: float, soc_pct: tuple[float, float]) -> tuple[Topology, Frame]:
    """A system of two modules in series, three cells of 1 kWh each, all healthy."""
    source = ScriptedReadings([system(0)])
    source.set_cells({"power_kw": power_kw / 6, "soh_pct": 100.0})
    for module, charge in enumerate(soc_pct):
        for cell in range(3):
            source.set(f"system_0_cluster_0_rack_0_module_{module}_cell_{cell}",
                       {"soc_pct": charge})
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    return engine.topology, engine.tick().frame


def test_energy_and_time_left_follow_the_weakest_of_a_string() -> None:
    topology, frame = one_rack(2.0, (25.0, 45.0))
    found = stock(topology, frame, 1)
    assert found.left.whole_kwh == pytest.approx(3 * 0.20 + 3 * 0.40)
    assert found.left.usable_kwh == pytest.approx(6 * 0.20), "the fuller one cannot be emptied"
    assert found.room.usable_kwh == pytest.approx(6 * 0.50)
    assert found.towards == "discharging"
    assert found.hours == pytest.approx(6 * 0.20 / 2.0)
    charging = stock(*one_rack(-2.0, (25.0, 45.0)), 1)
    assert charging.towards == "charging"
    assert charging.hours == pytest.approx(6 * 0.50 / 2.0)


def test_what_one_part_does_not_tell_is_said_and_ends_a_string() -> None:
    topology, frame = one_rack(2.0, (25.0, 45.0))
    frame.columns["soc_pct"][topology.index("system_0_cluster_0_rack_0_module_1_cell_0")] = np.nan
    rack = stock(topology, frame, topology.index("system_0_cluster_0_rack_0")).left
    assert math.isnan(rack.usable_kwh), "no current passes a module of which nothing is known"
    assert (rack.known, rack.parts) == (0, 2)
    two = [system(0), system(1)]
    source = ScriptedReadings(two)
    source.set_cells({"power_kw": 0.5, "soc_pct": 45.0, "soh_pct": 100.0})
    source.set("system_1_cluster_0_rack_0_module_0_cell_0", {"soc_pct": math.nan})
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    site_wide = stock(engine.topology, engine.tick().frame, 0)
    assert site_wide.left.usable_kwh == pytest.approx(6 * 0.40)
    assert (site_wide.left.known, site_wide.left.parts) == (1, 2)
    assert math.isnan(site_wide.hours)


def test_at_rest_there_is_no_time_to_go() -> None:
    found = stock(*one_rack(0.0, (50.0, 50.0)), 1)
    assert found.towards == "idle"
    assert math.isnan(found.hours)


def series(values: list[float], step_s: float = 60.0, metric: str = "power_kw") -> Series:
    held = np.array(values, np.float32)
    return Series("system_0", metric, START_S + step_s * np.arange(held.size), held, held, held,
                  step_s)


def window(power: list[float], soc: list[float], capacity_kwh: float = 1.0) -> Past:
    end_s = START_S + 60.0 * len(power)
    return past(series(power), series(soc, metric="soc_pct"), capacity_kwh, START_S, end_s)


def test_throughput_cycles_and_round_trip_of_a_day() -> None:
    power, soc = [-1.0] * 100 + [0.9] * 100, [10.0] * 200
    found = window(power, soc)
    assert found.charged_kwh == pytest.approx(100 / 60)
    assert found.discharged_kwh == pytest.approx(90 / 60)
    assert found.throughput_kwh == pytest.approx(190 / 60)
    assert found.cycles == pytest.approx(190 / 60 / 2)
    assert found.coverage == pytest.approx(1.0)
    assert found.hours == pytest.approx(200 / 60)
    assert found.efficiency.share == pytest.approx(0.9), "no change of charge: out over in"


def test_the_round_trip_counts_what_is_still_inside() -> None:
    charged, left_pct = 2.0, 50.0
    root = math.sqrt(0.81)
    discharged = root * (root * charged - left_pct / 100)
    found = window([-charged] * 60 + [discharged] * 60, [10.0] * 119 + [60.0])
    assert found.efficiency.share == pytest.approx(0.81, rel=1e-3)


@pytest.mark.parametrize(("power", "soc", "capacity_kwh", "reason"), [
    ([-1.0] * 5 + [0.9] * 5, [10.0] * 10, 1.0, "window is too short"),
    ([-1.0] * 100 + [math.nan] * 30 + [0.9] * 100, [10.0] * 230, 1.0, "of the window is known"),
    ([-1.0] * 100 + [0.9] * 100, [math.nan] * 200, 1.0, "is not known"),
    ([-1.0] * 100 + [0.9] * 100, [10.0] * 200, math.nan, "capacity is not known"),
    ([-1.0] * 100 + [1.9] * 100, [10.0] * 200, 1.0, "more came out than went in"),
])
def test_a_round_trip_is_refused_with_a_reason(power: list[float], soc: list[float],
                                               capacity_kwh: float, reason: str) -> None:
    found = window(power, soc, capacity_kwh)
    assert math.isnan(found.efficiency.share)
    assert reason in found.efficiency.reason


def test_an_empty_history_is_not_known_and_not_nothing() -> None:
    empty = series([])
    found = past(empty, empty, 1.0, START_S, START_S + HOUR_S)
    assert math.isnan(found.charged_kwh)
    assert math.isnan(found.cycles)
    assert found.coverage == 0.0


def test_a_gap_is_no_flow() -> None:
    hours = series([1.0] * 60)
    found = past(hours, hours, 1.0, START_S, START_S + 2 * HOUR_S)
    assert found.discharged_kwh == pytest.approx(1.0)
    assert found.coverage == pytest.approx(0.5)


def test_an_element_of_one_part_is_that_part() -> None:
    cell = NodeSpec("system_0_cell_0", "Cell 0", "cell", 1.0)
    root = NodeSpec("system_0", "S", "system", 1.0, children=[cell])
    source = ScriptedReadings([root])
    source.set_cells({"power_kw": 1.5, "soc_pct": 40.0})
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    found = together(engine.topology, engine.tick().frame, 1)
    assert (found.parts, found.parts_kw, found.soc_pct) == (1, 1.5, 40.0)
