"""Which house is shown, how often it is refreshed, which sign people see: the page's choices."""

from __future__ import annotations

import streamlit as st

from components import blocks, describe, formats
from components.api_client import Client
from core.household import Household
from core.houses import House

HOUSE_PARAMETER = "house"
REFRESH_S: dict[str, float | None] = {"10 s": 10.0, "30 s": 30.0, "60 s": 60.0, "Off": None}
DEFAULT_REFRESH = "30 s"
HEAD_S, SLOW_S = 10.0, 120.0
DEVICE, DISCHARGE, CHARGE = "Device's own", "Discharging +", "Charging +"


def house(client: Client) -> House | None:
    """The house in the address or the session, else the first; the sidebar offers all. None
    where the site has no house."""
    houses = {one.id: one for one in client.houses}
    if not houses:
        return None
    asked = st.query_params.get(HOUSE_PARAMETER) or st.session_state.get("house_shown")
    start = asked if asked in houses else next(iter(houses))
    with st.sidebar:
        blocks.show(blocks.heading("House"))
        chosen = st.selectbox(
            "House", list(houses), index=list(houses).index(start), key="house",
            format_func=lambda house_id: houses[house_id].label, label_visibility="collapsed",
            on_change=_remember)
        _devices(client, client.household(chosen))
    st.session_state["house_shown"] = chosen
    st.query_params[HOUSE_PARAMETER] = chosen
    return houses[chosen]


def _remember() -> None:
    st.query_params[HOUSE_PARAMETER] = st.session_state["house"]


def _devices(client: Client, household: Household) -> None:
    """What the house is told by."""
    rows = []
    for device in household.devices:
        row = describe.source_row(client.status_of(device), client.now())
        ages = [one.age_s for name in device.quantities
                if (one := household.told_by(device, name)) is not None]
        known = [age for age in ages if age >= 0]
        rows.append(blocks.SourceRow(device.label, min(known, default=float("nan")),
                                     row.stale, row.kind))
    if rows:
        blocks.show(blocks.source_rows(rows))


def refresh_s() -> float | None:
    """Seconds between two refreshes; None = off."""
    chosen = st.segmented_control(
        "Auto-refresh", list(REFRESH_S), default=DEFAULT_REFRESH, required=True,
        key="refresh", label_visibility="collapsed", bind="query-params",
        help="How often the numbers below are drawn anew")
    return REFRESH_S[chosen or DEFAULT_REFRESH]


def slow_s(refresh_s: float | None) -> float | None:
    """For what moves by the hour."""
    return None if refresh_s is None else max(refresh_s, SLOW_S)


def sign() -> str:
    """DEVICE, DISCHARGE or CHARGE: which direction of the battery is written with a plus."""
    return str(st.session_state.get("sign") or DEVICE)


def sign_tool() -> None:
    with st.popover("Sign", icon=":material/exposure:",
                    help="Which direction of the battery has the plus"):
        st.radio("Battery current and power", [DEVICE, CHARGE, DISCHARGE], key="sign",
                 persist_state="session",
                 captions=["as its display shows it", "Victron, JK, Pylontech",
                           "OpenEMS, evcc, Home Assistant"])


def factor(native_sign: str) -> float:
    """From Orrery's sign (+ discharging, law 1) to the chosen one: 1 or -1."""
    chosen = sign()
    charge_is_plus = native_sign == "charge" if chosen == DEVICE else chosen == CHARGE
    return -1.0 if charge_is_plus else 1.0


def signed(value: float, native_sign: str, unit: str, decimals: int) -> formats.Text:
    """A battery current or power as its reader wants it."""
    return formats.quantity(factor(native_sign) * value + 0.0, unit, decimals)
