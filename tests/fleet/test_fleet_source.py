"""The live source of a fleet: what it believes, counts, shows and sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench._fleet import Mosquitto, edge
from core.alarms.records import TRIP, WARNING
from core.alarms.rules import alarm_rules
from core.assembly import Assembler, place
from core.clock import ManualClock, SystemClock, from_epoch
from core.errors import (
    NotYetError,
    RequestError,
    SourceError,
    UnknownIdError,
)
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate, catalogue
from core.fleet.command_book import CommandBook
from core.fleet.messages import (
    VERSION,
    Ack,
    Allocation,
    PartialLimit,
    Status,
    column,
    packed,
    read_small,
    said,
)
from core.fleet.rejections import Rejection
from core.fleet.tree import element_of, roots
from core.talk import LONGEST, Conversation
from core.topology import DEFAULT_LEVELS, Topology
from scripts.app_process import free_port
from services.fleet_heard import FleetHeard
from services.fleet_source import PATIENCE_S, MqttFleet, Options, PackOptions, create
from tests.fleet.examples import NOW_S, OTHER_STREAM, PACKS, STREAM, body, telemetry
from tests.fleet.site import Talker, broker_of
from tests.sources.mosquitto import Mosquitto as PasswordMosquitto
from tests.sources.mosquitto import until

PLATES = tuple(PackPlate(device, device, "LFP", 3, 30.0) for device in ("pack_1", "pack_2"))
TOPIC = "pulsebms/home/pack_1/telemetry"
STATUS = "pulsebms/home/pack_1/status"
ELEMENT = "system_home_rack_1"


class Ear:
    """What stands behind the source, without a broker."""

    def __init__(self) -> None:
        self.clock = ManualClock(from_epoch(NOW_S))
        self.topology = Topology(DEFAULT_LEVELS, roots("home", "Fleet", PLATES, DEFAULT_LEVELS))
        self.board = FleetBoard("home", PLATES)
        self.board.place(self.topology)
        self.talk = Conversation(self.clock)
        self.heard = FleetHeard("home", self.board, CommandBook("home", self.clock.now), self.clock,
                                self.talk)

    def say(self, payload: bytes, topic: str = TOPIC, retained: bool = False) -> None:
        self.heard.message(topic, payload, retained)

    def number(self, seq: int, **changed: Any) -> None:
        """A good message with that number, a second after the one before."""
        time_s = changed.pop("time_s", NOW_S + seq - 100)
        self.say(telemetry(packed(body(time_s=time_s)), **{"seq": seq, "floor": 1, **changed}))

    @property
    def counts(self) -> Any:
        return self.heard.counts("fleet", "broker", True)

    @property
    def pack(self) -> Any:
        self.board.reading(self.clock.now())
        return self.board.packs()[0]


@pytest.fixture
def ear() -> Ear:
    return Ear()


def status(**changed: Any) -> bytes:
    whole = {"v": 1, "site": "home", "device": "pack_1", "state": "online", "time_s": NOW_S,
             "chemistry": "LFP", "cells": 3, "capacity_kwh": 30.0, "firmware": "edge 1",
             "pending": 4, "dropped": 2, **changed}
    return said(Status(**whole))


# -- readings

def test_a_message_becomes_rows_of_its_own(ear: Ear) -> None:
    ear.say(telemetry(packed(body(current_a=20.0, voltage_v=9.9, temperature_c=25.0))))
    reading = ear.board.reading(ear.clock.now())
    node = ear.topology.index(ELEMENT)
    cells = ear.topology.children(node)
    assert reading.heard is not None
    assert np.flatnonzero(reading.heard).tolist() == [node, *range(cells.start, cells.stop)]
    assert reading.columns["power_kw"][node] == 12.5
    np.testing.assert_allclose(reading.columns["voltage_v"][cells], [3.30, 3.31, np.nan])
    np.testing.assert_allclose(reading.columns["power_kw"][cells], [0.066, 0.0662, np.nan],
                               rtol=1e-5)
    assert (reading.columns["current_a"][cells] == 20.0).all()
    assert np.isnan(reading.columns["soh_pct"]).all(), "nobody estimates it"


def test_each_pack_has_its_own_time(ear: Ear) -> None:
    ear.say(telemetry())
    late = packed(body(time_s=NOW_S - 40.0))
    ear.say(telemetry(late, device="pack_2"), "pulsebms/home/pack_2/telemetry")
    reading = ear.board.reading(ear.clock.now())
    assert reading.measured_at == from_epoch(NOW_S)
    assert reading.measured_s is not None
    own = [reading.measured_s[ear.topology.index(element_of("home", device))]
           for device in ("pack_1", "pack_2")]
    assert own == [NOW_S, NOW_S - 40.0]


def test_a_pack_whose_messages_are_old_is_stale_alone(ear: Ear) -> None:
    ear.say(telemetry())
    ear.say(telemetry(packed(body(time_s=NOW_S - 40.0)), device="pack_2"),
            "pulsebms/home/pack_2/telemetry")
    source = create("fleet", Options(packs={
        plate.device: PackOptions(chemistry="LFP", cells=3, capacity_kwh=30.0)
        for plate in PLATES}), DEFAULT_LEVELS)
    site, placements = place(DEFAULT_LEVELS, [source])
    assembler = Assembler(site, placements, [10.0])
    assembler.apply(0, ear.board.reading(ear.clock.now()))
    frame = assembler.frame(ear.clock.now())
    first, second = (site.index(element_of("home", plate.device)) for plate in PLATES)
    assert (frame.age_s[first], frame.age_s[second]) == (0.0, 40.0)
    assert (bool(frame.stale[first]), bool(frame.stale[second])) == (False, True)
    assert frame.value("power_kw", 0) == 12.5, "the stale one is in no sum"


def test_a_clock_that_is_ahead_measures_nothing_to_come(ear: Ear) -> None:
    ear.say(telemetry(packed(body(time_s=NOW_S + 100.0)), sent_s=NOW_S + 100.0))
    reading = ear.board.reading(ear.clock.now())
    assert reading.measured_at == ear.clock.now()


def test_a_cell_that_cannot_be_is_missing(ear: Ear) -> None:
    cells = {"voltage_v": column(np.array([-0.5, 3.3, 3.3], np.float32)),
             "soc_pct": column(np.array([110.0, 50.0, -1.0], np.float32))}
    ear.say(telemetry(packed(body(cells=cells))))
    reading = ear.board.reading(ear.clock.now())
    rows = ear.topology.children(ear.topology.index(ELEMENT))
    assert np.isnan(reading.columns["voltage_v"][rows]).tolist() == [True, False, False]
    assert np.isnan(reading.columns["soc_pct"][rows]).tolist() == [True, False, True]


def test_what_came_late_does_not_replace_what_is_newer(ear: Ear) -> None:
    for seq in (10, 12, 11):
        ear.number(seq)
    assert ear.pack.heard_at == from_epoch(NOW_S - 88)
    assert (ear.counts.late, ear.counts.missing) == (1, 0)


def test_what_a_connection_sent_before_it_broke_is_not_a_clock_set_back(ear: Ear) -> None:
    for seq in (10, 12):
        ear.number(seq)
    ear.number(11, sent_s=NOW_S - 5.0)
    assert ear.pack.heard_at == from_epoch(NOW_S - 88)


def test_a_backlog_that_is_numbered_anew_replaces_nothing_newer(ear: Ear) -> None:
    ear.number(12, time_s=NOW_S - 1.0)
    ear.number(13, stream=OTHER_STREAM, base=12, floor=13, time_s=NOW_S - 60.0)
    assert ear.pack.heard_at == from_epoch(NOW_S - 1.0)
    assert (ear.counts.late, ear.counts.missing) == (0, 0)


def test_a_clock_set_back_is_followed(ear: Ear) -> None:
    ear.number(10, time_s=NOW_S)
    ear.clock.advance(1.0)
    ear.number(11, time_s=NOW_S - 200.0, sent_s=NOW_S - 199.0)
    assert ear.pack.heard_at == from_epoch(NOW_S), "a second ago, by its own two times"
    ear.clock.advance(1.0)
    ear.number(12, time_s=NOW_S - 198.0, sent_s=NOW_S - 198.0)
    assert ear.pack.heard_at == from_epoch(NOW_S + 2.0)


# -- numbers

def test_gaps_duplicates_and_late_ones_are_counted(ear: Ear) -> None:
    for seq in (10, 11, 15, 11, 13):
        ear.number(seq)
    counts = ear.counts
    assert (counts.received, counts.duplicate, counts.late, counts.missing) == (5, 1, 1, 2)
    assert (ear.pack.duplicate, ear.pack.late, ear.pack.missing) == (1, 1, 2)


def test_what_the_device_gave_up_stays_missing(ear: Ear) -> None:
    ear.number(10)
    ear.number(15, floor=15)
    ear.number(16, floor=16)
    assert ear.counts.missing == 4


def test_what_was_before_this_view_is_nobodys_gap(ear: Ear) -> None:
    for seq in (10, 8, 9, 11):
        ear.number(seq)
    assert (ear.counts.duplicate, ear.counts.late, ear.counts.missing) == (0, 0, 0)


def test_rate_and_lag_are_of_the_last_seconds(ear: Ear) -> None:
    for seq in range(1, 31):
        ear.say(telemetry(packed(body(time_s=ear.clock.now().timestamp() - 0.25)), seq=seq,
                          floor=1, sent_s=ear.clock.now().timestamp()))
        ear.clock.advance(0.5)
    assert ear.counts.rate == pytest.approx(2.0)
    assert ear.counts.lag_s == pytest.approx(0.25)
    ear.clock.advance(60.0)
    assert ear.counts.rate == 0.0


# -- hostile

HOSTILE: dict[Rejection, tuple[str, bytes]] = {
    Rejection.UNKNOWN_TOPIC: ("pulsebms/home/pack_1/other", b"x"),
    Rejection.OTHER_SITE: ("pulsebms/away/pack_1/telemetry", telemetry()),
    Rejection.UNKNOWN_DEVICE: ("pulsebms/home/pack_9/telemetry", telemetry(device="pack_9")),
    Rejection.TOO_LARGE: (TOPIC, bytes(300_000)),
    Rejection.NOT_DECODABLE: (TOPIC, telemetry()[:-7] + b"\xc1"),
    Rejection.FUTURE_VERSION: (TOPIC, telemetry(v=2)),
    Rejection.WRONG_FORM: (TOPIC, telemetry(packed(body(cells={"voltage_v": bytes(4 * 5)})))),
    Rejection.WRONG_SENDER: (STATUS, status(device="pack_2")),
    Rejection.NOT_FINITE: (TOPIC, telemetry(packed(body(power_kw=float("nan"))))),
    Rejection.ABSURD: (TOPIC, telemetry(packed(body(power_kw=1e7)))),
    Rejection.CLOCK_OFF: (TOPIC, telemetry(sent_s=NOW_S - 3600.0)),
    Rejection.SEQUENCE_BACKWARDS: (TOPIC, telemetry(seq=3, base=3)),
    Rejection.SEQUENCE_AHEAD: (TOPIC, telemetry(seq=2 ** 17 + 1, floor=1)),
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_what_cannot_be_is_refused_counted_and_shown(ear: Ear, reason: Rejection) -> None:
    topic, payload = HOSTILE[reason]
    ear.say(payload, topic)
    assert ear.counts.rejected == {reason.value: 1}
    refusal = ear.counts.last_refusal
    assert refusal.reason == reason.value
    assert refusal.words
    assert refusal.topic == topic
    assert refusal.text.isprintable()
    assert len(refusal.text) <= LONGEST
    assert ear.talk.talk().failed == 1
    assert not np.isfinite(ear.board.reading(ear.clock.now()).columns["power_kw"]).any()


@given(st.binary(max_size=400), st.integers(0, 300), st.binary(max_size=6),
       st.sampled_from(["telemetry", "status", "ack", "commands", ""]))
def test_whatever_comes_is_taken_or_counted(rubbish: bytes, at: int, inserted: bytes,
                                            kind: str) -> None:
    """An exception would end the connection's thread."""
    ear = Ear()
    good = telemetry() if kind == "telemetry" else status()
    for payload in (rubbish, good[:at] + inserted + good[at + len(inserted):], good):
        ear.say(payload, f"pulsebms/home/pack_1/{kind}")
    talk = ear.talk.talk()
    assert talk.heard + talk.failed == 3
    assert talk.failed == sum(ear.counts.rejected.values())
    assert len(ear.board.packs()) == 2


