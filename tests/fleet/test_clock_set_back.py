"""A machine's clock that is set back by an hour: nothing waits for that hour to pass again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage, MQTTMessageInfo
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from core.clock import ManualClock, from_epoch, has_passed
from core.fleet.messages import VERSION, Ack, Allocation, Body, Envelope, decode, packed
from core.fleet.telemetry import Refused, Telemetry, read_telemetry
from core.fleet.topics import allocation_topic, device_topic
from core.registry import make_fleet_store
from services.edge.estimator import CellEstimators
from services.edge.guard import Guards
from services.edge.outbox import Outbox
from services.edge.pack import Pack, PackGroup
from services.edge.plant import EachPlant, SimulatedPack
from services.edge.runtime import EdgeRuntime, Plate
from services.edge.sender import RESEND_S, Sender
from services.fleet_link import Broker, Link, Manner
from services.ingest.ages import CALM, CALM_S, EXPIRY_S, Ages
from services.ingest.subscriber import ACK_EVERY_S, Ingest
from tests.fleet.examples import NOW_S, PACK, body, telemetry

NOBODY = Broker(host="127.0.0.1", port=1)
HOUR_S = 3600.0
RATE_HZ = 10


class Plan(ManualClock):
    """Does what is planned when so much time has passed [s], and ends whoever waits at the last."""

    def __init__(self) -> None:
        super().__init__(from_epoch(NOW_S))
        self.steps: list[tuple[float, Callable[[], object]]] = []
        self.waits: list[float] = []
        self.stop = threading.Event()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.waits.append(seconds)
        super().wait(seconds, stop)
        while self.steps and self.monotonic_s() >= self.steps[0][0]:
            self.steps.pop(0)[1]()
        if not self.steps:
            self.stop.set()
        return stop.is_set()


class Edge(EdgeRuntime):
    """One pack whose broker is never there; tells when it told its status."""

    def __init__(self, clock: Plan, outbox: Outbox) -> None:
        self.plan, self.statuses = clock, list[float]()
        self.plant = SimulatedPack("LFP", 4, 10.0, seed=1, device="pack_1")
        guards = Guards([self.plant.rating], outbox, timer=clock.monotonic_s)
        self.pack = Pack("pack_1", guards.each[0])
        group = PackGroup([self.pack], guards, EachPlant([self.plant]),
                          CellEstimators([self.plant.rating]))
        super().__init__("home", group, {"pack_1": Plate("LFP", 4, 10.0)}, outbox, NOBODY, clock,
                         RATE_HZ)

    def _tell(self, state: str) -> None:
        self.statuses.append(self.plan.monotonic_s())
        super()._tell(state)

    def hears(self, power_kw: float, left_s: int | None = None) -> None:
        """An order of a coordinator whose clock is right."""
        message = MQTTMessage(0, allocation_topic("home").encode())
        message.payload = packed(Allocation(
            v=VERSION, site="home", issued_s=NOW_S + self.plan.monotonic_s(), valid_s=60.0,
            power_kw={"pack_1": power_kw}))
        message.properties = Properties(PacketTypes.PUBLISH)
        if left_s is not None:
            message.properties.MessageExpiryInterval = left_s
        self._on_message(allocation_topic("home"), message, 1)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    found = Outbox(tmp_path / "edge.sqlite", ["pack_1"])
    yield found
    found.close()


@pytest.fixture
def edge(outbox: Outbox) -> Edge:
    return Edge(Plan(), outbox)


def lived(edge: Edge, outbox: Outbox, *steps: tuple[float, Callable[[], object]]) -> list[Body]:
    """A body a second."""
    edge.plan.steps = list(steps)
    edge.run(edge.plan.stop)
    rows = outbox.waiting("pack_1", 0, 1000)
    assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1))
    return [decode(inside, Body, json=False) for _, inside in rows]


def test_an_edge_device_samples_and_judges_on_and_rests_until_the_next_order(
        edge: Edge, outbox: Outbox) -> None:
    def lose_a_cell() -> None:
        edge.plant.lost_voltage[2] = True

    told = lived(edge, outbox, (2.05, lambda: edge.hears(0.05)),
                 (5.05, lambda: edge.plan.set_by(-HOUR_S)), (8.05, lambda: edge.hears(0.03)),
                 (21.05, lose_a_cell), (25.05, lambda: None))
    assert max(edge.plan.waits) <= 2.0 / RATE_HZ
    assert len(told) == 25
    assert {one.samples for one in told} == {RATE_HZ}
    times = [one.time_s - NOW_S for one in told]
    assert times == pytest.approx([n + 1.0 - HOUR_S for n in range(25)], abs=0.11), (
        "what waits is told by the clock that the device has now")
    powers = [one.allocation_kw for one in told]
    assert powers[2:5] == [0.05] * 3
    assert powers[5:8] == [0.0] * 3
    assert told[6].limit_reason.endswith("the allocation has expired")
    assert powers[8:21] == [0.03] * 13
    assert [one.safety for one in told[:21]] == ["normal"] * 21
    assert told[-1].safety != "normal"
    assert told[-1].allocation_kw == 0.0
    assert [at for at in edge.statuses if 5.1 < at < 17.0] != [], "it tells its state on"


def test_an_order_that_the_broker_kept_ends_when_its_sender_meant_it_to(
        edge: Edge, outbox: Outbox) -> None:
    told = lived(edge, outbox, (1.05, lambda: edge.hears(0.05, left_s=3)), (6.05, lambda: None))
    assert [one.allocation_kw for one in told] == [0.0, 0.05, 0.05, 0.05, 0.0, 0.0]


class Wire(Link):
    """Connected to nobody; keeps what is sent. has_broker: it says at once that it has it."""

    def __init__(self) -> None:
        super().__init__(NOBODY, "wire", [], Manner(session_s=0), lambda *_: None)
        self.connected.set()
        self.sent: list[bytes] = []
        self.has_broker = True
        self.held: list[MQTTMessageInfo] = []

    def publish(self, topic: str, payload: bytes, qos: int = 0,
                expiry_s: int | None = None) -> MQTTMessageInfo:
        self.sent.append(payload)
        told = MQTTMessageInfo(len(self.sent))
        self.held.append(told)
        if self.has_broker:
            self.broker_takes_all()
        return told

    def broker_takes_all(self) -> None:
        for told in self.held:
            told._set_as_published()
        self.held.clear()


def test_what_a_clock_that_was_behind_measured_is_sent_again_with_the_right_time(
        edge: Edge, outbox: Outbox) -> None:
    """It is refused by name and not settled until the clock is right; then each row comes with the
    number that it had, and the time that a right clock would have given it."""
    edge.sender.link = wire = Wire()
    lived(edge, outbox, (0.05, lambda: edge.plan.set_by(-HOUR_S)),
          (5.05, lambda: edge.plan.set_by(HOUR_S)), (8.05, lambda: None))
    found = {}
    for payload in wire.sent:
        now_s = decode(payload, Envelope, json=False).sent_s
        behind = now_s < NOW_S
        one = read_telemetry(payload, PACK, now_s + behind * HOUR_S)
        if behind:
            assert isinstance(one, Refused)
            assert (one.reason, one.settles) == ("clock_off", None)
        else:
            assert isinstance(one, Telemetry)
            found[one.envelope.seq] = one.body.time_s - NOW_S
    assert list(found.values()) == pytest.approx([float(seq) for seq in found], abs=0.11)
    assert sorted(found) == list(range(1, 9))


def test_what_a_process_did_not_measure_itself_keeps_its_time(tmp_path: Path) -> None:
    """Nobody knows what was done to the clock between two processes; numbering anew mixes
    nothing up."""
    earlier = Outbox(tmp_path / "o.sqlite", ["pack_1"])
    earlier.put({"pack_1": packed(body())})
    earlier.close()
    box = Outbox(tmp_path / "o.sqlite", ["pack_1"])

    def told() -> list[float]:
        return [decode(inside, Body, json=False).time_s - NOW_S
                for _, inside in box.waiting("pack_1", 0, 9)]

    for second in (1.0, 2.0):
        box.put({"pack_1": packed(body(time_s=NOW_S + second))})
        box.clock_was_set(HOUR_S)
    assert told() == [0.0, 2 * HOUR_S + 1.0, HOUR_S + 2.0]
    assert box.take("pack_1", Ack(v=VERSION, stream="c" * 16, high=40,
                                  refused=box.life("pack_1").stream))
    assert told() == [0.0, 2 * HOUR_S + 1.0, HOUR_S + 2.0]
    box.clock_was_set(-HOUR_S)
    assert told() == [0.0, HOUR_S + 1.0, 2.0]
    box.close()


@pytest.mark.parametrize("set_by_s", [290.0, -290.0])
def test_a_clock_that_is_set_by_less_than_it_may_be_off_moves_no_time(
        edge: Edge, outbox: Outbox, set_by_s: float) -> None:
    told = lived(edge, outbox, (2.05, lambda: edge.plan.set_by(set_by_s)), (4.05, lambda: None))
    assert [one.time_s - NOW_S for one in told] == pytest.approx(
        [1.0, 2.0, 3.0 + set_by_s, 4.0 + set_by_s], abs=0.11)


def test_what_was_lost_on_the_way_is_sent_again(outbox: Outbox) -> None:
    wire = Wire()
    sender = Sender(outbox, wire, "home")
    outbox.put({"pack_1": packed(body())})
    for now_s in (NOW_S, NOW_S + RESEND_S - 1.0):
        sender.send("pack_1", now_s)
    assert len(wire.sent) == 1
    sender.send("pack_1", NOW_S - HOUR_S)
    assert len(wire.sent) == 2
    sender.send("pack_1", NOW_S - HOUR_S + RESEND_S - 1.0)
    assert len(wire.sent) == 2


class Hearing(Ingest):
    """Whose acknowledgements are kept here."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.acks: list[int] = []

    def _publish(self, device: str, ack: Ack) -> None:
        self.acks.append(ack.high)

    def hears(self, seq: int, left_s: int | None = None, ahead_s: float = 0.0) -> None:
        """From a device whose clock is so far ahead."""
        now_s = self._now_s() + ahead_s
        topic = device_topic("home", "pack_1", "telemetry")
        message = MQTTMessage(0, topic.encode())
        message.payload = telemetry(packed(body(time_s=now_s)), seq=seq, floor=1, sent_s=now_s)
        message.properties = Properties(PacketTypes.PUBLISH)
        if left_s is not None:
            message.properties.MessageExpiryInterval = left_s
        self._on_message(topic, message, 1)


