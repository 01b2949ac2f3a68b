"""The plan in one line, and what it earned yesterday, on the Overview."""

from __future__ import annotations

import streamlit as st

from components import blocks
from components.api_client import LocalClient
from components.blocks import Html, PressRow
from components.coordinator import choice, words
from core.coordinator.view import Line, SiteView


def show(client: LocalClient) -> None:
    """Nothing where nobody coordinates."""
    known = choice.coordination(client)
    lines = [] if known is None else known.lines()
    if known is None or not lines:
        return
    blocks.show(blocks.heading("Coordinator", "the plan, and what it earned"))
    rows = []
    for one in lines:
        view = known.view(one.site)
        rows.append(PressRow(one.site, f"Coordinator of {view.label}", row(one, view)))
    pressed = blocks.press_rows(rows, key="coordinator")
    if pressed is not None:
        choice.open_page(pressed)


def row(one: Line, view: SiteView) -> Html:
    """The page's own sentence, in the viewer's time."""
    icon = "route" if one.well else "warning"
    told = blocks.Html("".join(
        f"<b>{blocks.html(part.text)}</b>" if isinstance(part, blocks.Alarm) else
        blocks.html(str(part)) for part in words.title(view, st.context.timezone)))
    below = [view.label, *([one.earned] if one.earned else [])]
    return blocks.join(Html('<div class="o o-row o-plan">'), blocks.symbol(icon),
                       Html("<span>"), told, Html("<small>"), ". ".join(below),
                       Html("</small></span></div>"))
