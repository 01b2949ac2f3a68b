"""Champion and challenger on the same days: who does not win by more than chance does not drive.

Paired differences of the days' costs, and how far their mean may be off by which days it happened
to be: the bootstrap (Efron 1979, doi:10.1214/aos/1176344552), its draws fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.coordinator.actor import Verdict
from core.coordinator.problem import Floats
from core.errors import RequestError
from services.coordinator.rl.evaluate import Outcome

DRAWS, SEED = 10_000, 64
SURE = 0.95
LEAST_DAYS = 30
CALLED = {"mpc": "MPC"}
"""Champions whose names people spell otherwise."""
MOST_US = 100.0
"""That a decision may take [us]."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What the challenger saves a day [currency]: the mean, and what it is at least and at most
    as surely as SURE."""

    mean: float
    least: float
    most: float


def difference(champion: Floats, challenger: Floats) -> Difference:
    """Of costs on the same days [days]. Raises RequestError for too few days, or none that
    match."""
    if champion.shape != challenger.shape or champion.ndim != 1 or len(champion) < LEAST_DAYS:
        raise RequestError(f"The gate compares the same {LEAST_DAYS} days or more, not "
                           f"{champion.shape} with {challenger.shape}")
    saved = champion - challenger
    drawn = np.random.default_rng(SEED).integers(0, len(saved), (DRAWS, len(saved)))
    means = saved[drawn].mean(axis=1)
    least, most = np.quantile(means, (1.0 - SURE, SURE))
    return Difference(float(saved.mean()), float(least), float(most))


def judged(role: str, champion: str, held: Floats, challenger: Outcome,
           decision_us: float) -> Verdict:
    """held: the champion's costs on the same days; role: where it would drive."""
    refusal = _unfit(challenger, decision_us)
    if refusal:
        return Verdict(role, champion, False, f"Refused: {refusal}.")
    found = difference(held, challenger.costs)
    days, size, known = len(held), abs(found.mean), CALLED.get(champion, champion)
    span = f"{found.least:.2f} to {found.most:.2f}"
    if found.least > 0.0:
        return Verdict(role, champion, True, f"Deployed: on {days} days it costs {size:.2f} a day "
                       f"less than {known} (surely {found.least:.2f} or more).")
    if found.mean > 0.0:
        return Verdict(role, champion, False, f"Refused: on {days} days it costs {size:.2f} a day "
                       f"less than {known}, which may be chance ({span}).")
    return Verdict(role, champion, False, f"Refused: on {days} days it costs {size:.2f} a day "
                   f"more than {known}.")


def _unfit(challenger: Outcome, decision_us: float) -> str:
    if not np.isfinite(challenger.costs).all():
        return "what it costs is no number on some days"
    if challenger.violations:
        return f"packs were outside of their limits {challenger.violations} times"
    if not decision_us <= MOST_US:
        return f"a decision takes {decision_us:.0f} µs, {MOST_US:.0f} at most are allowed"
    return ""
