"""Beside the scene: the details of what is selected, as far as a person chose to see them; what it
is, what is worst in it and what calls for somebody always."""

from __future__ import annotations

from functools import partial

import streamlit as st

from components import blocks, describe, formats, session
from components.api_client import Client
from components.formats import Text
from components.space import extremes, filtering, limits, settings, units
from components.space.settings import Settings
from components.twin import choice

NAMEPLATE = ("capacity_kwh",)


def show(client: Client, node: int) -> None:
    """The selected element, or the place itself when nothing is selected."""
    topology, snapshot = client.topology, client.snapshot()
    extremes.follow_goal(topology)
    chosen = session.selected_node(topology, node)
    shown = node if chosen is None else chosen
    wanted = settings.current()
    way = describe.way(topology, snapshot, shown)
    state = [blocks.direction_mark(way), *describe.state_pills(topology, snapshot, shown)]
    with st.container(key="panel_details"):
        blocks.show(
            blocks.heading("Here" if chosen is None else "Selected"),
            blocks.details(describe.name(topology, shown), state,
                           describe.details_pairs(topology, snapshot, shown,
                                                  {*wanted.metrics, *NAMEPLATE},
                                                  partial(_read, wanted)),
                           note=describe.details_note(topology, snapshot, shown)))
        extremes.show(client, shown)
        limits.show(client, shown)
        _enter(client, node, shown)


def _read(chosen: Settings, metric: str, value: float, decimals: int | None) -> Text:
    """In the unit and with the sign that a person chose."""
    if metric == "temperature_c":
        return units.reading(metric, value, chosen.temperature)
    turned = metric in filtering.FLIPPED and chosen.sign == "charge"
    return formats.value(metric, -value if turned else value, decimals)


def _enter(client: Client, node: int, shown: int) -> None:
    topology = client.topology
    enter = f"Go into {blocks.markdown(describe.name(topology, shown))}"
    if shown != node and not topology.is_leaf(shown) and st.button(
            enter, key="go_in", type="primary", width="stretch", icon=":material/login:"):
        session.go_to(topology, shown)
    choice.button(client, shown, "go_twin")
