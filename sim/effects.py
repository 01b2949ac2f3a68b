"""How each fault shows in a reading. Parameters are checked where they are read (law 11)."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Annotated, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.frames import CONTACTOR_OPEN
from core.topology import FloatArray, Topology
from sim.cells import CellModel
from sim.chemistry import HIGHEST_PCT, LOWEST_PCT

HOTTEST_C = 90.0
"""A hot module stays here [degC]: beyond it real cells would burn."""


@dataclass(slots=True)
class Canvas:
    """A reading before it is handed out; effects write into it."""

    topology: Topology
    cells: CellModel
    columns: dict[str, FloatArray]
    heard: NDArray[np.bool_]
    flags: NDArray[np.uint8]

    def leaves(self, node: int) -> slice:
        """The leaves below `node` (or itself): contiguous, as all of a fleet's lie at one depth."""
        below = self.topology.descendants(node)
        return below[-1] if below else slice(node, node + 1)


class Effect(Protocol):
    """A fault in force."""

    def apply(self, canvas: Canvas, fault: Fault, since_s: float) -> None:
        """Lay `fault`, whose effect this is, over the reading `since_s` seconds after it began."""
        ...


@dataclass(slots=True)
class Fault:
    """`effect` on `node` from `from_s` (seconds since 1970) on; one a step of a running script.

    began_pct: charge [%] of the leaves below when it was first applied, by the polling thread.
    """

    from_s: float
    node: int
    effect: Effect
    began_pct: FloatArray | None = None

    def remembered(self, soc_pct: FloatArray) -> FloatArray:
        """The charge of its leaves when it began; `soc_pct` is what it is now."""
        if self.began_pct is None:
            self.began_pct = soc_pct.copy()
        return self.began_pct


class WeakCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cell with less capacity, more resistance and a leak.

    Its charge moves 1 / capacity_factor times as fast as its neighbours', from where it was
    when the fault began, and leaks away [%/min]. It tells 0..100 %; its voltage goes on
    to the ends of the cell's own window, as an over-discharged cell's does.
    """

    capacity_factor: Annotated[float, msgspec.Meta(ge=0.05, le=1)] = 0.5
    resistance_factor: Annotated[float, msgspec.Meta(ge=1, le=10)] = 6.0
    leak_pct_per_min: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.0

    def apply(self, canvas: Canvas, fault: Fault, since_s: float) -> None:
        leaves = canvas.leaves(fault.node)
        soc = canvas.columns["soc_pct"][leaves]
        began = fault.remembered(soc)
        leaked = self.leak_pct_per_min * since_s / 60.0
        moved = began + (soc - began) / self.capacity_factor - leaked
        soc[:] = np.clip(moved, LOWEST_PCT, HIGHEST_PCT)
        canvas.cells.electrical(leaves, canvas.columns, self.resistance_factor)
        np.clip(soc, 0.0, 100.0, out=soc)


class HotModule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All cells below settle at a temperature [degC] with a time constant and then creep on."""

    temperature_c: Annotated[float, msgspec.Meta(ge=30, le=85)] = 52.0
    settle_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 30.0
    rise_k_per_min: Annotated[float, msgspec.Meta(ge=0, le=20)] = 0.3

    def apply(self, canvas: Canvas, fault: Fault, since_s: float) -> None:
        warm = canvas.columns["temperature_c"][canvas.leaves(fault.node)]
        warm += (self.temperature_c - warm) * np.float32(1.0 - exp(-since_s / self.settle_s))
        warm += np.float32(self.rise_k_per_min * since_s / 60.0)
        np.minimum(warm, np.float32(HOTTEST_C), out=warm)


class SilentRack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The element and all below it stop reporting; the battery itself works on."""

    def apply(self, canvas: Canvas, fault: Fault, since_s: float) -> None:
        canvas.heard[fault.node] = False
        for below in canvas.topology.descendants(fault.node):
            canvas.heard[below] = False


class ContactorOpen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The element is cut off: no power, no current, its charge stands, voltage is the OCV.

    Its share is lost to the system; the others do not carry more for it.
    """

    def apply(self, canvas: Canvas, fault: Fault, since_s: float) -> None:
        leaves = canvas.leaves(fault.node)
        canvas.columns["power_kw"][leaves] = 0.0
        soc = canvas.columns["soc_pct"][leaves]
        soc[:] = fault.remembered(soc)
        canvas.cells.electrical(leaves, canvas.columns)
        canvas.flags[fault.node] |= CONTACTOR_OPEN

