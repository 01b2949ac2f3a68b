"""A pack that a test can hurt: healthy values, a clock that stands still, a monitor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from core.safety.area import Area, AreaState, Sample
from core.safety.layout import Layout, Pack
from core.safety.monitor import Decision, Hardware, Requests, SafetyMonitor

NOON = datetime(2026, 6, 21, 12, tzinfo=UTC)
HEALTHY_V = {"LFP": 3.3, "NMC": 3.7, "LCO": 3.8}
CELLS = 8


def pack(chemistry: str = "LFP", name: str = "pack", cells: int = CELLS) -> Pack:
    return Pack(name, chemistry, cells, capacity_ah=100.0, ramp="fastest")


def healthy(layout: Layout, current_a: float = 50.0) -> Sample:
    """All cells of each pack at the same healthy voltage and 25 °C."""
    def of_packs(value: float) -> np.ndarray:
        return np.full(layout.size, value, dtype=np.float32)

    volts = np.array([HEALTHY_V[each.chemistry] for each in layout.packs], dtype=np.float32)
    cells = volts[layout.pack_of]
    return Sample(cells, np.full(layout.cells, 25.0, dtype=np.float32), of_packs(current_a),
                  of_packs(50.0), of_packs(100.0), layout.sums(cells), of_packs(1000.0),
                  of_packs(1000.0))


def nothing_known(layout: Layout) -> Sample:
    """As when no pack says anything."""
    cells = np.full(layout.cells, np.nan, dtype=np.float32)
    packs = np.full(layout.size, np.nan, dtype=np.float32)
    return Sample(cells, cells, packs, packs, packs, packs, packs, packs)


def with_cell(sample: Sample, layout: Layout, quantity: str, cell: int, value: float) -> Sample:
    """`sample` with one cell changed, the string's sum with it."""
    values = getattr(sample, quantity).copy()
    values[cell] = value
    changed = replace(sample, **{quantity: values})
    return replace(changed, string_voltage_v=layout.sums(changed.voltage_v))


def settled(area: Area, sample: Sample, seconds: float = 7.0, step_s: float = 0.1) -> AreaState:
    """What an area says of a sample that stays for long enough to set."""
    for _ in range(round(seconds / step_s)):
        state = area.evaluate(sample, step_s)
    return state


class Bench:
    """A monitor driven by hand at 10 Hz; what the hardware says follows the commands."""

    def __init__(self, *packs: Pack) -> None:
        self.now_s = 0.0
        self.monitor = SafetyMonitor(packs or (pack(),), timer=lambda: self.now_s)
        self.layout = self.monitor.layout
        self.sample = healthy(self.layout)

    def at(self) -> datetime:
        return NOON + timedelta(seconds=self.now_s)

    def commanded(self) -> list[Hardware]:
        return [Hardware(machine.memory.plus_closed, machine.memory.minus_closed)
                for machine in self.monitor.machines]

    def decide(self, sample: Sample | None = None, hardware: list[Hardware] | None = None,
               requests: list[Requests] | None = None, step_s: float = 0.1,
               silent: Sequence[int] = ()) -> Decision:
        self.now_s += step_s
        return self.monitor.decide(sample or self.sample, self.at(), self.now_s,
                                   hardware or self.commanded(), requests, silent)

    def run(self, seconds: float, sample: Sample | None = None) -> Decision:
        for _ in range(round(seconds / 0.1)):
            decision = self.decide(sample)
        return decision
