"""The ingest on a real Mosquitto: each message once, and every wrong one named and counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench._fleet import Mosquitto, edge, ingest
from core.fleet.messages import MOST_BYTES, packed
from core.fleet.ports import FleetStore
from core.fleet.refused import escaped
from core.fleet.rejections import Rejection
from core.registry import make_fleet_store
from services.ingest.broker_log import refused_by_broker
from services.ingest.subscriber import Ingest
from tests.fleet.examples import OTHER_STREAM, THIRD_STREAM, body, telemetry
from tests.fleet.site import Talker, broker_of, ingesting
from tests.sources.mosquitto import until

TOPIC = "pulsebms/home/pack_1/telemetry"
Centre = tuple[Ingest, FleetStore]


@pytest.fixture
def centre(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Centre]:
    with ingesting(broker_of(mosquitto), tmp_path) as found:
        yield found


@pytest.fixture
def talker(mosquitto: Mosquitto) -> Iterator[Talker]:
    found = Talker(broker_of(mosquitto), "talker", "pulsebms/home/+/ack")
    yield found
    found.close()


def now_message(seq: int, device: str = "pack_1", **changed: object) -> bytes:
    inside = packed(body(time_s=time.time()))
    return telemetry(inside, **{"seq": seq, "floor": 1, "device": device, "sent_s": time.time(),
                                **changed})


def high(store: FleetStore, device: str = "pack_1") -> int:
    mark = store.mark("home", device)
    return -1 if mark is None else mark.high


def test_what_is_sent_is_stored_once_and_acknowledged(centre: Centre, talker: Talker) -> None:
    ingest, store = centre
    messages = [now_message(seq) for seq in range(1, 31)]
    for message in messages + messages[:10]:
        talker.say(TOPIC, message)
    until(lambda: ingest.counters.report()["duplicate"] == 10, "all came")
    assert high(store) == 30
    assert [seq for seq, _ in store.bodies("home", "pack_1", 1, 99)] == list(range(1, 31))
    until(lambda: any(ack.high == 30 for ack in talker.acks("pack_1")), "the device is told")


WRONG = {
    "unknown_topic": ("pulsebms/home/pack_1/nonsense", b"x"),
    "other_site": ("pulsebms/elsewhere/pack_1/telemetry", b"x"),
    "not_decodable": (TOPIC, now_message(1)[:40]),
    "future_version": (TOPIC, now_message(1, v=7)),
    "wrong_form": (TOPIC, packed(body())),
    "wrong_sender": (TOPIC, now_message(1, device="pack_2")),
    "clock_off": (TOPIC, now_message(1, sent_s=time.time() - 3600)),
    "sequence_backwards": (TOPIC, now_message(1, base=5)),
}


def test_every_wrong_message_is_named_and_hurts_nobody(centre: Centre, talker: Talker) -> None:
    ingest, store = centre
    for topic, payload in WRONG.values():
        talker.say(topic, payload)
    talker.say("pulsebms/home/pack_9/status", b"<script>alert(1)</script>")
    talker.say("pulsebms/home/pack_2/telemetry", now_message(1, "pack_2"))
    until(lambda: high(store, "pack_2") == 1, "the healthy device is stored")
    found = ingest.counters.report()
    assert found["rejected"] == dict.fromkeys(WRONG, 1) | {"wrong_form": 2}
    assert [mark.device for mark in store.marks()] == ["pack_2"]
    assert "<script>" not in json.dumps(found)


def test_an_absurd_second_is_settled_so_that_its_device_goes_on(centre: Centre,
                                                                talker: Talker) -> None:
    ingest, store = centre
    talker.say(TOPIC, now_message(1))
    talker.say(TOPIC, telemetry(packed(body(time_s=time.time(), soc_pct=400.0)), seq=2, floor=1,
                                sent_s=time.time()))
    talker.say(TOPIC, now_message(3))
    until(lambda: high(store) == 3, "it goes on")
    assert ingest.counters.report()["rejected"] == {"absurd": 1}
    assert [seq for seq, _ in store.bodies("home", "pack_1", 1, 9)] == [1, 3]


def test_a_device_that_is_not_on_the_list_is_refused(mosquitto: Mosquitto, talker: Talker,
                                                     tmp_path: Path) -> None:
    with ingesting(broker_of(mosquitto), tmp_path, ["pack_2"]) as (ingest, store):
        talker.say(TOPIC, now_message(1))
        talker.say("pulsebms/home/pack_2/telemetry", now_message(1, "pack_2"))
        until(lambda: high(store, "pack_2") == 1, "the known one is stored")
        assert ingest.counters.report()["rejected"] == {"unknown_device": 1}


def test_a_new_outbox_and_a_second_device_are_told_apart(centre: Centre, talker: Talker) -> None:
    ingest, store = centre
    talker.say(TOPIC, now_message(1))
    talker.say(TOPIC, now_message(1, stream=OTHER_STREAM))
    until(lambda: any(ack.refused == OTHER_STREAM and ack.renumber and ack.high == 1
                      for ack in talker.acks("pack_1")), "the new outbox numbers anew")
    talker.say(TOPIC, now_message(2, stream=OTHER_STREAM, base=1))
    until(lambda: high(store) == 2, "the new outbox goes on")
    talker.say(TOPIC, now_message(2))
    until(lambda: any(ack.refused and not ack.renumber for ack in talker.acks("pack_1")),
          "the old device is told of the second one")
    assert ingest.counters.report()["rejected"] == {"sequence_backwards": 1, "two_devices": 1}
    assert THIRD_STREAM not in str(store.marks())


def test_a_payload_of_many_megabytes_reaches_nobody_and_is_counted_and_named(
        mosquitto: Mosquitto, centre: Centre, talker: Talker) -> None:
    ingest, store = centre
    assert not talker.link.fits(b"x" * (MOST_BYTES + 4096))
    giant = Talker(broker_of(mosquitto), "giant")
    giant.link._client.publish(TOPIC, b"x" * 100_000_000, qos=0)
    until(lambda: not giant.link.connected.is_set(), "the broker ends the giant's connection")
    giant.close()
    talker.say(TOPIC, now_message(1))
    until(lambda: high(store) == 1, "the others go on")
    until(lambda: ingest.counters.report()["rejected"] == {"broker_limit": 1}, "it is counted")
    last = ingest.counters.report()["last_rejected"]["broker_limit"]
    assert last["payload"].endswith("Client giant disconnected due to oversize packet.")


@pytest.mark.parametrize(("line", "reason"), [
    (b"17: Client x disconnected due to oversize packet.", Rejection.BROKER_LIMIT),
    (b"17: Client \xff disconnected due to malformed packet.\n", Rejection.NOT_DECODABLE),
    (b"17: Client x disconnected, not authorised.", Rejection.NOT_ADMITTED),
    (b"17: Client x [::1:9] disconnected: oversize packet.", Rejection.BROKER_LIMIT),
    (b"17: Client x [::1:9] disconnected: malformed packet.", Rejection.NOT_DECODABLE),
    (b"17: Client x [::1:9] disconnected: protocol error.", Rejection.NOT_DECODABLE),
    (b"17: Client x [::1:9] disconnected: not authorised.", Rejection.NOT_ADMITTED),
    (b"17: Client x [::1:9] disconnected.", None),
    (b"17: Client x disconnected.", None),
    (b"17: New client connected from ::1:9 as a disconnected, not authorised. (p5, c1, k60).",
     None)])
def test_what_the_broker_refused_is_read_from_its_log(line: bytes,
                                                      reason: Rejection | None) -> None:
    assert refused_by_broker(line) is reason


def test_what_cannot_be_read_is_escaped() -> None:
    assert escaped(b"<b>\xff\n'=") == "\\x3cb\\x3e\\xff\\x0a\\x27="


def test_processes_that_are_killed_lose_and_double_nothing(mosquitto: Mosquitto,
                                                           tmp_path: Path) -> None:
    """The short form of the bench, with the order of the kills fixed."""
    device = edge(tmp_path, mosquitto.url, ["pack_1"], "--cells", "24", "--every", "1")
    centre = ingest(tmp_path, mosquitto.url)
    report = tmp_path / "report.json"
    device.start()
    centre.start()
    try:
        for victims in ([centre], [mosquitto], [device], [device, centre, mosquitto]):
            wanted = _stored(report) + 4
            until(lambda wanted=wanted: _stored(report) >= wanted, "more is stored", 30.0)
            for victim in victims:
                victim.kill()
            if centre in victims:
                report.unlink(missing_ok=True)
            for victim in reversed(victims):
                victim.start()
        device.kill()
        device.start("--drain")
        assert device.wait(30) == 0
    finally:
        device.kill()
        centre.stop()
    store = make_fleet_store(f"sqlite:{tmp_path / 'store' / 'fleet.sqlite'}")
    found = [seq for seq, _ in store.bodies("home", "pack_1", 1, 10 ** 6)]
    mark, gaps = store.mark("home", "pack_1"), store.gaps("home", "pack_1")
    store.close()
    assert mark is not None
    assert (found, gaps) == (list(range(1, mark.last + 1)), [])
    assert mark.high == mark.last >= 16


def _stored(report: Path) -> int:
    return int(json.loads(report.read_text())["stored"]) if report.exists() else 0
