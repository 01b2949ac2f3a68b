"""The demo's packs: real plants, guards and orders in the engine's process, told as simulated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.clock import ManualClock
from core.engine import Engine
from core.errors import RequestError, SourceError, UnknownIdError
from core.fleet.catalogue import catalogue
from core.fleet.ports import CommandLife, PackState
from core.frames import CONTACTOR_OPEN, Reading
from core.registry import SOURCES
from core.topology import DEFAULT_LEVELS, Topology
from services.edge.demo import Options, Packs, create
from services.edge.demo_day import DAY_S, Day
from services.edge.demo_faults import FAULTS, pack_of
from services.edge.pack import SILENT_S

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVENING = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
COUNT = 6


class Demo:
    """A started source and a clock that a test moves."""

    def __init__(self, start: datetime = NOON, **options: int) -> None:
        whole = Options(**({"packs": COUNT, "cells": 24} | options))
        self.source: Packs = create("packs", whole, DEFAULT_LEVELS)
        self.topology = Topology(DEFAULT_LEVELS, self.source.roots)
        self.clock = ManualClock(start)
        self.source.start(start, self.topology)
        self.reading: Reading = self.source.poll(start)

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.reading = self.source.poll(self.clock.advance(1.0))

    def pack(self, fault: str) -> PackState:
        return self.source.packs()[pack_of(fault, COUNT)]

    def begin(self, fault: str) -> PackState:
        self.source.start_script(fault, self.clock.now())
        return self.pack(fault)

    def command(self, device: str, action: str, **more: float) -> CommandLife:
        sent = self.source.command(device, action, "eve", **more)
        assert sent.state == "sent"
        self.live(1)
        return self.life(sent)

    def life(self, sent: CommandLife) -> CommandLife:
        return next(life for life in self.source.commands() if life.command == sent.command)

    def conditions(self, element: str) -> set[str]:
        return {found.condition for found in self.source.findings() if found.element == element}

    def value(self, metric: str, element: str) -> float:
        return float(self.reading.columns[metric][self.topology.index(element)])


@pytest.fixture
def demo() -> Iterator[Demo]:
    made = Demo()
    yield made
    made.source.close()


def test_it_is_in_the_registry_and_told_as_simulated(demo: Demo) -> None:
    assert SOURCES["packs"] == "services.edge.demo"
    assert demo.source.info.kind == "simulated"
    assert {pack.chemistry for pack in demo.source.packs()} == {"LFP", "NMC", "LCO"}


def test_the_default_is_at_most_1500_nodes() -> None:
    source = create("packs", Options(), DEFAULT_LEVELS)
    assert 1000 < Topology(DEFAULT_LEVELS, source.roots).size <= 1500
    assert len(source.roots[0].children) == 24


@pytest.mark.parametrize(("start", "sign"), [(NOON, -1), (EVENING, 1)])
def test_it_charges_at_noon_and_discharges_in_the_evening(start: datetime, sign: int) -> None:
    demo = Demo(start)
    demo.live(30)
    for pack in demo.source.packs():
        power_kw = demo.value("power_kw", pack.element)
        assert power_kw * sign > 1.0
        assert pack.allocation_kw == pytest.approx(power_kw, rel=0.05)
        assert (pack.link, pack.safety) == ("online", "normal")
        assert pack.decision_us is None, "it claims nothing of how fast it decides"
    demo.source.close()


def test_cells_have_the_pack_s_current_and_their_own_charge(demo: Demo) -> None:
    demo.live(5)
    pack = demo.source.packs()[0]
    cells = demo.topology.children(demo.topology.index(pack.element))
    columns = demo.reading.columns
    assert set(columns["current_a"][cells]) == {columns["current_a"][cells.start]}
    assert np.isfinite(columns["soc_pct"][cells]).all()
    assert float(columns["soc_pct"][cells].mean()) == pytest.approx(
        demo.value("soc_pct", pack.element), abs=0.01)
    assert np.isnan(columns["soh_pct"][1:]).all(), "nobody estimates it"


def test_an_overheating_cell_latches_its_pack_and_a_person_resets_it(demo: Demo) -> None:
    pack = demo.begin("cell_overheats")
    demo.live(120)
    state = demo.pack("cell_overheats")
    assert state.safety == "latched"
    assert "temperature_high, cell " in state.limit_reason
    assert "safety_tripped" in demo.conditions(pack.element)
    assert demo.value("power_kw", pack.element) == 0.0
    assert demo.reading.flags is not None
    assert demo.reading.flags[demo.topology.index(pack.element)] & CONTACTOR_OPEN
    refused = demo.command(pack.device, "reset")
    assert (refused.state, "temperature_high" in refused.reason) == ("refused", True)
    demo.source.stop_scripts()
    demo.live(40)
    assert demo.pack("cell_overheats").safety == "latched"
    assert demo.command(pack.device, "reset").state == "executed"
    demo.live(60)
    assert demo.pack("cell_overheats").safety == "normal"
    assert abs(demo.value("power_kw", pack.element)) > 1.0
    others = [one.safety for one in demo.source.packs() if one.device != pack.device]
    assert set(others) == {"normal"}


@pytest.mark.parametrize("start", [NOON, EVENING])
def test_a_cooling_failure_is_one_cause_with_many_hot_cells(start: datetime) -> None:
    demo = Demo(start)
    engine = Engine(DEFAULT_LEVELS, [demo.source], demo.clock)
    for _ in range(30):
        demo.clock.advance(1.0)
        engine.tick()
    element = demo.begin("cooling_failed").element
    for _ in range(230):
        demo.clock.advance(1.0)
        engine.tick()
    active = engine.snapshot.alarms.active
    assert "cooling_failed" in demo.conditions(element)
    assert "cooling_failed" in {alarm.condition for alarm in active
                                if engine.topology.ids[alarm.node] == element}
    heat = engine.snapshot.frame.columns["temperature_c"][
        engine.topology.children(engine.topology.index(element))]
    assert (heat > 40.0).all()
    assert demo.pack("cooling_failed").safety == "derate", "it is limited before it trips"
    engine.stop()


@pytest.mark.parametrize(("fault", "condition"), [("contactor_welded", "contactor_welded"),
                                                  ("short_circuit", "short_circuit")])
def test_a_broken_part_latches_and_is_named(demo: Demo, fault: str, condition: str) -> None:
    pack = demo.begin(fault)
    demo.live(5)
    assert demo.pack(fault).safety == "latched"
    assert {condition, "safety_tripped"} <= demo.conditions(pack.element)
    assert demo.command(pack.device, "reset").state == "refused"
    demo.source.stop_scripts()
    demo.live(40)
    assert demo.command(pack.device, "reset").state == "executed"
    assert condition not in demo.conditions(pack.element)


def test_a_lost_sensor_fails_closed(demo: Demo) -> None:
    pack = demo.begin("cell_sensor_lost")
    demo.live(1)
    state = demo.pack("cell_sensor_lost")
    assert (state.charge_limit_a, state.discharge_limit_a) == (0.0, 0.0)
    missing = [found for found in demo.source.findings() if found.condition == "voltage_missing"]
    assert [found.element.startswith(f"{pack.element}_cell_") for found in missing] == [True]
    assert np.isnan(demo.value("voltage_v", missing[0].element))
    assert not np.isnan(demo.value("temperature_c", missing[0].element))
    demo.live(5)
    assert demo.value("power_kw", pack.element) == 0.0


def test_a_silent_device_is_not_heard_and_answers_nothing(demo: Demo) -> None:
    demo.live(3)
    pack = demo.begin("device_silent")
    demo.live(1)
    state = demo.pack("device_silent")
    assert (state.link, state.heard_at) == ("offline", demo.clock.now() - timedelta(seconds=1))
    assert demo.reading.heard is not None
    assert not demo.reading.heard[demo.topology.index(pack.element)]
    sent = demo.source.command(pack.device, "ping", "eve", ttl_s=5.0)
    demo.live(4)
    assert demo.life(sent).state == "sent"
    demo.live(2)
    assert (demo.life(sent).state, demo.life(sent).settled) == ("expired", True)
    demo.source.stop_scripts()
    demo.live(1)
    assert demo.pack("device_silent").link == "online"
    assert demo.command(pack.device, "ping").state == "executed"


def test_packs_tell_how_long_they_bear_silence(demo: Demo) -> None:
    demo.live(2)
    assert {pack.silent_s for pack in demo.source.packs()} == {SILENT_S}


def test_commands_live_from_sent_over_received_to_executed_or_refused(demo: Demo) -> None:
    device = demo.source.packs()[0].device
    stopped = demo.command(device, "emergency_stop")
    assert stopped.state == "received"
    demo.live(3)
    assert demo.life(stopped).state == "executed"
    assert demo.source.packs()[0].safety == "latched"
    assert "emergency stop by eve" in demo.source.packs()[0].limit_reason
    assert demo.command(device, "reset").state == "executed"
    assert demo.command(device, "reset").state == "refused"
    assert demo.command(device, "override", power_kw=0.5, hold_s=600.0).state == "executed"
    demo.live(60)
    assert abs(demo.value("power_kw", demo.source.packs()[0].element)) == pytest.approx(
        0.5, rel=0.05)
    assert [life.command.action for life in demo.source.commands()] == [
        "override", "reset", "reset", "emergency_stop"]


def test_what_the_schema_does_not_know_is_not_sent(demo: Demo) -> None:
    with pytest.raises(UnknownIdError):
        demo.source.command("pack_999", "ping", "eve")
    for action, more in (("explode", {}), ("ping", {"ttl_s": -1.0}),
                         ("override", {"power_kw": float("nan"), "hold_s": 5.0})):
        with pytest.raises(RequestError):
            demo.source.command("pack_001", action, "eve", **more)
    assert demo.source.commands() == []


def test_a_source_that_is_not_started_says_so() -> None:
    source = create("packs", Options(packs=2), DEFAULT_LEVELS)
    with pytest.raises(SourceError):
        source.poll(NOON)
    with pytest.raises(SourceError):
        source.command("pack_001", "ping", "eve")
    assert not source.counts().connected
    assert len(source.packs()) == 2


def test_counts_are_of_what_was_heard(demo: Demo) -> None:
    demo.live(9)
    counts = demo.source.counts()
    assert (counts.broker, counts.rate) == ("", COUNT)
    assert counts.received == 10 * COUNT
    assert (counts.decisions, counts.worst_decision_us) == ({}, None)


def test_faults_have_packs_of_their_own() -> None:
    assert len({pack_of(fault, 24) for fault in FAULTS}) == len(FAULTS)


def test_a_clock_that_steps_back_stops_no_pack(demo: Demo) -> None:
    demo.live(30)
    demo.source.poll(demo.clock.advance(-3600.0))
    demo.live(90)
    pack = demo.source.packs()[0]
    assert demo.value("power_kw", pack.element) < -1.0
    assert demo.command(pack.device, "ping").state == "executed"


def test_a_process_that_slept_trips_nothing(demo: Demo) -> None:
    demo.live(5)
    demo.source.poll(demo.clock.advance(8 * 3600.0))
    demo.live(5)
    assert {pack.safety for pack in demo.source.packs()} == {"normal"}


@pytest.mark.parametrize("number", range(5))
def test_a_day_ends_with_the_charge_that_it_began_with(number: int) -> None:
    day = Day.of(number, catalogue(5, 60)[number])
    steps = np.arange(0.0, DAY_S, 60.0)
    energy_kwh = sum(day.power_kw(time_s) for time_s in steps) / 60.0
    assert energy_kwh == pytest.approx(0.0, abs=0.2)
    charge = [day.soc_pct(time_s) for time_s in steps]
    assert 20.0 < min(charge) < max(charge) < 85.0
    moved_kwh = sum(day.power_kw(time_s) for time_s in steps[9 * 60:16 * 60]) / 60.0
    assert max(charge) - min(charge) == pytest.approx(
        -100.0 * moved_kwh / day.capacity_kwh, rel=0.02)


def test_the_past_is_told_for_packs_alone(demo: Demo) -> None:
    past = list(demo.source.backfill(NOON - timedelta(hours=30), NOON, 1800.0))
    assert past[0].measured_at == NOON - timedelta(hours=24)
    pack = demo.source.packs()[0]
    node = demo.topology.index(pack.element)
    soc = np.array([reading.columns["soc_pct"][node] for reading in past])
    assert np.ptp(soc) > 10.0
    assert soc[-1] == pytest.approx(demo.value("soc_pct", pack.element), abs=2.0)
    cells = demo.topology.children(node)
    assert np.isnan(past[-1].columns["voltage_v"][cells]).all()
    assert past[-1].heard is not None
    assert not past[-1].heard[cells].any()


def test_a_coordinator_steers_and_its_allocation_ends_by_itself(demo: Demo) -> None:
    demo.live(30)
    asked = {pack.device: 0.5 + number / 10 for number, pack in enumerate(demo.source.packs())}
    demo.source.allocate(asked, 60.0)
    demo.live(10)
    for pack in demo.source.packs():
        assert pack.allocation_kw == pytest.approx(asked[pack.device], rel=0.01)
        assert demo.value("power_kw", pack.element) == pytest.approx(asked[pack.device], rel=0.05)
    demo.source.allocate({demo.source.packs()[0].device: 0.2}, 60.0)
    demo.live(2)
    assert [round(pack.allocation_kw or 0.0, 1) for pack in demo.source.packs()[:2]] == [0.2, 0.6]
    demo.live(65)
    assert demo.value("power_kw", demo.source.packs()[0].element) < -1.0, "the fixed day again"


def test_two_allocations_of_one_moment_follow_each_other(demo: Demo) -> None:
    device = demo.source.packs()[0].device
    for power_kw in (0.3, 0.4):
        demo.source.allocate({device: power_kw}, 60.0)
    demo.live(2)
    assert demo.source.packs()[0].allocation_kw == pytest.approx(0.4, rel=0.01)


def test_an_allocation_that_cannot_be_is_refused(demo: Demo) -> None:
    device = demo.source.packs()[0].device
    for power_kw in (float("nan"), float("inf")):
        with pytest.raises(RequestError):
            demo.source.allocate({device: power_kw}, 60.0)
    with pytest.raises(UnknownIdError):
        demo.source.allocate({"pack_999": 1.0}, 60.0)
    fault = demo.begin("device_silent")
    demo.source.allocate({fault.device: 0.7}, 60.0)
    demo.source.stop_scripts()
    demo.live(2)
    assert demo.pack("device_silent").allocation_kw != pytest.approx(0.7), "it heard nothing"
