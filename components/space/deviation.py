"""The deviation map: every cell below a place as a square, by how far it is from its rack's
median or by its value; numbers under the pointer only. Its selection is the scene's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from components import blocks, describe, formats, scripted, session
from components.api_client import LocalClient
from components.space import alarms, extremes, filtering, ramps, settings, squares
from components.space.mirror import mirror
from components.space.panel import took
from components.space.settings import Settings
from components.space.squares import Squares
from components.tokens import tokens
from core.topology import Topology
from core.vocabulary import BY_NAME

MAP = "space_map"
SCRIPT = Path(__file__).with_name("deviation.js")
AWAY = "deviation"
INKS = ("text", "text3", "stale", "alarm")


def show(client: LocalClient, node: int) -> None:
    """The map of a place that has parts, with its choice of quantity and its legend."""
    topology = client.topology
    with st.container(key="panel_map", gap="xsmall"):
        metric, paint = _choice()
        shown = squares.squares(topology, node, _depth())
        if shown.cells.size > squares.MOST_CELLS:
            _too_many(topology, node, shown)
        else:
            _map(client, node, shown, metric, paint)


def _depth() -> int:
    """At least two levels, blocks and squares."""
    chosen = settings.current().depth
    return max(chosen, 2) if chosen else 0


def _choice() -> tuple[str, str]:
    """A metric, and whether its deviation is shown or its value."""
    chosen = settings.current()
    with st.container(key="space_map_tools", horizontal=True, vertical_alignment="center"):
        metric = _control("map", "Map of", settings.MAPS, chosen.map or _metric_of_scene(chosen),
                          lambda name: BY_NAME[name].label)
        paint = _control("map_kind", "Coloured by", settings.MAP_KINDS, chosen.map_kind,
                         str.capitalize)
    return metric, paint


def _control(field: str, label: str, options: tuple[str, ...], value: str,
             words: Callable[[str], str]) -> str:
    shown = mirror(field, value)
    chosen: str = st.segmented_control(
        label, options, default=shown.default, required=True, format_func=words, key=shown.key,
        on_change=partial(took, field), label_visibility="collapsed")
    return chosen


def _metric_of_scene(chosen: Settings) -> str:
    """What the scene is coloured by, where the map has it too."""
    colour = chosen.colour.removeprefix("deviation_")
    return colour if colour in settings.MAPS else settings.MAPS[0]


def _too_many(topology: Topology, node: int, shown: Squares) -> None:
    blocks.show(blocks.state_box(
        "grid_off", f"{formats.number(shown.cells.size)} squares are too many for one map",
        f"{describe.name(topology, node)} has {describe.counted_children(topology, node)}; a map "
        f"shows {formats.number(squares.MOST_CELLS)} squares at most.",
        "Go into one of them, or choose fewer levels."))


def _map(client: LocalClient, node: int, shown: Squares, metric: str, paint: str) -> None:
    topology, snapshot, chosen = client.topology, client.snapshot(), settings.current()
    found = {name: squares.painted(topology, snapshot, node, shown, by, chosen)
             for name, by in (("value", metric), ("away", f"deviation_{metric}"))}
    table = squares.wire(topology, snapshot, shown.cells, found["value"][0], found["away"][0],
                         alarms.fresh_mask(client), filtering.matches(client, shown.cells))
    meta = {**_place(topology, node, shown), **_colours(found, paint == AWAY),
            "beside": squares.beside(topology, shown.cells),
            "alt": f"Map of {BY_NAME[metric].label.lower()}, "
                   f"{formats.counted(shown.cells.size, 'square')}: arrow keys move, Enter "
                   "selects, Enter again goes in. The table shows the same elements."}
    result = scripted.component("orrery.space.map", SCRIPT)(
        key=MAP, height="content", data={"meta": meta, "cells": table},
        on_picked_change=partial(_pick, client, node, _depth()), on_entered_change=_nothing)
    target = _target(topology, node, _depth(), getattr(result, "entered", None))
    if target is not None and not topology.is_leaf(target):
        session.go_to(topology, target)


def _nothing() -> None:
    """Streamlit hands over a trigger only when a callback is named."""


def _place(topology: Topology, node: int, shown: Squares) -> dict[str, Any]:
    """Where it is, its blocks and what is selected; JSON-able."""
    named = shown.groups.size > 1 or int(shown.groups[0]) != node
    selected = session.selected_node(topology, node)
    return {
        "place": _name_of(topology, node, _depth()), "count": int(shown.cells.size),
        "groups": [{"name": extremes.tight(topology, node, group) if named else "",
                    "count": count}
                   for group, count in zip(shown.groups.tolist(), shown.counts.tolist(),
                                           strict=True)],
        "selected": shown.row(selected), "group": shown.block(selected),
    }


def _name_of(topology: Topology, node: int, depth: int) -> str:
    """So that a press that comes late is not taken for one in another map."""
    return f"{topology.ids[node]} {depth}"


def _colours(found: Mapping[str, tuple[Any, Any]], away: bool) -> dict[str, Any]:
    theme = "light" if st.context.theme.type == "light" else "dark"
    one, inks = found["away" if away else "value"][1], tokens(theme)
    units = {name: {"unit": colour["unit"], "decimals": colour["decimals"]}
             for name, (_, colour) in found.items()}
    return {
        "paint": "away" if away else "value", "units": units, "low": one["low"],
        "high": one["high"], "ink": {name: inks[name] for name in INKS},
        "ramp": ramps.ramp(one["by"], one["kind"], settings.current().palette, theme),
    }


def _pick(client: LocalClient, node: int, depth: int) -> None:
    """Callback: what was pressed; all of it came over the wire (law 11)."""
    topology = client.topology
    target = _target(topology, node, depth, getattr(st.session_state[MAP], "picked", None))
    if target is not None:
        session.select(topology.ids[target])
        st.rerun([session.LIVE, session.TRENDS])


def _target(topology: Topology, node: int, depth: int, told: object) -> int | None:
    """The element of {"place", "row"} or {"place", "group"}; None for one of another place."""
    if not isinstance(told, Mapping) or told.get("place") != _name_of(topology, node, depth):
        return None
    shown = squares.squares(topology, node, depth)
    for name, nodes in (("row", shown.cells), ("group", shown.groups)):
        at = told.get(name)
        if isinstance(at, int | float) and 0 <= at < nodes.size:
            return int(nodes[int(at)])
    return None
