"""Paths and ids that come from outside: addresses, messages, links (law 11)."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import UnknownIdError
from core.topology import Topology

LONGEST_ID = 400


def node_of_path(topology: Topology, path: Sequence[str]) -> int:
    """Node at the end of a list of ids from the top; raises UnknownIdError."""
    node = 0
    for node_id in path:
        child = topology.index(node_id)
        if int(topology.parent[child]) != node:
            raise UnknownIdError(f"{node_id[:80]!r} is not below {topology.ids[node]!r}")
        node = child
    return node


def nearest_node(topology: Topology, node_id: str) -> int:
    """The node called so, else its nearest existing ancestor by the id's own segments."""
    known = topology.index_of_id
    name = node_id[:LONGEST_ID]
    while name:
        if name in known:
            return known[name]
        name = name.rpartition("_")[0]
    return 0
