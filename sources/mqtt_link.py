"""The connection to an MQTT broker: sign-in, TLS, coming back after a loss, and what is said.

A kind of source makes a subclass of MqttLink. paho connects, and connects again with growing
pauses, on a thread of its own; the engine's thread never waits for it.
"""

from __future__ import annotations

import math
import re
import secrets
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.clock import Clock
from core.errors import ConfigurationError, NotYetError, SourceError
from core.ports import Talk
from core.secrets import secret
from core.talk import LONGEST, Conversation

if TYPE_CHECKING:  # paho is loaded by `start` alone
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

FILE = "orrery.toml"
NOT_SHOWN = "(not shown)"
PORT, TLS_PORT = 1883, 8883
FIRST_WAIT_S = 10.0  # so long, not to be connected yet is no failure
RECONNECT_S = (1, 30)
KEEPALIVE_S = 15  # a connection that is dead is seen after one to two of these
PING_WAIT_S = 5.0
ANEW_S = 10.0  # so long the broker is not left again
MOST_ANSWERS = 64
NOT_YET = "not connected yet; this takes a few seconds"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
                   r"(\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*\.?|[0-9A-Fa-f:]{2,45}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where and how to sign in. ca_file: "" = the machine's own authorities."""

    host: str
    port: int
    tls: bool = False
    ca_file: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def check_host(name: str, host: str) -> None:
    """Raises ConfigurationError for what is no host name and no address."""
    if not _HOST.fullmatch(host):
        raise ConfigurationError(FILE, f"{name}.host", host[:80],
                                 "a host name or an address, without a port or mqtt://")


def check_ca_file(name: str, ca_file: str, tls: bool) -> None:
    """Raises ConfigurationError for a file that is not there or has no use."""
    if ca_file and not (tls and Path(ca_file).is_file()):
        raise ConfigurationError(FILE, f"{name}.ca_file", ca_file,
                                 "a readable file, together with tls = true")


def password_of(name: str, username: str | None, password_secret: str | None,
                literal: object) -> str | None:
    """Out of the environment or the secrets file; what a person wrote is in no message.
    literal: a password in the file itself, which is refused. Raises ConfigurationError."""
    if literal is not None:
        raise ConfigurationError(FILE, f"{name}.password", NOT_SHOWN, "no password in a file; put "
                                 "it in an environment variable and name that: password_secret")
    if password_secret is None:
        return None
    found = secret(password_secret)
    if not found or username is None:
        raise ConfigurationError(FILE, f"{name}.password_secret", NOT_SHOWN, "the name of an "
                                 "environment variable that holds the password, with username")
    return found


