"""Who was turned away: refused sign-ins and calls, by reason, and the newest of them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from components import blocks, formats
from components.api_client import LocalClient
from components.markup import Html
from core.turned_away import WORDS, Reason, Turned

SHOWN = 5
SHORT: Mapping[Reason, str] = {"sign_in": "not known", "role": "may not act",
                               "operator": "wrong sign-in"}


def show(client: LocalClient) -> None:
    """Of this process since its start; nothing where nobody was turned away."""
    turned = client.turned_away
    counts = turned.counts()
    if not counts:
        return
    rows = "".join(
        f'<div class="o-row o-refusal"><span class="num">{formats.number(count)}</span>'
        f"<span>{escape(SHORT.get(reason, reason))}</span>"
        f'<span class="mut">{escape(WORDS[reason])}</span></div>'
        for reason, count in counts.items())
    newest = "".join(_line(one) for one in turned.newest()[:SHOWN])
    blocks.show(blocks.heading("Turned away", "refused sign-ins and calls since the start"),
                Html(f'<div class="o o-rows">{rows}{newest}</div>'))


def _line(one: Turned) -> str:
    when = formats.local_time(one.at, st.context.timezone, seconds=True)
    return (f'<div class="o-row o-turned"><time class="num">{escape(when)}</time>'
            f"<span>{escape(SHORT.get(one.reason, one.reason))}</span>"
            f'<code>{escape(one.asked)}</code><span class="mut">{escape(one.who)}</span></div>')
