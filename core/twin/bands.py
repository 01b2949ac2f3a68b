"""How wide the interval of a prediction is to be: as wide as earlier ones of the same lead time
were wrong, measured by how hard each was.

Split conformal prediction (Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005;
Lei et al., J. Am. Stat. Assoc. 113, 2018, 1094-1111): of n earlier errors the one of rank
ceil((n + 1) LEVEL) bounds the next with a chance of LEVEL at least, whatever they look like, if
the next is of their kind. Packs change, so the newest errors alone count; and they are divided by
the spread that stands with each prediction, because a voltage that is to move is foretold worse
than one that rests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from core.twin.models import Floats
from core.twin.predictions import Point, Prediction, PredictionStore

LEVEL = 0.9
LEAST_OWN, LEAST_ALL = 20, 200
"""Errors of this pack, and of all packs, that tell a width; of few the worst would be taken."""
NEWEST_OWN, NEWEST_ALL = 150, 3000
STATED = 4.5
"""Until then, in spreads: at each lead time 90 % of the errors on the real drives and discharges of
`tests/data/twin` stay below."""
Errors = Mapping[float, Floats]
"""By lead time [s]: measured less predicted in spreads, without a sign, float64[n], the newest
first."""
Basis = Literal["own", "all", "stated"]


def width(errors: Floats, level: float = LEVEL) -> float:
    """That holds the next error of the same kind; infinite of too few."""
    rank = math.ceil((errors.size + 1) * level)
    return math.inf if rank > errors.size else float(np.partition(errors, rank - 1)[rank - 1])


def with_intervals(store: PredictionStore, site: str,
                   predictions: Sequence[Prediction]) -> list[Prediction]:
    """By what earlier ones of each pack met. Raises RetryLaterError."""
    every = store.errors(site, None, NEWEST_ALL)
    return [banded(told, store.errors(site, told.device, 3 * NEWEST_OWN), every)
            for told in predictions]


def banded(told: Prediction, own: Errors, every: Errors) -> Prediction:
    """With intervals. own: of this pack's earlier predictions; every: of all packs'."""
    return msgspec.structs.replace(
        told, points=tuple(_point(point, own, every) for point in told.points))


def _point(point: Point, own: Errors, every: Errors) -> Point:
    """Without a spread there is no interval."""
    if point.spread_v is None:
        return point
    spreads, basis, count = _spreads(point.after_s, own, every)
    half_v = spreads * point.spread_v
    return msgspec.structs.replace(point, low_v=point.cell_v - half_v, basis=basis,
                                   high_v=point.cell_v + half_v, basis_count=count)


def _spreads(after_s: float, own: Errors, every: Errors) -> tuple[float, Basis, int]:
    mine = own.get(after_s, np.empty(0))[:NEWEST_OWN]
    if mine.size >= LEAST_OWN:
        return width(mine), "own", int(mine.size)
    all_ = every.get(after_s, np.empty(0))[:NEWEST_ALL]
    if all_.size >= LEAST_ALL:
        return width(all_), "all", int(all_.size)
    return STATED, "stated", 0
