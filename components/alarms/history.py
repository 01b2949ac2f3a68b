"""What happened, and who did what: lines of the store, filtered, with their export."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from html import escape
from typing import TypeVar

import streamlit as st

from components import blocks, formats
from components.alarms import pages, words
from components.alarms.choice import Shown
from components.api_client import LocalClient
from components.blocks import Html
from core.actors import DESIGN, ITSELF
from core.alarms.records import AlarmQuery, AuditEntry, Transition
from core.alarms.rules import alarm_rules
from core.alarms.states import WORDS
from core.csv_text import csv_text
from core.ids import beside
from core.limits import TIERS
from core.topology import Topology

MOST = 5000
NO_END = datetime.max.replace(tzinfo=UTC)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d")
"""A time as the audit has it."""
ROWS = 100
Row = tuple[object, ...]
Told = TypeVar("Told")
TITLES = ("time_utc", "element", "place", "condition", "event", "before", "after", "severity",
          "metric", "value", "limit", "unit", "by", "alarm")
AUDIT_TITLES = ("time_utc", "who", "action", "element", "place", "condition", "reason", "before",
                "after")
_HEAD = Html('<div class="o-row hd o-past"><span>Time</span><span>Severity</span>'
             "<span>Element</span><span>What</span><span>Became</span><span>By</span></div>")
_AUDIT_HEAD = Html('<div class="o-row hd o-aud"><span>Time</span><span>Who</span>'
                   "<span>Action</span><span>Element</span><span>Reason</span>"
                   "<span>Became</span></div>")


def query(now: datetime, shown: Shown, named: tuple[str, ...] = (),
          others: tuple[str, ...] = ()) -> AlarmQuery:
    """One line more than is shown tells that there are more. Without an end: what was written
    before the clock was set back is of a time yet to come. named, others: `named` and `beside` of
    `AlarmQuery`."""
    return AlarmQuery(now - timedelta(hours=shown.hours), NO_END, shown.below, shown.least_tier,
                      tuple(sorted(shown.states)), MOST + 1, shown.text, named, others)


def asked(client: LocalClient, shown: Shown) -> AlarmQuery:
    return query(client.now(), shown, named(client.topology, shown.text),
                 beside(client.topology, shown.below))


@lru_cache(maxsize=16)
def named(topology: Topology, text: str) -> tuple[str, ...]:
    """Elements whose place says the text, as a person reads it."""
    sought = text.casefold()
    return tuple(one for one in topology.ids
                 if sought in words.place(topology, one).casefold()) if sought else ()


def show(client: LocalClient, shown: Shown) -> None:
    """Every change of state of the asked time."""
    if client.alarm_store is None:
        _nothing_kept(client)
        return
    topology, zone = client.topology, st.context.timezone
    _table("alarm_history", "History", client.alarm_store.history(asked(client, shown)), _HEAD,
           lambda line: transition_html(line, topology, zone),
           lambda found: transitions_csv(found, topology))


def audit(client: LocalClient, shown: Shown) -> None:
    """Everything that people did, on any page."""
    if client.alarm_store is None:
        _nothing_kept(client)
        return
    topology, zone = client.topology, st.context.timezone
    _table("alarm_audit", "Audit", client.alarm_store.audit(asked(client, shown)), _AUDIT_HEAD,
           lambda entry: audit_html(entry, topology, zone),
           lambda found: audit_csv(found, topology))


def transitions_csv(found: Sequence[Transition], topology: Topology) -> str:
    return csv_text([TITLES, *(transition_row(line, topology) for line in found)])


def audit_csv(found: Sequence[AuditEntry], topology: Topology) -> str:
    return csv_text([AUDIT_TITLES, *(audit_row(entry, topology) for entry in found)])


def transition_row(line: Transition, topology: Topology) -> Row:
    """As TITLES; numbers as numbers."""
    return (line.at.isoformat(), line.element, words.place(topology, line.element),
            words.condition(line.condition), line.event.value, WORDS[line.before],
            WORDS[line.after], TIERS[line.tier], line.metric, line.value, line.limit,
            words.unit(line.metric), line.by, line.occurrence)


def audit_row(entry: AuditEntry, topology: Topology) -> Row:
    """As AUDIT_TITLES."""
    return (entry.at.isoformat(), entry.who, entry.action, entry.element,
            words.place(topology, entry.element) if entry.element else "",
            words.condition(entry.condition) if entry.condition else "", entry.why, entry.before,
            entry.after)


def _table(name: str, label: str, asked_for: Sequence[Told], head: Html,
           draw: Callable[[Told], str], export: Callable[[Sequence[Told]], str]) -> None:
    """One page of the lines; the export has all of them."""
    found, cut = asked_for[:MOST], len(asked_for) > MOST
    newest = f"the newest {formats.number(MOST)}"
    count = (f"{newest}: narrow the time or the filters" if cut
             else formats.counted(len(found), "line"))
    lines = f"{newest.capitalize()} lines" if cut else "All lines"
    with st.container(key=f"{name}_head", horizontal=True, vertical_alignment="center"):
        blocks.show(blocks.heading(label, count))
        st.download_button("CSV", lambda: export(found), f"{name}.csv", "text/csv",
                           icon=":material/download:", key=f"{name}_csv",
                           on_click="ignore", disabled=not found,
                           help=f"{lines} that the filters leave, time in UTC")
    if not found:
        blocks.show(blocks.state_box("event_busy", "Nothing is written of this",
                                     "No line of this time passes the filters.",
                                     "Choose a longer time or fewer filters."))
        return
    page = pages.current(name, len(found), ROWS)
    body = "".join(map(draw, found[(page - 1) * ROWS:page * ROWS]))
    blocks.show(Html(f'<div class="o o-rows">{head}{body}</div>'))
    pages.show(name, len(found), ROWS)


def _nothing_kept(client: LocalClient) -> None:
    blocks.show(blocks.state_box("history_off", "There is no history of alarms",
                                 client.alarms_error or "It is switched off in orrery.toml.",
                                 error=bool(client.alarms_error)))


def transition_html(line: Transition, topology: Topology, zone: str | None) -> str:
    """One row of the history."""
    told = words.what(line.metric, line.value, line.limit, line.condition)
    return (f'<div class="o-row o-past"><span class="mut">{_time(line.at, zone)}</span>'
            f"<span>{blocks.tier_pill(line.tier)}</span>"
            f'<span class="nm">{escape(words.unbroken(words.place(topology, line.element)))}</span>'
            f"<span>{escape(told)}</span><span>{WORDS[line.after]}</span>"
            f'<span class="mut">{escape(by(line.by))}</span></div>')


def by(who: str) -> str:
    """A person's name; a rule of the house where nobody acted."""
    return ITSELF if who == DESIGN else who


def audit_html(entry: AuditEntry, topology: Topology, zone: str | None) -> str:
    """One row of the audit."""
    about = words.place(topology, entry.element) if entry.element else ""
    if entry.condition:
        about += f", {alarm_rules().words(entry.condition)}"
    change = "" if entry.before == entry.after else f"{entry.before} → {entry.after}"
    change = MOMENT.sub(lambda found: _moment(found[0], zone), change)
    return (f'<div class="o-row o-aud"><span class="mut">{_time(entry.at, zone)}</span>'
            f'<span class="nm">{escape(entry.who)}</span><span>{escape(entry.action)}</span>'
            f'<span>{escape(about)}</span><span>{escape(entry.why)}</span>'
            f'<span class="mut">{escape(change)}</span></div>')


def _moment(text: str, zone: str | None) -> str:
    """A device's own words may look like a time and be none; they stay as they are."""
    try:
        return _time(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        return text


def _time(moment: datetime, zone: str | None) -> str:
    return formats.local_time(moment, zone, seconds=True)
