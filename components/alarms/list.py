"""The list of alarms: rows that can be selected, groups that can be unfolded, pages."""

from __future__ import annotations

from datetime import datetime
from html import escape

import streamlit as st

from components import blocks, formats
from components.alarms import actions, choice, details, groups, pages, picks, words
from components.alarms.choice import Shown
from components.alarms.groups import Line, Listing
from components.api_client import LocalClient
from components.blocks import Html
from core.alarms.records import Key
from core.alarms.states import ALARMED, HIDDEN
from core.topology import Topology

ROWS = 50
LIST = "alarms"
HEAD = Html('<div class="o-row hd o-alm"><span></span><span>Severity</span><span>Element</span>'
            "<span>What</span><span>State</span><span class=\"rt\">Since</span><span></span></div>")


def show(client: LocalClient, shown: Shown) -> None:
    """Tools, one page of the list, and the details of what is selected alone."""
    listing = _listing(client, shown)
    chosen = picks.of(client.journal)
    actions.tools(client, chosen, listing)
    with st.container(key="alarms_pair"):
        with st.container(key="alarms_list", gap=None):
            if listing.lines:
                _rows(client, listing)
            else:
                _nothing(shown)
        if len(chosen) == 1:
            details.show(client, chosen[0])


def follow_link(client: LocalClient, shown: Shown) -> None:
    """Select the alarm of a link, wherever it stands; or say that it is no longer there."""
    key = picks.follow_address()
    if key is None:
        return
    one = client.journal.get(key)
    if one is None or one.state not in ALARMED | HIDDEN:
        _gone(client, key)
        return
    picks.pick([key])
    _unfold_to(client, shown, key)


def _unfold_to(client: LocalClient, shown: Shown, key: Key) -> None:
    root = next((group.root.key for group in client.journal.groups()
                 if any(one.key == key for one in group.members)), None)
    if root is not None:
        picks.unfolded().add(root)
    pages.go_to(LIST, groups.page_of(_listing(client, shown), key, ROWS) or 1)


def _listing(client: LocalClient, shown: Shown) -> Listing:
    journal = client.journal
    return groups.listed(journal.groups(), journal.instances(), shown, picks.unfolded(),
                         client.topology)


def _gone(client: LocalClient, key: Key) -> None:
    known = key.element in client.topology.index_of_id
    blocks.show(blocks.state_box(
        "check_circle" if known else "wrong_location",
        "This alarm is not open any more" if known else "There is no such alarm",
        words.short(client.topology, key)[:200],
        "What became of it stands in the history." if known else "Choose one of the list."))
    if known:
        st.button("Open its history", icon=":material/history:", key="alarms_gone",
                  on_click=choice.show_history, args=(key.element,))


def _rows(client: LocalClient, listing: Listing) -> None:
    page = pages.current(LIST, len(listing.lines), ROWS)
    now, zone = client.now(), st.context.timezone
    with st.container(key="rows_alarms", gap=None):
        blocks.show(HEAD)
        for line in listing.lines[(page - 1) * ROWS:page * ROWS]:
            _row(line, client.topology, now, zone)
    pages.show(LIST, len(listing.lines), ROWS)


def _row(line: Line, topology: Topology, now: datetime, zone: str | None) -> None:
    """A checkbox lies over the whole row, so that a press anywhere selects it."""
    alarm_id = picks.id_of(line.key)
    widget, wanted = f"pick_{alarm_id}", line.key in picks.picked()
    if st.session_state.get(widget) is not wanted:
        st.session_state[widget] = wanted
    with st.container(key=f"hit_alarm_{alarm_id}", gap=None):
        blocks.show(row(line, topology, now, zone))
        st.checkbox(blocks.markdown(f"Select {words.short(topology, line.key)}"), key=widget,
                    on_change=picks.toggle, args=(line.key, widget))
    if line.folded:
        with st.container(key=f"under_{alarm_id}", gap=None):
            st.button(blocks.markdown(fold_words(line, topology)), key=f"fold_{alarm_id}",
                      type="tertiary", on_click=picks.fold, args=(line.key,),
                      icon=f":material/{'expand_less' if line.unfolded else 'expand_more'}:")


def fold_words(line: Line, topology: Topology) -> str:
    """"38 consequences, System 0"; without a known cause "38 more that came with it"."""
    told = (formats.counted(line.folded, "consequence") if line.explained
            else f"{formats.number(line.folded)} more that came with it")
    where = "" if line.place == line.alarm.element else f", {words.place(topology, line.place)}"
    return f"{'Hide ' if line.unfolded else ''}{told}{where}"


def row(line: Line, topology: Topology, now: datetime, zone: str | None) -> Html:
    """Severity, element, value and limit, state, age, comments."""
    one = line.alarm
    tier = one.severity if one.on and one.state in ALARMED else 0
    classes = ("o-row o-alm" + (f" t{tier}" if tier > 1 else "") + " in" * line.inner
               + " clr" * (not one.on) + " ask" * (one.state in choice.ASKING))
    said = (f'<span class="cm" title="{formats.counted(len(one.comments), "comment")}">'
            f'{blocks.symbol("chat_bubble")} {len(one.comments)}</span>'
            if one.comments else "<span></span>")
    began = formats.local_time(one.began, zone, seconds=True)
    where = words.unbroken(words.place(topology, one.element))
    return Html(
        f'<div class="{classes}"><span></span><span class="pl">{blocks.tier_pill(one.severity)}'
        f'</span><span class="nm">{escape(where)}</span>'
        f'<span class="wh">{escape(words.what_of(one))}</span>'
        f'<span class="sx">{escape(words.state(one, zone))}</span>'
        f'<span class="mut ag" title="{began}">{words.since(one, now)}</span>{said}</div>')


def _nothing(shown: Shown) -> None:
    if shown == Shown():
        blocks.show(blocks.state_box(
            "notifications_off", "No alarms", "Nothing is outside its limits.",
            "What is shelved, suppressed or out of service: choose another state above."))
        return
    blocks.show(blocks.state_box("filter_alt_off", "No alarm matches",
                                 "The filters leave nothing of what is open or hidden."))
    if st.button("Show all", key="alarms_all", icon=":material/filter_alt_off:",
                 on_click=choice.show_all):
        st.rerun()
