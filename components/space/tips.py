"""What a sphere says under the pointer of the cells below it: the lowest, the highest, and how far
they are apart. Reckoned for all elements of a scene at once, so that no press has to be awaited.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from orrery_spheres import EXTREMES, Reading

from components import describe
from components.space import extremes, units
from core.below import Below
from core.frames import Frame
from core.paint import FAHRENHEIT_PER_KELVIN, fahrenheit
from core.topology import FloatArray, IndexArray, Topology
from core.worst import Spans, spans

BETWEEN = " · "


def readings(temperature: str = "C") -> list[Reading]:
    """What the lines of `table` mean, by their `kind`."""
    found = []
    for metric, label, _ in extremes.METRICS:
        low, spread = units.reading(metric, 0.0, temperature), units.difference(
            metric, 0.0, temperature)
        found.append(Reading(label=label, unit=low.unit, decimals=_decimals(low.number),
                             spread_unit=spread.unit, spread_decimals=_decimals(spread.number)))
    return found


def _decimals(zero: str) -> int:
    return len(zero.partition(".")[2])


def table(rows: Below, frame: Frame, temperature: str = "C") -> pa.Table:
    """A line for each row and metric of which something is known below it, the columns of
    `orrery_spheres.EXTREMES`; temperatures in the unit that a person chose."""
    begins = np.cumsum([0, *(part.stop - part.start for part in rows.parts)])
    found = [_tier(rows.topology, frame, part, int(first), temperature)
             for part, first in zip(rows.parts, begins, strict=False)]
    columns = [pa.concat_arrays([pa.array([], field.type), *(one[at] for one in found if one)])
               for at, field in enumerate(EXTREMES)]
    return pa.table(columns, schema=EXTREMES)


def _tier(topology: Topology, frame: Frame, part: slice, first: int,
          temperature: str) -> list[pa.Array]:
    """Columns of one tier, whose first row is the row `first`; none of a tier without parts."""
    inner = np.flatnonzero(topology.child_count[part] > 0)
    nodes = inner + part.start
    lines = [_lines(topology, spans(topology, frame, nodes, metric), metric, kind, temperature)
             for kind, (metric, _, _) in enumerate(extremes.METRICS)] if nodes.size else []
    if not sum(line[0].size for line in lines):
        return []
    place, kind, low, high, spread, low_at, high_at = (
        np.concatenate(column) for column in zip(*lines, strict=True))
    order = np.argsort(place, kind="stable")
    leaves = np.concatenate([low_at[order], high_at[order]])
    names = _names(topology, leaves, int(topology.depth[nodes[0]]))
    row = (inner + first).astype(np.int32)[place]
    return [*(pa.array(column[order]) for column in (row, kind, low, high, spread)),
            names[:order.size], names[order.size:]]


def _lines(topology: Topology, of: Spans, metric: str, kind: int,
           temperature: str) -> list[NDArray[np.generic]]:
    """Place in `of`, kind, both ends, spread and who has the ends; nothing of an element that is
    compared with itself alone."""
    told = np.flatnonzero((of.known > 0) & (of.low_node != of.nodes))
    spread = np.where(_comparable(topology, of.nodes[told], metric), of.delta[told],
                      np.float32(np.nan))
    return [told, np.full(told.size, kind, np.uint8), _shown(metric, of.low[told], temperature),
            _shown(metric, of.high[told], temperature), _apart(metric, spread, temperature),
            of.low_node[told], of.high_node[told]]


def _comparable(topology: Topology, nodes: IndexArray, metric: str) -> NDArray[np.bool_]:
    """Whether all cells below each are of one chemistry, where that matters."""
    if metric != "voltage_v":
        return np.ones(nodes.size, dtype=bool)
    return extremes.of_one_chemistry(topology)[nodes]


def _shown(metric: str, values: FloatArray, temperature: str) -> FloatArray:
    in_fahrenheit = metric == "temperature_c" and temperature == "F"
    return fahrenheit(values) if in_fahrenheit else values


def _apart(metric: str, delta: FloatArray, temperature: str) -> FloatArray:
    if metric == "voltage_v":
        return delta * np.float32(units.MILLIVOLTS_PER_VOLT)
    in_fahrenheit = metric == "temperature_c" and temperature == "F"
    return delta * np.float32(FAHRENHEIT_PER_KELVIN) if in_fahrenheit else delta


def _names(topology: Topology, leaves: IndexArray, depth: int) -> pa.Array:
    """Each as `extremes.short` says it from its parent at `depth`."""
    steps = topology.depth[leaves] - depth
    places = [np.flatnonzero(steps == count) for count in np.unique(steps).tolist()]
    if len(places) == 1:
        return _chain(topology, leaves, int(steps[0]))
    found = [_chain(topology, leaves[place], int(steps[place[0]])) for place in places]
    order = np.argsort(np.concatenate([np.arange(0), *places]))
    return pa.concat_arrays([pa.array([], pa.string()), *found]).take(order)


def _chain(topology: Topology, leaves: IndexArray, steps: int) -> pa.Array:
    """The names of `steps` levels, the last of which are `leaves`."""
    names, initials = _texts(topology)
    above, words = leaves, [names.take(leaves)]
    for _ in range(steps - 1):
        above = topology.parent[above]
        words.insert(0, (names if steps <= extremes.PLAIN else initials).take(above))
    return pc.binary_join_element_wise(*words, BETWEEN)


@lru_cache(maxsize=4)
def _texts(topology: Topology) -> tuple[pa.Array, pa.Array]:
    """The name of each element, and the short one of each that has parts."""
    nodes = range(topology.size)
    return (pa.array([describe.name(topology, node) for node in nodes], pa.string()),
            pa.array(["" if topology.is_leaf(node) else extremes.initial(topology, node)
                      for node in nodes], pa.string()))
