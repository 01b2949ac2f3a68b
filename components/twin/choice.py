"""Which pack is looked at, and in which order all are; the address remembers it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from components import wished
from components.api_client import Client
from core.topology import Topology

TWIN = "pages/digital_twin.py"
PACK, SORT, FIND, SHOW, SCREEN = "pack", "twin_sort", "twin_find", "twin_show", "twin_screen"
SORTS = {"worst": "Worst first", "health": "Health", "fade": "Fade", "resistance": "Resistance",
         "residual": "Residual", "life": "Life left", "known": "Data", "name": "Name"}
SHOWS = {"doubted": "Doubted", "judged": "Judged"}


@dataclass(frozen=True, slots=True)
class Wish:
    """find: in names and ids; show: keys of SHOWS; sort: of SORTS."""

    find: str = ""
    show: tuple[str, ...] = ()
    sort: str = "worst"


def tools() -> Wish:
    find = st.text_input("Find", key=FIND, placeholder="Find a pack", max_chars=60, width=160,
                         label_visibility="collapsed", icon=":material/search:",
                         bind="query-params", on_change=_first_screen)
    show = st.pills("Show", list(SHOWS), format_func=SHOWS.__getitem__, key=SHOW,
                    selection_mode="multi", label_visibility="collapsed", bind="query-params",
                    on_change=_first_screen)
    wished.give(SORT)
    sort = st.selectbox("Sort", list(SORTS), format_func=SORTS.__getitem__, key=SORT, width=150,
                        label_visibility="collapsed", bind="query-params",
                        on_change=_first_screen)
    return Wish(find or "", tuple(show or ()), sort or "worst")


def _first_screen() -> None:
    st.session_state[SCREEN] = 0


def screen() -> int:
    """Number of the screen of rows, from 0."""
    return int(st.session_state.get(SCREEN, 0))


def go_to(wanted: int) -> None:
    st.session_state[SCREEN] = wanted


def sort_by(what: str) -> None:
    """For callbacks."""
    if what in SORTS:
        wished.ask(SORT, what)
        _first_screen()


def asked() -> str:
    """What the address names, "" where it names none."""
    return st.query_params.get(PACK, "")


def choose(pack: str | None) -> None:
    """Open a pack, or all of them."""
    if pack is None:
        st.query_params.pop(PACK, None)
    else:
        st.query_params[PACK] = pack[:200]


def chosen(client: Client) -> str | None:
    """The pack that the address names: of an element above it or of a cell the nearest; None for
    a name that is of no pack."""
    topology = client.topology
    node = topology.index_of_id.get(asked())
    return None if node is None else pack_at(client, topology, node)


def pack_at(client: Client, topology: Topology, node: int) -> str | None:
    """The twin's pack that an element is, or is a cell of; None for any other."""
    for one in (node, int(topology.parent[node])):
        if one > 0 and client.twin_has(topology.ids[one]):
            return topology.ids[one]
    return None


def open_pack(pack: str) -> None:
    """From any page."""
    st.switch_page(TWIN, query_params={PACK: pack})


def button(client: Client, node: int, key: str) -> None:
    """The way to the twin of an element, where it has one."""
    pack = pack_at(client, client.topology, node)
    if pack is not None and st.button("Digital twin", key=key, icon=":material/model_training:",
                                      width="stretch"):
        open_pack(pack)
