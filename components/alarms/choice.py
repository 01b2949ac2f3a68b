"""What a person asked to see; it stands in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from components.alarms import words
from components.api_client import Client
from core.alarms.states import ALARMED, ASKING, HIDDEN, WORDS, State
from core.topology import Topology

NOW, HISTORY, AUDIT = "Now", "History", "Audit"
VIEWS = (NOW, HISTORY, AUDIT)
SEVERITIES: Mapping[str, int] = {"All severities": 1, "Warnings and trips": 2, "Trips": 3}
OPEN, ALL = "Open", "All states"
STATES: Mapping[str, frozenset[State]] = {
    OPEN: ALARMED,
    "Unacknowledged": ASKING,
    "Acknowledged": frozenset({State.ACKNOWLEDGED, State.LATCHED_ACKNOWLEDGED}),
    "Gone, not finished": frozenset({State.RETURNED, State.LATCHED_UNACKNOWLEDGED,
                                     State.LATCHED_ACKNOWLEDGED}),
    "Shelved": frozenset({State.SHELVED}),
    "Suppressed": frozenset({State.SUPPRESSED}),
    "Out of service": frozenset({State.OUT_OF_SERVICE}),
    "All hidden": HIDDEN,
    ALL: ALARMED | HIDDEN,
}
PAST_STATES: Mapping[str, frozenset[State]] = {
    ALL: frozenset(),
    **{text[:1].upper() + text[1:]: frozenset({one}) for one, text in WORDS.items()}}
SPANS_H: Mapping[str, int] = {"1 h": 1, "24 h": 24, "7 d": 7 * 24, "30 d": 30 * 24}
DAY = "24 h"
EVERYWHERE = ""
VIEW, STATE, ELEMENT, ALARM = "view", "state", "element", "alarm"
"""Names in the address; of an alarm, "element|condition"."""
TOLD = "alarms_view_told"
"""The view was set from here, which no default may stand beside."""
LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """least_tier: 1 info, 2 warning, 3 trip. states: () for all. below: an element's id, "" for
    the site. text: a part of what a row says."""

    least_tier: int = 1
    states: frozenset[State] = ALARMED
    below: str = EVERYWHERE
    text: str = ""
    hours: int = 24


def view() -> str:
    """Which of VIEWS."""
    told = st.session_state.pop(TOLD, False)
    return st.segmented_control("View", list(VIEWS), default=None if told else NOW,
                                required=True, key=VIEW, label_visibility="collapsed",
                                bind="query-params") or NOW


def filters(client: Client, view: str) -> Shown:
    """The line of filters of a view."""
    with st.container(key="alarms_filters", horizontal=True, vertical_alignment="center"):
        hours = 24 if view == NOW else _span()
        least = 1 if view == AUDIT else _severity()
        states = frozenset[State]() if view == AUDIT else _states(view)
        below = _element(client.topology)
        text = st.text_input("Find", key="find", placeholder="Find", icon=":material/search:",
                             label_visibility="collapsed", bind="query-params", width=170,
                             max_chars=LONGEST_TEXT)
    return Shown(least, states, below, (text or "").strip(), hours)


def _span() -> int:
    chosen = st.segmented_control("Time range", list(SPANS_H), default=DAY, required=True,
                                  key="span", label_visibility="collapsed", bind="query-params",
                                  persist_state="page")
    return SPANS_H[chosen or DAY]


def _severity() -> int:
    chosen = st.selectbox("Severity", list(SEVERITIES), key="severity", bind="query-params",
                          label_visibility="collapsed", width=180, persist_state="page")
    return SEVERITIES[chosen]


def _states(view: str) -> frozenset[State]:
    options = STATES if view == NOW else PAST_STATES
    chosen = st.selectbox("State", list(options), bind="query-params", width=190,
                          key=STATE if view == NOW else "became", persist_state="page",
                          label_visibility="collapsed")
    return options[chosen]


def _element(topology: Topology) -> str:
    """A system, or any element that the address names."""
    asked = st.query_params.get(ELEMENT, EVERYWHERE)
    options = [EVERYWHERE, *topology.ids[topology.children(0)]]
    if asked in topology.index_of_id and asked not in options:
        options.insert(1, asked)
    chosen = asked if asked in options else EVERYWHERE
    return st.selectbox(
        "Element", options, index=options.index(chosen), key=f"alarms_at_{chosen}", width=210,
        format_func=lambda one: words.place(topology, one) if one else "Everywhere",
        label_visibility="collapsed", on_change=_note_element, args=(f"alarms_at_{chosen}",))


def _note_element(key: str) -> None:
    show_below(st.session_state[key])


def show_below(element: str) -> None:
    """The filter of elements; the address is where it stands. For callbacks."""
    if element:
        st.query_params[ELEMENT] = element
    else:
        st.query_params.pop(ELEMENT, None)


def show_history(element: str) -> None:
    """What was at an element. For callbacks, before a run of the whole page."""
    st.session_state.update({VIEW: HISTORY, TOLD: True})
    show_below(element)


def show_all() -> None:
    """Whatever its state, severity and place. For callbacks."""
    st.session_state.update({STATE: ALL, "severity": next(iter(SEVERITIES)), "find": ""})
    show_below(EVERYWHERE)
