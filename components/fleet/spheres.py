"""The packs of a site as spheres: the viewer of the Space Balls page, smaller."""

from __future__ import annotations

import orrery_spheres
import streamlit as st
from orrery_spheres import SceneMeta

from components import blocks, session
from components.api_client import LocalClient
from components.fleet import choice
from components.fleet.board import AGAIN
from components.space import alarms, items
from components.space.settings import FACTORY

SCENE = "fleet_spheres"
HEIGHT_PX = 560


def show(client: LocalClient) -> None:
    """One sphere a pack of the site that is looked at; a press opens the pack beside it."""
    if st.session_state.pop(AGAIN, False):
        st.rerun()
    sites = _sites(client)
    if not sites:
        blocks.show(blocks.state_box("bubble_chart", "The packs are not in the tree yet"))
        return
    if not orrery_spheres.is_built():
        blocks.show(blocks.state_box("view_in_ar_off", "The viewer's bundle is missing",
                                     do="`make setup` builds it."))
        return
    node = list(sites)[choice.site(list(sites.values()))]
    drawn = items.scene(client.topology, client.snapshot(), node, FACTORY,
                        alarms.fresh_mask(client))
    result = orrery_spheres.spheres(
        drawn.table, _meta(client, node), key=SCENE, height=HEIGHT_PX, on_selected=_select,
        on_drill=_nothing)
    drill = getattr(result, "drill", None)
    if isinstance(drill, str) and drill in client.topology.index_of_id:
        session.open_place(client.topology, client.topology.index(drill))


def _sites(client: LocalClient) -> dict[int, str]:
    """The elements that packs hang on, each with its site."""
    topology = client.topology
    nodes = ((topology.index_of_id.get(pack.element), pack.site) for pack in client.packs())
    return {int(topology.parent[node]): site for node, site in nodes if node is not None}


def _meta(client: LocalClient, node: int) -> SceneMeta:
    topology = client.topology
    return {
        "path": topology.path_ids(node), "parent": items.parent_meta(topology, client.snapshot(),
                                                                     node),
        "level": topology.items_level(node), "no_drill_reason": items.why_no_drill(topology, node),
        "selected": choice.chosen() or None,
        "select_seq": st.session_state.get("fleet_select_seq", 0), "palette": "safe",
        "theme": "light" if st.context.theme.type == "light" else "dark", "label_cap": 64,
        "show_labels": True, "sign": "discharge", "reduced_motion": None}


def _select() -> None:
    chosen = st.session_state[SCENE].selected
    choice.choose(chosen if isinstance(chosen, str) else None)
    st.session_state[AGAIN] = True


def _nothing() -> None:
    """Streamlit hands over a trigger only when a callback is named."""
