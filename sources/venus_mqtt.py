"""Victron batteries and their house by MQTT: live from a Venus GX's own broker, from one that
it feeds, or from VRM's.

Batteries are declared by their device instance, so that tree and devices stand before the
first message. Which of them the GX counts on is only known later (`system_battery`), so the
devices keep the configured order, the system last. Victron counts charging as positive;
`sources/venus_topics.py` converts once (law 1).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.clock import Clock, SystemClock
from core.devices import Device
from core.errors import ConfigurationError, GiveUpError, NotYetError, SourceError
from core.frames import Reading
from core.houses import House, HouseId
from core.ports import SourceInfo, Talk
from core.quantities import QUANTITY
from core.topology import (
    DEFAULT_LEVELS,
    FloatArray,
    IndexArray,
    Level,
    NodeSpec,
    Topology,
)
from core.vocabulary import CHEMISTRIES, METRIC_NAMES
from sources.mqtt_link import (
    FILE,
    PORT,
    TLS_PORT,
    check_ca_file,
    check_host,
    password_of,
)
from sources.mqtt_link import NOT_SHOWN as NOT_SHOWN
from sources.venus_link import KEEPALIVE_S, VenusBroker, VenusLink
from sources.venus_state import News, VenusState
from sources.venus_topics import BATTERY, SYSTEM, quantities

PERIOD_S = 1.0
PROBE_S = 8.0  # a settings form waits so long
NO_CELLS = "Read by MQTT, which tells the battery as a whole; there is nothing further down."
NEEDED_LEVELS = ["system", "cluster"]
VRM_BROKERS = 128

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Instance = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_]{1,64}\Z")]
PortalId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]


class Battery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One battery service. instance: its VRM device instance. nominal_v [V]: told in its note."""

    instance: Instance
    name: Text
    capacity_kwh: Positive | None = None
    chemistry: str | None = None
    nominal_v: Positive | None = None


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """house: whose devices these are. portal_id: learnt from the broker when left out.

    password_secret: the NAME of an environment variable; `password` is known only to be
    refused without being shown. port: 1883, with TLS 8883, when left out. vrm_broker: VRM's
    broker instead of `host`: needs portal_id, username (the e-mail) and, in password_secret's
    variable, an access token; port and TLS follow.
    """

    batteries: Annotated[list[Battery], msgspec.Meta(min_length=1, max_length=64)]
    host: str = ""
    house: HouseId = "home"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    portal_id: PortalId | None = None
    vrm_broker: bool = False
    tls: bool = False
    ca_file: str = ""
    username: Text | None = None
    password_secret: str | None = None
    password: object = None
    system_id: Id = "system_victron"
    label: Text = "Victron"
    stale_after_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0


class Link(Protocol):
    """What fills a VenusState; `VenusLink` in life."""

    @property
    def portal(self) -> str | None: ...
    def start(self) -> None: ...
    def tend(self) -> None: ...
    def check(self) -> None: ...
    def talk(self) -> Talk: ...
    def ping(self) -> float: ...
    def ask_now(self) -> None: ...
    def reconnect(self) -> None: ...
    def close(self) -> None: ...


def create(name: str, options: Options, levels: tuple[Level, ...]) -> VenusSource:
    """The batteries and the house of one Venus; raises ConfigurationError. Connects in `start`."""
    _check(name, options, levels)
    state = VenusState([battery.instance for battery in options.batteries])
    interval_s = min(KEEPALIVE_S, options.stale_after_s / 2.0)
    link = VenusLink(broker_of(name, options), state, interval_s)
    return VenusSource(name, options, state, link)


def broker_of(name: str, options: Options) -> VenusBroker:
    """Where to connect and how to sign in; raises ConfigurationError for a missing password."""
    host, port = _address(options)
    password = password_of(name, options.username, options.password_secret, options.password)
    return VenusBroker(host=host, port=port, portal_id=options.portal_id,
                       tls=options.tls or options.vrm_broker, ca_file=options.ca_file,
                       username=options.username,
                       password=f"Token {password}" if options.vrm_broker else password)


def _address(options: Options) -> tuple[str, int]:
    if options.vrm_broker:
        return vrm_host(options.portal_id or ""), TLS_PORT
    return options.host, options.port or (TLS_PORT if options.tls else PORT)


def vrm_host(portal_id: str) -> str:
    """The broker of an installation, as dbus-flashmq's README computes it."""
    return f"mqtt{sum(map(ord, portal_id.lower())) % VRM_BROKERS}.victronenergy.com"


