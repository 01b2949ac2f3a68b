"""All packs: the answer as a title, then the rows of one screen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from components import blocks, formats, scripted
from components.api_client import Client
from components.blocks import Content
from components.formats import MISSING
from components.twin import choice, words
from components.twin.choice import Wish
from core.clock import from_epoch
from core.frames import Frame
from core.topology import IndexArray, Topology
from core.twin.desk import Site
from core.twin.interval import SIGMAS, Interval
from core.twin.models import Floats
from core.twin.study import TOLD_SIGMA

TABLE, AGAIN = "twin_table", "twin_again"
SCRIPT = Path(__file__).with_name("table.js")
ROWS = 25
HEADS = (("name", "Pack"), ("worst", "Verdict"), ("health", "Health"),
         ("fade", "Fade a year"), ("resistance", "Resistance"), ("residual", "Residual"),
         ("life", "Life to 80 %"),
         ("known", "Data"))


def nothing(client: Client) -> None:
    """A site without a pack that can be modelled says why."""
    site = client.twin_site()
    if isinstance(site, str):
        why, do = site[:1].upper() + site[1:] + ".", "Set enabled = true under [twin]."
    else:
        why = "A pack is what has cells right below it, of a known chemistry and capacity."
        do = "Add a source that reports cells: kind fleet, packs, recorded or venus."
    blocks.show(blocks.title("No digital twin here"),
                blocks.state_box("model_training", "No pack is modelled", why, do))


def head(client: Client) -> None:
    """"249 packs, 2 doubted, 180 judged"."""
    site = client.twin_site()
    if isinstance(site, str):
        return
    count, doubted = site.table.packs.size, site.doubted.size
    judged = int(np.isfinite(site.figures["doubted"]).sum())
    parts: list[Content | blocks.Alarm] = [formats.counted(count, "pack"),
                                           f", {doubted} doubted" if doubted else ""]
    if judged == 0:
        parts.append(", none judged yet")
    elif not doubted:
        parts.append(", none doubted")
    blocks.show(blocks.title(*parts, sub=_sub(client, site, judged)))
    trouble(site)


def _sub(client: Client, site: Site, judged: int) -> list[Content]:
    every = f"each every {formats.age(site.judged_every_s)}"
    told: list[Content] = [
        blocks.pill("live", "Live"), "every cell estimated each second",
        f"{formats.number(judged)} judged by their last 6 hours, {every}" if judged else
        f"judged by their last 6 hours, {every}"]
    past = client.backfill()
    if past is not None and past.running:
        told.append("verdicts follow once the past is written")
    if site.table.time is not None:
        told.append(formats.local_time(site.table.time, st.context.timezone))
    return told


def trouble(site: Site) -> None:
    """What is missing or fails; the rest works."""
    if site.missing:
        blocks.show(blocks.state_box(
            "deployed_code_alert", "No physics: the models are not installed",
            site.missing[:1].upper() + site.missing[1:] + "."))
    if site.error:
        blocks.show(blocks.state_box("error", "A part of the twin fails now",
                                     site.error[:1].upper() + site.error[1:],
                                     "It is tried again by itself.", error=True))


def show(client: Client, wish: Wish) -> None:
    """One screen of rows; a press opens the pack."""
    if st.session_state.pop(AGAIN, False):
        st.rerun()
    site = client.twin_site()
    if isinstance(site, str):
        return
    topology, frame = client.topology, client.snapshot().frame
    order = wanted(site, topology, frame, wish)
    if not order.size:
        blocks.show(blocks.state_box("filter_alt_off", "No pack fits",
                                     "The filter above leaves none over.", "Change it."))
        return
    first = min(choice.screen(), (order.size - 1) // ROWS) * ROWS
    shown = order[first:first + ROWS]
    scripted.table("orrery.twin", SCRIPT)(
        key=TABLE, height="content", on_act_change=_act,
        data={"heads": HEADS, "rows": [line(client, site, frame, int(row)) for row in shown],
              "first": first, "size": ROWS, "total": int(order.size), "sort": wish.sort,
              "count": f"{first + 1} to {first + shown.size} of {formats.number(order.size)}"})


def reported_soh(site: Site, frame: Frame) -> Floats:
    """Of all packs [%], NaN where nobody says it."""
    return frame.columns["soh_pct"][site.table.packs].astype(np.float64)


def wanted(site: Site, topology: Topology, frame: Frame, wish: Wish) -> IndexArray:
    """Rows of the site's table that the filter leaves, worst first; what is not known is last."""
    rows = np.arange(site.table.packs.size)
    if "doubted" in wish.show:
        rows = rows[site.figures["doubted"][rows] == 1]
    if "judged" in wish.show:
        rows = rows[np.isfinite(site.figures["doubted"][rows])]
    if wish.find:
        asked = wish.find.casefold()
        rows = np.array([row for row in rows.tolist() if asked in _text(
            topology, int(site.table.packs[row]))], dtype=np.int64)
    if wish.sort == "name":
        return rows
    badness = _badness(site, frame, wish.sort)[rows]
    keys = [-np.nan_to_num(badness, nan=-np.inf)]
    if wish.sort == "worst":
        keys.append(-np.nan_to_num(site.figures["doubted"][rows]))
    ordered: IndexArray = rows[np.lexsort(keys)]
    return ordered


def _text(topology: Topology, node: int) -> str:
    return f"{words.where(topology, node)} {topology.names[node]} {topology.ids[node]}".casefold()


