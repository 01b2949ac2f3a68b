"""The coordinator beside an engine: what pages ask and change, over the demo's own packs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from core.clock import ManualClock
from core.config import (
    DEMO_CONFIG,
    Config,
    CoordinatedSite,
    CoordinatorConfig,
    HistoryConfig,
    SourceConfig,
    load_config,
)
from core.coordination import coordinator
from core.coordinator.desk import CoordinatorDesk
from core.coordinator.prices import PriceFormat
from core.coordinator.problem import Objectives
from core.coordinator.settings import SiteSettings
from core.coordinator.view import SiteView
from core.engine import Engine, houses_of
from core.errors import ConfigurationError, OrreryError, RequestError, UnknownIdError
from core.fleet.ports import FleetSource
from core.houses import TariffConfig, houses_in
from core.registry import make_planners, make_sources
from core.safety.ladder import clamp
from services.coordinator.service import CoordinatorService
from services.edge.demo_site import VALID_S
from services.edge.pack import Pack, Setpoint

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
SITE = "packs"
SOURCES = [SourceConfig("packs", "packs", {"packs": 4, "cells": 24}),
           SourceConfig("site", "packs-site", {"homes": 20.0})]


class Desk:
    """An engine with four packs and their site's meter, and its coordinator."""

    def __init__(self, folder: Path, sources: list[SourceConfig] | None = None,
                 said: CoordinatedSite | None = None, url_variable: str = "") -> None:
        self.clock = ManualClock(NOON)
        self.config = Config(
            sources=sources or SOURCES, file="orrery.toml",
            history=HistoryConfig(directory=str(folder)),
            coordinator=CoordinatorConfig(sites={SITE: said or CoordinatedSite("packs_site")},
                                          url_variable=url_variable))
        made = make_sources(self.config)
        self.engine = Engine(self.config.level_list, made, self.clock)
        self.houses = houses_in([], [house for one in made for house in houses_of(one)], [], "x")
        found = coordinator(self.engine, self.config, self.houses, lambda: None)
        assert not isinstance(found, str)
        self.desk: CoordinatorDesk = found
        self.engine.also_report(self.desk.findings)
        self.fleet: FleetSource = made[0]  # type: ignore[assignment]
        self.engine.tick()

    def live(self, seconds: int, coordinated: bool = True) -> None:
        for second in range(seconds):
            self.clock.advance(1.0)
            self.engine.tick()
            if coordinated and second % 5 == 4:
                self.desk.turn()

    def view(self) -> SiteView:
        self.desk._views.clear()
        return self.desk.view(SITE)

    def close(self) -> None:
        self.desk.stop()
        self.engine.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.close()


def test_the_demo_is_coordinated_and_its_packs_follow(site: Desk) -> None:
    site.live(95)
    view = site.view()
    assert (view.drives, view.problem, view.fallback, view.currency) == (True, "", "", "USD")
    assert view.ahead is not None
    assert view.ahead.plan.controller == "mpc"
    assert view.next_at == NOON + timedelta(minutes=10)
    assert view.allocated is not None
    assert view.allocated.sum_kw < -1.0, "the sun shines on twenty homes"
    assert {share.delivery for share in view.allocated.shares} == {"delivered"}
    measured = [share.power_kw for share in view.allocated.shares]
    assert sum(measured) == pytest.approx(view.allocated.sum_kw, rel=0.05)
    assert len(view.ahead.soc_pct) == len(view.ahead.outlook.import_price) + 1
    assert (view.ahead.soc_low_pct <= view.ahead.soc_pct + 1e-6).all()
    assert (view.ahead.soc_high_pct >= view.ahead.soc_pct - 1e-6).all()
    band = view.ahead.outlook.load_kw
    assert (band.low <= band.expected + 1e-9).all()
    assert (band.high >= band.expected - 1e-9).all()
    (line,) = site.desk.lines()
    assert line.well
    assert "MPC charges" in line.plan


