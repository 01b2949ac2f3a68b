"""The same data without the viewer: a pydeck scatter and a table to drill with."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pydeck as pdk
import streamlit as st

from components import blocks, describe, formats, session
from components.api_client import Client
from components.tokens import rgb, tokens

RING_RADIUS = 100.0
SMALLEST_PX, PX_PER_ROOT_KWH, LARGEST_PX = 8.0, 1.6, 40.0


def show(client: Client, node: int, why: str) -> None:
    """Ring of discs and a table; selecting a row drills down."""
    blocks.show(blocks.state_box("view_in_ar_off", "The 3D viewer cannot run here", why,
                                 "The same data as a flat picture and a table:"))
    table = _table(client, node)
    st.pydeck_chart(_deck(table), height=380, key="fallback_deck")
    st.caption("Select a row to go in.")
    event = st.dataframe(table[["Name", "State", "Power", "State of charge"]], hide_index=True,
                         on_select="rerun", selection_mode="single-row",
                         key=f"fallback_table_{client.topology.ids[node]}")
    rows = event["selection"]["rows"]
    if rows:
        target = int(table["node"].iloc[rows[0]])
        if client.topology.is_leaf(target):
            st.session_state["selected"] = client.topology.ids[target]
        else:
            session.go_to(client.topology, target)


def _table(client: Client, node: int) -> pd.DataFrame:
    topology, snapshot = client.topology, client.snapshot()
    part = topology.children(node)
    nodes = list(range(part.start, part.stop))
    colour = tokens(st.context.theme.type)
    ways = [describe.way(topology, snapshot, child) for child in nodes]
    turn = 2 * math.pi * np.arange(len(nodes)) / max(len(nodes), 1)
    size = np.nan_to_num(np.sqrt(topology.capacity_kwh[part]) * PX_PER_ROOT_KWH)
    return pd.DataFrame({
        "node": nodes,
        "Name": [describe.name(topology, child) for child in nodes],
        "State": [formats.direction_word(way) for way in ways],
        "Power": [str(formats.magnitude(snapshot.frame.value("power_kw", child)))
                  for child in nodes],
        "State of charge": [str(formats.value("soc_pct", snapshot.frame.value("soc_pct", child)))
                            for child in nodes],
        "position": list(zip(RING_RADIUS * np.cos(turn), RING_RADIUS * np.sin(turn),
                             strict=True)),
        "radius_px": np.clip(size, SMALLEST_PX, LARGEST_PX),
        "colour": [list(rgb(colour[formats.direction_hue(way)])) for way in ways],
        "ink": [list(rgb(colour["text"]))] * len(nodes),
    })


def _deck(table: pd.DataFrame) -> pdk.Deck:
    rows = table.drop(columns="node").to_dict("records")
    discs = pdk.Layer("ScatterplotLayer", rows, get_position="position",
                      get_radius="radius_px", radius_units="'pixels'", get_fill_color="colour",
                      pickable=True)
    names = pdk.Layer("TextLayer", rows, get_position="position", get_text="Name",
                      get_color="ink", get_size=13, get_pixel_offset=[0, 34])
    return pdk.Deck(layers=[discs, names], map_provider=None, map_style=None,
                    views=[pdk.View(type="OrthographicView", id="flat", controller=True)],
                    initial_view_state=pdk.ViewState(target=[0, 0, 0], zoom=0.3),
                    tooltip={"text": "{Name}\n{State} {Power}\n{State of charge}"})
