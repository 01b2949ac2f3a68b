"""Above the scene: the way up, and what is drawn."""

from __future__ import annotations

import streamlit as st

from components import session
from components.api_client import Client

MOST_LABELS = 200


def above(client: Client, node: int) -> None:
    """Up, and what is drawn."""
    topology = client.topology
    with st.container(key="scene_tools", horizontal=True, wrap=False,
                      vertical_alignment="center"):
        if st.button("Back", icon=":material/arrow_upward:", key="up", disabled=node == 0,
                     help="One level up"):
            session.go_to(topology, int(topology.parent[node]))
        with st.popover("", icon=":material/tune:", help="What the scene shows"):
            st.toggle("Names", value=True, key="show_labels", persist_state="session")
            st.slider("Most names at once", 8, MOST_LABELS, 64, key="label_cap",
                      persist_state="session")
