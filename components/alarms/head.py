"""The answer as a title; a flood, and what cannot be kept; how fast alarms come."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from components import blocks, formats
from components.alarms import words
from components.api_client import LocalClient
from components.blocks import Content, Html
from components.formats import Text
from core.alarms.rates import CHATTERS_FROM, FLOOD_ABOVE, Rates
from core.alarms.records import Instance, Key
from core.alarms.states import ASKING
from core.topology import Topology

NAMED = 2


def show(client: LocalClient) -> None:
    """Title, what is wrong with the alarms themselves, rates."""
    journal, now = client.journal, client.now()
    instances, rates = journal.instances(), journal.rates()
    sub: list[Content] = [blocks.pill("plain", text) for text in words.hidden(instances)]
    blocks.show(
        blocks.title(*words.title(instances),
                     sub=[*sub, formats.local_time(now, st.context.timezone)]))
    told = [*_unkept(client), *_flood(client, rates)]
    if told:
        blocks.show(*told)
    blocks.show(blocks.grid(cards(client.topology, instances, rates, now), columns=4))


def _unkept(client: LocalClient) -> list[Html]:
    """Why nobody may rely on the history of this moment."""
    journal = client.journal
    if client.alarm_store is None:
        if client.alarms_error:
            return [blocks.state_box(
                "database_off", "Alarms are not kept", client.alarms_error,
                "They are shown as always. Stops go out; all else that people do is refused until "
                "it can be written down. Orrery tries again by itself.", error=True)]
        return [blocks.state_box("database_off", "Alarms are not kept", "History is switched off.",
                                 "They work, and are forgotten when Orrery ends.")]
    if not journal.error:
        return []
    lost = (f"{formats.counted(journal.lost, 'line')} of history were given up. "
            if journal.lost else "")
    return [blocks.state_box("database_off", "What happens now is not kept", journal.error,
                             f"{lost}Actions are refused until it can be kept again.",
                             error=True)]


def _flood(client: LocalClient, rates: Rates) -> list[Html]:
    if not rates.flood:
        return []
    causes = formats.counted(len(client.journal.groups()), "group")
    return [blocks.state_box(
        "flood", f"Alarm flood: {formats.number(rates.raised)} alarms in 10 minutes",
        f"More than {FLOOD_ABOVE} are a flood. What came together stands below as {causes}, "
        "the first that came leading; trips are never folded away.")]


def cards(topology: Topology, instances: tuple[Instance, ...], rates: Rates,
          now: datetime) -> list[Html]:
    """Rate, what waits longest, nuisances, what stands for days."""
    return [
        blocks.card("Alarms in 10 minutes", Text(formats.number(rates.raised), ""),
                    alarm=rates.flood, note=words.by_tier(rates.by_tier),
                    below=f"a flood above {FLOOD_ABOVE}"),
        _waiting(topology, instances, now),
        _named("Chattering", topology, rates.chattering,
               f"{CHATTERS_FROM} times or more in 10 minutes"),
        _named("Standing", topology, rates.standing, "active for more than 24 h")]


def _waiting(topology: Topology, instances: tuple[Instance, ...], now: datetime) -> Html:
    asking = [one for one in instances if one.state in ASKING]
    if not asking:
        return blocks.card("Waiting longest", Text(formats.MISSING, ""),
                           note="nothing is unacknowledged")
    first = min(asking, key=lambda one: one.raised_at or one.began)
    age_s = (now - (first.raised_at or first.began)).total_seconds()
    return blocks.card("Waiting longest", Text(formats.age(age_s), ""),
                       note="for an acknowledgement", below=words.short(topology, first.key))


def _named(label: str, topology: Topology, keys: tuple[Key, ...], meant: str) -> Html:
    named = "; ".join(words.short(topology, key) for key in keys[:NAMED])
    more = f"; {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return blocks.card(label, Text(formats.number(len(keys)), ""), note=meant,
                       below=named + more)
