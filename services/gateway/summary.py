"""What the site is made of, in the words of the document's section 8.2."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from core.topology import Level, Topology


def start_lines(topology: Topology, port: int) -> list[str]:
    """The lines that the gateway says at its start."""
    return [f"Starting Power Visualization WebSocket Server on port {port}...",
            "Hierarchy initialized:", *(f"  - {line}" for line in _levels(topology))]


def _levels(topology: Topology) -> Iterator[str]:
    """A line a pair of levels: "Each rack has 3-5 modules", or how many racks have any."""
    of_level = Counter(topology.level.tolist())
    for (parent, child), counts in sorted(_counts(topology).items()):
        level = topology.levels[child]
        having = _span(min(counts), max(counts), level)
        if parent < 0:
            yield having
        elif len(counts) == of_level[parent]:
            yield f"Each {topology.levels[parent].name} has {having}"
        else:
            some = f"{len(counts)} of {of_level[parent]} {topology.levels[parent].plural}"
            yield f"{some} {'has' if len(counts) == 1 else 'have'} {having}"


def _counts(topology: Topology) -> dict[tuple[int, int], list[int]]:
    """Numbers of children, by the level of the parent (-1 is the grid) and of its children."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    levels = topology.level.tolist()
    for node, count in enumerate(topology.child_count.tolist()):
        if count:
            found[levels[node], levels[int(topology.first_child[node])]].append(count)
    return found


def _span(least: int, most: int, level: Level) -> str:
    if least == most:
        return f"{most} {level.name if most == 1 else level.plural}"
    return f"{least}-{most} {level.plural}"