def test_the_ingest_settles_on_what_comes(tmp_path: Path) -> None:
    """Times that go back are stored like any other: the number of a row says which it is."""
    clock, store = Plan(), make_fleet_store(f"sqlite:{tmp_path / 'fleet.sqlite'}")
    ingest = Hearing("home", store, NOBODY, clock)
    clock.steps = [(1.0, lambda: ingest.hears(1)), (5.0, lambda: clock.set_by(-HOUR_S)),
                   (6.0, lambda: ingest.hears(2)), (6.0 + 2 * ACK_EVERY_S, lambda: None)]
    ingest.run(clock.stop)
    assert ingest.acks[-1] == 2
    assert [seq for seq, _ in store.bodies("home", "pack_1", 1, 99)] == [1, 2]
    assert ingest.counters.report()["rejected"] == {}
    store.close()


def test_a_device_that_gives_its_telemetry_less_time_is_stored(tmp_path: Path) -> None:
    """An hour that is left of an hour is no age of 23, once the ingest knows that the broker kept
    nothing for it; ages that can be are believed."""
    clock, store = Plan(), make_fleet_store(f"sqlite:{tmp_path / 'fleet.sqlite'}")
    ingest = Hearing("home", store, NOBODY, clock)
    ingest.link.connected.set()
    clock.steps = [(1.0, lambda: ingest.hears(1, left_s=3600)),
                   (8.0, lambda: ingest.hears(1, left_s=3600)),
                   (9.0, lambda: ingest.hears(2, left_s=86_200, ahead_s=-200.0)),
                   (10.0, lambda: ingest.hears(3, left_s=3600, ahead_s=HOUR_S)),
                   (12.0, lambda: None)]
    ingest.run(clock.stop)
    assert [seq for seq, _ in store.bodies("home", "pack_1", 1, 99)] == [1, 2]
    assert ingest.counters.report()["rejected"] == {"clock_off": 2}
    store.close()


