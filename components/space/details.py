"""Beside the scene: the details of what is selected."""

from __future__ import annotations

import streamlit as st

from components import blocks, describe, session
from components.api_client import Client
from components.space import extremes, limits


def show(client: Client, node: int) -> None:
    """The selected element, or the place itself when nothing is selected."""
    topology, snapshot = client.topology, client.snapshot()
    extremes.follow_goal(topology)
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
        extremes.show(client, shown)
        limits.show(client, shown)
        _enter(client, node, shown)


def _enter(client: Client, node: int, shown: int) -> None:
    topology = client.topology
    enter = f"Go into {blocks.markdown(describe.name(topology, shown))}"
    if shown != node and not topology.is_leaf(shown) and st.button(
            enter, key="go_in", type="primary", width="stretch", icon=":material/login:"):
        session.go_to(topology, shown)
