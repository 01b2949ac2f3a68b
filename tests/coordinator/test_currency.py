"""Money of two currencies is no sum: an account and a score begin anew where it changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from core.coordinator.currency import of_newest, reckoned
from core.coordinator.daily import day_cost
from core.coordinator.meter import Metered
from core.coordinator.minutes import Fleet, Minutes
from core.coordinator.problem import Connection, Objectives
from core.coordinator.records import Minute
from core.coordinator.settings import SiteSettings
from core.coordinator.view import DayCost
from core.houses import TariffConfig
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.challenged import challenged, shadow
from tests.coordinator.fleet import NOON, SITE
from tests.coordinator.test_daily import MIDNIGHT, PLANNERS, STEP_S, minutes, packs
from tests.coordinator.test_loop import Site, made

HOUR_S = 3600.0


def tariff(currency: str, price: float = 0.3) -> TariffConfig:
    return TariffConfig(kind="flat", currency=currency, import_per_kwh=price, export_per_kwh=0.05)


def told(all_of: list[Minute]) -> DayCost:
    return day_cost(all_of, packs(), ["LFP"], MIDNIGHT, MIDNIGHT + timedelta(minutes=len(all_of)),
                    STEP_S, PLANNERS, Connection(), Objectives())


@pytest.mark.parametrize(("before", "was"), [
    ("USD", "in USD"), (None, "in a currency that was not kept"),
    ("", "in a currency that nobody told")])
def test_a_day_is_told_from_where_its_currency_began(before: str | None, was: str) -> None:
    """An hour at ten times the price, then forty minutes; the load is 30 kW."""
    both = [one._replace(currency=before, import_price=2.0) for one in minutes(0, 60)] + [
        one._replace(currency="EUR") for one in minutes(60, 40)]
    day = told(both)
    assert (day.currency, day.start) == ("EUR", MIDNIGHT + timedelta(hours=1))
    assert day.no_battery is not None
    assert day.no_battery.total == pytest.approx(30.0 * 40.0 / 60.0 * 0.2)
    assert day.words == ("told since 01:00 UTC alone: from then on prices are in EUR, before they "
                         f"were {was}")


def test_a_day_of_one_currency_is_told_whole_also_where_a_price_is_missing() -> None:
    whole = [one._replace(currency="EUR") for one in minutes(0, 60)]
    whole[10] = whole[10]._replace(currency="", import_price=float("nan"))
    day = told(whole)
    assert (day.currency, day.start, day.words) == ("EUR", MIDNIGHT, "")
    assert of_newest([]) == ([], None, "")


def test_a_minute_in_which_the_currency_changed_has_no_price() -> None:
    samples, fleet = Minutes(), Fleet(0.0, 50.0, {})
    for second, currency in ((0, "USD"), (30, "EUR"), (60, "EUR"), (120, "EUR")):
        done = samples.take(NOON + timedelta(seconds=second), Metered(
            1.0, 0.0, 1.0, 0.2, 0.1, currency), fleet, None, 0)
        if second == 60:
            assert (done[0].currency, np.isnan(done[0].import_price)) == ("EUR", True)
            assert done[0].load_kw == 1.0
    assert (done[0].currency, done[0].import_price) == ("EUR", 0.2)


@pytest.fixture
def site() -> Iterator[Site]:
    found = challenged(SiteSettings(controller="rule-based", challenger="mpc",
                                    tariff=tariff("USD")))
    yield found
    found.store.close()


def in_euros(site: Site) -> None:
    site.set(SiteSettings(controller="rule-based", challenger="mpc", tariff=tariff("EUR", 3.0)))


def test_a_score_and_a_day_begin_anew_in_another_currency(site: Site) -> None:
    before = shadow(site)
    assert (before.currency, before.runs > 2) == ("USD", True)
    (day,) = site.store.days(SITE, NOON.replace(hour=0))
    assert (day.currency, day.words) == ("USD", "")
    in_euros(site)
    site.live(HOUR_S / 2, 60.0)
    after = shadow(site)
    assert (after.currency, after.since > before.since, after.runs < before.runs + 3) == (
        "EUR", True, True)
    assert "begins anew: money is in EUR, it was in USD" in " ".join(site.told())
    (day,) = site.store.days(SITE, NOON.replace(hour=0))
    assert day.currency == "EUR"
    assert day.words == ("told since 12:31 UTC alone: from then on prices are in EUR, before they "
                         "were in USD")
    assert {one.currency for one in site.store.minutes(
        SITE, NOON, NOON + timedelta(hours=2))} == {"USD", "EUR"}


@pytest.mark.parametrize("kept", ["USD", None])
def test_after_a_restart_too(site: Site, kept: str | None) -> None:
    """Also where an earlier version kept the score, of which nobody knows the currency."""
    before = shadow(site)
    site.store.keep_shadow(SITE, replace(before, currency=kept))
    if kept is not None:
        in_euros(site)
    again = made(site.clock, site.store, MpcPlanner(), fleet=site.fleet)
    again.live(HOUR_S / 6, 60.0)
    after = shadow(again)
    assert after.since > before.since
    assert after.currency == ("USD" if kept is None else "EUR")
    assert f"it was {reckoned(kept)}" in " ".join(again.told())
