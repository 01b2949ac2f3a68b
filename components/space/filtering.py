"""The filter of the tools, asked of whichever elements a part of the page shows.

An element matches by its own values: a rack does not because one of its cells does. What a person
compares with is what the page shows: its unit of temperature, its sign of power and current.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components import describe, formats
from components.api_client import LocalClient
from components.space import grouping, settings
from components.space.settings import Settings
from core.below import Below
from core.direction import direction_codes
from core.engine import Snapshot
from core.filter import Filter, FilterError, Matches, TextColumn, parse
from core.paint import fahrenheit
from core.topology import FloatArray, IndexArray, Topology
from core.vocabulary import CHEMISTRIES, DIRECTIONS

FLIPPED = ("power_kw", "current_a")

Pick = Callable[[NDArray[Any]], NDArray[Any]]


class Elements:
    """The k elements that `pick` takes out of a column over all nodes, as they are shown."""

    def __init__(self, topology: Topology, snapshot: Snapshot, pick: Pick, chosen: Settings,
                 ) -> None:
        self._topology, self._snapshot, self._pick = topology, snapshot, pick
        self._chosen = chosen
        self._stale: NDArray[np.bool_] = pick(snapshot.frame.stale)

    @property
    def size(self) -> int:
        return self._stale.size

    def number(self, column: str) -> FloatArray:
        """float32[k] as shown, NaN where stale or unknown. The age of what is stale is known."""
        frame = self._snapshot.frame
        if column == "alarm":
            return self._pick(self._snapshot.alarms.worst_tier).astype(np.float32)
        if column == "capacity_kwh":
            return self._pick(self._topology.capacity_kwh)
        if column == "age_s":
            return self._pick(frame.age_s)
        values: FloatArray = np.where(self._stale, np.float32(np.nan),
                                      self._pick(frame.columns[column]))
        return as_shown(column, values, self._chosen)

    def text(self, column: str) -> TextColumn:
        """See `core.filter.TEXTS`; an attribute of the topology."""
        topology = self._topology
        if column == "id":
            ids = self._pick(np.arange(topology.size)).tolist()
            return TextColumn([topology.ids[node].casefold() for node in ids])
        if column == "state":
            codes = direction_codes(self.number("power_kw") * self._turn, self._pick(
                topology.capacity_kwh))
            return TextColumn([formats.direction_word(way) for way in DIRECTIONS],
                              codes.astype(np.int32))
        values, codes = _words(topology, column)
        return TextColumn(values, self._pick(codes))

    @property
    def _turn(self) -> np.float32:
        """Back to the sign inside, + discharging."""
        return np.float32(-1 if self._chosen.sign == "charge" else 1)


def as_shown(metric: str, values: FloatArray, chosen: Settings) -> FloatArray:
    """Values of a metric of the frame in the unit and with the sign that a person chose."""
    if metric in FLIPPED and chosen.sign == "charge":
        return -values
    if metric == "temperature_c" and chosen.temperature == "F":
        return fahrenheit(values)
    return values


@lru_cache(maxsize=16)
def _words(topology: Topology, column: str) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Small letters, and codes int32[n], -1 unknown, of a text that an element keeps."""
    if column == "level":
        names = tuple(level.name.casefold() for level in topology.levels)
        return names, topology.level.astype(np.int32)
    if column == "name":
        return _names(topology)
    values = (CHEMISTRIES if column == grouping.CHEMISTRY
              else topology.attributes[column].values)
    codes = np.maximum(grouping.said(topology, column), grouping.NOT_SAID)
    return tuple(map(str.casefold, values)), codes


def _names(topology: Topology) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """As the page shows them; few different ones, for each module has a cell 0."""
    number: dict[str, int] = {}
    codes = [number.setdefault(describe.name(topology, node).casefold().replace("_", " "),
                               len(number)) for node in range(topology.size)]
    return tuple(number), np.array(codes, dtype=np.int32)


@lru_cache(maxsize=128)
def _parsed(text: str, attributes: tuple[str, ...], in_fahrenheit: bool) -> Filter | FilterError:
    try:
        return parse(text, attributes, in_fahrenheit)
    except FilterError as error:
        return error


def asked(topology: Topology, chosen: Settings) -> Filter | FilterError | None:
    """The filter in force, what is wrong with it, or None where there is none."""
    if not chosen.filter.strip():
        return None
    return _parsed(chosen.filter, tuple(topology.attributes), chosen.temperature == "F")


def of_rows(rows: Below, snapshot: Snapshot, chosen: Settings) -> Matches | None:
    """Which rows of a scene match; None without a filter that can be understood."""
    return _of(rows.topology, snapshot, rows.take, chosen)


def matches(client: LocalClient, nodes: IndexArray) -> NDArray[np.bool_] | None:
    """Which of `nodes` match; None without a filter that can be understood."""
    found = of_nodes(client.topology, client.snapshot(), nodes, settings.current())
    return None if found is None else found.mask


def of_nodes(topology: Topology, snapshot: Snapshot, nodes: IndexArray, chosen: Settings,
             ) -> Matches | None:
    """Which of any elements match; None without a filter that can be understood."""
    return _of(topology, snapshot, lambda column: column[nodes], chosen)


def _of(topology: Topology, snapshot: Snapshot, pick: Pick, chosen: Settings) -> Matches | None:
    wanted = asked(topology, chosen)
    if not isinstance(wanted, Filter):
        return None
    return wanted.matches(Elements(topology, snapshot, pick, chosen))
