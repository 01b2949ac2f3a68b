"""A Victron installation by the VRM portal's API v2: what the GX last logged there.

One question tells all: `installations/{idSite}/diagnostics`, records of one D-Bus path each,
with a unix timestamp, in Victron's own units and signs (+ is charging). `rawValue` is a number
or a string of one, `false` where there is none. The GX logs every 1 to 60 minutes, as set
there: what is older than the newest by more than the source's limit keeps its own age.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from core.clock import Clock, SystemClock, from_epoch
from core.devices import Device
from core.errors import SourceError
from core.houses import HouseId, Label
from core.ports import SourceInfo
from core.topology import Level
from sources.http import (
    LIMITS,
    PROBE_LIMITS,
    HttpError,
    Limits,
    Server,
    Session,
    secret_of,
    server_of,
)
from sources.polling import (
    FUTURE_S,
    STALE_PERIODS,
    InOrder,
    Pace,
    PolledSource,
    Poller,
    Told,
    check_pace,
    checked,
    probe_once,
)
from sources.venus_topics import BATTERY, NEVER_NEGATIVE, STANDBY_KW, SYSTEM, Leaves

SILENT_S = 4500.0  # the longest interval of a GX's log is an hour
RECORDS = 1000
BATTERY_SERVICE = "battery"
SYSTEM_SERVICE = "system"
BATTERY_QUANTITIES = ("soc_pct", "voltage_v", "current_a", "battery_power_kw", "temperature_c")
HOUSE_QUANTITIES = ("solar_power_kw", "load_power_kw", "grid_power_kw")
BATTERY_PATHS: Leaves = {path: leaf for path, leaf in BATTERY.items()
                         if leaf[0] in BATTERY_QUANTITIES}
SYSTEM_PATHS: Leaves = {
    **SYSTEM, **{f"/Dc/Battery/{path.rsplit('/', 1)[1]}": leaf
                 for path, leaf in BATTERY_PATHS.items()}}
ATTRIBUTES = {(BATTERY_SERVICE, 51): "/Soc", (BATTERY_SERVICE, 47): "/Dc/0/Voltage",
              (BATTERY_SERVICE, 49): "/Dc/0/Current", (BATTERY_SERVICE, 115): "/Dc/0/Temperature",
              (SYSTEM_SERVICE, 144): "/Dc/Battery/Soc"}
"""(service, attribute id) -> the D-Bus path that stands for it where a record names none."""
_NUMBER = re.compile(r"\s*[+-]?\d{1,15}(\.\d{0,15})?([eE][+-]?\d{1,3})?\s*", re.ASCII)

SiteId = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Instance = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """site_id: the number in the portal's address. token_secret: the NAME of an environment
    variable that holds an access token; `token` is known only to be refused without being
    shown. instance: of the battery monitor, where there are several. period_s [s]."""

    site_id: SiteId
    token_secret: str
    token: object = None
    house: HouseId = "home"
    label: Label = "Victron VRM"
    instance: Instance | None = None
    period_s: Annotated[float, msgspec.Meta(ge=60, le=3600)] = 180.0
    requests_per_hour: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 50
    base_url: str = "https://vrmapi.victronenergy.com/v2"


class Record(msgspec.Struct, frozen=True):
    """One attribute of one device. timestamp: seconds since 1970."""

    timestamp: Annotated[float, msgspec.Meta(ge=0, le=1e11)]
    rawValue: float | str | bool | None = None  # noqa: N815 - VRM's own names
    idDataAttribute: int | None = None  # noqa: N815
    instance: int | None = None
    dbusServiceType: str | Literal[False] | None = None  # noqa: N815
    dbusPath: str | Literal[False] | None = None  # noqa: N815


class Diagnostics(msgspec.Struct, frozen=True):
    """records: each decoded by itself, so that one that cannot be read spoils no other."""

    records: list[msgspec.Raw] | bool = False
    success: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A value that a record tells: in Orrery's unit and sign, NaN for none. service: with its
    device instance. time_s: seconds since 1970."""

    service: tuple[str, int]
    path: str
    quantity: str
    value: float
    time_s: float


