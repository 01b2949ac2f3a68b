"""Prices of the hours ahead from a market's or a supplier's server (kind "prices-http").

One question in each period; the answer is read by `core.coordinator.prices`. What was told once is
kept, so that a server that does not answer costs no price that is known already.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
import numpy as np

from core.clock import Clock, SystemClock
from core.coordinator.price_belief import Believed
from core.coordinator.prices import (
    CURRENCIES,
    PRESETS,
    PriceFormat,
    Prices,
    read_told,
)
from core.devices import Device
from core.errors import ConfigurationError, RequestError, SourceError
from core.frames import Reading
from core.houses import HouseId
from core.ports import SourceInfo
from core.tariff import PriceSeries, prices
from core.topology import Level
from sources.http import FILE, HttpError, Limits, Secret, Server, Session, secret_of, server_of
from sources.polling import STALE_PERIODS, Pace, PolledSource, Poller, Told, probe_once

TARIFF = ("import_price_per_kwh", "export_price_per_kwh")
LIMITS = Limits(timeout_s=10.0, deadline_s=20.0, max_bytes=2 * 1024 * 1024)
PROBE_LIMITS = Limits(timeout_s=5.0, deadline_s=8.0, max_bytes=2 * 1024 * 1024)


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """house: whose prices they are. base_url, path, query: what is asked. form: how the answer
    tells prices; preset: a form that is known by name, in place of it. currency: of
    the prices, which a preset knows by itself; "" = nobody says. token_secret: the NAME of
    an environment variable with a bearer token, "" = none is sent; `token` is known only to be
    refused without being shown. period_s: between two questions [s]."""

    house: HouseId
    base_url: str
    path: Annotated[str, msgspec.Meta(pattern=r"^/[^\s?#]*\Z", max_length=200)] = "/"
    query: Annotated[dict[str, str], msgspec.Meta(max_length=20)] = {}
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Prices"
    preset: Literal["", "energy-charts", "awattar"] = ""
    form: PriceFormat | None = None
    currency: Annotated[str, msgspec.Meta(pattern=r"^([A-Z]{3})?\Z")] = ""
    token_secret: str = ""
    token: object = None
    period_s: Annotated[float, msgspec.Meta(ge=60, le=86_400)] = 900.0


class PricesHttp(PolledSource):
    """PolledSource, ProblemTelling and PriceTelling of one house."""

    def __init__(self, info: SourceInfo, reader: PriceReader, poller: Poller[Told]) -> None:
        super().__init__(info, [reader.device], reader, poller, math.inf)
        self._prices, self.currency = reader, reader.currency

    def poll(self, now: datetime) -> Reading:
        """The prices of `now`, NaN where none is known; raises as `PolledSource.poll`."""
        self.poller.newest(now)
        return Reading(now, {}, channels=np.array(self._prices.at(now)),
                       channels_heard=np.ones(len(TARIFF), dtype=np.bool_))

    def day_ahead(self) -> PriceSeries:
        """As `PriceTelling`."""
        known = self._prices.known
        if known is None:
            raise SourceError(f"{self.info.label}: no prices were told yet; see the connection")
        return known.series

    def problems(self) -> Mapping[str, str]:
        """What is odd about the prices."""
        return self._prices.problems


def create(name: str, options: Options, levels: tuple[Level, ...], *,
           clock: Clock | None = None, limits: Limits = LIMITS) -> PricesHttp:
    """Raises ConfigurationError. Asks from `start` on."""
    reader = PriceReader(name, options, clock)
    info = SourceInfo(name, options.label, "live", options.period_s,
                      STALE_PERIODS * options.period_s, "discharge")
    poller = Poller(reader, _server(name, options), Pace(options.period_s), clock=clock,
                    limits=limits, ping_path=options.path)
    return PricesHttp(info, reader, poller)


def probe(options: Options, *, limits: Limits = PROBE_LIMITS, clock: Clock | None = None) -> str:
    """Ask once and say what was found; blocks. Raises SourceError and ConfigurationError."""
    reader = PriceReader("prices", options, clock)
    found = probe_once(reader, _server("prices", options), [reader.device], limits, clock)
    return " ".join([found, *(f"{word}." for word in reader.problems.values())])


def _server(name: str, options: Options) -> Server:
    secret = Secret("token_secret")
    if options.token_secret or options.token is not None:
        secret = secret_of(name, "token_secret", options.token_secret, options.token)
    return server_of(name, options.base_url, secret, "base_url", plain_nearby=True)


class PriceReader:
    """Asks for the prices. Raises ConfigurationError for a form that cannot be."""

    def __init__(self, name: str, options: Options, clock: Clock | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        self._options = options
        self._clock = clock or SystemClock()
        self._form, self.currency = _form(name, options), _currency(name, options)
        self._believed = Believed(self._form, self._clock)
        self.device = Device(f"{options.house}_prices", options.house, "tariff", options.label,
                             TARIFF, "discharge")

    def __call__(self, session: Session) -> Told:
        """Raises SourceError, saying what to do."""
        headers = {"Authorization": f"Bearer {session.server.secret.value}"} if (
            self._options.token_secret) else {}
        answer = session.get(self._options.path, object, params=self._options.query,
                             headers=headers)
        host = session.server.host
        try:
            self._believed.take(read_told(answer, self._form))
        except RequestError as error:
            self.dropped["refused"] += 1
            raise HttpError(f"{host}: {error}") from error
        self.problems = {f"prices {number + 1}": word
                         for number, word in enumerate(self._believed.words)}
        now = self._clock.now()
        return Told(now, {self.device.id: dict(zip(TARIFF, self.at(now), strict=True))})

    @property
    def known(self) -> Prices | None:
        return self._believed.known

    def at(self, now: datetime) -> tuple[float, float]:
        """Price of import and of export; NaN where none is known."""
        if self.known is None:
            return math.nan, math.nan
        _, buy, sell = prices(self.known.series, now.timestamp(), now.timestamp() + 1.0)
        return float(buy[0]), float(sell[0])


def _form(name: str, options: Options) -> PriceFormat:
    if options.form is not None and options.preset:
        raise ConfigurationError(FILE, f"sources.{name}.options.preset", options.preset,
                                 'a form or a preset; "" beside a form')
    form = options.form or PRESETS.get(options.preset) or PriceFormat()
    try:
        _ = form.zone
    except RequestError as error:
        raise ConfigurationError(FILE, f"sources.{name}.options.form.time_zone", form.time_zone,
                                 str(error)) from error
    return form


def _currency(name: str, options: Options) -> str:
    known = CURRENCIES.get(options.preset, "")
    if known and options.currency not in ("", known):
        raise ConfigurationError(FILE, f"sources.{name}.options.currency", options.currency,
                                 f"{known}, which {options.preset} tells prices in; a form of "
                                 "your own can convert them by its factor")
    return options.currency or known
