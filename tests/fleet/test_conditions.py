"""What a device tells of itself becomes an alarm at the centre: over the wire as in the demo."""

from __future__ import annotations

import math
import threading
from typing import Any

import msgspec
import numpy as np
import pytest

from bench._fleet import Mosquitto
from core.alarms.book import AlarmBook, findings
from core.alarms.journal import AlarmJournal
from core.alarms.records import Finding, Key
from core.alarms.rules import alarm_rules
from core.alarms.states import State
from core.assembly import Assembler, place
from core.clock import ManualClock, SystemClock, from_epoch
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate
from core.fleet.command_book import CommandBook
from core.fleet.conditions import findings_of, of_cells
from core.fleet.messages import (
    CONDITIONS,
    MOST_BYTES,
    MOST_CELLS,
    Body,
    Condition,
    Status,
    column,
    packed,
    said,
)
from core.fleet.rejections import Rejection
from core.fleet.telemetry import Refused, Telemetry, read_telemetry
from core.frames import CONTACTOR_OPEN, Frame
from core.safety.bands import MISSING_CELL
from core.talk import Conversation
from core.topology import DEFAULT_LEVELS
from services.edge.demo_faults import FAULTS
from services.edge.estimator import CellEstimators
from services.edge.guard import Guards
from services.edge.outbox import Outbox
from services.edge.pack import Pack, PackGroup
from services.edge.plant import EachPlant, SimulatedPack
from services.edge.runtime import EdgeRuntime, Plate
from services.fleet_heard import FleetHeard
from services.fleet_source import MqttFleet, Options, create
from tests.core.alarm_bench import Shelf
from tests.fleet.examples import NOW_S, PACK, body, envelope, telemetry
from tests.fleet.site import broker_of
from tests.fleet.test_guard import Bench
from tests.sources.mosquitto import until

ELEMENT = "system_home_rack_1"
CELLS = 48


def fleet(url: str = "mqtt://127.0.0.1:1", cells: int = CELLS) -> MqttFleet:
    """As a configuration declares it; nothing connects before it is started."""
    packs = {"pack_1": {"chemistry": "LFP", "cells": cells, "capacity_kwh": 10.0}}
    return create("fleet", msgspec.convert({"broker": url, "packs": packs}, Options),
                  DEFAULT_LEVELS)


class Centre:
    """What stands behind a broker: the live view, the frame, the alarms."""

    def __init__(self) -> None:
        self.clock = ManualClock(from_epoch(NOW_S))
        self.topology, placements = place(DEFAULT_LEVELS, [fleet()])
        self.board = FleetBoard("home", [PackPlate("pack_1", "pack_1", "LFP", CELLS, 10.0)])
        self.board.place(placements[0].topology)
        self.heard = FleetHeard("home", self.board, CommandBook("home", self.clock.now),
                                self.clock, Conversation(self.clock))
        self.assembler = Assembler(self.topology, placements, [10.0])
        self.book, self.store = AlarmBook(self.topology), Shelf()
        self.journal = AlarmJournal(self.topology, self.clock, keep=self.store.append)
        self.number = 0

    def hear(self, told: Body, kept_s: float = 0.0) -> None:
        """kept_s: how long its outbox held it [s]."""
        self.number += 1
        self.heard.message("pulsebms/home/pack_1/telemetry", telemetry(
            packed(told), seq=self.number, floor=1, sent_s=told.time_s + kept_s), retained=False)
        assert self.heard.counts("fleet", "", True).rejected == {}

    def tick(self) -> None:
        frame = self.frame()

        def held(key: Key) -> bool:
            return not self.book.knows(frame, self.topology.index(key.element), key.condition)

        found = [*findings(self.book.evaluate(frame), self.topology), *self.board.findings()]
        self.journal.tick(found, held)

    @property
    def raised(self) -> list[Key]:
        """What called a person so far, as the rate counts it."""
        return [line.key for line in self.store.lines if line.raises]

    def frame(self) -> Frame:
        self.assembler.apply(0, self.board.reading(self.clock.now()))
        return self.assembler.frame(self.clock.now())

    def open(self) -> bool:
        return bool(self.frame().flags[self.topology.index(ELEMENT)] & CONTACTOR_OPEN)

    def state(self, condition: str) -> State:
        one = self.journal.get(Key(ELEMENT, condition))
        return State.NORMAL if one is None else one.state


class Site:
    """One pack at the edge, its centre, and nothing but messages between them."""

    def __init__(self, outbox: Outbox, edge: type[Bench] = Bench) -> None:
        self.edge, self.centre = edge(outbox, "LFP"), Centre()
        self.edge.plants = [SimulatedPack("LFP", CELLS, 10.0, seed=3, device="pack_1")]
        self.edge.restart()
        self.live(5)

    @property
    def plant(self) -> SimulatedPack:
        return self.edge.plants[0]

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.edge.live(1.0, power_kw=-3.0)
            now_s = self.centre.clock.now().timestamp()
            self.centre.clock.advance(self.edge.now_s - now_s)
            self.centre.hear(self.edge.packs[0].body(self.edge.now_s))
            self.centre.tick()


