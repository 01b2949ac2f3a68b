"""How much power a pack's cells take and give before they meet their voltage limit, by what the
digital twin estimates of them.

    c = |V limit - V(charge)| / (r x drop)          [1/h]
    P = c x capacity x V limit / V nominal          [kW]

V(charge): the open-circuit voltage of the chemistry's cell; drop: what such a cell loses at a
lasting 1 C, at the temperature of the pack's coldest cell (core/twin/models.py); r: the estimated
resistance, as a multiple of a new cell's; V limit: where devices begin to hold the current back,
the information tier of core/profiles/safe_operating_area.yaml. It is the voltage-limited power of
Plett, IEEE Transactions on Vehicular Technology 53 (2004) 1586-1593, for a lasting current.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.allowance import window
from core.coordinator.problem import Floats
from core.reach import Way
from core.topology import IndexArray
from core.twin.models import CellModel, cell_model
from core.vocabulary import CHEMISTRIES


@dataclass(frozen=True, slots=True)
class Cells:
    """Of packs, columns [n]. chemistry: index into CHEMISTRIES, -1 unknown; rated_kwh: capacity
    when new; charge: 0..1; resistance: a multiple of a new cell's; cold_c: the coldest cell
    [degC], NaN = as at 25 degC."""

    chemistry: IndexArray
    rated_kwh: Floats
    charge: Floats
    resistance: Floats
    cold_c: Floats


def power_to_voltage_kw(cells: Cells, way: Way) -> Floats:
    """Magnitudes [kW], [n]; inf where charge, resistance or chemistry is not known."""
    limit_v, _ = window("voltage", way, cells.chemistry)
    found = np.full(len(cells.rated_kwh), np.inf)
    for kind, chemistry in enumerate(CHEMISTRIES):
        rows = np.flatnonzero(cells.chemistry == kind)
        if rows.size:
            found[rows] = _of_one(cell_model(chemistry), cells, rows, limit_v[rows], way)
    return np.where(np.isfinite(found), found, np.inf)


def _of_one(model: CellModel, cells: Cells, rows: IndexArray, limit_v: Floats, way: Way) -> Floats:
    """Of packs of one chemistry, NaN or inf where not known."""
    ohmic, pairs = model.warmth(cells.cold_c[rows])
    share = model.ohmic_share
    drop_v = model.drop_1c_v * cells.resistance[rows] * (share * ohmic + (1.0 - share) * pairs)
    rest_v = model.ocv_v(cells.charge[rows])
    room_v = limit_v - rest_v if way == "charge" else rest_v - limit_v
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.maximum(room_v, 0.0) / np.where(drop_v > 0, drop_v, np.nan)
    found: Floats = rate * cells.rated_kwh[rows] * limit_v / model.nominal_v
    return found
