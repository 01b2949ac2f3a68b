"""A fleet's part of the one hierarchy: a site is a system, a pack a rack of it, then its cells.

The same for every source of a fleet, so that a site keeps its ids and its history when its packs
come over a broker instead of out of this process.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.errors import ConfigurationError
from core.fleet.catalogue import PackPlate
from core.topology import Level, NodeSpec

SYSTEM, PACK, CELL = "system", "rack", "cell"
CELL_NOTE = "Voltage and temperature are measured; current is the pack's."
_NUMBERED = re.compile(r"pack_(\d+)")


def site_element(site: str) -> str:
    """Id of a site's system in the tree (law 5)."""
    return f"{SYSTEM}_{site.replace('-', '_')}"


def element_of(site: str, device: str) -> str:
    """Id of a device's pack in the tree: its own number, or its name where it has none. It does
    not depend on the other packs, so that no history changes hands when one is added."""
    numbered = _NUMBERED.fullmatch(device)
    own = numbered[1] if numbered else device.replace("-", "_")
    return f"{site_element(site)}_{PACK}_{own}"


def roots(site: str, label: str, plates: Sequence[PackPlate],
          levels: Sequence[Level]) -> tuple[NodeSpec, ...]:
    """One system with its packs in their order; raises ConfigurationError for levels that
    cannot hold it."""
    names = [level.name for level in levels if level.name in {SYSTEM, PACK, CELL}]
    if names != [SYSTEM, PACK, CELL]:
        raise ConfigurationError("orrery.toml", "levels", [level.name for level in levels],
                                 f"levels with {SYSTEM}, {PACK}, {CELL} in this order")
    packs = [_pack(element_of(site, plate.device), plate) for plate in plates]
    return (NodeSpec(site_element(site), label, SYSTEM, sum(pack.capacity_kwh for pack in packs),
                     arrangement="none", children=packs),)


def _pack(element: str, plate: PackPlate) -> NodeSpec:
    """Cells share the pack's capacity evenly, and its current."""
    cells = [NodeSpec(f"{element}_{CELL}_{number}", f"Cell {number + 1}", CELL,
                      plate.capacity_kwh / plate.cells, plate.chemistry, note=CELL_NOTE)
             for number in range(plate.cells)]
    return NodeSpec(element, plate.label, PACK, plate.capacity_kwh, plate.chemistry,
                    arrangement="series", measured=True, children=cells)
