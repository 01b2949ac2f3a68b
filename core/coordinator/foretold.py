"""The digital twin of this process, as a coordinator asks it."""

from __future__ import annotations

import numpy as np

from core.coordinator.gather import TwinSays
from core.coordinator.wear import PackLife
from core.twin.desk import LIFE, Site
from core.twin.life import YEAR_D


def twin_says(site: Site) -> TwinSays:
    """Of all packs; lives of those that have one, capacities of those that were judged."""
    years, cycles, capacity, forecast = (site.figures[name] for name in LIFE)
    told_of = np.isfinite(years) & np.isfinite(cycles)  # a life beyond what is told wears as usual
    cycles = np.where(told_of, cycles, np.nan)
    a_day = np.divide(cycles, YEAR_D * years, out=np.full(len(years), np.nan),
                      where=told_of & (years > 0))
    known = np.flatnonzero(np.isfinite(capacity))
    told = (column[known].tolist() for column in (cycles, capacity, a_day, forecast))
    lives = {site.ids[row]: PackLife(*life)
             for row, life in zip(known.tolist(), zip(*told, strict=True), strict=True)}
    soh = dict(zip(site.ids, site.figures["soh_pct"].tolist(), strict=True))
    held = {pack: one.capacity for pack, one in list(site.judged.items())}
    return TwinSays(site.table, soh, lives, held)
