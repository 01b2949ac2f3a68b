"""What packs did, as it was measured, against what they might: the count of limits broken.

A pack is beyond its limits where it gives or takes more than its box in force allows (`box` of
core/coordinator/safe.py), by more than measuring errs (`POWER_TOLERANCE` of its rating, or the
dead band). A limit that gets tighter has to be heard, taken and kept: so each measurement is held
against the widest box of the last WINDOW_S.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from core.coordinator.gather import Gathered
from core.coordinator.judge import POWER_TOLERANCE
from core.coordinator.problem import Floats
from core.coordinator.safe import Box, rated_kw
from core.coordinator.share import SETTLE_S
from core.coordinator.usual import MOST_A
from core.direction import DEAD_BAND_C_RATE

WINDOW_S = 3.0 * SETTLE_S
"""For the order, for the pack's own fall, and for the measurement to arrive [s]."""


@dataclass(frozen=True, slots=True)
class _Given:
    """What was in force from `at` on, [n] by ids."""

    at: datetime
    ids: tuple[str, ...]
    low_kw: Floats
    high_kw: Floats


class Deeds:
    """Of one site; for one thread."""

    def __init__(self) -> None:
        self._given: list[_Given] = []

    def take(self, found: Gathered, within: Box | None, refused: Collection[str],
             now: datetime) -> int:
        """How many packs are measured beyond what was in force until now; `within` is from now on,
        None where nothing is asked of packs. Packs that were not asked for long enough, or not
        heard just now, are not judged. refused: devices that did not take their allocation, whose
        box is drawn round what they do: their device's own limits are theirs."""
        if within is None:
            self._given.clear()
            return 0
        self._forget(now)
        beyond = self._beyond(found, now)
        self._remember(found, within, refused, now)
        return beyond

    def _forget(self, now: datetime) -> None:
        """What was not in force in the window any more."""
        begun = [at for at, given in enumerate(self._given)
                 if (now - given.at).total_seconds() >= WINDOW_S]
        del self._given[:max(begun, default=0)]

    def _beyond(self, found: Gathered, now: datetime) -> int:
        packs, done = found.packs, found.power_kw
        low, high = np.full(len(packs), np.inf), np.full(len(packs), -np.inf)
        settled = np.zeros(len(packs), bool)
        for given in self._given:
            rows, own = _places(packs.ids, given.ids)
            low[rows] = np.minimum(low[rows], given.low_kw[own])
            high[rows] = np.maximum(high[rows], given.high_kw[own])
            settled[rows] |= (now - given.at).total_seconds() >= SETTLE_S
        heard = np.array([state.heard_at is not None
                          and (now - state.heard_at).total_seconds() <= SETTLE_S
                          for state in found.states], dtype=bool)
        slack = np.maximum(POWER_TOLERANCE * rated_kw(found.now),
                           DEAD_BAND_C_RATE * packs.capacity_kwh)
        over = (done > high + slack) | (done < low - slack)
        return int((over & settled & heard).sum())

    def _remember(self, found: Gathered, within: Box, refused: Collection[str],
                  now: datetime) -> None:
        low, high = within.low_kw.copy(), within.high_kw.copy()
        for place, state in enumerate(found.states):
            if state.device in refused:
                kilovolts = found.now.voltage_v[place] / 1000.0
                low[place] = -kilovolts * min(MOST_A, state.charge_limit_a or 0.0)
                high[place] = kilovolts * min(MOST_A, state.discharge_limit_a or 0.0)
        self._given.append(_Given(now, found.packs.ids, low, high))


def _places(ids: tuple[str, ...], others: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """Where those that are in both stand in each."""
    if ids == others:
        return (every := list(range(len(ids)))), every
    there = {device: place for place, device in enumerate(others)}
    rows = [place for place, device in enumerate(ids) if device in there]
    return rows, [there[ids[place]] for place in rows]