def _badness(site: Site, frame: Frame, sort: str) -> Floats:
    """The greater, the worse."""
    figures, table = site.figures, site.table
    health = np.fmin(figures["soh_pct"], reported_soh(site, frame))
    return {"fade": figures["fade_pct_year"], "life": -figures["life_years"],
            "residual": np.fmax(figures["rms_mv"], 1000 * np.abs(table.residual_v)),
            "resistance": resistances(site)[0],
            "known": -figures["coverage_pct"]}.get(sort, -health)


def line(client: Client, site: Site, frame: Frame, row: int) -> dict[str, Any]:
    """Two short texts a cell, as `table.js` reads them; every text is text there."""
    topology, node = client.topology, int(site.table.packs[row])
    told = site.judged.get(topology.ids[node])
    icon, verdict = words.UNJUDGED if told is None else words.VERDICTS[told.verdict.word]
    aged = _due(client, site, row) if told is None else \
        f"{formats.age((client.now() - told.at).total_seconds())} ago"
    cells = [
        (words.name(topology, node),
         f"{words.where(topology, node)}, {topology.chemistry_name(node) or ''}".strip(", ")),
        (verdict, aged), _health(site, frame, row),
        _fade(site.figures, row), _resistance(site, row), _residual(site, row),
        _life(site.figures, row), _known(site.figures, row)]
    return {"id": topology.ids[node], "icon": icon, "cells": cells,
            "why": "" if told is None else words.short_cause(told.verdict),
            "doubted": bool(site.figures["doubted"][row] == 1)}


def _due(client: Client, site: Site, row: int) -> str:
    """When it is judged, "" where that is not known."""
    due_s = float(site.due_s[row])
    return f"due {words.soon(from_epoch(due_s), client.now())}" if math.isfinite(due_s) else ""


def _health(site: Site, frame: Frame, row: int) -> tuple[str, str]:
    told = site.judged.get(site.ids[row])
    reported = float(frame.columns["soh_pct"][site.table.packs[row]])
    if told is None or not told.soh.known:
        return (f"{formats.number(reported, 1)} %", "as reported") if math.isfinite(reported) else (
            MISSING, "not known")
    half = 50.0 * (told.soh.high - told.soh.low)
    return (f"{formats.number(100 * told.soh.value)} ± {formats.number(half)} %",
            f"reported {formats.number(reported, 1)} %" if math.isfinite(reported)
            else "not reported")


def _fade(figures: Mapping[str, Floats], row: int) -> tuple[str, str]:
    fade, low, high = (float(figures[name][row])
                       for name in ("fade_pct_year", "fade_low", "fade_high"))
    if not math.isfinite(fade):
        return MISSING, "none seen" if math.isfinite(figures["doubted"][row]) else ""
    return f"{formats.number(fade, 1)} %", words.between(Interval(fade, low, high), 1)


def resistances(site: Site) -> tuple[Floats, Floats]:
    """Multiples of a new cell's and their deviations, NaN where not told: as judged by the last
    hours, else as the filter has it."""
    ratio, sigma = site.figures["resistance"], site.figures["resistance_sigma"]
    judged = sigma <= TOLD_SIGMA
    ratio = np.where(judged, ratio, site.table.resistance)
    sigma = np.where(judged, sigma, site.table.resistance_sigma)
    told = sigma <= TOLD_SIGMA
    return np.where(told, ratio, np.nan), np.where(told, sigma, np.nan)


def _resistance(site: Site, row: int) -> tuple[str, str]:
    """Its growth once there is time enough, else how high it is."""
    growth, spread = (100.0 * float(site.figures[name][row])
                      for name in ("growth_year", "growth_sigma"))
    ratio, sigma = (float(values[row]) for values in resistances(site))
    if math.isnan(ratio):
        return MISSING, "not told yet"
    if math.isfinite(growth):
        return (f"{words.signed(growth)} % a year",
                f"± {formats.number(SIGMAS * spread)} %, {formats.number(ratio, 2)} ×")
    return f"{formats.number(ratio, 2)} ×", f"± {formats.number(SIGMAS * sigma, 2)}"


def _residual(site: Site, row: int) -> tuple[str, str]:
    now = 1000.0 * float(site.table.residual_v[row])
    rms = float(site.figures["rms_mv"][row])
    return (f"{formats.number(rms)} mV" if math.isfinite(rms) else MISSING,
            f"now {formats.number(now)} mV" if math.isfinite(now) else "no voltage")


def _life(figures: Mapping[str, Floats], row: int) -> tuple[str, str]:
    """Years and their interval, and equivalent full cycles where its use is known."""
    life, low, high, cycles = (float(figures[name][row]) for name in (
        "life_years", "life_low", "life_high", "life_cycles"))
    if math.isnan(life):
        return MISSING, ""
    years, span = words.life(Interval(life, low, high))
    count = f"{formats.number(cycles)} cycles" if math.isfinite(cycles) else ""
    return f"{years} years", "; ".join(part for part in (span, count) if part)


def _known(figures: Mapping[str, Floats], row: int) -> tuple[str, str]:
    share = float(figures["coverage_pct"][row])
    return (f"{formats.number(share)} %", "of 6 h") if math.isfinite(share) else (MISSING, "")


def _act() -> None:
    if scripted.took(TABLE, choose=choice.choose, sort_by=choice.sort_by, go_to=choice.go_to):
        st.session_state[AGAIN] = True
