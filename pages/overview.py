"""Overview: is anything wrong, where, since when."""

import streamlit as st

from components import frame, live, summary
from components.pump import overview as pumps

client = frame.enter()


def state() -> None:
    """What changes every two seconds."""
    live.head(client, 0)
    summary.cards(client)
    with st.container(key="overview_pair"):
        with st.container(key="overview_systems", gap="xsmall"):
            summary.systems(client)
            summary.houses(client)
            pumps.show(client)
        with st.container(key="overview_side", gap="xsmall"):
            summary.alarms(client)


st.fragment(state, run_every=2.0, key="overview_state")()
with st.container(key="overview_below"):
    summary.site_chart(client)
    summary.site_map(client)
