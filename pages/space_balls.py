"""Space Balls: fly from the grid connection down to one cell, now or at any time of history."""

import streamlit as st

from components import blocks, frame, live, parts, session, trends
from components.space import (
    aggregate,
    alarms,
    details,
    deviation,
    export,
    playback,
    settings,
    table,
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
            views()
        with st.container(key="scene_side"):
            details.show(client, place.node)
            alarms.show(client, place.node)


def views() -> None:
    """The scene, with the map beside it, or the table instead."""
    shown = settings.current().show
    if client.topology.is_leaf(place.node):
        view.nothing_below(client, place.node)
    elif shown == "table":
        table.show(client, place.node)
    else:
        view.show(client, place.node)
        if shown == "map":
            deviation.show(client, place.node)


every_s = playback.pace_s(client, max(client.period_s, chosen.every_s))
st.fragment(scene_and_details, run_every=every_s, key=session.LIVE)()
export.menu(client, place.node)
aggregate.show(client, place.node)
trends.show(client, place.node)
