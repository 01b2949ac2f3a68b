"""The ingest's own process with PostgreSQL behind it: `--store postgres:NAME`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench._fleet import Mosquitto, Process, ingest
from bench._postgres import PostgresServer
from core.fleet.messages import packed
from core.registry import make_fleet_store
from tests.fleet.examples import body, telemetry
from tests.fleet.site import Talker, broker_of
from tests.sources.mosquitto import until

STORE = "postgres:FLEET_URL"


@pytest.fixture
def centre(mosquitto: Mosquitto, postgres: PostgresServer, tmp_path: Path,
           monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    monkeypatch.setenv("FLEET_URL", postgres.new_schema())
    found = ingest(tmp_path, mosquitto.url, "--store", STORE)
    found.start()
    yield found
    found.kill()


def message(seq: int) -> bytes:
    return telemetry(packed(body(time_s=time.time())), seq=seq, floor=1, sent_s=time.time())


class Outbox:
    """Says each of its numbers until it is told that they are settled."""

    def __init__(self, mosquitto: Mosquitto, centre: Process) -> None:
        self.talker = Talker(broker_of(mosquitto), "talker", "pulsebms/home/+/ack")
        self._messages = [message(seq) for seq in range(1, 61)]
        self._centre = centre

    def send_until(self, high: int) -> None:
        """The broker knows the ingest only once it is there; an outbox would say it again too."""
        def told() -> bool:
            settled = max((ack.high for ack in self.talker.acks("pack_1")), default=0)
            for seq in range(settled, high):
                self.talker.say("pulsebms/home/pack_1/telemetry", self._messages[seq])
            return settled == high

        until(told, f"{high} are settled:\n{self._centre.said()}", 30.0)


def test_each_once_over_kills_of_ingest_and_server(mosquitto: Mosquitto, centre: Process,
                                                   postgres: PostgresServer) -> None:
    outbox = Outbox(mosquitto, centre)
    outbox.send_until(20)
    centre.kill()
    centre.start()
    outbox.send_until(40)
    postgres.kill()
    postgres.start()
    outbox.send_until(60)
    outbox.talker.close()
    assert centre.stop() == 0, centre.said()
    assert "s3cret" not in centre.said()
    store = make_fleet_store(STORE)
    assert [seq for seq, _ in store.bodies("home", "pack_1", 1, 99)] == list(range(1, 61))
    store.close()


def test_each_once_in_each_of_two_stores_over_kills_of_ingest_and_server(
        mosquitto: Mosquitto, postgres: PostgresServer, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """The first, in a file, goes on while the server is down; the server gets what it lacks."""
    monkeypatch.setenv("FLEET_URL", postgres.new_schema())
    file = f"sqlite:{tmp_path / 'store' / 'fleet.sqlite'}"
    centre = ingest(tmp_path, mosquitto.url, "--store", file, STORE,
                    "--waiting", str(tmp_path / "waiting"))
    centre.start()
    try:
        outbox = Outbox(mosquitto, centre)
        outbox.send_until(20)
        centre.kill()
        centre.start()
        postgres.kill()
        outbox.send_until(40)
        assert "it waits on this disk" in centre.said(), centre.said()
        centre.kill()
        centre.start()
        postgres.start()
        outbox.send_until(60)
        until(lambda: "has all that waited" in centre.said(), "the server catches up")
        outbox.talker.close()
        assert centre.stop() == 0, centre.said()
        assert "s3cret" not in centre.said()
    finally:
        centre.kill()
    for place in (file, STORE):
        store = make_fleet_store(place)
        assert [seq for seq, _ in store.bodies("home", "pack_1", 1, 99)] == list(range(1, 61))
        store.close()
