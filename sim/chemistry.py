"""What a cell of each chemistry looks like electrically: voltage against charge, resistance.

The curves are open-circuit voltages of published cells over their FULL charge window, every
5 %, positive minus negative electrode, evaluated from the parameter sets of PyBaMM 26.10
(`pybamm/input/parameters/lithium_ion`): LFP from Prada2013 (LFP of Afshar 2017 against the
graphite of Chen 2020, 2.0-3.6 V), NMC from Chen2020 (LG M50, 2.5-4.2 V), LCO from Marquis2019
(Dualfoil LCO and MCMB graphite, 3.105-4.1 V).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.topology import FloatArray
from core.vocabulary import CHEMISTRIES

POINTS = 8192
"""Points of one chemistry's fine table; one step is 0.015 % of charge."""
LOWEST_PCT, HIGHEST_PCT = -10.0, 110.0
"""What the fine table covers: a failing cell leaves the pack's own 0..100 %."""


@dataclass(frozen=True, slots=True)
class Chemistry:
    """One chemistry.

    curve_v: open-circuit voltage [V] at 0, 5, ... 100 % of the cell's full window, rising.
    window: the share of that window that a stationary pack calls 0 % and 100 %; it keeps a
    healthy cell inside the first tier of limits (`core/profiles`) at any charge and power.
    nominal_v: for the charge capacity, Ah = 1000 kWh / nominal_v [V].
    drop_1c_v: voltage lost inside a new cell at 1 C [V], so R = drop_1c_v / Ah. Large
    prismatic cells have 0.15-0.3 mOhm at 280 Ah, hence 0.04-0.08 V.
    """

    curve_v: tuple[float, ...]
    window: tuple[float, float]
    nominal_v: float
    drop_1c_v: float


BY_NAME: dict[str, Chemistry] = {
    "LFP": Chemistry(
        (2.000, 2.785, 2.978, 3.108, 3.168, 3.186, 3.206, 3.232, 3.252, 3.262, 3.266,
         3.268, 3.269, 3.270, 3.274, 3.293, 3.310, 3.313, 3.314, 3.316, 3.600),
        window=(0.12, 0.96), nominal_v=3.2, drop_1c_v=0.05),
    "NMC": Chemistry(
        (2.500, 3.109, 3.296, 3.434, 3.485, 3.529, 3.581, 3.629, 3.667, 3.705, 3.751,
         3.798, 3.841, 3.890, 3.948, 3.994, 4.042, 4.081, 4.097, 4.124, 4.200),
        window=(0.15, 0.83), nominal_v=3.65, drop_1c_v=0.06),
    "LCO": Chemistry(
        (3.105, 3.618, 3.682, 3.691, 3.692, 3.694, 3.697, 3.702, 3.715, 3.735, 3.745,
         3.754, 3.765, 3.779, 3.799, 3.822, 3.849, 3.876, 3.904, 4.008, 4.100),
        window=(0.04, 0.95), nominal_v=3.7, drop_1c_v=0.06),
}


def open_circuit_table() -> FloatArray:
    """Open-circuit voltage [V] of all chemistries, float32[len(CHEMISTRIES) * POINTS].

    The block of a chemistry starts at its index in CHEMISTRIES times POINTS and runs evenly
    from LOWEST_PCT to HIGHEST_PCT of the pack's state of charge.
    """
    return np.concatenate([_fine_curve(BY_NAME[name]) for name in CHEMISTRIES])


def _fine_curve(chemistry: Chemistry) -> FloatArray:
    low, high = chemistry.window
    pack = np.linspace(LOWEST_PCT, HIGHEST_PCT, POINTS) / 100.0
    full = np.linspace(0.0, 1.0, len(chemistry.curve_v))
    return np.interp(low + (high - low) * pack, full, chemistry.curve_v).astype(np.float32)
