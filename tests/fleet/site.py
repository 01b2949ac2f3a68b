"""A client of a real broker that says what it likes, and an ingest in this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage

from bench._fleet import LOOPBACK, Mosquitto
from bench._postgres import PostgresServer
from core.clock import SystemClock
from core.fleet.messages import Ack, read_small
from core.fleet.ports import FleetStore
from core.registry import make_fleet_store
from services.fleet_link import Broker, Link, Manner
from services.ingest.subscriber import Ingest
from tests.sources.mosquitto import until


def broker_of(mosquitto: Mosquitto) -> Broker:
    return Broker(host=LOOPBACK, port=mosquitto.port)


class Talker:
    """Publishes anything; `heard` is what came on its topics, `how` each came: quality of service,
    what is left of its expiry [s], retained."""

    def __init__(self, broker: Broker, name: str, *topics: str, connects: bool = True) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.how: list[tuple[int, int | None, bool]] = []
        self.link = Link(broker, name, [(topic, 2) for topic in topics], Manner(session_s=0),
                         self._on_message)
        self.link.start()
        if connects:
            until(self.link.connected.is_set, f"{name} connects")

    def _on_message(self, topic: str, message: MQTTMessage, _connection: int) -> None:
        self.how.append((message.qos, getattr(message.properties, "MessageExpiryInterval", None),
                         message.retain))
        self.heard.append((topic, bytes(message.payload)))

    def say(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self.link.publish(topic, payload, qos)

    def acks(self, device: str) -> list[Ack]:
        return [read_small(payload, Ack) for topic, payload in list(self.heard)
                if topic == f"pulsebms/home/{device}/ack"]

    def close(self) -> None:
        self.link.close()


def without_delay(link: Link) -> bool:
    """Whether its socket sends each packet at once."""
    opened = link._client.socket()
    assert isinstance(opened, socket.socket)
    return opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@contextmanager
def ingesting(broker: Broker, folder: Path,
              devices: list[str] | None = None) -> Iterator[tuple[Ingest, FleetStore]]:
    """An ingest on a thread of its own."""
    store = make_fleet_store(f"sqlite:{folder / 'store' / 'fleet.sqlite'}")
    ingest, stop = Ingest("home", store, broker, SystemClock(), devices), threading.Event()
    thread = threading.Thread(target=ingest.run, args=(stop,))
    thread.start()
    try:
        until(ingest.link.connected.is_set, "the ingest connects")
        yield ingest, store
    finally:
        stop.set()
        thread.join(10)
        store.close()


def fleet_place(request: pytest.FixtureRequest, folder: Path,
                monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store of the kind that the fixture is asked for, as `--store` names it."""
    if request.param != "postgres":
        return f"{request.param}:{folder / 'fleet' / 'fleet.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    monkeypatch.setenv("FLEET_URL", server.new_schema())
    return "postgres:FLEET_URL"
