"""A site in closed loop on an injected clock: plans, allocations, refusals, fallbacks, days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from core.clock import ManualClock
from core.coordinator.forecasts import Persistence
from core.coordinator.loop import Cadence, Place, SiteLoop
from core.coordinator.plan import Controller, Plan
from core.coordinator.ports import Planner
from core.coordinator.problem import Objectives, Problem
from core.coordinator.records import LEASE_S, Minute
from core.coordinator.rules import Off, RuleBased
from core.coordinator.settings import SiteSettings, overridden
from core.coordinator.tariffs import SiteTariff
from core.errors import RequestError, RetryLaterError, SourceError
from services.coordinator.mpc import MpcPlanner
from store.records import open_coordinator
from store.records.coordinator import CoordinatorTables
from tests.coordinator.fleet import NOON, SITE, FleetOfTest, MeterOfTest, price_at

FAST_S = 5.0


class Moody:
    """A Planner by rules that fails with `error` where that is set."""

    controller: Controller = "mpc"
    missing = ""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[Problem] = []

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        if problem.packs.ids[0].startswith("pack"):  # and not a judge's, of chemistries
            self.asked.append(problem)
        if self.error is not None:
            raise self.error
        return replace(RuleBased().plan(problem, made_at, limit_s), controller="mpc")


@dataclass
class Site:
    """A loop around a fleet of test."""

    clock: ManualClock
    fleet: FleetOfTest
    meter: MeterOfTest
    store: CoordinatorTables
    planner: Moody
    loop: SiteLoop

    def live(self, seconds: float, step_s: float = FAST_S) -> None:
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            self.fleet.live(step_s)
            self.loop.turn(self.fleet.frame(), self.fleet.topology, None)

    def told(self) -> list[str]:
        return [note.words for note in reversed(self.store.notes(SITE))]

    def set(self, settings: SiteSettings) -> None:
        self.store.save_settings(SITE, settings, "eve", self.clock.now())

    @property
    def plan(self) -> Plan:
        run = self.store.newest_run(SITE)
        assert run is not None
        return run.plan


def made(clock: ManualClock | None = None, store: CoordinatorTables | None = None,
         best: Planner | None = None, kinds: tuple[str, ...] = ("LFP", "NMC", "LCO"),
         by: str = "one", fleet: FleetOfTest | None = None,
         cadence: Cadence | None = None) -> Site:
    clock = clock or ManualClock(NOON)
    fleet = fleet or FleetOfTest(clock, *kinds)
    meter, store, planner = MeterOfTest(clock), store or open_coordinator(None), Moody()
    planners: dict[Controller, Planner] = {
        "off": Off(), "rule-based": RuleBased("time-of-use"), "mpc": best or planner}
    place = Place(SITE, fleet, meter, store, planners, Persistence,
                  SiteTariff(SITE, store, ZoneInfo("UTC"), None, meter.prices), by,
                  cadence=cadence or Cadence())
    return Site(clock, fleet, meter, store, planner, SiteLoop(place, clock, SiteSettings()))


@pytest.fixture
def site() -> Iterator[Site]:
    found = made()
    yield found
    found.store.close()


def test_it_plans_at_once_and_then_every_ten_minutes(site: Site) -> None:
    site.live(FAST_S)
    assert site.plan.made_at == NOON + timedelta(seconds=FAST_S)
    assert site.loop.state.next_at == NOON + timedelta(minutes=10)
    site.live(600.0)
    assert len(site.planner.asked) == 2
    assert site.plan.made_at == NOON + timedelta(minutes=10)
    asked = site.planner.asked[1]
    assert asked.before_kw is not None
    assert np.isfinite(asked.before_kw[:, 0]).all(), "the plan before is known to the next"
    assert asked.outlook.steps == 144


def test_the_packs_do_what_the_plan_says_and_minutes_tell_it(site: Site) -> None:
    site.live(720.0)
    target = float(site.plan.fleet_kw[0])
    assert target < -1.0, "the sun is high"
    assert sum(pack.power_kw for pack in site.fleet.packs_of) == pytest.approx(target, abs=0.01)
    minutes = site.store.minutes(SITE, NOON, NOON + timedelta(hours=1))
    assert [one.time_s - NOON.timestamp() for one in minutes] == [60.0 * n for n in range(12)]
    last = minutes[-1]
    assert last.planned_kw == pytest.approx(last.fleet_kw, abs=0.05)
    assert last.grid_kw == pytest.approx(last.load_kw - last.pv_kw - last.fleet_kw)
    assert last.planned_soc_pct == pytest.approx(last.soc_pct, abs=0.5)
    assert set(last.kinds) == {"LFP", "NMC", "LCO"}
    assert (last.import_price, last.violations) == (0.25, 0)


@pytest.mark.parametrize("ramp_s", [30.0, 120.0])
def test_orders_keep_to_the_ramp_that_is_set(site: Site, ramp_s: float) -> None:
    """Packs of 3.3, 3.7 and 3.8 kW; an override from one side to the other."""
    wanted = SiteSettings(ramp_s=ramp_s)
    for kw in (6.0, -6.0):
        site.set(overridden(wanted, kw, timedelta(hours=1), site.clock.now(), "eve", ""))
        site.live(180.0)
    orders = np.array([[one[device] for device in ("pack_1", "pack_2", "pack_3")]
                       for one in site.fleet.sent])
    assert orders.sum(axis=1).max() == pytest.approx(6.0, abs=0.01)
    assert orders.sum(axis=1).min() == pytest.approx(-6.0, abs=0.01)
    fastest = float(np.abs(np.diff(orders, axis=0, prepend=0.0)).max())
    assert fastest <= 3.8 * FAST_S / ramp_s + 0.002, "orders are sent to a watt"
    assert fastest >= 3.7 * FAST_S / ramp_s


def test_a_pack_that_does_more_than_it_may_is_counted_by_what_is_measured(site: Site) -> None:
    """It is asked for what it may, says that it obeys, and does five times its limit."""
    site.set(overridden(SiteSettings(), 2.0, timedelta(hours=1), NOON, "eve", ""))
    site.live(120.0)
    site.fleet[1].limit_a = 20.0
    site.live(60.0)
    site.fleet[1].wild_kw = 5.0 * 20.0 * site.fleet[1].volts / 1000.0
    site.live(120.0)
    site.fleet[1].wild_kw = None
    site.live(840.0)
    minutes = site.store.minutes(SITE, NOON, NOON + timedelta(hours=1))
    assert [one.violations > 0 for one in minutes[:7]] == [False] * 3 + [True] * 3 + [False]
    assert sum(one.violations for one in minutes) == pytest.approx(120.0 / FAST_S, abs=2)
    assert not site.loop.state.refused, "it did not say so"
    assert sum(one.violations for one in minutes[7:]) == 0
    (day,) = site.store.days(SITE, NOON - timedelta(days=1))
    assert day.violations == sum(one.violations for one in minutes
                                 if one.time_s < day.until.timestamp())


def test_an_allocation_says_why_it_is_not_an_equal_share(site: Site) -> None:
    site.fleet[1].limit_a, site.fleet[1].reason = 5.0, "temperature_high"
    site.live(6 * FAST_S)  # the ramp takes half a minute
    told = site.store.allocated(SITE)
    assert told is not None
    first, limited, _ = told.shares
    assert told.sum_kw == pytest.approx(told.target_kw, abs=0.01), "the others make up for it"
    assert abs(limited.asked_kw) < 0.2 < abs(limited.equal_kw)
    assert limited.why == "limited by what its device allows (temperature_high)"
    assert first.delivery == "delivered"
    assert told.valid_until - told.at == timedelta(seconds=60)


def test_a_pack_that_refuses_is_believed_worked_around_and_asked_again(site: Site) -> None:
    site.set(overridden(SiteSettings(), 4.0, timedelta(hours=1), NOON, "eve", ""))
    site.live(2 * FAST_S)
    site.fleet[0].limit_kw, site.fleet[0].reason = 0.3, "bounded by a person"
    site.live(3 * FAST_S)
    told = site.store.allocated(SITE)
    assert told is not None
    assert [(one.device, one.delivery, one.refusal) for one in told.undelivered] == [
        ("pack_1", "refused", "bounded by a person")]
    assert site.loop.state.refused == (told.shares[0].element,)
    assert abs(told.shares[0].asked_kw) == pytest.approx(0.3, abs=0.01)
    assert told.sum_kw == pytest.approx(told.target_kw, abs=0.05), "the others take it over"
    site.fleet[0].limit_kw = 1e9
    site.live(660.0)
    assert site.loop.state.refused == ()
    assert abs(site.fleet[0].power_kw) > 0.5


def test_a_pack_that_disappears_is_left_out_and_named(site: Site) -> None:
    site.live(FAST_S)
    site.fleet[2].heard = False
    site.live(640.0)
    assert set(site.fleet.sent[-1]) == {"pack_1", "pack_2"}
    run = site.store.newest_run(SITE)
    assert run is not None
    assert [(one.device, "nothing was heard" in one.why) for one in run.left_out] == [
        ("pack_3", True)]
    assert run.plan.ids == ("pack_1", "pack_2")


def test_without_any_pack_it_says_so_and_goes_on_later(site: Site) -> None:
    for pack in site.fleet.packs_of:
        pack.heard = False
    site.clock.advance(60.0)
    site.live(FAST_S)
    assert "no pack can be planned with" in site.loop.state.problem
    assert site.fleet.sent == []
    for pack in site.fleet.packs_of:
        pack.heard = True
    site.live(2 * FAST_S)
    assert site.loop.state.problem == "", "not only with the next ten minutes"
    assert site.fleet.sent


def test_what_stood_in_the_way_of_the_first_plan_is_tried_again_each_minute(site: Site) -> None:
    site.meter.broken = True
    site.live(FAST_S)
    assert "The load is not known" in site.loop.state.problem
    site.meter.broken = False
    site.live(30.0)
    assert site.fleet.sent == []
    site.live(40.0)
    assert site.loop.state.problem == ""
    assert site.fleet.sent


# -- prices that nobody has told yet


def heard_prices(site: Site, days: int) -> None:
    """As minutes have kept them; a day is like the other."""
    nan = float("nan")
    times = NOON.timestamp() - 600.0 * np.arange(1, days * 144 + 1)[::-1]
    prices = price_at(times % 86_400.0 / 3600.0)
    site.store.keep_minutes(SITE, [
        Minute(at, nan, nan, nan, nan, nan, price, 0.05, nan, nan, 0, {})
        for at, price in zip(times.tolist(), prices.tolist(), strict=True)])


def test_a_price_that_is_not_published_yet_is_foretold_and_scored(site: Site) -> None:
    heard_prices(site, 20)
    site.meter.told_h = 48
    site.live(FAST_S)
    run = site.store.newest_run(SITE)
    assert run is not None
    outlook = run.problem.outlook
    assert outlook.import_band is not None
    hours = (12.0 + (np.arange(144) + 0.5) / 6.0) % 24.0
    assert outlook.import_price == pytest.approx(price_at(hours))
    assert site.loop.state.doubts == (
        "prices are known until 02 Mar 00:00 UTC: what lacks is foretold by the hour of the week",)
    yesterday = {one.what: one for one in site.store.forecast_scores(SITE)}
    assert yesterday["price"].days == 1, "out of what minutes have kept"
    site.live(13 * 3600.0, 600.0)
    scores = {one.what: one for one in site.store.forecast_scores(SITE)}
    assert set(scores) == {"load", "PV", "price"}
    assert (scores["price"].method, scores["price"].days) == ("hour of the week", 2)
    assert scores["price"].error == pytest.approx(0.0, abs=1e-9)
    assert scores["load"].method == "persistence"
    assert (scores["load"].hour_of_week_error or 0.0) > scores["load"].error, "means of hours"


def test_without_enough_past_prices_are_those_of_the_day_before(site: Site) -> None:
    heard_prices(site, 5)
    site.meter.told_h = 48
    site.live(FAST_S)
    run = site.store.newest_run(SITE)
    assert run is not None
    assert run.problem.outlook.import_band is None
    assert "the same hour of the day before" in site.loop.state.doubts[0]


# -- fallbacks


def test_a_solver_that_fails_is_replaced_step_by_step_and_each_is_announced(site: Site) -> None:
    site.live(FAST_S)
    site.planner.error = RetryLaterError("it ran out of time")
    site.live(600.0)
    assert site.plan.standing == "shifted"
    assert "MPC cannot plan: it ran out of time; the plan of 12:00 UTC is gone on with" in \
        site.plan.words
    assert site.loop.state.fallback == site.plan.words
    assert abs(sum(site.fleet.sent[-1].values())) > 1.0, "the old plan goes on"
    good = site.planner.asked[0].outlook
    old = RuleBased().plan(site.planner.asked[0], NOON, 1.0)
    assert site.plan.fleet_kw[:100] == pytest.approx(old.fleet_kw[1:101], abs=0.3)
    assert good.start == NOON
    site.clock.advance(24 * 3600.0)
    site.live(2 * FAST_S)
    assert site.plan.standing == "fallback"
    assert site.plan.controller == "rule-based"
    site.planner.error = None
    site.live(600.0)
    assert site.plan.standing == "planned"
    assert site.loop.state.fallback == ""
    told = "\n".join(site.told())
    assert "rules steer instead" in told
    assert told.endswith("the controller plans again")


def test_when_nothing_plans_the_packs_rest(site: Site) -> None:
    class Broken(RuleBased):
        def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
            raise ZeroDivisionError("a defect")

    site.planner.error = ValueError("another defect")
    site.loop.place.planners["rule-based"] = Broken()  # type: ignore[index]
    site.live(FAST_S)
    assert site.plan.standing == "zero"
    assert "unexpected ValueError: another defect" in site.plan.words
    assert "rule-based failed: unexpected ZeroDivisionError" in site.plan.words
    assert set(site.fleet.sent[-1].values()) == {0.0}


def test_a_plan_that_is_no_number_is_a_failure(site: Site) -> None:
    class Wrong(Moody):
        def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
            found = super().plan(problem, made_at, limit_s)
            return replace(found, pack_kw=np.full(found.pack_kw.shape, np.nan))

    site.loop.place.planners["mpc"] = Wrong()  # type: ignore[index]
    site.live(FAST_S)
    assert (site.plan.standing, site.plan.controller) == ("fallback", "rule-based")


def test_a_horizon_of_zero_is_told_and_nothing_is_sent() -> None:
    site = made(cadence=Cadence(steps=0))
    site.live(FAST_S)
    assert site.loop.state.problem.startswith("A plan of 0 steps plans nothing")
    assert site.fleet.sent == []
    site.store.close()


def test_a_meter_that_tells_nothing_stops_planning_in_words(site: Site) -> None:
    site.meter.broken = True
    site.live(FAST_S)
    assert "The load is not known, neither now nor before" in site.loop.state.problem
    assert site.fleet.sent == []


def test_without_prices_there_is_no_plan_and_a_person_is_told_what_to_do(site: Site) -> None:
    site.meter.priced = False
    site.live(FAST_S)
    assert "No tariff is set" in site.loop.state.problem


def test_an_allocation_that_cannot_be_sent_is_told(site: Site) -> None:
    site.fleet.error = SourceError("the broker does not answer")
    site.live(FAST_S)
    assert "the allocation is not sent: the broker does not answer" in site.loop.state.problem
    site.fleet.error = None
    site.live(FAST_S)
    assert site.loop.state.problem == ""


# -- what people set


def test_off_sends_nothing_and_a_change_is_planned_with_at_once(site: Site) -> None:
    site.live(FAST_S)
    site.set(SiteSettings(controller="off"))
    count = len(site.fleet.sent)
    site.live(60.0)
    assert len(site.fleet.sent) == count
    site.set(SiteSettings(controller="rule-based"))
    site.live(FAST_S)
    assert site.plan.controller == "rule-based"
    assert len(site.fleet.sent) == count + 1


def test_an_override_holds_and_ends_by_itself(site: Site) -> None:
    site.live(FAST_S)
    now = site.clock.now()
    site.set(overridden(SiteSettings(), 4.0, timedelta(minutes=2), now, "eve", "a test"))
    site.live(60.0)
    assert sum(site.fleet.sent[-1].values()) == pytest.approx(4.0, abs=0.01)
    told = site.store.allocated(SITE)
    assert told is not None
    assert (told.source, told.target_kw) == ("override", 4.0)
    site.live(90.0)
    assert sum(site.fleet.sent[-1].values()) < -1.0, "the plan steers again"
    changed = site.store.settings(SITE)
    assert changed is not None
    assert (changed.settings.override, changed.who) == (None, "the coordinator")
    words = "\n".join(site.told())
    assert "eve holds the fleet discharging at 4.0 kW until 12:02 UTC: a test" in words
    assert "the override by eve has ended by itself" in words


def test_an_override_beyond_what_packs_can_is_cut_and_told(site: Site) -> None:
    site.set(overridden(SiteSettings(), 500.0, timedelta(hours=1), NOON, "eve", ""))
    site.live(FAST_S)
    told = site.store.allocated(SITE)
    assert told is not None
    assert 1.0 < told.sum_kw < 20.0
    assert "of 500.0 kW" in told.words


@pytest.mark.parametrize(("power_kw", "hold"), [(float("nan"), timedelta(hours=1)),
                                                (1.0, timedelta(0)), (1.0, timedelta(days=2))])
def test_an_override_without_an_end_or_a_number_is_refused(power_kw: float,
                                                           hold: timedelta) -> None:
    with pytest.raises(RequestError):
        overridden(SiteSettings(), power_kw, hold, NOON, "eve", "")


# -- several processes, and a restart


def test_a_restart_goes_on_with_its_plan() -> None:
    first = made(by="one")
    first.live(300.0)
    first.loop.release()
    plan = first.plan
    again = made(first.clock, first.store, by="two", fleet=first.fleet)
    again.live(FAST_S)
    assert again.planner.asked == [], "the plan holds, nothing is planned anew"
    told = again.store.allocated("home")
    assert told is not None
    assert {share.delivery for share in told.shares} == {"on its way"}
    assert again.plan.made_at == plan.made_at
    assert sum(again.fleet.sent[-1].values()) == pytest.approx(float(plan.fleet_kw[0]), abs=0.05)
    assert again.loop.state.next_at == NOON + timedelta(minutes=10)
    assert "two goes on with the plan of 12:00 UTC" in again.told()
    again.live(600.0)
    assert len(again.planner.asked) == 1
    again.store.close()


def test_only_one_process_coordinates_and_the_other_takes_over() -> None:
    one = made(by="one")
    two = made(one.clock, one.store, by="two", fleet=one.fleet)
    one.live(FAST_S)
    sent = len(one.fleet.sent)
    two.loop.turn(two.fleet.frame(), two.fleet.topology, None)
    assert (two.loop.drives, len(two.fleet.sent)) == (False, sent)
    two.live(LEASE_S + FAST_S)
    assert two.loop.drives, "the first is silent for too long"
    one.loop.turn(one.fleet.frame(), one.fleet.topology, None)
    assert not one.loop.drives
    one.store.close()


# -- shadow, peak and the day


def test_a_challenger_is_scored_and_drives_nothing() -> None:
    site = made(best=MpcPlanner())
    site.set(SiteSettings(controller="rule-based", challenger="mpc"))
    site.live(4 * 3600.0, 60.0)
    (shadow,) = site.store.shadows(SITE)
    assert (shadow.controller, shadow.champion) == ("mpc", "rule-based")
    assert shadow.runs >= 24
    assert site.plan.controller == "rule-based"
    assert np.isfinite([shadow.cost, shadow.champion_cost]).all()
    twin = made(best=RuleBased("time-of-use"))  # type: ignore[arg-type]
    twin.set(SiteSettings(controller="rule-based", challenger="mpc"))
    twin.live(4 * 3600.0, 60.0)
    (same,) = twin.store.shadows(SITE)
    assert same.cost == pytest.approx(same.champion_cost, abs=0.05), "alike costs alike"
    site.store.close()
    twin.store.close()


def test_a_challenger_that_nobody_wants_any_more_is_forgotten() -> None:
    site = made(best=MpcPlanner())
    site.set(SiteSettings(controller="rule-based", challenger="mpc"))
    site.live(1200.0, 60.0)
    assert [one.controller for one in site.store.shadows(SITE)] == ["mpc"]
    site.set(SiteSettings(controller="rule-based"))
    site.live(1200.0, 60.0)
    assert site.store.shadows(SITE) == []
    site.store.close()


def test_the_peak_of_the_month_is_known_where_it_costs(site: Site) -> None:
    site.set(SiteSettings(objectives=Objectives(peak_per_kw=5.0)))
    site.store.keep_minutes(SITE, [minute(NOON.timestamp() - 36_000.0 + 60.0 * n, 40.0 + n % 10)
                                   for n in range(10)])
    site.live(FAST_S)
    assert site.planner.asked[0].connection.peak_kw == pytest.approx(44.5)


def minute(time_s: float, grid_kw: float) -> Minute:
    return Minute(time_s, grid_kw, 0.0, grid_kw, 0.0, 50.0, 0.25, 0.05, 0.0, 50.0, 0, {})


def test_a_day_is_judged_against_no_battery_rules_and_perfect_foresight() -> None:
    site = made(ManualClock(NOON - timedelta(hours=12)), best=MpcPlanner(),
                cadence=Cadence(period_s=1800.0))
    site.live(24 * 3600.0 + 1800.0, 300.0)
    days = site.store.days(SITE, NOON - timedelta(days=2))
    assert [day.start for day in days] == [NOON + timedelta(hours=12), NOON - timedelta(hours=12)]
    day = days[1]
    assert day.words == ""
    assert day.no_battery is not None
    assert day.happened is not None
    assert day.perfect is not None
    assert day.rule_based is not None
    assert day.perfect.total <= day.happened.total + 0.02
    assert day.happened.total < day.no_battery.total - 0.5
    assert 80.0 < day.captured_pct < 101.0, "every day is alike: it was all foreseen"
    assert (day.violations, day.known) == (0, 1.0)
    site.loop.release()
    again = made(site.clock, site.store, MpcPlanner(), by="two", fleet=site.fleet)
    for pack in again.fleet.packs_of:
        pack.heard = False
    site.clock.advance(600.0)
    again.live(120.0, 60.0)
    assert "no pack can be planned with" in again.loop.state.problem
    assert again.store.days(SITE, NOON - timedelta(days=2))[1] == day, "nobody heard: it stays"
    again.fleet[0].heard = True
    again.live(1200.0, 60.0)
    assert again.plan.ids == (again.fleet[0].plate.device,)
    assert again.store.days(SITE, NOON - timedelta(days=2))[1] == day, "by all, not by one"
    site.store.close()


def test_settings_survive_the_wire_and_odd_ones_are_refused() -> None:
    from core.coordinator.settings import read, written

    told = overridden(SiteSettings(challenger="rule-based", import_limit_kw=20.0), 3.0,
                      timedelta(hours=1), NOON, "eve", "why")
    assert read(written(told)) == told
    for odd in (b'{"controller":"oracle"}', b'{"more":1}', b"", b"\xff",
                written(msgspec.structs.replace(told, objectives=Objectives(cost=-1.0))),
                written(msgspec.structs.replace(told, challenger="mpc"))):
        with pytest.raises(RequestError):
            read(odd)


def test_limits_that_contradict_each_other_are_named_and_the_packs_do_what_they_can() -> None:
    site = made(best=MpcPlanner())
    site.set(SiteSettings(import_limit_kw=0.0, export_limit_kw=0.0,
                          objectives=Objectives(setpoint_kw=50.0, reserve=0.9)))
    site.live(3 * FAST_S)
    assert site.plan.standing == "planned"
    told = {one.limit: one for one in site.plan.exceeded}
    assert {"export limit", "reserve"} <= set(told)
    assert all(one.by > 0 and one.why for one in site.plan.exceeded)
    allocated = site.store.allocated(SITE)
    assert allocated is not None
    assert allocated.sum_kw < -8.0, "all that the packs can take of the sun"
    site.store.close()


def test_a_past_that_is_being_written_is_waited_for_some_seconds_and_planned_with_when_it_is_there(
        site: Site) -> None:
    comes = [True]
    site.loop.place = replace(site.loop.place, past_comes=lambda: comes[0])
    site.live(FAST_S)
    assert site.planner.asked == []
    site.live(FAST_S)
    assert len(site.planner.asked) == 1, "within ten seconds"
    assert site.fleet.sent
    site.live(50.0)
    assert len(site.planner.asked) == 1
    comes[0] = False
    site.live(3 * FAST_S)
    assert len(site.planner.asked) == 2, "once"


def test_a_charge_far_from_the_plan_is_planned_with_at_once(site: Site) -> None:
    site.live(FAST_S)
    for pack in site.fleet.packs_of:
        pack.soc = 0.8
    site.live(50.0)
    assert len(site.planner.asked) == 1, "not within a minute of the last"
    site.live(30.0)
    assert len(site.planner.asked) == 2
    assert site.planner.asked[1].packs.energy_kwh.sum() > 20.0
