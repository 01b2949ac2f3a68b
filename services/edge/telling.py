"""What the edge says of a sample. The guard judges it as it came; what no battery can have is told
as missing, because the centre takes a body as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.fleet.messages import Condition
from core.fleet.telemetry import possible, possible_cells, possible_condition
from core.safety.bands import MissingCell
from core.topology import FloatArray, IndexArray
from services.edge.plant import Sample
from services.edge.ports import Estimate

_OF: Mapping[MissingCell, str] = {"voltage_missing": "voltage_v",
                                  "temperature_missing": "temperature_c"}


def columns_of(sample: Sample, estimate: Estimate) -> dict[str, FloatArray]:
    """float32[cells] by name."""
    found = {name: possible_cells(name, values) for name, values in _measured(sample).items()}
    if estimate.cell_soc_pct is not None:
        found["soc_pct"] = possible_cells("soc_pct", estimate.cell_soc_pct)
    return found


def power_kw_of(sample: Sample) -> float | None:
    """None where the voltage or the current is none that a pack can have."""
    measured = possible("voltage_v", sample.voltage_v), possible("current_a", sample.current_a)
    return None if None in measured else possible("power_kw", sample.power_kw)


def mean_of(values: FloatArray) -> float | None:
    """Of those that are known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def conditions_of(told: Sequence[Condition], sample: Sample, columns: Mapping[str, FloatArray],
                  tier: int) -> tuple[Condition, ...]:
    """What the guard tells, and as missing the cells that were measured and are none in `columns`;
    tier: of those."""
    measured = _measured(sample)
    found = [possible_condition(one) for one in told]
    for name, column in _OF.items():
        lost = np.flatnonzero(np.isnan(columns[column]) & ~np.isnan(measured[column])) + 1
        cells = _beside(told, name, lost)
        if cells:
            found.append(Condition(condition=name, tier=tier, cells=cells))
    return tuple(found)


def _beside(told: Sequence[Condition], name: MissingCell, cells: IndexArray) -> tuple[int, ...]:
    """Those of which it is not told yet: a body tells each once."""
    known = {cell for one in told if one.condition == name for cell in one.cells}
    return tuple(cell for cell in cells.tolist() if cell not in known)


def _measured(sample: Sample) -> dict[str, FloatArray]:
    return {"voltage_v": sample.cell_voltage_v, "temperature_c": sample.cell_temperature_c}