def create(name: str, options: Options, levels: tuple[Level, ...], *,
           clock: Clock | None = None, limits: Limits = LIMITS) -> PolledSource:
    """One installation; raises ConfigurationError. Asks from `start` on."""
    pace = Pace(options.period_s, options.requests_per_hour)
    check_pace(name, pace)
    server, reader = _server(name, options), VrmReader(options, clock)
    stale_s = STALE_PERIODS * options.period_s
    info = SourceInfo(name, options.label, "live", options.period_s, stale_s, "charge")
    poller = Poller(reader, server, pace, clock=clock, limits=limits)
    return PolledSource(info, devices(options), reader, poller, max(stale_s, SILENT_S))


def probe(options: Options, *, limits: Limits = PROBE_LIMITS, clock: Clock | None = None) -> str:
    """Ask once and say what was found; blocks. Raises SourceError and ConfigurationError."""
    reader = VrmReader(options, clock)
    found = probe_once(reader, _server("vrm", options), devices(options), limits, clock)
    return found + reader.note()


def devices(options: Options) -> tuple[Device, ...]:
    return (Device(f"{options.house}_vrm", options.house, "battery_monitor", options.label,
                   BATTERY_QUANTITIES + HOUSE_QUANTITIES, "charge", "counted"),)


def _server(name: str, options: Options) -> Server:
    token = secret_of(name, "token_secret", options.token_secret, options.token)
    return server_of(name, options.base_url, token, "site_id")


