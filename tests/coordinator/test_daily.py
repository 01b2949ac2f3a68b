"""A day out of its minutes: what nobody heard from the beginning is not told as if it had been."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.clock import ManualClock
from core.coordinator.daily import day_cost
from core.coordinator.plan import Controller
from core.coordinator.ports import Planner
from core.coordinator.problem import Connection, Objectives, Packs
from core.coordinator.records import Minute, OfKind
from core.coordinator.rules import RuleBased
from core.coordinator.settings import SiteSettings
from core.coordinator.usual import CEILING, EFFICIENCY, FLOOR
from core.coordinator.view import DayCost
from core.fleet.tree import element_of
from core.registry import make_planners
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.fleet import SITE
from tests.coordinator.test_loop import made

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
STEP_S, KWH, KW = 600.0, 100.0, 20.0
PLANNERS: dict[Controller, Planner] = {"mpc": MpcPlanner(), "rule-based": RuleBased("time-of-use")}


def minutes(first: int, count: int) -> list[Minute]:
    """A discharge at constant power, from minute `first` of the day on."""
    told = []
    for number in range(count):
        kwh = 60.0 - KW / EFFICIENCY * (number + 1) / 60.0
        told.append(Minute(MIDNIGHT.timestamp() + 60.0 * (first + number), 30.0, 0.0, 30.0 - KW, KW,
                           kwh, 0.2, 0.05, KW, kwh, 0, {"LFP": OfKind(KW, kwh, KWH, KWH, 1)}))
    return told


def packs() -> Packs:
    one = np.ones(1)
    return Packs(("pack_1",), KWH * one, 60.0 * one, 50.0 * one, 50.0 * one, EFFICIENCY * one,
                 0.02 * one, FLOOR * one, CEILING * one)


def test_a_day_that_begins_in_the_middle_of_a_step_beats_no_perfect_foresight() -> None:
    until = MIDNIGHT + timedelta(minutes=40)
    told = day_cost(minutes(4, 36), packs(), ["LFP"], MIDNIGHT, until, STEP_S, PLANNERS,
                    Connection(), Objectives())
    assert (told.start, told.until) == (MIDNIGHT + timedelta(minutes=10), until)
    assert told.happened is not None
    assert told.perfect is not None
    assert told.no_battery is not None
    assert told.perfect.total <= told.happened.total + 1e-9
    assert told.no_battery.total == pytest.approx(30.0 * 0.5 * 0.2)


def test_before_a_whole_step_was_heard_nothing_is_told() -> None:
    told = day_cost(minutes(4, 10), packs(), ["LFP"], MIDNIGHT, MIDNIGHT + timedelta(minutes=14),
                    STEP_S, PLANNERS, Connection(), Objectives())
    assert told.happened is None
    assert told.words == "Told once the first ten minutes are over"


def dear_evening() -> list[Minute]:
    """A day without sun and packs at rest: cheap until six in the evening, dear from then on."""
    told = []
    for number in range(24 * 60):
        price = 0.5 if number >= 18 * 60 else 0.1
        told.append(Minute(MIDNIGHT.timestamp() + 60.0 * number, 10.0, 0.0, 10.0, 0.0, 20.0, price,
                           0.05, 0.0, 20.0, 0, {"LFP": OfKind(0.0, 20.0)}))
    return told


def test_the_bar_of_rules_is_the_controller_that_people_can_choose() -> None:
    """Self-consumption alone does nothing on a day without sun; by time of use it buys for the
    evening."""
    def told(rules: Planner) -> DayCost:
        return day_cost(dear_evening(), packs(), ["LFP"], MIDNIGHT, MIDNIGHT + timedelta(days=1),
                        STEP_S, {**PLANNERS, "rule-based": rules}, Connection(), Objectives())
    chosen, other = told(make_planners()["rule-based"]), told(RuleBased("self-consumption"))
    assert chosen.rule_based is not None
    assert other.rule_based is not None
    assert chosen.no_battery is not None
    assert chosen.no_battery.total - chosen.rule_based.total > 5.0
    assert chosen.rule_based.total < other.rule_based.total - 5.0


@pytest.mark.parametrize(("before_kw", "billed_kw"), [(40.0, 0.0), (4.0, 1.0), (0.0, 5.0)])
def test_a_day_pays_for_what_it_raises_the_month_s_peak_by(before_kw: float,
                                                           billed_kw: float) -> None:
    """Through the loop, an evening at 5 kW on the second of the month."""
    site = made(ManualClock(MIDNIGHT + timedelta(hours=42.5)), best=MpcPlanner())
    site.store.keep_minutes(SITE, [
        Minute(MIDNIGHT.timestamp() + 60.0 * at, before_kw, 0.0, before_kw, 0.0, 50.0, 0.25, 0.05,
               0.0, 50.0, 0, {}) for at in range(10)])
    site.set(SiteSettings(controller="off", objectives=Objectives(peak_per_kw=2.0)))
    site.live(3600.0, 60.0)
    (day,) = site.store.days(SITE, MIDNIGHT + timedelta(days=1))
    site.store.close()
    assert day.no_battery is not None
    assert day.happened is not None
    assert day.no_battery.demand == pytest.approx(2.0 * billed_kw, abs=0.1)
    assert day.happened.demand == pytest.approx(2.0 * billed_kw, abs=0.1)
    assert day.saved == pytest.approx(0.0, abs=0.05)


def test_a_pack_of_twelve_that_is_silent_and_a_restart_leave_the_day_its_account() -> None:
    """Through the loop: nothing flows, so that nothing can be earned, whoever is heard."""
    site = made(ManualClock(MIDNIGHT), best=MpcPlanner(), kinds=("LFP",) * 12)
    site.set(SiteSettings(controller="off"))
    for minute in range(180):
        frame = site.fleet.frame()
        if 60 <= minute < 140:
            frame.stale[site.fleet.topology.index(element_of(SITE, "pack_1"))] = True
        if minute == 100:
            site = made(site.clock, site.store, MpcPlanner(), by="one", fleet=site.fleet)
        site.clock.advance(60.0)
        site.fleet.live(60.0)
        site.loop.turn(frame, site.fleet.topology, None)
    (day,) = site.store.days(SITE, MIDNIGHT)
    site.store.close()
    assert day.saved == pytest.approx(0.0, abs=1e-9)
    assert day.words == "told of 96 % of the packs' capacity: the rest was not heard"
    assert (day.known, day.account_violations) == (1.0, 0)
