"""What the ingest tells of itself: on the wire, to the live view, and as its last will."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import MQTTMessage

from bench._fleet import Mosquitto, ingest
from core.clock import ManualClock, SystemClock, from_epoch
from core.errors import RequestError, RetryLaterError
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate
from core.fleet.command_book import CommandBook
from core.fleet.entries import FleetEntry, Mark, Taken
from core.fleet.messages import VERSION, IngestReport, packed, read_small, said
from core.fleet.ports import INGEST_SILENT_S, IngestTold
from core.fleet.rejections import RejectedError, Rejection
from core.fleet.topics import address_of, check_device, report_topic
from core.talk import Conversation
from services.fleet_heard import FleetHeard
from services.fleet_link import Broker
from services.ingest import subscriber
from services.ingest.__main__ import write_report
from services.ingest.subscriber import Ingest
from services.report import Report
from tests.fleet.examples import NOW_S, body, telemetry
from tests.fleet.site import Talker, broker_of, ingesting
from tests.sources.mosquitto import until

REPORT = "pulsebms/home/_ingest/report"
HOSTILE = b"<script>alert(1)</script>\x00\xff"


def report(**changed: object) -> IngestReport:
    whole = {"v": VERSION, "site": "home", "state": "running", "stored": 7, **changed}
    return IngestReport(**whole)  # type: ignore[arg-type]


def reports(talker: Talker) -> list[IngestReport]:
    return [read_small(payload, IngestReport) for topic, payload in list(talker.heard)
            if topic == REPORT]


# -- the message


def test_no_device_can_have_the_place_of_the_ingest() -> None:
    assert report_topic("home") == REPORT
    assert address_of(REPORT).kind == "report"
    with pytest.raises(RequestError):
        check_device("_ingest")
    for topic in ("pulsebms/home/_ingest/telemetry", "pulsebms/home/pack_1/report",
                  "pulsebms/home/_ingest/report/more"):
        with pytest.raises(RequestError):
            address_of(topic)


@pytest.mark.parametrize(("payload", "reason"), [
    (packed(report(v=2)), Rejection.FUTURE_VERSION),
    (packed(report(stored=-1)), Rejection.WRONG_FORM),
    (packed(report(lag_p95_s=float("inf"))), Rejection.NOT_FINITE),
    (packed(report(last_rejected_s=1e11)), Rejection.WRONG_FORM),
    (b'{"v":1,"site":"home","state":"running","rejected":{"because":1}}', Rejection.WRONG_FORM),
    (b'{"v":1,"site":"home","state":"running","more":1}', Rejection.WRONG_FORM),
    (b'{"v":1,"site":"home","state":"running","trouble":"' + b"x" * 201 + b'"}',
     Rejection.WRONG_FORM),
    (b"{" + b" " * 70_000 + b"}", Rejection.TOO_LARGE)])
def test_a_wrong_report_is_refused(payload: bytes, reason: Rejection) -> None:
    with pytest.raises(RejectedError) as caught:
        read_small(payload, IngestReport)
    assert caught.value.reason is reason


# -- the live view


class Ear:
    def __init__(self) -> None:
        self.clock = ManualClock(from_epoch(NOW_S))
        self.heard = FleetHeard("home", FleetBoard("home", [PackPlate("p", "p", "LFP", 3, 30.0)]),
                                CommandBook("home", self.clock.now), self.clock,
                                Conversation(self.clock))

    def say(self, payload: bytes, topic: str = REPORT, retained: bool = False) -> None:
        self.heard.message(topic, payload, retained)

    @property
    def told(self) -> IngestTold | None:
        return self.heard.counts("fleet", "broker", True).ingest

    @property
    def rejected(self) -> dict[str, int]:
        return dict(self.heard.counts("fleet", "broker", True).rejected)


def test_the_live_view_keeps_the_newest_report_and_its_age() -> None:
    ear = Ear()
    assert ear.told is None
    ear.say(said(report(stored=7)))
    ear.say(packed(report(stored=9)))
    ear.clock.advance(3.0)
    told = ear.told
    assert told is not None
    assert (told.said.stored, told.age_s, told.runs, told.last_refusal) == (9, 3.0, True, None)
    ear.clock.advance(INGEST_SILENT_S)
    silent = ear.told
    assert silent is not None
    assert not silent.runs
    assert ear.rejected == {}


def test_a_last_will_says_that_it_is_gone_and_its_figures_stay() -> None:
    ear = Ear()
    ear.say(said(report(stored=9)))
    ear.say(said(report(state="gone", stored=0)))
    told = ear.told
    assert told is not None
    assert (told.said.stored, told.runs) == (9, False)
    ear.say(said(report(stored=1)))
    back = ear.told
    assert back is not None
    assert (back.said.stored, back.runs) == (1, True)


def test_a_report_of_another_site_a_kept_one_and_rubbish_are_counted() -> None:
    ear = Ear()
    ear.say(said(report(site="elsewhere")))
    ear.say(said(report()), retained=True)
    ear.say(b"\xc1 rubbish")
    ear.say(said(report()), "pulsebms/elsewhere/_ingest/report")
    assert ear.told is None
    assert ear.rejected == {"wrong_sender": 1, "retained": 1, "not_decodable": 1,
                            "other_site": 1}


@given(st.binary(max_size=200), st.integers(0, 120), st.binary(max_size=6))
def test_no_bytes_break_the_live_view(rubbish: bytes, at: int, inserted: bytes) -> None:
    ear = Ear()
    good = packed(report(last_rejected_s=NOW_S, lag_p95_s=0.5))
    for payload in (rubbish, good[:at] + inserted + good[at:], good):
        ear.say(payload)
    told = ear.told
    assert told is not None
    assert told.said.stored == 7


# -- the ingest


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "INGEST_EVERY_S", 0.1)


@pytest.fixture
def talker(mosquitto: Mosquitto) -> Iterator[Talker]:
    found = Talker(broker_of(mosquitto), "listener", REPORT)
    yield found
    found.close()


def seen(talker: Talker, holds: Callable[[IngestReport], bool], what: str) -> IngestReport:
    until(lambda: any(map(holds, reports(talker))), what)
    return next(one for one in reports(talker) if holds(one))


@pytest.mark.usefixtures("often")
def test_what_the_ingest_refuses_is_told_on_the_wire_as_text(
        mosquitto: Mosquitto, talker: Talker, tmp_path: Path) -> None:
    with ingesting(broker_of(mosquitto), tmp_path):
        talker.say("pulsebms/elsewhere/pack_1/telemetry", b"x")
        talker.say("pulsebms/home/pack_1/nonsense", HOSTILE)
        told = seen(talker, lambda one: sum(one.rejected.values()) == 2, "both are told")
    assert told.rejected == {Rejection.OTHER_SITE: 1, Rejection.UNKNOWN_TOPIC: 1}
    last = told.last_rejected
    assert last is not None
    assert told.last_rejected_s is not None
    assert (last.reason, last.topic) == (Rejection.UNKNOWN_TOPIC, "pulsebms/home/pack_1/nonsense")
    assert last.payload == "\\x3cscript\\x3ealert(1)\\x3c/script\\x3e\\x00\\xff"
    seen(talker, lambda one: one.state == "gone", "a clean end is told")


@pytest.mark.usefixtures("often")
def test_what_a_device_gave_up_is_a_gap_and_the_lag_is_told(
        mosquitto: Mosquitto, talker: Talker, tmp_path: Path) -> None:
    now_s = SystemClock().now().timestamp()
    with ingesting(broker_of(mosquitto), tmp_path):
        for seq, floor in ((1, 1), (5, 5), (5, 5)):
            talker.say("pulsebms/home/pack_1/telemetry",
                       telemetry(packed(body(time_s=now_s + seq)), seq=seq, floor=floor,
                                 sent_s=now_s))
        told = seen(talker, lambda one: one.duplicate == 1, "the duplicate is told")
    assert (told.stored, told.given_up, told.received) == (2, 3, 3)
    assert told.lag_p95_s is not None
    assert told.lag_p95_s >= (told.lag_p50_s or 0.0) >= 0.0


def test_an_ingest_that_is_killed_has_a_last_will(mosquitto: Mosquitto, talker: Talker,
                                                  tmp_path: Path) -> None:
    process = ingest(tmp_path, mosquitto.url)
    process.start()
    try:
        seen(talker, lambda one: one.state == "running", "it tells that it runs")
    finally:
        process.kill()
    seen(talker, lambda one: one.state == "gone", "its will comes")


class FullDisk:
    """A store that takes nothing."""

    def take(self, entries: Sequence[FleetEntry]) -> Taken:
        raise RetryLaterError("the disk is full")

    def mark(self, site: str, device: str) -> Mark | None:
        return None

    def forget(self, before_us: int, most: int = 5000) -> int:
        return 0

    def behind(self) -> str:
        return "7 messages wait"


@pytest.mark.usefixtures("often")
def test_an_ingest_that_cannot_store_says_so(mosquitto: Mosquitto, talker: Talker) -> None:
    stop = threading.Event()
    one = Ingest("home", FullDisk(), broker_of(mosquitto), SystemClock())  # type: ignore[arg-type]
    thread = threading.Thread(target=one.run, args=(stop,))
    thread.start()
    try:
        until(one.link.connected.is_set, "it connects")
        talker.say("pulsebms/home/pack_1/telemetry",
                   telemetry(sent_s=SystemClock().now().timestamp()))
        told = seen(talker, lambda report: bool(report.trouble), "its trouble is told")
    finally:
        stop.set()
        thread.join(10)
    assert (told.trouble, told.behind) == ("the disk is full", "7 messages wait")


def test_what_there_is_no_room_for_is_counted_and_what_is_kept_is_not(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """QoS 0 alone: the broker keeps the others until they are acknowledged."""
    monkeypatch.setattr(subscriber, "MOST_QUEUED", 3)
    one = Ingest("home", FullDisk(), Broker(host="127.0.0.1", port=1),  # type: ignore[arg-type]
                 SystemClock())
    for qos in (0, 0, 0, 0, 0, 1, 0, 1):
        message = MQTTMessage(topic=b"pulsebms/home/pack_1/status")
        message.qos = qos
        one.link._message(one.link._client, None, message)
    assert one.counters.said("home", 5, "").overflow == 3
    assert len(one._inbox) == 5


def test_a_report_that_cannot_be_written_ends_nothing(tmp_path: Path,
                                                      caplog: pytest.LogCaptureFixture) -> None:
    one = Ingest("home", FullDisk(), Broker(host="127.0.0.1", port=1),  # type: ignore[arg-type]
                 SystemClock())
    report = Report(tmp_path / "away" / "report.json")
    for _ in range(3):
        write_report(one, report)
    assert caplog.text.count("is not written") == 1
    (tmp_path / "away").mkdir()
    write_report(one, report)
    assert b'"stored":0' in (tmp_path / "away" / "report.json").read_bytes()
