"""The rows of the table twin: which elements in which order, and each as text; no Streamlit in
here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components import describe, formats
from components.space import filtering
from components.space.settings import Settings
from core.direction import direction_codes
from core.engine import Snapshot
from core.topology import FloatArray, IndexArray, Topology
from core.vocabulary import BY_NAME

NAME, STATE, ALARMS, AGE = "name", "state", "alarms", "age_s"
SHORT = {"soc_pct": "Charge", "soh_pct": "Health", "temperature_c": "Temp."}
POWER_UNITS = ((1, ("W", 1e3, 0)), (10, ("kW", 1.0, 2)), (1000, ("kW", 1.0, 1)),
               (math.inf, ("MW", 1e-3, 2)))
ALARM_ICONS = ("", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Column:
    """values: what it is sorted by, one an element, NaN or the least comes last. text: of the
    element at a place of `nodes`."""

    name: str
    label: str
    unit: str
    values: NDArray[Any]
    text: Callable[[int], str]

    @property
    def head(self) -> dict[str, object]:
        """sorts: how it can be sorted by, first what it begins with: numbers with the largest."""
        sorts = [self.name, f"-{self.name}"]
        return {"name": self.name, "label": self.label, "unit": self.unit,
                "right": self.name not in (NAME, STATE, ALARMS),
                "sorts": sorts if self.name in (NAME, STATE) else sorts[::-1]}


def columns(topology: Topology, snapshot: Snapshot, place: int, nodes: IndexArray,
            chosen: Settings) -> list[Column]:
    """Name, state and alarms, then the chosen metrics, and how old all of it is."""
    return [_names(topology, place, nodes), _states(topology, snapshot, nodes),
            _alarms(snapshot, nodes),
            *(_metric(topology, snapshot, nodes, name, chosen) for name in chosen.metrics),
            _ages(snapshot, nodes)]


def _names(topology: Topology, place: int, nodes: IndexArray) -> Column:
    return Column(NAME, "Name", "", nodes,
                  lambda at: describe.below(topology, place, int(nodes[at])))


def _states(topology: Topology, snapshot: Snapshot, nodes: IndexArray) -> Column:
    codes = direction_codes(snapshot.frame.columns["power_kw"][nodes],
                            topology.capacity_kwh[nodes])
    return Column(STATE, "State", "", codes, lambda at: formats.direction_word(
        describe.way(topology, snapshot, int(nodes[at]))))


def _alarms(snapshot: Snapshot, nodes: IndexArray) -> Column:
    """The worst tier counts first, then how many."""
    alarms = snapshot.alarms
    counts = alarms.count[nodes]
    rank = alarms.worst_tier[nodes].astype(np.int64) * 2**32 + counts
    return Column(ALARMS, "Alarms", "", rank,
                  lambda at: formats.number(int(counts[at])) if counts[at] else "")


def _ages(snapshot: Snapshot, nodes: IndexArray) -> Column:
    ages = snapshot.frame.age_s[nodes]
    return Column(AGE, "Heard", "", ages, lambda at: formats.age(float(ages[at])))


def _metric(topology: Topology, snapshot: Snapshot, nodes: IndexArray, name: str,
            chosen: Settings) -> Column:
    if name == "capacity_kwh":
        return _number(name, "Capacity", "kWh", topology.capacity_kwh[nodes], 3)
    metric, label = BY_NAME[name], SHORT.get(name, BY_NAME[name].label)
    values = filtering.as_shown(name, snapshot.frame.columns[name][nodes], chosen)
    if name == "power_kw":
        return _power(label, values)
    if name == "temperature_c" and chosen.temperature == "F":
        return _number(name, label, "°F", values, 1)
    decimals = metric.decimals
    if name == "voltage_v":
        last = len(topology.levels) - 1
        decimals = 3 if (topology.level[nodes] == last).any() else decimals
    return _number(name, label, metric.unit, values, decimals)


def _power(label: str, values_kw: FloatArray) -> Column:
    """All in one unit, so that the eye can compare."""
    known = np.abs(values_kw[np.isfinite(values_kw)])
    most = float(known.max()) if known.size else 0.0
    unit, factor, decimals = next(step for end, step in POWER_UNITS if most < end)
    return _number("power_kw", label, unit, values_kw * np.float32(factor), decimals)


def _number(name: str, label: str, unit: str, values: FloatArray, decimals: int) -> Column:
    return Column(name, label, unit, values,
                  lambda at: formats.number(float(values[at]), decimals))


def order(column: Column, down: bool) -> NDArray[np.intp]:
    """Places of the elements in the order of a column; missing ones last, equal ones as the site
    has them."""
    values = column.values.astype(np.float64)
    return np.argsort(-values if down else values, kind="stable")


def line(topology: Topology, snapshot: Snapshot, table: Sequence[Column], nodes: IndexArray,
         at: int) -> dict[str, object]:
    """One row as table.js reads it."""
    node = int(nodes[at])
    tier = int(snapshot.alarms.worst_tier[node])
    return {"id": topology.ids[node], "name": table[0].text(at), "icon": ALARM_ICONS[tier],
            "tier": tier, "stale": bool(snapshot.frame.stale[node]),
            "enter": not topology.is_leaf(node), "cells": [one.text(at) for one in table[1:]]}


def page_of(ranked: NDArray[np.intp], nodes: IndexArray, node: int | None, size: int) -> int:
    """On which page an element stands; -1 where on none."""
    places = np.flatnonzero(nodes[ranked] == node) if node is not None else np.empty(0)
    return int(places[0]) // size if places.size else -1


def pages(count: int, size: int) -> int:
    return max(1, math.ceil(count / size))
