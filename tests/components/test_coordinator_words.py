"""The coordinator in words and figures: what it does and why, what differs, what is drawn."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import plotly.graph_objects as go
import pytest

from components.blocks import Alarm
from components.coordinator import (
    differences,
    export,
    figures,
    hourly,
    money,
    packs,
    stretches,
    words,
)
from components.coordinator.figures import Look
from core.coordinator.plan import Binding
from core.coordinator.problem import Band, Objectives
from core.coordinator.records import CoordinatorStore, Run, SiteState
from core.coordinator.settings import Override, SiteSettings
from core.coordinator.show import ahead_of, line_of
from core.coordinator.silence import silence_of
from core.coordinator.view import (
    PER_KWH,
    Ahead,
    DayCost,
    ForecastScore,
    Happened,
    Silence,
    SiteView,
    Watched,
)
from core.houses import TariffConfig
from tests.components.coordinator_site import (
    LEFT_OUT,
    SETTINGS,
    UNMET,
    allocated,
    coordinated,
    fill,
    later,
    planned,
    problem,
)
from tests.components.fleet_site import SITE, START, AuditedClient, FakeFleet


@pytest.fixture(scope="module")
def ahead() -> Ahead:
    asked = problem()
    return ahead_of(Run(asked, planned(asked)), 0.0)


UNTOLD = (math.nan, math.nan)


@pytest.fixture
def site(ahead: Ahead) -> Iterator[tuple[AuditedClient, CoordinatorStore, FakeFleet]]:
    with coordinated() as (client, store, fleet, _):
        fill(store, fleet, ahead.plan)
        yield client, store, fleet


@pytest.fixture
def view(site: tuple[AuditedClient, CoordinatorStore, FakeFleet]) -> SiteView:
    known = site[0].coordination
    assert not isinstance(known, str)
    return known.view(SITE)


def title(view: SiteView) -> str:
    return "".join(part.text if isinstance(part, Alarm) else str(part)
                   for part in words.title(view, "UTC"))


# -- the sentence


def test_who_does_what_until_when_and_why(view: SiteView) -> None:
    told = title(view)
    assert told.startswith("MPC has the fleet charging 14.0 kW until 15:00: ")
    assert "it stores PV that would earn 0.05 EUR/kWh" in told
    assert told.endswith("; 1 pack does not deliver")


def test_the_dear_hours_are_told_with_their_price(view: SiteView, ahead: Ahead) -> None:
    found = stretches.stretches(ahead)
    place = stretches.at(found, later(6))
    assert found[place].way == "discharging"
    told = words.why(view, ahead, place, "UTC")
    assert "0.50 EUR/kWh" in told
    assert "a stored kWh is worth" in told


def test_a_rest_tells_what_it_waits_for(view: SiteView, ahead: Ahead) -> None:
    powers = ahead.plan.pack_kw.copy()
    powers[:, 18:30] = 0.0
    calm = replace(ahead, plan=replace(ahead.plan, pack_kw=powers))
    found = stretches.stretches(calm)
    assert words.why(view, calm, stretches.at(found, later(4)), "UTC").startswith(
        "from 17:00 on power costs 0.50 EUR/kWh")
    idle = replace(ahead, plan=replace(ahead.plan, pack_kw=0.0 * powers))
    assert words.why(view, idle, 0, "UTC") == "nothing ahead is worth the wear"
    assert title(replace(view, ahead=idle)).startswith(
        "MPC lets the fleet rest for all of the plan: nothing ahead")


def test_a_binding_limit_is_the_reason(view: SiteView, ahead: Ahead) -> None:
    held = replace(ahead.plan, bindings=(Binding("import limit", (32,), 0.1, "kW"),
                                         Binding("reserve", (1,), 0.1, "kWh")))
    bound = replace(ahead, plan=held, reserve_pct=30.0)
    found = stretches.stretches(bound)
    assert words.why(view, bound, stretches.at(found, later(6)), "UTC") == (
        "it keeps the connection below the import limit")
    assert words.why(view, bound, 0, "UTC") == "it fills the reserve of 30 %"


def test_without_duals_the_price_is_the_reason(view: SiteView, ahead: Ahead) -> None:
    bare = replace(ahead, plan=replace(ahead.plan, energy_worth=None, controller="rule-based"))
    found = stretches.stretches(bare)
    place = stretches.at(found, later(6))
    assert words.why(view, bare, place, "UTC") == (
        "power from the grid would cost 0.50 EUR/kWh")
    assert title(replace(view, ahead=bare)).startswith("The rules have the fleet charging")


def test_cheap_power_is_bought_for_dear_hours(view: SiteView, ahead: Ahead) -> None:
    dark = replace(ahead, outlook=replace(ahead.outlook, pv_kw=replace(
        ahead.outlook.pv_kw, expected=np.zeros(ahead.plan.steps))))
    assert words.why(view, dark, 0, "UTC") == (
        "power costs 0.20 EUR/kWh now and 0.50 EUR/kWh from 17:00 on")


@pytest.mark.parametrize(("change", "told"), [
    ({"drives": False, "problem": "nobody is there"}, "Nobody coordinates this fleet now"),
    ({"settings": msgspec.structs.replace(SETTINGS, controller="off"), "ahead": None},
     "The coordinator is off: each pack goes its own way"),
    ({"ahead": None}, "The first plan is made now"),
    ({"ahead": None, "problem": "no price is known"}, "The fleet cannot be planned now"),
    ({"override": Override(power_kw=50.0, since=START, until=START + timedelta(hours=1),
                           who="Anna")}, "Anna holds the fleet discharging at 50.0 kW until 13:00"),
    ({"override": Override(power_kw=0.0, since=START, until=START + timedelta(hours=13),
                           who="Anna")}, "Anna holds the fleet at rest until Sun 01:00")])
def test_other_states(view: SiteView, change: dict[str, object], told: str) -> None:
    assert title(replace(view, allocated=None, **change)).startswith(told)  # type: ignore[arg-type]


def test_what_is_wrong_and_what_is_lacking_are_told_apart(view: SiteView, ahead: Ahead) -> None:
    unmet = replace(view, left_out=LEFT_OUT, fallback="MPC failed",
                    ahead=replace(ahead, plan=replace(ahead.plan, exceeded=(UNMET,))))
    assert words.wrong(unmet) == ["the controller fell back", "1 pack does not deliver"]
    assert words.lacking(unmet) == ["1 pack left out", "import limit missed by 12 kW"]
    assert words.wrong(replace(view, allocated=None)) == []


def test_powers_have_a_word() -> None:
    assert words.signed(12.34) == "12.3 kW out"
    assert words.signed(-0.5) == "500 W in"
    assert words.signed(-1e-8) == "at rest"
    assert words.signed(float("nan")) == "–"
    assert words.grid(-3.0) == "3.00 kW to the grid"
    assert words.price(0.2, "") == "0.20 a kWh"
    assert words.sentence("vm-1 goes on") == "vm-1 goes on."
    assert words.sentence("prices are known") == "Prices are known."


@pytest.mark.parametrize(("silence", "told"), [
    (Silence(60.0, 60.0, 60.0, 0, 0, 24), "packs rest 60 s after their last order"),
    (Silence(60.0, 30.0, 30.0, 0, 0, 24), "packs rest 60 s after their last order or 30 s after "
     "the centre's last word of any kind, whichever comes first"),
    (Silence(60.0, 30.0, 90.0, 2, 24, 24), "packs follow their learnt policy 60 s after their last "
     "order or 30 s to 90 s after the centre's last word of any kind, whichever comes first; 2 "
     "packs do not say how long silence is borne"),
    (Silence(60.0, math.nan, math.nan, 1, 0, 1), "packs rest 60 s after their last order; 1 pack "
     "does not say how long silence is borne"),
    (Silence(math.nan, 600.0, 600.0, 0, 3, 24), "packs rest, 3 of 24 follow their learnt policy, "
     "10 min after the centre's last word of any kind"),
    (Silence(math.nan, math.nan, math.nan, 0, 0, 0), "")])
def test_when_packs_help_themselves_is_as_their_devices_tell(silence: Silence, told: str) -> None:
    assert words.silence(silence) == told
    assert words.silent(silence) == (f"Without a coordinator {told}." if told else "")
    assert words.silent(None) == ""


def test_the_silence_of_a_site_is_that_of_its_devices_and_of_the_last_order(
        site: tuple[AuditedClient, CoordinatorStore, FakeFleet], view: SiteView) -> None:
    _, _, fleet = site
    assert view.silence == Silence(60.0, *UNTOLD, 3, 0, 3)
    for number, silent_s in enumerate((30.0, 90.0)):
        fleet.change(number, silent_s=silent_s, policy="v2" if number else None)
    found = silence_of(fleet.packs(), view.allocated)
    assert found == Silence(60.0, 30.0, 90.0, 1, 1, 3)


# -- hour by hour


def test_each_hour_tells_what_binds_in_it(view: SiteView, ahead: Ahead) -> None:
    held = replace(ahead.plan, bindings=(
        Binding("import limit", (30, 31, 36), 0.1, "kW", (0.1, 0.2, 0.4)),
        Binding("floor of charge of 1 pack", (37,), 0.03, "kWh", (0.03,))))
    bound = replace(ahead, plan=held)
    one = next(each for each in stretches.stretches(bound) if each.first == 30)
    found = hourly.hours(held, one, "UTC")
    assert [each.start for each in found] == [30, 36, 42, 48, 54]
    assert sum(len(each) for each in found) == len(one.steps)
    rows = [hourly.row(view, bound, each) for each in found]
    assert "17:00" in rows[0]
    assert "import limit 0.300 EUR/kW<" in rows[0]
    assert "import limit 0.400 EUR/kW; floor of charge of 1 pack 0.030 EUR/kWh" in rows[1]
    assert ">nothing<" in rows[2]
    half = replace(one, first=33, last=37)
    assert hourly.hours(held, half, "Asia/Kolkata") == [range(33, 37)], "from 17:30 to 18:10 UTC"
    assert hourly.hours(held, half, "UTC") == [range(33, 36), range(36, 37)]
    bare = replace(bound, plan=replace(held, energy_worth=None, bindings=()))
    assert "not known to this controller" in hourly.row(view, bare, found[0])


# -- limits broken


@pytest.mark.parametrize(("measured", "steps", "note", "alarm"), [
    (0, 0, "as measured in 2 h 05", False),
    (3, 0, "as measured in 2 h 05", True),
    (0, 2, "as measured in 2 h 05; 2 steps beyond a limit of charge", True)])
def test_the_card_tells_what_packs_did(measured: int, steps: int, note: str, alarm: bool) -> None:
    day = DayCost(START, START, account_violations=steps)
    told = str(money.broken(day, Watched(START, 125, measured)))
    assert note in told
    assert f">{measured}<" in told.replace(" ", "")
    assert ("alarm" in told) == alarm


def test_no_limit_is_told_as_kept_before_anybody_counted() -> None:
    told = str(money.broken(None, None))
    assert ">0<" not in told.replace(" ", "")
    assert "–" in told
    assert "counted while packs are steered" in told


def test_limits_are_counted_from_the_first_minute_on(
        site: tuple[AuditedClient, CoordinatorStore, FakeFleet]) -> None:
    """Before the day's first account, and of minutes in which packs were steered alone."""
    client, store, _ = site
    known = client.coordination
    assert not isinstance(known, str)
    before = known.watched(SITE)
    assert before == Watched(START - timedelta(hours=2), 120, 0)
    last = store.minutes(SITE, START - timedelta(hours=2), START)[-1]
    store.keep_minutes(SITE, [
        last._replace(time_s=last.time_s - 60.0, violations=4),
        last._replace(planned_kw=math.nan)])
    assert known.watched(SITE) == Watched(START - timedelta(hours=2), 119, 4)


