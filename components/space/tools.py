"""Above the scene: the way up, what is shown, its colour, the filter; the other settings behind a
button, drawn only while they are open."""

from __future__ import annotations

from functools import partial
from html import escape

import streamlit as st

from components import blocks, session
from components.api_client import LocalClient
from components.blocks import Html
from components.space import filtering, panel, settings
from components.space.mirror import mirror, taken
from components.space.panel import took
from core.filter import FilterError
from core.paint import COLOURINGS

DEPTH_WORDS = {1: "1 level", 2: "2 levels", 3: "3 levels", 0: "All levels"}
VIEW_WORDS = {"scene": "Scene", "map": "Map", "table": "Table"}
EXAMPLE = "temperature > 45 and soc < 30"


def above(client: LocalClient, node: int) -> None:
    """The tools, and what of a filter or a link could not be used."""
    if st.session_state.pop(panel.WHOLE, False):
        st.rerun()
    with st.container(key="scene_tools", horizontal=True, vertical_alignment="center",
                      gap="small"):
        _up(client, node)
        _choices()
        _filter()
        _settings(client)
    _problems(client)


def _up(client: LocalClient, node: int) -> None:
    topology = client.topology
    if st.button("Back", icon=":material/arrow_upward:", key="up", disabled=node == 0,
                 help="One level up"):
        session.go_to(topology, int(topology.parent[node]))


def _choices() -> None:
    chosen = settings.current()
    view = mirror("show", chosen.show)
    st.segmented_control("View", settings.VIEWS, default=view.default, key=view.key,
                         required=True, format_func=VIEW_WORDS.__getitem__,
                         on_change=partial(took, "show"), label_visibility="collapsed")
    depth = mirror("depth", chosen.depth)
    st.selectbox("Levels shown", settings.DEPTHS, index=settings.DEPTHS.index(depth.default),
                 key=depth.key, width=116, format_func=DEPTH_WORDS.__getitem__,
                 on_change=partial(took, "depth"), label_visibility="collapsed",
                 filter_mode=None)
    colour = mirror("colour", chosen.colour)
    st.selectbox("Colour by", settings.COLOURS, index=settings.COLOURS.index(colour.default),
                 key=colour.key, width=236, format_func=lambda by: COLOURINGS[by].label,
                 on_change=_coloured, label_visibility="collapsed", filter_mode=None)


def _coloured() -> None:
    """Ends that a person fixed belong to the quantity that they were fixed for."""
    settings.change(colour=taken("colour"), scale="auto")


def _filter() -> None:
    shown = mirror("filter", settings.current().filter)
    with st.container(key="space_filter_box"):
        st.text_input("Filter", value=shown.default, key=shown.key, icon=":material/filter_alt:",
                      placeholder=f"Filter, such as {EXAMPLE}",
                      max_chars=settings.LONGEST_FILTER, on_change=partial(took, "filter"),
                      label_visibility="collapsed")


def _settings(client: LocalClient) -> None:
    looks = st.popover("", icon=":material/tune:", key="space_looks", on_change="rerun",
                       help="Settings of the scene")
    if looks.open:
        with looks:
            panel.show(client)


def _problems(client: LocalClient) -> None:
    wrong = filtering.asked(client.topology, settings.current())
    if isinstance(wrong, FilterError):
        blocks.show(_pointed(wrong))
    for problem in settings.problems():
        blocks.show(blocks.note(problem))


def _pointed(wrong: FilterError) -> Html:
    """The filter with a mark under the character that does not fit."""
    return Html('<div class="o o-note o-caret" role="status"><span>Nothing is filtered: '
                f"{escape(str(wrong))}</span><pre>{escape(wrong.caret)}</pre></div>")