def probe(options: Options, clock: Clock | None = None) -> str:
    """Connect once, wait at most PROBE_S for the first values and say what was found.

    Blocks. Raises SourceError when nothing can be read, and ConfigurationError.
    """
    clock, stop = clock or SystemClock(), threading.Event()
    source = create("venus", options, DEFAULT_LEVELS)
    begin = clock.now()
    source.start(begin, Topology(DEFAULT_LEVELS, source.roots))
    try:
        while True:
            try:
                source.poll(clock.now())
                return source.found()
            except NotYetError as error:
                if (clock.now() - begin).total_seconds() >= PROBE_S:
                    raise SourceError(str(error)) from error
            clock.wait(0.05, stop)
    finally:
        source.close()


class VenusSource:
    """DeviceSource and TalkingSource of kind "live". state: what was heard, what was dropped,
    who is not declared."""

    def __init__(self, name: str, options: Options, state: VenusState, link: Link) -> None:
        self._info = SourceInfo(name, options.label, "live", PERIOD_S, options.stale_after_s,
                                "charge")
        self._system = _system_spec(options)
        self._devices = _devices(name, options)
        self._batteries = tuple(options.batteries)
        self._address = "{}:{}".format(*_address(options))
        self.state = state
        self._link = link
        self._news: News | None = None
        self._size = 0
        self._nodes: IndexArray = np.zeros(0, dtype=np.int64)
        bounds = [QUANTITY[name].plausible for device in self._devices
                  for name in device.quantities]
        self._low, self._high = np.array(bounds).T

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return (self._system,)

    @property
    def devices(self) -> Sequence[Device]:
        return self._devices

    @property
    def houses(self) -> Sequence[House]:
        """None of its own: a person describes the house in orrery.toml."""
        return ()

    @property
    def dropped(self) -> dict[str, int]:
        """Messages that were not used, counted by reason."""
        return self.state.dropped

    @property
    def undeclared(self) -> tuple[int, ...]:
        """Instances that the broker knows and the configuration does not."""
        return self.state.undeclared

    @property
    def system_battery(self) -> str | None:
        """Id of the battery that the GX counts on; None until it is told, and where the GX
        counts on something that is not declared."""
        active = self.state.active
        ids = {battery.instance: device.id
               for battery, device in zip(self._batteries, self._devices, strict=False)}
        return None if active is None else ids.get(active)

    def start(self, now: datetime, topology: Topology) -> None:
        """Begin to connect; comes back at once."""
        _aware(now)
        self._size = topology.size
        self._nodes = np.array([topology.index(spec.id) for spec in self._system.children])
        self._link.start()

    def poll(self, now: datetime) -> Reading:
        """What was heard since the last poll. Raises NotYetError until the first values are
        there, SourceError without a live connection or a word of a declared battery."""
        _aware(now)
        if not self._nodes.size:
            raise GiveUpError("the Victron source was polled before it was started")
        self._link.tend()
        self._link.check()
        news = self.state.news()
        if not (news.known and news.age_s <= self._info.stale_after_s):
            raise SourceError(self._silence(news.age_s if news.known else float("nan")))
        self._news = news
        return self._reading(news, now.astimezone(UTC) - timedelta(seconds=news.age_s))

    def _reading(self, news: News, measured_at: datetime) -> Reading:
        matrix: FloatArray = np.full((len(METRIC_NAMES), self._size), np.nan, dtype=np.float32)
        matrix[:, self._nodes] = news.values.T
        heard = np.zeros(self._size, dtype=bool)
        heard[self._nodes] = news.heard
        within = (news.channels >= self._low) & (news.channels <= self._high)
        channels: NDArray[np.float64] = np.where(within, news.channels, np.nan)
        return Reading(measured_at, dict(zip(METRIC_NAMES, matrix, strict=True)), heard,
                       channels=channels, channels_heard=news.channels_heard)

    def talk(self) -> Talk:
        return self._link.talk()

    def ping(self) -> float:
        """Round trip to the broker [s]; raises SourceError."""
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
        if self._news is None:
            return f"{self._address}: nothing yet"
        parts, at = [], 0
        for device in self._devices:
            values = self._news.channels[at:at + len(device.quantities)]
            parts.append(f"{device.label}: {_told(device, values)}")
            at += len(device.quantities)
        if self.undeclared:
            parts.append("batteries not named here: " + ", ".join(map(str, self.undeclared)))
        return f"Victron {self._link.portal} at {self._address}. " + "; ".join(parts) + "."

    def _silence(self, age_s: float) -> str:
        """What to say when the broker is there and the batteries are not. age_s: NaN = never."""
        since = "yet" if np.isnan(age_s) else f"for {age_s:.0f} s"
        named = ", ".join(str(battery.instance) for battery in self._batteries)
        seen = ", ".join(str(instance) for instance in self.undeclared) or "none"
        return (f"{self._address}: connected, but no reading came {since} from battery {named}; "
                f"others that were seen: {seen}. Correct `instance`, or see what the GX shows")


