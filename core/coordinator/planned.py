"""The coordinator of a site, as its digital twin asks it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from core.coordinator.records import CoordinatorStore
from core.errors import OrreryError
from core.twin.ahead import Planned

log = logging.getLogger(__name__)

TAKEN = ("delivered", "on its way")
BY: Mapping[str, str] = {"override": "an override"}


def allocated_now(store: CoordinatorStore, sites: Sequence[str], now: datetime,
                  ) -> Mapping[str, Planned]:
    """By element, what is allocated now, whichever process coordinates; packs that refuse it or
    are silent are left out, and so is a site whose store is out of reach."""
    found: dict[str, Planned] = {}
    for site in sites:
        try:
            told = store.allocated(site)
        except OrreryError as error:
            log.debug("%s: no allocation is known: %s", site, error)
            continue
        if told is None or not told.at <= now < told.valid_until:
            continue
        by = BY.get(told.source, "the coordinator's allocation")
        found.update({share.element: Planned(share.asked_kw, by) for share in told.shares
                      if share.delivery in TAKEN})
    return found
