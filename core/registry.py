"""Names of sources and stores, loaded on first use: the core imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TypeVar, cast

from core.alarms.ports import AlarmStore
from core.config import Config, HistoryConfig, SourceConfig
from core.coordinator.plan import Controller
from core.coordinator.ports import Planner
from core.coordinator.records import CoordinatorStore
from core.errors import ConfigurationError
from core.fleet.ports import FleetPast, FleetStore
from core.parsing import as_model
from core.ports import ChannelHistory, Keeping, Source, Store
from core.site_records import SiteRecords
from core.topology import Level, Topology
from core.twin.kept import KeptFiles
from core.twin.ports import Physics
from core.twin.predictions import PredictionStore
from core.twin.trend import TrendStore

SOURCES: dict[str, str] = {
    "fleet": "sim.fleet",
    "fleet-mqtt": "services.fleet_source",
    "heat-pump": "sim.heat_pump",
    "house": "sim.house",
    "husdata-http": "sources.husdata_http",
    "husdata-mqtt": "sources.husdata_mqtt",
    "influx": "sources.influx",
    "packs": "services.edge.demo",
    "recorded": "sources.replay",
    "prices-http": "sources.prices_http",
    "remote": "sources.remote",
    "site": "sim.site",
    "solark": "sources.solark",
    "venus": "sources.venus_mqtt",
    "vrm": "sources.vrm",
}
POSTGRES = "store.postgres"
EMBEDDED_KIND, POSTGRES_KIND, NO_STORE = "embedded", "postgres", "none"
STORES: dict[str, str] = {
    EMBEDDED_KIND: "store.embedded",
    POSTGRES_KIND: POSTGRES,
}
CHANNEL_HISTORY = "store.channels"
FLEET_STORES: dict[str, str] = {
    "postgres": POSTGRES,
    "sqlite": "store.fleet",
}
FLEET_PASTS: dict[str, str] = {
    "postgres": POSTGRES,
    "sqlite": "store.fleet_past",
}
INGEST_STORE = "the command line", "--store"
PHYSICS, CLUSTER = "services.twin.pool", "services.twin.ray_pool"
PREDICTIONS = "store.twin"
PLANNERS: dict[Controller, tuple[str, str, tuple[str, ...]]] = {
    "off": ("core.coordinator.rules", "Off", ()),
    "rule-based": ("core.coordinator.rules", "RuleBased", ("time-of-use",)),
    "mpc": ("services.coordinator.mpc", "MpcPlanner", ()),
    "rl": ("core.coordinator.learnt", "RlPlanner", ()),
}
"""Controller -> its module and class, and what that is made with."""
TWIN_FILES = "store.twin_files"

One = TypeVar("One", bound=Keeping)

BYTES_PER_MIB = 1024 * 1024
CHANNELS_DIRECTORY = "channels"
ALARMS_DIRECTORY = "alarms"
RECORDS_DIRECTORY = "records"
COORDINATOR_DIRECTORY = "coordinator"
SPOOL_DIRECTORY = "spool"
CHANNELS_SPOOL_DIRECTORY = "spool-channels"
EIGHTHS, CHANNELS_EIGHTHS, SPOOL_EIGHTHS, SERVER_CHANNELS_EIGHTHS = 8, 1, 1, 2
"""Of the budget: what channels may take on this disk, what of the tree and of channels each may
wait for a server, and what channels may take there; the tree has the rest."""


def make_sources(config: Config) -> list[Source]:
    """All configured sources; raises ConfigurationError."""
    return [_make_source(source, f"sources[{position}]", config.level_list, config.file)
            for position, source in enumerate(config.sources)]


def _make_source(source: SourceConfig, at: str, levels: tuple[Level, ...], file: str) -> Source:
    if source.kind not in SOURCES:
        raise ConfigurationError(file, f"{at}.kind", source.kind, "one of " + ", ".join(SOURCES))
    module = import_module(SOURCES[source.kind])
    options = as_model(source.options, module.Options, file, f"{at}.options")
    return cast(Source, module.create(source.name, options, levels))


def make_store(history: HistoryConfig, topology: Topology, file: str) -> Store | None:
    """The configured history, None for kind "none"; raises ConfigurationError."""
    kinds = _kinds_of(history, file)
    if kinds == (NO_STORE,):
        return None
    openers = {EMBEDDED_KIND: _embedded, POSTGRES_KIND: _postgres}
    opened = _opened({kind: partial(openers[kind], history, topology) for kind in kinds})
    if len(opened) == 1:
        return opened[kinds[0]]
    return cast(Store, import_module("store.several").SeveralStores(opened))


def _opened(openers: Mapping[str, Callable[[], One]]) -> dict[str, One]:
    """All of them, or none stays open."""
    opened: dict[str, One] = {}
    try:
        for kind, opener in openers.items():
            opened[kind] = opener()
    except BaseException:
        for one in opened.values():
            one.close()
        raise
    return opened


def _budget(history: HistoryConfig, eighths: int) -> int:
    """[B]."""
    return history.budget_mib * BYTES_PER_MIB * eighths // EIGHTHS


def _embedded(history: HistoryConfig, topology: Topology) -> Store:
    """All of this disk's budget but what channels and a server's spools may take."""
    spools = 2 * SPOOL_EIGHTHS * (POSTGRES_KIND in history.kinds)
    return cast(Store, import_module(STORES[EMBEDDED_KIND]).EmbeddedStore(
        Path(history.directory), topology,
        budget_bytes=_budget(history, EIGHTHS - CHANNELS_EIGHTHS - spools)))


def _postgres(history: HistoryConfig, topology: Topology) -> Store:
    """Behind a spool on this disk: no tick waits for a server."""
    module = import_module(STORES[POSTGRES_KIND])
    return cast(Store, import_module("store.spool").SpooledStore(
        Path(history.directory) / SPOOL_DIRECTORY,
        lambda: module.open_history(history.url_variable, topology,
                                    _budget(history, EIGHTHS - SERVER_CHANNELS_EIGHTHS)),
        topology, budget_bytes=_budget(history, SPOOL_EIGHTHS)))


def make_channel_history(history: HistoryConfig, channel_ids: Sequence[str], file: str,
                         ) -> ChannelHistory | None:
    """The devices' part of the configured history, in directories within the tree's own or beside
    the tree's tables; None without one or without devices. Raises ConfigurationError."""
    kinds = _kinds_of(history, file)
    if kinds == (NO_STORE,) or not channel_ids:
        return None
    openers = {EMBEDDED_KIND: _embedded_channels, POSTGRES_KIND: _postgres_channels}
    opened = _opened({kind: partial(openers[kind], history, channel_ids) for kind in kinds})
    if len(opened) == 1:
        return opened[kinds[0]]
    return cast(ChannelHistory, import_module("store.several").SeveralChannels(opened))