def _told(device: Device, values: NDArray[np.float64]) -> str:
    """The first four values that a device tells, as a person reads them."""
    said = [f"{QUANTITY[name].label.lower()} {value:.{QUANTITY[name].decimals}f} "
            f"{QUANTITY[name].unit}".strip()
            for name, value in zip(device.quantities, values, strict=True)
            if np.isfinite(value)]
    return ", ".join(said[:4]) or "nothing"


def _devices(name: str, options: Options) -> tuple[Device, ...]:
    """The declared batteries in their order, then the whole system."""
    prefix = f"{options.house}_{name.replace('-', '_')}"
    batteries = [
        Device(f"{prefix}_battery_{battery.instance}", options.house, "battery_monitor",
               battery.name, quantities(BATTERY), "charge", "counted")
        for battery in options.batteries]
    return (*batteries, Device(f"{prefix}_system", options.house, "inverter", options.label,
                               quantities(SYSTEM), "charge"))


def _aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise GiveUpError("law 3: a time without a zone")


def _check(name: str, options: Options, levels: tuple[Level, ...]) -> None:
    if options.vrm_broker:
        _check_vrm(name, options)
    else:
        check_host(name, options.host)
    check_ca_file(name, options.ca_file, options.tls or options.vrm_broker)
    found = [level.name for level in levels if level.name in NEEDED_LEVELS]
    if found != NEEDED_LEVELS:
        raise ConfigurationError(FILE, "levels", [level.name for level in levels],
                                 "levels with system, cluster in this order")
    _check_batteries(name, options.batteries)


def _check_vrm(name: str, options: Options) -> None:
    """VRM's broker follows from the portal id; a sign-in is always needed."""
    for key, value in (("host", options.host), ("port", options.port)):
        if value:
            raise ConfigurationError(FILE, f"{name}.{key}", value,
                                     "nothing together with vrm_broker, which tells it")
    for key, value, what in (
            ("portal_id", options.portal_id, "the VRM portal ID of the installation"),
            ("username", options.username, "the e-mail address of the VRM account"),
            ("password_secret", options.password_secret,
             "the name of an environment variable that holds an access token of VRM")):
        if value is None:
            raise ConfigurationError(FILE, f"{name}.{key}", None, f"{what}, with vrm_broker")


def _check_batteries(name: str, batteries: Sequence[Battery]) -> None:
    seen: set[int] = set()
    for number, battery in enumerate(batteries):
        at = f"{name}.batteries[{number}]"
        if battery.instance in seen:
            raise ConfigurationError(FILE, f"{at}.instance", battery.instance,
                                     "an instance that occurs once")
        seen.add(battery.instance)
        if battery.name.strip() != battery.name:
            raise ConfigurationError(FILE, f"{at}.name", battery.name, "no blanks at the ends")
        if battery.chemistry is not None and battery.chemistry not in CHEMISTRIES:
            raise ConfigurationError(FILE, f"{at}.chemistry", battery.chemistry,
                                     "one of " + ", ".join(CHEMISTRIES))


def _system_spec(options: Options) -> NodeSpec:
    """One system; its capacity is that of the batteries whose capacity is stated, else NaN."""
    leaves = [_battery_spec(f"{options.system_id}_cluster_{number}", battery)
              for number, battery in enumerate(options.batteries)]
    stated = [battery.capacity_kwh for battery in options.batteries
              if battery.capacity_kwh is not None]
    return NodeSpec(options.system_id, options.label, "system",
                    sum(stated) if stated else float("nan"), children=leaves)


def _battery_spec(node_id: str, battery: Battery) -> NodeSpec:
    nominal = "" if battery.nominal_v is None else f" Nominal voltage {battery.nominal_v:g} V."
    capacity_kwh = float("nan") if battery.capacity_kwh is None else battery.capacity_kwh
    return NodeSpec(node_id, battery.name, "cluster", capacity_kwh, battery.chemistry,
                    note=NO_CELLS + nominal)
