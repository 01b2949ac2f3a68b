"""Commands on their way: sent by QoS 2, and believed only when the device itself answers.

Neither PUBACK nor QoS 2 proves that anything happened: a broker without the right to pass a
command on says success too.
"""

from __future__ import annotations

from paho.mqtt.client import MQTTMessage

from core.clock import Clock
from core.errors import RequestError
from core.fleet.command_book import CommandBook
from core.fleet.messages import Status, read_small
from core.fleet.ports import CommandLife
from core.fleet.topics import address_of
from services.fleet_link import Broker, Link, Manner


class Commander:
    """Of one site, with a connection of its own; for any threads. client: the name that the
    broker knows it by."""

    def __init__(self, site: str, broker: Broker, clock: Clock, client: str = "gateway") -> None:
        self._book = CommandBook(site, clock.now)
        self.link = Link(broker, f"{client}-{site}", [(f"pulsebms/{site}/+/status", 1)],
                         Manner(session_s=0), self._on_message)

    def start(self) -> None:
        self.link.start()

    def close(self) -> None:
        self.link.close()

    def send(self, device: str, action: str, issuer: str, ttl_s: float = 30.0,
             power_kw: float | None = None, hold_s: float | None = None,
             policy: bytes | None = None) -> str:
        """The command's id; raises RequestError for what the schema does not know."""
        return self._book.send(self.link.publish_for, device, action, issuer, ttl_s, power_kw,
                               hold_s, policy).command.id

    def life(self, command_id: str) -> CommandLife:
        """As it is now; raises UnknownIdError."""
        return self._book.life(command_id)

    def wait(self, command_id: str, seconds: float) -> CommandLife:
        """When the device has settled it, at the latest after `seconds` [s]."""
        return self._book.wait(command_id, seconds)

    def _on_message(self, topic: str, message: MQTTMessage, _connection: int) -> None:
        try:
            address = address_of(topic)
            status = read_small(bytes(message.payload), Status)
        except RequestError:
            return  # the ingest hears it too, counts and names it
        self._book.heard(address.device, status.replies)
