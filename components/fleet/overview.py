"""The fleet on the Overview: one row a site, with its jump to its own page."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from components import blocks, describe, formats
from components.api_client import LocalClient
from components.blocks import Html, SystemRow
from components.fleet import board
from components.fleet.standing import LIMITED, TRIPPED, Standings
from core.direction import direction

FLEET = "pages/fleet.py"
HEAD = Html(blocks.SYSTEM_HEAD.replace("<span>System</span>", "<span>Fleet</span>"))


def show(client: LocalClient) -> None:
    """Nothing where the site has no packs."""
    if not client.packs():
        return
    all_ = board.now(client)
    sites = list(dict.fromkeys(pack.site for pack in all_.packs))
    rows = {site: _row(all_, site) for site in sites}
    full_kw = describe.full_power_kw(_capacity_kwh(all_, site) for site in sites)
    blocks.show(blocks.heading("Fleet", "packs that their edge devices guard"))
    if blocks.press_systems(rows, key="fleet", full_kw=full_kw, head=HEAD) is not None:
        st.switch_page(FLEET)


def _capacity_kwh(all_: Standings, site: str) -> float:
    return sum(pack.capacity_kwh or 0.0 for pack in all_.packs if pack.site == site)


def _row(all_: Standings, site: str) -> SystemRow:
    own = np.array([pack.site == site for pack in all_.packs], dtype=np.bool_)
    capacity = np.array([pack.capacity_kwh or 0.0 for pack in all_.packs])
    known = own & np.isfinite(all_.power_kw)
    power_kw = float(all_.power_kw[known].sum()) if known.any() else math.nan
    charged = own & ~all_.silent & np.isfinite(all_.soc_pct) & (capacity > 0)
    soc = (float(np.average(all_.soc_pct[charged], weights=capacity[charged]))
           if charged.any() else math.nan)
    ages = all_.age_s[own & np.isfinite(all_.age_s)]
    return SystemRow(
        f"{site}, {formats.counted(int(own.sum()), 'pack')}",
        direction(power_kw, _capacity_kwh(all_, site)), power_kw, soc,
        float(ages.min()) if ages.size else math.nan, bool(all_.silent[own].all()),
        int(all_.tier[own].max()), _pills(all_, own))


def _pills(all_: Standings, own: np.ndarray) -> tuple[Html, ...]:
    counts = (("trip", int((own & all_.of(TRIPPED)).sum()), "tripped"),
              ("derated", int((own & all_.of(LIMITED)).sum()), "limited"),
              ("silent", int((own & all_.silent).sum()), "silent"))
    return tuple(blocks.pill(kind, f"{count} {word}") for kind, count, word in counts if count)
