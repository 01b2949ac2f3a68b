"""A coordinator whose machine's clock is set back by an hour."""

from __future__ import annotations

from datetime import timedelta

from core.coordinator.lives import EVERY, SharedLives
from core.coordinator.wear import PackLife
from store.records import open_coordinator
from tests.coordinator.fleet import NOON, SITE
from tests.coordinator.test_gather import says
from tests.coordinator.test_loop import FAST_S, made

HOUR_S = 3600.0


def test_no_plan_waits_for_its_time_to_come_again() -> None:
    site = made()
    site.live(660.0)
    before, sent = len(site.planner.asked), len(site.fleet.sent)
    site.clock.set_by(-HOUR_S)
    site.live(FAST_S)
    assert len(site.planner.asked) == before + 1, "the plan of later says nothing of now"
    now, told = site.clock.now(), site.store.allocated(SITE)
    assert told is not None
    assert told.at == now
    assert site.loop.state.next_at == NOON + timedelta(seconds=1200.0 - HOUR_S)
    site.live(600.0)
    assert len(site.planner.asked) == before + 2
    assert len(site.fleet.sent) == sent + 1 + 600.0 / FAST_S
    site.store.close()


def test_lives_are_looked_up_on() -> None:
    store, fleet = open_coordinator(None), made().fleet
    app, service = SharedLives(store, [SITE]), SharedLives(store, [SITE])
    told = says(fleet, 50.0, lives={fleet.packs()[0].element: PackLife(2400.0, 0.97, 0.7, 1.0)})
    plain = says(fleet, 50.0)
    assert service.of(plain, NOON) == plain
    app.of(told, NOON - timedelta(seconds=HOUR_S))
    found = service.of(plain, NOON - timedelta(seconds=HOUR_S) + EVERY / 2)
    assert found is not None
    assert found.lives == told.lives
    store.close()
