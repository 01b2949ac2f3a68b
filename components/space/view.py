"""The scene of the Space Balls page: viewer, its events, and the fallback without it."""

from __future__ import annotations

import orrery_spheres
import streamlit as st
from orrery_spheres import SceneMeta

from components import blocks, session
from components.api_client import Client
from components.space import fallback, items

SCENE_KEY = "spheres"
SCENE_HEIGHT_PX = 620


def show(client: Client, node: int) -> None:
    """The children of `node` as spheres around it."""
    failure = st.session_state.get("viewer_failure", "")
    if not orrery_spheres.is_built():
        failure = "The viewer's bundle is missing; `make setup` builds it."
    if failure:
        fallback.show(client, node, failure)
        return
    topology, snapshot = client.topology, client.snapshot()
    with st.container(key="scene", gap=None):
        result = orrery_spheres.spheres(
            items.items_table(topology, snapshot, node), _meta(client, node),
            key=SCENE_KEY, height=SCENE_HEIGHT_PX, on_selected=_note_selection,
            on_drill=_nothing, on_up=_nothing, on_failed=_nothing)
    _act(client, node, result)


def _meta(client: Client, node: int) -> SceneMeta:
    topology, snapshot = client.topology, client.snapshot()
    return {
        "path": topology.path_ids(node),
        "parent": items.parent_meta(topology, snapshot, node),
        "level": topology.items_level(node),
        "no_drill_reason": items.why_no_drill(topology, node),
        "selected": st.session_state.get("selected"),
        "select_seq": st.session_state.get("select_seq", 0),
        "palette": "safe",
        "theme": "light" if st.context.theme.type == "light" else "dark",
        "label_cap": st.session_state.get("label_cap", 64),
        "show_labels": st.session_state.get("show_labels", True),
        "sign": "discharge",
        "reduced_motion": None,
    }


def _note_selection() -> None:
    chosen = st.session_state[SCENE_KEY].selected
    st.session_state["selected"] = chosen if isinstance(chosen, str) else None
    st.rerun([session.LIVE, session.TRENDS])


def _nothing() -> None:
    """Streamlit hands over a trigger only when a callback is named."""


def _act(client: Client, node: int, result: object) -> None:
    topology = client.topology
    drill, failed = getattr(result, "drill", None), getattr(result, "failed", None)
    if isinstance(failed, str) and failed:
        st.session_state["viewer_failure"] = failed
        st.rerun()
    if isinstance(drill, str) and drill in topology.index_of_id:
        target = topology.index(drill)
        if int(topology.parent[target]) == node and not topology.is_leaf(target):
            session.go_to(topology, target)
    if getattr(result, "up", None) and node:
        session.go_to(topology, int(topology.parent[node]))


def nothing_below(client: Client, node: int) -> None:
    """In place of the scene when an element has no parts."""
    topology = client.topology
    note = topology.notes.get(topology.ids[node], "")
    blocks.show(blocks.state_box("block", f"{topology.names[node]} has no parts",
                                 note or "It is the last level.", "Go up to see its neighbours.",
                                 height_px=SCENE_HEIGHT_PX // 2))

