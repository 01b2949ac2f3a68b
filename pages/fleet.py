"""Fleet: every pack, who limits it and why, and what an operator may ask of it."""

import streamlit as st

from components import frame, operator, parts
from components.fleet import board, choice, commands, detail, orders, spheres

client = frame.enter()
if not client.packs():
    board.nothing()
    frame.stop_here()

parts.live(board.head, "fleet_head", 2.0, client)
with st.container(key="fleet_tools", horizontal=True, gap="xsmall",
                  vertical_alignment="center"):
    wish, view = choice.tools(client)
    orders.site_tools(client)
    operator.sign_in_button(client)

pack = choice.chosen_pack(client)
with st.container(key="fleet_pair"):
    with st.container(key="fleet_main"):
        if view == choice.SPHERES:
            parts.live(spheres.show, "fleet_scene", 2.0, client)
        else:
            parts.live(board.show, "fleet_board", 2.0, client, wish)
    if pack is not None:
        with st.container(key="panel_pack"):
            detail.top(client, pack)
            orders.tools(client, orders.of_pack(client, pack), "pack")
            parts.live(commands.of_pack, "fleet_orders_of_it", 1.0, client, pack)
            parts.live(detail.show, "fleet_detail", 2.0, client, pack.element)
parts.live(commands.show, "fleet_commands", 1.0, client)
