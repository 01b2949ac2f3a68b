"""Alarms: what is wrong, since when, who knows, and what was done about it."""

import streamlit as st

from components import frame, operator, parts
from components.alarms import choice, head, history, rates
from components.alarms import list as alarm_list

client = frame.enter()
parts.live(head.show, "alarms_head", 2.0, client)
with st.container(key="alarms_bar", horizontal=True, vertical_alignment="center"):
    view = choice.view()
    operator.sign_in_button(client, "page")
shown = choice.filters(client, view)

if view == choice.HISTORY:
    parts.live(history.show, "alarms_history", 15.0, client, shown)
elif view == choice.AUDIT:
    parts.live(history.audit, "alarms_audit", 15.0, client, shown)
else:
    alarm_list.follow_link(client, shown)
    parts.live(alarm_list.show, "alarms_list", 2.0, client, shown)
    parts.live(rates.show, "alarms_rates", 60.0, client)