@pytest.fixture
def site(outbox: Outbox) -> Site:
    return Site(outbox)


def test_a_cooling_failure_with_more_than_forty_alarms_calls_at_most_thrice_the_root_first(
        site: Site) -> None:
    site.plant.cooling_failed = True
    site.plant.heating_k_per_s[:], site.plant.hottest_c = 1.0, 46.0
    site.live(40)
    hot = [one for one in site.centre.journal.instances() if one.condition == "temperature_high"]
    assert len([one for one in hot if one.on]) >= 40
    assert {one.state for one in hot} == {State.SUPPRESSED}
    assert site.centre.raised[0] == Key(ELEMENT, "cooling_failed")
    assert len(site.centre.raised) <= 3
    site.plant.repair()
    site.live(90)
    assert site.centre.state("cooling_failed") is State.RETURNED


def test_a_welded_contactor_is_an_alarm_of_its_own_until_it_is_exchanged(site: Site) -> None:
    FAULTS["contactor_welded"](site.plant)
    site.live(5)
    assert Key(ELEMENT, "contactor_welded") in site.centre.raised
    assert site.centre.state("contactor_welded") is State.UNACKNOWLEDGED
    assert site.centre.open(), "the other contactor has opened"
    site.plant.repair()
    site.live(15)
    assert site.edge.command("reset").state == "executed"
    site.live(35)
    assert not site.centre.open()
    assert site.centre.board.findings() == []
    assert site.centre.state("contactor_welded") is State.LATCHED_UNACKNOWLEDGED


def test_a_short_circuit_is_named_beside_the_trip(site: Site) -> None:
    FAULTS["short_circuit"](site.plant)
    site.live(2)
    assert set(site.centre.raised) == {Key(ELEMENT, "short_circuit"),
                                          Key(ELEMENT, "safety_tripped")}


def test_a_cell_without_a_reading_is_named(site: Site) -> None:
    site.plant.lost_temperature[6] = True
    site.live(3)
    told = [one for one in site.centre.board.findings() if one.condition == "temperature_missing"]
    assert [(one.element, one.tier) for one in told] == [(f"{ELEMENT}_cell_6", 3)]


def test_a_silent_device_s_last_word_stands_and_its_next_one_counts() -> None:
    centre = Centre()
    columns = {"voltage_v": column(np.full(CELLS, 3.3, np.float32))}
    welded = Condition(condition="contactor_welded", tier=3)
    centre.hear(body(time_s=NOW_S, cells=columns, conditions=(welded,)))
    centre.tick()
    centre.heard.message("pulsebms/home/pack_1/status", said(Status(
        v=1, site="home", device="pack_1", state="offline")), retained=False)
    for _ in range(60):
        centre.clock.advance(1.0)
        centre.tick()
    assert centre.state("contactor_welded") is State.UNACKNOWLEDGED, "nobody says that it is well"
    assert Key(ELEMENT, "silent") in centre.raised
    centre.hear(body(time_s=NOW_S + 60.0, cells=columns))
    assert [one.condition for one in centre.board.findings()] == ["silent"]


def test_what_an_outbox_held_back_is_told_with_the_time_it_happened() -> None:
    """A device whose clock is behind, too: its own two times tell how long it was."""
    centre = Centre()
    behind_s, kept_s = 20.0, 25.0
    columns = {"voltage_v": column(np.full(CELLS, 3.3, np.float32))}
    welded = Condition(condition="contactor_welded", tier=3)
    centre.hear(body(time_s=NOW_S - behind_s - kept_s, cells=columns, conditions=(welded,),
                     safety="latched"), kept_s)
    centre.tick()
    for condition in ("contactor_welded", "safety_tripped"):
        one = centre.journal.get(Key(ELEMENT, condition))
        assert one is not None
        assert (one.event_at, one.raised_at) == (from_epoch(NOW_S - kept_s), from_epoch(NOW_S))


# -- the schema

def condition(**changed: Any) -> Condition:
    whole = Condition(condition="current_charge", tier=2, value=101.5, limit=100.0)
    return msgspec.structs.replace(whole, **changed)


def missing(*cells: int, **changed: Any) -> Condition:
    return condition(**{"condition": "voltage_missing", "cells": cells, "value": None,
                        "limit": None, **changed})


