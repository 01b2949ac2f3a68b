"""Commands over a real Mosquitto to a real edge process, and what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench._fleet import Mosquitto, Process, edge
from core.clock import ManualClock, SystemClock, from_epoch
from core.errors import RequestError, UnknownIdError
from core.fleet.messages import Allocation, Command, Reply, Status, read_small, said
from core.fleet.topics import process_of
from services.commander import Commander
from tests.fleet.examples import NOW_S
from tests.fleet.site import Talker, broker_of
from tests.sources.mosquitto import until

COMMANDS, STATUS = "pulsebms/home/pack_1/commands", "pulsebms/home/pack_1/status"


@pytest.fixture
def device(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Process]:
    found = edge(tmp_path, mosquitto.url, ["pack_1"], "--cells", "24")
    found.start()
    yield found
    found.kill()


@pytest.fixture
def talker(mosquitto: Mosquitto, device: Process) -> Iterator[Talker]:
    found = Talker(broker_of(mosquitto), "talker", STATUS)
    until(lambda: "online" in {status.state for status in statuses(found)}, "the device is there")
    yield found
    found.close()


@pytest.fixture
def commander(mosquitto: Mosquitto, talker: Talker) -> Iterator[Commander]:
    found = Commander("home", broker_of(mosquitto), SystemClock())
    found.start()
    until(found.link.connected.is_set, "the commander connects")
    yield found
    found.close()


def statuses(talker: Talker) -> list[Status]:
    return [read_small(payload, Status) for _, payload in list(talker.heard)]


def replies(talker: Talker) -> list[Reply]:
    return [reply for status in statuses(talker) for reply in status.replies]


def command(number: int, **changed: object) -> bytes:
    whole = {"v": 1, "id": f"{number:032x}", "issuer": "eve", "issued_s": time.time(),
             "ttl_s": 30.0, "action": "ping", **changed}
    return said(Command(**whole))  # type: ignore[arg-type]


def test_a_command_is_executed_and_the_device_says_so(commander: Commander) -> None:
    number = commander.send("pack_1", "override", "eve", power_kw=5.0, hold_s=60.0)
    assert commander.wait(number, 10.0).state == "executed"


def test_a_stop_survives_sigkill_of_the_device(commander: Commander, device: Process,
                                               talker: Talker, mosquitto: Mosquitto) -> None:
    number = commander.send("pack_1", "emergency_stop", "eve")
    assert commander.wait(number, 10.0).state == "executed"
    until(lambda: [reply.state for reply in replies(talker) if reply.id == number]
          == ["received", "executed"], "both are told")
    device.kill()
    talker.heard.clear()
    device.start()
    until(lambda: "online" in {status.state for status in statuses(talker)}, "it is back")
    telemetry = Talker(broker_of(mosquitto), "ear", "pulsebms/home/pack_1/telemetry")
    until(lambda: bool(telemetry.heard), "it tells")
    assert b"emergency_stop" in telemetry.heard[0][1]
    telemetry.close()


def test_wrong_expired_and_replayed_commands_are_not_executed(talker: Talker) -> None:
    talker.say(COMMANDS, b"{not json", qos=2)
    talker.say(COMMANDS, command(1, v=9), qos=2)
    talker.say(COMMANDS, command(2, action="emergency_stop", issued_s=time.time() - 100), qos=2)
    talker.say(COMMANDS, command(3), qos=2)
    talker.say(COMMANDS, command(3), qos=2)
    until(lambda: len(replies(talker)) == 3, "three are answered")
    assert [reply.state for reply in replies(talker)] == ["expired", "executed", "executed"]
    assert replies(talker)[2].reason.startswith("replayed:")
    talker.link.publish(COMMANDS, command(4, action="emergency_stop",
                                          issued_s=time.time() - 100), 2, 30)
    until(lambda: replies(talker)[-1].state == "executed" and len(replies(talker)) == 5,
          "a stop whose waiting the broker counted is done, though a clock is 100 s off")


def test_a_killed_device_has_a_last_will(device: Process, talker: Talker) -> None:
    device.kill()
    until(lambda: statuses(talker)[-1].state == "offline", "the broker says so")
    assert {one.process for one in statuses(talker)} == {process_of("home", "pack_1")}, (
        "by which the centre believes that it is of all its devices")


def test_a_second_device_with_the_same_id_is_told(mosquitto: Mosquitto, device: Process,
                                                  talker: Talker, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    second = edge(tmp_path / "second", mosquitto.url, ["pack_1"])
    second.start()
    try:
        until(lambda: any("Two devices with one id" in one.said() for one in (device, second)),
              "one of them says so", 30.0)
    finally:
        second.kill()
    assert device.status is None, "it goes on by itself"


def test_an_allocation_reaches_the_pack(mosquitto: Mosquitto, talker: Talker) -> None:
    ear = Talker(broker_of(mosquitto), "ear", "pulsebms/home/pack_1/telemetry")
    talker.say("pulsebms/home/coordinator/allocation", said(Allocation(
        v=1, site="home", issued_s=time.time(), valid_s=600.0, power_kw={"pack_1": 1.5})))
    until(lambda: any(b"no allocation" not in payload for _, payload in ear.heard), "it is taken")
    ear.close()


def test_what_nobody_answers_is_expired(mosquitto: Mosquitto) -> None:
    clock = ManualClock(from_epoch(NOW_S))
    commander = Commander("home", broker_of(mosquitto), clock)
    commander.start()
    number = commander.send("pack_9", "ping", "eve", ttl_s=5.0)
    assert commander.life(number).state == "sent"
    clock.advance(6.0)
    assert commander.life(number).state == "expired"
    with pytest.raises(UnknownIdError):
        commander.life("f" * 32)
    with pytest.raises(RequestError):
        commander.send("pack_9", "explode", "eve")
    commander.close()


def test_only_the_device_that_was_asked_may_answer(mosquitto: Mosquitto) -> None:
    commander = Commander("home", broker_of(mosquitto), SystemClock())
    commander.start()
    until(commander.link.connected.is_set, "the commander connects")
    number = commander.send("pack_1", "ping", "eve")
    liar = Talker(broker_of(mosquitto), "liar", "pulsebms/home/+/status")
    lie = Reply(id=number, state="executed")
    for device in ("pack_2", "pack_1"):
        liar.say(f"pulsebms/home/{device}/status", said(Status(
            v=1, site="home", device=device, state="online", replies=(
                lie if device == "pack_2" else Reply(id=number, state="refused"),))))
    assert commander.wait(number, 10.0).state == "refused"
    liar.close()
    commander.close()
