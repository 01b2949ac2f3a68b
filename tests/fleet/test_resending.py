"""What a device sends while nobody answers it: little, never for nothing, and all of it in the end.

On a clock of the test: a row a second, a real outbox and sender, and the ingest's own store.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench._fleet import Mosquitto
from core.fleet.messages import VERSION, Ack, packed
from core.fleet.telemetry import Refused, read_telemetry
from core.registry import make_fleet_store
from scripts.app_process import ROOT
from services.edge.outbox import Outbox
from services.edge.sender import MOST_WAIT_S, RESEND_S, WINDOW, Sender
from services.fleet_link import Link, Manner, is_held
from services.ingest.subscriber import MOST_BATCH, entry_of
from tests.fleet.examples import NOW_S, PACK, body
from tests.fleet.site import broker_of
from tests.fleet.test_clock_set_back import NOBODY, Hearing, Plan, Wire
from tests.sources.mosquitto import until

TEN_MINUTES = 600
SOON_S = 30
"""Several times RESEND_S, and much less than what is waited for a word at most."""


class Line:
    """A device, what the broker queues for the ingest and since when [s], and the ingest.
    ahead_s: what the device's clock is off [s]."""

    def __init__(self, folder: Path) -> None:
        self.outbox, self.wire = Outbox(folder / "o.db", ["pack_1"]), Wire()
        self.sender = Sender(self.outbox, self.wire, "home")
        self.store = make_fleet_store(f"sqlite:{folder / 'fleet.db'}")
        self.now_s, self.ahead_s, self.made, self.handed = NOW_S, 0.0, 0, 0
        self.hears = True
        self.queue: list[tuple[bytes, float]] = []

    def lives(self, seconds: int, measures: bool = True) -> None:
        for _ in range(seconds):
            self.now_s += 1.0
            if measures:
                self.made += 1
                self.outbox.put({"pack_1": packed(body(time_s=self.now_s + self.ahead_s))})
            self.sender.send("pack_1", self.now_s + self.ahead_s)
            self._carry()

    def _carry(self) -> None:
        """To the broker, and where the ingest hears, its word back."""
        sent, self.wire.sent = self.wire.sent, []
        self.handed += len(sent)
        self.queue += [(payload, self.now_s) for payload in sent]
        if not self.hears or not self.queue:
            return
        queue, self.queue = self.queue, []
        told = [read_telemetry(payload, PACK, self.now_s, self.now_s - sent_s)
                for payload, sent_s in queue]
        entries = [entry_of(one.envelope, self.now_s, one.time_us, one.raw) for one in told
                   if not isinstance(one, Refused)]
        if not entries:
            return
        self.store.take(entries)
        mark = self.store.mark("home", "pack_1")
        assert mark is not None
        self.sender.acked("pack_1", Ack(v=VERSION, stream=mark.stream, high=mark.high),
                          self.now_s + self.ahead_s)
        self.sender.send("pack_1", self.now_s + self.ahead_s)
        self._carry()

    def settles(self, within_s: float) -> None:
        """All that was made is stored, once, within so long of the clock of the test."""
        until_s = self.now_s + within_s
        while self.outbox.waiting("pack_1", 0, 1):
            assert self.now_s < until_s, "rows are left"
            self.lives(1, measures=False)
        rows = [seq for seq, _ in self.store.bodies("home", "pack_1", 1, 10_000)]
        assert rows == list(range(1, self.made + 1))


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    found = Line(tmp_path)
    yield found
    found.outbox.close()
    found.store.close()


def test_without_an_answer_little_is_sent_and_all_of_it_settles_when_it_comes(line: Line) -> None:
    line.lives(60)
    line.hears, before = False, line.handed
    line.lives(TEN_MINUTES)
    assert WINDOW <= line.handed - before <= 2 * TEN_MINUTES
    handed = line.handed
    line.lives(TEN_MINUTES)
    assert line.handed - handed <= TEN_MINUTES / MOST_WAIT_S + 1
    line.hears = True
    line.lives(int(MOST_WAIT_S) + 1)
    line.settles(SOON_S)
    assert line.handed <= line.made + 3 * WINDOW


def test_a_word_brings_the_full_pace_back(line: Line) -> None:
    """What the broker kept is heard first; all that waits follows it."""
    line.hears = False
    line.lives(TEN_MINUTES)
    line.hears = True
    line._carry()
    assert not line.outbox.waiting("pack_1", 0, 1)


