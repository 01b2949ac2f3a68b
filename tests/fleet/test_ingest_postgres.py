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


def test_each_once_over_kills_of_ingest_and_server(mosquitto: Mosquitto, centre: Process,
                                                   postgres: PostgresServer) -> None:
    talker = Talker(broker_of(mosquitto), "talker", "pulsebms/home/+/ack")
    messages = [message(seq) for seq in range(1, 61)]

    def send_until(high: int) -> None:
        """The broker knows the ingest only once it is there; an outbox would say it again too."""
        def told() -> bool:
            settled = max((ack.high for ack in talker.acks("pack_1")), default=0)
            for seq in range(settled, high):
                talker.say("pulsebms/home/pack_1/telemetry", messages[seq])
            return settled == high

        until(told, f"{high} are settled:\n{centre.said()}", 30.0)

    send_until(20)
    centre.kill()
    centre.start()
    send_until(40)
    postgres.kill()
    postgres.start()
    send_until(60)
    talker.close()
    assert centre.stop() == 0, centre.said()
    assert "s3cret" not in centre.said()
    store = make_fleet_store(STORE)
    assert [seq for seq, _ in store.bodies("home", "pack_1", 1, 99)] == list(range(1, 61))
    store.close()
