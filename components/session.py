"""Where a person is: `session_state` holds the drill-down path, the address bar mirrors it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from components.api_client import Client
from core.paths import nearest_node
from core.topology import Topology

SPACE_BALLS = "pages/space_balls.py"
PATH_PARAMETER = "path"
LIVE, TRENDS = "live_scene", "trends"


@dataclass(frozen=True, slots=True)
class Place:
    """node: where the person is. asked: the id of a link that does not exist, else ""."""

    node: int
    asked: str = ""


def note_page(page: str) -> None:
    """Remember which page this run draws and which one the run before drew."""
    st.session_state["page_before"] = st.session_state.get("page_now")
    st.session_state["page_now"] = page


def view_path() -> list[str]:
    """Ids from the top."""
    path: list[str] = st.session_state.setdefault("view_path", [])
    return path


def place_in_session(topology: Topology) -> int:
    """Node of the session's path; a path that a changed site no longer has gives its rest."""
    path = view_path()
    return nearest_node(topology, path[-1]) if path else 0


def follow_address(client: Client) -> Place:
    """Place after a link, browser's back or forward, a reload, or a page change."""
    topology = client.topology
    asked = st.query_params.get(PATH_PARAMETER)
    came_by_navigation = st.session_state.get("page_before") != st.session_state.get("page_now")
    if asked is None and came_by_navigation and view_path():
        node = place_in_session(topology)
        _write(topology, node)
    elif asked != st.session_state.get("linked") or asked is None:
        node = nearest_node(topology, asked or "")
        _remember(topology, node)
        st.session_state["linked"] = asked
    else:
        node = place_in_session(topology)
    missing = asked if asked and topology.ids[node] != asked else ""
    return Place(node, missing)


def open_place(topology: Topology, node: int) -> None:
    """Go to an element from any page."""
    if st.session_state.get("page_now") == page_name(SPACE_BALLS):
        go_to(topology, node)
    _remember(topology, node)
    address = {PATH_PARAMETER: topology.ids[node]} if node else {}
    st.session_state["linked"] = address.get(PATH_PARAMETER)
    st.switch_page(SPACE_BALLS, query_params=address)


def open_element(topology: Topology, node: int) -> None:
    """Show an element among its neighbours, selected: the way to a cell that is in alarm."""
    _remember(topology, int(topology.parent[node]))
    select(topology.ids[node])
    st.session_state["fly_to"] = topology.ids[node]
    st.session_state["fly_seq"] = st.session_state.get("fly_seq", 0) + 1
    open_place(topology, int(topology.parent[node]))


def page_name(file: str) -> str:
    """The address of a page file."""
    return file.rpartition("/")[2].removesuffix(".py")


def go_to(topology: Topology, node: int) -> None:
    """Change the place and the address, and draw the whole page anew."""
    set_place(topology, node)
    st.rerun()


def set_place(topology: Topology, node: int) -> None:
    """Change the place without drawing: for callbacks."""
    _remember(topology, node)
    _write(topology, node)


def _remember(topology: Topology, node: int) -> None:
    path = topology.path_ids(node)
    if path != st.session_state.get("view_path"):
        st.session_state["view_path"] = path
        select(None)


def _write(topology: Topology, node: int) -> None:
    if node:
        st.query_params[PATH_PARAMETER] = topology.ids[node]
        st.session_state["linked"] = topology.ids[node]
    else:
        st.query_params.pop(PATH_PARAMETER, None)
        st.session_state["linked"] = None


def selected_node(topology: Topology, place: int) -> int | None:
    """The selected element below `place`, if any."""
    chosen = st.session_state.get("selected")
    if chosen is None or chosen not in topology.index_of_id:
        return None
    node = topology.index(chosen)
    return node if is_below(topology, node, place) else None


def is_below(topology: Topology, node: int, place: int) -> bool:
    """At any depth; no element is below itself."""
    return node != place and (place == 0 or place in topology.path(node))


def select(node_id: str | None) -> None:
    """Select from Python: the viewer follows because the sequence number rises."""
    st.session_state["selected"] = node_id
    st.session_state["select_seq"] = st.session_state.get("select_seq", 0) + 1
