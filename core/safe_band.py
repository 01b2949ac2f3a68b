"""Where the voltage of a whole battery is normal, by chemistry and nominal voltage.

The band of the Energy Monitor's document, 52 to 58 V for a 48 V system, is 3.25 to 3.625 V a
cell of a 16-cell LFP battery. It says "normal" or "check", it is no limit of safe operation:
those are in profiles/safe_operating_area.yaml.
"""

from __future__ import annotations

import math

NOMINAL_CELL_V = {"LFP": 3.2, "NMC": 3.65, "LCO": 3.7}
NORMAL_CELL_V = {"LFP": (3.25, 3.625), "NMC": (3.4, 4.15), "LCO": (3.4, 4.15)}
CLASS_V = 48.0
NORMAL_OF_48_V = (52.0, 58.0)
LFP_CELLS_PER_12_V = 4

NORMAL_TEMPERATURE_C = (15.0, 30.0)
LIGHT_C_RATE = 0.2
"""Below, a load is light: a fifth of the capacity in an hour."""


def cells_in_series(nominal_v: float, chemistry: str) -> int:
    """12, 24, 36 and 48 V are classes: a "48 V" LFP battery has 16 cells, 51.2 V."""
    if chemistry == "LFP" and nominal_v % 12 == 0:
        return round(nominal_v / 12 * LFP_CELLS_PER_12_V)
    return max(1, round(nominal_v / NOMINAL_CELL_V[chemistry]))


def normal_voltage_v(nominal_v: float, chemistry: str | None) -> tuple[float, float] | None:
    """Lowest and highest normal voltage [V]; None where the nominal voltage is not known."""
    if not math.isfinite(nominal_v):
        return None
    if chemistry is None:
        low, high = NORMAL_OF_48_V
        return low * nominal_v / CLASS_V, high * nominal_v / CLASS_V
    cells = cells_in_series(nominal_v, chemistry)
    low, high = NORMAL_CELL_V[chemistry]
    return low * cells, high * cells
