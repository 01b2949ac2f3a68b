"""A simulated house, a source like any other (kind "house"): sun, load, battery, tariff.

Load, sun and price are those of real homes (`sim/house_profiles`), the battery and what its
devices make of it are simulated. It has no battery tree: a shunt, an inverter and a tariff.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.devices import Device
from core.errors import ConfigurationError, SourceError
from core.frames import Reading
from core.houses import House, HouseConfig, HouseId, TariffConfig, house_of
from core.ports import SourceInfo
from core.topology import Level, NodeSpec, Topology
from sim.hierarchy import FILE
from sim.house_battery import CHEMISTRY, BatterySpec
from sim.house_data import Calendar, profile
from sim.house_devices import devices_of
from sim.house_faults import NAMES, HouseFaults
from sim.house_hours import Site
from sim.house_live import Live
from sim.house_past import Seam, ToldPast
from sim.house_process import Plan

PERIOD_S = 1.0
STALE_AFTER_S = 150.0
"""The inverter speaks once a minute."""
HIGHEST_C_RATE = 3.0
CURRENCY = "USD"
ATTRIBUTION = "Load, sun and price: CityLearn 2022 (MIT)"

Share = Annotated[float, msgspec.Meta(ge=0.5, le=1)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the configuration may say of a house.

    house: its id, the beginning of its devices' ids. building: whose load. solar_kw:
    installed. time_zone: whose wall clock the load, the sun and the price follow.
    max_power_kw: of the battery at the house's side, at most three times its capacity an
    hour. charge_efficiency, discharge_efficiency: of the converter, one way. standby_kw: of
    the battery's electronics. shunt_offset_a: what the shunt measures too much, + discharging;
    shunt_gain: its current over the true one.
    """

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    house: HouseId = "simulated_house"
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Simulated house"
    building: Literal[1, 2] = 1
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "America/Los_Angeles"
    solar_kw: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 8.0
    capacity_kwh: Annotated[float, msgspec.Meta(ge=0.5, le=10_000)] = 14.3
    nominal_v: Annotated[float, msgspec.Meta(ge=12, le=1000)] = 51.2
    max_power_kw: Annotated[float, msgspec.Meta(ge=0.1, le=10_000)] = 5.0
    reserve_pct: Percent = 10.0
    ceiling_pct: Percent = 100.0
    charge_efficiency: Share = 0.96
    discharge_efficiency: Share = 0.95
    standby_kw: Annotated[float, msgspec.Meta(ge=0, le=0.1)] = 0.0015
    shunt_offset_a: Annotated[float, msgspec.Meta(ge=-10, le=10)] = 0.12
    shunt_gain: Annotated[float, msgspec.Meta(ge=0.9, le=1.1)] = 1.004
    export_price_per_kwh: Annotated[float, msgspec.Meta(ge=-100, le=100)] = 0.05


def create(name: str, options: Options, levels: tuple[Level, ...]) -> SimulatedHouse:
    """A house that is not started yet; raises ConfigurationError."""
    at = f"sources.{name}.options"
    if options.max_power_kw > HIGHEST_C_RATE * options.capacity_kwh:
        raise ConfigurationError(FILE, f"{at}.max_power_kw", options.max_power_kw,
                                 "at most three times capacity_kwh")
    house = house_of(HouseConfig(
        id=options.house, label=options.label, time_zone=options.time_zone,
        capacity_kwh=options.capacity_kwh, nominal_v=options.nominal_v, chemistry=CHEMISTRY,
        reserve_pct=options.reserve_pct, ceiling_pct=options.ceiling_pct,
        tariff=TariffConfig(kind="measured", currency=CURRENCY)), at, FILE)
    return SimulatedHouse(name, options, house)


def plan_of(options: Options, house: House) -> Plan:
    """What the house is made of."""
    site = Site(options.seed, Calendar(house.zone), profile(options.building), options.solar_kw)
    battery = BatterySpec(
        options.capacity_kwh, options.nominal_v, options.max_power_kw, options.reserve_pct,
        options.ceiling_pct, options.charge_efficiency, options.discharge_efficiency,
        options.standby_kw)
    return Plan(site, battery, options.shunt_offset_a, options.shunt_gain)


class SimulatedHouse:
    """A PastTellingSource and ScriptedSource without a battery tree; made by `create`."""

    def __init__(self, name: str, options: Options, house: House) -> None:
        self._options = options
        self._house = house
        self._info = SourceInfo(name, options.label, "simulated", PERIOD_S, STALE_AFTER_S,
                                native_sign="discharge", attribution=ATTRIBUTION)
        self._devices = devices_of(house.id)
        self._faults = HouseFaults()
        self._live: Live | None = None
        self._past: ToldPast | None = None

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return ()

    @property
    def devices(self) -> Sequence[Device]:
        return self._devices

    @property
    def houses(self) -> Sequence[House]:
        return (self._house,)

    def start(self, now: datetime, topology: Topology) -> None:
        """Live through the last days up to `now`, where the first poll goes on."""
        plan, now_s = plan_of(self._options, self._house), now.timestamp()
        export_price = self._options.export_price_per_kwh
        self._live = Live(plan, export_price, now_s)
        shunt = self._live.process.shunt
        self._past = ToldPast(plan, export_price, Seam(
            now_s, shunt.drawn_ah, shunt.cycles, shunt.deepest_ah))

    def poll(self, now: datetime) -> Reading:
        """The house at `now`; a clock that stands still or steps back moves nothing."""
        if self._live is None:
            raise self._not_started()
        faults = self._faults.began_s()
        self._live.advance(now.timestamp(), faults)
        values, heard = self._live.told(faults)
        return Reading(now, {}, channels=values, channels_heard=heard)

    past_days = 402

    def tell_past(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the devices would have told at `time_s` float64[k], rising, float64[k, c].

        Powers, current and voltage are means until the next of the times, so that energies
        are exact for any step. May be called on a thread of its own beside `poll`; faults are
        not in it. The first call lives through all of it (a second for 400 days).
        """
        if self._past is None:
            raise self._not_started()
        if not len(time_s):
            return np.empty((0, sum(len(device.quantities) for device in self._devices)))
        return self._past.tell(time_s)

    def scripts(self) -> Sequence[str]:
        return NAMES

    def start_script(self, name: str, now: datetime) -> None:
        """Start a fault; raises UnknownIdError."""
        self._faults.start(name, now.timestamp())

    def stop_scripts(self) -> None:
        self._faults.stop()

    def running_scripts(self) -> Sequence[str]:
        return list(self._faults.began_s())

    def close(self) -> None:
        self._faults.stop()
        self._live = self._past = None

    def _not_started(self) -> SourceError:
        return SourceError(f"{self._info.name} is not started; ask again once it is")
