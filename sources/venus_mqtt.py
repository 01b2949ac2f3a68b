"""Victron batteries by MQTT: live from a Venus GX's own broker, or from one that it feeds.

Batteries are declared by their device instance, so that the tree stands before the first
message. Victron counts charging as positive; `sources/venus_state.py` converts once (law 1).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
import numpy as np

from core.errors import ConfigurationError, GiveUpError, SourceError
from core.frames import Reading
from core.ports import SourceInfo
from core.topology import FloatArray, IndexArray, Level, NodeSpec, Topology
from core.vocabulary import CHEMISTRIES, METRIC_NAMES
from sources.venus_link import KEEPALIVE_S, Broker, VenusLink
from sources.venus_state import VenusState

PERIOD_S = 1.0
FILE = "orrery.toml"
NOT_SHOWN = "(not shown)"
NO_CELLS = "Read by MQTT, which tells the battery as a whole; there is nothing further down."
NEEDED_LEVELS = ["system", "cluster"]
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
                   r"(\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*\.?|[0-9A-Fa-f:]{2,45}")

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
    """portal_id: learnt from the broker when left out. password_secret: the NAME of an
    environment variable; `password` is known only to be refused without being shown."""

    host: str
    batteries: Annotated[list[Battery], msgspec.Meta(min_length=1, max_length=64)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 1883
    portal_id: PortalId | None = None
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

    def start(self) -> None: ...
    def tend(self) -> None: ...
    def trouble(self) -> str: ...
    def close(self) -> None: ...


def create(name: str, options: Options, levels: tuple[Level, ...]) -> VenusSource:
    """The batteries of one Venus; raises ConfigurationError. Connects in `start`."""
    _check(name, options, levels)
    broker = Broker(options.host, options.port, options.portal_id, options.tls, options.ca_file,
                    options.username, _password(name, options))
    instances = [battery.instance for battery in options.batteries]
    state = VenusState(instances)
    interval_s = min(KEEPALIVE_S, options.stale_after_s / 2.0)
    return VenusSource(name, options, state, VenusLink(broker, state, instances, interval_s))


class VenusSource:
    """Source of kind "live". state: what was heard, what was dropped, who is not declared."""

    def __init__(self, name: str, options: Options, state: VenusState, link: Link) -> None:
        self._info = SourceInfo(name, options.label, "live", PERIOD_S, options.stale_after_s,
                                "charge")
        self._system = _system_spec(options)
        self._address = f"{options.host}:{options.port}"
        self._instances = [battery.instance for battery in options.batteries]
        self.state = state
        self._link = link
        self._size = 0
        self._nodes: IndexArray = np.zeros(0, dtype=np.int64)

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return (self._system,)

    @property
    def dropped(self) -> dict[str, int]:
        """Messages that were not used, counted by reason."""
        return self.state.dropped

    @property
    def undeclared(self) -> tuple[int, ...]:
        """Instances that the broker knows and the configuration does not."""
        return self.state.undeclared

    def start(self, now: datetime, topology: Topology) -> None:
        """Begin to connect; comes back at once."""
        _aware(now)
        self._size = topology.size
        self._nodes = np.array([topology.index(spec.id) for spec in self._system.children])
        self._link.start()

    def poll(self, now: datetime) -> Reading:
        """What was heard since the last poll; raises SourceError without a live connection."""
        _aware(now)
        if not self._nodes.size:
            raise GiveUpError("the Victron source was polled before it was started")
        self._link.tend()
        trouble = self._link.trouble()
        if trouble:
            raise SourceError(trouble)
        news = self.state.news()
        if not news.age_s <= self._info.stale_after_s:
            raise SourceError(self._silence(news.age_s))
        matrix: FloatArray = np.full((len(METRIC_NAMES), self._size), np.nan, dtype=np.float32)
        matrix[:, self._nodes] = news.values.T
        heard = np.zeros(self._size, dtype=bool)
        heard[self._nodes] = news.heard
        measured_at = now.astimezone(UTC) - timedelta(seconds=news.age_s)
        return Reading(measured_at, dict(zip(METRIC_NAMES, matrix, strict=True)), heard)

    def close(self) -> None:
        """Disconnect; ends the thread of the connection."""
        self._link.close()

    def _silence(self, age_s: float) -> str:
        """What to say when the broker is there and the batteries are not. age_s: NaN = never."""
        since = "yet" if np.isnan(age_s) else f"for {age_s:.0f} s"
        named = ", ".join(str(instance) for instance in self._instances)
        seen = ", ".join(str(instance) for instance in self.undeclared) or "none"
        return (f"{self._address}: connected, but no reading came {since} from battery {named}; "
                f"others that were seen: {seen}. Correct `instance`, or see what the GX shows")


def _aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise GiveUpError("law 3: a time without a zone")


def _check(name: str, options: Options, levels: tuple[Level, ...]) -> None:
    if not _HOST.fullmatch(options.host):
        raise ConfigurationError(FILE, f"{name}.host", options.host[:80],
                                 "a host name or an address, without a port or mqtt://")
    if options.ca_file and not (options.tls and Path(options.ca_file).is_file()):
        raise ConfigurationError(FILE, f"{name}.ca_file", options.ca_file,
                                 "a readable file, together with tls = true")
    found = [level.name for level in levels if level.name in NEEDED_LEVELS]
    if found != NEEDED_LEVELS:
        raise ConfigurationError(FILE, "levels", [level.name for level in levels],
                                 "levels with system, cluster in this order")
    _check_batteries(name, options.batteries)


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


def _password(name: str, options: Options) -> str | None:
    """Out of the environment; what a person wrote in the file is in no message."""
    if options.password is not None:
        raise ConfigurationError(FILE, f"{name}.password", NOT_SHOWN, "no password in a file; put "
                                 "it in an environment variable and name that: password_secret")
    if options.password_secret is None:
        return None
    found = os.environ.get(options.password_secret)
    if not found or options.username is None:
        raise ConfigurationError(FILE, f"{name}.password_secret", NOT_SHOWN, "the name of an "
                                 "environment variable that holds the password, with username")
    return found


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
