"""The connection to a Venus GX's broker: sign-in, topics, keepalive (dbus-flashmq's README).

A Venus publishes only to whom asks for it: `R/<portal>/keepalive`, good for 60 s. The first
one, empty, makes it publish everything and `full_publish_completed` at the end. Later ones
suppress that, and changes alone come; so that a battery at rest is not taken for a silent one,
what has spoken is then asked to tell its values again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import NotYetError, SourceError
from sources.mqtt_link import FIRST_WAIT_S as FIRST_WAIT_S
from sources.mqtt_link import Broker, MqttLink
from sources.venus_state import SYSTEM_SERVICE, VenusState
from sources.venus_topics import ACTIVE_BATTERY, BATTERIES, BATTERY, SYSTEM

if TYPE_CHECKING:  # paho is loaded by `start` alone
    from paho.mqtt.client import Client

KEEPALIVE_S = 30.0
FULL_PUBLISH_WAIT_S = 3.0  # readings are shown then without `full_publish_completed`
SUPPRESS = b'{"keepalive-options": ["suppress-republish"]}'
ANY_PORTAL = "N/+/#"
_PORTAL = re.compile(r"N/([A-Za-z0-9_-]{1,64})/.+")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenusBroker(Broker):
    """portal_id: None = learnt."""

    portal_id: str | None = None


class VenusLink(MqttLink):
    """Fills a VenusState. interval_s: between two keepalives [s]."""

    who = "the GX"
    where = ", on the GX Settings, Services, MQTT"

    def __init__(self, broker: VenusBroker, state: VenusState, interval_s: float,
                 seconds: Callable[[], float] = time.monotonic) -> None:
        super().__init__(broker, seconds)
        self._state = state
        self._interval_s = interval_s
        self._portal = broker.portal_id
        self._completed = False
        self._next_s = self._since_s

    @property
    def portal(self) -> str | None:
        """The id of the GX, told or learnt."""
        with self._lock:
            return self._portal

    def tend(self) -> None:
        """Ask for more when it is time; called at every poll."""
        with self._lock:
            due = self._connected and self._seconds() >= self._next_s
        if due and self._client is not None:
            self._ask(self._client)

    def check(self) -> None:
        """As MqttLink's, and NotYetError while the first values are on their way."""
        super().check()
        with self._lock:
            waited_s = self._seconds() - self._since_s
            if not self._completed and waited_s < FULL_PUBLISH_WAIT_S:
                raise NotYetError(
                    f"{self._broker.address}: connected; the first values are on their way")
            if self._portal is None:
                raise SourceError(
                    f"{self._broker.address}: connected, but no Victron topic (N/...) comes; "
                    "is this the GX's own broker? Else name its portal_id")

    def _ask(self, client: Client) -> None:
        """One keepalive, empty (everything, please) until a full publish was completed."""
        with self._lock:
            portal, full = self._portal, not self._completed
            self._next_s = self._seconds() + self._interval_s
        if portal is None:
            return
        self._publish(client, f"R/{portal}/keepalive", b"" if full else SUPPRESS)
        if not full:
            for told in self._state.told:
                self._publish(client, f"R/{portal}/{told}", b"")

    def _ask_everything(self, client: Client) -> None:
        portal = self.portal
        if portal is not None:
            self._publish(client, f"R/{portal}/keepalive", b"")

    def _forget(self) -> None:
        self._state.clear()
        with self._lock:
            self._completed = False

    def _subscribe(self, client: Client) -> None:
        portal = self._portal
        if portal is None:
            client.subscribe(ANY_PORTAL)
            return
        below = [*(f"battery/+{path}" for path in BATTERY),
                 *(SYSTEM_SERVICE + path for path in (*SYSTEM, ACTIVE_BATTERY, BATTERIES)),
                 "full_publish_completed"]
        client.subscribe([(f"N/{portal}/{topic}", 0) for topic in below])
        self._ask(client)

    @property
    def _completed_topic(self) -> str:
        return f"N/{self._portal}/full_publish_completed"

    def _take(self, client: Client, topic: str, payload: bytes, retained: bool) -> None:
        if self._portal is None:
            self._learn(client, topic)
        elif topic == self._completed_topic:
            with self._lock:
                self._completed = not retained or self._completed
        else:
            self._state.take(topic, payload, retained)

    def _learn(self, client: Client, topic: str) -> None:
        """Take the portal of the first topic; the Serial is retained, so this is soon."""
        found = _PORTAL.fullmatch(topic)
        if found is None:
            return
        with self._lock:
            self._portal = found[1]
            self._since_s = self._seconds()
        client.unsubscribe(ANY_PORTAL)
        self._subscribe(client)
