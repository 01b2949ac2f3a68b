"""A challenger's score outlives a restart, and is of minutes alone that both have lived through."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from core.coordinator.plan import Controller
from core.coordinator.ports import Planner
from core.coordinator.problem import Floats, Problem
from core.coordinator.records import Minute, OfKind
from core.coordinator.rules import Off
from core.coordinator.settings import SiteSettings
from core.coordinator.shadow import Challenger
from core.coordinator.usual import EFFICIENCY
from core.coordinator.view import Shadow
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.cases import NOW
from tests.coordinator.cases import site as problem_of
from tests.coordinator.challenged import challenged, shadow
from tests.coordinator.test_loop import Site, made

HOUR_S = 3600.0


@pytest.fixture
def site() -> Iterator[Site]:
    found = challenged(SiteSettings(controller="rule-based", challenger="mpc"))
    yield found
    found.store.close()


def again(site: Site, by: str = "one") -> Site:
    """The same site after a restart."""
    return made(site.clock, site.store, MpcPlanner(), by=by, fleet=site.fleet)


def test_the_score_goes_on_after_a_restart(site: Site) -> None:
    before = shadow(site)
    second = again(site)
    second.live(HOUR_S / 6, 60.0)
    after = shadow(second)
    assert (after.since, after.runs) == (before.since, before.runs + 1)
    assert after.cost == pytest.approx(before.cost, abs=0.3)
    assert after.champion_cost == pytest.approx(before.champion_cost, abs=0.3)
    second.live(HOUR_S / 3, 60.0)
    later = shadow(second)
    assert later.lived is not None
    assert after.lived is not None
    assert later.lived.champion_cost != after.lived.champion_cost
    assert later.lived.settled_s > after.lived.settled_s


def test_what_packs_did_while_nobody_looked_is_in_no_score(site: Site) -> None:
    before = shadow(site)
    for pack in site.fleet.packs_of:
        pack.soc = 0.9
    site.clock.advance(HOUR_S)
    second = again(site, "another")
    second.live(HOUR_S / 6, 60.0)
    after = shadow(second)
    assert after.since == before.since
    assert after.champion_cost == pytest.approx(before.champion_cost, abs=0.3)


def test_against_another_champion_it_begins_anew(site: Site) -> None:
    before = shadow(site)
    site.set(SiteSettings(controller="off", challenger="mpc"))
    second = again(site)
    second.set(SiteSettings(controller="mpc", challenger="rule-based"))
    second.live(HOUR_S / 6, 60.0)
    assert shadow(second).since > before.since


# -- what is not known of both is scored of neither

PLANNERS: dict[Controller, Planner] = {"off": Off()}
KW, PRICE, WEAR = 6.0, 0.3, 0.02
KNOWN = Minute(NOW.timestamp(), 10.0, 0.0, 10.0 - KW, KW, 50.0, PRICE, PRICE, KW, 50.0, 0,
               {"LFP": OfKind(KW, 50.0, 100.0, 100.0, 1)})
SILENT = KNOWN._replace(kinds={"LFP": OfKind(KW, 48.0, 96.0, 100.0, 2)})
PRICELESS = KNOWN._replace(import_price=math.nan)


def scored(challenger: Challenger, problem: Problem, minutes: list[Minute], at_min: float,
           energy_kwh: Floats | None = None) -> Shadow:
    """At one price; what the packs hold is measured at the end."""
    ahead = problem.outlook
    flat = replace(problem, outlook=replace(ahead, import_price=np.full(ahead.steps, PRICE)))
    held = problem.packs.energy_kwh if energy_kwh is None else energy_kwh
    asked = replace(flat, packs=replace(problem.packs, energy_kwh=held))
    return challenger.run(asked, PLANNERS, minutes, NOW + timedelta(minutes=at_min), 1.0,
                          {"LFP": WEAR})


@pytest.mark.parametrize(("odd", "last"), [
    (SILENT, SILENT), (PRICELESS, PRICELESS), (KNOWN._replace(load_kw=math.nan), KNOWN),
    (KNOWN._replace(kinds={}), KNOWN), (None, KNOWN), (None, None)],
    ids=["a pack is silent", "no price", "no load", "no packs", "no minute", "none since"])
def test_what_the_champion_does_while_not_all_is_known_is_in_no_score(
        odd: Minute | None, last: Minute | None) -> None:
    """Ten minutes, the first four of them known; it gives 6 kW throughout."""
    problem, challenger = problem_of(1, 6), Challenger("off", "mpc")
    scored(challenger, problem, [], 0.0)
    given_kwh = np.array([KW / EFFICIENCY / 60.0])
    held = problem.packs.energy_kwh
    minutes = [one._replace(time_s=NOW.timestamp() + 60.0 * at) for at in range(10)
               if (one := KNOWN if at < 4 else last if at == 9 else odd) is not None]
    known = 4 + (last is KNOWN)
    told = scored(challenger, problem, minutes, 10.0, held - 10 * given_kwh)
    paid = known / 60.0 * (WEAR * KW + PRICE * (10.0 - KW))
    assert told.champion_cost == pytest.approx(paid + PRICE * known * float(given_kwh[0]))
    assert told.cost == pytest.approx(known / 60.0 * PRICE * 10.0)


def test_a_pack_that_is_away_at_a_restart_is_no_loss_and_its_return_no_gain() -> None:
    problem, first = problem_of(2, 6), Challenger("off", "mpc")
    scored(first, problem, [], 0.0)
    before = scored(first, problem, [], 10.0)
    second = Challenger("off", "mpc", before)
    alone = replace(problem, packs=problem.packs.at(np.array([0])))
    after = scored(second, alone, [], 20.0)
    assert (after.since, after.runs) == (before.since, before.runs + 1)
    assert (after.cost, after.champion_cost) == pytest.approx((0.0, 0.0))
    back = scored(second, problem, [], 30.0, problem.packs.energy_kwh + np.array([0.0, 1.0]))
    assert (back.cost, back.champion_cost) == pytest.approx((0.0, 0.0))


def test_a_score_that_tells_of_no_pack_by_itself_begins_anew() -> None:
    """As an earlier version kept it."""
    problem, first = problem_of(2, 6), Challenger("off", "mpc")
    before = scored(first, problem, [], 0.0)
    assert before.lived is not None
    old = replace(before, lived=replace(before.lived, champion={}))
    assert scored(Challenger("off", "mpc", old), problem, [], 10.0).since > before.since
