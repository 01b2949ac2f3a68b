"""A heat pump with three days of history whose sums are known, for the tests of its API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from core.config import GatewayConfig
from core.devices import Device, Floats
from core.errors import OrreryError
from core.houses import House
from core.ports import Series
from core.pump import AlarmTable, Pump
from core.tariff import FlatTariff
from tests.core.house_site import Told, ToldSource
from tests.gateway.house_site import Site, site

QUANTITIES = ("outdoor_c", "radiator_supply_c", "radiator_return_c", "hot_water_c", "brine_in_c",
              "brine_out_c", "electric_power_kw", "heat_power_kw", "auxiliary_pct",
              "compressor_on", "hot_water_valve", "alarm_on", "alarm_code")
ALARMS = AlarmTable({10: "High pressure", 60: "Brine out too cold"}, "a test's own table", "flag")
PUMP = Pump("test", "Thermia", "Ten", "made up", "brine", ALARMS, auxiliary_kw=6.0,
            absent={"indoor_c": "no indoor sensor is connected"},
            doubts=("the scale of 0005 is not verified",))
HEAT_PUMP = Device("home_heat_pump", "home", "heat_pump", "Cellar", QUANTITIES, "discharge",
                   pump=PUMP)
OTHER = Device("cabin_heat_pump", "cabin", "heat_pump", "Cabin", ("outdoor_c", "compressor_on"),
               "discharge", pump=Pump("test", "NIBE", "Two", "made up", "air", ALARMS))
HOUSES = (House("home", "Home", ZoneInfo("UTC"), currency="SEK", tariff=FlatTariff(2.0, 0.0)),
          House("cabin", "Cabin", ZoneInfo("UTC")))
RUNNING: Told = {"home_heat_pump": {
    "outdoor_c": -3.2, "radiator_supply_c": 38.0, "radiator_return_c": 32.0, "hot_water_c": 47.5,
    "brine_in_c": 4.0, "brine_out_c": 0.5, "electric_power_kw": 2.0, "heat_power_kw": 8.0,
    "auxiliary_pct": 0.0, "compressor_on": 1.0, "hot_water_valve": 0.0, "alarm_on": 0.0,
    "alarm_code": 10.0}}
"""It heats; its last alarm is history."""


def past(time_s: Floats) -> Floats:
    """float64[k, 15]. Each hour the compressor runs from minute 15 to 45: 8 kW of heat out of
    2 kW; else it draws 0.05 kW. In the hours 3, 9, 15 and 21 minutes 20 to 40 are hot water."""
    hour, minute = time_s % 86_400 // 3600, time_s % 3600 / 60
    on = (minute >= 15) & (minute < 45)
    water = (hour % 6 == 3) & (minute >= 20) & (minute < 40)
    flat = np.ones(time_s.shape)
    return np.column_stack([
        -3.0 * flat, 38.0 * flat, 32.0 * flat, np.where(water, 50.0, 45.0), 4.0 * flat, 0.5 * flat,
        np.where(on, 2.0, 0.05), np.where(on, 8.0, 0.0), 0.0 * flat, on, water, 0.0 * flat,
        10.0 * flat, np.nan * flat, np.nan * flat])


class Remembering(ToldSource):
    """Its past is on another server, which does not answer."""

    failure: OrreryError

    def recall(self, channel_ids: Sequence[str], start: datetime, end: datetime,
               max_points: int = 1000) -> list[Series]:
        raise self.failure


def pump_source() -> ToldSource:
    return ToldSource((HEAT_PUMP, OTHER), stale_after_s=60.0)


@contextmanager
def pump_site(directory: Path | None = None, *, source: ToldSource | None = None,
              gateway: GatewayConfig | None = None) -> Iterator[Site]:
    """With a `directory` it has a past."""
    with site(directory, source=source or pump_source(), houses=HOUSES, gateway=gateway,
              told_past=past) as running:
        running.tell(RUNNING, 0.0)
        yield running
