"""A coordinated site's recorded past, and how large its fleet is: what a policy is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.clock import Clock
from core.config import Config
from core.coordinator.meter import LOAD, PV, HouseMeter
from core.coordinator.outlook import priced
from core.coordinator.problem import Floats
from core.engine import Engine, devices_of, fleets_of, houses_of
from core.errors import ConfigurationError, RequestError
from core.houses import House, houses_in
from core.registry import make_sources
from services.coordinator.rl.days import PAST_DAYS, STEP_S, STEPS, Year

DAYS = 365
PIECE_DAYS = 60
"""Asked for at once."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """attribution: whose data they are."""

    year: Year
    capacity_kwh: float
    zone: str
    currency: str
    attribution: str


def recorded(config: Config, clock: Clock, site: str, capacity_kwh: float | None,
             until: datetime | None = None, days: int = DAYS) -> Recorded:
    """The last `days` of the house that a site is coordinated for, or those up to `until`. Raises
    ConfigurationError, RequestError."""
    said = config.coordinator.sites.get(site)
    if said is None or not said.house:
        raise ConfigurationError(config.file, f"coordinator.sites.{site}.house", "",
                                 "the house whose load, PV and prices a policy learns from")
    sources = make_sources(config)
    engine = Engine(config.level_list, sources, clock, config.engine.period_s, with_alarms=False)
    try:
        engine.tick()
        houses = houses_in(config.houses, [house for source in sources
                                           for house in houses_of(source)],
                           [device.house for device in engine.devices.devices.values()],
                           config.file)
        house = next((one for one in houses if one.id == said.house), None)
        if house is None:
            raise ConfigurationError(config.file, f"coordinator.sites.{site}.house", said.house,
                                     "the id of a house")
        size = _capacity(engine, site) if capacity_kwh is None else capacity_kwh
        year = _year(HouseMeter(engine, house), house, until or clock.now(), days)
        told = [source.info.attribution for source in sources
                if any(device.house == house.id for device in devices_of(source))]
    finally:
        engine.stop()
    return Recorded(year, size, house.zone.key, house.currency, "; ".join(filter(None, told)))


def _capacity(engine: Engine, site: str) -> float:
    packs = [pack for fleet in fleets_of(engine.sources) for pack in fleet.packs()
             if pack.site == site]
    total = sum(pack.capacity_kwh or 0.0 for pack in packs)
    if not total > 0.0:
        raise RequestError(f"How large the fleet of {site} is nobody has told yet; give "
                           "--capacity-kwh")
    return total


def begin_of(zone: ZoneInfo, until: datetime, days: int) -> datetime:
    """The local midnight (UTC) at which a year of so many days begins that ends at `until`."""
    midnight = until.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - timedelta(days=PAST_DAYS + days + 1)).astimezone(UTC)


def _year(meter: HouseMeter, house: House, until: datetime, days: int) -> Year:
    whole, start = PAST_DAYS + days + 1, begin_of(house.zone, until, days)
    pieces = []
    for first in range(0, whole, PIECE_DAYS):
        count = STEPS * min(PIECE_DAYS, whole - first)
        pieces.append(_piece(meter, house, start + timedelta(days=first), count))
    return Year(start, *(np.concatenate(column) for column in zip(*pieces, strict=True)))


def _piece(meter: HouseMeter, house: House, start: datetime,
           count: int) -> tuple[Floats, Floats, Floats, Floats]:
    past = meter.past(start, count, STEP_S)
    if house.tariff is None:
        buy, sell = meter.prices_past(start, count, STEP_S)
    else:
        buy, sell, _ = priced(house.tariff, start, count, STEP_S)
    return past[LOAD], past[PV], buy, sell
