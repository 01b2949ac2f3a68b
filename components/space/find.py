"""Find, in the sidebar: what is worst, at which level, from here or in the whole site."""

from __future__ import annotations

import math

import streamlit as st

from components import blocks, describe, formats, parts, session
from components.api_client import Client, LocalClient
from components.blocks import Html, PressRow
from components.space import extremes, settings, units
from components.space.seen import seen
from core.find import BY_NAME, QUESTIONS, Findings, Found, Question, find, levels_below
from core.topology import Topology
from core.worst import NO_NODE

PERIOD_S = 10.0
HERE, SITE = "From here", "Whole site"
QUESTION, LEVEL, FROM = "space_find_what", "space_find_level", "space_find_from"
OPEN = {True: "space_find_open", False: "space_find_folded"}
"""Folded or not is remembered apart for the page it is made for and for the others."""
ROWS = "space_found"


def show(client: LocalClient) -> None:
    """Folded, but on the page that it is made for."""
    parts.live(_folded, "sidebar_find", PERIOD_S, client)


def _folded(client: LocalClient) -> None:
    on_space_balls = st.session_state.get("page_now") == session.page_name(session.SPACE_BALLS)
    box = st.expander("Find", expanded=on_space_balls, key=OPEN[on_space_balls],
                      on_change="rerun", icon=":material/search:")
    if not box.open:
        return
    with box:
        _body(seen(client) if on_space_balls else client)


def _body(client: Client) -> None:
    topology = client.topology
    here = session.place_in_session(topology)
    name = st.selectbox("What", [one.name for one in QUESTIONS], key=QUESTION,
                        format_func=lambda one: BY_NAME[one].words, persist_state="session",
                        label_visibility="collapsed")
    question = BY_NAME[str(name)]
    place = here if here and not topology.is_leaf(here) and _from_here() else 0
    level = _level(topology, place, question)
    if level is None:
        blocks.show(blocks.note("There is nothing below this place that could be compared."))
        return
    found = find(topology, client.snapshot().frame, question.name, level, place)
    pressed = blocks.press_rows(
        [PressRow(topology.ids[one.node], f"Go to {describe.short_name(topology, one.node)}",
                  row(topology, place, question, one, settings.current().temperature))
         for one in found.found], key=ROWS)
    blocks.show(blocks.note(compared(topology, level, found)))
    if pressed is not None:
        session.open_element(topology, topology.index(pressed))


def _from_here() -> bool:
    return st.segmented_control("Where", [SITE, HERE], default=SITE, required=True, key=FROM,
                                label_visibility="collapsed", persist_state="session",
                                width="stretch") == HERE


def _level(topology: Topology, place: int, question: Question) -> str | None:
    """The level that is asked for; a cell has no spread."""
    levels = levels_below(topology, place)
    if question.seeks == "spread":
        levels = [one for one in levels if one.name != topology.levels[-1].name]
    plural = {one.name: one.plural.capitalize() for one in levels}
    if not plural:
        return None
    if st.session_state.get(LEVEL) not in plural:
        st.session_state[LEVEL] = next(iter(plural))
    return str(st.selectbox("Level", list(plural), key=LEVEL, format_func=lambda one: plural[one],
                            label_visibility="collapsed"))


def row(topology: Topology, place: int, question: Question, one: Found,
        temperature: str = "C") -> Html:
    """Who, with what value, and which part of it is behind that."""
    inside = ""
    if one.low_leaf != NO_NODE:
        inside = (f"{describe.below(topology, one.node, one.low_leaf)} to "
                  f"{describe.below(topology, one.node, one.leaf)}")
    elif one.leaf != NO_NODE:
        inside = describe.below(topology, one.node, one.leaf)
    below = f"<small>{blocks.html(inside)}</small>" if inside else ""
    return Html('<div class="o-row o-find"><span class="nm">'
                f"{blocks.html(extremes.short(topology, place, one.node))}{below}</span>"
                f'<span class="num">{value(question, one.value, temperature)}</span></div>')


def value(question: Question, found: float, temperature: str = "C") -> Html:
    """In the question's unit."""
    if question.seeks == "age":
        return blocks.html("never heard" if math.isinf(found) else formats.age(found))
    if question.seeks == "energy":
        return blocks.html(formats.energy(found))
    if question.seeks == "spread":
        return blocks.html(units.difference(question.metric, found, temperature))
    return blocks.html(units.reading(question.metric, found, temperature))


def compared(topology: Topology, level: str, found: Findings) -> str:
    """Of how many these are the worst, and how many could not be compared."""
    of = next(one for one in topology.levels if one.name == level)
    if not found.compared:
        return f"None of {formats.counted(found.unknown, of.name, of.plural)} tells it."
    unknown = f", {formats.number(found.unknown)} not known" if found.unknown else ""
    return f"Of {formats.counted(found.compared, of.name, of.plural)}{unknown}"
