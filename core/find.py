"""Find the worst element of a level: hottest, lowest, widest spread, oldest, least energy.

What is asked for is the worst LEAF of each element of that level: the hottest rack is the rack
with the hottest cell, and the answer names that cell too (law 7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import RequestError
from core.frames import Frame
from core.reach import reach
from core.topology import IndexArray, Level, Topology
from core.worst import NO_NODE, Spans, Told, each, spans, told

Seeks = Literal["highest", "lowest", "spread", "age", "energy"]

MOST = 5
MOST_ASKED = 1000
LEAST_FOR_SPREAD = 2


@dataclass(frozen=True, slots=True)
class Question:
    """What can be asked. metric: a column; "age_s" and "usable_kwh" are reckoned here."""

    name: str
    words: str
    metric: str
    seeks: Seeks


QUESTIONS: tuple[Question, ...] = (
    Question("hottest", "Hottest", "temperature_c", "highest"),
    Question("coldest", "Coldest", "temperature_c", "lowest"),
    Question("highest_voltage", "Highest voltage", "voltage_v", "highest"),
    Question("lowest_voltage", "Lowest voltage", "voltage_v", "lowest"),
    Question("highest_soc", "Highest state of charge", "soc_pct", "highest"),
    Question("lowest_soc", "Lowest state of charge", "soc_pct", "lowest"),
    Question("voltage_spread", "Widest spread of voltage", "voltage_v", "spread"),
    Question("temperature_spread", "Widest spread of temperature", "temperature_c", "spread"),
    Question("soc_spread", "Widest spread of charge", "soc_pct", "spread"),
    Question("oldest", "Oldest data", "age_s", "age"),
    Question("least_energy", "Least usable energy", "usable_kwh", "energy"),
)
BY_NAME = {question.name: question for question in QUESTIONS}


@dataclass(frozen=True, slots=True)
class Found:
    """value: in the question's unit, inf for an age of what was never heard. leaf: who has it,
    NO_NODE where it is the element's own; of a spread who has the highest, and `low_leaf` the
    lowest."""

    node: int
    value: float
    leaf: int = NO_NODE
    low_leaf: int = NO_NODE


@dataclass(frozen=True, slots=True)
class Findings:
    """The worst first. compared: how many elements were; unknown: how many could not be."""

    found: tuple[Found, ...]
    compared: int
    unknown: int


def levels_below(topology: Topology, place: int) -> list[Level]:
    """Levels that can be asked for below `place`, the last one first. The last level stands for
    all leaves, also batteries without cells; [] for a leaf."""
    if topology.is_leaf(place):
        return []
    last = len(topology.levels) - 1
    seen = {last}
    for part in topology.descendants(place):
        seen.update(np.unique(topology.level[part]).tolist())
    return [topology.levels[index] for index in sorted(seen, reverse=True)]


def find(topology: Topology, frame: Frame, name: str, level: str, place: int = 0,
         most: int = MOST) -> Findings:
    """The first `most` elements of `level` below `place`; of equal ones the first in the tree.

    Raises RequestError for a question, level or number that there is not.
    """
    question = BY_NAME.get(name)
    if question is None:
        raise RequestError(f"nothing is called {name[:80]!r}; ask for one of "
                           + ", ".join(BY_NAME))
    if not 1 <= most <= MOST_ASKED:
        raise RequestError(f"{most} elements cannot be asked for; 1 to {MOST_ASKED} can")
    nodes = elements(topology, place, level)
    if question.seeks == "energy":
        return _least_energy(topology, frame, place, nodes, most)
    if question.seeks == "age":
        return _oldest(topology, frame, nodes, most)
    if level != topology.levels[-1].name:
        return _among(spans(topology, frame, nodes, question.metric), question.seeks, most)
    if question.seeks == "spread":
        raise RequestError(f"a {level} has no spread; ask for a level above")
    return _among_leaves(told(topology, frame, _around(place), question.metric),
                         question.seeks, most)


def elements(topology: Topology, place: int, level: str) -> IndexArray:
    """Elements of `level` below `place` in leaf order, int64[k]; of the last level all leaves.
    Raises RequestError for a level that there is not."""
    names = [one.name for one in topology.levels]
    if level not in names:
        raise RequestError(f"no level is called {level[:80]!r}; there are {', '.join(names)}")
    ranges = topology.leaf_ranges
    if level == names[-1]:
        return ranges.order[ranges.start[place]:ranges.stop[place]]
    parts = [np.arange(part.start, part.stop) for part in topology.descendants(place)]
    below = np.concatenate([np.zeros(0, dtype=np.int64), *parts])
    unordered = below[topology.level[below] == names.index(level)]
    found: IndexArray = unordered[np.argsort(ranges.start[unordered], kind="stable")]
    return found


def _around(place: int) -> IndexArray:
    return np.array([place], dtype=np.int64)


def _among(of: Spans, seeks: Seeks, most: int) -> Findings:
    """Of elements that have leaves below."""
    enough = LEAST_FOR_SPREAD if seeks == "spread" else 1
    value = {"highest": of.high, "lowest": of.low, "spread": of.delta}[seeks]
    score = np.where(of.known >= enough, value, np.nan)
    found = []
    for row in _first(-score if seeks == "lowest" else score, most):
        one = of.at(row)
        assert one is not None  # it has a score
        node, leaf = int(of.nodes[row]), one.low_node if seeks == "lowest" else one.high_node
        found.append(Found(node, float(value[row]), _other(leaf, node),
                           one.low_node if seeks == "spread" else NO_NODE))
    compared = int(np.isfinite(score).sum())
    return Findings(tuple(found), compared, score.size - compared)


def _among_leaves(of: Told, seeks: Seeks, most: int) -> Findings:
    score = -of.value if seeks == "lowest" else of.value
    found = tuple(Found(int(of.node[row]), float(of.value[row])) for row in _first(score, most))
    return Findings(found, int(np.count_nonzero(of.known)), int(np.count_nonzero(of.missing)))


def _oldest(topology: Topology, frame: Frame, nodes: IndexArray, most: int) -> Findings:
    """By the leaf that was not heard for longest; one that was never heard is the oldest."""
    if not nodes.size:
        return Findings((), 0, 0)
    ranges = topology.leaf_ranges
    first = int(ranges.start[nodes[0]])
    leaf = ranges.order[first:int(ranges.stop[nodes[-1]])]
    age_s = np.where(np.isnan(frame.age_s[leaf]), np.inf, frame.age_s[leaf])
    if nodes.size == leaf.size:
        score = age_s
    else:
        edges = np.stack((ranges.start[nodes], ranges.stop[nodes]), axis=1).ravel()
        score = each(np.maximum, age_s, edges - first)
    found = []
    for row in _first(score, most):
        node = int(nodes[row])
        part = slice(int(ranges.start[node]) - first, int(ranges.stop[node]) - first)
        who = int(leaf[part][int(np.argmax(age_s[part]))])
        found.append(Found(node, float(score[row]), _other(who, node)))
    return Findings(tuple(found), int(nodes.size), 0)


def _least_energy(topology: Topology, frame: Frame, place: int, nodes: IndexArray,
                  most: int) -> Findings:
    """By what discharge still brings out of them; the leaf is the one that ends it."""
    of = reach(topology, frame, place, "discharge")
    energy_kwh = of.usable_kwh[nodes]
    found = tuple(Found(int(nodes[row]), float(energy_kwh[row]),
                        _other(int(of.weakest[nodes[row]]), int(nodes[row])))
                  for row in _first(-energy_kwh, most))
    compared = int(np.isfinite(energy_kwh).sum())
    return Findings(found, compared, energy_kwh.size - compared)


def _other(leaf: int, node: int) -> int:
    return NO_NODE if leaf == node else leaf


def _first(score: NDArray[np.floating], most: int) -> list[int]:
    """Rows of the highest scores, the first row of equal ones; NaN is none of them."""
    left = np.where(np.isnan(score), -np.inf, score)
    found: list[int] = []
    while len(found) < most and left.size:
        row = int(np.argmax(left))
        if left[row] == -math.inf:
            break
        found.append(row)
        left[row] = -np.inf
    return found
