"""A challenger's score outlives a restart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.coordinator.settings import SiteSettings
from core.coordinator.view import Shadow
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.fleet import SITE
from tests.coordinator.test_loop import Site, made

HOUR_S = 3600.0


@pytest.fixture
def site() -> Iterator[Site]:
    found = made(best=MpcPlanner())
    found.set(SiteSettings(controller="rule-based", challenger="mpc"))
    found.live(HOUR_S / 2, 60.0)
    yield found
    found.store.close()


def shadow(site: Site) -> Shadow:
    (found,) = site.store.shadows(SITE)
    return found


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
