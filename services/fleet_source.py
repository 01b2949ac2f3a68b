"""A fleet of packs, live over a broker: what their devices publish, and commands back to them.

Packs are declared, so that the tree stands before the first message. Readings are the newest of
each pack, each with its device's own time. The wire already has Orrery's signs (law 1).
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from paho.mqtt.client import MQTTMessage

from core.actors import CONNECTIONS
from core.alarms.records import Finding
from core.clock import Clock, SystemClock
from core.errors import (
    ConfigurationError,
    GiveUpError,
    NotYetError,
    RequestError,
    SourceError,
    UnknownIdError,
)
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate, catalogue
from core.fleet.command_book import CommandBook
from core.fleet.messages import MOST_CELLS, Id, allocations, said
from core.fleet.ports import CommandLife, CommandStore, FleetCounts, FleetPast, PackState
from core.fleet.topics import allocation_topic, check_device, report_topic, turned_away_topic
from core.fleet.tree import roots
from core.frames import Reading
from core.ports import SourceInfo, StoreHealth, Talk
from core.registry import make_fleet_past
from core.secrets import secret
from core.talk import Conversation
from core.topology import Level, NodeSpec, Topology
from core.turned_away import Door, TurnedAway
from core.vocabulary import CHEMISTRIES
from services.fleet_doors import door_report
from services.fleet_heard import FleetHeard
from services.fleet_link import Broker, Link, Manner, broker_at
from services.fleet_past import StoredPast

FILE = "orrery.toml"
NOT_SHOWN = "(not shown)"
PERIOD_S = 1.0
PATIENCE_S = 10.0
"""So long, not to be connected or told anything yet is no failure."""
PING_WAIT_S = 5.0
HASTE_S = 10.0
"""So long the packs are not asked for everything again, and the broker is not left again [s]."""
MOST_ASKED = 50
LATER_S = 1e-3
"""From an order to the next, at least [s]."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
CellCount = Annotated[int, msgspec.Meta(ge=1, le=MOST_CELLS)]


class PackOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands on one pack. capacity_kwh: when new [kWh]. label: its device when left out."""

    chemistry: str
    cells: CellCount
    capacity_kwh: Annotated[float, msgspec.Meta(gt=0, le=1e6)]
    label: Text | None = None


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """packs: how many of the catalogue of simulated packs, or a table by device. cells: of every
    pack of the catalogue.

    broker: mqtt://host[:port] or mqtts://. password_secret: the NAME of an environment variable;
    `password` is known only to be refused without being shown. ca_file, cert_file, key_file: the
    broker's authority, and this client's own certificate. store: where the ingest keeps this
    fleet's telemetry, as its --store says it, one or several: then history is filled from the
    first of them that can answer.
    """

    packs: (Annotated[int, msgspec.Meta(ge=1, le=5000)]
            | Annotated[dict[Id, PackOptions], msgspec.Meta(min_length=1, max_length=5000)])
    cells: CellCount | None = None
    site: Id = "home"
    broker: str = "mqtt://127.0.0.1:1883"
    username: Text | None = None
    password_secret: str | None = None
    password: object = None
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    store: str | tuple[str, ...] = ""
    label: Text = "Fleet"
    stale_after_s: Annotated[float, msgspec.Meta(ge=2, le=3600)] = 10.0


def create(name: str, options: Options, levels: tuple[Level, ...],
           clock: Clock | None = None) -> MqttFleet:
    """Raises ConfigurationError. Connects in `start`."""
    plates = plates_of(name, options)
    system = roots(options.site, options.label, plates, levels)
    broker = broker_of(name, options)
    if not options.store:
        return MqttFleet(name, options, plates, system, broker, clock or SystemClock())
    past = make_fleet_past(options.store, FILE, f"{name}.store")
    return KeptFleet(name, options, plates, system, broker, clock or SystemClock(), past)


def plates_of(name: str, options: Options) -> tuple[PackPlate, ...]:
    """The declared packs in their order; raises ConfigurationError."""
    if isinstance(options.packs, int):
        return catalogue(options.packs, options.cells)
    if options.cells is not None:
        raise ConfigurationError(FILE, f"{name}.cells", options.cells,
                                 "nothing beside a table of packs, which tells it of each")
    for device, pack in options.packs.items():
        if pack.chemistry not in CHEMISTRIES:
            raise ConfigurationError(FILE, f"{name}.packs.{device}.chemistry", pack.chemistry,
                                     "one of " + ", ".join(CHEMISTRIES))
        try:
            check_device(device)
        except RequestError as error:
            raise ConfigurationError(FILE, f"{name}.packs", device, str(error)) from error
    return tuple(PackPlate(device, pack.label or device, pack.chemistry, pack.cells,
                           pack.capacity_kwh) for device, pack in options.packs.items())


def broker_of(name: str, options: Options) -> Broker:
    """Where to connect and how to sign in; raises ConfigurationError."""
    if "@" in options.broker:
        raise ConfigurationError(FILE, f"{name}.broker", NOT_SHOWN, "an address without name and "
                                 "password; they go into username and password_secret")
    try:
        return broker_at(options.broker, username=options.username or "",
                         password=_password(name, options), ca_file=options.ca_file,
                         cert_file=options.cert_file, key_file=options.key_file)
    except ConfigurationError as error:
        if error.file == FILE:
            raise
        raise ConfigurationError(FILE, f"{name}.{error.key.strip('-')}", error.value,
                                 error.allowed) from error


def _password(name: str, options: Options) -> str:
    """What a person wrote is in no message."""
    if options.password is not None:
        raise ConfigurationError(FILE, f"{name}.password", NOT_SHOWN, "no password in a file; put "
                                 "it in an environment variable and name that: password_secret")
    if options.password_secret is None:
        return ""
    found = secret(options.password_secret)
    if not found or options.username is None:
        raise ConfigurationError(FILE, f"{name}.password_secret", NOT_SHOWN, "the name of an "
                                 "environment variable that holds the password, with username")
    return found


class MqttFleet:
    """FleetSource and TalkingSource of kind "live"."""

    def __init__(self, name: str, options: Options, plates: Sequence[PackPlate],
                 system: tuple[NodeSpec, ...], broker: Broker, clock: Clock) -> None:
        self._info = SourceInfo(name, options.label, "live", PERIOD_S, options.stale_after_s,
                                "discharge")
        self._site, self._roots, self._broker, self._clock = options.site, system, broker, clock
        self._address = f"{broker.host}:{broker.port}"
        self._conversation = Conversation(clock)
        self._conversation.hide(broker.password)
        self._commands = CommandBook(options.site, clock.now)
        self._board = FleetBoard(options.site, plates)
        self._heard = FleetHeard(options.site, self._board, self._commands, clock,
                                 self._conversation)
        self._lock = threading.Lock()
        self._moving = threading.Lock()
        """Whoever makes, leaves or replaces the connection holds it: there is never a second."""
        self._link: Link | None = None
        self._since_s = self._asked_s = self._anew_s = self._issued_s = float("-inf")

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return self._roots

    def start(self, now: datetime, topology: Topology) -> None:
        """Begin to connect; comes back at once. Raises ConfigurationError."""
        _aware(now)
        self._board.place(topology)
        with self._moving:
            self._connect(self._made())

    def _made(self) -> Link:
        """Raises ConfigurationError, so that nothing is left for what cannot be begun."""
        own = f"pulsebms/{self._site}/+"
        topics = [(f"{own}/telemetry", 0), (f"{own}/status", 1), (f"{own}/ack", 0),
                  (report_topic(self._site), 0), (turned_away_topic(self._site), 0)]
        try:
            return Link(self._broker, f"orrery-{self._site}-{secrets.token_hex(4)}", topics,
                        Manner(session_s=0), self._on_message, on_up=self._on_up)
        except OSError as error:
            raise ConfigurationError(FILE, f"{self._info.name}.ca_file", self._broker.ca_file,
                                     "a file of certificates in PEM form, as cert_file and "
                                     "key_file") from error

    def _connect(self, link: Link) -> None:
        self._since_s = self._clock.monotonic_s()
        self._link = link
        link.start()

    def poll(self, now: datetime) -> Reading:
        """The newest of each pack. Raises NotYetError until the first is there, SourceError
        without a connection, and where no pack says anything."""
        _aware(now)
        self._usable()
        silent_s = now.timestamp() - self._heard.heard_s
        if not silent_s <= self._info.stale_after_s:
            raise self._failure(self._silence(silent_s))
        return self._board.reading(now)

    def _usable(self) -> Link:
        """The connection; raises SourceError."""
        link = self._link
        if link is None:
            raise GiveUpError(f"the fleet of {self._site} was asked before it was started")
        if not link.connected.is_set():
            trouble = link.trouble
            words = f"{self._address}: {trouble or 'not connected yet; this takes a moment'}"
            raise SourceError(words) if trouble else self._failure(words)
        return link

    def _failure(self, words: str) -> SourceError:
        """No failure yet where the connection is young."""
        young = self._clock.monotonic_s() - self._since_s < PATIENCE_S
        return NotYetError(words) if young else SourceError(words)

    def _silence(self, silent_s: float) -> str:
        """silent_s: NaN = never heard."""
        since = "yet" if silent_s != silent_s else f"for {silent_s:.0f} s"
        return (f"{self._address}: connected, but no pack of site {self._site!r} said anything "
                f"{since}. See that the edge devices run, that `site` and `packs` are theirs, and "
                "that the broker lets this username read")

    # -- FleetSource

    def packs(self) -> Sequence[PackState]:
        return self._board.packs()

    def findings(self) -> Sequence[Finding]:
        return self._board.findings()

    def counts(self) -> FleetCounts:
        link = self._link
        connected = link is not None and link.connected.is_set()
        return self._heard.counts(self._info.name, self._address, connected)

    def command(self, device: str, action: str, issuer: str, ttl_s: float = 30.0,
                power_kw: float | None = None, hold_s: float | None = None,
                policy: bytes | None = None) -> CommandLife:
        """Raises RequestError, UnknownIdError, and SourceError without a connection."""
        if device not in self._board.records:
            raise UnknownIdError(f"no pack is called {device[:80]!r}")
        link = self._usable()

        def publish(topic: str, payload: bytes, qos: int, expiry_s: int) -> None:
            self._conversation.sent(f"{topic} {payload.decode()}")
            link.publish_for(topic, payload, qos, expiry_s)

        return self._commands.send(publish, device, action, issuer, ttl_s, power_kw, hold_s,
                                   policy)

    def commands(self) -> Sequence[CommandLife]:
        return self._commands.lives()

    def allocate(self, power_kw: Mapping[str, float], valid_s: float,
                 lease_s: float | None = None) -> None:
        """By QoS 1; the broker forgets with the message's own end. One message is for all devices,
        and one that knows no leases would not take it with one. Raises as `FleetSource`."""
        unknown = next((one for one in power_kw if one not in self._board.records), None)
        if unknown is not None:
            raise UnknownIdError(f"no pack is called {unknown[:80]!r}")
        link = self._usable()
        topic = allocation_topic(self._site)
        lease_s = lease_s if self._board.knows_leases() else None
        # Devices take none that is not newer, also where this clock was set back.
        issued_s = max(self._seconds(), self._issued_s + LATER_S)
        messages = allocations(self._site, power_kw, issued_s, valid_s, lease_s)
        self._issued_s = issued_s
        for message in messages:
            link.publish_for(topic, said(message), 1, max(1, int(valid_s)))
        self._conversation.sent(f"{topic} {len(power_kw)} packs, "
                                f"{sum(power_kw.values()):.1f} kW together")

    def remember(self, store: CommandStore) -> None:
        """Raises RetryLaterError."""
        self._commands.remember(store)

    def reconnect(self) -> None:
        """Leave the broker and come back. Raises SourceError where somebody had it do so a moment
        ago, GiveUpError where there is nothing to leave, ConfigurationError."""
        with self._moving:
            if self._link is None:
                raise GiveUpError(f"the fleet of {self._site} has no connection to make anew: it "
                                  "is not started, or it was ended")
            left_s = self._anew_s + HASTE_S - self._clock.monotonic_s()
            if left_s > 0:
                raise SourceError(f"{self._address} was connected to anew a moment ago; it is "
                                  f"left alone for {math.ceil(left_s)} s")
            link = self._made()
            self._disconnect()
            self._conversation.sent(f"connects to {self._address} anew")
            self._connect(link)
            self._anew_s = self._clock.monotonic_s()

    # -- DoorSource

    def tell_turned_away(self, door: str, turned: TurnedAway) -> None:
        self._usable().publish(turned_away_topic(self._site),
                               said(door_report(self._site, door, turned)))

    def doors(self) -> Sequence[Door]:
        return self._heard.doors.told()

    # -- TalkingSource

    def talk(self) -> Talk:
        return self._conversation.talk()

    def ping(self) -> float:
        """Round trip to the first device that is online [s], on the caller's thread; raises
        SourceError."""
        online = [pack.device for pack in self._board.packs() if pack.link == "online"]
        if not online:
            self._usable()
            raise SourceError(f"{self._address}: no pack of site {self._site!r} is online yet, so "
                              "none can answer; each tells it within 10 s of its start")
        began_s = time.perf_counter()
        sent = self.command(online[0], "ping", CONNECTIONS, PING_WAIT_S)
        life = self._commands.wait(sent.command.id, PING_WAIT_S)
        if life.state != "executed":
            why = (f"{online[0]} does not answer within {PING_WAIT_S:g} s ({life.state} "
                   f"{life.reason}); see whether it runs")
            self._conversation.error(why)
            raise SourceError(why)
        return time.perf_counter() - began_s

    def ask_now(self) -> None:
        """Ping the packs that are not known to be online, else all, MOST_ASKED at once: each
        answers with its whole status. Telemetry comes each second unasked."""
        self._usable()
        with self._lock:
            left_s = self._asked_s + HASTE_S - self._clock.monotonic_s()
            if left_s > 0:
                raise SourceError(f"the packs were asked a moment ago; they are left alone for "
                                  f"{math.ceil(left_s)} s")
            self._asked_s = self._clock.monotonic_s()
        packs = self._board.packs()
        away = [pack for pack in packs if pack.link != "online"]
        for pack in (away or packs)[:MOST_ASKED]:
            self.command(pack.device, "ping", CONNECTIONS, HASTE_S)

    def close(self) -> None:
        """Disconnect; ends the thread of the connection."""
        with self._moving:
            self._disconnect()
        self._commands.close()

    def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _on_up(self) -> None:
        self._conversation.heard(f"connected to {self._address}")

    def _on_message(self, topic: str, message: MQTTMessage, _connection: int) -> None:
        self._heard.message(topic, bytes(message.payload), message.retain)

    def _seconds(self) -> float:
        return self._clock.now().timestamp()


class KeptFleet(MqttFleet):
    """Also a KeptSource: the ingest's store tells its past."""

    def __init__(self, name: str, options: Options, plates: Sequence[PackPlate],
                 system: tuple[NodeSpec, ...], broker: Broker, clock: Clock,
                 store: FleetPast) -> None:
        super().__init__(name, options, plates, system, broker, clock)
        self._store = store
        self._past = StoredPast(options.site, plates, store, self._heard.refuse_stored)
        self._topology: Topology | None = None

    def start(self, now: datetime, topology: Topology) -> None:
        """As an MqttFleet."""
        self._topology = topology
        super().start(now, topology)

    def kept_since(self) -> datetime | None:
        """Raises RetryLaterError."""
        return self._past.since()

    def backfill(self, start: datetime, end: datetime, step_s: float) -> Iterator[Reading]:
        """What the store holds of it; raises RetryLaterError."""
        if self._topology is None:
            raise GiveUpError(f"the fleet of {self._site} was asked before it was started")
        return self._past.readings(self._topology, start, end, step_s)

    def late(self, after: datetime, until: datetime, late_s: float) -> list[datetime]:
        """Raises RetryLaterError."""
        return self._past.late(after, until, late_s)

    def kept(self) -> StoreHealth:
        return self._store.health()

    def close(self) -> None:
        """And leaves the store."""
        super().close()
        self._store.close()


def _aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise GiveUpError("law 3: a time without a zone")