def _embedded_channels(history: HistoryConfig, channel_ids: Sequence[str]) -> ChannelHistory:
    return cast(ChannelHistory, import_module(CHANNEL_HISTORY).EmbeddedChannelHistory(
        Path(history.directory) / CHANNELS_DIRECTORY, channel_ids,
        budget_bytes=_budget(history, CHANNELS_EIGHTHS)))


def _postgres_channels(history: HistoryConfig, channel_ids: Sequence[str]) -> ChannelHistory:
    """As `_postgres`."""
    module = import_module(POSTGRES)
    return cast(ChannelHistory, import_module("store.spool").SpooledChannels(
        Path(history.directory) / CHANNELS_SPOOL_DIRECTORY,
        lambda: module.open_channel_history(history.url_variable, channel_ids,
                                            _budget(history, SERVER_CHANNELS_EIGHTHS)),
        channel_ids, budget_bytes=_budget(history, SPOOL_EIGHTHS)))


def make_alarm_store(history: HistoryConfig, file: str) -> AlarmStore | None:
    """Alarms and audit, in PostgreSQL where a variable is named or it comes first, else in a
    directory within the history's own; None without either. Raises ConfigurationError,
    RetryLaterError."""
    variable = _people_variable(history, file)
    if variable is None:
        return None
    if variable:
        return cast(AlarmStore, import_module(POSTGRES).open_alarm_store(variable))
    return cast(AlarmStore, import_module("store.records").open_alarms(
        Path(history.directory) / ALARMS_DIRECTORY))


def make_site_records(history: HistoryConfig, file: str) -> SiteRecords | None:
    """Commands, and what the app and the command line saved, where alarms are; raises
    ConfigurationError, RetryLaterError."""
    variable = _people_variable(history, file)
    if variable is None:
        return None
    if variable:
        return cast(SiteRecords, import_module(POSTGRES).open_site_records(variable))
    return cast(SiteRecords, import_module("store.records").open_site_records(
        Path(history.directory) / RECORDS_DIRECTORY))


def find_site_records(history: HistoryConfig, file: str) -> SiteRecords | None:
    """As `make_site_records`, where the app has made them: in a database, or in this directory."""
    there = Path(history.directory) / RECORDS_DIRECTORY
    if _people_variable(history, file) == "" and not there.is_dir():
        return None
    return make_site_records(history, file)


def _people_variable(history: HistoryConfig, file: str) -> str | None:
    """Of the database with what people do: "" = a file in the directory, None = nowhere."""
    first = _kinds_of(history, file)[0]
    if history.alarms_url_variable:
        return history.alarms_url_variable
    return {POSTGRES_KIND: history.url_variable, NO_STORE: None}.get(first, "")


def _kinds_of(history: HistoryConfig, file: str) -> tuple[str, ...]:
    """Checked: each known and once, and "none" alone."""
    kinds = history.kinds
    if kinds != (NO_STORE,) and (set(kinds) - set(STORES) or len(set(kinds)) < len(kinds)):
        raise ConfigurationError(
            file, "history.kind", history.kind,
            "one of " + ", ".join([*STORES, NO_STORE]) + ", or a list of several stores, each once")
    return kinds