class VrmReader:
    """Asks for the diagnostics and makes of them what Orrery knows."""

    def __init__(self, options: Options, clock: Clock | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._device_id = f"{options.house}_vrm"
        self._site = options.site_id
        self._wanted = options.instance
        self._lasting_s = STALE_PERIODS * options.period_s
        self._clock = clock or SystemClock()
        self._order = InOrder[Told](self.dropped)
        self._seen: tuple[int, ...] = ()
        self._chosen: int | None = None

    def __call__(self, session: Session) -> Told:
        """Raises SourceError, saying what to do, when nothing of use is told."""
        headers = {"X-Authorization": f"Token {session.server.secret.value}"}
        answer = session.get(f"/installations/{self._site}/diagnostics", Diagnostics,
                             params={"count": str(RECORDS)}, headers=headers)
        if not answer.success:
            raise HttpError(f"{session.server.host}: VRM says that it failed; correct site_id")
        records = answer.records if isinstance(answer.records, list) else []
        told = self._told(self._current(self._found(records)))
        return self._order.newest(told.measured_at, told)[1]

    def note(self) -> str:
        """Which battery monitor is read where there are several."""
        if len(self._seen) < 2 or self._chosen is None:
            return ""
        return (f" Battery monitors {', '.join(map(str, self._seen))}: {self._chosen} is read; "
                "`instance` names another.")

    def _found(self, raw: Sequence[msgspec.Raw]) -> list[Found]:
        """What is used of the records, each (device, path) once, its newest."""
        future_s = self._clock.now().timestamp() + FUTURE_S
        kept: dict[tuple[tuple[str, int], str], Found] = {}
        for one in raw:
            found = self._read(one)
            if found is None:
                continue
            if found.time_s > future_s:
                self.dropped["future"] += 1
                continue
            key = (found.service, found.path)
            if key not in kept or kept[key].time_s <= found.time_s:
                kept[key] = found
        return list(kept.values())

    def _read(self, raw: msgspec.Raw) -> Found | None:
        """None for what is no record and for what is not used."""
        try:
            record = _RECORD.decode(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self.dropped["malformed"] += 1
            return None
        service = record.dbusServiceType or BATTERY_SERVICE
        path = record.dbusPath or ATTRIBUTES.get((service, record.idDataAttribute or 0), "")
        leaf = _PATHS.get(service, {}).get(path)
        if leaf is None:
            return None
        value = number(record.rawValue)
        if value is None:
            self.dropped["malformed"] += 1
            value = math.nan
        return Found((service, record.instance or 0), path, leaf[0], leaf[1](value),
                     record.timestamp)

    def _current(self, found: Sequence[Found]) -> tuple[list[Found], list[Found]]:
        """What the chosen battery and the system tell now, and what is long ago."""
        used = self._choose(found)
        known_s = [one.time_s for one in used if math.isfinite(one.value)]
        if not known_s or not (self._wanted is None or self._wanted in self._seen):
            raise SourceError(self._nothing())
        newest_s = max(known_s)
        now = [one for one in used if one.time_s >= newest_s - self._lasting_s]
        old = [one for one in used if one.time_s < newest_s - self._lasting_s]
        if old:
            self.dropped["old"] += len(old)
        return now, old

    def _choose(self, found: Sequence[Found]) -> list[Found]:
        """One battery monitor whole, never a mixture of two; else what the system tells."""
        batteries = [one for one in found if one.service[0] == BATTERY_SERVICE]
        house = [one for one in found if one.service[0] == SYSTEM_SERVICE]
        self._seen = tuple(sorted({one.service[1] for one in batteries}))
        self._chosen = self._choice(batteries)
        if self._chosen is None:
            return house
        own = [one for one in batteries if one.service[1] == self._chosen]
        others = [one for one in house if one.quantity in HOUSE_QUANTITIES]
        power = [one for one in house if one.quantity == "battery_power_kw"]
        told = any(one.quantity == "battery_power_kw" for one in own)
        lone = self._seen == (self._chosen,)
        return own + others + (power if lone and not told else [])

    def _choice(self, batteries: Sequence[Found]) -> int | None:
        """The named instance; else the one chosen before; else the lowest that tells a SOC (a
        starter battery does not); else the only one."""
        if self._wanted is not None:
            return self._wanted
        if self._chosen in self._seen:
            return self._chosen
        counting = {one.service[1] for one in batteries
                    if one.quantity == "soc_pct" and math.isfinite(one.value)}
        return min(counting) if counting else self._seen[0] if len(self._seen) == 1 else None

    def _told(self, parts: tuple[list[Found], list[Found]]) -> Told:
        now, old = parts
        values = checked(sums(now), self.dropped)
        if not values:
            raise SourceError(self._nothing())
        unheard = {one.quantity for one in old} - {one.quantity for one in now}
        if "battery_power_kw" not in values:
            if {"voltage_v", "current_a"} <= set(values):
                values["battery_power_kw"] = values["voltage_v"] * values["current_a"] / 1000.0
            elif {"voltage_v", "current_a"} & unheard:
                unheard.add("battery_power_kw")
        newest_s = max(one.time_s for one in now if math.isfinite(one.value))
        measured_at = min(from_epoch(newest_s), self._clock.now())
        return Told(measured_at, {self._device_id: values},
                    frozenset((self._device_id, name) for name in unheard))

    def _nothing(self) -> str:
        seen = ", ".join(map(str, self._seen)) or "none"
        counted = ", ".join(f"{count} {why}" for why, count in sorted(self.dropped.items()))
        hint = "; see whether this machine's clock is right" if self.dropped["future"] else ""
        return (f"VRM tells nothing that can be used of installation {self._site} (battery "
                f"monitors seen: {seen}; values not used so far: {counted or 'none'}){hint}; see "
                "whether the GX is online and `instance` is right")


_PATHS: dict[str, Leaves] = {BATTERY_SERVICE: BATTERY_PATHS, SYSTEM_SERVICE: SYSTEM_PATHS}
_RECORD = msgspec.json.Decoder(Record)


def number(raw: float | str | bool | None) -> float | None:
    """A rawValue; NaN for what VRM says where there is none, None for what is no number."""
    if raw is None or raw is False or raw == "":
        return math.nan
    if raw is True or (isinstance(raw, str) and not _NUMBER.fullmatch(raw)):
        return None
    return found if math.isfinite(found := float(raw)) else None


def sums(found: Iterable[Found]) -> dict[str, float]:
    """By quantity, the phases added up; without those of which nothing is known. A little below
    zero is zero where nothing can be negative: an inverter draws some watts at night."""
    totals: dict[str, float] = {}
    for one in found:
        if math.isfinite(one.value):
            totals[one.quantity] = totals.get(one.quantity, 0.0) + one.value
    for name in NEVER_NEGATIVE:
        if name in totals and -STANDBY_KW <= totals[name] < 0.0:
            totals[name] = 0.0
    return totals
