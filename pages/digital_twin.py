"""Digital twin: what the models make of every pack, and what of it comes true."""

import streamlit as st

from components import blocks, frame, parts
from components.twin import board, calibrate, choice, export, forecast, given, internals, pack

client = frame.enter()
if not client.twin_packs():
    board.nothing(client)
    frame.stop_here()

chosen = choice.chosen(client)
if chosen is None:
    parts.live(board.head, "twin_head", 2.0, client)
    if choice.asked():
        blocks.show(blocks.state_box(
            "wrong_location", "The twin models no such pack",
            f"The link asked for “{choice.asked()[:80]}”.", "All packs are shown instead."))
    with st.container(key="twin_tools", horizontal=True, gap="xsmall",
                      vertical_alignment="center"):
        wish = choice.tools()
        export.menu(client)
    parts.live(board.show, "twin_board", 5.0, client, wish)
else:
    given.take(client, chosen)
    pack.tools(client, chosen)
    parts.live(pack.head, "twin_summary", 2.0, client, chosen)
    with st.container(key="twin_pair"):
        with st.container(key="twin_left"):
            parts.live(pack.record, "twin_record", 10.0, client, chosen)
        with st.container(key="twin_right"):
            parts.live(pack.foretold, "twin_foretold", 10.0, client, chosen)
            calibrate.show(client, chosen)
            given.show(client, chosen)
    forecast.show(client, chosen)
    internals.show(client, chosen)
