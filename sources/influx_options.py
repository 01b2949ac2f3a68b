"""What says where InfluxDB is and who signs in: options, with the environment behind them."""

from __future__ import annotations

import importlib.util
import os
from typing import Annotated, Literal

import msgspec

from core.errors import ConfigurationError
from core.heatpump.profile import PumpOptions
from core.secrets import secret
from sources.flux import REQUIREMENTS, Flux
from sources.http import FILE, Secret, Server, secret_of, server_of
from sources.influx_http import sign_in
from sources.influx_schema import Adapter, Name, Place
from sources.influxql import InfluxQl

URL, TOKEN, ORG, BUCKET, BRAND = ("INFLUXDB_URL", "INFLUXDB_TOKEN", "INFLUXDB_ORG",
                                  "INFLUXDB_BUCKET", "HEATPUMP_BRAND")
DEFAULT_URL, DEFAULT_BUCKET, DEFAULT_MEASUREMENT = "http://127.0.0.1:8086", "heatpump", "heatpump"
BRANDS = {"thermia": "thermia_c60", "ivt": "ivt_rego600_c00", "nibe": "nibe_eb100_c40"}

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+\Z")]


class Options(PumpOptions, kw_only=True, forbid_unknown_fields=True):
    """base_url, bucket (or database, its name in 1.x), org, token_secret, profile: from the
    environment when left out. token_secret, password_secret: NAMES of environment variables;
    `token` and `password` are known only to be refused without being shown. pump: the value of
    the tag `pump` where several pumps share the measurement. period_s: between two questions
    for the newest values [s]. stale_after_s: 2.5 times how often they are written, of which
    300 s is the slowest known [s]. past_s: what is older is no newest value [s]."""

    profile: str = ""
    language: Literal["influxql", "flux"] = "influxql"
    base_url: str = ""
    database: Name | None = None
    bucket: Name | None = None
    org: Text | None = None
    measurement: Name = DEFAULT_MEASUREMENT
    pump: Name | None = None
    username: Text | None = None
    token_secret: str | None = None
    password_secret: str | None = None
    token: object = None
    password: object = None
    period_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 30.0
    stale_after_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 750.0
    past_s: Annotated[float, msgspec.Meta(ge=60, le=604_800)] = 3600.0


def with_profile(name: str, options: Options) -> Options:
    """With the profile that HEATPUMP_BRAND names where none is; raises ConfigurationError."""
    if options.profile:
        return options
    brand = os.environ.get(BRAND, "").strip().lower()
    if brand not in BRANDS:
        raise ConfigurationError(
            FILE, f"{name}.profile", brand[:40], "the name of a profile; or the environment "
            f"variable {BRAND} with one of {', '.join(BRANDS)}")
    return msgspec.structs.replace(options, profile=BRANDS[brand])


def server_in(name: str, options: Options) -> Server:
    """Raises ConfigurationError."""
    key = "database" if options.database or not options.bucket else "bucket"
    url = options.base_url or os.environ.get(URL, DEFAULT_URL)
    return server_of(name, url, _secret(name, options), key, plain_nearby=True)


def place_in(name: str, options: Options) -> Place:
    """Raises ConfigurationError."""
    if options.database and options.bucket and options.database != options.bucket:
        raise ConfigurationError(FILE, f"{name}.bucket", options.bucket, "only one of database "
                                 "and bucket: they are two names of the same option")
    told = options.database or options.bucket or os.environ.get(BUCKET, DEFAULT_BUCKET)
    try:
        bucket = msgspec.convert(told, Name)
    except msgspec.ValidationError:
        raise ConfigurationError(FILE, f"{name}.bucket", told[:80], "letters, digits, blanks or "
                                 f"_ . : / -, at most 64, also in {BUCKET}") from None
    return Place(bucket, options.measurement, options.pump or "")


def adapter_in(name: str, options: Options, server: Server) -> Adapter:
    """For the language that was chosen; raises ConfigurationError."""
    place, value = place_in(name, options), server.secret.value
    if options.language == "influxql":
        return InfluxQl(place, sign_in(options.username or "", value))
    if importlib.util.find_spec("influxdb_client") is None:
        raise ConfigurationError(FILE, f"{name}.language", "flux", "influxql; for flux first "
                                 f"install its client: pip install -r {REQUIREMENTS}")
    token = f"{options.username}:{value}" if options.username else value
    return Flux(place, org_in(options), token)


def _secret(name: str, options: Options) -> Secret:
    """A user's password, else the token; INFLUXDB_TOKEN where nothing is named and it is set. An
    empty name is none: what a form adds sends that token to no other server."""
    if options.username is not None or options.password_secret is not None:
        if options.username is None or options.token_secret is not None:
            raise ConfigurationError(FILE, f"{name}.username", options.username, "username with "
                                     "password_secret, or token_secret alone")
        return secret_of(name, "password_secret", options.password_secret or "",
                         options.password, in_header=False)
    named = options.token_secret
    if named is None:
        named = TOKEN if secret(TOKEN) else ""
    if named or options.token is not None:
        return secret_of(name, "token_secret", named, options.token)
    if options.password is not None:
        return secret_of(name, "password_secret", "", options.password)
    return Secret("token_secret")


def org_in(options: Options) -> str:
    """"" where nobody told one: InfluxDB 1 and 3 know none."""
    return options.org or os.environ.get(ORG, "")
