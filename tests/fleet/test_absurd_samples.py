"""Sensors that tell what no battery can have: the guard judges it, the centre hears of the pack all
the same, and the count of charge goes on once they tell the truth again."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench._fleet import Mosquitto
from core.alarms.records import Key
from core.alarms.states import State
from core.assembly import place
from core.clock import SystemClock
from core.fleet.messages import (
    CELL_BOUNDS,
    MOST_CELLS,
    VERSION,
    Body,
    Condition,
    Status,
    packed,
    read_small,
    said,
)
from core.fleet.telemetry import Refused, Telemetry, possible_condition, read_telemetry
from core.topology import DEFAULT_LEVELS, FloatArray
from services.edge.estimator import CellEstimators
from services.edge.guard import Guards
from services.edge.outbox import Outbox
from services.edge.pack import Pack, PackGroup
from services.edge.plant import EachPlant, NoSample, Sample, SimulatedPack
from services.edge.ports import Estimate
from services.edge.runtime import EdgeRuntime, Plate
from services.fleet_source import Options, create
from tests.fleet.examples import NOW_S, PACK, telemetry
from tests.fleet.site import broker_of
from tests.fleet.test_conditions import ELEMENT, Site
from tests.fleet.test_guard_sensors import Tells, Wired
from tests.sources.mosquitto import until

HOT_C, HIGH_V = 230.0, 65.535
CELL = 3


def told_by_cell(cell: int, *, volts: float = math.nan, celsius: float = math.nan) -> Tells:
    """One cell's sensors tell this, NaN: what is so."""
    def tell(sample: Sample) -> Sample:
        voltage_v, temperature_c = (sample.cell_voltage_v.copy(),
                                    sample.cell_temperature_c.copy())
        for values, value in ((voltage_v, volts), (temperature_c, celsius)):
            if not math.isnan(value):
                values[cell] = value
        return replace(sample, cell_voltage_v=voltage_v, cell_temperature_c=temperature_c)
    return tell


def told_by_pack(**values: float) -> Tells:
    return lambda sample: replace(sample, **values)  # type: ignore[arg-type]


@contextmanager
def wired() -> Iterator[Wired]:
    """A pack whose current has ramped up."""
    outbox = Outbox(Path(":memory:"), ["pack_1"])
    bench = Wired(outbox, "LFP")
    bench.live(5.0)
    yield bench
    outbox.close()


def heard(body: Body) -> Telemetry:
    """As the centre takes it."""
    found = read_telemetry(telemetry(packed(body), sent_s=body.time_s), PACK, body.time_s)
    assert not isinstance(found, Refused), found
    return found


# -- the body

FLOATS32 = st.floats(width=32) | st.sampled_from(
    [math.nan, math.inf, -math.inf, HIGH_V, 6553.5, HOT_C, -273.15, -0.5, 10.0, 200.0, 3.3, 25.0])
