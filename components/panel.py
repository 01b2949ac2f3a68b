"""Beside the scene: the tools above it and the details of what is selected."""

from __future__ import annotations

import streamlit as st

from components import blocks, describe, session
from components.api_client import Client
from core.extremes import extremes

MOST_LABELS = 200


def tools(client: Client, node: int) -> None:
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


def details(client: Client, node: int) -> None:
    """The selected child, or the place itself when nothing is selected."""
    topology, snapshot = client.topology, client.snapshot()
    chosen = session.selected_node(topology, node)
    shown = node if chosen is None else chosen
    way = describe.way(topology, snapshot, shown)
    state = [blocks.direction_mark(way), *describe.state_pills(topology, snapshot, shown)]
    with st.container(key="panel_details"):
        blocks.show(
            blocks.heading("Here" if chosen is None else "Selected"),
            blocks.details(describe.name(topology, shown), state,
                           describe.details_pairs(topology, snapshot, shown),
                           note=describe.details_note(topology, snapshot, shown)))
        _jumps(client, node, shown)


def _jumps(client: Client, node: int, shown: int) -> None:
    topology = client.topology
    enter = f"Go into {blocks.markdown(describe.name(topology, shown))}"
    if shown != node and not topology.is_leaf(shown) and st.button(
            enter, key="go_in", type="primary", width="stretch", icon=":material/login:"):
        session.go_to(topology, shown)
    worst = extremes(topology, client.snapshot().frame, shown, "temperature_c")
    if topology.is_leaf(shown) or worst is None:
        return
    if st.button("Jump to the hottest cell", key="jump_hot", width="stretch",
                 icon=":material/my_location:"):
        session.open_element(topology, worst.highest_node)
