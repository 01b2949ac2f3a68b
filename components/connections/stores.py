"""What keeps the past: history, alarms and audit."""

from __future__ import annotations

from html import escape

from components import blocks, formats
from components.api_client import Client
from components.blocks import Html

BYTES_PER_MB = 1e6
Row = tuple[str, str, str]


def show(client: Client) -> None:
    """State and size of each, and what is wrong with it."""
    told = "".join(
        f'<div class="o-row o-store"><span class="nm">{blocks.symbol(icon)} {escape(name)}</span>'
        f'<span>{escape(state)}</span><span class="mut">{escape(words)}</span></div>'
        for icon, (name, state, words) in (("database", _history(client)),
                                           ("notifications", _alarms(client))))
    blocks.show(blocks.heading("Stores", "what survives a restart"),
                Html(f'<div class="o o-rows">{told}</div>'))


def _history(client: Client) -> Row:
    health, error = client.history(), client.snapshot().history_error
    if health is None:
        return "History", "off", error or "orrery.toml says so"
    size = (f"{formats.number(health.size_bytes / BYTES_PER_MB)} of "
            f"{formats.number(health.budget_bytes / BYTES_PER_MB)} MB")
    wrong = error or health.error
    return "History", "not written" if wrong else "written", wrong or size


def _alarms(client: Client) -> Row:
    name, lost = "Alarms and audit", client.journal.lost
    if client.alarms_error:
        return name, "not kept", client.alarms_error
    if client.alarm_store is None:
        return name, "off", "history is off, and with it alarms and audit"
    return name, "kept", (f"{formats.counted(lost, 'line')} given up" if lost else
                          "what a person did survives a power cut")
