"""What happened to the coordinator, and who set what."""

from __future__ import annotations

from html import escape

import streamlit as st

from components import blocks, formats
from components.blocks import Html
from components.coordinator import differences, words
from core.coordinator.asked import Coordination
from core.coordinator.records import Changed
from core.coordinator.view import Note, SiteView

MOST_NOTES, MOST_CHANGES = 6, 8


def show(view: SiteView) -> None:
    """The newest first."""
    if view.notes:
        blocks.show(blocks.heading("What happened to it", "newest first"), Html(
            "".join(_note(one) for one in view.notes[:MOST_NOTES])))


def _note(one: Note) -> str:
    icon = "warning" if one.level == "warning" else "info"
    when = formats.local_time(one.at, st.context.timezone)
    told = escape(words.sentence(one.words))
    return (f'<div class="o o-conote">{blocks.symbol(icon)}<span>{told}'
            f'<small>{escape(when)}</small></span></div>')


def changes(known: Coordination, view: SiteView) -> None:
    """Who set what, the newest first."""
    told = known.changes(view.site, MOST_CHANGES + 1)
    if not told:
        blocks.show(blocks.note("Nobody has changed anything yet: it goes by orrery.toml."))
        return
    before = [*told[1:], None]
    blocks.show(blocks.heading("Who set what", "newest first"), Html("".join(
        _change(one, older, view.currency)
        for one, older in list(zip(told, before, strict=True))[:MOST_CHANGES])))


def _change(one: Changed, older: Changed | None, currency: str) -> str:
    when = formats.local_time(one.at, st.context.timezone)
    told = differences.told(None if older is None else older.settings, one.settings, currency)
    said = "this cannot be read any more" if one.unread else "; ".join(told)
    return (f'<div class="o o-conote">{blocks.symbol("person")}<span>{escape(one.who)}: '
            f'{escape(said or "nothing else than before")}'
            f'<small>{escape(when)}</small></span></div>')
