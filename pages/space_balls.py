"""Space Balls: fly from the grid connection down to one cell."""

import streamlit as st

from components import blocks, frame, live, session, trends
from components.space import details, tools, view

client = frame.enter()
place = session.follow_address(client)


def scene_and_details() -> None:
    """Everything that lives at the engine's pace."""
    live.head(client, place.node, ["right click, double click, long press or Enter goes in"])
    if place.asked:
        blocks.show(blocks.state_box(
            "wrong_location", "This element does not exist",
            f"The link asked for “{place.asked[:80]}”.",
            f"Shown instead: {client.topology.names[place.node]}, its nearest known parent."))
    tools.above(client, place.node)
    with st.container(key="scene_pair"):
        if client.topology.is_leaf(place.node):
            view.nothing_below(client, place.node)
        else:
            view.show(client, place.node)
        details.show(client, place.node)


st.fragment(scene_and_details, run_every=client.period_s, key=session.LIVE)()
trends.show(client, place.node)
