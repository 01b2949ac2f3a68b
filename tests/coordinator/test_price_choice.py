"""Every kind of prices can be chosen, its state is told, and the plan follows: day-ahead prices of
a real HTTP server too, where the house has a tariff of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.clock import ManualClock
from core.config import Config, CoordinatedSite, CoordinatorConfig, HistoryConfig, SourceConfig
from core.coordination import coordinator
from core.coordinator.desk import CoordinatorDesk
from core.coordinator.price_states import PriceState
from core.coordinator.prices import PriceFormat
from core.coordinator.settings import SiteSettings
from core.coordinator.view import Ahead, SiteView
from core.engine import Engine, houses_of
from core.houses import HouseConfig, TariffConfig, houses_in
from core.registry import make_sources
from core.topology import DEFAULT_LEVELS, Topology
from sources.prices_http import Options, PricesHttp, create
from tests.sources.web import QUICK, Web, data, status

START = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
SITE, HOUSE, MARKET = "packs", "packs_site", "market"
OWN = TariffConfig(kind="flat", currency="EUR", import_per_kwh=0.30, export_per_kwh=0.05)
BY_MARKET = SiteSettings(tariff=TariffConfig(kind="measured", currency="EUR"), prices_from=MARKET)
CHEAP, DEAR = slice(2, 6), slice(18, 22)
"""Hours of the day (UTC)."""


class Asked(PricesHttp):
    """No thread: the test has the server asked."""

    def start(self, now: datetime, topology: Topology) -> None:
        """Nothing begins."""


def day_ahead(hours: int = 48) -> dict[str, object]:
    """As a market tells it [per MWh]."""
    price = np.full(hours, 200.0)
    for begin in range(0, hours, 24):
        price[begin + CHEAP.start:begin + CHEAP.stop] = 40.0
        price[begin + DEAR.start:begin + DEAR.stop] = 600.0
    return {"unix_seconds": [int(START.timestamp()) + 3600 * hour for hour in range(hours)],
            "price": price.tolist()}


class Site:
    """Four packs at a house with a flat tariff of its own, and a market's server beside it."""

    def __init__(self, folder: Path, web: Web) -> None:
        self.clock = ManualClock(START)
        config = Config(
            sources=[SourceConfig("packs", "packs", {"packs": 4, "cells": 24}),
                     SourceConfig("site", "packs-site", {"homes": 20.0})],
            file="orrery.toml", history=HistoryConfig(directory=str(folder)),
            coordinator=CoordinatorConfig(sites={SITE: CoordinatedSite(HOUSE)}))
        made = create(MARKET, Options(house=HOUSE, base_url=web.url, path="/price", label="Market",
                                      preset="energy-charts"),
                      DEFAULT_LEVELS, clock=self.clock, limits=QUICK)
        self.market = Asked(made.info, made._prices, made.poller)
        sources = [*make_sources(config), self.market]
        self.engine = Engine(config.level_list, sources, self.clock)
        houses = houses_in([HouseConfig(id=HOUSE, label="Home", tariff=OWN)],
                           [house for one in sources for house in houses_of(one)], [], "x")
        found = coordinator(self.engine, config, houses, lambda: None)
        assert not isinstance(found, str)
        self.desk: CoordinatorDesk = found
        self.live(1)

    def live(self, seconds: int) -> None:
        for second in range(seconds):
            self.engine.tick()
            if second % 5 == 0:
                self.desk.turn()
            self.clock.advance(1.0)

    def ask(self) -> None:
        self.market.poller.step()
        self.live(2)

    def plan_anew(self, settings: SiteSettings) -> SiteView:
        self.desk.apply(SITE, settings, "Anna")
        self.live(6)
        return self.desk.view(SITE)

    def states(self) -> dict[str, PriceState]:
        return {one.name or one.kind: one for one in self.desk.price_states(SITE)}


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        server.at("/price", data(day_ahead()))
        yield server


@pytest.fixture
def site(tmp_path: Path, web: Web) -> Iterator[Site]:
    found = Site(tmp_path, web)
    yield found
    found.desk.stop()
    found.engine.stop()


def prices_of(view: SiteView) -> tuple[Ahead, np.ndarray]:
    assert view.problem == ""
    assert view.ahead is not None
    return view.ahead, view.ahead.outlook.import_price


def hours(values: np.ndarray, which: slice) -> np.ndarray:
    return values[6 * which.start:6 * which.stop]


