"""What keeps the past: history, the fleet's telemetry, alarms and audit, commands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from html import escape

import streamlit as st

from components import blocks, formats
from components.api_client import LocalClient
from components.blocks import Html
from core.ports import StoreHealth

BYTES_PER_MB = 1e6
SECONDS_PER_HOUR = 3600.0
Row = tuple[str, str, str]
LONG = timedelta(days=300)
ABOUT = timedelta(hours=1)
"""By which stores that hold the same may begin apart: each drops what is old in pieces."""
WHERE = {"embedded": "on this disk", "postgres": "in PostgreSQL"}


def show(client: LocalClient) -> None:
    """State and size of each, and what is wrong with it."""
    told = "".join(
        f'<div class="o-row o-store"><span class="nm">{blocks.symbol(icon)} {escape(name)}</span>'
        f'<span>{escape(state)}</span><span class="mut">{escape(words)}</span></div>'
        for icon, (name, state, words) in (
            *(("database", row) for row in (*_history(client), *_fleets(client))),
            ("notifications", _alarms(client)), ("send", _records(client))))
    blocks.show(blocks.heading("Stores", "what survives a restart"),
                Html(f'<div class="o o-rows">{told}</div>'))


def _history(client: LocalClient) -> list[Row]:
    """One of each store that history is in."""
    health, error = client.history(), client.snapshot().history_error
    if health is None:
        return [("History", "off", error or "orrery.toml says so")]
    channels = client.channels_history()
    return [*_parts("History", health, error),
            *(_parts("Devices' channels", channels, "") if channels else [])]


def _parts(what: str, health: StoreHealth, error: str) -> list[Row]:
    if not health.parts:
        return [_part(what, health, error)]
    return [_part(f"{what} {WHERE.get(name, name)}", part, "",
                  _alone(part, health.parts, WHERE))
            for name, part in health.parts.items()]


def _part(name: str, health: StoreHealth, error: str, alone: str = "") -> Row:
    """alone: as `_alone`."""
    size = (f"{formats.number(health.size_bytes / BYTES_PER_MB)} of "
            f"{formats.number(health.budget_bytes / BYTES_PER_MB)} MB")
    if health.oldest is not None and health.newest is not None:
        size += f", since {_since(health.oldest, health.newest)}"
    wrong = error or health.error
    return name, "not written" if wrong else "written", (wrong or size) + alone


def _since(oldest: datetime, newest: datetime) -> str:
    """By its day where that is long ago."""
    if newest - oldest < LONG:
        return formats.local_time(oldest, st.context.timezone)
    day = oldest.astimezone(formats.zone(st.context.timezone))
    return f"{day.day} {day:%b %Y}"


def _alone(part: StoreHealth, parts: Mapping[str, StoreHealth], words: Mapping[str, str]) -> str:
    """Of several stores: which ones have what is older than all that this one has. One that was
    added later begins with what came then. words: where a store is, by name."""
    if part.oldest is None:
        return ""
    have = [words.get(name, f"in {name}") for name, one in parts.items()
            if one.oldest is not None and part.oldest - one.oldest > ABOUT]
    return f"; what is older is {' and '.join(have)} alone" if have else ""


def _fleets(client: LocalClient) -> list[Row]:
    """Where an ingest keeps the telemetry of a fleet; only what orrery.toml names."""
    return [row for label, health in client.fleet_stores()
            for row in _each(f"Telemetry of {label}", health)]


def _each(name: str, health: StoreHealth) -> list[Row]:
    """Each of several stores for itself, as orrery.toml calls it."""
    if not health.parts:
        return [_fleet(name, health)]
    rows = [(place, _fleet(name, part), _alone(part, health.parts, {}))
            for place, part in health.parts.items()]
    return [(name, state, f"{place}: {words}{alone}") for place, (_, state, words), alone in rows]


def _fleet(name: str, health: StoreHealth) -> Row:
    if health.error:
        return name, "not read", health.error
    if health.newest is None or health.oldest is None:
        return name, "empty", "nothing is in it yet; see that the ingest runs"
    hours = (health.newest - health.oldest).total_seconds() / SECONDS_PER_HOUR
    return name, "kept", (f"{formats.number(health.size_bytes / BYTES_PER_MB, 1)} MB of "
                          f"{formats.number(hours, 1)} h, to "
                          f"{formats.local_time(health.newest, st.context.timezone)}")


def _alarms(client: LocalClient) -> Row:
    name, lost = "Alarms and audit", client.journal.lost
    if client.alarms_error:
        return name, "not kept", client.alarms_error
    if client.alarm_store is None:
        return name, "off", "history is off, and with it alarms and audit"
    return name, "kept", (f"{formats.counted(lost, 'line')} given up" if lost else
                          "what a person did survives a power cut")


def _records(client: LocalClient) -> Row:
    """What became of commands, and what was saved beside orrery.toml."""
    name = "Commands and what was saved"
    if client.records_error:
        return name, "not kept", client.records_error
    if client.records is None:
        return name, "off", "history is off, and with it what becomes of commands"
    return name, "kept", "commands of the last 24 hours outlive a restart"
