"""Beside the scene: the details of what is selected."""

from __future__ import annotations

import streamlit as st

from components import blocks, describe, session
from components.api_client import Client
from core.extremes import extremes


def show(client: Client, node: int) -> None:
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
