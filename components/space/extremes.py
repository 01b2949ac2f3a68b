"""The lowest and the highest cell below an element, each a press away: one small table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import blocks, describe, formats, session
from components.api_client import Client
from components.blocks import Html
from components.formats import MISSING, Text
from components.space import settings, units
from core.frames import Frame
from core.topology import Topology
from core.worst import Worst, worst

METRICS: tuple[tuple[str, str, str], ...] = (
    ("voltage_v", "Voltage", "voltage"), ("temperature_c", "Temp.", "temperature"),
    ("soc_pct", "SOC", "state of charge"))
ENDS = ("low", "high")
END_WORDS = {"low": "lowest", "high": "highest"}
NOTHING = Text(MISSING, "")
GOAL = "worst_goal"
PLAIN = 2
"""Names of so many levels are written in full."""


@dataclass(frozen=True, slots=True)
class Row:
    """worst: None where nothing is known, and of an element that is compared with itself alone.
    comparable: of one chemistry, so that their difference says something."""

    metric: str
    label: str
    words: str
    worst: Worst | None
    comparable: bool


def show(client: Client, node: int) -> None:
    """Of the parts below `node`; nothing for a leaf."""
    topology = client.topology
    if topology.is_leaf(node):
        return
    found = rows(topology, client.snapshot().frame, node)
    with st.container(key="worst", gap=None):
        blocks.show(table(topology, node, found, settings.current().temperature))
        with st.container(key="worst_hits", gap=None):
            _buttons(topology, found)


def rows(topology: Topology, frame: Frame, node: int) -> list[Row]:
    """In the order of METRICS."""
    found = []
    for metric, label, words in METRICS:
        one = worst(topology, frame, node, metric)
        alone = one is not None and one.low_node == node
        comparable = metric != "voltage_v" or is_of_one_chemistry(topology, node)
        found.append(Row(metric, label, words, None if alone else one, comparable))
    return found


def table(topology: Topology, node: int, found: list[Row], temperature: str = "C") -> Html:
    """Lowest, highest and their difference, with who has them; below it what was not told."""
    lines = "".join(_line(topology, node, row, temperature) for row in found)
    return Html('<div class="o o-worst"><div class="hd"><span></span><span>Lowest</span>'
                f"<span>Highest</span><span>Spread</span></div>{lines}</div>{_missing(found)}")


def short(topology: Topology, node: int, leaf: int) -> str:
    """Where `leaf` is as seen from `node`, in little room: "S1 · C0 · R2 · M0 · Cell 9". What
    has a name of its own keeps it."""
    below = _between(topology, node, leaf)
    if len(below) <= PLAIN:
        return describe.below(topology, node, leaf)
    return " · ".join([*(initial(topology, one) for one in below[:-1]),
                       describe.name(topology, leaf)])


def tight(topology: Topology, node: int, leaf: int) -> str:
    """ "S1·C0·R2·M0·C9": in the least room that still tells who it is."""
    below = _between(topology, node, leaf)
    if len(below) == 1:
        return describe.name(topology, leaf)
    return "·".join(initial(topology, one) for one in below)


def _between(topology: Topology, node: int, leaf: int) -> list[int]:
    """From below `node` to `leaf`; from the top where it is not below."""
    path = topology.path(leaf)
    return path[path.index(node) + 1 if node in path else 0:]


def initial(topology: Topology, node: int) -> str:
    name, level = describe.name(topology, node), topology.level_title(node)
    number = name.removeprefix(f"{level} ")
    return f"{level[0]}{number}" if number.isdecimal() else name


def is_of_one_chemistry(topology: Topology, node: int) -> bool:
    return bool(of_one_chemistry(topology)[node])


@lru_cache(maxsize=4)
def of_one_chemistry(topology: Topology) -> NDArray[np.bool_]:
    """Whether all leaves of an element are, bool[n]."""
    ranges = topology.leaf_ranges
    kinds = topology.chemistry[ranges.order]
    changes = np.append(0, np.cumsum(kinds[1:] != kinds[:-1]))
    alike: NDArray[np.bool_] = changes[ranges.start] == changes[ranges.stop - 1]
    return alike


def _line(topology: Topology, node: int, row: Row, temperature: str) -> str:
    one, cells, delta = row.worst, [], NOTHING
    if one is None:
        cells = [f"<span>{MISSING}</span>"] * 2
    else:
        ends = ((one.low, one.low_node), (one.high, one.high_node))
        cells = [f"<span>{blocks.html(units.reading(row.metric, value, temperature))}"
                 f"<small><span>{blocks.html(tight(topology, node, leaf))}</span></small></span>"
                 for value, leaf in ends]
        if row.comparable:
            delta = units.difference(row.metric, one.delta, temperature)
    return (f'<div class="ln"><span>{row.label}</span>{"".join(cells)}'
            f"<span>{blocks.html(delta)}</span></div>")


def _missing(found: list[Row]) -> str:
    told = []
    for row in found:
        if row.worst is None:
            told.append(row.words)
        elif row.worst.missing:
            every = formats.number(row.worst.missing + row.worst.known)
            told.append(f"{row.words} of {formats.number(row.worst.missing)} of {every}")
    return f'<div class="o o-note">Not told below: {", ".join(told)}</div>' if told else ""


def _buttons(topology: Topology, found: list[Row]) -> None:
    """A button without a face over each number. It leads to the cell that stood there when it
    was pressed, whoever is the worst by then."""
    for row in found:
        if row.worst is None:
            continue
        for end in ENDS:
            leaf = row.worst.low_node if end == "low" else row.worst.high_node
            where = blocks.markdown(describe.short_name(topology, leaf))
            st.button(f"Go to the {END_WORDS[end]} {row.words}: {where}",
                      key=f"worst_{row.metric}_{end}", on_click=note_goal,
                      args=(topology.ids[leaf],))


def note_goal(node_id: str) -> None:
    """For callbacks: the next run of the details goes there."""
    st.session_state[GOAL] = node_id


def follow_goal(topology: Topology) -> None:
    """Go where the last press wanted to."""
    goal = st.session_state.pop(GOAL, None)
    if goal in topology.index_of_id:
        session.open_element(topology, topology.index(goal))
