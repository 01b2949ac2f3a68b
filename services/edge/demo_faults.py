"""What can go wrong in a simulated pack, by name: each happens to one pack and goes when a person
repairs it; a pack that tripped stays latched until it is reset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from core.errors import ConfigurationError
from services.edge.plant import SimulatedPack

HOT_CELL_K_PER_S = 0.4
HOT_PACK_K_PER_S = 0.15
HOT_CHARGING_C, HOT_DISCHARGING_C = 44.2, 52.0
"""Cells that nothing cools come to alarms here, and not at once to a trip."""
WORKS = 0.1
"""Above this share of its rating a pack does not rest."""
SILENT = "device_silent"


def _hot_cell(plant: SimulatedPack) -> None:
    plant.heating_k_per_s[plant.cells // 3] = HOT_CELL_K_PER_S


def _cooling_failed(plant: SimulatedPack) -> None:
    plant.heating_k_per_s[:] = HOT_PACK_K_PER_S
    discharging = plant.current_a > WORKS * plant.rating.reference_current_a
    plant.hottest_c = HOT_DISCHARGING_C if discharging else HOT_CHARGING_C
    plant.cooling_failed = True


def _welded_contactor(plant: SimulatedPack) -> None:
    """Shows when it has to open: somebody opens the interlock."""
    plant.switch.plus.welded = True
    plant.switch.interlock = True


def _short_circuit(plant: SimulatedPack) -> None:
    plant.switch.short = True


def _lost_sensor(plant: SimulatedPack) -> None:
    plant.lost_voltage[plant.cells // 2] = True


def _nothing(plant: SimulatedPack) -> None:
    """The pack itself is well."""


FAULTS: dict[str, Callable[[SimulatedPack], None]] = {
    "cell_overheats": _hot_cell,
    "cell_sensor_lost": _lost_sensor,
    "contactor_welded": _welded_contactor,
    "cooling_failed": _cooling_failed,
    "short_circuit": _short_circuit,
    SILENT: _nothing,
}
OF_A_PROCESS = tuple(name for name in FAULTS if name != SILENT)
"""A device that is silent has no process, or no broker."""
FIRST_PACK = 2
"""Each fault has a pack of its own where there are enough, from this one on (counted from 0)."""
MOST_LISTED = 8
"""Packs that a refusal names."""


def pack_of(fault: str, packs: int) -> int:
    """Which pack a fault happens to."""
    return (FIRST_PACK + list(FAULTS).index(fault)) % packs


def faults_of(told: Sequence[str], devices: Collection[str]) -> list[tuple[str, str]]:
    """Device and fault of each DEVICE=NAME; raises ConfigurationError."""
    found = []
    for words in told:
        device, _, name = words.partition("=")
        if device not in devices:
            raise ConfigurationError("the command line", "--fault", words, "DEVICE=NAME with one "
                                     f"of the packs {_listed(devices)}")
        if name not in OF_A_PROCESS:
            raise ConfigurationError("the command line", "--fault", words,
                                     f"DEVICE=NAME with one of {', '.join(OF_A_PROCESS)}")
        found.append((device, name))
    return found


def _listed(devices: Collection[str]) -> str:
    names = list(devices)
    more = ["..."] if len(names) > MOST_LISTED else []
    return ", ".join(names[:MOST_LISTED] + more)
