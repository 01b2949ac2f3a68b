"""The view of a site whose store is out of reach."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.coordinator.show import Shown
from core.coordinator.silence import silence_of
from core.coordinator.view import SiteView


def bare_view(shown: Shown, now: datetime) -> SiteView:
    """What is known of a site without its store."""
    return SiteView(shown.site, shown.label, shown.element, shown.tariff.currency(shown.default),
                    now, False, "", shown.default, None, (),
                    silence=silence_of(shown.packs(), None))


def unread(before: SiteView, why: str) -> SiteView:
    """As it was last, at its own time; who coordinates it goes on with its plan meanwhile."""
    what = f"this is as of {before.at:%H:%M:%S} UTC, because what is kept of this site" \
        if before.controllers else "its plan and its settings"
    return replace(before, next_at=None, problem=f"{what} cannot be read: {why}")