def test_the_plan_follows_a_market_s_server_that_a_person_chose(site: Site, web: Web) -> None:
    _, by_house = prices_of(site.desk.view(SITE))
    assert set(by_house.tolist()) == {0.30}, "the house's own, whatever the market says"
    site.ask()
    preview = site.desk.preview(SITE, BY_MARKET)
    assert set(np.round(preview.ahead.outlook.import_price, 6)) == {0.04, 0.2, 0.6}
    ahead, price = prices_of(site.plan_anew(BY_MARKET))
    assert set(np.round(hours(price, CHEAP), 6)) == {0.04}
    assert set(np.round(hours(price, DEAR), 6)) == {0.6}
    power = ahead.plan.fleet_kw
    assert hours(power, CHEAP).mean() < -1.0, "charged while it is cheap"
    assert hours(power, DEAR).mean() > 1.0, "given while it is dear"
    assert {one.path for one in web.asked} == {"/price"}


def test_each_kind_of_prices_can_be_chosen_and_left(site: Site) -> None:
    site.ask()
    rows = "".join(f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},0.5\n"
                   for hour in range(36))
    site.desk.take_prices(SITE, "file", f"time,price\n{rows}".encode(), PriceFormat(), "EUR",
                          "Anna")
    times = TariffConfig(kind="time_of_use", currency="EUR", import_per_kwh=0.15)
    for settings, told in ((BY_MARKET, 0.2), (SiteSettings(prices="file"), 0.5),
                           (SiteSettings(tariff=times), 0.15),
                           (SiteSettings(tariff=OWN), 0.30), (BY_MARKET, 0.2),
                           (SiteSettings(), 0.30)):
        _, price = prices_of(site.plan_anew(settings))
        assert price[0] == pytest.approx(told)


def test_each_kind_says_how_good_it_is_now(site: Site, web: Web) -> None:
    states = site.states()
    assert set(states) == {"house", "packs-site", MARKET}
    assert (states["house"].standing, states["house"].until) == ("fresh", None)
    assert (states["house"].low, states["house"].high) == (0.30, 0.30)
    assert states[MARKET].standing == "missing"
    assert "no prices were told yet" in states[MARKET].words
    site.ask()
    market = site.states()[MARKET]
    assert (market.label, market.standing, market.words) == ("Market", "fresh", "")
    assert market.until == START + timedelta(hours=48)
    assert (market.low, market.high) == pytest.approx((0.04, 0.6))
    web.at("/price", status(500))
    site.ask()
    silent = site.states()[MARKET]
    assert (silent.standing, silent.until, silent.high) == ("stale", market.until, market.high)
    assert "500" in silent.words
    ahead, price = prices_of(site.plan_anew(BY_MARKET))
    assert hours(price, DEAR).max() == pytest.approx(0.6), "what was told is planned with"
    site.clock.advance(50 * 3600.0)
    assert site.states()[MARKET].standing == "stale"
    assert np.isnan(site.states()[MARKET].high)


def test_a_series_that_has_ended_or_cannot_be_read_is_said_to(site: Site) -> None:
    site.desk.take_prices(SITE, "old", b"time,price\n2026-02-01T00:00:00Z,0.2\n", PriceFormat(),
                          "EUR", "Anna")
    site.desk.store.keep_prices(SITE, "odd", b"{}", START)
    states = site.states()
    assert (states["old"].standing, states["odd"].standing) == ("stale", "missing")
    assert states["old"].until == datetime(2026, 2, 1, 1, tzinfo=UTC)
    assert "take it in again" in states["odd"].words


def test_a_source_that_is_not_there_is_named_instead_of_a_plan(site: Site) -> None:
    view = site.plan_anew(msgspec.structs.replace(BY_MARKET, prices_from="no such"))
    assert "No source of prices is called 'no such'" in view.problem
    unasked = site.plan_anew(BY_MARKET)
    assert "no prices were told yet" in unasked.problem
    site.market.poller.step()
    site.live(70)  # it is tried again each minute, not at the next plan's time alone
    site.desk._views.clear()
    _, price = prices_of(site.desk.view(SITE))
    assert price[0] == pytest.approx(0.2)


@pytest.mark.parametrize("chosen", ["source", "measured"])
def test_prices_of_a_source_in_another_currency_are_not_reckoned_with(site: Site,
                                                                      chosen: str) -> None:
    """The market's in EUR by its preset, the site's own meter's as it says."""
    site.ask()
    tariff = TariffConfig(kind="measured", currency="SEK")
    view = site.plan_anew(SiteSettings(tariff=tariff,
                                       prices_from=MARKET if chosen == "source" else ""))
    told = "'Market' are in EUR" if chosen == "source" else "(simulated)' are in USD"
    assert f"{told}, this site reckons in SEK" in view.problem
    assert site.states()[MARKET].currency == "EUR"
    _, price = prices_of(site.plan_anew(BY_MARKET))
    assert price[0] == pytest.approx(0.2)
