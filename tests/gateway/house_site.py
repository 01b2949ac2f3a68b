"""A house with a shunt, an inverter and three days of history, for the REST API's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from core.clock import ManualClock
from core.config import Config, GatewayConfig, SourceConfig
from core.devices import Device, Floats, spread
from core.engine import Engine
from core.errors import SourceError
from core.houses import House
from core.ports import Past, PollHealth
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS
from store.channels import EmbeddedChannelHistory
from tests.core.house_site import INVERTER, Told, ToldSource

NOW = datetime(2025, 11, 21, 12, 0, 0, tzinfo=UTC)
STALE_AFTER_S = 60.0
HOURS = 72
SHUNT = Device("home_shunt", "home", "battery_monitor", "SmartShunt",
               ("soc_pct", "voltage_v", "current_a", "battery_power_kw", "temperature_c"),
               "charge", "counted")
HOME = House("home", "Home", ZoneInfo("UTC"), capacity_kwh=14.3, nominal_v=51.2)
CABIN = House("cabin", "Cabin", ZoneInfo("UTC"))
SEED: Told = {
    "home_shunt": {"soc_pct": 99.3, "voltage_v": 54.09, "current_a": 1.1,
                   "battery_power_kw": 0.0595, "temperature_c": 25.9},
    "home_inverter": {"solar_power_kw": 4.56, "load_power_kw": 4.244, "grid_power_kw": 0.0,
                      "battery_power_kw": 0.059, "soc_pct": 100.0}}
"""The readings of the documents' own examples, in Orrery's sign."""


class Polled(ToldSource):
    """It asks somebody else's server, which allows 50 requests an hour."""

    requests = 18

    def poll_health(self) -> PollHealth:
        failures = 0 if self.error is None else 3
        return PollHealth(self.requests, 50, failures, NOW)


@dataclass
class Site:
    """A running house that a test moves; its history is its own."""

    runtime: Runtime
    source: ToldSource
    clock: ManualClock

    @property
    def engine(self) -> Engine:
        return self.runtime.engine

    def tell(self, told: Told, advance_s: float = 1.0) -> None:
        """The source's next readings are these, and missing is what it does not name."""
        self.source.told, self.source.error = told, None
        self.tick(advance_s)

    def silence(self, advance_s: float = 1.0) -> None:
        """The source does not answer."""
        self.source.error = SourceError("the inverter's cloud does not answer")
        self.tick(advance_s)

    def tick(self, advance_s: float = 1.0) -> None:
        self.clock.advance(advance_s)
        self.engine.tick()


def past(time_s: Floats) -> Floats:
    """float64[k, 10], what shunt and inverter told: SOC falls from 90 to 18, the sun shines by
    day, the battery gives 1 kW in the first half of each hour and takes 0.5 kW in the second."""
    day = (time_s % 86_400) / 86_400
    sun = np.maximum(np.sin((day - 0.25) * 2 * np.pi), 0.0) * 5
    soc = 90 - (time_s - (NOW.timestamp() - HOURS * 3600)) / 3600
    battery = np.where(time_s % 3600 < 1800, 1.0, -0.5)
    volts = np.full(time_s.shape, 52.0)
    load = np.full(time_s.shape, 0.8)
    grid = load - sun - battery
    return np.column_stack([soc, volts, battery * 1000 / 52, battery, np.full(time_s.shape, 21.5),
                            sun, load, grid, battery, soc - 2.0])


@contextmanager
def site(directory: Path | None = None, *, source: ToldSource | None = None,
         houses: tuple[House, ...] = (HOME,), gateway: GatewayConfig | None = None,
         told_past: Callable[[Floats], Floats] = past) -> Iterator[Site]:
    """A house; with a `directory` it has a past of HOURS, a value a minute."""
    source = source or Polled((SHUNT, INVERTER), stale_after_s=STALE_AFTER_S)
    clock = ManualClock(NOW - timedelta(seconds=1))
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    config = Config(sources=[SourceConfig("told", "told")], gateway=gateway or GatewayConfig(),
                    file="orrery.toml")
    if directory is not None:
        history = EmbeddedChannelHistory(directory, engine.devices.ids, budget_bytes=2**26)
        history.backfill(iter([_piece(engine, told_past)]), lambda reached: None)
        history.settle()
        engine.attach(None, channels=history)
    running = Site(Runtime(config, engine, houses, None), source, clock)
    running.tell(SEED)
    try:
        yield running
    finally:
        engine.stop()


def _piece(engine: Engine, told_past: Callable[[Floats], Floats]) -> Past:
    time_s = np.arange(NOW.timestamp() - HOURS * 3600, NOW.timestamp(), 60.0)
    values = spread(engine.devices, 0, told_past(time_s))
    return Past(time_s, values.astype(np.float32), hours_only=False)
