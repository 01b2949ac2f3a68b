"""The meter of a site with packs, a source like any other (kind "site"): load, PV and prices.

As many homes as are asked for, of three real ones (`sim/house_profiles`) in equal parts, each with
the same PV under its own sun. What they do is a function of time alone; packs are not in it. The
prices of the day after are known from early afternoon, as at a day-ahead market.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.devices import Device
from core.errors import SourceError
from core.frames import Reading
from core.houses import House, HouseConfig, HouseId, TariffConfig, house_of
from core.ports import SourceInfo
from core.tariff import PriceSeries
from core.topology import Level, NodeSpec, Topology
from sim.hierarchy import FILE
from sim.house_data import F64, HOUR_S, Calendar, Profile, three_homes
from sim.house_hours import Hours
from sim.house_hours import Site as Homes

PERIOD_S = 1.0
STALE_AFTER_S = 10.0
CURRENCY = "USD"
ATTRIBUTION = "Load, sun and price: CityLearn 2022 (MIT)"
BASE_SHARE = 0.94
"""Of the load, that does not switch: of many homes some always run."""
METER = ("load_power_kw", "solar_power_kw")
TARIFF = ("import_price_per_kwh", "export_price_per_kwh")
AHEAD_S = 6 * HOUR_S
TOLD_HOUR = 13
"""Of the local day, from which on the prices of the next are known."""

Label = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """homes: how many. solar_kw: of each, installed. time_zone: whose wall clock load, sun and
    prices follow. house: the beginning of the devices' ids."""

    house: HouseId = "packs_site"
    label: Label = "Site of the packs (simulated)"
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    homes: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 300.0
    solar_kw: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 4.0
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Europe/Stockholm"
    export_price_per_kwh: Annotated[float, msgspec.Meta(ge=-100, le=100)] = 0.05


def create(name: str, options: Options, levels: tuple[Level, ...]) -> SiteMeter:
    """A meter that is not started yet; raises ConfigurationError."""
    house = house_of(HouseConfig(
        id=options.house, label=options.label, time_zone=options.time_zone,
        tariff=TariffConfig(kind="measured", currency=CURRENCY)), f"sources.{name}.options", FILE)
    return SiteMeter(name, options, house)


def homes_of(options: Options, house: House) -> Homes:
    """The load of all homes together under the sun of all."""
    mean = three_homes()
    whole = Profile(options.homes * mean.load_kw, mean.solar_kw, mean.clear_kw,
                    mean.price_per_kwh)
    return Homes(options.seed, Calendar(house.zone), whole, options.homes * options.solar_kw,
                 BASE_SHARE)


class SiteMeter:
    """A PastTellingSource without a battery tree, and a PriceTelling one; made by `create`."""

    past_days = 402
    currency = CURRENCY

    def __init__(self, name: str, options: Options, house: House) -> None:
        self._info = SourceInfo(name, options.label, "simulated", PERIOD_S, STALE_AFTER_S,
                                native_sign="discharge", attribution=ATTRIBUTION)
        self._house, self._export_price = house, options.export_price_per_kwh
        self._homes = homes_of(options, house)
        self._devices = (
            Device(f"{house.id}_meter", house.id, "meter", "Meter (simulated)", METER, "discharge"),
            Device(f"{house.id}_tariff", house.id, "tariff", "Tariff (simulated)", TARIFF,
                   "discharge"))
        self._hours: Hours | None = None
        self._now: datetime | None = None

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
        """From the first poll on it tells."""
        self._hours, self._now = self._until(now.timestamp()), now

    def poll(self, now: datetime) -> Reading:
        """What flows at `now`."""
        if self._hours is None:
            raise SourceError(f"{self._info.name} is not started; ask again once it is")
        self._now, now_s = now, now.timestamp()
        if not self._hours.covers(now_s):
            self._hours = self._until(now_s)
        load_kw, solar_kw = self._hours.at(np.array([now_s]))
        price = self._price(np.array([now_s]))
        told = np.array([load_kw[0], solar_kw[0], price[0], self._export_price])
        return Reading(now, {}, channels=told, channels_heard=np.ones(len(told), dtype=np.bool_))

    def tell_past(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `PastTellingSource`; powers are means until the next of the times."""
        if not len(time_s):
            return np.empty((0, len(METER) + len(TARIFF)))
        last_s = time_s[-1] - time_s[-2] if len(time_s) > 1 else 60.0
        edges_s = np.append(time_s, time_s[-1] + last_s)
        load_kw, solar_kw = Hours(self._homes, edges_s[0], edges_s[-1]).means(edges_s)
        return np.stack([load_kw, solar_kw, self._price(time_s),
                         np.full(len(time_s), self._export_price)], axis=1)

    def day_ahead(self) -> PriceSeries:
        """The prices of each hour of the local day, the one before, and from TOLD_HOUR on the one
        after; raises SourceError before its start."""
        if self._now is None:
            raise SourceError(f"{self._info.name} is not started; ask again once it is")
        local = self._now.astimezone(self._house.zone)
        today = local.replace(hour=0, minute=0, second=0, microsecond=0)
        last = today + timedelta(days=2 if local.hour >= TOLD_HOUR else 1)
        time_s = np.arange((today - timedelta(days=1)).timestamp(), last.timestamp(), HOUR_S)
        return PriceSeries(time_s, self._price(time_s), np.full(len(time_s), self._export_price),
                           HOUR_S)

    def close(self) -> None:
        self._hours = None

    def _until(self, now_s: float) -> Hours:
        return Hours(self._homes, now_s, now_s + AHEAD_S)

    def _price(self, time_s: F64) -> F64:
        """Of import at rising times."""
        found: F64 = self._homes.profile.price_per_kwh[self._homes.calendar.rows_at(time_s)]
        return found
