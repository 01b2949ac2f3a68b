"""One source looked at closely: ping, ask now, a time range, its last messages."""

from __future__ import annotations

import statistics
import time
from datetime import datetime
from html import escape

import streamlit as st

from components import blocks, formats, operator
from components.api_client import Client, LocalClient
from components.blocks import Html
from components.connections import anew, lines
from components.formats import Text
from core.engine import SourceStatus
from core.errors import OrreryError
from core.heatpump.report import RANGES
from core.ports import Message, Talk

WAYS = {"in": ("Heard", "south_west"), "out": ("Sent", "north_east"), "error": ("Failed", "error")}
SHOWN = 200
PINGS = 60
EVERY_S = 2.0
NO_CONNECTION = ("This source lives in this process: there is nobody to ping, and no connection to "
                 "make anew.")
LEFT = "Left it; it comes back now, as the messages below tell."


def chosen(client: Client) -> SourceStatus:
    """The source that is looked at; the address remembers it."""
    sources = client.snapshot().sources
    statuses, labels = {status.info.name: status for status in sources}, lines.called(sources)
    asked = st.query_params.get("source")
    name = st.selectbox(
        "Source", list(statuses), key="console_source",
        index=list(statuses).index(asked) if asked in statuses else 0,
        format_func=labels.__getitem__,
        on_change=lambda: st.query_params.update(source=st.session_state["console_source"]))
    return statuses[name]


def tools(client: LocalClient, status: SourceStatus) -> None:
    """What can be done with it: ping, ask for everything now, ask for a span of its past."""
    name, talks = status.info.name, client.talk_with(status.info.name) is not None
    reconnects = client.reconnects(name)
    with st.container(horizontal=True, vertical_alignment="bottom", key="console_tools"):
        if st.button("Ping", icon=":material/network_ping:", disabled=not talks,
                     key="console_ping"):
            _ping(client, name)
        if st.button("Ask now", icon=":material/refresh:", disabled=not talks, key="console_ask",
                     help="Have the device tell everything"):
            _ask(client, name)
        told = anew.button(client, name, "Reconnect", "console_reconnect", LEFT,
                           "" if reconnects else NO_CONNECTION)
        if told:
            st.session_state[f"said_{name}"] = told
        key = st.selectbox("Time range", list(RANGES), index=2, key="console_range", width=120)
        if st.button("Ask for its past", icon=":material/history:", key="console_past"):
            _past(client, name, key)
    if not talks:
        blocks.show(blocks.note(NO_CONNECTION))
    why = operator.refused(client)
    if reconnects and why:
        blocks.show(blocks.note(why))
    said = st.session_state.get(f"said_{name}")
    if said:
        blocks.show(blocks.note(said))


def _ping(client: Client, name: str) -> None:
    trips: list[float] = st.session_state.setdefault(f"pings_{name}", [])
    try:
        trips.append(client.ping(name))
        said = f"Answered after {1000 * trips[-1]:.1f} ms."
    except OrreryError as error:
        said = str(error)
    del trips[:-PINGS]
    st.session_state[f"said_{name}"] = said


def _ask(client: Client, name: str) -> None:
    said = "Asked; what it answers stands below."
    try:
        client.ask_now(name)
    except OrreryError as error:
        said = str(error)
    st.session_state[f"said_{name}"] = said


def _past(client: Client, name: str, key: str) -> None:
    """How much of a time range history knows of the source, and how long the answer took."""
    end, began = client.now(), time.monotonic()
    try:
        found = client.coverage(name, end - RANGES[key], end, 240)
        spent_ms = 1000 * (time.monotonic() - began)
        said = (f"{key}: {100 * float(found.mean()):.0f} % of the time is known; answered in "
                f"{spent_ms:.0f} ms." if found.size else f"{key}: there is no history.")
    except OrreryError as error:
        said = str(error)
    st.session_state[f"said_{name}"] = said


def counters(client: Client, name: str) -> None:
    """Counts since the start, and the round trips of this session's pings."""
    talk = client.talk_with(name)
    status = next(one for one in client.snapshot().sources if one.info.name == name)
    trips = [1000 * trip for trip in st.session_state.get(f"pings_{name}", [])]
    cards = [blocks.card("State", Text(status.state.capitalize(), ""),
                         note=f"for {_since(status.since, client.now())}"),
             *(_counts(talk) if talk is not None else [])]
    if trips:
        note = (f"{formats.counted(len(trips), 'ping')}, {min(trips):.1f} to {max(trips):.1f} ms, "
                f"median {statistics.median(trips):.1f}")
        cards.append(blocks.card("Round trip", Text(f"{trips[-1]:.1f}", "ms"), note=note,
                                 history=trips if len(trips) > 1 else None))
    blocks.show(blocks.grid(cards, columns=5))


def _since(moment: datetime, now: datetime) -> str:
    return formats.age((now - moment).total_seconds())


def _counts(talk: Talk) -> list[Html]:
    last = next((one.at for one in reversed(talk.messages) if one.way == "in"), None)
    note = "" if last is None else f"last at {formats.local_time(last, st.context.timezone)}"
    heard = f"{lines.per(talk.rate)}, {note}" if note else lines.per(talk.rate)
    return [blocks.card("Messages heard", Text(formats.number(talk.heard), ""), note=heard),
            blocks.card("Questions sent", Text(formats.number(talk.sent), "")),
            blocks.card("Failed", Text(formats.number(talk.failed), ""))]


def messages(client: Client, name: str) -> None:
    """The last messages, newest first, filtered by kind and by a word."""
    talk = client.talk_with(name)
    if talk is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="console_filter"):
        ways = st.pills("Show", list(WAYS), default=list(WAYS), selection_mode="multi",
                        format_func=lambda way: WAYS[way][0], key="console_ways",
                        label_visibility="collapsed")
        word = st.text_input("Find", key="console_word", placeholder="Find in the messages",
                             label_visibility="collapsed", icon=":material/search:")
        if st.button("Clear", key="console_clear", icon=":material/clear_all:",
                     help="Hides what was said so far, for you alone"):
            st.session_state[f"cleared_{name}"] = client.now()
    st.fragment(_list, run_every=EVERY_S, key="console_list")(client, name, tuple(ways or ()),
                                                               word or "")


def _list(client: Client, name: str, ways: tuple[str, ...], word: str) -> None:
    talk = client.talk_with(name)
    cleared = st.session_state.get(f"cleared_{name}")
    found = [one for one in (talk.messages if talk else ())
             if one.way in ways and word.casefold() in one.text.casefold()
             and (cleared is None or one.at > cleared)]
    if not found:
        blocks.show(blocks.state_box("forum", "No messages", "Nothing was said yet, or the "
                                     "filter hides it."))
        return
    lines = "".join(_line(one) for one in reversed(found[-SHOWN:]))
    blocks.show(Html(f'<div class="o o-talk" role="log">{lines}</div>'))


def _line(one: Message) -> str:
    word, icon = WAYS[one.way]
    at = one.at.astimezone(formats.zone(st.context.timezone))
    millis = at.microsecond // 1000
    return (f'<div class="{one.way}"><time>{at:%H:%M:%S}.{millis:03d}</time>'
            f'<span title="{word}">{blocks.symbol(icon)}</span>'
            f"<code>{escape(one.text)}</code></div>")