class MqttLink:
    """What every kind has in common. `seconds` tells the time since some moment [s].

    who: who must be on, for messages; where: where to look for host and port. haste_s: how
    often a person may ask for everything [s].
    """

    who = "the broker"
    where = ""
    haste_s = 1.0

    def __init__(self, broker: Broker, seconds: Callable[[], float] = time.monotonic,
                 clock: Clock | None = None) -> None:
        self._broker = broker
        self._seconds = seconds
        self.conversation = Conversation(clock)
        self.conversation.hide(broker.password or "")
        self._client: Client | None = None
        self._lock, self._moving = threading.RLock(), threading.Lock()
        self._connected = self._failed = False
        self._why = f"{broker.address}: {NOT_YET}"
        self._refused = ""
        self._since_s = seconds()
        self._hasty_until_s = self._anew_s = -float("inf")
        self._ended = False
        self._answers: dict[int, float] = {}
        self._answered = threading.Condition()

    # --- what a kind says -------------------------------------------------------------------

    def _forget(self) -> None:
        """A new connection begins: what the old one told is of unknown age."""

    def _subscribe(self, client: Client) -> None:
        """Subscribe to what is read, and ask for it."""
        raise NotImplementedError

    def _take(self, client: Client, topic: str, payload: bytes, retained: bool) -> None:
        """One message; called in paho's thread."""
        raise NotImplementedError

    def _ask_everything(self, client: Client) -> None:
        """Have the device tell all that it knows."""
        raise NotImplementedError

    # --- for its source ---------------------------------------------------------------------

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
                raise ConfigurationError(FILE, "ca_file", broker.ca_file,
                                         "a file of certificates in PEM form") from error
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.reconnect_delay_set(*RECONNECT_S)
        client.connect_async(broker.host, broker.port, keepalive=KEEPALIVE_S)
        self._client = client
        self._since_s = self._seconds()
        client.loop_start()

    def close(self) -> None:
        """Disconnect and end the thread, for good."""
        with self._moving:
            self._ended = True
            self._leave()

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def reconnect(self) -> None:
        """Leave the broker and come back; raises ConfigurationError, and SourceError after the
        end and where somebody had it do so a moment ago."""
        with self._moving:
            if self._ended:
                raise SourceError(f"the connection to {self._broker.address} was ended")
            left_s = self._anew_s + ANEW_S - self._seconds()
            if left_s > 0:
                raise SourceError(f"{self._broker.address} was connected to anew a moment ago; it "
                                  f"is left alone for {math.ceil(left_s)} s")
            self._leave()
            with self._lock:
                self._connected = self._failed = False
                self._refused = ""
                self._why = f"{self._broker.address}: {NOT_YET}"
            self.conversation.sent(f"connects to {self._broker.address} anew")
            self.start()
            self._anew_s = self._seconds()

    def check(self) -> None:
        """Raises NotYetError while the connection comes about, and SourceError, saying what to
        do, when there is none."""
        with self._lock:
            if self._refused:
                raise SourceError(self._refused)
            if self._connected:
                return
            young = not self._failed and self._seconds() - self._since_s < FIRST_WAIT_S
            raise NotYetError(self._why) if young else SourceError(self._why)

    def talk(self) -> Talk:
        return self.conversation.talk()

    def ping(self) -> float:
        """Round trip to the broker, which need not reach the device [s]: an UNSUBSCRIBE of a
        topic that nobody subscribed to, which every broker must answer and which changes
        nothing. Raises SourceError."""
        client = self._usable()
        self.conversation.sent("ping (UNSUBSCRIBE of nothing)")
        began_s = time.perf_counter()
        number = client.unsubscribe(f"orrery/ping/{secrets.token_hex(6)}")[1] or 0
        with self._answered:
            came = self._answered.wait_for(lambda: number in self._answers, PING_WAIT_S)
            ended_s = self._answers.pop(number, began_s)
        if not came:
            why = f"{self._broker.address}: the broker does not answer within {PING_WAIT_S:g} s"
            self.conversation.error(why)
            raise SourceError(f"{why}; see whether it is on and in the network")
        self.conversation.heard(f"the broker answers the ping after "
                                f"{1000.0 * (ended_s - began_s):.1f} ms")
        return ended_s - began_s

    def ask_now(self) -> None:
        """Ask for everything; raises SourceError without a connection, and within haste_s of
        the last time."""
        client = self._usable()
        with self._lock:
            now_s = self._seconds()
            if now_s < self._hasty_until_s:
                raise SourceError(f"{self._broker.address} was asked a moment ago; it is left "
                                  f"alone for {self._hasty_until_s - now_s:.0f} s")
            self._hasty_until_s = now_s + self.haste_s
        self._ask_everything(client)

    def _usable(self) -> Client:
        self.check()
        client = self._client
        if client is None:
            raise SourceError(f"{self._broker.address} is not asked any more")
        return client

    def _publish(self, client: Client, topic: str, payload: bytes) -> None:
        self.conversation.sent(_line(topic, payload))
        client.publish(topic, payload)

    # --- called in paho's thread ------------------------------------------------------------

    def _on_connect(self, client: Client, _data: object, _flags: object, reason: ReasonCode,
                    _properties: object) -> None:
        if reason.is_failure:
            self._fail(f"{self._broker.address} refuses the sign-in ({reason}); check username "
                       "and the variable that password_secret names")
            return
        self._forget()
        with self._lock:
            self._connected, self._refused = True, ""
            self._since_s = self._seconds()
        self.conversation.heard(f"connected to {self._broker.address}")
        self._subscribe(client)

    def _on_connect_fail(self, _client: Client, _data: object) -> None:
        address = self._broker.address
        if isinstance(sys.exception(), ssl.SSLCertVerificationError):
            self._fail(f"{address}: its certificate is not vouched for; check host, and give its "
                       "authority's certificate as ca_file")
            return
        tls = ", and whether it speaks TLS there" if self._broker.tls else ""
        self._fail(f"{address} does not answer; it is tried again. Check host and port"
                   f"{self.where}{tls}")

    def _on_disconnect(self, _client: Client, _data: object, _flags: object, reason: Any,
                       _properties: object) -> None:
        with self._lock:
            was, self._connected, self._refused = self._connected, False, ""
        if was and self._client is not None:
            self._fail(f"{self._broker.address}: the connection is lost ({reason}); it is tried "
                       f"again. Check that {self.who} is on and in the network")

    def _on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self.conversation.error("a message with a topic that is no text")
            return
        payload = bytes(message.payload)
        self.conversation.heard(_line(topic, payload, message.retain))
        self._take(client, topic, payload, message.retain)

    def _on_subscribe(self, _client: Client, _data: object, _number: int,
                      reasons: Sequence[ReasonCode], _properties: object) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        if refused:
            why = (f"{self._broker.address} does not let this sign-in read these topics "
                   f"({refused[0]}); correct username, or what the broker allows it")
            with self._lock:
                self._refused = why
            self.conversation.error(why)

    def _on_unsubscribe(self, _client: Client, _data: object, number: int, _reasons: object,
                        _properties: object) -> None:
        with self._answered:
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            self._answers[number] = time.perf_counter()
            self._answered.notify_all()

    def _fail(self, why: str) -> None:
        with self._lock:
            self._failed, self._why = True, why
        self.conversation.error(why)


def _line(topic: str, payload: bytes, retained: bool = False) -> str:
    said = payload[:LONGEST].decode(errors="replace")
    return f"{topic} {said}{' (retained, of unknown age)' if retained else ''}"