def test_off_gives_the_packs_back_to_their_fixed_day(site: Desk) -> None:
    site.live(20)
    told = {pack.device: pack.allocation_kw for pack in site.fleet.packs()}
    site.desk.apply(SITE, SiteSettings(controller="off"), "eve")
    site.live(int(VALID_S) + 20)
    view = site.view()
    assert (view.ahead, view.allocated) == (None, None)
    after = {pack.device: pack.allocation_kw for pack in site.fleet.packs()}
    assert all(power is not None and power < 0.0 for power in after.values()), "noon of the day"
    assert after != told


def test_a_coordinator_that_is_silent_leaves_the_packs_to_themselves(site: Desk) -> None:
    """After at most VALID_S seconds; on a broker they go to zero then (test_service.py)."""
    site.live(10)
    coordinated = [pack.allocation_kw for pack in site.fleet.packs()]
    site.live(int(VALID_S) - 10, coordinated=False)
    assert [pack.allocation_kw for pack in site.fleet.packs()] == coordinated
    site.live(20, coordinated=False)
    assert [pack.allocation_kw for pack in site.fleet.packs()] != coordinated


def test_a_preview_changes_nothing_and_tells_what_it_would(site: Desk) -> None:
    site.live(75)
    before = site.desk.settings(SITE)
    flat = TariffConfig(kind="flat", currency="EUR", import_per_kwh=0.3, export_per_kwh=0.3)
    told = site.desk.preview(SITE, msgspec.structs.replace(before, tariff=flat))
    assert told.before is not None
    moved, before_moved = (np.abs(one.plan.fleet_kw).sum() for one in (told.ahead, told.before))
    assert moved < 0.4 * before_moved, "where all prices are alike, nothing is moved in time"
    assert (told.ahead.plan.fleet_kw > -0.1).all(), "and nothing is charged"
    assert told.cost_change < 0
    assert told.ahead.outlook.import_price == pytest.approx(0.3)
    held = site.desk.preview(SITE, msgspec.structs.replace(
        before, objectives=Objectives(reserve=0.5)))
    assert held.ahead.reserve_pct == 50.0
    assert held.ahead.soc_pct[-1] > told.before.soc_pct[-1]
    assert site.desk.settings(SITE) == before
    assert site.desk.changes(SITE) == []
    with pytest.raises(RequestError):
        site.desk.preview(SITE, msgspec.structs.replace(before, objectives=Objectives(wear=-1.0)))


def test_a_preview_has_the_prices_that_the_plan_has_then(site: Desk) -> None:
    """Known for fourteen hours more, and for twenty days before: the rest is foretold."""
    site.live(75)
    hours = [f"{NOON + timedelta(hours=hour):%Y-%m-%dT%H:%M}+00:00,{0.2 + 0.1 * (hour % 7 == 3)}"
             for hour in range(-480, 15)]
    site.desk.take_prices(SITE, "own", "\n".join(["time,price", *hours]).encode(), PriceFormat(),
                          "USD", "eve")
    asked = msgspec.structs.replace(site.desk.settings(SITE), prices="own")
    told = site.desk.preview(SITE, asked).ahead.outlook
    site.desk.apply(SITE, asked, "eve")
    site.live(10)
    planned = site.view().ahead
    assert planned is not None
    calmer = site.desk.preview(SITE, msgspec.structs.replace(
        asked, objectives=Objectives(wear=2.0))).ahead.outlook
    for seen in (told, calmer):
        assert seen.import_price.tolist() == planned.outlook.import_price.tolist()
        assert seen.export_price.tolist() == planned.outlook.export_price.tolist()
        assert seen.import_band is not None
        assert planned.outlook.import_band is not None
        assert seen.import_band.high.tolist() == planned.outlook.import_band.high.tolist()