# -- the line of the Overview


def yesterday_of(view: SiteView) -> DayCost:
    assert view.yesterday is not None
    return view.yesterday


def test_the_first_day_is_told_in_words(view: SiteView) -> None:
    assert line_of(view).earned == "Yesterday it saved 13.50 EUR, 88 % of what was possible"
    first = replace(view, yesterday=None)
    assert line_of(first).earned == (
        "Nothing is known of yesterday: what today earns is judged when it is over. "
        "Today so far it saved 13.50 EUR, 91 % of what was possible")
    begun = replace(first, today=None)
    assert line_of(begun).earned.endswith("is judged when it is over")
    assert line_of(replace(begun, drives=False)).earned == ""
    for currency, told in (("USD", "13.50 USD,"), ("", "13.50,"),
                           (None, "13.50 in a currency that was not kept,")):
        before = replace(yesterday_of(view), currency=currency)
        assert f"Yesterday it saved {told} 88 % of" in line_of(
            replace(view, yesterday=before)).earned, "whatever is paid in today"
    unjudged = replace(begun, yesterday=DayCost(START, START, words="Not judged: no price"))
    assert line_of(unjudged).earned == "Yesterday: Not judged: no price"


# -- differences


def test_each_wish_that_changes_is_named() -> None:
    tariff = TariffConfig(kind="time_of_use", currency="EUR", import_per_kwh=0.3)
    after = SiteSettings(
        controller="rule-based", challenger="mpc", tariff=tariff, import_limit_kw=80.0, ramp_s=60.0,
        objectives=Objectives(wear=2.0, reserve=0.3, setpoint_kw=10.0, peak_per_kw=4.0))
    assert differences.told(SETTINGS, after, "EUR") == [
        "controller Rule-based instead of MPC", "MPC in its shadow",
        "wear counts 2.0 times its cost instead of 1.0",
        "a kW of peak costs 4.00 EUR instead of 0.00", "kept for an outage: 30 % instead of 0",
        "the connection is held at 10.0 kW",
        "prices: time of use, 0.30 EUR/kWh and no other prices",
        "import at most 80.0 kW", "full power in 60 s"]
    assert differences.told(SETTINGS, SETTINGS, "EUR") == []
    assert differences.told(after, replace_limit(after), "EUR") == ["no limit of import"]


