"""Commands on their way: sent by QoS 2, and believed only when the device itself answers.

Neither PUBACK nor QoS 2 proves that anything happened: a broker without the right to pass a
command on says success too.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from paho.mqtt.client import MQTTMessage

from core.clock import Clock, from_epoch
from core.errors import RequestError, UnknownIdError
from core.fleet.messages import VERSION, Command, Reply, Status, packed, read_small, said
from core.fleet.ports import CommandLife
from core.fleet.topics import address_of, device_topic
from services.fleet_link import Broker, Link, Manner

KEPT = 1000
OPEN = frozenset({"sent", "received"})
Publish = Callable[[str, bytes, int, int], None]
"""Topic, payload, QoS, and how long the broker may keep it [s]."""


class CommandBook:
    """What became of the commands of one site; for any threads."""

    def __init__(self, site: str, clock: Clock) -> None:
        self._site, self._clock = site, clock
        self._known: OrderedDict[str, CommandLife] = OrderedDict()
        self._changed = threading.Condition(threading.RLock())

    def send(self, publish: Publish, device: str, action: str, issuer: str, ttl_s: float = 30.0,
             power_kw: float | None = None, hold_s: float | None = None) -> CommandLife:
        """Raises RequestError for what the schema does not know."""
        now = self._clock.now()
        command = Command(v=VERSION, id=secrets.token_hex(16), issuer=issuer,
                          issued_s=now.timestamp(), ttl_s=ttl_s,
                          action=action, power_kw=power_kw,  # type: ignore[arg-type]
                          hold_s=hold_s)
        payload = said(command)
        read_small(packed(command), Command)  # JSON would hide a NaN as null
        topic = device_topic(self._site, device, "commands")
        life = CommandLife(command, device, "sent", changed_at=now)
        with self._changed:
            self._known[command.id] = life
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        publish(topic, payload, 2, max(1, int(ttl_s)))
        return life

    def life(self, command_id: str) -> CommandLife:
        """As it is now; raises UnknownIdError."""
        with self._changed:
            found = self._known.get(command_id)
            if found is None:
                raise UnknownIdError(f"no command {command_id[:40]!r} was sent from here")
            return self._now(found)

    def lives(self) -> list[CommandLife]:
        """The newest first."""
        with self._changed:
            return [self._now(found) for found in reversed(self._known.values())]

    def _now(self, life: CommandLife) -> CommandLife:
        over_s = life.command.issued_s + life.command.ttl_s
        if life.state != "sent" or self._clock.now().timestamp() <= over_s:
            return life
        return replace(life, state="expired", reason="the device did not answer in time",
                       changed_at=from_epoch(over_s))

    def wait(self, command_id: str, seconds: float) -> CommandLife:
        """When the device has settled it, at the latest after `seconds` [s]."""
        with self._changed:
            self._changed.wait_for(lambda: self.life(command_id).settled, seconds)
            return self.life(command_id)

    def heard(self, device: str, status: Status) -> None:
        """Only the device that was asked may answer, and what is settled stays so."""
        with self._changed:
            for reply in status.replies:
                self._answered(device, reply)
            self._changed.notify_all()

    def _answered(self, device: str, reply: Reply) -> None:
        known = self._known.get(reply.id)
        if known is not None and known.device == device and known.state in OPEN:
            self._known[reply.id] = replace(known, state=reply.state, reason=reply.reason,
                                            changed_at=self._clock.now())


class Commander:
    """Of one site, with a connection of its own; for any threads. client: the name that the
    broker knows it by."""

    def __init__(self, site: str, broker: Broker, clock: Clock, client: str = "gateway") -> None:
        self._book = CommandBook(site, clock)
        self.link = Link(broker, f"{client}-{site}", [(f"pulsebms/{site}/+/status", 1)],
                         Manner(session_s=0), self._on_message)

    def start(self) -> None:
        self.link.start()

    def close(self) -> None:
        self.link.close()

    def send(self, device: str, action: str, issuer: str, ttl_s: float = 30.0,
             power_kw: float | None = None, hold_s: float | None = None) -> str:
        """The command's id; raises RequestError for what the schema does not know."""
        return self._book.send(self.link.publish, device, action, issuer, ttl_s, power_kw,
                               hold_s).command.id

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
        self._book.heard(address.device, status)