def test_a_wish_that_merely_empties_the_packs_does_not_look_cheaper(site: Desk) -> None:
    flat = TariffConfig(kind="flat", currency="EUR", import_per_kwh=0.3, export_per_kwh=0.3)
    held = SiteSettings(tariff=flat, objectives=Objectives(energy_value=1.0))
    site.desk.apply(SITE, held, "eve")
    site.live(75)
    told = site.desk.preview(SITE, msgspec.structs.replace(
        held, objectives=Objectives(energy_value=0.0)))
    assert told.before is not None
    assert told.before.soc_pct[-1] > 50.0 > told.ahead.soc_pct[-1]
    bill = told.before.plan.cost.total - told.ahead.plan.cost.total
    assert bill > 10.0, "by the bill alone it looks much cheaper"
    assert abs(told.cost_change) < 0.25 * bill


def test_settings_are_applied_with_a_name_and_an_override_is_confirmed_and_ended(
        site: Desk) -> None:
    site.live(10)
    site.desk.override(SITE, 2.0, timedelta(hours=1), "eve", "a test")
    site.desk.apply(SITE, SiteSettings(controller="rule-based"), "bob")
    site.live(10)
    view = site.view()
    assert view.override is not None, "other settings do not end it"
    assert (view.override.who, view.settings.controller) == ("eve", "rule-based")
    assert view.allocated is not None
    assert view.allocated.sum_kw == pytest.approx(2.0, abs=0.01)
    site.desk.release(SITE, "eve")
    site.live(10)
    assert site.view().override is None
    assert [change.who for change in site.desk.changes(SITE)] == ["eve", "bob", "eve"]
    assert "eve ended the override" in [note.words for note in site.view().notes]


def test_prices_are_taken_in_from_a_file_and_planned_with(site: Desk) -> None:
    hours = [f"{NOON + timedelta(hours=hour):%Y-%m-%dT%H:%M+00:00},{0.4 if hour > 12 else 0.1}"
             for hour in range(-12, 40)]
    found = site.desk.take_prices(SITE, "own", "\n".join(["time,price", *hours]).encode(),
                                  PriceFormat(), "USD", "eve")
    assert found.median == pytest.approx(0.4, abs=0.31)
    site.desk.apply(SITE, SiteSettings(prices="own"), "eve")
    site.live(10)
    view = site.view()
    assert view.price_series == ["own"]
    assert view.ahead is not None
    assert view.ahead.outlook.import_price[0] == pytest.approx(0.1)
    assert view.ahead.outlook.import_price[-1] == pytest.approx(0.4)
    for file in (b"time,price\n2026-03-01T00:00+00:00,eleven", b"\xff\xfe", b"{}"):
        with pytest.raises(RequestError):
            site.desk.take_prices(SITE, "own", file, PriceFormat(), "USD", "eve")
    site.desk.apply(SITE, SiteSettings(prices="nowhere"), "eve")
    site.live(10)
    assert "no series of prices is called 'nowhere'" in site.view().problem


def test_prices_in_another_currency_are_named_and_refused(site: Desk) -> None:
    file = f"time,price\n{NOON:%Y-%m-%dT%H:%M}+00:00,0.3\n".encode()
    for currency, why in (("EUR", "the prices 'own' are in EUR, this site reckons in USD: give "
                           "them in USD, or set a tariff in EUR first"),
                          ("euro", "'euro': give its three letters"), ("", "three letters")):
        with pytest.raises(RequestError, match=why):
            site.desk.take_prices(SITE, "own", file, PriceFormat(), currency, "eve")
    assert site.view().price_series == []
    euros = TariffConfig(kind="flat", currency="EUR", import_per_kwh=0.3)
    site.desk.apply(SITE, SiteSettings(tariff=euros), "eve")
    site.desk.take_prices(SITE, "own", file, PriceFormat(), "EUR", "eve")
    site.desk.apply(SITE, SiteSettings(tariff=euros, prices="own"), "eve")
    site.live(10)
    assert (site.view().problem, site.view().currency) == ("", "EUR")
    site.desk.apply(SITE, SiteSettings(prices="own"), "eve")
    site.live(10)
    assert "'own' are in EUR, this site reckons in USD" in site.view().problem


