"""The plan as a picture with its past, the reasons hour by hour, and the money."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from components import blocks, charts
from components.api_client import LocalClient
from components.blocks import Html, LegendItem
from components.coordinator import choice, figures, journal, money, reasons, stretches, words
from core.coordinator.view import Ahead, Happened, SiteView

HEIGHT = 520
SPAN_S = {6: 600.0, 24: 600.0, 72: 1800.0}
LEGEND = (LegendItem("fleet out", "discharge", "area"), LegendItem("fleet in", "charge", "area"),
          LegendItem("load", "load"), LegendItem("PV", "solar"), LegendItem("grid", "grid"),
          LegendItem("expected, or as planned", "text3", "dots"),
          LegendItem("what most lies within", "text3", "band"))


def show(client: LocalClient, site: str) -> None:
    """All of the room; drawn anew together, so that no part contradicts another."""
    known = choice.coordination(client)
    if known is None:
        return
    view = known.view(site)
    if view.ahead is None:
        _none(view)
    else:
        end = datetime.fromtimestamp(view.at.timestamp() // 60 * 60, view.at.tzinfo)
        _picture(client, view, view.ahead, end)
    money.cards(view, known.watched(site))
    with st.container(key="coordinator_pair"):
        with st.container(key="coordinator_money", gap="xsmall"):
            money.show(view)
            journal.show(view)
        if view.ahead is not None:
            with st.container(key="coordinator_why", gap="xsmall"):
                reasons.show(view, view.ahead)


def _none(view: SiteView) -> None:
    if view.settings.controller == "off":
        blocks.show(blocks.state_box(
            "do_not_disturb_on", "No plan: the controller of this site is off",
            "Nobody allocates power; each pack follows its own schedule and limits.",
            "Choose a controller under Objectives."))
    elif view.problem:
        blocks.show(blocks.state_box(
            "event_busy", "There is no plan to show", "What stands in its way is told above.",
            "It comes by itself once that is out of the way."))
    else:
        blocks.show(blocks.state_box(
            "hourglass_top", "The first plan is made now",
            "It needs the packs' state, prices, and what is known of load and PV.",
            "It comes by itself."))


def _picture(client: LocalClient, view: SiteView, ahead: Ahead, end: datetime) -> None:
    with st.container(key="panel_coordinator"):
        with st.container(key="coordinator_chart_head", horizontal=True,
                          vertical_alignment="center"):
            blocks.show(blocks.heading("The next 24 hours, and what happened",
                                       blocks.legend(LEGEND)))
            back_h = choice.back_h()
        past = happened(client, view.site, end, back_h)
        figure = figures.plan(ahead, past, look(view, ahead, end, back_h))
        charts.show(figure, key="coordinator_plan", height=HEIGHT, view=f"{view.site} {back_h}",
                    alt=spoken(view, ahead))
        doubts(view)
        if past is None:
            blocks.show(blocks.note("Nothing is known of the past yet: it comes minute by "
                                    "minute."))


def doubts(view: SiteView) -> None:
    """What is taken for granted in the picture."""
    for one in view.doubts:
        blocks.show(Html(f'<div class="o o-codoubt">{blocks.symbol("help")}<span>'
                         f"{blocks.html(words.sentence(one))}</span></div>"))


def happened(client: LocalClient, site: str, end: datetime, back_h: int) -> Happened | None:
    """None where nothing is known of it."""
    known = choice.coordination(client)
    if known is None:
        return None
    span_s = SPAN_S[back_h]
    whole = datetime.fromtimestamp((end.timestamp() // span_s + 1) * span_s, end.tzinfo)
    past = known.happened(site, whole - timedelta(hours=back_h), whole, span_s)
    return past if any_known(past) else None


def any_known(past: Happened) -> bool:
    return any(bool((one == one).any()) for one in (past.load_kw, past.fleet_kw, past.soc_pct,
                                                    past.planned_kw))


def look(view: SiteView, ahead: Ahead, end: datetime, back_h: int) -> figures.Look:
    now_s = view.at.timestamp()
    chosen = reasons.chosen(view, ahead)
    return figures.Look(
        st.context.theme.type, st.context.timezone, view.currency,
        (end.timestamp() - 3600.0 * back_h, float(stretches.edges_s(ahead.plan)[-1])), now_s,
        (chosen.start.timestamp(), chosen.end.timestamp()))


def spoken(view: SiteView, ahead: Ahead) -> str:
    """The picture in words."""
    zone = st.context.timezone
    lines = [f"{words.clock(one.start, zone, view.at)} to {words.clock(one.end, zone, view.at)} "
             f"{words.DOES[one.way]}" + ("" if one.way == "idle" else
                                         f" {abs(one.fleet_kw):.0f} kW")
             for one in stretches.stretches(ahead)[:8]]
    return f"Plan of {view.label} for 24 hours: " + "; ".join(lines)