def make_fleet_store(url: str) -> FleetStore:
    """The store of the fleet's telemetry at e.g. `sqlite:data/fleet.sqlite`, or at
    `postgres:NAME` of an environment variable with the URL; raises ConfigurationError,
    RetryLaterError."""
    module, place = _fleet_place(url, FLEET_STORES, *INGEST_STORE)
    return cast(FleetStore, import_module(module).open_store(place))


def make_fleet_stores(urls: Sequence[str], waiting: Path) -> FleetStore:
    """The first must have each message; the others have it, or it waits for them in files of the
    folder `waiting`. Raises as `make_fleet_store`."""
    _each_once(urls, *INGEST_STORE)
    for url in urls:
        _fleet_place(url, FLEET_STORES, *INGEST_STORE)
    first = make_fleet_store(urls[0])
    if len(urls) == 1:
        return first
    try:
        wait = import_module("store.fleet_waiting").WaitingEntries
        others = {url: (partial(make_fleet_store, url), wait(waiting / _file_of(url)))
                  for url in urls[1:]}
        return cast(FleetStore,
                    import_module("store.fleet_several").SeveralFleetStores(first, others))
    except BaseException:
        first.close()
        raise


def _file_of(url: str) -> str:
    """A name for what waits for a store."""
    plain = "".join(one if one.isalnum() else "-" for one in url)[-40:]
    return f"{plain}-{sha256(url.encode()).hexdigest()[:8]}.sqlite"


def _each_once(urls: Sequence[str], file: str, key: str) -> None:
    """Raises ConfigurationError."""
    if not urls or len(set(urls)) < len(urls):
        raise ConfigurationError(file, key, " ".join(urls), "one store, or several, each once")


def make_fleet_past(url: str | Sequence[str], file: str, key: str) -> FleetPast:
    """What the stores of `make_fleet_stores` hold, beside the process that writes them: read from
    the first that can answer. file, key: where the urls stand. Raises ConfigurationError."""
    urls = [url] if isinstance(url, str) else url
    _each_once(urls, file, key)
    places = {one: _fleet_place(one, FLEET_PASTS, file, key) for one in urls}
    pasts = {one: cast(FleetPast, import_module(module).open_past(place))
             for one, (module, place) in places.items()}
    if len(pasts) == 1:
        return pasts[urls[0]]
    return cast(FleetPast, import_module("store.fleet_pasts").SeveralPasts(pasts))


def _fleet_place(url: str, kinds: Mapping[str, str], file: str, key: str) -> tuple[str, str]:
    """Module and place."""
    kind, _, place = url.partition(":")
    if kind not in kinds or not place:
        raise ConfigurationError(file, key, kind,
                                 "KIND:PLACE with KIND one of " + ", ".join(kinds))
    return kinds[kind], place


def make_physics(cache_directory: Path | None, workers: int = 1, ray: str = "") -> Physics:
    """The twin's physics in child processes of this one, or on the Ray cluster of that address.
    cache_directory: where ageing runs are kept."""
    if ray:
        return cast(Physics, import_module(CLUSTER).pool_on(ray, cache_directory, workers))
    return cast(Physics, import_module(PHYSICS).Pool(cache_directory, workers))


def make_prediction_store(path: Path) -> PredictionStore:
    """In a SQLite file; raises ConfigurationError."""
    return cast(PredictionStore, import_module(PREDICTIONS).PredictionDatabase(path))


def make_trend_store(path: Path) -> TrendStore:
    """What the twin found of packs over the years, in a SQLite file; raises ConfigurationError."""
    return cast(TrendStore, import_module(PREDICTIONS).TrendDatabase(path))


def make_twin_files(directory: Path) -> KeptFiles:
    """Calibrations, parameter files and recordings of packs."""
    return cast(KeptFiles, import_module(TWIN_FILES).TwinFiles(directory))


def make_coordinator_store(config: Config) -> CoordinatorStore:
    """What coordinators keep: in PostgreSQL where a variable is named for it or alarms are there,
    else in a directory within the history's own, in memory without either. Raises
    ConfigurationError, RetryLaterError."""
    directory = Path(config.history.directory) / COORDINATOR_DIRECTORY
    variable = config.coordinator.url_variable or _people_variable(config.history, config.file)
    if variable:
        return cast(CoordinatorStore, import_module(POSTGRES).open_coordinator_store(
            variable, before=directory))
    return cast(CoordinatorStore, import_module("store.records").open_coordinator(
        None if variable is None else directory))


def make_planners(actor: Path | None = None, key: str | None = None) -> dict[Controller, Planner]:
    """All that are shipped, a new one of each; what one lacks is in its `missing`. actor: file of
    the site's own learnt policy, the shipped one without it; key: that it is signed with."""
    own = {"rl": (actor, key)}
    return {name: cast(Planner, getattr(import_module(module), kind)(*own.get(name, given)))
            for name, (module, kind, given) in PLANNERS.items()}
