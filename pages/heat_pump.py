"""Heat pump: whether it runs, how well, whether the water is warm, and why not."""

import streamlit as st

from components import frame, parts
from components.house import connect
from components.pump import beyond, cards, choice, energy, now, record, trends

client = frame.enter()
device = choice.pump(client)
if device is None:
    now.nothing()
    connect.tool(client)
    frame.stop_here()

parts.live(now.head, "pump_head", choice.HEAD_S, client, device)
with st.container(key="pump_tools", horizontal=True, vertical_alignment="bottom"):
    shown = choice.chosen_window(client)
    refresh_s = choice.refresh_s(shown)
    if st.button("Refresh", icon=":material/refresh:", key="pump_now"):
        st.toast("Drawn anew.", icon=":material/refresh:")
    record.data_tool(client, device, shown)
    connect.tool(client)

parts.live_all(
    {"Numbers": cards.show, "Picture": now.picture, "Findings": beyond.findings_of,
     "Energy": energy.show, "Runtimes": energy.runtime, "Temperatures": trends.show,
     "Performance, power and valve": trends.pairs, "Events": record.show},
    "pump_charts", refresh_s, client, device, shown)
parts.live(beyond.show, "pump_comparison", choice.slow_s(refresh_s), client, device, shown)
cards.formulas(device)
record.about(device)
