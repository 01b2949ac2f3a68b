"""How cells follow from their system: the splitting of section 4.2, voltage, heat, health."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.topology import DEFAULT_LEVELS, FloatArray, Topology
from core.vocabulary import CHEMISTRIES, METRIC_NAMES
from sim.cells import CALENDAR_PCT_PER_S, CellModel
from sim.chemistry import BY_NAME, HIGHEST_PCT, LOWEST_PCT, POINTS, open_circuit_table
from sim.dynamics import SystemState
from sim.fleet import Options, create
from tests.sim.support import WITH_STRINGS, alike

SYSTEMS = 3
FLEET = create("f", Options(systems=SYSTEMS, chemistries=["LFP", "NMC", "LCO"]), DEFAULT_LEVELS)
TOPOLOGY = Topology(DEFAULT_LEVELS, FLEET.roots)
MODEL = CellModel(TOPOLOGY, ambient_c=20.0, seed=0)
LEAVES = MODEL.leaves

SOC = st.floats(min_value=5.0, max_value=95.0)
RATE = st.floats(min_value=-0.408, max_value=0.408)
# information tier of core/profiles: a healthy fleet raises nothing
CALM_V = {"LFP": (2.90, 3.50), "NMC": (3.30, 4.10), "LCO": (3.20, 4.05)}
each_case = settings(max_examples=25, deadline=None)


def state(**values: float) -> SystemState:
    return alike(SYSTEMS, **values)


def leaf_columns(of: SystemState) -> dict[str, FloatArray]:
    return {name: column[LEAVES] for name, column in MODEL.expand(of).items()}


def totals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of leaves summed up through the tree, float64[n]."""
    found = np.zeros(TOPOLOGY.size)
    found[LEAVES] = values
    for node in range(TOPOLOGY.size - 1, 0, -1):
        found[TOPOLOGY.parent[node]] += found[node]
    return found


@each_case
@given(RATE)
def test_power_splits_by_capacity_at_every_level_and_adds_up(rate: float) -> None:
    """cluster_power = system_power x (cluster_capacity / system_capacity), and so on down."""
    power = totals(leaf_columns(state(rate=rate))["power_kw"].astype(np.float64))
    capacity = TOPOLOGY.capacity_kwh.astype(np.float64)
    parents = TOPOLOGY.parent[1:]
    split = power[parents] * capacity[1:] / capacity[parents]
    split[parents == 0] = rate * capacity[1:][parents == 0]
    np.testing.assert_allclose(power[1:], split, rtol=1e-6, atol=1e-12)


@each_case
@given(SOC)
def test_charge_is_the_systems_with_small_offsets_of_mean_zero(soc_pct: float) -> None:
    soc = leaf_columns(state(soc_pct=soc_pct))["soc_pct"].astype(np.float64)
    offset = soc - soc_pct
    assert 0.2 < offset.std() < 1.5
    assert np.abs(offset).max() < 3.0
    capacity = TOPOLOGY.capacity_kwh[LEAVES].astype(np.float64)
    means = totals(soc * capacity)[1:1 + SYSTEMS] / totals(capacity)[1:1 + SYSTEMS]
    np.testing.assert_allclose(means, soc_pct, atol=1e-4)


@each_case
@given(SOC, RATE)
def test_power_is_voltage_times_current(soc_pct: float, rate: float) -> None:
    found = {name: column.astype(np.float64)
             for name, column in leaf_columns(state(soc_pct=soc_pct, rate=rate)).items()}
    np.testing.assert_allclose(found["voltage_v"] * found["current_a"] / 1000.0,
                               found["power_kw"], rtol=1e-6, atol=1e-30)


@each_case
@given(SOC, RATE, st.floats(min_value=0.02, max_value=0.4))
def test_voltage_falls_as_discharge_current_grows(soc_pct: float, rate: float,
                                                  more: float) -> None:
    low = leaf_columns(state(soc_pct=soc_pct, rate=rate))
    high = leaf_columns(state(soc_pct=soc_pct, rate=rate + more))
    assert (high["current_a"] > low["current_a"]).all()
    assert (high["voltage_v"] < low["voltage_v"]).all()