def test_what_goes_wrong_is_an_alarm_at_its_element(site: Desk,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    site.live(10)
    site.desk.apply(SITE, SiteSettings(prices="nowhere"), "eve")
    pack, steered = site.fleet.packs()[1], Pack._steered

    def less(one: Pack, *told: Any) -> Setpoint:
        wish = steered(one, *told)
        return Setpoint(clamp(wish.power_kw, 0.2, 0.2), "a fan is broken") \
            if one.device == pack.device else wish

    monkeypatch.setattr(Pack, "_steered", less)
    site.live(60)
    found = {(one.element, one.condition) for one in site.desk.findings()}
    assert found == {("system_packs", "coordinator_stuck"), (pack.element, "allocation_refused")}
    active = {(site.engine.topology.ids[alarm.node], alarm.condition)
              for alarm in site.engine.snapshot.alarms.active}
    assert found <= active
    told = site.view().allocated
    assert told is not None
    assert [(share.device, share.refusal) for share in told.undelivered] == [
        (pack.device, "a fan is broken")]


def test_what_a_person_bounds_is_a_limit_that_is_planned_with(site: Desk) -> None:
    site.live(10)
    pack = site.fleet.packs()[1]
    site.fleet.command(pack.device, "override", "eve", power_kw=0.2, hold_s=3600.0)
    site.live(60)
    told = site.view().allocated
    assert told is not None
    assert not told.undelivered
    bound, *_ = (share for share in told.shares if share.device == pack.device)
    assert abs(bound.asked_kw) <= 0.2
    assert "by operator" in bound.why


def test_what_happened_stands_beside_what_was_planned(site: Desk) -> None:
    site.live(190)  # the plan is another one after a minute, and the ramp goes there in the second
    told = site.desk.happened(SITE, NOON, NOON + timedelta(minutes=3), 60.0)
    assert np.isfinite(told.fleet_kw[2])
    assert told.planned_kw[2] == pytest.approx(told.fleet_kw[2], rel=0.1)
    assert told.grid_kw[2] == pytest.approx(told.load_kw[2] - told.pv_kw[2] - told.fleet_kw[2])
    for span_s in (0.0, 1e-6):
        with pytest.raises(RequestError):
            site.desk.happened(SITE, NOON, NOON + timedelta(days=1), span_s)


def test_what_was_before_anybody_coordinated_is_as_the_meter_remembers_it(site: Desk) -> None:
    site.live(65)
    told = site.desk.happened(SITE, NOON - timedelta(hours=2), NOON + timedelta(hours=1), 600.0)
    before, now, ahead = slice(0, 12), 12, slice(13, 18)
    assert (told.load_kw[before] > 1.0).all()
    assert (told.pv_kw[before] > 1.0).all()
    assert np.isnan(told.fleet_kw[before]).all(), "of the packs nothing is made up"
    assert np.isfinite(told.fleet_kw[now])
    assert np.isnan(told.load_kw[ahead]).all(), "what is to come has not happened"


def test_another_site_is_not_known(site: Desk) -> None:
    for ask in (site.desk.view, site.desk.settings, site.desk.changes):
        with pytest.raises(UnknownIdError):
            ask("<b>elsewhere")


def test_a_fleet_that_nobody_named_is_left_alone(tmp_path: Path) -> None:
    site = Desk(tmp_path, [SOURCES[0], msgspec.structs.replace(
        SOURCES[0], name="others", options={"packs": 2, "cells": 12, "site": "others"})],
        CoordinatedSite(tariff=TariffConfig(kind="flat", currency="EUR", import_per_kwh=0.3)))
    site.live(10)
    assert site.desk.sites == ["packs", "others"]
    assert site.desk.view("others").settings.controller == "off"
    assert site.desk.view("others").allocated is None
    assert site.desk.view("packs").ahead is not None, "a site without a meter is packs alone"
    site.close()


def test_a_house_that_nobody_knows_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"coordinator\.sites\.packs\.house"):
        Desk(tmp_path, said=CoordinatedSite("castle"))