FLOATS64 = st.floats() | FLOATS32 | st.sampled_from([-0.02, 1e5, 1e9, 1e30, 4.1e4])
CELL_COUNT = 24


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Anything that a bus can tell, of each cell and of the pack."""
    def cells() -> FloatArray:
        usual = draw(st.sampled_from([3.3, 25.0]) | FLOATS32)
        found = np.full(CELL_COUNT, usual, np.float32)
        for cell, value in draw(st.dictionaries(st.integers(0, CELL_COUNT - 1), FLOATS32,
                                                max_size=4)).items():
            found[cell] = value
        return found
    return Sample(cells(), cells(), draw(FLOATS64), draw(FLOATS64),
                  cooling_failed=draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(samples(), st.integers(1, 12)), min_size=1, max_size=4))
def test_whatever_is_told_the_centre_takes_it_and_hears_what_the_guard_says(
        told: list[tuple[Sample, int]]) -> None:
    with wired() as bench:
        for sample, times in told:
            bench.bus.tells = [lambda _, sample=sample: sample]
            bench.live(0.1 * times)
            found = heard(bench.packs[0].body(bench.now_s))
            verdict = bench.guards.decision
            assert verdict is not None
            assert found.body.safety == verdict.states[0].value
            for name, measured in (("voltage_v", sample.cell_voltage_v),
                                   ("temperature_c", sample.cell_temperature_c)):
                least, most = CELL_BOUNDS[name]
                possible = (measured >= least) & (measured <= most)
                np.testing.assert_array_equal(found.cells[name][possible], measured[possible])
                assert np.isnan(found.cells[name][~possible]).all()


@pytest.mark.parametrize(("tell", "seconds", "reason"), [
    (told_by_cell(CELL, celsius=HOT_C), 8.0, "latched: temperature_high, cell 4: 230 °C"),
    (told_by_cell(CELL, volts=HIGH_V), 0.5, "latched: hardware_limit, cell 4: 65.54 V"),
    (told_by_cell(CELL, volts=-1.5), 0.5, "latched: hardware_limit, cell 4: -1.5 V"),
    (told_by_cell(CELL, celsius=math.inf), 2.0, "latched: temperature_missing, cell 4")])
def test_a_trip_by_an_impossible_value_is_told_with_its_cell_and_why(
        tell: Tells, seconds: float, reason: str) -> None:
    with wired() as bench:
        bench.bus.tells = [tell]
        bench.live(0.1)
        first = heard(bench.packs[0].body(bench.now_s)).body
        assert (first.charge_limit_a, first.discharge_limit_a) == (0.0, 0.0)
        bench.live(seconds)
        found = heard(bench.packs[0].body(bench.now_s)).body
        assert found.safety == "latched"
        assert found.limit_reason.startswith(reason)
        assert [(one.cells, one.tier) for one in found.conditions if one.cells] == [
            ((CELL + 1,), 3)]


def test_before_it_trips_a_missing_cell_is_a_warning() -> None:
    with wired() as bench:
        bench.bus.tells = [told_by_cell(CELL, celsius=HOT_C)]
        bench.live(1.0)
        body = heard(bench.packs[0].body(bench.now_s)).body
        assert body.safety != "latched"
        assert Condition(condition="temperature_missing", tier=2,
                         cells=(CELL + 1,)) in body.conditions


def test_a_cell_that_is_told_as_missing_already_is_told_once() -> None:
    """Its last lost sample is not cleared yet when it tells nonsense."""
    with wired() as bench:
        bench.bus.tells = [told_by_cell(CELL, celsius=math.inf)]
        bench.live(0.2)
        bench.bus.tells = [told_by_cell(CELL, celsius=HOT_C), told_by_cell(7, celsius=-99.0)]
        bench.live(0.2)
        told = [one for one in heard(bench.packs[0].body(bench.now_s)).body.conditions
                if one.condition == "temperature_missing"]
        assert sorted(cell for one in told for cell in one.cells) == [CELL + 1, 8]


@pytest.mark.parametrize(("values", "lost", "condition"), [
    ({"voltage_v": -0.02}, {"voltage_v", "power_kw"}, "string_voltage"),
    ({"voltage_v": 1e30}, {"voltage_v", "power_kw"}, "string_voltage"),
    ({"current_a": 1e300}, {"current_a", "power_kw", "soc_pct"}, "current_discharge"),
    ({"current_a": -1e9}, {"current_a", "power_kw", "soc_pct"}, "current_charge")])
def test_an_impossible_value_of_the_pack_is_missing_and_nothing_else_is(
        values: dict[str, float], lost: set[str], condition: str) -> None:
    with wired() as bench:
        bench.bus.tells = [told_by_pack(**values)]
        bench.live(1.0)
        body = heard(bench.packs[0].body(bench.now_s)).body
        names = ("voltage_v", "current_a", "power_kw", "soc_pct", "temperature_c")
        assert {name for name in names if getattr(body, name) is None} == lost
        assert condition in [one.condition for one in body.conditions]


def test_a_reset_that_an_absurd_sample_forbids_is_answered_in_words_that_are_heard() -> None:
    with wired() as bench:
        bench.bus.tells = [told_by_cell(CELL, volts=-3e38, celsius=3e38),
                           told_by_pack(current_a=1e30, voltage_v=1e30)]
        bench.live(8.0)
        reply = bench.command("reset")
        assert reply.state == "refused"
        status = Status(v=VERSION, site="home", device="pack_1", state="online", replies=(reply,),
                        opened_after_s=bench.packs[0].safety.opened_after_s)
        assert read_small(said(status), Status).replies == (reply,)


def test_a_condition_holds_without_a_number_that_nobody_can_have() -> None:
    told = Condition(condition="current_discharge", tier=3, value=1e30, limit=110.0)
    assert possible_condition(told) == Condition(condition="current_discharge", tier=3,
                                                 limit=110.0)


@pytest.mark.parametrize("cells", [3200, MOST_CELLS])
def test_the_most_cells_that_are_allowed_are_heard(cells: int) -> None:
    plant = SimulatedPack("NMC", cells, 500.0, seed=1, soc_pct=100.0)
    outbox = Outbox(Path(":memory:"), ["pack"])
    guards = Guards([plant.rating], outbox)
    pack = Pack("pack", guards.each[0])
    PackGroup([pack], guards, EachPlant([plant]), CellEstimators([plant.rating])).sample(NOW_S, 0.1)
    found = heard(pack.body(NOW_S))
    assert found.body.voltage_v == pytest.approx(float(found.cells["voltage_v"].sum()), rel=1e-3)
    assert found.cells["voltage_v"].size == cells
    outbox.close()


def test_what_an_absurd_sample_tripped_is_still_known_after_a_restart(
        outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    bench = Wired(outbox, "LFP")
    bench.live(5.0)
    bench.bus.tells = [told_by_cell(CELL, volts=3e38, celsius=-3e38),
                       told_by_pack(current_a=1e300, voltage_v=-1e300)]
    bench.live(8.0)
    before = bench.reason()
    assert before.startswith("latched")
    outbox.put({"pack_1": packed(bench.packs[0].body(bench.now_s))})
    bench.restart()
    bench.live(0.1)
    assert (bench.state(), bench.reason()) == ("latched", before)
    assert not [one for one in caplog.records if "memory" in one.getMessage()]


# -- the count of charge

LIES: list[Tells] = [
    told_by_pack(current_a=1e9), told_by_pack(current_a=-1e9), told_by_pack(current_a=1e30),
    told_by_pack(current_a=1e300), told_by_pack(current_a=9e4), told_by_pack(current_a=math.inf),
    told_by_cell(CELL, volts=3e38), told_by_cell(CELL, volts=-3e38, celsius=3e38)]


def charge_after(tell: Tells, estimators: CellEstimators, plant: SimulatedPack) -> float | None:
    """What is told of it a moment after its sensors told the truth again [%]; they lie for 2 s."""
    for _ in range(20):
        sample = tell(plant.step(1.0, 0.1))
        assert isinstance(sample, Sample)
        estimators.update([sample], 0.1)
    return estimators.update([plant.step(1.0, 0.1)], 0.1)[0].soc_pct


@pytest.mark.parametrize("begin", [None, [60.0]])
@pytest.mark.parametrize("lie", LIES)
def test_no_lie_of_a_sensor_outlasts_itself_in_the_charge(lie: Tells,
                                                          begin: list[float] | None) -> None:
    found, right = (
        charge_after(tell, CellEstimators([plant.rating], begin), plant)
        for tell in (lie, lambda sample: sample)
        for plant in (SimulatedPack("NMC", CELL_COUNT, 10.0, seed=1),))
    assert right is not None
    assert found == pytest.approx(right, abs=0.5)


@pytest.mark.parametrize("current_a", [1e9, -1e9, 1e30, 9e4, math.inf, math.nan])
def test_while_the_current_is_none_that_flows_the_charge_is_not_told(current_a: float) -> None:
    plant = SimulatedPack("NMC", CELL_COUNT, 10.0, seed=1)
    estimators = CellEstimators([plant.rating], [60.0])
    found, = estimators.update([replace(plant.step(0.0, 0.1), current_a=current_a)], 0.1)
    assert found == Estimate()


@settings(max_examples=60, deadline=None)
@given(st.lists(samples(), min_size=1, max_size=6), st.booleans())
@example([Sample(np.full(CELL_COUNT, 3.3, np.float32), np.full(CELL_COUNT, 25.0, np.float32), 1e30,
                 80.0)], False)
def test_after_any_samples_some_good_ones_tell_a_charge_again(told: list[Sample],
                                                              known: bool) -> None:
    plant = SimulatedPack("LFP", CELL_COUNT, 10.0, seed=1)
    estimators = CellEstimators([plant.rating], [60.0] if known else None)
    with np.errstate(over="ignore", invalid="ignore"):
        for sample in told:
            estimators.update([sample], 0.1)
    for _ in range(3):
        found, = estimators.update([plant.step(0.0, 0.1)], 0.1)
    assert found.soc_pct is not None
    assert 0.0 <= found.soc_pct <= 100.0
    assert found.cell_soc_pct is not None
    assert np.isfinite(found.cell_soc_pct).all()


def test_a_pack_whose_current_was_absurd_works_again_after_a_reset() -> None:
    with wired() as bench:
        bench.bus.tells = [told_by_pack(current_a=1e30)]
        bench.live(0.1)
        bench.bus.tells = []
        bench.live(15.0)
        assert bench.command("reset").state == "executed"
        bench.live(25.0)
        assert bench.power_kw() == pytest.approx(4.0, rel=0.02)


# -- at the centre

@pytest.mark.parametrize(("tell", "condition", "words"), [
    (told_by_cell(CELL, celsius=HOT_C), "temperature_missing", "temperature_high, cell 4: 230 °C"),
    (told_by_cell(CELL, volts=HIGH_V), "voltage_missing", "hardware_limit, cell 4: 65.54 V")])
def test_a_trip_by_an_impossible_value_is_an_alarm_at_the_centre(
        outbox: Outbox, tell: Tells, condition: str, words: str) -> None:
    site = Site(outbox, Wired)
    assert isinstance(site.edge, Wired)
    site.edge.bus.tells = [tell]
    site.live(12)
    pack, = site.centre.board.packs()
    assert pack.safety == "latched"
    assert words in pack.limit_reason
    assert {Key(ELEMENT, "safety_tripped"),
            Key(f"{ELEMENT}_cell_{CELL}", condition)} <= set(site.centre.raised)
    assert site.centre.state("safety_tripped") is State.UNACKNOWLEDGED


class Lying(EachPlant):
    """Plants, each of which tells something else than it is."""

    def __init__(self, plants: Sequence[SimulatedPack], tells: Sequence[Tells]) -> None:
        super().__init__(plants)
        self._tells = tells

    def step(self, power_kw: Sequence[float], dt_s: float,
             close: Sequence[tuple[bool, bool]]) -> list[Sample | NoSample]:
        return [tell(sample) if isinstance(sample, Sample) else sample for tell, sample in
                zip(self._tells, super().step(power_kw, dt_s, close), strict=True)]


def test_over_a_broker_packs_with_impossible_values_are_seen_to_trip(mosquitto: Mosquitto,
                                                                     outbox: Outbox) -> None:
    plants = [SimulatedPack("LFP", 24, 10.0, seed=at, device=f"pack_{at}") for at in (1, 2)]
    guards = Guards([plant.rating for plant in plants], outbox)
    group = PackGroup([Pack(guard.device, guard) for guard in guards.each], guards,
                      Lying(plants, [told_by_cell(CELL, celsius=HOT_C),
                                     told_by_cell(CELL, volts=HIGH_V)]),
                      CellEstimators([plant.rating for plant in plants]))
    plates = {plant.rating.name: Plate("LFP", 24, 10.0) for plant in plants}
    runtime = EdgeRuntime("home", group, plates, outbox, broker_of(mosquitto), SystemClock())
    told = {device: {"chemistry": "LFP", "cells": 24, "capacity_kwh": 10.0} for device in plates}
    source = create("fleet", msgspec.convert({"broker": mosquitto.url, "packs": told}, Options),
                    DEFAULT_LEVELS)
    _, placements = place(DEFAULT_LEVELS, [source])
    source.start(SystemClock().now(), placements[0].topology)
    stop = threading.Event()
    thread = threading.Thread(target=runtime.run, args=(stop,))
    thread.start()

    def found() -> set[tuple[str, str]]:
        return {(one.element.removeprefix("system_home_"), one.condition)
                for one in source.findings()}
    try:
        until(lambda: {("rack_1", "safety_tripped"), ("rack_2", "safety_tripped"),
                       (f"rack_1_cell_{CELL}", "temperature_missing"),
                       (f"rack_2_cell_{CELL}", "voltage_missing")} <= found(), "both are seen")
        source.poll(SystemClock().now())
        assert ["temperature_high, cell 4: 230 °C" in source.packs()[0].limit_reason,
                "hardware_limit, cell 4: 65.54 V" in source.packs()[1].limit_reason] == [True] * 2
        assert source.counts().rejected == {}
    finally:
        stop.set()
        thread.join(10)
        source.close()
