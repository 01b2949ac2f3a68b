"""A site whose challenger has been scored for half an hour."""

from __future__ import annotations

from core.coordinator.settings import SiteSettings
from core.coordinator.view import Shadow
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.fleet import SITE
from tests.coordinator.test_loop import Site, made


def challenged(settings: SiteSettings) -> Site:
    """To be closed by whoever asks: its store."""
    found = made(best=MpcPlanner())
    found.set(settings)
    found.live(1800.0, 60.0)
    return found


def shadow(site: Site) -> Shadow:
    (found,) = site.store.shadows(SITE)
    return found
