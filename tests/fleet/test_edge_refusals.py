"""What an edge device does not use, or cannot send: refused, counted, and told in its status."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench._fleet import Mosquitto, edge
from core.clock import ManualClock, from_epoch
from core.errors import RequestError
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate
from core.fleet.command_book import CommandBook
from core.fleet.messages import VERSION, Allocation, Command, Status, packed, read_small, said
from core.fleet.rejections import RejectedError, Rejection
from scripts.app_process import ROOT
from services.edge.refusals import Refusals
from tests.fleet.examples import NOW_S
from tests.fleet.site import Talker, broker_of, without_delay
from tests.sources.mosquitto import until

COMMANDS, STATUS = "pulsebms/home/pack_1/commands", "pulsebms/home/pack_1/status"
ALLOCATION = "pulsebms/home/coordinator/allocation"


def command(number: int, **changed: object) -> bytes:
    whole = {"v": 1, "id": f"{number:032x}", "issuer": "eve", "issued_s": time.time(),
             "ttl_s": 30.0, "action": "ping", **changed}
    return said(Command(**whole))  # type: ignore[arg-type]


def allocation(issued_s: float, power_kw: float = 1.0) -> bytes:
    return packed(Allocation(v=VERSION, site="home", issued_s=issued_s, valid_s=600.0,
                             power_kw={"pack_1": power_kw}))


def statuses(talker: Talker, device: str = "pack_1") -> list[Status]:
    return [status for _, payload in list(talker.heard)
            if (status := read_small(payload, Status)).device == device]


@pytest.fixture
def talker(mosquitto: Mosquitto) -> Iterator[Talker]:
    found = Talker(broker_of(mosquitto), "talker", "pulsebms/home/+/status")
    yield found
    found.close()


def answered(talker: Talker, number: int) -> Status:
    """The status that answers this command."""
    def found() -> list[Status]:
        return [status for status in statuses(talker)
                for reply in status.replies if reply.id == f"{number:032x}"]

    until(lambda: bool(found()), f"command {number} is answered")
    return found()[-1]


def test_each_refusal_of_a_device_is_told_in_its_status_and_nothing_is_done(
        mosquitto: Mosquitto, talker: Talker, tmp_path: Path) -> None:
    """A retained stop that waits for it among them."""
    talker.link._client.publish(COMMANDS, command(1, action="emergency_stop"), 2, retain=True)
    device = edge(tmp_path, mosquitto.url, ["pack_1", "pack_2"], "--cells", "24")
    device.start()
    try:
        until(lambda: any(status.state == "online" for status in statuses(talker)), "it is there")
        now_s = time.time()
        for topic, payload in (
                (COMMANDS, b"{not json"), (COMMANDS, command(2, v=9)),
                (COMMANDS, command(3, action="emergency_stop", issued_s=now_s - 100)),
                (COMMANDS, command(4)), (COMMANDS, command(4)),
                (COMMANDS, command(5, issued_s=now_s + 3600)),
                (COMMANDS, packed(Command(v=1, id="6" * 32, issuer="eve", issued_s=now_s,
                                          ttl_s=9.0, action="override", hold_s=9.0,
                                          power_kw=float("nan")))),
                (ALLOCATION, allocation(now_s)), (ALLOCATION, allocation(now_s)),
                (ALLOCATION, allocation(now_s + 1, float("inf"))),
                ("pulsebms/home/pack_2/commands", b"\xc1")):
            talker.say(topic, payload, qos=2)
        talker.say(COMMANDS, command(7), qos=2)
        told = answered(talker, 7)
        until(lambda: any(status.rejected for status in statuses(talker, "pack_2")),
              "the other pack tells its own", 15.0)
    finally:
        device.kill()
    assert told.rejected == {
        Rejection.RETAINED: 1, Rejection.NOT_DECODABLE: 1, Rejection.FUTURE_VERSION: 1,
        Rejection.EXPIRED: 1, Rejection.REPLAYED: 2, Rejection.CLOCK_OFF: 1,
        Rejection.NOT_FINITE: 2}
    last = told.last_rejected
    assert last is not None
    assert last.topic in (COMMANDS, ALLOCATION)
    assert last.reason in told.rejected
    assert last.payload
    assert abs((told.last_rejected_s or 0.0) - now_s) < 60.0
    done = {reply.id for status in statuses(talker) for reply in status.replies
            if reply.state == "executed"}
    assert done == {f"{number:032x}" for number in (4, 7)}
    assert {Rejection.NOT_DECODABLE: 1} in [status.rejected for status
                                            in statuses(talker, "pack_2")]


def test_a_status_may_name_known_reasons_alone() -> None:
    whole = b'{"v":1,"site":"home","device":"pack_1","state":"online","rejected":%s}'
    assert read_small(whole % b'{"replayed":3}', Status).rejected == {Rejection.REPLAYED: 3}
    for wrong in (b'{"<b>":1}', b'{"replayed":-1}', b'{"replayed":1.5}', b"[1]"):
        with pytest.raises(RejectedError) as caught:
            read_small(whole % wrong, Status)
        assert caught.value.reason is Rejection.WRONG_FORM
    before = b'{"v":1,"site":"home","device":"pack_1","state":"online"}'
    assert read_small(before, Status).rejected is None, "devices of before say nothing of it"


def test_the_board_adds_up_what_a_process_and_the_one_after_it_tell() -> None:
    board = FleetBoard("home", [PackPlate("pack_1", "Pack", "LFP", 3, 30.0)])

    def tells(**rejected: int) -> None:
        board.tell("pack_1", Status(
            v=VERSION, site="home", device="pack_1", state="online", time_s=NOW_S,
            rejected={Rejection(name): count for name, count in rejected.items()}))

    tells(replayed=2)
    tells(replayed=5, retained=1)
    tells(replayed=5, retained=1)
    tells(retained=1)
    board.reading(from_epoch(NOW_S))
    assert board.packs()[0].rejected == {"replayed": 5, "retained": 2}


def test_the_last_message_that_was_refused_is_told_as_text_and_stays() -> None:
    refusals = Refusals(["pack_1", "pack_2"])
    refusals.add("pack_1", Rejection.DISK)
    assert refusals.last("pack_1") == (None, None)
    with refusals.reading(COMMANDS, b"<b>\xff" + b"x" * 1000, NOW_S):
        refusals.add("pack_1", Rejection.REPLAYED)
    refusals.add("pack_1", Rejection.DISK)
    assert refusals.counts["pack_1"] == {Rejection.DISK: 2, Rejection.REPLAYED: 1}
    last, at_s = refusals.last("pack_1")
    assert last is not None
    assert (last.topic, last.reason, at_s) == (COMMANDS, Rejection.REPLAYED, NOW_S)
    assert last.payload.startswith("\\x3cb\\x3e\\xffxxx")
    assert len(last.payload) < 220
    assert refusals.last("pack_2") == (None, None)
    board = FleetBoard("home", [PackPlate("pack_1", "Pack", "LFP", 3, 30.0)])
    whole = Status(v=VERSION, site="home", device="pack_1", state="online", time_s=NOW_S,
                   rejected={Rejection.REPLAYED: 1}, last_rejected=last, last_rejected_s=at_s)
    board.tell("pack_1", read_small(said(whole), Status))
    board.tell("pack_1", Status(v=VERSION, site="home", device="pack_1", state="online",
                                time_s=NOW_S))
    board.reading(from_epoch(NOW_S))
    refusal = board.packs()[0].last_refusal
    assert refusal is not None
    assert (refusal.topic, refusal.text, refusal.at) == (COMMANDS, last.payload,
                                                         from_epoch(NOW_S))


# -- what the broker does not let through


def test_what_the_broker_does_not_take_is_not_sent_and_counted(mosquitto: Mosquitto,
                                                               talker: Talker) -> None:
    link, most = talker.link, talker.link.most_bytes
    assert most == 263_168, "the shipped configuration tells it"
    assert not link.publish(STATUS, b"x" * most, 1)
    with pytest.raises(RejectedError) as caught:
        link.publish_for(COMMANDS, b"x" * most, 2, 30)
    assert caught.value.reason is Rejection.BROKER_LIMIT
    assert (link.too_large, link.connection, link.connected.is_set()) == (2, 1, True)
    assert link.publish(STATUS, b"x" * (most - 200), 1)


def test_a_packet_that_the_broker_cuts_is_named_counted_and_not_sent_for_ever(
        mosquitto: Mosquitto, talker: Talker, caplog: pytest.LogCaptureFixture) -> None:
    """As when its limit was lowered while the message waited: paho would send it at each new
    connection, and lose each. What fits goes on."""
    sender = Talker(broker_of(mosquitto), "sender")
    link = sender.link
    link._client.publish(STATUS, b"x" * 400_000, 1)
    sender.say(STATUS, said(Status(v=VERSION, site="home", device="pack_1", state="online")))
    until(lambda: "400000 bytes were larger than the broker lets through" in caplog.text,
          "it is named", 30.0)
    until(lambda: len(statuses(talker)) >= 1, "what fits comes")
    here = link.connection
    sender.say(STATUS, said(Status(v=VERSION, site="home", device="pack_1", state="offline")))
    until(lambda: statuses(talker)[-1].state == "offline", "it goes on")
    assert (link.connection, link.too_large) == (here, 1)
    sender.close()


def test_a_command_that_the_broker_does_not_take_is_refused_and_not_waited_for() -> None:
    book = CommandBook("home", ManualClock(from_epoch(NOW_S)).now)

    def refuses(topic: str, payload: bytes, qos: int, expiry_s: int) -> None:
        raise RejectedError(Rejection.BROKER_LIMIT, "9 bytes")

    with pytest.raises(RequestError, match="max_packet_size"):
        book.send(refuses, "pack_1", "ping", "eve")
    (life,) = book.lives()
    assert (life.state, "max_packet_size" in life.reason) == ("refused", True)
    assert life.settled


# -- haste


def test_the_connection_does_not_wait_to_fill_a_packet(talker: Talker) -> None:
    assert without_delay(talker.link)


def test_every_shipped_broker_does_not_wait_either() -> None:
    files = sorted((ROOT / "deploy" / "mosquitto").glob("*.conf"))
    configurations = [file for file in files if file.name != "acl.conf"]
    assert [file.name for file in configurations] == [
        "development.conf", "production-password.conf", "production.conf"]
    for file in configurations:
        assert "set_tcp_nodelay true" in file.read_text().splitlines(), file.name
