"""Energy Monitor: a house's battery that can be believed, its solar, load and grid."""

import streamlit as st

from components import frame, parts
from components.house import (
    choice,
    comparison,
    connect,
    normal,
    now,
    outlook,
    totals,
    trends,
)

client = frame.enter()
house = choice.house(client)
if house is None:
    now.nothing()
    connect.tool(client)
    frame.stop_here()

parts.live(now.head, "house_head", choice.HEAD_S, client, house)
with st.container(key="house_tools", horizontal=True, vertical_alignment="center"):
    refresh_s = choice.refresh_s()
    connect.tool(client)

slow_s = choice.slow_s(refresh_s)
parts.live_all({"Now": now.moment, "Trends": trends.show}, "house_now", refresh_s, client, house)
parts.live_all({"Comparison": comparison.show, "Outlook": outlook.show, "Normal": normal.show,
                "Totals": totals.show}, "house_later", slow_s, client, house)
