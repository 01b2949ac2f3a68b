"""Space Balls: fly from the grid connection down to one cell, now or at any time of history."""

import streamlit as st

from components import blocks, frame, live, parts, session, trends
from components.space import (
    aggregate,
    alarms,
    chosen_view,
    details,
    export,
    playback,
    settings,
    tools,
    view,
)

client = playback.client(frame.enter())
place = session.follow_address(client)
chosen = settings.follow_address(client)


def scene_and_details() -> None:
    """Everything that lives at the engine's pace, or at the playback's."""
    playback.turn(client)
    live.head(client, place.node, ["right click, double click, long press or Enter goes in"])
    if place.asked:
        blocks.show(blocks.state_box(
            "wrong_location", "This element does not exist",
            f"The link asked for “{place.asked[:80]}”.",
            f"Shown instead: {client.topology.names[place.node]}, its nearest known parent."))
    tools.above(client, place.node)
    playback.bar(client)
    with st.container(key="scene_pair"):
        with st.container(key="scene_views"), parts.skeleton("space_views", view.SCENE_HEIGHT_PX):
            chosen_view.show(client, place.node)
        with st.container(key="scene_side"):
            details.show(client, place.node)
            alarms.show(client, place.node)


every_s = playback.pace_s(client, max(client.period_s, chosen.every_s))
st.fragment(scene_and_details, run_every=every_s, key=session.LIVE)()
export.menu(client, place.node)
aggregate.show(client, place.node)
trends.show(client, place.node, chosen.temperature)