def test_retained_messages_are_of_unknown_age(ear: Ear) -> None:
    ear.say(telemetry(), retained=True)
    assert ear.counts.rejected == {"retained": 1}


def test_a_wrong_number_of_cells_names_both(ear: Ear) -> None:
    topic, payload = HOSTILE[Rejection.WRONG_FORM]
    ear.say(payload, topic)
    assert "5 cells, the configuration says 3" in ear.counts.last_refusal.words


def test_a_stranger_s_letters_are_shown_and_not_obeyed(ear: Ear) -> None:
    ear.say(b"<script>\x1b[2J\x00\xff" * 100, "pulsebms/home/pack_1/status")
    text = ear.counts.last_refusal.text
    assert text.startswith("<script>")
    assert text.isprintable()
    assert all(one.text.isprintable() for one in ear.talk.talk().messages)


# -- what devices say of themselves

@pytest.mark.parametrize(("safety", "trips"), [
    ("normal", 0), ("derate", 0), ("unguarded", 0), ("zero", 1), ("opening", 1), ("latched", 1)])
def test_a_trip_is_a_finding(ear: Ear, safety: str, trips: int) -> None:
    ear.say(telemetry(packed(body(safety=safety, limit_reason="cell 2 is hot"))))
    assert [(one.element, one.condition, one.tier) for one in ear.board.findings()] \
        == trips * [(ELEMENT, "safety_tripped", TRIP)]
    assert (ear.pack.safety, ear.pack.limit_reason) == (safety, "cell 2 is hot")


