"""What is below a place in the view that a person chose: scene, scene and map, or table."""

from __future__ import annotations

from components import blocks, describe
from components.api_client import LocalClient
from components.space import deviation, settings, table, view
from core.topology import Topology


def show(client: LocalClient, node: int) -> None:
    """Also of an element that has nothing below it."""
    shown = settings.current().show
    if client.topology.is_leaf(node):
        _nothing_below(client.topology, node)
    elif shown == "table":
        table.show(client, node)
    else:
        view.show(client, node)
        if shown == "map":
            deviation.show(client, node)


def _nothing_below(topology: Topology, node: int) -> None:
    note = topology.notes.get(topology.ids[node], "")
    blocks.show(blocks.state_box("block", f"{describe.name(topology, node)} has no parts",
                                 note or "It is the last level.", "Go up to see its neighbours.",
                                 height_px=view.SCENE_HEIGHT_PX // 2))
