"""A heat pump by MQTT: live from the broker that a Husdata H60 or H66 gateway publishes to.

Each register has a topic of its own and so an age of its own. A retained message is of any age:
it is said that it came, and its value is not used; a live one follows soon, for the gateway is
asked for everything at each connection.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Protocol

import msgspec
import numpy as np

from core.clock import Clock, SystemClock
from core.devices import Device, in_order
from core.errors import GiveUpError, NotYetError, SourceError
from core.frames import Reading
from core.heatpump.decode import decode
from core.heatpump.profile import (
    Profile,
    PumpOptions,
    device_of,
    load_profile,
    require_transport,
)
from core.houses import House
from core.ports import SourceInfo, Talk
from core.talk import Conversation
from core.topology import DEFAULT_LEVELS, Level, NodeSpec, Topology
from sources.husdata import Problems
from sources.husdata_link import HusdataLink
from sources.husdata_state import HusdataState, News
from sources.mqtt_link import (
    FILE,
    PORT,
    TLS_PORT,
    Broker,
    check_ca_file,
    check_host,
    password_of,
)
from sources.polling import STALE_PERIODS, said

PROBE_S = 8.0  # a settings form waits so long
QUIET_S = 0.5  # a gateway that told all is silent for a while

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Prefix = Annotated[str, msgspec.Meta(
    pattern=r"^([A-Za-z0-9_.:-]{1,64}(/[A-Za-z0-9_.:-]{1,64}){0,4})?\Z")]


class Options(PumpOptions, kw_only=True, forbid_unknown_fields=True):
    """prefix: what its topics begin with, the gateway's MAC address as it writes it; "" = learnt,
    where only one gateway publishes. password_secret: the NAME of an environment variable;
    `password` is known only to be refused without being shown. port: 1883, with TLS 8883, when
    left out. ask_every_s: between two GETALL [s]. transport: whose scales of the profile hold:
    "mqtt" = engineering units; "http" = whole numbers, temperatures in tenths."""

    host: str
    prefix: Prefix = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    tls: bool = False
    ca_file: str = ""
    username: Text | None = None
    password_secret: str | None = None
    password: object = None
    ask_every_s: Annotated[float, msgspec.Meta(ge=60, le=3600)] = 300.0
    transport: Literal["mqtt", "http"] = "mqtt"


class Link(Protocol):
    """What fills a HusdataState; `HusdataLink` in life."""

    @property
    def conversation(self) -> Conversation: ...
    def start(self) -> None: ...
    def tend(self) -> None: ...
    def check(self) -> None: ...
    def silence(self, why: str = "") -> SourceError: ...
    def talk(self) -> Talk: ...
    def ping(self) -> float: ...
    def ask_now(self) -> None: ...
    def reconnect(self) -> None: ...
    def close(self) -> None: ...


def create(name: str, options: Options, levels: tuple[Level, ...]) -> HusdataMqtt:
    """One pump; raises ConfigurationError. Connects in `start`."""
    profile = load_profile(options.profile)
    require_transport(profile, options.transport, name, FILE)
    state = state_for(profile, options)
    link = HusdataLink(broker_of(name, options), options.prefix, state, options.ask_every_s)
    return HusdataMqtt(name, options, profile, state, link)


def state_for(profile: Profile, options: Options,
              seconds: Callable[[], float] = time.monotonic) -> HusdataState:
    """An empty one; `seconds` tells the time since some moment [s]."""
    return HusdataState(options.prefix, [register.id for register in profile.registers],
                        STALE_PERIODS * options.ask_every_s, seconds)


def broker_of(name: str, options: Options) -> Broker:
    """Where to connect and how to sign in; raises ConfigurationError."""
    check_host(name, options.host)
    check_ca_file(name, options.ca_file, options.tls)
    password = password_of(name, options.username, options.password_secret, options.password)
    return Broker(host=options.host, port=options.port or (TLS_PORT if options.tls else PORT),
                  tls=options.tls, ca_file=options.ca_file, username=options.username,
                  password=password)


def probe(options: Options, clock: Clock | None = None) -> str:
    """Connect once, wait at most PROBE_S for the first values and say what was found.

    Blocks. Raises SourceError when nothing can be read, and ConfigurationError.
    """
    clock, stop = clock or SystemClock(), threading.Event()
    source = create("husdata", options, DEFAULT_LEVELS)
    begin = heard_at = clock.now()
    source.start(begin, Topology(DEFAULT_LEVELS, source.roots))
    try:
        while True:
            now = clock.now()
            late = (now - begin).total_seconds() >= PROBE_S
            try:
                heard = source.poll(now).channels_heard
                if heard is not None and heard.any():
                    heard_at = now
                if late or (now - heard_at).total_seconds() >= QUIET_S:
                    return source.found()
            except NotYetError as error:
                if late:
                    raise SourceError(str(error)) from error
            clock.wait(0.05, stop)
    finally:
        source.close()


class HusdataMqtt:
    """DeviceSource, TalkingSource and ProblemTelling of kind "live", without systems."""

    def __init__(self, name: str, options: Options, profile: Profile, state: HusdataState,
                 link: Link) -> None:
        self._device = device_of(options, profile, name, FILE)
        self._info = SourceInfo(name, self._device.label, "live", options.ask_every_s,
                                STALE_PERIODS * options.ask_every_s, "discharge")
        self._profile, self._transport = profile, options.transport
        self._host = options.host
        self._registers = {name: tuple(register.id for register in profile.registers
                                       if register.metric == name)
                           for name in self._device.quantities}
        self._problems = Problems(profile)
        self._values: Mapping[str, float] = {}
        self._pending: frozenset[str] = frozenset()  # registers whose news no reading has told
        self._doubted: set[str] = set()  # quantities that are not believed any more
        self.state = state
        self._link = link

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return ()

    @property
    def devices(self) -> Sequence[Device]:
        return (self._device,)

    @property
    def houses(self) -> Sequence[House]:
        """None of its own: a person describes the house in orrery.toml."""
        return ()

    @property
    def dropped(self) -> dict[str, int]:
        """Messages that were not used, counted by reason."""
        return self.state.dropped

    def start(self, now: datetime, topology: Topology) -> None:
        """Begin to connect; comes back at once."""
        _aware(now)
        self._link.start()

    def poll(self, now: datetime) -> Reading:
        """What was heard since the last poll. Raises NotYetError until the first live value is
        there, SourceError without a connection, a live value, or one that can be used."""
        _aware(now)
        self._link.tend()
        self._link.check()
        news = self.state.news()
        if not news.raw:
            raise self._link.silence()
        self._pending = (self._pending | news.heard) & news.raw.keys()
        decoded = decode(self._profile, self._transport, news.raw)
        before = self._problems.by_quantity
        self._problems.take(decoded, self._link.conversation)
        self._values = decoded.values
        self._doubted |= self._problems.by_quantity.keys() - before.keys()
        if not any(math.isfinite(value) for value in decoded.values.values()):
            why = next(iter(decoded.problems.values()), "all its sensors are absent")
            raise self._link.silence(f"no register can be used: {why}")
        return self._reading(news, now.astimezone(UTC))

    def _reading(self, news: News, now: datetime) -> Reading:
        """As old as the first of what was heard since the last one."""
        ages_s = [news.age_s[register] for register in self._pending]
        age_s = max(ages_s, default=min(news.age_s.values()))
        heard = np.array([self._told_by(name, news) in self._pending or name in self._doubted
                          for name in self._device.quantities])
        self._pending, self._doubted = frozenset(), set()
        return Reading(now - timedelta(seconds=age_s), {},
                       channels=in_order([self._device], {self._device.id: self._values}),
                       channels_heard=heard)

    def _told_by(self, quantity: str, news: News) -> str:
        """The register that a quantity's value is from, as `decode` chooses it; "" for none."""
        known = [one for one in self._registers[quantity] if one in news.raw]
        if len(known) > 1:
            for register in known:
                alone = decode(self._profile, self._transport, {register: news.raw[register]})
                if math.isfinite(alone.values.get(quantity, math.nan)):
                    return register
        return known[0] if known else ""

    def problems(self) -> Mapping[str, str]:
        return self._problems.by_quantity

    def talk(self) -> Talk:
        return self._link.talk()

    def ping(self) -> float:
        """Round trip to the broker, not to the gateway [s]; raises SourceError."""
        return self._link.ping()

    def ask_now(self) -> None:
        self._link.ask_now()

    def reconnect(self) -> None:
        self._link.reconnect()

    def close(self) -> None:
        """Disconnect; ends the thread of the connection."""
        self._link.close()

    def found(self) -> str:
        """A sentence of what the last poll read: for a person who tests the connection."""
        named = ", ".join(self.state.prefixes)
        refused = self.problems()
        more = (f" Not used: {len(refused)}, such as {next(iter(refused.values()))}."
                if refused else "")
        return (f"Husdata {named} at {self._host}. {self._device.label}: "
                f"{said(self._device, self._values)}.{more}")


def _aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise GiveUpError("law 3: a time without a zone")
