"""Makes the coordinator of this process out of its configuration."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from core.config import Config, CoordinatedSite
from core.coordinator.blend import Blend
from core.coordinator.candidates import Candidates
from core.coordinator.desk import CoordinatorDesk
from core.coordinator.gather import TwinSays
from core.coordinator.loop import Cadence, Place, SiteLoop
from core.coordinator.meter import HouseMeter, Meter, NoMeter
from core.coordinator.plan import Controller
from core.coordinator.ports import Planner, PriceTelling
from core.coordinator.price_states import Teller
from core.coordinator.records import CoordinatorStore
from core.coordinator.settings import SiteSettings
from core.coordinator.show import Shown
from core.coordinator.tariffs import SiteTariff
from core.engine import Engine, devices_of, fleets_of
from core.errors import ConfigurationError, RetryLaterError
from core.fleet.ports import FleetSource
from core.fleet.tree import site_element
from core.houses import House
from core.registry import make_coordinator_store, make_planners
from core.secrets import secret

log = logging.getLogger(__name__)

NOTHING_TO_COORDINATE = ("nothing is coordinated here: there are no packs, or [coordinator] "
                         "enabled is false in orrery.toml")


def coordinator(engine: Engine, config: Config, houses: tuple[House, ...],
                twin: Callable[[], TwinSays | None], drives: bool = True,
                cadence: Cadence | None = None,
                past_comes: Callable[[], bool] = lambda: False) -> CoordinatorDesk | str:
    """In words why not, where it is turned off, where there is no fleet, or where nothing can be
    kept: the site is shown without. drives: false where this process only shows. Raises
    ConfigurationError for a house that nobody knows."""
    fleets = fleets_of(engine.sources)
    if not config.coordinator.enabled or not fleets:
        return NOTHING_TO_COORDINATE
    try:
        store = make_coordinator_store(config)
    except (ConfigurationError, RetryLaterError) as error:
        log.error("no coordinator: %s", error)
        return str(error)
    places = [_of(fleet, engine, config, houses, store) for fleet in fleets if fleet.packs()]
    pace = cadence or Cadence(period_s=config.coordinator.period_s)
    by = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(2)}"
    planners = planners_of(config)
    loops = [SiteLoop(Place(shown.site, fleet, meter, store, planners,
                            Blend, tariff, by, shown.zone, pace, past_comes),
                      engine.clock, shown.default)
             for shown, fleet, meter, tariff in places] if drives else []
    return CoordinatorDesk(engine, store, [shown for shown, *_ in places], loops,
                           planners_of(config), twin, pace.fast_s,
                           Candidates(Path(config.coordinator.runs), _actor_key(config)))


def planners_of(config: Config) -> dict[Controller, Planner]:
    """With the site's own learnt policy where it has one."""
    said = config.coordinator
    return make_planners(Path(said.actor) if said.actor else None, _actor_key(config))


def _actor_key(config: Config) -> str | None:
    named = config.coordinator.actor_key_secret
    return secret(named) if named else None


def _of(fleet: FleetSource, engine: Engine, config: Config, houses: tuple[House, ...],
        store: CoordinatorStore) -> tuple[Shown, FleetSource, Meter, SiteTariff]:
    site = fleet.packs()[0].site
    said = config.coordinator.sites.get(site)
    house = None if said is None or not said.house else _house(said.house, houses, site, config)
    zone = ZoneInfo("UTC") if house is None else house.zone
    meter: Meter = NoMeter() if house is None else HouseMeter(engine, house)
    tariff = SiteTariff(site, store, zone, house, meter.prices, partial(tellers, engine))
    shown = Shown(site, fleet.info.label, site_element(site), _default(said), zone, tariff,
                  fleet.packs, None if house is None else meter.past)
    return shown, fleet, meter, tariff


def tellers(engine: Engine) -> dict[str, Teller]:
    """The sources that tell prices, by name, as they stand now."""
    return {source.info.name: Teller(
        source.info.label, next((device.house for device in devices_of(source)), ""),
        cast(PriceTelling, source).day_ahead, status.error, cast(PriceTelling, source).currency)
        for source, status in zip(engine.sources, engine.snapshot.sources, strict=True)
        if hasattr(source, "day_ahead")}


def _house(wanted: str, houses: tuple[House, ...], site: str, config: Config) -> House:
    for house in houses:
        if house.id == wanted:
            return house
    raise ConfigurationError(config.file, f"coordinator.sites.{site}.house", wanted,
                             "the id of a house: " + ", ".join(house.id for house in houses))


def _default(said: CoordinatedSite | None) -> SiteSettings:
    """A fleet that the configuration does not name is left alone until a person asks."""
    if said is None:
        return SiteSettings(controller="off")
    return SiteSettings(controller=said.controller, tariff=said.tariff,
                        import_limit_kw=said.import_limit_kw, export_limit_kw=said.export_limit_kw,
                        pv_curtailable=said.pv_curtailable)
