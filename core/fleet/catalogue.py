"""Packs of mixed chemistry and size for a simulated fleet: the same number, the same packs."""

from __future__ import annotations

from dataclasses import dataclass

MIX: tuple[tuple[str, int, float], ...] = (
    ("LFP", 240, 100.0), ("NMC", 192, 80.0), ("LFP", 240, 100.0), ("LCO", 168, 60.0),
    ("LFP", 240, 120.0), ("NMC", 168, 70.0), ("LFP", 216, 90.0), ("NMC", 192, 80.0),
)
"""(chemistry, cells in series, capacity when new [kWh]), given to the packs in turn."""


@dataclass(frozen=True, slots=True)
class PackPlate:
    """What stands on a pack. device: its id on the broker; capacity_kwh: when new [kWh]."""

    device: str
    label: str
    chemistry: str
    cells: int
    capacity_kwh: float


def catalogue(count: int, cells: int | None = None) -> tuple[PackPlate, ...]:
    """`count` packs, pack_001 first. cells: of every pack, its own number when None."""
    found = []
    for number in range(1, count + 1):
        chemistry, own, capacity_kwh = MIX[(number - 1) % len(MIX)]
        found.append(PackPlate(f"pack_{number:03d}", f"Pack {number:03d}", chemistry,
                               own if cells is None else cells, capacity_kwh))
    return tuple(found)
