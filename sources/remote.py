"""Another Orrery, by its gateway: what its house's inverter and its battery monitor say.

`/energy/latest` is in W with a discharging battery and an import positive; its twin
`/victron/battery/current` keeps Victron's own sign, + is charging. Both tell when it was
measured. `"status": "no_data"` is an answer: the other one waits for its devices.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import msgspec

from core.clock import Clock, SystemClock
from core.devices import Device
from core.errors import NotYetError
from core.houses import HouseId, Label
from core.ports import SourceInfo
from core.topology import Level
from sources.http import (
    LIMITS,
    PROBE_LIMITS,
    HttpError,
    Limits,
    Secret,
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

REQUESTS_EACH = 2
SHORTEST_STALE_S = 60.0  # the other one may itself ask its device only so often
SILENT_S = 300.0
NO_DATA = "no_data"
EVER_S = 3e8  # older is no measurement
BATTERY_QUANTITIES = ("soc_pct", "voltage_v", "current_a", "battery_power_kw", "temperature_c")
INVERTER_QUANTITIES = ("solar_power_kw", "load_power_kw", "grid_power_kw", "battery_power_kw",
                       "soc_pct")

Values = dict[str, float | None]

T = TypeVar("T")


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """base_url: the other gateway's, such as http://192.168.1.20:9999. api_key_secret: the NAME
    of an environment variable; `api_key` is known only to be refused without being shown.
    requests_per_hour: 0 = any number; a poll takes two. period_s [s]."""

    base_url: str
    api_key_secret: str | None = None
    api_key: object = None
    house: HouseId = "home"
    label: Label = "Remote Orrery"
    period_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 10.0
    requests_per_hour: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0


class Energy(msgspec.Struct, frozen=True):
    """Powers [W], soc [%]; None = not known."""

    created_at: datetime
    pv_power: float | None = None
    batt_power: float | None = None
    grid_power: float | None = None
    load_power: float | None = None
    soc: float | None = None


class Battery(msgspec.Struct, frozen=True):
    """soc [%], voltage [V], current [A], power [W], temperature [°C]; None = not known."""

    timestamp: datetime
    soc: float | None = None
    voltage: float | None = None
    current: float | None = None
    power: float | None = None
    temperature: float | None = None


class EnergyAnswer(msgspec.Struct, frozen=True):
    status: str
    data: Energy | None = None


class BatteryAnswer(msgspec.Struct, frozen=True):
    status: str
    data: Battery | None = None


def create(name: str, options: Options, levels: tuple[Level, ...], *,
           clock: Clock | None = None, limits: Limits = LIMITS) -> PolledSource:
    """One gateway; raises ConfigurationError. Asks from `start` on."""
    pace = Pace(options.period_s, options.requests_per_hour)
    check_pace(name, pace, REQUESTS_EACH)
    server, reader = _server(name, options), RemoteReader(options, clock)
    stale_s = _stale_s(options)
    info = SourceInfo(name, options.label, "live", options.period_s, stale_s, "discharge")
    poller = Poller(reader, server, pace, clock=clock, limits=limits, ping_path="/health")
    return PolledSource(info, devices(options), reader, poller, max(stale_s, SILENT_S))


def probe(options: Options, *, limits: Limits = PROBE_LIMITS, clock: Clock | None = None) -> str:
    """Ask once and say what was found; blocks. Raises SourceError and ConfigurationError."""
    reader = RemoteReader(options, clock)
    return probe_once(reader, _server("remote", options), devices(options), limits, clock)


def devices(options: Options) -> tuple[Device, ...]:
    prefix, house = f"{options.house}_remote", options.house
    return (Device(f"{prefix}_battery", house, "battery_monitor", f"{options.label}, battery",
                   BATTERY_QUANTITIES, "charge", "counted"),
            Device(f"{prefix}_inverter", house, "inverter", f"{options.label}, inverter",
                   INVERTER_QUANTITIES, "discharge", "estimated"))


def _server(name: str, options: Options) -> Server:
    key = Secret("api_key_secret")
    if options.api_key_secret is not None or options.api_key is not None:
        key = secret_of(name, "api_key_secret", options.api_key_secret or "", options.api_key)
    return server_of(name, options.base_url, key, "base_url", plain_nearby=True)


def _stale_s(options: Options) -> float:
    return max(STALE_PERIODS * options.period_s, SHORTEST_STALE_S)


class RemoteReader:
    """Asks for both; what is much older than the other keeps its own age."""

    def __init__(self, options: Options, clock: Clock | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._battery, self._inverter = devices(options)
        self._lasting = timedelta(seconds=_stale_s(options))
        self._clock = clock or SystemClock()
        self._orders = {device: InOrder[Values](self.dropped)
                        for device in (self._battery, self._inverter)}

    def __call__(self, session: Session) -> Told:
        """Raises NotYetError when the other one has no data, SourceError when it does not
        answer, or tells what cannot be."""
        key = session.server.secret.value
        headers = {"X-API-Key": key} if key else {}
        energy = session.get("/energy/latest", EnergyAnswer, headers=headers)
        battery = session.get("/victron/battery/current", BatteryAnswer, headers=headers)
        told: dict[Device, tuple[datetime, Values]] = {}
        if (monitor := _data(session, battery.status, battery.data)) is not None:
            told[self._battery] = (self._time(session, monitor.timestamp), _monitored(monitor))
        if (flow := _data(session, energy.status, energy.data)) is not None:
            told[self._inverter] = (self._time(session, flow.created_at), _flowing(flow))
        if not told:
            raise NotYetError(f"{session.server.host} answers, and has no data yet")
        return self._told({device: self._orders[device].newest(*one)
                           for device, one in told.items()})

    def _told(self, told: dict[Device, tuple[datetime, Values]]) -> Told:
        """One time for both, the older one's: nothing is made younger than it is."""
        newest = max(time for time, _ in told.values())
        now = {device: one for device, one in told.items() if one[0] >= newest - self._lasting}
        if len(now) < len(told):
            self.dropped["old"] += 1
        values = {device.id: checked({name: value for name, value in one.items()
                                      if value is not None}, self.dropped)
                  for device, (_, one) in now.items()}
        unheard = frozenset((device.id, name) for device in (self._battery, self._inverter)
                            if device not in now for name in device.quantities)
        return Told(min(time for time, _ in now.values()), values, unheard)

    def _time(self, session: Session, told: datetime) -> datetime:
        """UTC, at most now; raises HttpError for one without a zone (law 3) or of the future."""
        now = self._clock.now()
        if told.tzinfo is None:
            raise HttpError(f"{session.server.host} tells times without a zone; they cannot be "
                            "used. See whether base_url is an Orrery's gateway")
        ahead_s = (told - now).total_seconds()
        if not -EVER_S < ahead_s <= FUTURE_S:
            self.dropped["future" if ahead_s > 0 else "old"] += 1
            raise HttpError(f"{session.server.host} tells a time {ahead_s:.0f} s from now; see "
                            "whether both machines' clocks are right")
        return min(told.astimezone(UTC), now)


def _data(session: Session, status: str, data: T | None) -> T | None:
    """None where there is no data; raises HttpError for any other word."""
    if status == NO_DATA:
        return None
    if status != "success" and data is None:
        raise HttpError(f"{session.server.host}: the status is {session.shown(status)!r}, without "
                        "data; see what that Orrery shows")
    return data


def _monitored(data: Battery) -> Values:
    return {"soc_pct": data.soc, "voltage_v": data.voltage, "current_a": _scaled(data.current, -1),
            "battery_power_kw": _scaled(data.power, -1e-3), "temperature_c": data.temperature}


def _flowing(data: Energy) -> Values:
    return {"solar_power_kw": _scaled(data.pv_power, 1e-3),
            "load_power_kw": _scaled(data.load_power, 1e-3),
            "grid_power_kw": _scaled(data.grid_power, 1e-3),
            "battery_power_kw": _scaled(data.batt_power, 1e-3), "soc_pct": data.soc}


def _scaled(value: float | None, factor: float) -> float | None:
    """+ 0.0 turns -0.0 into 0.0."""
    return None if value is None else value * factor + 0.0
