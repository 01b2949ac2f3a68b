"""The panels of a pack that ask the physics, over a site that a test made.

AppTest runs `page` in the test's own process: `SITE` is what the test and the page share.
"""

from __future__ import annotations

from components.twin import calibrate, forecast, given, internals
from tests.components.twin_site import PACK, TwinSite

SITE: list[TwinSite] = []


def page() -> None:
    given.take(SITE[-1], PACK)
    forecast.show(SITE[-1], PACK)
    calibrate.show(SITE[-1], PACK)
    given.show(SITE[-1], PACK)
    internals.show(SITE[-1], PACK)
