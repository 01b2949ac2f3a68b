"""What a person looks at: filter, order, screen and pack; the address remembers it."""

from __future__ import annotations

import streamlit as st

from components import wished
from components.api_client import LocalClient
from components.fleet.standing import SORTS, STATES, Wish
from core.fleet.ports import PackState
from core.vocabulary import CHEMISTRIES

PACK, PAGE, SORT = "pack", "fleet_page", "sort"
ROWS, SPHERES = "Rows", "Spheres"


def tools(client: LocalClient) -> tuple[Wish, str]:
    """The filter, and whether rows or spheres are shown."""
    present = {pack.chemistry for pack in client.packs()}
    chemistries = [name for name in CHEMISTRIES if name in present]
    view = st.segmented_control("View", [ROWS, SPHERES], default=ROWS, required=True, key="view",
                                label_visibility="collapsed", bind="query-params") or ROWS
    off = view != ROWS
    text = st.text_input("Find", key="find", placeholder="Find a pack", max_chars=60,
                         label_visibility="collapsed", icon=":material/search:", width=135,
                         bind="query-params", on_change=_first_page, disabled=off)
    states = st.pills("State", list(STATES), format_func=STATES.__getitem__, key="state",
                      selection_mode="multi", label_visibility="collapsed", bind="query-params",
                      on_change=_first_page, disabled=off)
    kinds = st.pills("Chemistry", chemistries, key="chemistry", selection_mode="multi",
                     label_visibility="collapsed", bind="query-params",
                     on_change=_first_page, disabled=off) if len(chemistries) > 1 else []
    wished.give(SORT)
    sort = st.selectbox("Sort", list(SORTS), format_func=SORTS.__getitem__, key=SORT, width=150,
                        label_visibility="collapsed", bind="query-params", on_change=_first_page,
                        disabled=off)
    return Wish(text or "", tuple(states or ()), tuple(kinds or ()), sort or "alarms"), view


def _first_page() -> None:
    st.session_state[PAGE] = 0


def page() -> int:
    """Number of the screen of rows, from 0."""
    return int(st.session_state.get(PAGE, 0))


def go_to(screen: int) -> None:
    st.session_state[PAGE] = screen


def sort_by(name: str) -> None:
    """For callbacks."""
    if name in SORTS:
        wished.ask(SORT, name)
        _first_page()


def choose(element: str | None) -> None:
    """Open a pack beside the rows, or close it."""
    if element is None:
        st.query_params.pop(PACK, None)
    else:
        st.query_params[PACK] = element[:200]


def chosen() -> str:
    """What the address names as the open pack, "" where it names none."""
    return st.query_params.get(PACK, "")


def chosen_pack(client: LocalClient) -> PackState | None:
    """The pack that the address names; None for a name that no pack has."""
    asked = chosen()
    return next((pack for pack in client.packs() if pack.element == asked), None)


def site(names: list[str]) -> int:
    """Which of the sites is drawn as spheres; a choice only where there are several."""
    if len(names) < 2:
        return 0
    return int(st.selectbox("Site", range(len(names)), format_func=names.__getitem__, width=220,
                            key="fleet_scene_site", label_visibility="collapsed") or 0)
