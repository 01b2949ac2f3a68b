"""What a cell of each chemistry looks like electrically: voltage against charge, resistance.

The numbers and their sources are in `core/profiles/cells.yaml`, which the edge devices and the
digital twin read too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.topology import FloatArray
from core.twin.models import CellModel, cell_models
from core.vocabulary import CHEMISTRIES

POINTS = 8192
"""Points of one chemistry's fine table; one step is 0.015 % of charge."""
LOWEST_PCT, HIGHEST_PCT = -10.0, 110.0
"""What the fine table covers: a failing cell leaves the pack's own 0..100 %."""

BY_NAME: Mapping[str, CellModel] = cell_models()


def open_circuit_table() -> FloatArray:
    """Open-circuit voltage [V] of all chemistries, float32[len(CHEMISTRIES) * POINTS].

    The block of a chemistry starts at its index in CHEMISTRIES times POINTS and runs evenly
    from LOWEST_PCT to HIGHEST_PCT of the pack's state of charge.
    """
    return np.concatenate([_fine_curve(BY_NAME[name]) for name in CHEMISTRIES])


def _fine_curve(chemistry: CellModel) -> FloatArray:
    low, high = chemistry.window
    pack = np.linspace(LOWEST_PCT, HIGHEST_PCT, POINTS) / 100.0
    full = np.linspace(0.0, 1.0, len(chemistry.curve_v))
    return np.interp(low + (high - low) * pack, full, chemistry.curve_v).astype(np.float32)
