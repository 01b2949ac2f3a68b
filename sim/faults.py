"""Fault scripts: YAML lists of what goes wrong when, read strictly and played beside the fleet.

Faults are laid over a finished reading and change nothing in the fleet's own process: when
scripts stop, the site is at once as if nothing had happened.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from core.errors import ConfigurationError, UnknownIdError
from core.parsing import as_model, read_yaml
from core.topology import Topology
from sim.effects import ContactorOpen, Effect, Fault, HotModule, SilentRack, WeakCell

DIRECTORY = Path(__file__).parent / "scripts"

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400)]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a script. at_s: after the script's start [s]. target: an element's id.

    parameters: those of the fault's own class in `sim.effects`.
    """

    at_s: Seconds
    fault: str
    target: str
    parameters: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Kind:
    """model: the parameters and how they show. on_cell: the target is a leaf, else it is not."""

    model: type[Effect]
    on_cell: bool


KINDS: dict[str, Kind] = {
    "weak_cell": Kind(WeakCell, on_cell=True),
    "hot_module": Kind(HotModule, on_cell=False),
    "silent_rack": Kind(SilentRack, on_cell=False),
    "contactor_open": Kind(ContactorOpen, on_cell=False),
}


def load_script(path: Path, topology: Topology) -> list[tuple[float, int, Effect]]:
    """(seconds after the start, node, effect) of each step; raises ConfigurationError."""
    steps = as_model(read_yaml(path), list[Step], str(path))
    return [_resolve(step, position, path.name, topology)
            for position, step in enumerate(steps)]


def _resolve(step: Step, position: int, file: str,
             topology: Topology) -> tuple[float, int, Effect]:
    at = f"[{position}]"
    if step.fault not in KINDS:
        raise ConfigurationError(file, f"{at}.fault", step.fault, "one of " + ", ".join(KINDS))
    kind = KINDS[step.fault]
    node = topology.index_of_id.get(step.target)
    if node is None:
        raise ConfigurationError(file, f"{at}.target", step.target[:80],
                                 f"the id of an element of this fleet, such as {topology.ids[-1]}")
    if node == 0 or topology.is_leaf(node) != kind.on_cell:
        wanted = "a single cell" if kind.on_cell else "an element that has cells below it"
        raise ConfigurationError(file, f"{at}.target", step.target, f"{wanted} for {step.fault}")
    return step.at_s, node, as_model(step.parameters, kind.model, file, f"{at}.parameters")


class FaultPlayer:
    """Which scripts run; started and stopped by any thread while another one polls."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Fault, ...]] = {}

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._directory.glob("*.yaml"))

    def start(self, name: str, now: datetime, topology: Topology) -> None:
        """Start a script, anew where it runs already; raises UnknownIdError, ConfigurationError."""
        if name not in self.names():
            raise UnknownIdError(f"no fault script is called {name[:80]!r}; "
                                 f"there are {', '.join(self.names())}")
        began_s = now.timestamp()
        faults = tuple(
            Fault(began_s + at_s, node, effect)
            for at_s, node, effect in load_script(self._directory / f"{name}.yaml", topology))
        with self._lock:
            self._running = {**self._running, name: faults}

    def stop(self) -> None:
        with self._lock:
            self._running = {}

    def running(self) -> list[str]:
        return list(self._running)

    def due(self, now_s: float) -> list[Fault]:
        """The faults in force at `now_s`, in the order of their start.

        Reads one reference, which `start` and `stop` swap whole: no lock is needed here.
        """
        found = [fault for script in self._running.values() for fault in script
                 if fault.from_s <= now_s]
        return sorted(found, key=lambda fault: fault.from_s)
