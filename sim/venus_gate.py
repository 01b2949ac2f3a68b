"""A Venus GX's side of its MQTT protocol, without a network: who asks gets answers.

After dbus-flashmq (README and src/state.cpp): nothing is told unless a keepalive came within
60 s, only `system/0/Serial` is retained, a device that goes empties its topics.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

KEEPALIVE_S = 60.0
HEARTBEAT_S = 3.0
FULL_PUBLISHES_PER_S = 3
SERIAL = "system/0/Serial"
KEEPALIVES = ("keepalive", SERIAL)  # the second one is what older programs send
COMPLETED = "full_publish_completed"
ECHO = "full-publish-completed-echo"
SUPPRESS = b"suppress-republish"
SHORTEST_READ = 3  # service, instance, and something below

Publish = Callable[[str, bytes, bool], None]


def payload(value: object) -> bytes:
    """A value as a topic carries it; None is "not known". Raises ValueError for NaN."""
    return json.dumps({"value": value}, allow_nan=False).encode()


class VenusGate:
    """publish: sends topic, payload and whether it is retained. seconds: since some moment [s].

    A topic here is what follows `N/<portal>/`, such as `battery/288/Soc`. May be used from
    several threads.
    """

    def __init__(self, portal_id: str, publish: Publish,
                 seconds: Callable[[], float] = time.monotonic,
                 unix_s: Callable[[], float] = time.time) -> None:
        self.portal_id = portal_id
        self._publish = publish
        self._seconds = seconds
        self._unix_s = unix_s
        self._lock = threading.RLock()
        self._tree: dict[str, bytes] = {SERIAL: payload(portal_id)}
        self._alive_until_s = -KEEPALIVE_S
        self._heartbeat_s = 0.0
        self._second = -1
        self._published = 0

    @property
    def alive(self) -> bool:
        """Whether somebody asked within KEEPALIVE_S."""
        with self._lock:
            return self._seconds() < self._alive_until_s

    def connected(self) -> None:
        """What is said to a broker at once."""
        self._send("keepalive", b"1")
        self._send(SERIAL, self._tree[SERIAL], retain=True)

    def tell(self, values: Mapping[str, bytes]) -> None:
        """Values as they are now; those that changed are published while somebody listens."""
        with self._lock:
            changed = [topic for topic, said in values.items() if self._tree.get(topic) != said]
            self._tree.update(values)
            if self.alive:
                self._send_all(changed)

    def gone(self, service: str) -> None:
        """A device leaves, `battery/288` say: its topics are emptied, whoever listens."""
        with self._lock:
            for topic in self._below(service):
                if topic != SERIAL:
                    del self._tree[topic]
                    self._send(topic, b"")

    def tend(self) -> None:
        """The heartbeat; call it once a second or so."""
        with self._lock:
            if self.alive and self._seconds() >= self._heartbeat_s:
                self._heartbeat_s = self._seconds() + HEARTBEAT_S
                self._send("heartbeat", payload(int(self._unix_s())))

    def requested(self, topic: str, said: bytes) -> None:
        """A message to `R/<portal>/...`; any other, a write too, changes nothing here: what
        is simulated refuses to be set, as a D-Bus item that is read-only does."""
        kind, _, rest = topic.partition("/")
        portal, _, below = rest.partition("/")
        if kind != "R" or portal != self.portal_id:
            return
        if below in KEEPALIVES:
            self._keepalive(said)
        elif below.count("/") + 1 >= SHORTEST_READ:
            with self._lock:
                self._send_all([below] if below in self._tree else self._below(below))

    def _keepalive(self, said: bytes) -> None:
        with self._lock:
            if SUPPRESS not in said and self._may_publish_all():
                self._send_all(list(self._tree))
                echo = _echo(said)
                done = {"value": int(self._unix_s())} | ({} if echo is None else {ECHO: echo})
                self._send(COMPLETED, json.dumps(done).encode())
            self._alive_until_s = self._seconds() + KEEPALIVE_S
        self.tend()

    def _may_publish_all(self) -> bool:
        """Some programs ask hundreds of times; FULL_PUBLISHES_PER_S are answered."""
        second = int(self._seconds())
        if second != self._second:
            self._second, self._published = second, 0
        self._published += 1
        return self._published <= FULL_PUBLISHES_PER_S

    def _below(self, path: str) -> list[str]:
        return [topic for topic in self._tree if topic.startswith(path + "/")]

    def _send_all(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._send(topic, self._tree[topic], retain=topic == SERIAL)

    def _send(self, topic: str, said: bytes, *, retain: bool = False) -> None:
        self._publish(f"N/{self.portal_id}/{topic}", said, retain)


def _echo(said: bytes) -> str | None:
    """The last echo that the options of a keepalive name; None without one that is text."""
    try:
        options: Any = json.loads(said)["keepalive-options"]
        echoes = [option[ECHO] for option in options if isinstance(option, dict)]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return echoes[-1] if echoes and isinstance(echoes[-1], str) else None
