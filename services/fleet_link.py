"""One connection of the fleet to its broker: MQTT 5, paho, coming back by itself."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from paho.mqtt.client import (
    MQTT_ERR_QUEUE_SIZE,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTMessageInfo,
    MQTTv5,
)
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from core.errors import ConfigurationError
from core.fleet.rejections import WORDS, RejectedError, Rejection

log = logging.getLogger(__name__)

KEEPALIVE_S = 15
RECONNECT_S = (1, 10)
CONFLICT_PAUSE_S = 30
TAKEN_OVER = 0x8E
TOO_LARGE = WORDS[Rejection.BROKER_LIMIT]
PACKET_TOO_LARGE = 0x95
SHORT_S = 5.0
MOST_SHORT = 3
"""So many connections that ended within SHORT_S: somebody else has this client's id. Mosquitto 2.0
tells the one that it throws out nothing."""
TOPIC_AND_PROPERTIES_BYTES = 128
"""What a PUBLISH may have beside its payload: topic, properties, header [B]."""
MOST_HELD = 60_000
"""Messages that wait here for the broker's word; paho has 65,535 numbers for them."""
PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where and as whom. ca_file: the authority of the broker's certificate; cert_file, key_file:
    this client's own."""

    host: str
    port: int
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


def broker_at(url: str, **more: str) -> Broker:
    """`mqtt://host[:port]` or `mqtts://...`; raises ConfigurationError. more: fields of Broker."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in PORTS or not parts.hostname or port == -1 or "@" in url:
        raise ConfigurationError("the command line", "--broker",
                                 "(not shown)" if "@" in url else url, "mqtt://host:port or "
                                 "mqtts://host:port; name and password go beside it")
    for name in ("ca_file", "cert_file", "key_file"):
        if more.get(name) and not Path(more[name]).is_file():
            raise ConfigurationError("the command line", name, more[name], "a readable file")
    return Broker(host=parts.hostname, port=port or PORTS[parts.scheme],
                  tls=parts.scheme == "mqtts", **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to connect. session_s: how long the broker keeps the session [s]. manual_ack: the user
    acknowledges by `Link.acknowledge`. receive_most: messages in flight towards this client.
    in_flight: towards the broker; more than the broker's own receive maximum gets stuck.
    gives_way: pause where a second client has this one's id, instead of throwing it out again."""

    session_s: int
    manual_ack: bool = False
    receive_most: int = 20
    in_flight: int = 20
    will: tuple[str, bytes] | None = None
    gives_way: bool = False