def test_after_an_outage_ages_are_believed_until_it_has_caught_up() -> None:
    """A clock an hour ahead, of a message that waited for an hour, looks right without its age."""
    ages = Ages()
    left_s = EXPIRY_S - HOUR_S
    ages.took(0, 1, 0.0)
    assert ages.queued_s(left_s, 4.0) == HOUR_S, "nobody knows yet"
    ages.took(10, 1, CALM_S)
    assert [ages.queued_s(one, 10.0) for one in (left_s, EXPIRY_S - 200.0, None)] == [
        0.0, 200.0, 0.0]
    ages.took(0, None, 11.0)
    assert ages.queued_s(left_s, HOUR_S + 12.0) == HOUR_S
    ages.took(0, 2, HOUR_S + 12.0)
    ages.took(CALM, 2, HOUR_S + 20.0)
    assert ages.queued_s(left_s, HOUR_S + 20.0) == HOUR_S, "it still brings what it kept"
    ages.took(CALM - 1, 2, HOUR_S + 21.0)
    assert ages.queued_s(left_s, HOUR_S + 21.0) == 0.0


def test_what_is_due_each_so_often_is_due_when_the_clock_was_set_back() -> None:
    assert [has_passed(10.0, 100.0, now_s) for now_s in (99.9, 100.0, 109.9, 110.0)] == [
        True, False, False, True]
