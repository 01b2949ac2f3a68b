"""Attributes that orrery.toml gives to elements of any source: side, row, phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.errors import ConfigurationError
from core.topology import NodeSpec


def give(roots: Iterable[NodeSpec], told: Mapping[str, Mapping[str, str]], file: str) -> None:
    """Write into the specs what `told` says by id, over what their source said; raises
    ConfigurationError for an id that is not there. `Topology` checks names and values."""
    missing = dict(told)
    waiting = list(roots)
    while waiting and missing:
        spec = waiting.pop()
        own = missing.pop(spec.id, None)
        if own is not None:
            spec.attributes = {**(spec.attributes or {}), **own}
        waiting += spec.children
    for node_id, own in missing.items():
        raise ConfigurationError(file, f"attributes.{node_id}", dict(own),
                                 "attributes of an element that one of the sources has")
