"""Overview: is anything wrong, where, since when."""

import streamlit as st

from components import frame, live, summary
from components.coordinator import overview as coordinators
from components.fleet import overview as fleets
from components.pump import overview as pumps
from components.twin import overview as twins

client = frame.enter()


def state() -> None:
    """What changes every two seconds."""
    live.head(client, 0)
    summary.alarms(client)
    summary.cards(client)
    with st.container(key="overview_pair"):
        with st.container(key="overview_systems", gap="xsmall"):
            summary.systems(client)
            fleets.show(client)
            coordinators.show(client)
            twins.show(client)
        with st.container(key="overview_side", gap="xsmall"):
            summary.houses(client)
            pumps.show(client)


st.fragment(state, run_every=2.0, key="overview_state")()
with st.container(key="overview_below"):
    summary.site_chart(client)
    summary.site_map(client)
