"""Who was turned away: refused sign-ins and calls, by reason, and the newest of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

import streamlit as st

from components import blocks, formats
from components.api_client import LocalClient
from components.markup import Html
from core.turned_away import WORDS, Door, Reason, Turned

SHOWN = 5
SHORT: Mapping[Reason, str] = {"sign_in": "not known", "role": "may not act",
                               "operator": "wrong sign-in"}


def show(client: LocalClient) -> None:
    """Of this process and of gateways beside it, since the start of each; nothing where nobody was
    turned away."""
    turned = client.turned_away
    told = [("Turned away", "refused sign-ins and calls since the start", turned.counts(),
             turned.newest()),
            *((f"Turned away by the gateway {door.name}", _heard(door, client.now()), door.counts,
               door.newest) for door in client.doors())]
    for heading, sub, counts, newest in told:
        if counts:
            blocks.show(blocks.heading(heading, sub), _rows(counts, newest))


def _heard(door: Door, now: datetime) -> str:
    """Two machines' clocks may be apart."""
    age_s = max(0.0, (now - door.heard_at).total_seconds())
    return f"as it told {formats.age(age_s)} ago"


def _rows(counts: Mapping[Reason, int], newest: Sequence[Turned]) -> Html:
    rows = "".join(
        f'<div class="o-row o-refusal"><span class="num">{formats.number(count)}</span>'
        f"<span>{escape(SHORT.get(reason, reason))}</span>"
        f'<span class="mut">{escape(WORDS[reason])}</span></div>'
        for reason, count in counts.items())
    lines = "".join(_line(one) for one in newest[:SHOWN])
    return Html(f'<div class="o o-rows">{rows}{lines}</div>')


def _line(one: Turned) -> str:
    when = formats.local_time(one.at, st.context.timezone, seconds=True)
    return (f'<div class="o-row o-turned"><time class="num">{escape(when)}</time>'
            f"<span>{escape(SHORT.get(one.reason, one.reason))}</span>"
            f'<code>{escape(one.asked)}</code><span class="mut">{escape(one.who)}</span></div>')