def test_the_shipped_demo_names_its_site_and_all_controllers_are_there() -> None:
    config = load_config(DEMO_CONFIG)
    assert config.coordinator.sites[SITE].controller == "mpc"
    houses = [house.id for one in make_sources(config) for house in houses_of(one)]
    assert config.coordinator.sites[SITE].house in houses
    planners = make_planners()
    assert {"off", "rule-based", "mpc"} <= set(planners)
    assert {name: planner.controller for name, planner in planners.items()} == {
        name: name for name in planners}


def test_a_twin_that_fails_is_said_and_the_packs_are_driven_without_it(
        site: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ValueError("an odd frame")

    monkeypatch.setattr(site.desk, "_twin", fails)
    site.live(95)
    assert site.desk.errors["twin"] == "unexpected ValueError: an odd frame"
    allocated = site.view().allocated
    assert allocated is not None
    assert allocated.sum_kw < -1.0
    monkeypatch.undo()
    site.live(5)
    assert site.desk.errors == {}


def test_the_thread_begins_and_ends(site: Desk) -> None:
    site.desk.start()
    site.desk.stop()
    site.desk.stop()


def test_the_learning_room_is_empty_before_anything_is_learnt(site: Desk) -> None:
    room = site.desk.rl_room()
    assert (list(room.runs), list(room.evaluations), list(room.deployments)) == ([], [], [])


def test_a_process_that_only_shows_says_that_nobody_coordinates(tmp_path: Path) -> None:
    site = Desk(tmp_path)
    only = coordinator(site.engine, site.config, site.houses, lambda: None, drives=False)
    assert not isinstance(only, str)
    only.turn()
    told = only.view(SITE)
    assert not told.drives
    assert "nobody coordinates this site now" in told.problem
    assert not only.lines()[0].well
    site.live(10)
    only._views.clear()
    told = only.view(SITE)
    assert (told.drives, told.problem, told.by) == (True, "", site.view().by)
    assert told.ahead is not None, "what the other process plans"
    only.apply(SITE, SiteSettings(controller="rule-based"), "eve")
    site.live(5)
    assert site.view().settings.controller == "rule-based", "and what this one sets holds there"
    only.stop()
    site.close()


@pytest.mark.parametrize("lines", [
    'sites = {packs = {controller = "oracle"}}', "period_s = 1", 'sites = {packs = {house = 3}}',
    "more = 1", 'sites = {packs = {import_limit_kw = -1}}'])
def test_a_configuration_that_cannot_be_is_refused(tmp_path: Path, lines: str) -> None:
    file = tmp_path / "orrery.toml"
    file.write_text(f'[[sources]]\nkind = "packs"\nname = "packs"\n[coordinator]\n{lines}\n')
    with pytest.raises(ConfigurationError, match="coordinator"):
        load_config(file)


def test_where_nothing_can_be_kept_it_is_said_why(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Desk(tmp_path)
    monkeypatch.delenv("ORRERY_NO_DATABASE", raising=False)
    nowhere = msgspec.structs.replace(site.config, coordinator=CoordinatorConfig(
        url_variable="ORRERY_NO_DATABASE"))
    told = coordinator(site.engine, nowhere, site.houses, lambda: None)
    assert isinstance(told, str)
    assert "ORRERY_NO_DATABASE" in told
    with pytest.raises(OrreryError, match="ORRERY_NO_DATABASE"):
        CoordinatorService(nowhere, site.engine.sources, site.clock)
    site.close()
