"""What a sphere says under the pointer of the cells below it: the lowest, the highest, and how far
they are apart."""

from __future__ import annotations

from components.space import extremes, units
from core.frames import Frame
from core.topology import Topology
from core.worst import Spans, Worst, worst_of_children

MOST = 60
"""Children at most: of more, the details of the one that is selected tell it."""


def tips(topology: Topology, frame: Frame, place: int, temperature: str = "C") -> list[list[str]]:
    """Lines of each child of `place` in their order; [] for too many children, and no lines for
    one without parts."""
    if int(topology.child_count[place]) > MOST:
        return []
    of = [(metric, worst_of_children(topology, frame, place, metric))
          for metric, _, _ in extremes.METRICS]
    part = topology.children(place)
    return [[] if topology.is_leaf(child) else _lines(topology, child, row, of, temperature)
            for row, child in enumerate(range(part.start, part.stop))]


def _lines(topology: Topology, child: int, row: int, of: list[tuple[str, Spans]],
           temperature: str) -> list[str]:
    told = ((metric, spans.at(row)) for metric, spans in of)
    return [_line(topology, child, metric, one, temperature) for metric, one in told
            if one is not None and one.low_node != child]


def _line(topology: Topology, child: int, metric: str, one: Worst, temperature: str) -> str:
    """ "3.266 V (M2 · Cell 9) to 3.312 V (M0 · Cell 3), 46 mV" """
    low, high = (f"{units.reading(metric, value, temperature)} "
                 f"({extremes.short(topology, child, leaf)})"
                 for value, leaf in ((one.low, one.low_node), (one.high, one.high_node)))
    if metric == "voltage_v" and not extremes.is_of_one_chemistry(topology, child):
        return f"{low} to {high}"
    return f"{low} to {high}, {units.difference(metric, one.delta, temperature)}"
