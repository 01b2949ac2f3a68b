"""Which cells belong to which pack, and what a pack is rated for; roll-ups over packs (law 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigurationError
from core.topology import FloatArray, IndexArray
from core.vocabulary import CHEMISTRIES

NO_LEAF = -1


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack. `cells` in series, as many as are measured. `capacity_ah` new.
    `max_current_a`: its rating, both ways. `break_current_a`: what its contactors may open
    under; None takes the profile's multiple of the reference current."""

    name: str
    chemistry: str
    cells: int
    capacity_ah: float
    max_current_a: float = 100.0
    break_current_a: float | None = None
    ramp: str = "default"

    @property
    def reference_current_a(self) -> float:
        """The smaller of the rating and 1 C of the new pack, in A."""
        return min(self.max_current_a, self.capacity_ah)


@dataclass(frozen=True, slots=True)
class Extremes:
    """Per pack the lowest and highest value and the cells that have them; where a value is
    missing both are NaN and name the first missing cell (laws 4 and 7)."""

    low: FloatArray
    high: FloatArray
    low_leaf: IndexArray
    high_leaf: IndexArray


class Layout:
    """The packs of one device in a row; the cells of one pack are contiguous."""

    def __init__(self, packs: Sequence[Pack]) -> None:
        """Raises ConfigurationError for a pack that cannot be kept safe."""
        for pack in packs:
            _check(pack)
        if not packs:
            raise ConfigurationError("packs", "packs", [], "at least one pack")
        self.packs = tuple(packs)
        self.counts: IndexArray = np.array([pack.cells for pack in packs], dtype=np.int64)
        self.offsets: IndexArray = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self.cells = int(self.counts.sum())
        self.pack_of: IndexArray = np.repeat(np.arange(len(packs)), self.counts)
        self.chemistry: IndexArray = np.array(
            [CHEMISTRIES.index(pack.chemistry) for pack in packs], dtype=np.int64)

    @property
    def size(self) -> int:
        """How many packs."""
        return len(self.packs)

    @cached_property
    def reference_current_a(self) -> FloatArray:
        """float32[packs]"""
        return np.array([pack.reference_current_a for pack in self.packs], dtype=np.float32)

    @cached_property
    def capacity_ah(self) -> FloatArray:
        """Of the packs when new, by which amperes are told as C-rates: float32[packs]"""
        return np.array([pack.capacity_ah for pack in self.packs], dtype=np.float32)

    def extremes(self, values: FloatArray) -> Extremes:
        """values: float32[cells]."""
        if self.size == 1:
            low, high = int(np.argmin(values)), int(np.argmax(values))
            return Extremes(values[low:low + 1], values[high:high + 1],
                            np.array([low]), np.array([high]))
        low_value = np.minimum.reduceat(values, self.offsets)
        high_value = np.maximum.reduceat(values, self.offsets)
        return Extremes(low_value, high_value, self._first(values, low_value),
                        self._first(values, high_value))

    def worst(self, score: NDArray[np.float64]) -> tuple[NDArray[np.float64], IndexArray]:
        """Highest score of each pack and the cell that has it. score: float64[cells], finite."""
        if self.size == 1:
            leaf = int(np.argmax(score))
            return score[leaf:leaf + 1], np.array([leaf])
        highest = np.maximum.reduceat(score, self.offsets)
        return highest, self._first(score, highest)

    def sums(self, values: FloatArray) -> FloatArray:
        """float32[packs] of float32[cells], added in double precision."""
        return np.add.reduceat(values, self.offsets, dtype=np.float64).astype(np.float32)

    def _first(self, values: NDArray[np.floating], wanted: NDArray[np.floating]) -> IndexArray:
        hit = np.flatnonzero((values == wanted[self.pack_of]) | np.isnan(values))[::-1]
        first = np.full(self.size, NO_LEAF, dtype=np.int64)
        first[self.pack_of[hit]] = hit
        return first


def _check(pack: Pack) -> None:
    if pack.chemistry not in CHEMISTRIES:
        raise ConfigurationError("packs", f"{pack.name}.chemistry", pack.chemistry,
                                 ", ".join(CHEMISTRIES))
    amounts = {"cells": pack.cells, "capacity_ah": pack.capacity_ah,
               "max_current_a": pack.max_current_a}
    if pack.break_current_a is not None:
        amounts["break_current_a"] = pack.break_current_a
    for key, value in amounts.items():
        if not (np.isfinite(value) and value > 0):
            raise ConfigurationError("packs", f"{pack.name}.{key}", value, "a number above 0")