def test_the_limits_of_a_pack_are_those_of_its_newest_second(ear: Ear) -> None:
    assert ear.pack.partial_limits == ()
    told = [PartialLimit(way="charge", limit="voltage", amps=30.0, why="warm", cell=2),
            PartialLimit(way="discharge", limit="soc", amps=9.0, why="low"),
            PartialLimit(way="charge", limit="soc", amps=12.0, why="full")]
    ear.say(telemetry(packed(body(partial_limits=tuple(told)))))
    assert ear.pack.partial_limits == tuple(told)
    assert ear.pack.limits_of("charge") == [told[2], told[0]], "the strictest first"
    assert ear.pack.limits_of("discharge") == [told[1]]
    ear.say(telemetry(packed(body(time_s=NOW_S + 1.0)), seq=8))
    assert ear.pack.partial_limits == ()


@pytest.mark.parametrize(("said_of_itself", "condition"), [
    (status(state="offline", time_s=None), "silent"), (status(state="conflict"), "two_devices"),
    (status(chemistry="NMC"), "another_pack"), (status(cells=4), "another_pack")])
def test_a_status_can_be_a_finding_and_goes_again(ear: Ear, said_of_itself: bytes,
                                                  condition: str) -> None:
    ear.say(said_of_itself, STATUS)
    assert [one[:3] for one in ear.board.findings()] == [(ELEMENT, condition, WARNING)]
    assert condition in alarm_rules().conditions
    ear.say(status(), STATUS)
    assert ear.board.findings() == []


