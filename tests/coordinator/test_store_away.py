"""A loop whose store goes out of reach between two of its questions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from core.coordinator.settings import SiteSettings, overridden
from core.errors import RetryLaterError
from tests.coordinator.test_loop import FAST_S, NOON, SITE, Site, made, minute


@pytest.fixture
def site() -> Iterator[Site]:
    found = made()
    yield found
    found.store.close()


def test_days_that_ended_while_the_store_was_away_are_all_judged(
        site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.live(FAST_S)
    began = NOON.replace(hour=0)
    days = [began + timedelta(days=number) for number in range(4)]
    site.store.keep_minutes(SITE, [minute(day.timestamp() + 60.0 * n, 5.0)
                                   for day in days[:3] for n in range(24 * 60)])
    with monkeypatch.context() as away:
        away.setattr(type(site.store), "minutes", out_of_reach)
        site.clock.advance((days[3] - site.clock.now()).total_seconds())
        site.live(FAST_S)
    site.live(1200.0, 60.0)
    judged = sorted(day.start for day in site.store.days(SITE, began))
    assert judged[:3] == days[:3]


def out_of_reach(*_: object) -> None:
    raise RetryLaterError("the store is out of reach")


def test_the_end_of_an_override_that_cannot_be_kept_stops_nothing(
        site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.live(FAST_S)
    site.set(overridden(SiteSettings(), 4.0, timedelta(minutes=30), site.clock.now(), "eve", ""))
    site.live(60.0)
    with monkeypatch.context() as away:
        away.setattr(type(site.store), "save_settings", out_of_reach)
        site.live(1860.0, 60.0)
        before = len(site.fleet.sent)
        site.live(120.0)
        assert len(site.fleet.sent) > before, "it goes on driving"
        assert "has ended by itself" not in site.told()
    site.live(FAST_S)
    assert "the override by eve has ended by itself" in site.told()
    changed = site.store.settings(SITE)
    assert changed is not None
    assert changed.settings.override is None