@pytest.mark.parametrize("lasted_s", [30, TEN_MINUTES])
def test_a_broker_that_lost_everything_loses_nothing(line: Line, lasted_s: int) -> None:
    line.lives(20)
    line.hears = False
    line.lives(lasted_s)
    line.queue.clear()
    line.hears = True
    line.sender.begin_anew(line.now_s)
    line.settles(SOON_S)


@pytest.mark.parametrize("lasted_s", [30, TEN_MINUTES])
def test_an_ingest_that_lost_its_session_loses_nothing(line: Line, lasted_s: int) -> None:
    """The device's connection stands, so that nothing tells it; it asks, and all goes again."""
    line.lives(20)
    line.hears = False
    line.lives(lasted_s)
    line.queue.clear()
    line.hears = True
    line.settles(MOST_WAIT_S + SOON_S)


def test_new_rows_bring_an_ingest_that_lost_its_session_back_soon(line: Line) -> None:
    """It answers them, though it settles none of them."""
    line.lives(20)
    line.hears = False
    line.lives(WINDOW - 30)
    line.queue.clear()
    line.hears = True
    line.lives(2 * int(RESEND_S))
    line.settles(2 * RESEND_S)


def test_a_device_whose_clock_is_off_sends_little_until_it_is_right(line: Line) -> None:
    line.lives(20)
    line.ahead_s, handed = 3600.0, line.handed
    line.lives(TEN_MINUTES)
    assert line.handed - handed <= 2 * TEN_MINUTES
    line.ahead_s = 0.0
    line.outbox.clock_was_set(-3600.0)
    line.lives(SOON_S)
    mark = line.store.mark("home", "pack_1")
    assert mark is not None
    assert mark.high == line.made, "its rows are taken again"


def test_what_the_connection_holds_is_not_handed_to_it_twice(line: Line) -> None:
    """Slow, or replaced again and again: it sends by itself what it holds."""
    line.wire.has_broker = False
    line.hears = False
    for _ in range(10):
        line.lives(60)
        line.sender.begin_anew(line.now_s)
    assert line.handed == WINDOW
    line.wire.broker_takes_all()
    line.wire.has_broker = line.hears = True
    line.settles(SOON_S)


def test_the_devices_are_told_while_a_backlog_drains(tmp_path: Path) -> None:
    clock, store = Plan(), make_fleet_store(f"sqlite:{tmp_path / 'fleet.sqlite'}")
    ingest = Hearing("home", store, NOBODY, clock)

    def backlog() -> None:
        for seq in range(1, 3 * MOST_BATCH + 1):
            ingest.hears(seq)

    clock.steps = [(1.0, backlog), (8.0, lambda: None)]
    ingest.run(clock.stop)
    assert ingest.acks[:3] == [MOST_BATCH, 2 * MOST_BATCH, 3 * MOST_BATCH]
    store.close()


@pytest.mark.parametrize("name", ["development.conf", "production.conf",
                                  "production-password.conf"])
def test_what_a_broker_queues_fits_its_memory(name: str) -> None:
    """A message of 400 B takes 750 B in Mosquitto 2.0.11: half of the memory, then."""
    text = (ROOT / "deploy" / "mosquitto" / name).read_text()
    queued = [int(line.split()[1]) for line in text.splitlines()
              if line.startswith("max_queued_bytes ")]
    assert len(queued) == 1
    assert 0 < queued[0] <= 2**30 / 4
    assert "limits: {memory: 1Gi}" in (ROOT / "deploy/kubernetes/mosquitto.yaml").read_text()
    service = (ROOT / "deploy/compose.yaml").read_text().split("\n  mosquitto:\n")[1]
    assert "mem_limit: 1g" in service.split("\n\n")[0]


def test_a_connection_holds_what_the_broker_has_not_said_to_have(mosquitto: Mosquitto) -> None:
    link = Link(broker_of(mosquitto), "held", [], Manner(session_s=0), lambda *_: None)
    link.start()
    try:
        until(link.connected.is_set, "it connects")
        topic = "pulsebms/home/pack_1/telemetry"
        taken = link.publish(topic, b"1", 1)
        assert taken is not None
        until(lambda: not is_held(taken), "the broker says that it has it")
        os.kill(mosquitto.pid, signal.SIGSTOP)
        kept = link.publish(topic, b"2", 1)
        assert kept is not None
        assert is_held(kept)
        os.kill(mosquitto.pid, signal.SIGCONT)
        until(lambda: not is_held(kept), "and again once it can")
    finally:
        link.close()
