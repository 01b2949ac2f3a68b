"""Which ids lie below a place. An id begins with its parent's (law 5); yet "system_north_2" may be
a neighbour of "system_north" and no part of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from core.topology import Topology


def begins(element: str, place: str) -> bool:
    """With the place's segments; itself too."""
    return element == place or element.startswith(f"{place}_")


def is_below(element: str, place: str, beside: Iterable[str] = ()) -> bool:
    """The place itself too; "" holds everything. beside: as the function below finds it."""
    return not place or (begins(element, place)
                         and not any(begins(element, one) for one in beside))


@lru_cache(maxsize=64)
def beside(topology: Topology, place: str) -> tuple[str, ...]:
    """Elements that are no part of `place`, though their ids begin with its; without those below
    them. () for a place that is not in the tree."""
    node = topology.index_of_id.get(place)
    if node is None:
        return ()
    return tuple(one for one, level in zip(topology.ids, topology.level, strict=True)
                 if level <= topology.level[node] and one != place and begins(one, place))