def replace_limit(settings: SiteSettings) -> SiteSettings:
    return msgspec.structs.replace(settings, import_limit_kw=None)


# -- packs


def test_packs_that_do_not_deliver_come_first() -> None:
    with coordinated() as (_, _, fleet, _):
        shares = allocated(fleet).shares
    found = packs.wanted(shares, packs.ALL)
    assert [one.delivery for one in found] == ["refused", "delivered", "delivered"]
    assert found[1].why.startswith("limited")
    assert packs.wanted(shares, packs.DIFFERENT) == [shares[1]]
    assert packs.wanted(shares, packs.UNDELIVERED) == [shares[2]]
    assert "its fuse is out" in packs.row(shares[2], 30.0)
    bare = replace(shares[0], charge_kw=float("nan"), power_kw=float("nan"))
    assert "–" in packs.row(bare, 30.0)
    assert "nan" not in packs.row(bare, 30.0)


# -- figures and files


def past(view: SiteView, site: tuple[AuditedClient, CoordinatorStore, FakeFleet]) -> Happened:
    known = site[0].coordination
    assert not isinstance(known, str)
    return known.happened(SITE, later(-6), START, 600.0)


def look() -> Look:
    return Look("dark", "Europe/Berlin", "EUR", (later(-6).timestamp(), later(24).timestamp()),
                START.timestamp(), (later(5).timestamp(), later(6).timestamp()))


