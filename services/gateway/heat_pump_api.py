"""The heat pumps of this process: one implementation under REST and WebSocket."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from core.devices import Device
from core.engine import SourceStatus, devices_of
from core.errors import RequestError, UnknownIdError
from core.heatpump import standing
from core.heatpump.report import RANGES, Report, Window, report, window
from core.house_answers import stalled_after_s
from core.houses import House
from core.pump import Pump
from core.quantities import QUANTITY
from core.runtime import Runtime
from core.told import DeviceNow
from services.gateway import heat_pump_answers as answers
from services.gateway.heat_pump_shapes import (
    AlarmTold,
    NothingOfPump,
    PumpsConfig,
    PumpStatus,
    PumpTold,
    QuantityTold,
    Range,
    ReadingTold,
    SourceTold,
    StateWord,
)
from services.gateway.shared import Shared

SOCKET_PATH = "/ws/heat-pumps"
DEFAULT_RANGE: Range = "24h"
REFRESH_S = 30.0
NO_PUMP = "no heat pump is configured: add a source of one to orrery.toml"
LONGEST_ECHO = 40
KEPT_ANSWERS, AT_ONCE = 32, 2
STATE_WORDS: dict[standing.State, StateWord] = {
    "heating": "heating", "hot water": "hot_water", "defrosting": "defrosting",
    "auxiliary heat": "auxiliary_heat", "idle": "idle", "unknown": "unknown"}

Extremes = dict[str, tuple[float | None, float | None]]


class _Made(msgspec.Struct, frozen=True):
    """What is shared of one range: charts as JSON, b"" where nothing is known, and the lowest
    and highest value of each quantity."""

    charts: bytes
    extremes: Extremes


class HeatPumpApi:
    """Answers from the engine of `runtime`, safe to call from any thread.

    `pump`: an id, None = the first one. Raises UnknownIdError for a pump that is not there,
    RequestError for a range that is none of RANGES, and OrreryError (SourceError where the
    history is another server's) where the past cannot be read.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._title = runtime.config.title
        self._houses = {house.id: house for house in runtime.houses}
        self._engine = runtime.engine
        self._made: Shared[_Made] = Shared(KEPT_ANSWERS, AT_ONCE)

    def config(self) -> PumpsConfig:
        """All pumps, and what can be asked of them."""
        pumps = [self._pump_told(device) for device in self._devices().values()]
        brands: dict[str, list[str]] = {}
        for one in pumps:
            brands.setdefault(one.brand, []).append(one.id)
        return PumpsConfig(
            status="success", title=self._title, pumps=pumps, brands=brands, ranges=ranges(),
            default_range=DEFAULT_RANGE, refresh_s=REFRESH_S, socket=SOCKET_PATH,
            timestamp=self._now_s())

    def checked(self, key: str, pump: str | None) -> tuple[Range, str | None]:
        """A range and a pump that are there; the pump is None where the site has none."""
        device = self._device(pump)
        return _range(key), None if device is None else device.id

    def initial_data(self, key: str, pump: str | None = None) -> bytes:
        """InitialData or NothingOfPump as JSON."""
        told, pump_id = self.checked(key, pump)
        if pump_id is None:
            return msgspec.json.encode(self._nothing(NO_PUMP, None))
        device = self._devices()[pump_id]
        if not self._keeps_history(device):
            return msgspec.json.encode(self._nothing(
                f"no history of {device.label} is kept here", self._status(device, {})))
        asked = window(told, self._engine.clock.now())
        made = self._made.get((device.id, told, asked.end), lambda: self._make(device, asked))
        status = self._status(device, made.extremes)
        if not made.charts:
            return msgspec.json.encode(self._nothing(
                f"nothing is known of {device.label} in the last {told}", status))
        return msgspec.json.encode({
            "status": "success", "pump": device.id, "range": told, "pump_status": status,
            "charts": msgspec.Raw(made.charts), "timestamp": self._now_s()})

    def _make(self, device: Device, asked: Window) -> _Made:
        told = report(self._engine.recall, device, self._house(device), asked)
        if not told.log.known().any():
            return _Made(b"", {})
        return _Made(msgspec.json.encode(answers.charts(told)), _extremes(told))

    def _devices(self) -> dict[str, Device]:
        return {name: device for name, device in self._engine.devices.devices.items()
                if device.pump is not None}

    def _device(self, pump: str | None) -> Device | None:
        found = self._devices()
        if pump is None:
            return next(iter(found.values()), None)
        if pump not in found:
            raise UnknownIdError(f"no heat pump is called {pump[:LONGEST_ECHO]!r}; known: "
                                 + (", ".join(found) or "none"))
        return found[pump]

    def _house(self, device: Device) -> House:
        return self._houses[device.house]

    def _keeps_history(self, device: Device) -> bool:
        source = self._engine.source_of(device.id)
        return self._engine.channels is not None or hasattr(source, "recall")

    def _source_status(self, device: Device) -> SourceStatus:
        statuses = zip(self._engine.sources, self._engine.snapshot.sources, strict=True)
        return next(status for source, status in statuses if device in devices_of(source))

    def _source_told(self, device: Device) -> SourceTold:
        status = self._source_status(device)
        return SourceTold(name=status.info.name, label=status.info.label, kind=status.info.kind,
                          state=status.state, error=status.error)

    def _pump_told(self, device: Device) -> PumpTold:
        pump = _pump(device)
        told = [QUANTITY[name] for name in device.quantities]
        return PumpTold(
            id=device.id, label=device.label, house=device.house, brand=pump.brand,
            model=pump.model, profile=pump.profile, interface=pump.interface,
            medium=pump.medium, source=self._source_told(device),
            quantities=[QuantityTold(name=one.name, label=one.label, unit=one.unit,
                                     decimals=one.decimals) for one in told],
            absent=dict(pump.absent), doubts=list(pump.doubts))

    def _status(self, device: Device, extremes: Extremes) -> PumpStatus:
        """Of now; what the engine has not renewed in time is stale."""
        now = DeviceNow(device, self._engine.devices, self._engine.snapshot.devices)
        late_s = self._engine.frame_age_s
        stalled = late_s > stalled_after_s(self._engine.period_s)
        alarm = standing.active_alarms(now)
        source = self._engine.source_of(device.id)
        problems: Mapping[str, str] = source.problems() if hasattr(source, "problems") else {}
        return PumpStatus(
            state="unknown" if stalled else STATE_WORDS[standing.state(now)],
            alarm=_alarm_told(alarm, _pump(device), stalled),
            age_s=answers.number(now.age_s + late_s, 1), source=self._source_told(device),
            readings={name: _reading(now, name, late_s, stalled, extremes)
                      for name in device.quantities},
            problems={name: words for name, words in problems.items()
                      if name in device.quantities})

    def _nothing(self, message: str, status: PumpStatus | None) -> NothingOfPump:
        return NothingOfPump(status="no_data", message=message, pump_status=status,
                             timestamp=self._now_s())

    def _now_s(self) -> float:
        return self._engine.clock.now().timestamp()


def ranges() -> list[Range]:
    return [_range(key) for key in RANGES]


def _range(key: str) -> Range:
    """Raises RequestError with all that is allowed."""
    if key not in RANGES:
        raise RequestError(f"range = {key[:LONGEST_ECHO]!r} is not allowed; allowed: "
                           + ", ".join(RANGES))
    return key  # type: ignore[return-value] # RANGES holds just these


def _pump(device: Device) -> Pump:
    assert device.pump is not None
    return device.pump


def _alarm_told(alarm: standing.ActiveAlarms, pump: Pump, stalled: bool) -> AlarmTold:
    if stalled or not alarm.known:
        return AlarmTold(active=None, code=None, words=[])
    code = round(alarm.code) if math.isfinite(alarm.code) and alarm.code > 0 else None
    return AlarmTold(active=alarm.active, code=code,
                     words=answers.alarm_words(alarm.code, alarm.bits, pump.alarms))


def _reading(now: DeviceNow, name: str, late_s: float, stalled: bool,
             extremes: Extremes) -> ReadingTold:
    told = now.told(name)
    lowest, highest = extremes.get(name, (None, None))
    if told is None:
        return ReadingTold(value=None, age_s=None, stale=True, lowest=lowest, highest=highest)
    stale = told.stale or stalled
    return ReadingTold(
        value=None if stale else answers.number(told.value, QUANTITY[name].decimals + 1),
        age_s=answers.number(told.age_s + late_s, 1), stale=stale, lowest=lowest,
        highest=highest)


def _extremes(told: Report) -> Extremes:
    """Lowest and highest reading of the range."""
    log = told.log
    return {name: (answers.number(float(np.nanmin(log.lowest[name])), 2),
                   answers.number(float(np.nanmax(log.highest[name])), 2))
            for name in log.columns if log.tells(name)}
