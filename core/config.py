"""`orrery.toml`: what the site is made of. Without the file, the demo's own configuration.

Heat pumps may stand in a file of their own beside it, `heat_pumps.yaml`; with that file alone
the site is made of them. Environment: ORRERY_CONFIG names another file,
ORRERY_HISTORY_DIRECTORY another directory.
"""

from __future__ import annotations

import os
from datetime import UTC, time, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from core.errors import ConfigurationError
from core.houses import HouseConfig, TariffConfig
from core.parsing import as_model, read_toml, read_yaml
from core.secrets import FOR_SOURCES
from core.topology import DEFAULT_LEVELS, Level

DEMO_CONFIG = Path(__file__).parent / "profiles" / "demo.toml"
DEFAULT_FILE = "orrery.toml"
PUMPS_FILE = "heat_pumps.yaml"

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
OperatorName = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Origin = Annotated[str, msgspec.Meta(
    pattern=r"^https?://([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?\Z")]
HostName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")]
LevelName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9]{0,23}$")]


class LevelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One level of the hierarchy, from the top."""

    name: LevelName
    plural: LevelName


class SourceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """kind: a key of `core.registry.SOURCES`. options: what that kind understands."""

    kind: str
    name: Name
    options: dict[str, Any] = {}


class HistoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """kind: a key of `core.registry.STORES` or "none"; of several, the battery tree and the
    devices' channels are written to each and read from the first that can answer. budget_mib:
    never passed on this disk, nor in the database [MiB]. url_variable: the NAME of an environment
    variable with the URL, for kind "postgres"; alarms_url_variable: of a PostgreSQL that keeps
    alarms, audit, commands and what was saved by the app, "" = with the first kind."""

    kind: str | Annotated[list[str], msgspec.Meta(min_length=1, max_length=4)] = "embedded"
    directory: str = "data/history"
    url_variable: str = "ORRERY_DATABASE_URL"
    alarms_url_variable: str = ""
    budget_mib: Annotated[int, msgspec.Meta(ge=16, le=10_000_000)] = 1024
    backfill_hours: Annotated[float, msgspec.Meta(ge=0, le=168)] = 24.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """In the order in which they are asked."""
        return (self.kind,) if isinstance(self.kind, str) else tuple(self.kind)


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """period_s: seconds between two frames [s]."""

    period_s: Annotated[float, msgspec.Meta(ge=0.2, le=60)] = 1.0


class TwinConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The digital twin. enabled: whether cells are estimated at all. workers: tasks of its
    physics at a time, each a process that takes a core and some hundred MB; ray: the address of a
    Ray cluster on which they run instead, "" = here; period_s: from one window of a pack to its
    next [s]. forecast_at: HH:MM of each night's ageing runs in time_zone,
    and some minutes later, "" for none; the first come ten minutes after a start."""

    enabled: bool = True
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    ray: Annotated[str, msgspec.Meta(max_length=200)] = ""
    period_s: Annotated[float, msgspec.Meta(ge=60, le=86_400)] = 300.0
    forecast_at: Annotated[str, msgspec.Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")] = "02:00"
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "UTC"

    @property
    def forecast_time(self) -> time | None:
        """None where it comes never."""
        return time.fromisoformat(self.forecast_at) if self.forecast_at else None

    @property
    def zone(self) -> tzinfo:
        """Raises what ZoneInfo does for what `load_config` refuses."""
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)


class CoordinatedSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One site of packs until a person sets it otherwise. house: whose load, PV and, where no
    tariff is given, prices count. pv_curtailable: its inverter holds PV back by itself, where
    export is limited or costs money."""

    house: str = ""
    controller: Literal["off", "rule-based", "mpc", "rl"] = "mpc"
    tariff: TariffConfig | None = None
    import_limit_kw: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None
    export_limit_kw: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None
    pv_curtailable: bool = False


class CoordinatorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The coordinator of fleets. here: whether the app itself coordinates; where not, another
    process does (`python -m services.coordinator`) and the app shows it. sites: by the fleet's
    site; one that is not named rests until a person chooses its controller. period_s: from plan
    to plan [s]. actor: file of the site's own learnt policy, "" = the shipped one;
    actor_key_secret: the NAME of the secret that it is signed with. runs: folder of training
    runs, whose policies may be deployed. url_variable: the NAME of an environment variable with
    the URL of a PostgreSQL that keeps plans and settings, "" = where alarms are."""

    enabled: bool = True
    here: bool = True
    period_s: Annotated[float, msgspec.Meta(ge=60, le=3600)] = 600.0
    actor: str = ""
    actor_key_secret: str = ""
    runs: str = "data/coordinator/rl"
    url_variable: str = ""
    sites: Annotated[dict[str, CoordinatedSite], msgspec.Meta(max_length=100)] = {}


class OidcConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bearer tokens of an OpenID Connect provider. issuer: its address, exactly as its tokens say;
    audience: whom they are made out for. operator_claim: a word, or a list of words, of which
    operator_value makes an operator; name_claim: what stands in the audit."""

    issuer: Annotated[str, msgspec.Meta(
        pattern=r"^(https://|http://(127\.0\.0\.1|localhost)[:/])[^\s]+$", max_length=500)]
    audience: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    operator_claim: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "groups"
    operator_value: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "orrery-operators"
    name_claim: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "email"


class GatewayConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where `python -m services.gateway` listens, and how often it sends [s]. api_key_secret:
    the NAME of an environment variable with the key that the REST API then asks for.
    operator_keys: name -> NAME of an environment variable with that person's own key; they, and
    operators by `oidc`, alone may act by the API.

    allowed_origins: pages elsewhere that may ask, beside those of the same host. allowed_hosts:
    names that this server answers to; IP addresses and localhost always. Without one any, or only
    this machine's own where only this machine reaches it.
    max_body_kib: of one request [KiB]. requests_per_s, burst: of one client's address [1/s].
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 9999
    update_interval_s: Annotated[float, msgspec.Meta(ge=0.2, le=60)] = 1.0
    api_key_secret: str | None = None
    operator_keys: Annotated[dict[OperatorName, str], msgspec.Meta(max_length=1000)] = {}
    oidc: OidcConfig | None = None
    allowed_origins: Annotated[list[Origin], msgspec.Meta(max_length=100)] = []
    allowed_hosts: Annotated[list[HostName], msgspec.Meta(max_length=100)] = []
    max_body_kib: Annotated[int, msgspec.Meta(ge=1, le=16_384)] = 64
    requests_per_s: Annotated[float, msgspec.Meta(ge=0.1, le=100_000)] = 50.0
    burst: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 500


class SignInConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """mode "oidc": every page asks for a sign-in by the provider in `.streamlit/secrets.toml`."""

    mode: Literal["none", "oidc"] = "none"


class OperatorsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may command; everybody else looks. mode "local": `names` with hashed passwords, or,
    where nothing is real, `demo`: any name, no password. "oidc": those who sign in with one of
    `emails`, with [sign_in] mode "oidc"."""

    mode: Literal["none", "local", "oidc"] = "none"
    names: dict[OperatorName, str] = {}
    emails: Annotated[list[str], msgspec.Meta(max_length=1000)] = []
    demo: bool = False


class PumpsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """heat_pumps.yaml: sources as in orrery.toml, by another name."""

    pumps: list[SourceConfig]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. attributes: id of an element -> what it may be grouped by."""

    sources: Annotated[list[SourceConfig], msgspec.Meta(min_length=1)]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Orrery"
    levels: list[LevelConfig] = []
    houses: Annotated[list[HouseConfig], msgspec.Meta(max_length=100)] = []
    attributes: dict[str, dict[str, str]] = {}
    engine: EngineConfig = EngineConfig()
    history: HistoryConfig = HistoryConfig()
    gateway: GatewayConfig = GatewayConfig()
    twin: TwinConfig = TwinConfig()
    coordinator: CoordinatorConfig = CoordinatorConfig()
    sign_in: SignInConfig = SignInConfig()
    operators: OperatorsConfig = OperatorsConfig()
    file: str = ""

    @property
    def level_list(self) -> tuple[Level, ...]:
        if not self.levels:
            return DEFAULT_LEVELS
        return tuple(Level(level.name, level.plural) for level in self.levels)


def config_path() -> Path:
    """The file in force: ORRERY_CONFIG, else ./orrery.toml, else the demo's."""
    named = os.environ.get("ORRERY_CONFIG")
    if named:
        return Path(named)
    own = Path(DEFAULT_FILE)
    return own if own.exists() else DEMO_CONFIG


def load_config(path: Path | None = None) -> Config:
    """Read and check the configuration; raises ConfigurationError."""
    path = path or config_path()
    pumps = _pumps_beside(path)
    alone = bool(pumps) and path == DEMO_CONFIG
    data: dict[str, Any] = ({"title": "Heat pumps", "sources": []} if alone
                            else read_toml(path))
    if "file" in data:
        raise ConfigurationError(str(path), "file", data["file"], "no such key; remove it")
    directory = os.environ.get("ORRERY_HISTORY_DIRECTORY")
    if directory and isinstance(data.setdefault("history", {}), dict):
        data["history"]["directory"] = directory
    if pumps and isinstance(data.get("sources"), list):
        data["sources"] += pumps
    config = as_model({**data, "file": str(path)}, Config, str(path))
    check_names(config)
    _check_own_secrets(config)
    _check_zone(config)
    return config


def _check_zone(config: Config) -> None:
    """Raises ConfigurationError."""
    try:
        _ = config.twin.zone
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(config.file, "twin.time_zone", config.twin.time_zone,
                                 "UTC, or a zone as Europe/Berlin") from error


def _check_own_secrets(config: Config) -> None:
    """Raises ConfigurationError for one of our own that a form could name."""
    gateway, history, coordinator = config.gateway, config.history, config.coordinator
    named: dict[str, str | None] = {
        "gateway.api_key_secret": gateway.api_key_secret,
        "history.url_variable": history.url_variable,
        "history.alarms_url_variable": history.alarms_url_variable,
        "coordinator.url_variable": coordinator.url_variable,
        "coordinator.actor_key_secret": coordinator.actor_key_secret,
        **{f"gateway.operator_keys.{who}": name for who, name in gateway.operator_keys.items()}}
    for key, name in named.items():
        if name and name.startswith(FOR_SOURCES):
            raise ConfigurationError(config.file, key, name, "another name: those that begin with "
                                     f"{FOR_SOURCES} are for sources, to whose servers they go")


def _pumps_beside(path: Path) -> list[dict[str, Any]]:
    """The pumps of heat_pumps.yaml in the folder of `path`, of the demo's in the current one."""
    file = Path(PUMPS_FILE) if path == DEMO_CONFIG else path.with_name(PUMPS_FILE)
    if not file.exists():
        return []
    told = as_model(read_yaml(file), PumpsFile, str(file))
    return [msgspec.to_builtins(pump) for pump in told.pumps]


def check_names(config: Config) -> None:
    """Raises ConfigurationError for one that occurs twice."""
    for key, names in (("sources", [source.name for source in config.sources]),
                       ("levels", [level.name for level in config.level_list]),
                       ("houses", [house.id for house in config.houses])):
        for position, name in enumerate(names):
            if name in names[:position]:
                word = "id" if key == "houses" else "name"
                raise ConfigurationError(config.file, f"{key}[{position}].{word}", name,
                                         f"a {word} that occurs once")
