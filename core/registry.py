"""Names of sources and stores, loaded on first use: the core imports none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import cast

from core.alarms.ports import AlarmStore
from core.config import Config, HistoryConfig, SourceConfig
from core.errors import ConfigurationError
from core.fleet.ports import FleetStore
from core.parsing import as_model
from core.ports import ChannelHistory, Source, Store
from core.topology import Level, Topology

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
    "remote": "sources.remote",
    "solark": "sources.solark",
    "venus": "sources.venus_mqtt",
    "vrm": "sources.vrm",
}
POSTGRES = "store.postgres"
STORES: dict[str, str] = {
    "embedded": "store.embedded",
    "postgres": POSTGRES,
}
CHANNEL_HISTORIES: dict[str, str] = {
    "embedded": "store.channels",
    "postgres": "store.channels",
}
ALARM_STORES: dict[str, str] = {
    "embedded": "store.alarms",
    "postgres": POSTGRES,
}
FLEET_STORES: dict[str, str] = {
    "postgres": POSTGRES,
    "sqlite": "store.fleet",
}
NO_STORE = "none"

BYTES_PER_MIB = 1024 * 1024
CHANNELS_DIRECTORY = "channels"
ALARMS_DIRECTORY = "alarms"
CHANNELS_SHARE = 8
"""The channels may take the whole budget divided by this, the tree the rest."""


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
    if history.kind == NO_STORE:
        return None
    module = _module_of(history, STORES, file)
    budget_bytes = history.budget_mib * BYTES_PER_MIB
    budget_bytes -= budget_bytes // CHANNELS_SHARE
    if history.kind == "postgres":
        return cast(Store, module.open_history(history.url_variable, topology, budget_bytes))
    return cast(Store, module.EmbeddedStore(Path(history.directory), topology,
                                            budget_bytes=budget_bytes))


def make_channel_history(history: HistoryConfig, channel_ids: Sequence[str], file: str,
                         ) -> ChannelHistory | None:
    """The devices' part of the configured history, a directory within the tree's own; None
    without one or without devices. Raises ConfigurationError."""
    if history.kind == NO_STORE or not channel_ids:
        return None
    module = _module_of(history, CHANNEL_HISTORIES, file)
    return cast(ChannelHistory, module.EmbeddedChannelHistory(
        Path(history.directory) / CHANNELS_DIRECTORY, channel_ids,
        budget_bytes=history.budget_mib * BYTES_PER_MIB // CHANNELS_SHARE))


def make_alarm_store(history: HistoryConfig, file: str) -> AlarmStore | None:
    """Alarms and audit, in PostgreSQL where a variable is named, else in a directory within the
    history's own; None without either. Raises ConfigurationError, RetryLaterError."""
    if history.alarms_url_variable:
        return cast(AlarmStore, import_module(POSTGRES).open_alarm_store(
            history.alarms_url_variable))
    if history.kind == NO_STORE:
        return None
    module = _module_of(history, ALARM_STORES, file)
    if history.kind == "postgres":
        return cast(AlarmStore, module.open_alarm_store(history.url_variable))
    return cast(AlarmStore, module.AlarmDatabase(Path(history.directory) / ALARMS_DIRECTORY))


def _module_of(history: HistoryConfig, kinds: Mapping[str, str], file: str) -> ModuleType:
    if history.kind not in kinds:
        raise ConfigurationError(file, "history.kind", history.kind,
                                 "one of " + ", ".join([*kinds, NO_STORE]))
    return import_module(kinds[history.kind])


def make_fleet_store(url: str) -> FleetStore:
    """The store of the fleet's telemetry at e.g. `sqlite:data/fleet.sqlite`, or at
    `postgres:NAME` of an environment variable with the URL; raises ConfigurationError."""
    kind, _, place = url.partition(":")
    if kind not in FLEET_STORES or not place:
        raise ConfigurationError("the command line", "--store", kind,
                                 "KIND:PLACE with KIND one of " + ", ".join(FLEET_STORES))
    return cast(FleetStore, import_module(FLEET_STORES[kind]).open_store(place))
