"""Since when measured less modelled voltage has left what is usual of a pack.

What is usual is learnt from the mean residuals of five minutes, and a sum of what is beyond it
says when they left it (CUSUM, Page, Biometrika 41, 1954, 100-115). Both are kept from look to look
and over restarts, so that a drift has its true beginning, and does not become the usual because the
hours before it are no longer read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from core.twin.models import Floats

BIN_S = 300.0
LEAST_BINS = 8
"""With a known residual; fewer tell nothing usual."""
FIRST_SHARE = 0.25
"""Of the first record, its beginning, that says what is usual."""
LEARNT, MEMORY = 288, 30 * 288
"""Pieces: for a day it is learnt in any case; afterwards it follows the last 30 days, but stands
still while the pack drifts, for a drift is nothing usual."""
BEHIND_S = 86_400.0
"""A record that ends so long before what was judged is of a clock that was wrong then."""
DRIFT_V = 0.004
"""Residuals that wander less are never called a drift [V]."""
SLACK, LIMIT, MOST = 1.0, 8.0, 16.0
"""Of the sums, in spreads; they end at MOST, so that they fall within hours of a drift's end."""
OVER_S = 6 * 3600.0
"""A drift is over when so long no sum was beyond its limit. It may change its side meanwhile: a
filter follows a wrong voltage to where the curve is steep."""
OF_MEAN = math.sqrt(math.pi / 2.0)
"""Standard deviation by mean magnitude, of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Drift:
    """usual_v, off_v: mean residual, and mean magnitude of what pieces are off it [V]; pieces: how
    many told that; until_s: end of the last piece [s]; up, down: sums of what was above and below;
    up_s, down_s: when each began [s]; left_s: when it left what is usual, NaN where it did not;
    beyond_s: when a sum was last beyond its limit [s]; now_v: the last residual less the usual one
    [V]."""

    usual_v: float
    off_v: float
    pieces: float
    until_s: float
    up: float = 0.0
    down: float = 0.0
    up_s: float = 0.0
    down_s: float = 0.0
    left_s: float = math.nan
    beyond_s: float = 0.0
    now_v: float = 0.0

    @property
    def since_s(self) -> float | None:
        """Since when it has left what is usual, None where it has not [s since 1970]."""
        return None if math.isnan(self.left_s) else self.left_s

    def after(self, begins_s: float, mean_v: float) -> Drift:
        """With one piece more."""
        away = (mean_v - self.usual_v) / max(OF_MEAN * self.off_v, DRIFT_V)
        up, down = (min(MOST, max(0.0, level + off - SLACK))
                    for level, off in ((self.up, away), (self.down, -away)))
        found = replace(self, up=up, down=down, until_s=begins_s + BIN_S,
                        up_s=begins_s if self.up == 0.0 else self.up_s,
                        down_s=begins_s if self.down == 0.0 else self.down_s)
        found = found._judged(begins_s)
        if self.pieces >= LEARNT and found.since_s is not None:
            return found
        share = 1.0 / min(self.pieces + 1.0, MEMORY)
        off_v = abs(mean_v - self.usual_v)
        return replace(found, pieces=self.pieces + 1.0,
                       usual_v=self.usual_v + share * (mean_v - self.usual_v),
                       off_v=self.off_v + share * (off_v - self.off_v))

    def _judged(self, begins_s: float) -> Drift:
        """Whether it has left what is usual, or is back."""
        if max(self.up, self.down) > LIMIT:
            began_s = self.up_s if self.up > self.down else self.down_s
            return replace(self, beyond_s=begins_s, left_s=began_s if math.isnan(self.left_s)
                           else self.left_s)
        over = begins_s - self.beyond_s > OVER_S
        return replace(self, left_s=math.nan) if over else self


def drift_after(before: Drift | None, time_s: Floats, residual_v: Floats) -> Drift | None:
    """before: as the last look left it, None before the first; time_s [n] [s], residual_v [n] [V],
    NaN where it is not known: of the last hours. None while too little is known."""
    begins, means = _pieces(time_s, residual_v)
    if before is not None and begins.size and before.until_s - begins[-1] > BEHIND_S:
        before = None
    if before is None:
        if means.size < LEAST_BINS:
            return None
        size = max(3, int(FIRST_SHARE * means.size))
        usual_v = float(np.median(means[:size]))
        before = Drift(usual_v, float(np.median(np.abs(means[:size] - usual_v))), size, begins[0])
    new = begins >= before.until_s
    drift = before
    for begins_s, mean_v in zip(begins[new].tolist(), means[new].tolist(), strict=True):
        drift = drift.after(begins_s, mean_v)
    if not means.size:
        return drift
    return replace(drift, now_v=float(np.median(means[-3:])) - drift.usual_v)


def _pieces(time_s: Floats, residual_v: Floats) -> tuple[Floats, Floats]:
    """Beginnings [s] and means [V] of whole pieces of BIN_S with a known residual; the same ones in
    each look."""
    known = np.isfinite(residual_v)
    number = time_s // BIN_S
    if number.size:
        known &= number < number[-1]
    bins, where = np.unique(number[known], return_inverse=True)
    sums = np.bincount(where, weights=residual_v[known], minlength=bins.size)
    return bins * BIN_S, sums / np.bincount(where, minlength=bins.size)