WRONG: list[tuple[Any, Rejection]] = [
    (None, Rejection.WRONG_FORM),
    ({}, Rejection.WRONG_FORM),
    ("cooling_failed", Rejection.WRONG_FORM),
    (["cooling_failed"], Rejection.WRONG_FORM),
    ([{"condition": "cooling_failed"}], Rejection.WRONG_FORM),
    ([{"condition": "cooling_failed", "tier": 2, "colour": "red"}], Rejection.WRONG_FORM),
    ([condition(condition="mood")], Rejection.WRONG_FORM),
    ([condition(condition="temperature_high")], Rejection.WRONG_FORM),
    ([condition(condition="<script>")], Rejection.WRONG_FORM),
    ([condition(condition=7)], Rejection.WRONG_FORM),
    ([condition(tier=0)], Rejection.WRONG_FORM),
    ([condition(tier=4)], Rejection.WRONG_FORM),
    ([condition(tier=True)], Rejection.WRONG_FORM),
    ([condition(tier="2")], Rejection.WRONG_FORM),
    ([condition(value="101")], Rejection.WRONG_FORM),
    ([condition(value=math.nan)], Rejection.NOT_FINITE),
    ([condition(limit=math.inf)], Rejection.NOT_FINITE),
    ([condition(value=-1e6)], Rejection.ABSURD),
    ([condition(cells=(1,))], Rejection.WRONG_FORM),
    ([missing()], Rejection.WRONG_FORM),
    ([missing(0)], Rejection.WRONG_FORM),
    ([missing(4)], Rejection.ABSURD),
    ([missing(MOST_CELLS + 1)], Rejection.WRONG_FORM),
    ([missing(1, 1)], Rejection.WRONG_FORM),
    ([missing(1), missing(1, 2, tier=3)], Rejection.WRONG_FORM),
    ([missing(*[1] * (MOST_CELLS + 1))], Rejection.WRONG_FORM),
    ([condition(), condition(tier=3)], Rejection.WRONG_FORM),
    ([condition()] * 1000, Rejection.WRONG_FORM)]


@pytest.mark.parametrize(("told", "reason"), WRONG)
def test_a_wrong_list_is_refused_and_settled(told: Any, reason: Rejection) -> None:
    found = read_telemetry(telemetry(packed(body(conditions=told))), PACK, NOW_S)
    assert isinstance(found, Refused)
    assert (found.reason, found.settles is not None) == (reason, True)


def test_a_cell_without_any_column_is_refused() -> None:
    found = read_telemetry(telemetry(packed(body(cells={}, conditions=(missing(1),)))), PACK,
                           NOW_S)
    assert isinstance(found, Refused)
    assert found.reason is Rejection.ABSURD


def taken(payload: bytes) -> Telemetry:
    found = read_telemetry(payload, PACK, NOW_S)
    assert isinstance(found, Telemetry), found
    return found


def test_none_costs_nothing_and_one_that_does_not_tell_is_taken() -> None:
    assert b"conditions" not in packed(body())
    assert taken(telemetry()).body.conditions == ()


def test_json_says_the_same() -> None:
    whole = body(conditions=(condition(), missing(2, 3)))
    inside = msgspec.json.encode(whole)
    assert b'{"condition":"voltage_missing","tier":2,"cells":[2,3]}' in inside
    assert taken(said(envelope(inside))).body.conditions == whole.conditions


def test_all_that_can_be_wrong_at_once_is_told_within_the_size() -> None:
    every = tuple(range(1, MOST_CELLS + 1))
    told = tuple(condition(condition=name, tier=3, **(
        {"cells": every, "value": None, "limit": None} if of_cells(name) else {}))
        for name in CONDITIONS)
    lost = column(np.full(MOST_CELLS, np.nan, np.float32))
    whole = body(conditions=told, cells=dict.fromkeys(("voltage_v", "temperature_c", "soc_pct"),
                                                      lost))
    payload = telemetry(packed(whole))
    assert len(payload) < MOST_BYTES // 2
    assert taken(payload).body.conditions == told


def test_each_condition_has_its_words_and_its_place() -> None:
    assert set(CONDITIONS) <= set(alarm_rules().conditions)
    assert {name for name in CONDITIONS if of_cells(name)} == set(MISSING_CELL)
    charge, second, third = findings_of(ELEMENT, [
        condition(), missing(2, 3), Condition(condition="contactor_open", tier=2)])
    assert charge == Finding(ELEMENT, "current_charge", 2, "current_a", 101.5, 100.0)
    assert [one[:4] for one in (second, third)] == [
        (f"{ELEMENT}_cell_{cell}", "voltage_missing", 2, "voltage_v") for cell in (1, 2)]
    assert math.isnan(second.value), "a missing value is none"


# -- over a broker

def test_over_a_broker_a_broken_pack_says_what_is_broken(mosquitto: Mosquitto,
                                                         outbox: Outbox) -> None:
    plant = SimulatedPack("LFP", 24, 10.0, seed=1, device="pack_1")
    FAULTS["contactor_welded"](plant)
    plant.cooling_failed = True
    guards = Guards([plant.rating], outbox)
    group = PackGroup([Pack("pack_1", guards.each[0])], guards, EachPlant([plant]),
                      CellEstimators([plant.rating]))
    runtime = EdgeRuntime("home", group, {"pack_1": Plate("LFP", 24, 10.0)}, outbox,
                          broker_of(mosquitto), SystemClock(), every=1)
    source = fleet(mosquitto.url, cells=24)
    _, placements = place(DEFAULT_LEVELS, [source])
    source.start(SystemClock().now(), placements[0].topology)
    stop = threading.Event()
    thread = threading.Thread(target=runtime.run, args=(stop,))
    thread.start()
    try:
        until(lambda: {"cooling_failed", "contactor_welded", "safety_tripped"} <= {
            one.condition for one in source.findings()}, "the pack tells it")
    finally:
        stop.set()
        thread.join(10)
        source.close()
