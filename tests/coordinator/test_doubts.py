"""What a plan takes for granted: said as long as it stands, noted once, and gone when it is
known."""

from __future__ import annotations

import msgspec
import numpy as np

from core.coordinator.settings import SiteSettings
from core.coordinator.tariffs import StoredPrices
from tests.coordinator.fleet import NOON, SITE
from tests.coordinator.test_gather import says
from tests.coordinator.test_loop import FAST_S, made


def prices(hours: int) -> bytes:
    """By the hour, from noon on."""
    times = NOON.timestamp() + 3600.0 * np.arange(hours)
    return msgspec.json.encode(StoredPrices("EUR", times.tolist(), [0.3] * hours, [0.1] * hours,
                                            3600.0))


def test_prices_that_end_too_early_are_a_doubt_until_there_are_more() -> None:
    site = made()
    site.store.keep_prices(SITE, "spot", prices(10), NOON)
    site.set(SiteSettings(prices="spot"))
    site.live(700.0)
    [doubt] = site.loop.state.doubts
    assert doubt.startswith("prices are known until 01 Mar 22:00 UTC")
    assert site.told().count(doubt) == 1
    site.store.keep_prices(SITE, "spot", prices(48), NOON)
    site.live(600.0)
    assert site.loop.state.doubts == ()
    site.store.close()


def test_a_stale_twin_is_a_doubt_that_is_noted_once() -> None:
    site = made()
    for _ in range(30):
        site.clock.advance(FAST_S)
        site.fleet.live(FAST_S)
        site.loop.turn(site.fleet.frame(), site.fleet.topology, says(site.fleet, 50.0, age_s=600.0))
    [doubt] = site.loop.state.doubts
    assert "the digital twin last looked at 11:50 UTC" in doubt
    assert site.told().count(doubt) == 1
    site.store.close()
