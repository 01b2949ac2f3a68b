"""Which pump is shown, over which time, how often anew: the page's choices, each viewer's own."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import streamlit as st

from components import blocks, describe, formats
from components.api_client import Client
from core.devices import Device
from core.heatpump.report import RANGES, Window, between, window

PUMP_PARAMETER = "pump"
EVERY = "All"
CUSTOM, DEFAULT_RANGE = "Custom", "24h"
LONGEST_DAYS = 400
HEAD_S, REFRESH_S, SLOW_S = 10.0, 30.0, 300.0
SHORT_S = 26 * 3600.0


def pump(client: Client) -> Device | None:
    """The pump in the address or the session, else the first; the sidebar offers brand, source
    and pump. None where the site has none."""
    pumps = {device.id: device for device in client.heat_pumps}
    if not pumps:
        return None
    asked = st.query_params.get(PUMP_PARAMETER) or st.session_state.get("pump_shown")
    with st.sidebar:
        blocks.show(blocks.heading("Heat pump"))
        named = _narrowed(client, pumps)
        start = asked if asked in named else next(iter(named))
        chosen = st.selectbox("Pump", list(named), index=list(named).index(start), key="pump",
                              format_func=lambda device_id: named[device_id].label,
                              on_change=_remember)
        blocks.show(blocks.source_rows([_source_row(client, named[chosen])]))
    st.session_state["pump_shown"] = chosen
    st.query_params[PUMP_PARAMETER] = chosen
    return named[chosen]


def _narrowed(client: Client, pumps: dict[str, Device]) -> dict[str, Device]:
    """The pumps of the chosen brand and source."""
    brands = sorted({device.pump.brand for device in pumps.values() if device.pump})
    brand = st.selectbox("Brand", [EVERY, *brands], key="pump_brand")
    ours = {key: device for key, device in pumps.items()
            if brand == EVERY or (device.pump and device.pump.brand == brand)}
    sources = sorted({client.status_of(device).info.label for device in ours.values()})
    source = st.selectbox("Source", [EVERY, *sources], key="pump_source")
    return {key: device for key, device in ours.items()
            if source == EVERY or client.status_of(device).info.label == source} or ours


def _remember() -> None:
    st.query_params[PUMP_PARAMETER] = st.session_state["pump"]


def _source_row(client: Client, device: Device) -> blocks.SourceRow:
    row = describe.source_row(client.status_of(device), client.now())
    return blocks.SourceRow(row.label, client.device_now(device).age_s, row.stale, row.kind)


def chosen_window(client: Client) -> Window:
    """The time that the page shows, ending now, or what the person wrote."""
    key = st.segmented_control(
        "Time range", [*RANGES, CUSTOM], default=DEFAULT_RANGE, required=True, key="pump_range",
        format_func=_spaced, label_visibility="collapsed", bind="query-params") or DEFAULT_RANGE
    if key == CUSTOM:
        return _custom(client)
    return window(key, client.now())


def _spaced(key: str) -> str:
    """"24h" as people write it: "24 h"."""
    return key if key == CUSTOM else f"{key[:-1]} {key[-1]}"


def _custom(client: Client) -> Window:
    """Whole local days, both included."""
    zone = formats.zone(st.context.timezone)
    today = client.now().astimezone(zone).date()
    chosen = st.date_input(
        "From and to", (today - timedelta(days=2), today), key="pump_from_to",
        min_value=today - timedelta(days=LONGEST_DAYS), max_value=today,
        label_visibility="collapsed")
    first, last = _ends(chosen, today)
    start = datetime.combine(first, time(), zone)
    end = datetime.combine(last + timedelta(days=1), time(), zone)
    return between(start, min(end, client.now()))


def _ends(chosen: object, today: date) -> tuple[date, date]:
    """While a person has chosen one end alone, it is both."""
    days = [one for one in chosen if isinstance(one, date)] if isinstance(chosen, tuple) else []
    return (days[0], days[-1]) if days else (today, today)


def refresh_s(shown: Window) -> float | None:
    """Seconds between two refreshes, None = off: what covers weeks moves slowly."""
    on = st.toggle("Auto-refresh", value=True, key="pump_refresh", bind="query-params",
                   help="Every 30 s; weeks and months every 5 minutes")
    if not on:
        return None
    return REFRESH_S if shown.seconds <= SHORT_S else SLOW_S


def slow_s(refresh_s: float | None) -> float | None:
    """For what moves by the hour."""
    return None if refresh_s is None else max(refresh_s, 2 * 60.0)
