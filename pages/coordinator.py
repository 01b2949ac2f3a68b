"""Coordinator: what the fleet does now and next, why, what it earns, and who decides."""

import streamlit as st

from components import frame, operator, parts
from components.coordinator import (
    choice,
    deploying,
    export,
    head,
    orders,
    packs,
    plan,
    policies,
    training,
    wishes,
)

client = frame.enter()
known = choice.coordination(client)
if known is None:
    head.nothing(client)
    frame.stop_here()

site = choice.site(known)
parts.live(head.show, "coordinator_head", 2.0, client, site)
with st.container(key="coordinator_tools", horizontal=True, gap="xsmall",
                  vertical_alignment="center"):
    room = choice.tools(known, site)
    orders.tools(client, known, site)
    export.menu(client, site, room)
    operator.sign_in_button(client)

if room == choice.PLAN:
    parts.live(plan.show, "coordinator_plan", 10.0, client, site)
elif room == choice.PACKS:
    parts.live(packs.show, "coordinator_packs", 5.0, client, site)
elif room == choice.OBJECTIVES:
    parts.guarded("Objectives", wishes.show, client, site)
else:
    parts.live(training.show, "coordinator_training", 5.0, client)
    parts.guarded("Deployment", deploying.tools, client, site)
    parts.live(policies.show, "coordinator_policies", 3.0, client, site)
