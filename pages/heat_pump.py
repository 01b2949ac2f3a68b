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
    st.stop()

parts.live(now.head, "pump_head", choice.HEAD_S, client, device)
with st.container(key="pump_tools", horizontal=True, vertical_alignment="bottom"):
    shown = choice.chosen_window(client)
    refresh_s = choice.refresh_s(shown)
    if st.button("Refresh", icon=":material/refresh:", key="pump_now"):
        st.toast("Drawn anew.", icon=":material/refresh:")
    record.data_tool(client, device, shown)
    connect.tool(client)

parts.live(cards.show, "pump_numbers", refresh_s, client, device, shown)
cards.formulas(device)
parts.live(now.picture, "pump_picture", choice.HEAD_S, client, device)
parts.live(energy.show, "pump_energy", refresh_s, client, device, shown)
parts.live(energy.runtime, "pump_runtimes", refresh_s, client, device, shown)
parts.live(trends.show, "pump_seven_temperatures", refresh_s, client, device, shown)
parts.live(trends.pairs, "pump_performance_power_and_valve", refresh_s, client, device, shown)
parts.live(beyond.show, "pump_findings", choice.slow_s(refresh_s), client, device, shown)
parts.live(record.show, "pump_events", refresh_s, client, device, shown)
record.about(device)
