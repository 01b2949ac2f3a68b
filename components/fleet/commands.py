"""The lives of commands: sent, received, then executed, refused or expired, with times."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from components import blocks, formats
from components.api_client import LocalClient
from components.blocks import Html
from components.fleet.orders import in_words
from core.clock import from_epoch
from core.fleet.called import names_of
from core.fleet.ports import CommandLife, PackState

MOST, MOST_OF_PACK = 12, 4
ICONS: Mapping[str, str] = {"sent": "north_east", "received": "mark_email_read",
                            "executed": "check_circle", "refused": "block", "expired": "timer_off"}
WORDS: Mapping[str, str] = {"sent": "sent, no answer yet", "received": "received",
                            "executed": "executed", "refused": "refused", "expired": "expired"}
UNTOLD = "no outcome"


def show(client: LocalClient) -> None:
    """Those of all packs, newest first."""
    lives = client.commands()
    if not lives:
        return
    names = names_of(client.packs())
    rows = "".join(_row(life, names.get((life.site, life.device), f"{life.site}/{life.device}"))
                   for life in lives[:MOST])
    aside = f"the newest {MOST} of {len(lives)}" if len(lives) > MOST else ""
    blocks.show(blocks.heading("Commands", aside), Html(f'<div class="o o-rows">{rows}</div>'))


def of_pack(client: LocalClient, pack: PackState) -> None:
    """Those of one pack."""
    lives = [life for life in client.commands()
             if (life.site, life.device) == (pack.site, pack.device)][:MOST_OF_PACK]
    if not lives:
        blocks.show(blocks.note("No commands."))
        return
    rows = "".join(_row(life, "") for life in lives)
    blocks.show(blocks.heading("Commands"), Html(f'<div class="o o-rows">{rows}</div>'))


def _row(life: CommandLife, name: str) -> str:
    """With the pack's name, or, among those of one pack, without."""
    command = life.command
    sent = formats.local_time(from_epoch(command.issued_s), st.context.timezone, seconds=True)
    return (f'<div class="o-row o-cmd" data-command="{escape(command.id)}">'
            f'<span class="nm">{escape(name or in_words_of(life))}</span>'
            f'<span>{escape(in_words_of(life) if name else f"{command.issuer}, {sent}")}</span>'
            f'<span class="life">{_life(life)}</span>'
            f'<span class="agc">{escape(f"{command.issuer}, {sent}" if name else "")}</span>'
            "</div>")


def in_words_of(life: CommandLife) -> str:
    return in_words(life.command.action, life.command.power_kw, life.command.hold_s)


def _life(life: CommandLife) -> str:
    """"sent › executed after 0.1 s: reason"."""
    mark = blocks.symbol(ICONS[life.state])
    first = "" if life.state == "sent" else "<span>sent ›</span>"
    after = ""
    if life.changed_at is not None and life.state != "sent":
        spent_s = max(life.changed_at.timestamp() - life.command.issued_s, 0.0)
        after = f"<span>after {spent_s:.1f} s</span>"
    reason = f"<span>{escape(life.reason)}</span>" if life.reason else ""
    return f"{first}{mark}<b>{UNTOLD if life.untold else WORDS[life.state]}</b>{after}{reason}"
