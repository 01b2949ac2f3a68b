"""The table twin of the scene: the same elements as rows, sorted and filtered, with the scene's
selection; for whoever does not see or cannot use the scene."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from components import blocks, describe, formats, scripted, session
from components.api_client import LocalClient
from components.space import filtering, rows, settings
from core.below import below
from core.topology import IndexArray, Topology

TABLE = "space_table"
SCRIPT = Path(__file__).with_name("table.js")
PAGE, FOLLOWED = "space_table_page", "space_table_followed"
ROWS, MOST_DIGITS = 50, 6


def show(client: LocalClient, node: int) -> None:
    """One screen of rows of what is below a place that has parts."""
    topology = client.topology
    every = below(topology, node, settings.current().depth).nodes
    matches = filtering.matches(client, every)
    nodes = every if matches is None else every[matches]
    if not nodes.size:
        blocks.show(blocks.state_box("filter_alt_off", "Nothing here matches the filter",
                                     f"{formats.number(every.size)} elements were looked at.",
                                     "Change the filter above."))
        return
    result = _draw(client, node, nodes, every.size)
    _enter(topology, node, getattr(result, "act", None))


def _draw(client: LocalClient, node: int, nodes: IndexArray, of: int) -> Any:
    topology, snapshot = client.topology, client.snapshot()
    table = rows.columns(topology, snapshot, node, nodes, settings.current())
    sort, down = _sorting([column.name for column in table])
    ranked = rows.order(next(one for one in table if one.name == sort), down)
    chosen = session.selected_node(topology, node)
    first = _page(topology.ids[node], rows.page_of(ranked, nodes, chosen, ROWS), chosen,
                  rows.pages(nodes.size, ROWS)) * ROWS
    shown = ranked[first:first + ROWS].tolist()
    return scripted.component("orrery.space.table", SCRIPT)(
        key=TABLE, height="content", on_act_change=partial(_act, client, node),
        data={"place": topology.ids[node], "columns": [column.head for column in table],
              "rows": [rows.line(topology, snapshot, table, nodes, at) for at in shown],
              "sort": sort, "down": down, "first": first, "size": ROWS, "total": int(nodes.size),
              "chosen": None if chosen is None else topology.ids[chosen],
              "caption": _caption(topology, node, nodes.size, of),
              "count": f"{formats.number(first + 1)} to {formats.number(first + len(shown))} of "
                       f"{formats.number(nodes.size)}"})


def _caption(topology: Topology, node: int, count: int, of: int) -> str:
    what = formats.counted(count, "element")
    left = "" if count == of else f" of {formats.number(of)} that match the filter"
    return f"{what}{left} below {describe.name(topology, node)}"


def _sorting(names: list[str]) -> tuple[str, bool]:
    """Column, and whether the largest come first; one that was chosen away is no longer sorted
    by."""
    sort = settings.current().sort
    name = sort.removeprefix("-")
    return (name, sort != name) if name in names else (rows.ALARMS, True)


def _page(place: str, of_chosen: int, chosen: int | None, pages: int) -> int:
    """The page that a person turned to; that of the selection, when it has changed elsewhere."""
    followed = (place, chosen)
    turned_at, page = st.session_state.get(PAGE, (place, 0))
    if st.session_state.get(FOLLOWED) != followed:
        st.session_state[FOLLOWED] = followed
        page = of_chosen if of_chosen >= 0 else page
    page = min(page, pages - 1) if turned_at == place else max(of_chosen, 0)
    st.session_state[PAGE] = place, page
    return page


def _act(client: LocalClient, node: int) -> None:
    """Callback: what was pressed in the table; all of it came over the wire (law 11)."""
    topology = client.topology
    kind, what = _told(topology, node, getattr(st.session_state[TABLE], "act", None))
    if kind == "sort":
        _sort_by(what)
    elif kind == "page" and what.isdecimal() and len(what) <= MOST_DIGITS:
        st.session_state[PAGE] = topology.ids[node], int(what)
    elif kind == "pick" and what in topology.index_of_id:
        session.select(what)
        st.session_state[FOLLOWED] = topology.ids[node], topology.index(what)
        st.rerun([session.LIVE, session.TRENDS])


def _told(topology: Topology, node: int, act: object) -> tuple[str, str]:
    """Kind and id; empty for what is no action of this place."""
    if not isinstance(act, Mapping) or act.get("place") != topology.ids[node]:
        return "", ""
    kind, what = act.get("kind"), act.get("id")
    return (kind, what) if isinstance(kind, str) and isinstance(what, str) else ("", "")


def _sort_by(sort: str) -> None:
    if sort.removeprefix("-") in settings.SORTS:
        settings.change(sort=sort)
        place, _ = st.session_state.get(PAGE, ("", 0))
        st.session_state[PAGE] = place, 0


def _enter(topology: Topology, node: int, act: object) -> None:
    kind, what = _told(topology, node, act)
    if kind == "enter" and what in topology.index_of_id:
        target = topology.index(what)
        if not topology.is_leaf(target) and session.is_below(topology, target, node):
            session.go_to(topology, target)
