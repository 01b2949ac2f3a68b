"""Lives that one process's twin foretells reach another that plans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from core.clock import ManualClock
from core.coordinator.gather import gathered
from core.coordinator.lives import EVERY, STALE, SharedLives
from core.coordinator.records import FleetLives
from core.coordinator.twin_word import NO_HEALTH, NO_LIVES
from core.coordinator.wear import BY_CHEMISTRY, BY_FORECAST, PackLife
from core.errors import RetryLaterError
from core.fleet.tree import element_of
from core.twin.interval import Interval
from store.records import open_coordinator
from store.records.coordinator import CoordinatorTables
from store.records.packed import packed, unpacked
from tests.coordinator.fleet import KWH, NOON, SITE, FleetOfTest, seen
from tests.coordinator.test_gather import says

LIFE, SHORT = PackLife(2400.0, 0.97, 0.7, 1.0), PackLife(800.0, 0.97, 0.7, 1.0)
PACK_1 = element_of(SITE, "pack_1")


@pytest.fixture
def store() -> Iterator[CoordinatorTables]:
    found = open_coordinator(None)
    yield found
    found.close()


@pytest.fixture
def fleet() -> FleetOfTest:
    return FleetOfTest(ManualClock(NOON), "NMC", "NMC")


def test_what_the_app_s_twin_foretells_the_service_plans_with(store: CoordinatorTables,
                                                              fleet: FleetOfTest) -> None:
    app, service = SharedLives(store, [SITE]), SharedLives(store, [SITE])
    first = fleet.packs()[0].element
    plain = says(fleet, 50.0)
    assert service.of(plain, NOON) == plain
    told = says(fleet, 50.0, lives={first: LIFE})
    assert app.of(told, NOON) == told
    assert service.of(plain, NOON) == plain, "it looks every ten minutes"
    found = service.of(plain, NOON + EVERY)
    assert found is not None
    assert found.lives == {first: LIFE}
    packs = gathered(seen(fleet, twin=found))
    assert packs.wear_by == (BY_FORECAST, BY_CHEMISTRY)
    assert packs.words == ""
    assert NO_LIVES in gathered(seen(fleet, twin=plain)).words
    assert service.of(None, NOON + EVERY) is None


def test_lives_that_nobody_foretold_anew_count_no_more(store: CoordinatorTables,
                                                       fleet: FleetOfTest) -> None:
    app, service = SharedLives(store, [SITE]), SharedLives(store, [SITE])
    plain, told = says(fleet, 50.0), says(fleet, 50.0, lives={PACK_1: LIFE})
    app.of(told, NOON)
    assert service.of(plain, NOON + STALE) != plain
    assert service.of(plain, NOON + STALE + EVERY) == plain
    app.of(told, NOON + STALE)
    stands = store.lives(SITE)
    assert stands is not None
    assert stands.at == NOON, "a twin that stands still foretells nothing anew"
    app.of(says(fleet, 50.0, age_s=-(STALE + EVERY).total_seconds(), lives={PACK_1: LIFE}),
           NOON + STALE + EVERY)
    renewed = store.lives(SITE)
    assert renewed is not None
    assert renewed.at == NOON + STALE + EVERY, "the same lives, told once more"


def test_the_capacities_that_the_app_s_twin_finds_narrow_what_the_service_plans_with(
        store: CoordinatorTables, fleet: FleetOfTest) -> None:
    found = Interval.of(0.8, 0.01)
    app, service = SharedLives(store, [SITE]), SharedLives(store, [SITE])
    app.of(says(fleet, 50.0, soh_pct=90.0, lives={}, capacity=found), NOON)
    plain = replace(says(fleet, 50.0), soh_pct={}, capacity={})
    told = service.of(plain, NOON)
    assert told is not None
    assert told.capacity == {state.element: found for state in fleet.packs()}
    assert told.soh_pct[PACK_1] == 90.0
    planned = gathered(seen(fleet, twin=told))
    assert planned.packs.capacity_kwh == pytest.approx(2 * [0.8 * KWH])
    assert planned.words == NO_LIVES, "capacities are known, lives are not"
    assert [one.why for one in planned.narrowed] == 2 * [
        "it is taken for 90 % healthy, the digital twin finds 80 % of its capacity"]
    late = service.of(plain, NOON + STALE + EVERY)
    assert late == plain
    silent = gathered(seen(fleet, twin=late))
    assert silent.packs.capacity_kwh == pytest.approx(2 * [KWH])
    assert NO_HEALTH in silent.words


def test_what_was_kept_before_capacities_were_shared_is_read() -> None:
    old = {"at": NOON, "lives": {PACK_1: LIFE}}
    assert unpacked(FleetLives, packed(old), "lives") == FleetLives(NOON, {PACK_1: LIFE})


class Sometimes:
    """A store that is out of reach where `lost`."""

    def __init__(self, store: CoordinatorTables) -> None:
        self._store, self.lost = store, False

    def lives(self, site: str) -> FleetLives | None:
        if self.lost:
            raise RetryLaterError("the server is out of reach")
        return self._store.lives(site)


def test_without_the_store_what_was_read_counts(store: CoordinatorTables,
                                                fleet: FleetOfTest) -> None:
    SharedLives(store, [SITE]).of(says(fleet, 50.0, lives={PACK_1: LIFE}), NOON)
    seldom, plain = Sometimes(store), says(fleet, 50.0)
    service = SharedLives(seldom, [SITE])  # type: ignore[arg-type]
    service.of(plain, NOON)
    seldom.lost = True
    found = service.of(plain, NOON + timedelta(hours=1))
    assert found is not None
    assert found.lives == {PACK_1: LIFE}


def test_apps_of_several_sites_share_a_store(store: CoordinatorTables, fleet: FleetOfTest) -> None:
    """What the app of one site foretells leaves the others' lives, and so does one that shows more
    sites than it has foretold lives of."""
    other, plain = element_of("other", "pack_1"), says(fleet, 50.0)
    SharedLives(store, [SITE]).of(says(fleet, 50.0, lives={PACK_1: LIFE, "demo": SHORT}), NOON)
    SharedLives(store, ["other", SITE]).of(says(fleet, 50.0, lives={other: SHORT}), NOON)
    for sites, lives in (([SITE], {PACK_1: LIFE}), (["other"], {other: SHORT}),
                         (["other", SITE], {PACK_1: LIFE, other: SHORT}), (["third"], None)):
        found = SharedLives(store, sites).of(plain, NOON + EVERY)
        assert found is not None
        assert found.lives == lives
