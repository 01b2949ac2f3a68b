"""What energy cost at a site, step by step: a source of prices tells today and tomorrow, the
coordinator's own minutes remember the weeks before."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import numpy as np

from core.coordinator.forecasts import Past
from core.coordinator.outlook import BUY, DAY_S, SELL, column, step_means, step_prices
from core.coordinator.problem import Floats
from core.coordinator.records import CoordinatorStore
from core.coordinator.settings import SiteSettings
from core.errors import RetryLaterError
from core.tariff import PriceSeries, Tariff

log = logging.getLogger(__name__)

PRICE_DAYS = 28
"""So far back prices are like those to come: seasons change them."""
MOST_CHANGES = 1000


class PricePast:
    """Of one site, in steps of step_s [s]; for one thread. default: its settings where nobody set
    any."""

    def __init__(self, store: CoordinatorStore, site: str, step_s: float,
                 default: SiteSettings) -> None:
        self._store, self._site, self._step_s, self._default = store, site, step_s, default
        self._steps = round(PRICE_DAYS * DAY_S / step_s)
        self._held: SiteSettings | None = None
        self._end: datetime | None = None
        self._values = self._nothing()

    def take(self, settings: SiteSettings, tariff: Tariff, end: datetime) -> dict[str, Past]:
        """Of BUY and SELL up to `end`, a whole step: as `tariff` tells it, else as it was while
        `settings` had the prices that they have; nothing for a tariff that knows all that comes."""
        if not isinstance(tariff, PriceSeries):
            self._held = None
            return {}
        if self._held is None or not same_prices(self._held, settings):
            self._held, self._end = settings, None
        start = end - timedelta(seconds=self._steps * self._step_s)
        self._move(settings, start, end)
        for name, told in told_past(tariff, end, self._step_s).items():
            known = np.isfinite(told.values)
            self._values[name][known] = told.values[known]
        return {name: Past(start, self._step_s, values.copy())
                for name, values in self._values.items()}

    def _nothing(self) -> dict[str, Floats]:
        return {name: np.full(self._steps, np.nan) for name in (BUY, SELL)}

    def _move(self, settings: SiteSettings, start: datetime, end: datetime) -> None:
        """The minutes are read where nothing is known yet; without the store at a later time."""
        if self._end is None:
            self._values = self._nothing()
            try:
                self._read(max(start, in_force_since(self._store, self._site, settings,
                                                     self._default) or start), start, end)
            except RetryLaterError as error:
                log.warning("%s: past prices are read later: %s", self._site, error)
                return
        else:
            new = min(self._steps, max(0, round((end - self._end).total_seconds() / self._step_s)))
            for name, values in self._values.items():
                self._values[name] = np.concatenate([values[new:], np.full(new, np.nan)])
        self._end = end

    def _read(self, since: datetime, start: datetime, end: datetime) -> None:
        """A day at a time."""
        while since < end:
            until = min(since + timedelta(seconds=DAY_S), end)
            minutes = self._store.minutes(self._site, since, until)
            times = column(minutes, "time_s")
            for name, values in self._values.items():
                means = step_means(times, column(minutes, name), start, self._steps, self._step_s)
                values[np.isfinite(means)] = means[np.isfinite(means)]
            since = until


def told_past(tariff: Tariff, end: datetime, step_s: float) -> dict[str, Past]:
    """BUY and SELL of PRICE_DAYS up to `end` as a tariff tells them itself, NaN where it does not;
    nothing for one that knows all that comes."""
    if not isinstance(tariff, PriceSeries):
        return {}
    steps = round(PRICE_DAYS * DAY_S / step_s)
    start = end - timedelta(seconds=steps * step_s)
    return {name: Past(start, step_s, step_prices(tariff, start, steps, step_s, which))
            for which, name in enumerate((BUY, SELL))}


def set_at(store: CoordinatorStore, site: str, at: datetime,
           default: SiteSettings) -> SiteSettings:
    """A site's settings as they were. Raises RetryLaterError."""
    return next((change.settings for change in store.changes(site, MOST_CHANGES)
                 if change.at <= at), default)


def same_prices(one: SiteSettings, other: SiteSettings) -> bool:
    return (one.tariff, one.prices, one.prices_from) == (
        other.tariff, other.prices, other.prices_from)


def in_force_since(store: CoordinatorStore, site: str, settings: SiteSettings,
                   default: SiteSettings) -> datetime | None:
    """Since when a site has had the prices of `settings`, None where it had no others. Raises
    RetryLaterError."""
    since = None
    for change in store.changes(site, MOST_CHANGES):
        if change.unread or not same_prices(change.settings, settings):
            return since
        since = change.at
    return None if same_prices(default, settings) else since