@each_case
@given(SOC, RATE)
def test_the_voltage_drop_is_ohmic(soc_pct: float, rate: float) -> None:
    """V = OCV - R I with one R a cell, whatever the current."""
    rest, first, second = (leaf_columns(state(soc_pct=soc_pct, rate=r)) for r in (0.0, 0.4, rate))
    np.testing.assert_allclose(rest["current_a"], 0.0)
    resistance = (rest["voltage_v"] - first["voltage_v"]) / first["current_a"]
    assert (resistance > 0.0).all()
    np.testing.assert_allclose(rest["voltage_v"] - second["voltage_v"],
                               resistance * second["current_a"], atol=2e-5)


@each_case
@given(SOC, RATE)
def test_a_healthy_fleet_keeps_inside_the_first_tier_of_voltage(soc_pct: float,
                                                                rate: float) -> None:
    voltage = MODEL.expand(state(soc_pct=soc_pct, rate=rate))["voltage_v"]
    for number, name in enumerate(CHEMISTRIES):
        low, high = CALM_V[name]
        leaves = voltage[(TOPOLOGY.chemistry == number) & (TOPOLOGY.child_count == 0)]
        assert low < leaves.min() <= leaves.max() < high


@pytest.mark.parametrize("name", CHEMISTRIES)
def test_open_circuit_voltage_rises_with_charge(name: str) -> None:
    start = CHEMISTRIES.index(name) * POINTS
    table = open_circuit_table()[start:start + POINTS]
    assert (np.diff(table) >= 0.0).all()
    pack = np.linspace(LOWEST_PCT, HIGHEST_PCT, POINTS)
    inside = table[(pack >= 0.0) & (pack <= 100.0)]
    assert (np.diff(inside[::50]) > 0.0).all()
    assert 2.0 <= table[0] < table[-1] <= 4.2
    assert BY_NAME[name].curve_v[-1] >= table[-1]


def test_temperature_rises_with_heat_above_the_ambient() -> None:
    cold, usual = (leaf_columns(state(heat=heat))["temperature_c"] for heat in (0.0, 0.06))
    assert (cold >= 22.0).all()
    assert (usual > cold).all()
    assert (usual <= 32.0).all()


def test_health_fades_with_cycles_and_with_age() -> None:
    new = leaf_columns(state())["soh_pct"]
    cycled = leaf_columns(state(cycles=500.0))["soh_pct"]
    aged = leaf_columns(state(elapsed_s=2.0 / CALENDAR_PCT_PER_S))["soh_pct"]
    assert new.min() >= 88.0
    assert new.max() <= 100.0
    np.testing.assert_allclose(new - cycled, 2.0, rtol=0.25)
    np.testing.assert_allclose(new - aged, 2.0, rtol=1e-3)


def test_resistance_grows_with_lost_health() -> None:
    def drop(of: SystemState) -> FloatArray:
        rest, loaded = leaf_columns(replace(of, rate=of.rate * 0.0)), leaf_columns(of)
        return (rest["voltage_v"] - loaded["voltage_v"]) / loaded["current_a"]

    assert (drop(state(rate=0.4, cycles=2500.0)) > drop(state(rate=0.4)) * 1.1).all()


def test_parents_are_missing_and_leaves_are_whole() -> None:
    columns = MODEL.expand(state())
    assert set(columns) == set(METRIC_NAMES)
    for column in columns.values():
        assert column.dtype == np.float32
        assert np.isnan(column[:LEAVES.start]).all()
        assert np.isfinite(column[LEAVES]).all()


def test_more_cells_than_a_block_come_out_like_few(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = MODEL.expand(state())
    monkeypatch.setattr("sim.cells.BLOCK", 100)
    parts = MODEL.expand(state())
    for name in METRIC_NAMES:
        np.testing.assert_array_equal(whole[name], parts[name])


def test_an_inserted_level_splits_power_as_well() -> None:
    fleet = create("f", Options(systems=2, counts={"string": (2, 3)}), WITH_STRINGS)
    topology = Topology(WITH_STRINGS, fleet.roots)
    model = CellModel(topology, ambient_c=20.0, seed=0)
    power = model.expand(alike(2, rate=0.3))["power_kw"].astype(np.float64)
    for node in np.flatnonzero(topology.child_count > 0)[1:]:
        node = int(node)
        assert power[topology.leaves(node)].sum() == pytest.approx(
            0.3 * float(topology.capacity_kwh[node]), rel=1e-6)
