"""The fleet as a source: time, determinism, energy, and a past that leads into the present."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.assembly import Assembler, place
from core.errors import SourceError
from core.frames import Reading
from core.topology import DEFAULT_LEVELS
from sim.fleet import Options, create
from tests.sim.support import NOW, WITH_STRINGS, after, at_level, below, started


def assert_same(one: Reading, other: Reading) -> None:
    assert one.measured_at == other.measured_at
    for name, column in one.columns.items():
        np.testing.assert_array_equal(column, other.columns[name], name)


def test_the_same_seed_gives_the_same_readings() -> None:
    one, _ = started(seed=3, past_hours=0.5)
    other, _ = started(seed=3, past_hours=0.5)
    another, _ = started(seed=4, past_hours=0.5)
    for at_s in (1.0, 2.0, 2.5, 60.0, 900.0):
        reading = one.poll(after(at_s))
        assert_same(reading, other.poll(after(at_s)))
        assert reading.columns["power_kw"][-1] != another.poll(after(at_s)).columns["power_kw"][-1]


@settings(max_examples=5, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_energy_that_left_is_charge_that_fell(seed: int) -> None:
    fleet, topology = started(seed=seed, systems=2, counts={"rack": (1, 1), "cell": (3, 4)})
    system = 1
    weight = topology.capacity_kwh[topology.leaves(system)].astype(np.float64)
    began = np.average(below(topology, system, fleet.poll(NOW), "soc_pct"), weights=weight)
    energy_kwh = 0.0
    for second in range(1, 301):
        reading = fleet.poll(after(second))
        energy_kwh += below(topology, system, reading, "power_kw").sum() / 3600.0
    ended = np.average(below(topology, system, reading, "soc_pct"), weights=weight)
    assert energy_kwh == pytest.approx((began - ended) / 100.0 * weight.sum(), abs=2e-3)


def test_the_engine_s_roll_up_agrees_with_the_system() -> None:
    fleet = create("test", Options(systems=2, past_hours=0.0, counts={"string": (2, 2)}),
                   WITH_STRINGS)
    site, (placement,) = place(WITH_STRINGS, [fleet])
    fleet.start(NOW, placement.topology)
    fleet.poll(NOW)
    reading = fleet.poll(after(60))
    assembler = Assembler(site, [placement], [10.0])
    assembler.apply(0, reading)
    frame = assembler.frame(after(60))
    for system in at_level(site, "system"):
        expected = below(site, system, reading, "power_kw").sum()
        assert frame.value("power_kw", system) == pytest.approx(expected, rel=1e-5)
        string = site.index(f"{site.ids[system]}_cluster_0_rack_0_string_0")
        assert 50.0 < frame.value("voltage_v", string) < 450.0
        assert 50.0 < frame.value("voltage_v", system) < 450.0
    assert np.isfinite(frame.columns["power_kw"]).all()


def test_a_clock_that_stands_or_steps_back_moves_nothing() -> None:
    fleet, _ = started()
    first = fleet.poll(after(30))
    assert_same(first, fleet.poll(after(30)))
    back = fleet.poll(after(-3600))
    np.testing.assert_array_equal(first.columns["soc_pct"], back.columns["soc_pct"])
    forward = fleet.poll(after(-3599))
    change = np.abs(forward.columns["soc_pct"] - back.columns["soc_pct"])
    assert np.nanmax(change) < 0.05


def test_a_reading_is_never_written_again() -> None:
    fleet, _ = started()
    reading = fleet.poll(after(1))
    kept = {name: column.copy() for name, column in reading.columns.items()}
    for second in range(2, 10):
        fleet.poll(after(second))
    for name, column in kept.items():
        np.testing.assert_array_equal(column, reading.columns[name])


def test_values_are_those_of_a_believable_battery() -> None:
    fleet, topology = started(past_hours=2.0)
    reading = fleet.poll(after(1))
    leaves = slice(int(topology.depth_offsets[-2]), topology.size)
    for name, low, high in (("soc_pct", 2.0, 98.0), ("temperature_c", 22.0, 32.0),
                            ("soh_pct", 88.0, 100.0), ("voltage_v", 2.9, 4.1),
                            ("current_a", -300.0, 300.0)):
        column = reading.columns[name][leaves]
        assert low <= column.min() <= column.max() <= high


def test_the_past_ends_exactly_where_the_present_begins() -> None:
    fleet, _ = started(past_hours=2.0)
    past = list(fleet.backfill(NOW - timedelta(hours=2), NOW, 10.0))
    assert len(past) == 721
    live = fleet.poll(NOW)
    assert_same(past[-1], live)


def test_the_past_can_be_told_again_and_beside_polls() -> None:
    fleet, _ = started(past_hours=1.5)
    begin = NOW - timedelta(hours=1.5)
    first = fleet.backfill(begin, NOW, 30.0)
    second = fleet.backfill(begin, NOW, 30.0)
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        fleet.poll(after(number))
        assert_same(one, other)


def test_a_later_start_tells_the_same_past() -> None:
    fleet, _ = started(past_hours=2.0)
    whole = {reading.measured_at: reading
             for reading in fleet.backfill(NOW - timedelta(hours=2), NOW, 10.0)}
    for reading in fleet.backfill(NOW - timedelta(minutes=45), NOW, 10.0):
        assert_same(reading, whole[reading.measured_at])


def test_only_the_known_past_is_told() -> None:
    fleet, _ = started(past_hours=1.0)
    past = list(fleet.backfill(NOW - timedelta(hours=3, seconds=3), NOW, 10.0))
    assert past[0].measured_at == NOW - timedelta(seconds=3593)
    assert past[-1].measured_at == NOW - timedelta(seconds=3)
    assert list(started()[0].backfill(NOW - timedelta(hours=1), NOW - timedelta(1), 10.0)) == []


@pytest.mark.parametrize("step_s", [1.0, 10.0, 7.5, 60.0])
def test_the_past_holds_slew_and_energy(step_s: float) -> None:
    fleet, topology = started(past_hours=0.5, systems=1)
    capacity = float(topology.capacity_kwh[1])
    readings = list(fleet.backfill(NOW - timedelta(minutes=30), NOW, step_s))
    power = np.array([below(topology, 1, reading, "power_kw").sum() for reading in readings])
    slew = 0.05 * capacity * step_s + 2 * 0.02 * 0.4 * capacity
    assert np.abs(np.diff(power)).max() <= slew
    for one, other in pairwise(readings):
        change = other.columns["soc_pct"][-1] - one.columns["soc_pct"][-1]
        assert abs(change) <= 0.41 * step_s / 36.0 + 1e-3


def test_the_past_goes_around_its_whole_length_without_faults() -> None:
    fleet, _ = started(past_hours=0.1)
    fleet.start_script("silent_rack", NOW)
    assert all(reading.heard is None
               for reading in fleet.backfill(NOW - timedelta(minutes=6), NOW, 10.0))


def test_what_is_not_started_says_so() -> None:
    fleet = create("test", Options(), DEFAULT_LEVELS)
    for call in (lambda: fleet.poll(NOW), lambda: fleet.start_script("demo", NOW),
                 lambda: list(fleet.backfill(NOW, NOW, 10.0))):
        with pytest.raises(SourceError, match="not started"):
            call()


@pytest.mark.parametrize("step_s", [0.0, -1.0, float("nan")])
def test_a_past_without_steps_is_refused(step_s: float) -> None:
    fleet, _ = started()
    with pytest.raises(ValueError, match="step_s"):
        list(fleet.backfill(NOW, NOW, step_s))
