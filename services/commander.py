"""Commands on their way: sent by QoS 2, and believed only when the device itself answers.

Neither PUBACK nor QoS 2 proves that anything happened: a broker without the right to pass a
command on says success too.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Literal

from paho.mqtt.client import MQTTMessage

from core.clock import Clock
from core.errors import RequestError, UnknownIdError
from core.fleet.messages import VERSION, Command, Reply, Status, read_small, said
from core.fleet.topics import address_of, device_topic
from services.fleet_link import Broker, Link, Manner

KEPT = 1000
CommandState = Literal["sent", "received", "executed", "refused", "expired"]


@dataclass(frozen=True, slots=True)
class CommandLife:
    """What is known of one command. state "expired": the device said so, or said nothing until
    its time was over."""

    command: Command
    device: str
    state: CommandState
    reason: str = ""


@dataclass(slots=True)
class _Lives:
    known: OrderedDict[str, CommandLife] = field(default_factory=OrderedDict)
    changed: threading.Condition = field(
        default_factory=lambda: threading.Condition(threading.RLock()))


class Commander:
    """Of one site; for any threads. client: the name that the broker knows it by."""

    def __init__(self, site: str, broker: Broker, clock: Clock, client: str = "gateway") -> None:
        self._site, self._clock, self._lives = site, clock, _Lives()
        self.link = Link(broker, f"{client}-{site}", [(f"pulsebms/{site}/+/status", 1)],
                         Manner(session_s=0), self._on_message)

    def start(self) -> None:
        self.link.start()

    def close(self) -> None:
        self.link.close()

    def send(self, device: str, action: str, issuer: str, ttl_s: float = 30.0,
             power_kw: float | None = None, hold_s: float | None = None) -> str:
        """The command's id; raises RequestError for what the schema does not know."""
        command = Command(v=VERSION, id=secrets.token_hex(16), issuer=issuer,
                          issued_s=self._clock.now().timestamp(), ttl_s=ttl_s,
                          action=action, power_kw=power_kw,  # type: ignore[arg-type]
                          hold_s=hold_s)
        payload = said(command)
        read_small(payload, Command)
        topic = device_topic(self._site, device, "commands")
        with self._lives.changed:
            self._lives.known[command.id] = CommandLife(command, device, "sent")
            while len(self._lives.known) > KEPT:
                self._lives.known.popitem(last=False)
        self.link.publish(topic, payload, 2, expiry_s=max(1, int(ttl_s)))
        return command.id

    def life(self, command_id: str) -> CommandLife:
        """As it is now; raises UnknownIdError."""
        with self._lives.changed:
            found = self._lives.known.get(command_id)
            if found is None:
                raise UnknownIdError(f"no command {command_id[:40]!r} was sent from here")
            over_s = found.command.issued_s + found.command.ttl_s
            if found.state == "sent" and self._clock.now().timestamp() > over_s:
                return replace(found, state="expired", reason="the device did not answer in time")
            return found

    def wait(self, command_id: str, seconds: float) -> CommandLife:
        """When the device has settled it, at the latest after `seconds` [s]."""
        with self._lives.changed:
            self._lives.changed.wait_for(
                lambda: self.life(command_id).state not in {"sent", "received"}, seconds)
            return self.life(command_id)

    def _on_message(self, topic: str, message: MQTTMessage, _connection: int) -> None:
        try:
            address = address_of(topic)
            status = read_small(bytes(message.payload), Status)
        except RequestError:
            return  # the ingest hears it too, counts and names it
        with self._lives.changed:
            for reply in status.replies:
                self._answered(address.device, reply)
            self._lives.changed.notify_all()

    def _answered(self, device: str, reply: Reply) -> None:
        """Only the device that was asked may answer, and what is settled stays so."""
        known = self._lives.known.get(reply.id)
        if known is not None and known.device == device and known.state in {"sent", "received"}:
            self._lives.known[reply.id] = replace(known, state=reply.state, reason=reply.reason)
