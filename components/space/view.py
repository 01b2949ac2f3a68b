"""The scene of the Space Balls page: viewer, its events, and the fallback without it."""

from __future__ import annotations

import orrery_spheres
import streamlit as st
from orrery_spheres import SceneMeta

from components import blocks, formats, operator, session
from components.api_client import LocalClient
from components.space import alarms, fallback, items, playback, settings, tips, trails
from components.space.items import Scene
from core.topology import Topology

SCENE_KEY = "spheres"
SCENE_HEIGHT_PX = 620


def show(client: LocalClient, node: int) -> None:
    """What is below `node` as spheres around it."""
    failure = st.session_state.get("viewer_failure", "")
    if not orrery_spheres.is_built():
        failure = "The viewer's bundle is missing; `make setup` builds it."
    if failure:
        fallback.show(client, node, failure)
        return
    chosen = settings.current()
    drawn = items.scene(client.topology, client.snapshot(), node, chosen,
                        alarms.fresh_mask(client))
    with st.container(key="scene", gap=None):
        result = orrery_spheres.spheres(
            drawn.table, _meta(client, node, drawn), key=SCENE_KEY, height=SCENE_HEIGHT_PX,
            trails=trails.table(client, drawn.rows.nodes, chosen.trail),
            extremes=tips.table(drawn.rows, client.snapshot().frame, chosen.temperature),
            on_selected=_note_selection, on_drill=_nothing, on_up=_nothing, on_failed=_nothing,
            on_acknowledge=_nothing, on_playback=_nothing)
    if notes := _notes(drawn):
        blocks.show(blocks.note(" ".join(notes)))
    _act(client, node, result)


def _meta(client: LocalClient, node: int, drawn: Scene) -> SceneMeta:
    topology, snapshot, chosen = client.topology, client.snapshot(), settings.current()
    past = playback.past_meta(client)
    refused = alarms.NOT_LIVE if past is not None else operator.why_not(client)
    return {
        "path": topology.path_ids(node),
        "parent": items.parent_meta(topology, snapshot, node),
        "level": topology.items_level(node),
        "no_drill_reason": items.why_no_drill(topology, node),
        "selected": st.session_state.get("selected"),
        "select_seq": st.session_state.get("select_seq", 0),
        "palette": chosen.palette,
        "theme": "light" if st.context.theme.type == "light" else "dark",
        "label_cap": chosen.label_cap,
        "show_labels": chosen.show_labels,
        "sign": chosen.sign,
        "reduced_motion": None,
        "colour": drawn.colour,
        "layout": chosen.layout,
        "groups": drawn.groups,
        "past": past,
        "can_acknowledge": not refused,
        "acknowledge_reason": refused,
        "units": {"temperature": chosen.temperature},
        "match": drawn.match,
        "fly_to": st.session_state.get("fly_to"),
        "fly_seq": st.session_state.get("fly_seq", 0),
        "readings": tips.readings(chosen.temperature),
    }


def _notes(drawn: Scene) -> list[str]:
    """What a person cannot see in the picture: what was left out, and what matched how."""
    found = []
    rows = drawn.rows
    if rows.left_out:
        found.append(f"{formats.number(rows.left_out)} elements further in are not drawn: a scene "
                     f"holds {formats.number(items.MOST)}. Go into one to see what is inside.")
    if drawn.match is not None:
        found.append("An element matches by its own values, not by those of its parts.")
    if drawn.inside:
        found.append(f"{formats.counted(drawn.inside, 'element')} further in match too: show more "
                     "levels.")
    if drawn.undivided:
        found.append(f"{formats.counted(drawn.undivided, 'element')} left out: there the filter "
                     "divides by zero, and so says nothing.")
    return found


def _note_selection() -> None:
    chosen = st.session_state[SCENE_KEY].selected
    st.session_state["selected"] = chosen if isinstance(chosen, str) else None
    st.rerun([session.LIVE, session.TRENDS])


def _nothing() -> None:
    """Streamlit hands over a trigger only when a callback is named."""


def _act(client: LocalClient, node: int, result: object) -> None:
    """Triggers came over the wire: an id is one of this place or nothing (law 11)."""
    topology = client.topology
    drill, failed = getattr(result, "drill", None), getattr(result, "failed", None)
    if isinstance(failed, str) and failed:
        st.session_state["viewer_failure"] = failed
        st.rerun()
    asks = getattr(result, "acknowledge", None)
    if isinstance(asks, str):
        alarms.acknowledge_from_scene(client, asks)
    if getattr(result, "playback", None):
        playback.toggle(client)
    target = _inside(topology, node, drill)
    if target is not None and not topology.is_leaf(target):
        session.go_to(topology, target)
    if getattr(result, "up", None) and node:
        session.go_to(topology, int(topology.parent[node]))


def _inside(topology: Topology, node: int, asked: object) -> int | None:
    """The element of that id, where it is below `node`."""
    if not isinstance(asked, str) or asked not in topology.index_of_id:
        return None
    target = topology.index(asked)
    return target if session.is_below(topology, target, node) else None
