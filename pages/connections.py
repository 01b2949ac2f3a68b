"""Connections: which sources are heard, what they say, how fast they answer."""

import streamlit as st

from components import blocks, frame, operator, parts
from components.connections import board, console, door, fleets, stores
from components.house import connect

client = frame.enter()
parts.live(board.head, "connections_head", 5.0, client)
with st.container(key="connections_tools", horizontal=True, gap="xsmall",
                  vertical_alignment="center"):
    connect.tool(client)
    operator.sign_in_button(client)
parts.live(board.rows, "connections_rows", 10.0, client)
parts.live(fleets.show, "connections_fleets", 5.0, client)
fleets.reconnecting(client)
parts.live(door.show, "connections_door", 5.0, client)
parts.live(stores.show, "connections_stores", 10.0, client)

blocks.show(blocks.heading("Talk with a source"))
with st.container(key="panel_console"):
    status = console.chosen(client)
    console.tools(client, status)
    parts.live(console.counters, "connections_counts", 2.0, client, status.info.name)
    console.messages(client, status.info.name)
