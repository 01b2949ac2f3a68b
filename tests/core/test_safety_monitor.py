"""From a sample to a decision, with the hardware it acts on, across restarts (laws 4, 8)."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GiveUpError
from core.safety.area import Sample
from core.safety.derating import RAMP
from core.safety.ladder import clamp
from core.safety.latency import BOUNDS_S, Histogram
from core.safety.layout import Layout
from core.safety.machine import State
from core.safety.monitor import Decision, Hardware, PackLimits, Requests, SafetyMonitor
from core.safety.plant import PackPlant, PlantState
from core.vocabulary import CHEMISTRIES
from tests.core.safety_bench import NOON, Bench, healthy, nothing_known, pack, with_cell


def over(bench: Bench, cell: int = 2, volts: float = 3.7) -> Sample:
    return with_cell(bench.sample, bench.layout, "voltage_v", cell, volts)


def test_a_calm_pack_works_at_full_current() -> None:
    bench = Bench()
    decision = bench.run(10.0)
    assert decision.states == (State.NORMAL,)
    assert not decision.trip.any()
    assert decision.causes == (None,)
    assert decision.derated.allowed_a.tolist() == [[100.0], [100.0]]


def test_a_cell_over_its_limit_trips_latches_and_is_reset_by_a_person() -> None:
    bench = Bench()
    bench.run(1.0)
    sample = over(bench)
    tripped = [bench.decide(sample) for _ in range(9)]
    assert [bool(each.trip[0]) for each in tripped] == [False] * 7 + [True] * 2
    found = tripped[7]
    assert found.transitions[-1][1].state is State.ZERO
    assert "voltage_high, cell 2: 3.7 V, limit 3.65 V" in found.transitions[-1][1].reason
    assert found.derated.allowed_a.tolist() == [[0.0], [0.0]]
    rest = replace(sample, current_a=np.zeros(1, dtype=np.float32))
    assert bench.run(1.0, rest).states == (State.LATCHED,)
    assert bench.decide(rest, requests=[Requests(reset="Ann")]).states == (State.LATCHED,)
    calm = replace(bench.sample, current_a=np.zeros(1, dtype=np.float32))
    assert bench.run(20.0, calm).states == (State.LATCHED,)
    freed = bench.decide(calm, requests=[Requests(reset="Ann")])
    assert freed.states == (State.NORMAL,)
    assert freed.transitions[0][1].by == "Ann"
    assert freed.derated.allowed_a[0, 0] < 100.0


@pytest.mark.parametrize(("change", "name"), [
    ({"current_a": 122.0}, "hardware_limit"), ({"current_a": -122.0}, "hardware_limit"),
    ({"current_a": 201.0}, "short_circuit"), ({"voltage_v": 4.02}, "hardware_limit"),
    ({"voltage_v": 2.27}, "hardware_limit")])
def test_far_beyond_a_limit_nothing_is_waited_for(change: dict[str, float], name: str) -> None:
    bench = Bench()
    bench.run(1.0)
    values = {key: np.full_like(getattr(bench.sample, key), value)
              for key, value in change.items()}
    decision = bench.decide(replace(bench.sample, **values))
    assert decision.states == (State.OPENING,)
    assert name in decision.transitions[0][1].reason


@pytest.mark.parametrize("hardware", [Hardware(short_circuit=True), Hardware(interlock=True),
                                      Hardware(fuse_intact=False)])
def test_hardware_faults_open_at_once(hardware: Hardware) -> None:
    assert Bench().decide(hardware=[hardware]).states == (State.OPENING,)


def test_a_pack_hurts_no_other() -> None:
    bench = Bench(*(pack(chemistry, chemistry) for chemistry in CHEMISTRIES))
    sample = with_cell(bench.sample, bench.layout, "voltage_v", 9, 4.3)
    decision = bench.run(2.0, sample)
    assert decision.trip.tolist() == [False, True, False]
    assert decision.derated.allowed_a[1].tolist() == [38.0, 0.0, 38.0]


def test_silence_allows_nothing_and_trips_that_pack_alone() -> None:
    bench = Bench(pack("LFP", "a"), pack("LFP", "b"))
    bench.run(10.0)
    sample, none = bench.sample, nothing_known(bench.layout)
    quiet = Sample(*(np.where(np.arange(heard.size) < heard.size // 2, heard, gone)
                     for heard, gone in ((getattr(sample, name), getattr(none, name))
                                         for name in sample.__slots__)))
    found = [bench.decide(quiet, silent=[1]) for _ in range(9)]
    assert found[0].derated.allowed_a[:, 1].tolist() == [0.0, 0.0]
    assert [bool(each.trip[1]) for each in found] == [False] * 7 + [True] * 2
    assert found[7].transitions[-1][1].reason == "no_sample"
    assert found[-1].derated.allowed_a[:, 0].tolist() == [100.0, 100.0]
    assert found[-1].causes[0] is None


def test_a_device_that_never_heard_anything_trips_too() -> None:
    bench = Bench()
    bench.sample = nothing_known(bench.layout)
    assert bench.run(1.0).trip[0]


def test_a_device_that_was_too_late_trips_itself() -> None:
    bench = Bench()
    bench.run(1.0)
    decision = bench.decide(step_s=2.5)
    assert decision.states == (State.ZERO,)
    assert decision.transitions[0][1].reason == "overrun"


def test_an_operator_may_stop_and_limit() -> None:
    bench = Bench()
    bench.run(10.0)
    held = bench.decide(requests=[Requests(charge_a=20.0, discharge_a=math.nan)])
    assert held.derated.allowed_a[:, 0].tolist() == [20.0, 0.0]
    stopped = bench.decide(requests=[Requests(stop="Ann")])
    assert stopped.states == (State.ZERO,)
    assert stopped.transitions[0][1].by == "Ann"


AMPS = st.floats(width=32) | st.floats(0.0, 120.0, width=32) | st.just(math.inf)
ASKED = st.builds(Requests, st.sampled_from(["", "", "", "Ann"]), st.just(""), AMPS, AMPS)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), asked=st.lists(ASKED, min_size=30, max_size=30))
def test_nothing_that_people_ask_relaxes_the_edge_on_random_days(seed: int,
                                                                 asked: list[Requests]) -> None:
    """A second monitor sees the same and is asked for nothing."""
    rng = np.random.default_rng(seed)
    bench, left = Bench(), Bench()
    bench.run(5.0)
    left.run(5.0)
    for each in asked:
        sample = healthy(bench.layout, float(rng.uniform(-120, 120)))
        sample.voltage_v[:] += rng.normal(0, 0.1, sample.voltage_v.size)
        sample.temperature_c[:] += rng.normal(0, 8, sample.temperature_c.size)
        sample.voltage_v[rng.random(sample.voltage_v.size) < 0.005] = np.nan
        found = bench.decide(sample, requests=[each]).derated.allowed_a[:, 0]
        alone = left.decide(sample).derated.allowed_a[:, 0]
        bound = [0.0 if math.isnan(amps) else max(amps, 0.0)
                 for amps in (each.charge_a, each.discharge_a)]
        assert (found >= 0.0).all()
        assert (found <= alone).all()
        assert (found <= np.float32(bound)).all()


def alike(one: Decision, two: Decision) -> bool:
    return (one.states == two.states and one.transitions == two.transitions
            and np.array_equal(one.area.cell_tier, two.area.cell_tier)
            and np.array_equal(one.area.pack_tier, two.area.pack_tier)
            and np.array_equal(one.derated.partial_a[:RAMP], two.derated.partial_a[:RAMP])
            and bool((two.derated.allowed_a <= one.derated.allowed_a).all()))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 39))
def test_a_restart_decides_what_no_restart_would_have(seed: int, cut: int) -> None:
    """Beside the ramp, which begins anew."""
    rng = np.random.default_rng(seed)
    whole, broken = Bench(), Bench()
    for index in range(40):
        if index == cut:
            saved = msgspec.msgpack.encode(broken.monitor.state(0))
            machine, now_s = broken.monitor.machines[0].to_dict(), broken.now_s
            broken = Bench()
            broken.now_s = now_s
            broken.monitor.machines[0].restore(machine)
            broken.monitor.restore(0, msgspec.msgpack.decode(saved, type=PackLimits))
            broken.monitor.resume((now_s + 0.1) - now_s)
        volts = float(rng.choice([3.3, 3.55, 3.62, 3.68, math.nan], p=[0.3, 0.2, 0.2, 0.2, 0.1]))
        sample = replace(over(whole, int(rng.integers(8)), volts),
                         current_a=np.array([rng.uniform(0, 90)], dtype=np.float32))
        assert alike(whole.decide(sample), broken.decide(sample))


def test_of_a_long_gap_no_more_counts_than_makes_a_sample_stale() -> None:
    """A voltage trips after 0.7 s, a temperature after 6 s."""
    for quantity, value, trips in (("voltage_v", 3.7, True), ("temperature_c", 55.0, False)):
        bench = Bench()
        sample = with_cell(bench.sample, bench.layout, quantity, 2, value)
        bench.run(0.2, sample)
        saved, bench = bench.monitor.state(0), Bench()
        bench.monitor.restore(0, saved)
        bench.monitor.resume(3600.0)
        assert bool(bench.decide(sample).trip[0]) is trips


def test_a_state_of_another_pack_is_refused() -> None:
    bench, small = Bench(pack(cells=40)), Bench()
    bench.run(0.2, with_cell(bench.sample, bench.layout, "voltage_v", 30, 3.7))
    with pytest.raises(GiveUpError, match="8 elements"):
        small.monitor.restore(0, bench.monitor.state(0))


def test_a_pack_is_restored_among_others() -> None:
    bench, more = Bench(), Bench(pack("NMC", "a"), pack("LFP", "b"), pack("LCO", "c"))
    bench.run(5.0, over(bench, volts=3.62))
    more.run(5.0)
    before = [more.monitor.state(at) for at in (0, 2)]
    more.monitor.restore(1, bench.monitor.state(0))
    assert more.monitor.state(1) == bench.monitor.state(0)
    assert [more.monitor.state(at) for at in (0, 2)] == before == [PackLimits()] * 2
    assert more.monitor.moving().tolist() == [False, True, False]


def test_a_sample_of_another_layout_is_refused() -> None:
    bench = Bench()
    with pytest.raises(GiveUpError, match="float32"):
        bench.decide(healthy(Layout([pack(cells=9)])))
    with pytest.raises(GiveUpError, match="float32"):
        bench.decide(replace(bench.sample, current_a=np.zeros(1)))
    with pytest.raises(GiveUpError, match="no time"):
        bench.monitor.decide(bench.sample, NOON, math.nan, [Hardware()])
    with pytest.raises(GiveUpError, match="1 packs"):
        bench.decide(hardware=[Hardware(), Hardware()])


def closed_loop(bench: Bench, plant: PackPlant, seconds: float, wanted_a: float) -> PlantState:
    """The edge and its plant, 100 times a second; the sample's current is the plant's."""
    memory = bench.monitor.machines[0].memory
    state = plant.step(0.0, 0.0, memory.plus_closed, memory.minus_closed)
    for _ in range(round(seconds / 0.01)):
        sample = replace(bench.sample, current_a=np.array([state.current_a], dtype=np.float32))
        told = Hardware(state.plus_closed, state.minus_closed, state.fuse_intact,
                        state.short_circuit, state.interlock)
        charge_a, discharge_a = bench.decide(sample, [told], step_s=0.01).derated.allowed_a
        memory = bench.monitor.machines[0].memory
        state = plant.step(0.01, clamp(wanted_a, charge_a[0], discharge_a[0]), memory.plus_closed,
                           memory.minus_closed)
    return state


def test_with_its_plant_a_short_circuit_ends_latched_open_and_without_current() -> None:
    bench, plant = Bench(), PackPlant(pack())
    assert closed_loop(bench, plant, 6.0, 80.0).current_a == pytest.approx(80.0)
    plant.short = True
    state = closed_loop(bench, plant, 1.0, 80.0)
    assert bench.monitor.machines[0].state is State.LATCHED
    assert bench.monitor.machines[0].isolated
    assert (state.current_a, state.fuse_intact) == (0.0, False)


def test_with_its_plant_a_trip_ramps_to_nothing_before_it_opens() -> None:
    bench, plant = Bench(), PackPlant(pack())
    closed_loop(bench, plant, 6.0, 80.0)
    bench.sample = over(bench)
    state = closed_loop(bench, plant, 3.0, 80.0)
    assert bench.monitor.machines[0].memory.reason == "open"
    assert (state.plus_closed, state.minus_closed, state.fuse_intact) == (False, False, True)


def test_every_decision_is_timed() -> None:
    monitor = SafetyMonitor([pack()])
    sample = healthy(monitor.layout)
    for step in range(10):
        decision = monitor.decide(sample, NOON, monitor.timer(), [Hardware()])
        assert decision.decided_s >= decision.arrived_s
        assert monitor.latency.total == step + 1


def test_the_histogram_counts_into_fixed_bounds() -> None:
    found = Histogram()
    assert math.isnan(found.quantile(0.5))
    for seconds in (-1.0, 25e-6, 26e-6, 3.0):
        found.add(seconds)
    assert found.counts[:2] == [2, 1]
    assert found.cumulative()[-1] == (math.inf, 4)
    assert len(found.counts) == len(BOUNDS_S) + 1
    assert (found.quantile(0.5), found.quantile(1.0), found.worst_s) == (25e-6, 3.0, 3.0)
