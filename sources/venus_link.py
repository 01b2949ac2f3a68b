"""The connection to a Venus GX's broker: sign-in, topics, keepalive (dbus-flashmq's README).

A Venus publishes only to whom asks for it: `R/<portal>/keepalive`, good for 60 s. The first
one, empty, makes it publish everything and `full_publish_completed` at the end. Later ones
suppress that, and changes alone come; so that a battery at rest is not taken for a silent one,
what has spoken is then asked to tell its values again.
"""

from __future__ import annotations

import re
import secrets
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import ConfigurationError, NotYetError, SourceError
from sources.venus_state import SYSTEM_SERVICE, VenusState
from sources.venus_topics import ACTIVE_BATTERY, BATTERIES, BATTERY, SYSTEM

if TYPE_CHECKING:  # paho is loaded by `start` alone
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S = 30.0
FULL_PUBLISH_WAIT_S = 3.0  # readings are shown then without `full_publish_completed`
FIRST_WAIT_S = 10.0  # so long, not to be connected yet is no failure
RECONNECT_S = (1, 30)
PING_S = 15  # a connection that is dead is seen after one to two of these
SUPPRESS = b'{"keepalive-options": ["suppress-republish"]}'
ANY_PORTAL = "N/+/#"
_PORTAL = re.compile(r"N/([A-Za-z0-9_-]{1,64})/.+")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and how to sign in. ca_file: "" = the machine's own authorities."""

    host: str
    port: int
    portal_id: str | None
    tls: bool
    ca_file: str
    username: str | None
    password: str | None = field(repr=False)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class VenusLink:
    """Fills a VenusState. interval_s: between two keepalives [s]. `seconds` tells the time since
    some moment [s]."""

    def __init__(self, broker: Broker, state: VenusState, interval_s: float,
                 seconds: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self._state = state
        self._interval_s = interval_s
        self._seconds = seconds
        self._client: Client | None = None
        self._lock = threading.RLock()
        self._connected = self._failed = False
        self._why = f"{broker.address}: not connected yet; this takes a few seconds"
        self._portal = broker.portal_id
        self._completed = False
        self._since_s = self._next_s = seconds()

    @property
    def portal(self) -> str | None:
        """The id of the GX, told or learnt."""
        with self._lock:
            return self._portal

    def start(self) -> None:
        """Connect, and connect again, in a thread of paho's; raises ConfigurationError."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        broker = self._broker
        client = Client(CallbackAPIVersion.VERSION2, f"orrery-{secrets.token_hex(6)}")
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            try:
                client.tls_set(ca_certs=broker.ca_file or None)
            except OSError as error:
                raise ConfigurationError("orrery.toml", "ca_file", broker.ca_file,
                                         "a file of certificates in PEM form") from error
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.reconnect_delay_set(*RECONNECT_S)
        client.connect_async(broker.host, broker.port, keepalive=PING_S)
        self._client = client
        self._since_s = self._seconds()
        client.loop_start()

    def close(self) -> None:
        """Disconnect and end the thread."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def tend(self) -> None:
        """Ask for more when it is time; called at every poll."""
        with self._lock:
            due = self._connected and self._seconds() >= self._next_s
        if due and self._client is not None:
            self._ask(self._client)

    def check(self) -> None:
        """Raises NotYetError while the first values are on their way, and SourceError, saying
        what to do, when there is nothing to read."""
        with self._lock:
            waited_s = self._seconds() - self._since_s
            if not self._connected:
                young = not self._failed and waited_s < FIRST_WAIT_S
                raise NotYetError(self._why) if young else SourceError(self._why)
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
        client.publish(f"R/{portal}/keepalive", b"" if full else SUPPRESS)
        if not full:
            for told in self._state.told:
                client.publish(f"R/{portal}/{told}", b"")

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

    # --- called in paho's thread ------------------------------------------------------------

    def _on_connect(self, client: Client, _data: object, _flags: object, reason: ReasonCode,
                    _properties: object) -> None:
        if reason.is_failure:
            with self._lock:
                self._failed = True
                self._why = (f"{self._broker.address} refuses the sign-in ({reason}); check "
                             "username and the variable that password_secret names")
            return
        self._state.clear()
        with self._lock:
            self._connected, self._completed = True, False
            self._since_s = self._seconds()
        self._subscribe(client)

    def _on_connect_fail(self, _client: Client, _data: object) -> None:
        address = self._broker.address
        if isinstance(sys.exception(), ssl.SSLCertVerificationError):
            why = (f"{address}: its certificate is not vouched for; check host, and give its "
                   "authority's certificate as ca_file")
        else:
            tls = ", and whether it speaks TLS there" if self._broker.tls else ""
            why = (f"{address} does not answer; it is tried again. Check host and port, on the "
                   f"GX Settings, Services, MQTT{tls}")
        with self._lock:
            self._failed, self._why = True, why

    def _on_disconnect(self, _client: Client, _data: object, _flags: object, reason: Any,
                       _properties: object) -> None:
        with self._lock:
            if self._connected:
                self._failed = True
                self._why = (f"{self._broker.address}: the connection is lost ({reason}); it is "
                             "tried again. Check that the GX is on and in the network")
            self._connected = False

    def _on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        if self._portal is None:
            self._learn(client, topic)
        elif topic == self._completed_topic:
            with self._lock:
                self._completed = not message.retain or self._completed
        else:
            self._state.take(topic, bytes(message.payload), message.retain)

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
