"""What a site's energy costs by its settings: a series that was taken in, a source of prices, a
tariff, or its house's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from core.coordinator.price_states import PriceState, Teller, state_of
from core.coordinator.prices import PriceFormat, Prices, read_csv, read_json
from core.coordinator.records import CoordinatorStore
from core.coordinator.settings import SiteSettings
from core.errors import OrreryError, RequestError, RetryLaterError
from core.houses import Currency, House, HouseConfig, house_of
from core.tariff import PriceSeries, Tariff

REMEMBERED = 4
"""Series that are known without the store."""
NO_TARIFF = "No tariff is set for this site: choose one, or take in a series of prices"


class StoredPrices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `PriceSeries` as it is kept."""

    currency: Currency
    time_s: list[float]
    import_per_kwh: list[float]
    export_per_kwh: list[float]
    hold_s: float

    @classmethod
    def of(cls, currency: str, series: PriceSeries) -> StoredPrices:
        return cls(currency, series.time_s.tolist(), series.import_per_kwh.tolist(),
                   series.export_per_kwh.tolist(), series.hold_s)

    @property
    def series(self) -> PriceSeries:
        return PriceSeries(np.array(self.time_s), np.array(self.import_per_kwh),
                           np.array(self.export_per_kwh), self.hold_s)


def read_file(file: bytes, form: PriceFormat) -> Prices:
    """CSV, or JSON by its first character; raises RequestError."""
    if file.lstrip()[:1] in (b"{", b"["):
        return read_json(file, form)
    try:
        return read_csv(file.decode("utf-8-sig"), form)
    except UnicodeDecodeError as error:
        raise RequestError(f"The prices are no text in UTF-8 ({error}): save them as such") \
            from error


class SiteTariff:
    """Of one site. house: whose tariff counts where nobody set another, None without one."""

    def __init__(self, site: str, store: CoordinatorStore, zone: ZoneInfo,
                 house: House | None = None,
                 told: Callable[[], PriceSeries | None] = lambda: None,
                 tellers: Callable[[], Mapping[str, Teller]] = dict) -> None:
        """told: the prices that a source of the house knows now; tellers: all sources that tell
        prices, by name."""
        self._site, self._store, self._zone, self._house = site, store, zone, house
        self._told, self._tellers = told, tellers
        self._last = dict[str, bytes | None]()

    def __call__(self, settings: SiteSettings) -> Tariff:
        """Raises RequestError where there is none, SourceError where its source has told nothing
        yet, RetryLaterError where nobody could read it before either."""
        if settings.prices:
            told = _decoded(settings.prices, self._kept(settings.prices))
            self.check_currency(settings, told.currency, f"the prices {settings.prices!r}")
            return told.series
        if settings.prices_from:
            return self._from(settings)
        said = settings.tariff
        if said is None:
            return self._of_house(settings)
        if said.kind == "measured":
            return self._measured(settings)
        made = house_of(HouseConfig(id="site", label="site", time_zone=self._zone.key,
                                    tariff=said), "tariff", "the settings")
        if made.tariff is None:
            raise RequestError(NO_TARIFF)
        return made.tariff

    def states(self, series: Sequence[str], now: datetime) -> list[PriceState]:
        """Of the house's prices, of each other source that tells some, of each of the `series` that
        were taken in."""
        house, tellers = self._house, dict(self._tellers())
        label, error = "" if house is None else house.label, ""
        if house is not None and house.tariff is None:  # its prices are those of its first source
            own = next((name for name, one in tellers.items() if one.house == house.id), None)
            error = "" if own is None else tellers.pop(own).error
        return [state_of("house", "", label, self._of_house, now, error),
                *(replace(state_of("source", name, one.label, one.told, now, one.error),
                          currency=one.currency) for name, one in tellers.items()),
                *(self._of_series(name, now) for name in series)]

    def _of_series(self, name: str, now: datetime) -> PriceState:
        try:
            kept = _decoded(name, self._store.prices(self._site, name))
        except OrreryError as lost:
            return PriceState("series", name, name, "missing", words=str(lost))
        return replace(state_of("series", name, name, lambda: kept.series, now),
                       currency=kept.currency)

    def _of_house(self, settings: SiteSettings | None = None) -> Tariff:
        if self._house is not None and self._house.tariff is not None:
            return self._house.tariff
        return self._measured(settings or SiteSettings())

    def _measured(self, settings: SiteSettings) -> PriceSeries:
        series = self._told()
        if series is None:
            raise RequestError(NO_TARIFF)
        own = self._own_teller()
        if own is not None:
            self._check_teller(settings, own)
        return series

    def _own_teller(self) -> Teller | None:
        """The source whose prices are the house's."""
        return None if self._house is None else next(
            (one for one in self._tellers().values() if one.house == self._house.id), None)

    def _check_teller(self, settings: SiteSettings, teller: Teller) -> None:
        if teller.currency:
            self.check_currency(settings, teller.currency, f"the prices of {teller.label!r}")

    def _from(self, settings: SiteSettings) -> PriceSeries:
        name = settings.prices_from
        teller = self._tellers().get(name)
        if teller is None:
            raise RequestError(f"No source of prices is called {name[:80]!r} where this site is "
                               "coordinated: choose another tariff, or name it in orrery.toml")
        self._check_teller(settings, teller)
        return teller.told()

    def currency(self, settings: SiteSettings) -> str:
        """Of its tariff, else of the prices that it goes by; "" where nobody says."""
        own = self._own_currency(settings)
        if own:
            return own
        if not settings.prices:
            teller = self._tellers().get(settings.prices_from) if settings.prices_from else (
                self._own_teller())
            return "" if teller is None else teller.currency
        try:
            return _decoded(settings.prices, self._kept(settings.prices)).currency
        except (RequestError, RetryLaterError):
            return ""

    def check_currency(self, settings: SiteSettings, currency: str, what: str) -> None:
        """Raises RequestError where `what` is in another currency than the site."""
        own = self._own_currency(settings)
        if own and currency != own:
            raise RequestError(f"{what} are in {currency}, this site reckons in {own}: give them "
                               f"in {own}, or set a tariff in {currency} first")

    def _own_currency(self, settings: SiteSettings) -> str:
        if settings.tariff is not None:
            return settings.tariff.currency
        return "" if self._house is None else self._house.currency

    def _kept(self, name: str) -> bytes | None:
        """As it was last where the store is out of reach."""
        try:
            told = self._store.prices(self._site, name)
        except RetryLaterError:
            if name not in self._last:
                raise
            return self._last[name]
        self._last = dict([*self._last.items(), (name, told)][-REMEMBERED:])
        return told


def _decoded(name: str, told: bytes | None) -> StoredPrices:
    """Raises RequestError."""
    if told is None:
        raise RequestError(f"no series of prices is called {name[:80]!r}: take it in again")
    try:
        return msgspec.json.decode(told, type=StoredPrices)
    except msgspec.MsgspecError as error:
        raise RequestError(f"the series {name[:80]!r} cannot be read ({error}): take it in "
                           "again") from error
