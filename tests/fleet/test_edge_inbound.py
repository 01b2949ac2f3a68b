"""What an edge process hears: none of it ends its loop, holds up its samples, or is lost unseen."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from core.clock import ManualClock, from_epoch
from core.fleet.messages import VERSION, Ack, Allocation, Command, Reply, packed, said
from core.fleet.rejections import Rejection
from core.fleet.topics import allocation_topic, device_topic
from services.edge.estimator import CellEstimators
from services.edge.guard import Guards
from services.edge.inbound import LEAST_S, MOST_TOGETHER
from services.edge.inbox import MOST_HEARD, MOST_STOPS
from services.edge.orders import OVERTAKEN
from services.edge.outbox import Outbox
from services.edge.pack import Centre, Pack, PackGroup
from services.edge.plant import SimulatedPack
from services.edge.plant_group import PlantGroup
from services.edge.runtime import EdgeRuntime, Plate
from services.fleet_link import Broker
from tests.fleet.examples import NOW_S, STREAM

PERIOD_S = 0.1
PACKS = [f"pack_{number}" for number in range(1, 4)]


class SlowDisk(Outbox):
    """Each commit of commands takes a while by the clock [s]."""

    clock: ManualClock
    commit_s = 0.0
    commits = 0

    def keep_commands(self, *given: object) -> None:  # type: ignore[override]
        self.commits += 1
        if self.commit_s:
            self.clock.advance(self.commit_s)
        super().keep_commands(*given)  # type: ignore[arg-type]


class Process(EdgeRuntime):
    """An edge process whose broker is never there; what it says is kept."""

    def __init__(self, outbox: SlowDisk, devices: list[str]) -> None:
        self.clock = outbox.clock = ManualClock(from_epoch(NOW_S))
        self.outbox = outbox
        self.replies: list[tuple[str, Reply]] = []
        self.left: list[str] = []
        plants = [SimulatedPack("LFP", 4, 10.0, seed=1, device=device) for device in devices]
        ratings = [plant.rating for plant in plants]
        guards = Guards(ratings, outbox, timer=self.clock.monotonic_s)
        self.held = [Pack(guard.device, guard) for guard in guards.each]
        group = PackGroup(self.held, guards, PlantGroup(plants), CellEstimators(ratings))
        super().__init__("home", group, {one: Plate("LFP", 4, 10.0) for one in devices}, outbox,
                         Broker(host="127.0.0.1", port=1), self.clock)

    def reply(self, device: str, reply: Reply) -> None:
        self.replies.append((device, reply))

    def leave(self, topic: str) -> None:
        self.left.append(topic)

    def hears(self, topic: str, payload: bytes, left_s: int | None = None) -> None:
        message = MQTTMessage(0, topic.encode())
        message.payload, message.properties = payload, Properties(PacketTypes.PUBLISH)
        if left_s is not None:
            message.properties.MessageExpiryInterval = left_s
        self._on_message(topic, message, 1)

    def is_told(self, device: str, number: int, action: str, left_s: int | None = 30,
                **more: float) -> None:
        """issued_s: now by this clock, unless said otherwise."""
        whole = {"issued_s": self.clock.now().timestamp(), "ttl_s": 30.0, **more}
        self.hears(device_topic("home", device, "commands"), said(Command(
            v=VERSION, id=f"{number:032x}", issuer="eve", action=action,  # type: ignore[arg-type]
            **whole)), left_s)

    def live(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            self._tick()
            self.clock.advance(PERIOD_S)

    def states(self) -> list[str]:
        return [reply.state for _, reply in self.replies]

    def refused(self, device: str = "pack_1") -> dict[Rejection, int]:
        return self._refused(device)


Made = Callable[..., Process]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    boxes: list[SlowDisk] = []

    def make(*devices: str) -> Process:
        named = list(devices or PACKS)
        boxes.append(SlowDisk(tmp_path / f"{len(boxes)}.sqlite", named))
        process = Process(boxes[-1], named)
        process.live(10)
        return process

    yield make
    for box in boxes:
        box.close()


@pytest.fixture
def process(made: Made) -> Process:
    return made()


def allocation(site: str = "home", **power_kw: float) -> bytes:
    return packed(Allocation(v=VERSION, site=site, issued_s=NOW_S, valid_s=60.0,
                             power_kw=power_kw or {"pack_1": 1.0}))


# -- nothing ends the loop


@pytest.mark.parametrize("kind", ["ack", "commands"])
def test_a_pack_that_it_no_longer_has_is_refused_by_name_and_left(process: Process,
                                                                  kind: str) -> None:
    topic = f"pulsebms/home/pack_9/{kind}"
    process.hears(topic, said(Ack(v=VERSION, stream=STREAM, high=1)))
    process.inbound.take_up()
    assert process.refused() == {Rejection.UNKNOWN_DEVICE: 1}
    assert process.left == [topic]


@pytest.mark.parametrize(("topic", "reason"), [
    ("pulsebms/south/pack_1/commands", Rejection.OTHER_SITE),
    ("pulsebms/home/pack_1/telemetry", Rejection.UNKNOWN_TOPIC),
    ("pulsebms/home/pack_1/prediction", Rejection.UNKNOWN_TOPIC),
    ("pulsebms/home/_ingest/report", Rejection.UNKNOWN_DEVICE),
    ("$SYS/broker", Rejection.UNKNOWN_TOPIC), ("", Rejection.UNKNOWN_TOPIC)])
def test_what_is_not_for_it_is_refused_by_name(process: Process, topic: str,
                                               reason: Rejection) -> None:
    process.hears(topic, said(Command(v=VERSION, id="a" * 32, issuer="eve", issued_s=NOW_S,
                                      ttl_s=30.0, action="emergency_stop")))
    process.inbound.take_up()
    assert process.refused() == {reason: 1}
    assert [pack.standing.stopped for pack in process.held] == [""] * 3


def test_a_message_that_the_program_fails_at_is_counted_and_the_next_is_used(
        process: Process, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Centre):
        def heard(self, now_s: float) -> None:
            raise ZeroDivisionError

    process.held[1].centre = Failing()
    process.hears("pulsebms/home/pack_2/ack", said(Ack(v=VERSION, stream=STREAM, high=1)))
    process.is_told("pack_1", 1, "ping")
    with caplog.at_level(logging.ERROR):
        process.inbound.take_up()
    assert process.refused("pack_2") == {Rejection.FAILED: 1}
    assert process.states() == ["executed"]
    assert "ZeroDivisionError" in caplog.text


def test_an_allocation_that_names_another_site_is_not_followed(process: Process) -> None:
    process.hears(allocation_topic("home"), allocation("south"))
    process.inbound.take_up()
    assert process.refused() == {Rejection.WRONG_SENDER: 1}
    assert process.held[0].centre.wish(NOW_S).reason == "no allocation yet"
    process.hears(allocation_topic("home"), allocation())
    process.inbound.take_up()
    assert process.held[0].centre.wish(NOW_S).power_kw == 1.0


# -- nothing holds up the samples


def test_commands_to_all_packs_are_one_commit(process: Process) -> None:
    for number, device in enumerate(PACKS):
        process.is_told(device, number, "override", power_kw=2.0, hold_s=60.0)
    process.inbound.take_up()
    assert process.outbox.commits == 1
    assert process.states() == ["executed"] * 3
    assert [process.outbox.standing(device).power_kw for device in PACKS] == [2.0] * 3
    for number, device in enumerate(PACKS):
        process.is_told(device, 10 + number, "emergency_stop")
    process.inbound.take_up()
    assert process.outbox.commits == 2
    process.live(10)
    assert process.states()[-3:] == ["executed"] * 3
    assert process.outbox.commits == 3, "what came of three stops is one commit, too"


def test_taking_up_ends_when_a_sample_is_due(made: Made) -> None:
    """The disk takes 0.1 s for each of 30 commands to one pack; safety would trip after 2 s."""
    process = made("pack_1")
    process.outbox.commit_s = 0.1
    for number in range(30):
        process.is_told("pack_1", number, "release")
    taken = []
    for _ in range(100):
        before_s = process.clock.monotonic_s()
        process.inbound.take_up(before_s + PERIOD_S)
        taken.append(process.clock.monotonic_s() - before_s)
        process.live()
        if not process.inbound.inbox:
            break
    assert max(taken) <= LEAST_S + 2 * PERIOD_S + 1e-9
    assert process.states() == ["executed"] * 30
    assert process.held[0].safety.outcome is None, "it has not tripped"


def test_a_stop_comes_before_what_was_there_first(process: Process) -> None:
    for number in range(5):
        process.is_told("pack_1", number, "ping")
    process.is_told("pack_3", 9, "emergency_stop")
    process.inbound.take_up()
    assert process.replies[0][0] == "pack_3"


def test_a_reset_that_came_before_a_stop_does_not_end_it(process: Process) -> None:
    """The pack is latched and clear already; the stop is taken up first."""
    process.is_told("pack_1", 1, "controlled_shutdown")
    process.inbound.take_up()
    process.live(200)
    process.is_told("pack_1", 2, "reset")
    process.clock.advance(0.01)
    process.is_told("pack_1", 3, "emergency_stop")
    process.inbound.take_up()
    assert [(int(reply.id, 16), reply.state) for _, reply in process.replies[-2:]] == [
        (3, "executed"), (2, "refused")]
    process.live(10)
    assert process.held[0].standing.stopped == "emergency_stop"
    assert process.held[0].safety.contactors == (False, False)
    process.is_told("pack_1", 4, "reset")
    process.inbound.take_up()
    assert process.replies[-1][1].reason != OVERTAKEN


def test_of_two_commands_to_one_pack_the_later_one_stands(process: Process) -> None:
    process.is_told("pack_1", 1, "override", power_kw=2.0, hold_s=60.0)
    process.is_told("pack_1", 1, "override", power_kw=2.0, hold_s=60.0)
    process.is_told("pack_1", 2, "release")
    process.inbound.take_up()
    assert [(reply.state, reply.reason[:8]) for _, reply in process.replies] == [
        ("executed", ""), ("executed", "replayed"), ("executed", "")]
    assert process.held[0].standing.power_kw is None


def test_a_commit_that_fails_undoes_bounds_and_stops_all_the_same(process: Process) -> None:
    process.outbox._db.execute("PRAGMA query_only = 1")
    process.is_told("pack_1", 1, "override", power_kw=2.0, hold_s=60.0)
    process.is_told("pack_2", 2, "emergency_stop")
    process.inbound.take_up()
    told = {device: reply for device, reply in process.replies}
    assert told["pack_1"].state == "refused"
    assert told["pack_1"].reason.startswith("nothing was done: the device's disk fails")
    assert process.held[0].standing.power_kw is None
    assert told["pack_2"].state == "received"
    assert [process.refused(device) for device in ("pack_1", "pack_2")] == [
        {Rejection.DISK: 1}] * 2
    assert process._refusals.last("pack_1")[0] is not None, "with the message that it was"


def test_more_commands_than_one_commit_takes_are_several(made: Made) -> None:
    devices = [f"pack_{number}" for number in range(1, MOST_TOGETHER + 2)]
    process = made(*devices)
    for number, device in enumerate(devices):
        process.is_told(device, number, "ping")
    process.inbound.take_up()
    assert (process.outbox.commits, len(process.replies)) == (2, MOST_TOGETHER + 1)


# -- nothing is lost unseen


def test_what_there_is_no_room_for_is_counted_and_no_stop_is_among_it(process: Process) -> None:
    process.is_told("pack_2", 7, "emergency_stop")
    ack = said(Ack(v=VERSION, stream=STREAM, high=1))
    for _ in range(MOST_HEARD + 3):
        process.hears("pulsebms/home/pack_3/ack", ack)
    process.is_told("pack_1", 8, "controlled_shutdown")
    assert process.refused("pack_3") == {Rejection.NO_ROOM: 3}
    process.inbound.take_up()
    assert [(device, reply.state) for device, reply in process.replies] == [
        ("pack_2", "received"), ("pack_1", "received")]


def test_stops_of_one_pack_take_no_room_from_those_of_another(process: Process) -> None:
    for number in range(MOST_STOPS + 5):
        process.is_told("pack_1", number, "emergency_stop")
    process.is_told("pack_2", 99, "emergency_stop")
    assert process.refused("pack_1") == {Rejection.NO_ROOM: 5}
    process.inbound.take_up()
    assert Counter(device for device, _ in process.replies) == {"pack_1": MOST_STOPS, "pack_2": 1}
    process.is_told("pack_1", 200, "emergency_stop")
    process.inbound.take_up()
    assert process.replies[-1][1].id == f"{200:032x}", "there is room again"


# -- stops and clocks


@pytest.mark.parametrize("ahead_s", [0, 29, 31, 290, -59, -61, -290])
def test_a_stop_passes_as_far_as_a_clock_may_be_off(process: Process, ahead_s: float) -> None:
    process.is_told("pack_1", 1, "emergency_stop",
                    issued_s=process.clock.now().timestamp() - ahead_s)
    process.inbound.take_up()
    assert (process.states(), process.held[0].standing.stopped) == (["received"],
                                                                    "emergency_stop")


@pytest.mark.parametrize(("age_s", "left_s", "state"), [
    (31, None, "expired"), (400, 30, "expired"), (-400, 30, "refused"), (100, 900, "expired"),
    (100, 31, "expired")])
def test_a_stop_of_another_time_is_not_done(process: Process, age_s: float, left_s: int | None,
                                            state: str) -> None:
    """Nobody counted how long it waited, or it is further off than a clock may be, or was given
    longer than it lives."""
    process.is_told("pack_1", 1, "emergency_stop", left_s,
                    issued_s=process.clock.now().timestamp() - age_s)
    process.inbound.take_up()
    assert (process.states(), process.held[0].standing.stopped) == ([state], "")


def test_a_stop_that_waited_too_long_here_is_not_done_late(process: Process) -> None:
    """By a clock that is behind it would have time still."""
    process.is_told("pack_1", 1, "emergency_stop", 3,
                    issued_s=process.clock.now().timestamp() + 30.0)
    process.clock.advance(4.0)
    process.inbound.take_up()
    assert (process.states(), process.held[0].standing.stopped) == (["expired"], "")


def test_a_stop_that_came_before_is_not_done_again(process: Process) -> None:
    """However fresh its message looks; also once the pack was reset and the process is another."""
    issued_s = process.clock.now().timestamp()
    process.is_told("pack_1", 1, "emergency_stop", issued_s=issued_s)
    process.inbound.take_up()
    process.live(200)
    process.is_told("pack_1", 2, "reset")
    process.inbound.take_up()
    assert process.replies[-1][1].state == "executed"
    process.is_told("pack_1", 1, "emergency_stop", issued_s=issued_s)
    process.inbound.take_up()
    assert process.replies[-1][1].reason.startswith("replayed: ")
    assert process.held[0].standing.stopped == ""
    assert process.refused()[Rejection.REPLAYED] == 1


@pytest.mark.parametrize("action", ["override", "release", "reset", "ping"])
def test_what_is_no_stop_goes_by_the_clock_alone(process: Process, action: str) -> None:
    """One that came again with a new expiry looks as fresh, and would do harm."""
    process.is_told("pack_1", 1, action, issued_s=process.clock.now().timestamp() - 31.0,
                    power_kw=9.0, hold_s=9.0)
    process.inbound.take_up()
    assert process.states() == ["refused"]
    assert process.refused() == {Rejection.CLOCK_OFF: 1}


# -- a person's bound and a clock that is set


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0, 40.0])
def test_a_bound_ends_when_its_time_has_passed_whatever_the_clock_says(
        process: Process, set_by_s: float) -> None:
    process.is_told("pack_1", 1, "override", power_kw=0.01, hold_s=60.0)
    process.inbound.take_up()
    process.clock.set_by(set_by_s)
    until_s = [0.0]

    def bound(seconds: float) -> bool:
        """Whether it holds so long after it was set."""
        process.live(round((seconds - until_s[0]) / PERIOD_S))
        until_s[0] = seconds
        standing, now_s = process.held[0].standing, process.clock.now().timestamp()
        return standing.power_kw is not None and now_s < standing.until_s

    assert (bound(59.0), bound(61.0)) == (True, False)
    assert process.outbox.standing("pack_1").until_s == pytest.approx(
        NOW_S + 1.0 + 60.0 + set_by_s), "on the disk too"


def test_a_bound_of_an_earlier_process_ends_by_the_clock(process: Process) -> None:
    process.is_told("pack_1", 1, "override", power_kw=0.01, hold_s=60.0)
    process.inbound.take_up()
    again = Process(process.outbox, PACKS)
    before_s = again.held[0].standing.until_s
    again.clock.set_by(3600.0)
    again.live()
    assert again.held[0].standing.until_s == before_s
    assert math.isclose(before_s, NOW_S + 61.0)