def test_plotly_knows_all_of_the_pictures(
        view: SiteView, ahead: Ahead,
        site: tuple[AuditedClient, CoordinatorStore, FakeFleet]) -> None:
    full = figures.plan(ahead, past(view, site), look())
    for figure in (full, figures.plan(ahead, None, look()),
                   figures.compared(ahead, ahead, look()), figures.compared(None, ahead, look())):
        go.Figure(json.loads(figure.to_json()))
    names = [one["name"] for one in full.data]
    assert {"Fleet, planned, charging", "Load, expected", "Grid, planned", "Fleet, as planned",
            "Charge, planned", "Import price"} <= set(names)
    bars = {one["name"]: one for one in full.data if one["type"] == "bar"}
    assert float(np.nanmax(bars["Fleet, charging"]["y"])) == pytest.approx(-12.5)
    out = bars["Fleet, planned, discharging"]["y"]
    assert np.isnan(out[:18]).all()
    assert np.nanmax(out) == pytest.approx(ahead.plan.fleet_kw.max())


def test_a_price_that_is_foretold_is_dotted_within_its_band(ahead: Ahead) -> None:
    """The last twelve hours; what is known before them is drawn as it is."""
    price = ahead.outlook.import_price
    low, high = price.copy(), price.copy()
    low[72:] -= 0.03
    high[72:] += 0.05
    told = replace(ahead, outlook=replace(ahead.outlook, import_band=Band(price, low, high)))
    figure = figures.plan(told, None, look())
    go.Figure(json.loads(figure.to_json()))
    lines = {one["name"]: one for one in figure.data if one.get("yaxis") == "y2"}
    assert set(lines) == {"Import price", "Import price, expected", "what most of it lies within"}
    known, foretold = lines["Import price"], lines["Import price, expected"]
    assert (len(known["x"]), len(foretold["x"])) == (73, 73)
    assert known["x"][-1] == foretold["x"][0], "without a gap between them"
    assert (known["line"].get("dash"), foretold["line"]["dash"]) == (None, "dot")
    band = lines["what most of it lies within"]
    assert (min(band["y"]), max(band["y"])) == pytest.approx((low.min(), high.max()))
    assert not [one for one in figures.plan(ahead, None, look()).data
                if one.get("yaxis") == "y2" and one["name"] != "Import price"]