def test_a_status_is_kept_and_an_acknowledgement_lowers_what_is_pending(ear: Ear) -> None:
    ear.number(10)
    ear.say(status(), STATUS)
    pack = ear.pack
    assert (pack.link, pack.firmware, pack.pending, pack.dropped) == ("online", "edge 1", 4, 2)
    ear.say(said(Ack(v=1, stream=STREAM, high=9)), "pulsebms/home/pack_1/ack")
    assert ear.pack.pending == 1
    ear.say(status(state="offline", time_s=None, firmware=""), STATUS)
    assert (ear.pack.link, ear.pack.firmware) == ("offline", "edge 1"), "a will tells no more"


# -- over a broker

Made = Callable[..., MqttFleet]


@pytest.fixture
def made() -> Iterator[Made]:
    """`made(url, clock)`: a started source of one pack of three cells."""
    here: list[MqttFleet] = []

    def makes(url: str, clock: Any = None, **more: Any) -> MqttFleet:
        options = msgspec.convert({"packs": PACKS, "broker": url, **more}, Options)
        clock = clock or SystemClock()
        source = create("fleet", options, DEFAULT_LEVELS, clock)
        source.start(clock.now(), Topology(DEFAULT_LEVELS, source.roots))
        here.append(source)
        return source

    yield makes
    for source in here:
        source.close()


def connected(source: MqttFleet) -> bool:
    return source.counts().connected


def test_without_a_broker_it_says_so_and_a_command_is_not_taken(made: Made) -> None:
    source = made(f"mqtt://127.0.0.1:{free_port()}")
    until(lambda: "does not answer" in words_of(source), "it says that nobody answers")
    with pytest.raises(SourceError, match="does not answer"):
        source.command("pack_1", "ping", "eve")
    with pytest.raises(SourceError, match="does not answer"):
        source.allocate({"pack_1": 1.0}, 60.0)
    assert source.commands() == []
    assert not source.counts().connected


def words_of(source: MqttFleet) -> str:
    try:
        source.poll(SystemClock().now())
    except SourceError as error:
        return str(error)
    return ""


