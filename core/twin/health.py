"""Health of a cell out of what was measured: its capacity from the charge between two charges
that its resting voltage tells, its resistance from steps of current, each with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import RequestError
from core.twin.counting import GAIN_ERROR, NO_COUNT, Count, Swing, carried, swings_of
from core.twin.interval import UNKNOWN, Interval, weighed
from core.twin.models import CellModel, Floats
from core.twin.record import GAP_S, Record, held

STEP_C = 0.1
"""A step of current that tells a resistance [C-rate]."""
STEP_S = 5.0
"""Longer between two samples, and the pairs answer too [s]."""
LEAST_STEPS = 5
LEAST_MOVES, LEAST_MOVE_V = 60, 0.002
"""Changes of minute means that tell a resistance, and what they move a new cell's voltage by at
least, root mean square [V]: below, sensors are of that size."""
SHAPE_ERROR = 0.04
"""By which the circuit's time constants put its voltage into the wrong minute, one standard
deviation as a share: what pairs twice as slow or half as slow change."""
WARMTH_ERROR = 0.5
"""Of what warmth is said to change, one standard deviation: cells differ in it by makes."""
END_RESISTANCE = 2.0
"""A cell is at its end at 80 % of its capacity or at twice its resistance (DOE, USABC manual)."""
END_CAPACITY = 0.8
RESISTANCE_WORTH = 0.06
"""How far health by resistance and health by capacity part among cells, one standard deviation:
resistance is a weak witness beside a measured capacity."""


@dataclass(frozen=True, slots=True)
class Health:
    """capacity_ah [Ah]; resistance: ohmic, as a multiple of the new cell's; soh: 1 = new, both
    together. swings: pairs of rests and steps: of current that told it. count: goes on from here
    (`core.twin.counting`)."""

    capacity_ah: Interval
    resistance: Interval
    soh: Interval
    swings: Sequence[Swing]
    steps: int
    count: Count


def health(record: Record, model: CellModel, rated_ah: float, before: Count = NO_COUNT,
           counted: Record | None = None) -> Health:
    """Of a cell that has rated_ah [Ah] when new. before: what was counted until now; counted: a
    longer record to count by. Raises RequestError for a rating that is none."""
    if not (math.isfinite(rated_ah) and rated_ah > 0):
        raise RequestError(f"a rated capacity is above 0 Ah, not {rated_ah:g}")
    count, swings = carried(before, record if counted is None else counted, model, rated_ah)
    capacity = weighed([swing.capacity_ah for swing in swings])
    resistance, steps = resistance_of(record, model, rated_ah)
    soh = weighed([capacity.times(1.0 / rated_ah), by_resistance(resistance)])
    return Health(capacity, resistance, soh, swings, steps, count)


def capacity_of(record: Record, model: CellModel, rated_ah: float) -> tuple[Interval, int]:
    """[Ah], and from how many pairs of rests."""
    swings = swings_of(record, model, rated_ah)
    return weighed([swing.capacity_ah for swing in swings]), len(swings)


def resistance_of(record: Record, model: CellModel, rated_ah: float) -> tuple[Interval, int]:
    """Ohmic, as a multiple of the new cell's, and from how many steps of current: the median of
    -dV/dI, with the deviation of a median."""
    moved_a, moved_v = np.diff(record.current_a), np.diff(record.voltage_v)
    near = np.diff(record.time_s) <= STEP_S
    use = near & (np.abs(moved_a) >= STEP_C * rated_ah) & np.isfinite(moved_v)
    if use.sum() < LEAST_STEPS:
        return UNKNOWN, int(use.sum())
    ratios: Floats = -moved_v[use] / moved_a[use] * rated_ah / model.ohmic_1c_v
    middle = float(np.median(ratios))
    spread = 1.4826 * float(np.median(np.abs(ratios - middle)))
    sigma = math.hypot(1.2533 * spread / math.sqrt(ratios.size), GAIN_ERROR * middle)
    return Interval.of(middle, sigma), int(ratios.size)


def resistance_by_moves(record: Record, soc: Floats, model: CellModel, rated_ah: float,
                        temperature_c: float = math.nan) -> tuple[Interval, int]:
    """Of minute means, which are too coarse for steps: how much more the voltage moves with its
    current than a new cell's would, least squares over the changes from row to row, so that what a
    curve gets wrong for longer than a row does not count. What answers at once and what answers
    later are fitted apart, for cells differ in how they share it, and told together, as a multiple
    of the new cell's at this temperature [°C]; and from how many changes. soc: charge at the rows,
    0..1, as the filter lived them."""
    parts = np.diff(np.stack(record.mean_drops_v(model, rated_ah)), axis=1)
    warm = np.concatenate(model.warmth([temperature_c]))
    expected = parts * warm[:, np.newaxis]
    seen = np.diff(model.ocv_v(_middles(record, soc, rated_ah)) - record.voltage_v)
    use = np.isfinite(expected).all(axis=0) & np.isfinite(seen) & \
        np.isfinite(np.diff(record.current_a))
    expected, seen = expected[:, use], seen[use]
    whole = expected.sum(axis=0)
    if seen.size < LEAST_MOVES or math.sqrt(float(np.mean(whole**2))) < LEAST_MOVE_V:
        return UNKNOWN, int(seen.size)
    inverse = np.linalg.pinv(expected @ expected.T)
    found = inverse @ (expected @ seen)
    shares = np.array([model.ohmic_share, 1.0 - model.ohmic_share])
    left = seen - found @ expected
    by_chance = float(shares @ inverse @ shares) * float(left @ left) / (seen.size - 2)
    ratio = float(shares @ found)
    warmth = WARMTH_ERROR * abs(float(shares @ warm) - 1.0)
    sigma = math.sqrt(2.0 * by_chance + (SHAPE_ERROR**2 + warmth**2) * ratio**2)
    return Interval.of(ratio, sigma), int(seen.size)


def _middles(record: Record, soc: Floats, rated_ah: float) -> Floats:
    """Charge in the middle of each row's time: counted, for a filter's corrections move with the
    voltage; its level is the filter's median."""
    step_s = np.diff(record.time_s, prepend=record.time_s[:1])
    flowed = held(record.current_a) * np.where(step_s <= GAP_S, step_s, 0.0) / 3600.0 / rated_ah
    taken = np.cumsum(flowed)
    known = np.isfinite(soc)
    level = float(np.median((soc + taken)[known])) if known.any() else math.nan
    return np.asarray(level - taken + 0.5 * flowed)


def by_resistance(resistance: Interval) -> Interval:
    """Health by a resistance, a multiple of the new cell's: 1 when new, 0.8 at END_RESISTANCE."""
    if not resistance.known or resistance.value <= 0:
        return UNKNOWN
    loss = (1.0 - END_CAPACITY) / (END_RESISTANCE - 1.0)
    soh = min(1.0, 1.0 - loss * (resistance.value - 1.0))
    return Interval.of(max(soh, 0.0), math.hypot(loss * resistance.sigma, RESISTANCE_WORTH))