def test_forecasts_are_told_beside_what_they_have_to_beat() -> None:
    load = ForecastScore("load", "blend", 3.2, 4.1, 82.0, "kW", 7, START, 3.9)
    told = str(money.forecast(load, "EUR"))
    assert "blend, over 7 days; 82 % came inside its band" in told
    assert "beside it persistence 4.10, hour of the week 3.90" in told
    assert "3.20 kW" in told
    price = replace(load, what="price", method="hour of the week", error=0.0213, unit=PER_KWH,
                    persistence_error=0.0301, hour_of_week_error=0.0213)
    told = str(money.forecast(price, "EUR"))
    assert "beside it persistence 0.030</small>" in told, "and not beside itself"
    assert "0.021 EUR/kWh" in told
    assert "0.021 a kWh" in str(money.forecast(price, ""))
    before = str(money.forecast(replace(load, hour_of_week_error=None), "EUR"))
    assert "hour of the week" not in before


def test_the_reserve_stands_in_the_place_of_the_floor(ahead: Ahead) -> None:
    assert figures.limits_of_charge(ahead)[0] == ("floor", pytest.approx(10.0))
    assert figures.limits_of_charge(replace(ahead, reserve_pct=30.0))[0] == ("reserve", 30.0)


@pytest.mark.parametrize(("highest", "told"), [(0.4, "W"), (12.0, "kW"), (2400.0, "MW")])
def test_the_unit_follows_the_power(highest: float, told: str) -> None:
    assert figures.power_scale(highest)[1] == told


def test_the_file_has_what_is_drawn(
        view: SiteView, ahead: Ahead,
        site: tuple[AuditedClient, CoordinatorStore, FakeFleet]) -> None:
    held_back = replace(ahead, plan=replace(ahead.plan, curtailed_kw=np.full(144, 1.5)))
    told = list(csv.DictReader(io.StringIO(export.times(held_back, past(view, site)))))
    assert len(told) == 36 + 144
    unknown, known, first = told[0], told[35], told[36]
    assert (unknown["from"], unknown["kind"]) == ("2026-11-21T06:00:00+00:00", "happened")
    assert not any(unknown[title] for title in ("import_price_per_kwh", "load_kw", "fleet_kw"))
    assert known["fleet_kw"] == "-12.5"
    assert (first["from"], first["kind"]) == ("2026-11-21T12:00:00+00:00", "planned")
    assert first["import_price_per_kwh"] == "0.2"
    assert float(first["fleet_kw"]) == pytest.approx(ahead.plan.fleet_kw[0], abs=1e-4)
    assert (first["pv_held_back_kw"], known["pv_held_back_kw"]) == ("1.5", "")
    kept = replace(ahead, plan=replace(ahead.plan, curtailed_kw=None))
    told = list(csv.DictReader(io.StringIO(export.times(kept, None))))
    assert {row["pv_held_back_kw"] for row in told} == {""}


def test_the_file_has_the_band_of_a_price_that_is_foretold(ahead: Ahead) -> None:
    price = ahead.outlook.import_price
    band = Band(price, price - 0.05, price + 0.05)
    told = replace(ahead, outlook=replace(ahead.outlook, import_band=band))
    for one, ends in ((told, ("0.15", "0.25")), (ahead, ("", ""))):
        row = next(csv.DictReader(io.StringIO(export.times(one, None))))
        assert (row["import_price_low_per_kwh"], row["import_price_high_per_kwh"]) == ends


def test_stretches_cover_the_plan(ahead: Ahead) -> None:
    found = stretches.stretches(ahead)
    assert [one.first for one in found[1:]] == [one.last for one in found[:-1]]
    assert (found[0].first, found[-1].last) == (0, ahead.plan.steps)
    assert stretches.step_at(ahead.plan, later(-1)) is None
    assert stretches.step_at(ahead.plan, later(1)) == 6
    assert stretches.at(found, later(100)) == len(found) - 1


def test_a_coordinator_that_is_silent_is_said(
        site: tuple[AuditedClient, CoordinatorStore, FakeFleet]) -> None:
    client, store, _ = site
    store.keep_state(SITE, SiteState(later(-1), "edge-1"))
    known = client.coordination
    assert not isinstance(known, str)
    silent = known.view(SITE)
    assert title(silent).startswith("Nobody coordinates this fleet now")
    assert words.lacking(silent) == []