def test_silence_is_not_yet_a_failure_and_then_is_one(mosquitto: Mosquitto, made: Made) -> None:
    clock = ManualClock(from_epoch(NOW_S))
    source = made(mosquitto.url, clock)
    until(lambda: connected(source), "it connects")
    with pytest.raises(NotYetError, match="no pack of site 'home'"):
        source.poll(clock.now())
    clock.advance(PATIENCE_S + 1)
    with pytest.raises(SourceError, match="See that the edge") as told:
        source.poll(clock.now())
    assert not isinstance(told.value, NotYetError)


def test_a_wrong_password_is_said_without_showing_it(tmp_path: Path, made: Made,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_TEST_PASSWORD", "not the right one")
    broker = PasswordMosquitto(tmp_path, {"gateway": "the right one"})
    broker.start()
    try:
        source = made(f"mqtt://127.0.0.1:{broker.port}", username="gateway",
                      password_secret="FLEET_TEST_PASSWORD")
        until(lambda: "refuses this sign-in" in words_of(source), "it is refused")
        assert "not the right one" not in words_of(source) + repr(source.talk())
    finally:
        broker.kill()


def test_a_real_device_is_seen_answers_and_is_missed(mosquitto: Mosquitto, made: Made,
                                                     tmp_path: Path) -> None:
    source = made(mosquitto.url)
    device = edge(tmp_path, mosquitto.url, ["pack_1=LFP,3,30"])
    device.start()
    try:
        until(lambda: words_of(source) == "" and source.packs()[0].link == "online", "it tells",
              20.0)
        assert 0.0 < source.ping() < 5.0
        life = source.command("pack_1", "override", "eve", power_kw=5.0, hold_s=60.0)
        until(lambda: source.commands()[0].settled, "it is executed")
        assert source.commands()[0].command.id == life.command.id
        assert [one.state for one in source.commands()] == ["executed", "executed"]
        assert any("commands" in one.text and one.way == "out"
                   for one in source.talk().messages)
        source.ask_now()
        with pytest.raises(SourceError, match="a moment ago"):
            source.ask_now()
        until(lambda: source.commands()[0].settled, "it answers to that too")
        source.reconnect()
        until(lambda: connected(source), "it is back")
        before = source.counts().received
        until(lambda: source.counts().received > before, "it hears again")
        device.kill()
        until(lambda: [one.condition for one in source.findings()] == ["silent"], "it is missed")
        with pytest.raises(SourceError, match="online"):
            source.ping()
    finally:
        device.kill()


def test_a_broker_that_comes_back_is_found_again(mosquitto: Mosquitto, made: Made) -> None:
    source = made(mosquitto.url)
    until(lambda: connected(source), "it connects")
    mosquitto.kill()
    until(lambda: "is lost" in words_of(source) or "does not answer" in words_of(source),
          "it is said")
    mosquitto.start()
    until(lambda: connected(source), "it is back", 20.0)


def test_a_command_that_nobody_hears_expires(mosquitto: Mosquitto, made: Made) -> None:
    clock = ManualClock(from_epoch(NOW_S))
    source = made(mosquitto.url, clock)
    until(lambda: connected(source), "it connects")
    life = source.command("pack_1", "controlled_shutdown", "eve", ttl_s=5.0)
    assert (life.state, life.changed_at) == ("sent", clock.now())
    clock.advance(6.0)
    told = source.commands()[0]
    assert (told.state, told.changed_at) == ("expired", from_epoch(NOW_S + 5.0))


def test_what_cannot_be_commanded_is_refused(mosquitto: Mosquitto, made: Made) -> None:
    source = made(mosquitto.url)
    until(lambda: connected(source), "it connects")
    with pytest.raises(UnknownIdError):
        source.command("pack_9", "ping", "eve")
    for bad in ({"action": "explode"}, {"issuer": ""}, {"ttl_s": 1e9}, {"ttl_s": float("nan")}):
        with pytest.raises(RequestError):
            source.command(**{"device": "pack_1", "action": "ping", "issuer": "eve", **bad})
    assert source.commands() == []


def test_an_allocation_goes_to_its_topic_with_its_end_and_a_wrong_one_nowhere(
        mosquitto: Mosquitto, made: Made) -> None:
    clock = ManualClock(from_epoch(NOW_S))
    source = made(mosquitto.url, clock)
    talker = Talker(broker_of(mosquitto), "listener", "pulsebms/+/coordinator/allocation")
    until(lambda: connected(source), "it connects")
    with pytest.raises(UnknownIdError):
        source.allocate({"pack_9": 1.0}, 60.0)
    with pytest.raises(RequestError):
        source.allocate({"pack_1": float("nan")}, 60.0)
    source.allocate({"pack_1": -2.5}, 60.0, NOW_S - 5.0)
    until(lambda: bool(talker.heard), "the allocation comes")
    ((topic, payload),) = talker.heard
    assert topic == "pulsebms/home/coordinator/allocation"
    assert read_small(payload, Allocation) == Allocation(
        v=VERSION, site="home", issued_s=NOW_S, valid_s=60.0, power_kw={"pack_1": -2.5})
    talker.say("pulsebms/home/pack_1/status", status(lease_s=0.0))
    until(lambda: source.packs()[0].lease_s == 0.0, "the device tells that it knows leases")
    source.allocate({"pack_1": -2.5}, 60.0, NOW_S - 5.0)
    until(lambda: len(talker.heard) == 2, "the next one comes")
    assert read_small(talker.heard[1][1], Allocation).lease_s == NOW_S - 5.0
    clock.advance(-3600.0)
    source.allocate({"pack_1": -2.5}, 60.0, NOW_S - 5.0)
    until(lambda: len(talker.heard) == 3, "the one after the clock was set back")
    issued = [read_small(heard[1], Allocation).issued_s for heard in talker.heard]
    assert issued[0] < issued[1] < issued[2] < NOW_S + 1.0
    qos, expiry_s, retained = talker.how[0]
    assert (qos, retained) == (1, False)
    assert expiry_s is not None
    assert 50 <= expiry_s <= 60, "the broker forgets it when it is over"
    talker.close()


def test_a_command_goes_by_quality_two_until_its_end_and_is_never_retained(
        mosquitto: Mosquitto, made: Made) -> None:
    source = made(mosquitto.url)
    talker = Talker(broker_of(mosquitto), "listener", "pulsebms/home/pack_1/commands")
    until(lambda: connected(source), "it connects")
    source.command("pack_1", "ping", "eve", 30.0)
    until(lambda: bool(talker.heard), "the command comes")
    ((qos, expiry_s, retained),) = talker.how
    assert (qos, retained) == (2, False)
    assert expiry_s is not None
    assert 20 <= expiry_s <= 30
    talker.close()


def test_a_flood_of_rubbish_leaves_the_packs_alone(mosquitto: Mosquitto, made: Made) -> None:
    source = made(mosquitto.url)
    until(lambda: connected(source), "it connects")
    talker = Talker(broker_of(mosquitto), "stranger")
    until(lambda: _refused(source, talker) >= 1, "it hears")
    for _ in range(200):
        talker.say(TOPIC, b"\x00rubbish" * 20, qos=0)
    until(lambda: _refused(source, talker) > 200, "all are refused")
    now_s = time.time()
    talker.say(TOPIC, telemetry(packed(body(time_s=now_s)), sent_s=now_s))
    until(lambda: words_of(source) == "", "a good one is taken")
    talker.close()


def _refused(source: MqttFleet, talker: Talker) -> int:
    talker.say(TOPIC, b"rubbish", qos=0)
    return sum(source.counts().rejected.values())


# -- figures

@pytest.mark.parametrize(("packs", "cells", "most_ms"), [(1000, 16, 20.0), (24, 240, 10.0)])
def test_a_poll_costs_little(packs: int, cells: int, most_ms: float) -> None:
    plates = catalogue(packs, cells)
    board = FleetBoard("home", plates)
    board.place(Topology(DEFAULT_LEVELS, roots("home", "Fleet", plates, DEFAULT_LEVELS)))
    clock, spent_ms = SystemClock(), []
    for _ in range(5):
        for plate in plates:
            board.take(plate.device, body(), {"voltage_v": np.full(cells, 3.3, np.float32)})
        began_s = time.perf_counter()
        board.reading(clock.now())
        spent_ms.append(1000.0 * (time.perf_counter() - began_s))
    assert sorted(spent_ms)[2] <= most_ms


def test_threads_that_tell_and_ask_at_once_lose_nothing(ear: Ear) -> None:
    stop, sizes = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            sizes.append(len(ear.board.packs()))
            ear.board.reading(ear.clock.now())
            assert ear.counts.received >= 0

    asker = threading.Thread(target=ask)
    asker.start()
    for seq in range(1, 501):
        ear.number(seq, time_s=NOW_S)
    stop.set()
    asker.join(10)
    assert ear.counts.received == 500
    assert ear.counts.missing == 0
    assert set(sizes) <= {2}
