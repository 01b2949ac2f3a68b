"""One alarm looked at closely: all times and names, its cause, what people said about it."""

from __future__ import annotations

from datetime import datetime
from html import escape

import streamlit as st

from components import blocks, formats, session
from components.alarms import choice, words
from components.api_client import LocalClient
from components.blocks import Html, Pair
from core.alarms.records import Comment, Instance, Key
from core.topology import Topology


def show(client: LocalClient, one: Instance) -> None:
    """Beside the list."""
    topology, zone = client.topology, st.context.timezone
    state = [blocks.tier_pill(one.severity), Html(f"<span>{escape(words.state(one, zone))}</span>")]
    with st.container(key="panel_alarm", gap=None):
        blocks.show(blocks.details(words.condition(one.condition), state,
                                   pairs(one, topology, client.now(), zone),
                                   note=one.hiding.why if one.hiding else ""),
                    comments(one.comments, zone))
        _ways(client, one)


def _ways(client: LocalClient, one: Instance) -> None:
    known = one.element in client.topology.index_of_id
    with st.container(key="alarm_ways", horizontal=True):
        if st.button("Open in Space Balls", icon=":material/bubble_chart:", key="alarm_open",
                     disabled=not known):
            session.open_element(client.topology, client.topology.index(one.element))
        if st.button("Its history", icon=":material/history:", key="alarm_history",
                     on_click=choice.show_history, args=(one.element,)):
            st.rerun()


def pairs(one: Instance, topology: Topology, now: datetime, zone: str | None) -> list[Pair]:
    """What is known of it, missing parts left out."""
    found = [Pair("Element", words.unbroken(words.place(topology, one.element)), one.element)]
    if one.metric and one.metric != "age_s":
        found.append(Pair("Value", words.measured(one.metric, one.value),
                          "" if one.on else "when it was last there"))
        found.append(Pair("Limit", words.measured(one.metric, one.limit)))
    found.append(Pair("Since", _time(one.began, zone), f"{words.since(one, now)} ago"))
    if one.returned_at is not None:
        found.append(Pair("Gone", _time(one.returned_at, zone)))
    if one.count > 1:
        found.append(Pair("Came", f"{one.count} times"))
    if one.acknowledged_at is not None:
        found.append(Pair("Acknowledged", _time(one.acknowledged_at, zone), one.acknowledged_by))
    if one.hiding is not None:
        found.append(Pair("Hidden since", _time(one.hiding.at, zone)))
        if one.hiding.cause is not None:
            found.append(Pair("Cause", words.short(topology, Key(*one.hiding.cause))))
    return found


def _time(moment: datetime, zone: str | None) -> str:
    return formats.local_time(moment, zone, seconds=True)


def comments(said: tuple[Comment, ...], zone: str | None) -> Html:
    """The newest first; nothing where nobody said anything."""
    lines = "".join(
        f'<div><div class="mut">{escape(one.who)}, {formats.local_time(one.at, zone)}</div>'
        f"<div>{escape(one.text)}</div></div>" for one in reversed(said))
    return Html(f'<div class="o o-said">{lines}</div>') if lines else blocks.EMPTY
