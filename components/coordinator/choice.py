"""Which site, room and hour a person looks at; the address remembers them."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from components.api_client import LocalClient
from core.coordinator.asked import Coordination

COORDINATOR = "pages/coordinator.py"
SITE, ROOM, BACK, HOUR = "fleet_site_name", "room", "back", "hour"
PLAN, PACKS, OBJECTIVES, TRAINING = "Plan", "Packs", "Objectives", "Training"
ROOMS = (PLAN, PACKS, OBJECTIVES, TRAINING)
BACKS_H = {"6 h": 6, "24 h": 24, "72 h": 72}
HOUR_FORMAT = "%Y%m%dT%H%MZ"


def coordination(client: LocalClient) -> Coordination | None:
    """None where nothing is coordinated."""
    known = client.coordination
    return None if isinstance(known, str) or not known.sites else known


def site(known: Coordination) -> str:
    """The one that the address names, else the first."""
    asked = st.query_params.get("site", "")
    return asked if asked in known.sites else known.sites[0]


def tools(known: Coordination, at: str) -> str:
    """The room; and of several sites which one."""
    if len(known.sites) > 1:
        names = {one: known.view(one).label for one in known.sites}
        chosen = st.selectbox("Site", list(names), format_func=names.__getitem__, width=200,
                              index=list(names).index(at), label_visibility="collapsed",
                              key=SITE)
        if chosen and chosen != at:
            st.query_params["site"] = chosen
            st.rerun()
    return st.segmented_control("Room", ROOMS, default=PLAN, required=True, key=ROOM,
                                label_visibility="collapsed", bind="query-params") or PLAN


def back_h() -> int:
    """How much of the past stands beside the plan [h]."""
    chosen = st.segmented_control("Past", list(BACKS_H), default="6 h", required=True, key=BACK,
                                  label_visibility="collapsed", bind="query-params")
    return BACKS_H[chosen or "6 h"]


def hour() -> datetime | None:
    """The moment whose reasons are asked for; None where the address names none that can be."""
    try:
        return datetime.strptime(st.query_params.get(HOUR, ""), HOUR_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def choose_hour(when: datetime) -> None:
    st.query_params[HOUR] = when.astimezone(UTC).strftime(HOUR_FORMAT)


def open_page(of: str) -> None:
    """From any page."""
    st.switch_page(COORDINATOR, query_params={"site": of})
