"""The first thing of the page: what the fleet does, who says so, and what is wrong."""

from __future__ import annotations

import math

import streamlit as st

from components import blocks, formats
from components.api_client import LocalClient
from components.blocks import Content
from components.coordinator import choice, words
from core.coordination import NOTHING_TO_COORDINATE
from core.coordinator.view import SiteView

MOST_LEFT_OUT = 5


def nothing(client: LocalClient) -> None:
    """A site without a fleet, with its coordinator turned off, or with nowhere to keep what it
    does, says what to do."""
    known = client.coordination
    why = known if isinstance(known, str) else NOTHING_TO_COORDINATE
    told = why[:1].upper() + why[1:] + "."
    if why == NOTHING_TO_COORDINATE:
        box = blocks.state_box("hub", "No fleet has a coordinator", told, blocks.join(
            "Packs come from a source of kind ", blocks.code("packs"), " or ",
            blocks.code("fleet-mqtt"), "; set ", blocks.code("enabled = true"), " under ",
            blocks.code("[coordinator]"), "."))
    else:
        box = blocks.state_box("database_off", "The coordinator could not start", told,
                               "Mend that and start Orrery again.", error=True)
    blocks.show(blocks.title("Nothing is coordinated here"), box)


def show(client: LocalClient, site: str) -> None:
    """"MPC has the fleet charging 42 kW until 05:40: ..."."""
    known = choice.coordination(client)
    if known is None:
        return
    view, zone = known.view(site), st.context.timezone
    blocks.show(blocks.title(*words.title(view, zone), sub=_sub(view, zone)))
    _trouble(view)


def _sub(view: SiteView, zone: str | None) -> list[Content]:
    told: list[Content] = [blocks.pill("live" if view.drives else "silent", view.label)]
    if view.drives and not words.wrong(view) and not words.lacking(view):
        told.append("nothing is wrong")
    if view.override is not None:
        told.append(blocks.strong(f"why: {view.override.why or 'no reason was given'}"))
    told.append(_driver(view))
    if view.drives and view.next_at is not None:
        wait_s = (view.next_at - view.at).total_seconds()
        told.append("the next plan is due now" if wait_s <= 0 else
                    f"next plan in {formats.age(wait_s)}")
    if view.ahead is not None and view.ahead.plan.solve_s > 0:
        told.append(f"solved in {formats.number(1000 * view.ahead.plan.solve_s)} ms")
    power = math.nan if view.allocated is None else words.measured_kw(view.allocated)
    if view.allocated is not None and math.isfinite(power):
        told.append(f"asked {words.signed(view.allocated.sum_kw)}, "
                    f"measured {words.signed(power)}")
    return [*told, formats.local_time(view.at, zone)]


def _driver(view: SiteView) -> str:
    name = words.NAMES[view.settings.controller]
    if view.settings.controller == "off":
        return "no controller"
    shadow = view.settings.challenger
    beside = f", {words.NAMES[shadow]} in its shadow" if shadow is not None else ""
    return f"controller: {name}{beside}"


def _trouble(view: SiteView) -> None:
    """What is wrong, each with what it says itself."""
    if view.problem:
        blocks.show(blocks.state_box("error", "Nobody plans now" if not view.drives else
                                     "Planning has a problem", words.sentence(view.problem),
                                     "" if view.drives else words.silent(view.silence),
                                     error=True))
    if view.fallback:
        blocks.show(blocks.state_box("alt_route", "Another steers than the one chosen",
                                     words.sentence(view.fallback),
                                     "It is tried again with the next plan.", error=True))
    if view.left_out:
        more = len(view.left_out) - MOST_LEFT_OUT
        lines = "; ".join(f"{one.label}: {one.why}" for one in view.left_out[:MOST_LEFT_OUT])
        blocks.show(blocks.state_box(
            "playlist_remove",
            f"{formats.counted(len(view.left_out), 'pack')} not planned with",
            lines + (f"; and {more} more, under Packs" if more > 0 else "") + "."))


