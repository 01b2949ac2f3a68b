"""The alarms of a place on the Space Balls page: which elements wait for somebody, a short list
with the way to each, and acknowledging from the scene. They are those of the Alarms page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import blocks, describe, formats, operator, session
from components.alarms import actions, choice, words
from components.api_client import LocalClient
from components.blocks import Html
from core.alarms.records import Instance
from core.alarms.states import ALARMED, ASKING, State
from core.ids import beside, is_below
from core.topology import Topology

ROWS = 5
ALARMS = "pages/alarms.py"
NOT_LIVE = "Alarms are acknowledged as they are now: go back to live first."


def fresh_mask(client: LocalClient) -> NDArray[np.bool_]:
    """Which elements have an alarm at or below them that nobody has acknowledged, bool[n]."""
    topology = client.topology
    found = np.zeros(topology.size, dtype=bool)
    nodes = np.unique(np.array(_fresh_nodes(client), dtype=np.int64))
    while nodes.size:
        found[nodes] = True
        nodes = np.unique(topology.parent[nodes[nodes > 0]])
    return found


def _fresh_nodes(client: LocalClient) -> list[int]:
    """Of the moment that is shown; what is gone has no ring, though it may still ask."""
    index = client.topology.index_of_id
    return [index[one.element] for one in client.journal.instances()
            if one.state in ASKING and one.state is not State.RETURNED and one.element in index]


def asking_below(client: LocalClient, node: int) -> list[Instance]:
    """What waits for an acknowledgement at an element or below it."""
    return [one for one in _below(client, node) if one.state in ASKING]


def _below(client: LocalClient, node: int) -> list[Instance]:
    """The worst first, then the newest."""
    place = client.topology.ids[node] if node else choice.EVERYWHERE
    others = beside(client.topology, place)
    found = [one for one in client.journal.instances()
             if one.state in ALARMED and is_below(one.element, place, others)]
    return sorted(found, key=lambda one: (-one.severity, -one.began.timestamp(), one.key))


def acknowledge_from_scene(client: LocalClient, node_id: str) -> None:
    """What the viewer's event asks for: one alarm at once, several after a look at how many. Says
    in a toast why not."""
    topology = client.topology
    if node_id not in topology.index_of_id:
        return
    refused = _why_not(client)
    asking = [] if refused else asking_below(client, topology.index(node_id))
    if not asking:
        _toast(refused or "No alarm here waits for an acknowledgement.")
    elif len(asking) == 1:
        _acknowledge(client, asking)
    else:
        _confirm(client, asking)


def _why_not(client: LocalClient) -> str:
    """Why nothing can be acknowledged here and now; "" when it can."""
    return NOT_LIVE if client.past is not None else operator.why_not(client)


def _acknowledge(client: LocalClient, about: Sequence[Instance]) -> None:
    """Also a callback."""
    said = actions.acknowledged(client, about)
    _toast(" ".join([said.done, *said.refused]).strip())


def _confirm(client: LocalClient, asking: Sequence[Instance]) -> None:
    st.dialog("Acknowledge alarms", icon=":material/done_all:")(actions.confirm_all)(
        client, asking)


def _toast(text: str) -> None:
    if text:
        st.toast(blocks.markdown(text), icon=":material/notifications:")


def show(client: LocalClient, node: int) -> None:
    """The worst alarms at and below a place, now or at the moment that is played back; nothing
    where there are none."""
    with st.container(key="space_alarms", gap="xsmall"):
        _list(client, node)


def _list(client: LocalClient, node: int) -> None:
    below = _below(client, node)
    if not below:
        return
    asking = [one for one in below if one.state in ASKING]
    why = _why_not(client)
    with st.container(key="space_alarms_head", horizontal=True, vertical_alignment="center"):
        told = f"{formats.number(len(asking))} unacknowledged" if asking else "all acknowledged"
        blocks.show(blocks.heading(formats.counted(len(below), "alarm") + " here", told))
        if len(asking) > 1 and st.button(
                f"Acknowledge all {formats.number(len(asking))}", icon=":material/done_all:",
                key="space_together", disabled=bool(why), help=why or None):
            _confirm(client, asking)
    for one in below[:ROWS]:
        _row(client, node, one, why)
    _rest(client.topology, node, len(below))


def _row(client: LocalClient, place: int, one: Instance, why: str) -> None:
    """What it is, the way there, and the acknowledgement."""
    name = words.short(client.topology, one.key)
    with st.container(key=f"space_alarm_{one.element}_{one.condition}", gap=None):
        blocks.show(row(client, place, one))
        if one.state in ASKING:
            st.button(blocks.markdown(f"Acknowledge {name}"), icon=":material/check:",
                      key=f"space_ack_{one.element}_{one.condition}", disabled=bool(why),
                      help=why or "Acknowledge", on_click=_acknowledge, args=(client, [one]))
        _jump(client.topology, one.element, one.condition, name)


def row(client: LocalClient, place: int, one: Instance) -> Html:
    """Severity and age, where, what, and its state."""
    tier = f" t{one.severity}" if one.on and one.severity > 1 else ""
    where = _where(client.topology, place, one.element)
    lines = (("nm", where), ("", words.what_of(one)),
             ("mut", words.state(one, st.context.timezone)))
    told = "".join(f'<div class="{look}">{blocks.html(text)}</div>' for look, text in lines)
    return Html(f'<div class="o o-al{tier}"><div>{blocks.tier_pill(one.severity)}'
                f'<span class="mut">{words.since(one, client.now())}</span></div>{told}</div>')


def _where(topology: Topology, place: int, element: str) -> str:
    """As seen from the place: "Module 3 · Cell 15"."""
    node = topology.index_of_id.get(element, -1)
    seen = describe.below(topology, place, node) if node > 0 else ""
    return seen or words.place(topology, element)


def _jump(topology: Topology, element: str, condition: str, name: str) -> None:
    node = topology.index_of_id.get(element, 0)
    if node and st.button(blocks.markdown(f"Go to {name}"), icon=":material/my_location:",
                          key=f"space_jump_{element}_{condition}", help="Go there"):
        session.open_element(topology, node)


def _rest(topology: Topology, node: int, count: int) -> None:
    if count <= ROWS:
        return
    if st.button(f"All {formats.number(count)} in the list of alarms", type="tertiary",
                 key="space_alarms_all", icon=":material/list:"):
        address = {choice.ELEMENT: topology.ids[node]} if node else {}
        st.switch_page(ALARMS, query_params=address)

