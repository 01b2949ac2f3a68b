"""The day of a demo's packs, instead of a coordinator: charge at noon, discharge in the evening.

Both halves move the same energy, so that the charge of a pack is known for any time, past or to
come. Power is positive when discharging (law 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.fleet.catalogue import PackPlate
from services.edge.plant import NOMINAL_V, rated

DAY_S = 86_400.0
CHARGE_H, DISCHARGE_H = (9.0, 16.0), (17.0, 23.0)
"""Hours of the day, UTC, between which each half runs as half a sine."""
PEAK_C, PEAK_OF_RATED = 0.085, 0.5
"""Peak of charging: of the capacity an hour, and at most so much of what the pack is rated for.
Discharging is as much higher as it is shorter."""
RIPPLE, RIPPLE_S = 0.08, 600.0
"""Of the peak."""
CORRECT_PER_PCT, CORRECT_MOST = 0.1, 0.3
"""How a pack that has left its charge of the day is brought back to it, of the peak."""


@dataclass(frozen=True, slots=True)
class Day:
    """Of one pack. peak_kw: of its charging; lowest_pct: its charge in the morning [%]."""

    capacity_kwh: float
    peak_kw: float
    lowest_pct: float
    phase: float

    @classmethod
    def of(cls, number: int, plate: PackPlate) -> Day:
        """Packs differ by their number."""
        rating = rated(plate.device, plate.chemistry, plate.cells, plate.capacity_kwh)
        rated_kw = rating.reference_current_a * plate.cells * NOMINAL_V[plate.chemistry] / 1000.0
        peak_kw = min(PEAK_C * plate.capacity_kwh, PEAK_OF_RATED * rated_kw)
        return cls(plate.capacity_kwh, (0.8 + 0.1 * (number % 5)) * peak_kw,
                   24.0 + 3.0 * (number % 4), number / 7.0)

    def soc_pct(self, time_s: float) -> float:
        """The charge that it should have [%]."""
        hours = time_s % DAY_S / 3600.0
        charged_h = _area(hours, *CHARGE_H) - _area(hours, *DISCHARGE_H)
        return self.lowest_pct + 100.0 * self.peak_kw / self.capacity_kwh * charged_h

    def power_kw(self, time_s: float, soc_pct: float | None = None) -> float:
        """What it is asked for. soc_pct: what it has, None where it is not known."""
        hours = time_s % DAY_S / 3600.0
        part = _rate(hours, *DISCHARGE_H) - _rate(hours, *CHARGE_H)
        part += RIPPLE * math.sin(2.0 * math.pi * (time_s / RIPPLE_S + self.phase))
        if soc_pct is not None:
            wrong = CORRECT_PER_PCT * (soc_pct - self.soc_pct(time_s))
            part += max(-CORRECT_MOST, min(CORRECT_MOST, wrong))
        return self.peak_kw * part


def _rate(hours: float, begin_h: float, end_h: float) -> float:
    """Half a sine of the area of the charging one."""
    if not begin_h < hours < end_h:
        return 0.0
    length_h = end_h - begin_h
    most = (CHARGE_H[1] - CHARGE_H[0]) / length_h
    return most * math.sin(math.pi * (hours - begin_h) / length_h)


def _area(hours: float, begin_h: float, end_h: float) -> float:
    """Of `_rate` up to `hours` [h]."""
    part = min(1.0, max(0.0, (hours - begin_h) / (end_h - begin_h)))
    return (CHARGE_H[1] - CHARGE_H[0]) / math.pi * (1.0 - math.cos(math.pi * part))