class Link:
    """Callbacks run in paho's thread: on_message(topic, message, connection) with the number of
    the connection that it came by, on_up(), on_down(taken over). trouble: why there is no
    connection and what to do, "" while it comes about and when it stands. too_large: messages
    that were not sent, and connections that ended, because the broker lets no such through."""

    def __init__(self, broker: Broker, client_id: str, subscriptions: Sequence[tuple[str, int]],
                 manner: Manner, on_message: Callable[[str, MQTTMessage, int], None],
                 on_up: Callable[[], None] | None = None,
                 on_down: Callable[[bool], None] | None = None) -> None:
        self._broker, self._subscriptions = broker, list(subscriptions)
        self._on_message, self._on_up, self._on_down = on_message, on_up, on_down
        self._manner = manner
        self.connection = 0
        self.connected = threading.Event()
        self.most_bytes = 0
        self.trouble = ""
        self.too_large = 0
        self._cut = False
        self._since_s = 0.0
        self._short = 0
        self._client = self._made(client_id)

    def _made(self, client_id: str) -> Client:
        manner, broker = self._manner, self._broker
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5,
                        manual_ack=manner.manual_ack)
        client.max_inflight_messages_set(manner.in_flight)
        client.max_queued_messages_set(MOST_HELD)
        client.reconnect_delay_set(*RECONNECT_S)
        if broker.username:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            client.tls_set(broker.ca_file or None, broker.cert_file or None,
                           broker.key_file or None, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        if manner.will is not None:
            client.will_set(*manner.will, qos=0, retain=False)
        client.on_socket_open = _no_delay
        client.on_connect = self._connected
        client.on_connect_fail = self._not_connected
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        return client

    def start(self) -> None:
        """Connect, and connect again, in a thread of paho's."""
        wanted = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        wanted.SessionExpiryInterval = self._manner.session_s
        wanted.ReceiveMaximum = self._manner.receive_most
        self._client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S,
                                   clean_start=self._manner.session_s == 0, properties=wanted)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def fits(self, payload: bytes) -> bool:
        """Whether the broker takes it; one too large would be sent again at each reconnect."""
        size = len(payload) + TOPIC_AND_PROPERTIES_BYTES
        return not self.most_bytes or size <= self.most_bytes

    def publish(self, topic: str, payload: bytes, qos: int = 0,
                expiry_s: int | None = None) -> MQTTMessageInfo | None:
        """Never retained. expiry_s: how long the broker may keep it [s]. None, and nothing is
        sent, where the broker does not let so much through or MOST_HELD wait already."""
        if not self.fits(payload):
            self.too_large += 1
            log.error("%s: %d bytes are %s", topic, len(payload), TOO_LARGE)
            return None
        properties = None if expiry_s is None else _expiring(expiry_s)
        sent = self._client.publish(topic, payload, qos, properties=properties)
        return None if sent.rc == MQTT_ERR_QUEUE_SIZE else sent

    def publish_for(self, topic: str, payload: bytes, qos: int, expiry_s: int) -> None:
        """`publish` for a person who waits; raises RejectedError where it is not sent."""
        if self.publish(topic, payload, qos, expiry_s) is None:
            raise RejectedError(Rejection.BROKER_LIMIT, f"{len(payload)} bytes")

    def leave(self, topic: str) -> None:
        """Hear it no more: what a session of before still had."""
        self._client.unsubscribe(topic)

    def acknowledge(self, number: int, qos: int, connection: int) -> None:
        """Tell the broker that a message is safe, on the connection that it came by."""
        if connection == self.connection:
            self._client.ack(number, qos)

    # -- in paho's thread

    def _connected(self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode,
                   properties: Properties | None) -> None:
        if reason.is_failure:
            self.trouble = (f"the broker refuses this sign-in ({reason}); correct its name, "
                            "password or certificate")
            log.error("%s", self.trouble)
            return
        self.trouble = ""
        self._since_s = time.monotonic()
        self.connection += 1
        self.most_bytes = int(getattr(properties, "MaximumPacketSize", 0) or 0)
        client.reconnect_delay_set(*RECONNECT_S)
        if self._cut:
            self._leave_out_large(client)
        for topic, qos in self._subscriptions:
            client.subscribe(topic, options=SubscribeOptions(qos, noLocal=True))
        self.connected.set()
        if self._on_up is not None:
            self._on_up()

    def _leave_out_large(self, client: Client) -> None:
        """What cost the last connection; paho would send it at each new one, and lose each."""
        for message in client.drop_out_messages():
            message.info._set_as_published()
            payload = bytes(message.payload)
            if self.fits(payload):
                client.publish(message.topic, payload, message.qos, properties=message.properties)
            else:
                log.error("%s: %d bytes were %s", message.topic, len(payload), TOO_LARGE)

    def _not_connected(self, _client: Client, _data: object) -> None:
        if isinstance(sys.exception(), ssl.SSLError):
            self.trouble = (f"no TLS with the broker ({sys.exception()}); check the files of "
                            "certificates, and that it speaks TLS there")
        else:
            self.trouble = "the broker does not answer; it is tried again. Check that it runs"

    def _disconnected(self, client: Client, _data: object, _flags: DisconnectFlags,
                      reason: ReasonCode, _properties: Properties | None) -> None:
        if self.connected.is_set():
            self.trouble = f"the connection is lost ({reason}); it is tried again"
        self._cut = reason.value == PACKET_TOO_LARGE
        self.too_large += self._cut
        self.connected.clear()
        short = reason.is_failure and time.monotonic() - self._since_s < SHORT_S
        self._short = self._short + 1 if short else 0
        taken_over = reason.value == TAKEN_OVER or self._short >= MOST_SHORT
        if taken_over and self._manner.gives_way:
            self._short = 0
            client.reconnect_delay_set(CONFLICT_PAUSE_S, CONFLICT_PAUSE_S)
            log.error("the connection ends again and again, as if another client had this one's "
                      "id; it is tried again in %d s. Two devices with one id? End one",
                      CONFLICT_PAUSE_S)
        if self._on_down is not None:
            self._on_down(taken_over)

    def _message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._on_message(topic, message, self.connection)


@lru_cache(64)
def _expiring(expiry_s: int) -> Properties:
    """Made once: paho takes as long to make it as to send a message."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = expiry_s
    return properties


def _no_delay(_client: Client, _data: object, opened: object) -> None:
    """Without it on both sides a command takes 40 ms, with it 2."""
    if isinstance(opened, socket.socket):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def is_held(sent: MQTTMessageInfo) -> bool:
    """Whether the broker has not said yet that it has it: paho sends it, also by the next
    connection. What was handed over in the moment that a connection ended counts as not held."""
    try:
        return not sent.is_published()
    except (ValueError, RuntimeError):
        return False


def left_s(message: MQTTMessage) -> float | None:
    """What is left of a message's expiry, less what the broker kept it [s]."""
    found = getattr(message.properties, "MessageExpiryInterval", None)
    return None if found is None else float(found)
