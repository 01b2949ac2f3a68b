"""Prices of the weeks before, out of the coordinator's own minutes and of what a source tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
import numpy as np
import pytest

from core.coordinator.outlook import BUY, SELL
from core.coordinator.price_past import PRICE_DAYS, PricePast, in_force_since
from core.coordinator.records import Minute
from core.coordinator.settings import SiteSettings
from core.errors import RetryLaterError
from core.tariff import FlatTariff, PriceSeries
from store.records import open_coordinator
from store.records.coordinator import CoordinatorTables
from tests.coordinator.fleet import HOUR_S, NOON, SITE

STEP_S, DAY = 600.0, 144
SETTINGS = SiteSettings()
NOW_KNOWN = PriceSeries(NOON.timestamp() + HOUR_S * np.arange(-6.0, 12.0), np.full(18, 0.7),
                        np.full(18, 0.3), HOUR_S)
"""From six hours ago on."""


@pytest.fixture
def store() -> Iterator[CoordinatorTables]:
    found = open_coordinator(None)
    yield found
    found.close()


def keep(store: CoordinatorTables, days: float, price: float = 0.2, every_s: float = 300.0,
         until: datetime = NOON) -> None:
    nan = float("nan")
    times = np.arange(until.timestamp() - 86_400.0 * days, until.timestamp(), every_s)
    store.keep_minutes(SITE, [Minute(at, nan, nan, nan, nan, nan, price, price / 2, nan, nan, 0, {})
                              for at in times.tolist()])


def test_a_source_tells_today_and_minutes_tell_the_weeks_before(store: CoordinatorTables) -> None:
    keep(store, 20.0)
    told = PricePast(store, SITE, STEP_S, SETTINGS).take(SETTINGS, NOW_KNOWN, NOON)
    assert told[BUY].end == told[SELL].end == NOON
    assert len(told[BUY].values) == PRICE_DAYS * DAY
    for name, before, now in ((BUY, 0.2, 0.7), (SELL, 0.1, 0.3)):
        values = told[name].values
        assert values[-36:] == pytest.approx(now), "what is told counts before what was heard"
        assert values[-20 * DAY:-36] == pytest.approx(before)
        assert np.isnan(values[:-20 * DAY]).all(), "and before that nobody knows"


def test_it_is_read_once_and_goes_on_with_what_is_told(store: CoordinatorTables) -> None:
    keep(store, 20.0)
    kept = PricePast(store, SITE, STEP_S, SETTINGS)
    kept.take(SETTINGS, NOW_KNOWN, NOON)
    store.close()  # nobody reads it again
    later = NOON + timedelta(hours=2)
    values = kept.take(SETTINGS, NOW_KNOWN, later)[BUY].values
    assert values[-48:] == pytest.approx(0.7)
    assert values[-49] == pytest.approx(0.2)
    gone = NOON + timedelta(days=5)
    values = kept.take(SETTINGS, NOW_KNOWN, gone)[BUY].values
    assert np.isnan(values[-4 * DAY:]).all(), "a time that nobody told anything of is missing"
    assert np.isfinite(values[-6 * DAY:-5 * DAY]).all()


def test_prices_of_another_tariff_are_not_its_own(store: CoordinatorTables) -> None:
    keep(store, 20.0)
    other = msgspec.structs.replace(SETTINGS, prices="last year")
    for days, settings in ((15.0, other), (9.0, SETTINGS),
                           (4.0, msgspec.structs.replace(SETTINGS, controller="rule-based"))):
        store.save_settings(SITE, settings, "eve", NOON - timedelta(days=days))
    assert in_force_since(store, SITE, SETTINGS, SETTINGS) == NOON - timedelta(days=9)
    kept = PricePast(store, SITE, STEP_S, SETTINGS)
    values = kept.take(SETTINGS, NOW_KNOWN, NOON)[BUY].values
    assert np.isfinite(values[-9 * DAY:]).all()
    assert np.isnan(values[:-9 * DAY]).all(), "another series was in force"
    store.save_settings(SITE, other, "eve", NOON)
    assert np.isnan(kept.take(other, NOW_KNOWN, NOON)[BUY].values[:-36]).all(), "and again"


def test_what_was_never_changed_holds_from_the_beginning(store: CoordinatorTables) -> None:
    assert in_force_since(store, SITE, SETTINGS, SETTINGS) is None
    calm = msgspec.structs.replace(SETTINGS, controller="rule-based")
    store.save_settings(SITE, calm, "eve", NOON)
    assert in_force_since(store, SITE, calm, SETTINGS) is None
    other = msgspec.structs.replace(SETTINGS, prices="a")
    assert in_force_since(store, SITE, calm, other) == NOON, "the first change brought them"


class Lost:
    """A store that cannot be read at first."""

    def __init__(self, store: CoordinatorTables) -> None:
        self._store, self.lost = store, True

    def minutes(self, site: str, start: datetime, end: datetime) -> Sequence[Minute]:
        if self.lost:
            raise RetryLaterError("no answer")
        return self._store.minutes(site, start, end)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_without_the_store_it_reads_later(store: CoordinatorTables) -> None:
    keep(store, 20.0)
    lost = Lost(store)
    kept = PricePast(lost, SITE, STEP_S, SETTINGS)  # type: ignore[arg-type]
    first = kept.take(SETTINGS, NOW_KNOWN, NOON)[BUY].values
    assert np.isfinite(first).sum() == 36, "what is told is known all the same"
    later = kept.take(SETTINGS, NOW_KNOWN, NOON + timedelta(hours=18))[BUY].values
    assert np.isfinite(later[-144:-36]).all()
    assert np.isfinite(later).sum() == 108, "18 hours, and they stand where they belong"
    lost.lost = False
    again = kept.take(SETTINGS, NOW_KNOWN, NOON)[BUY].values
    assert np.isfinite(again).sum() == 20 * DAY


def test_a_tariff_that_knows_all_that_comes_needs_no_past(store: CoordinatorTables) -> None:
    kept = PricePast(store, SITE, STEP_S, SETTINGS)
    assert kept.take(SETTINGS, FlatTariff(0.3, 0.1), NOON) == {}
