"""Days of a site to learn from, policies of any weights, and a key."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np

from core.coordinator.actor import FILE, Actor, Record, Verdict, load
from core.coordinator.forecasts import Persistence
from core.coordinator.policy import FEATURES, Typical
from core.coordinator.problem import Floats
from services.coordinator.rl.days import PAST_DAYS, STEP_S, STEPS, Days, Year, days_of
from sim.site import Options, create

KEY = "a key of the tests, long enough"
ZONE = "Europe/Stockholm"
CAPACITY_KWH = 2100.0
SHIPPED = load(FILE).record
MIDNIGHT = datetime(2025, 2, 1, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


@cache
def year(days: int = 12) -> Year:
    """Of the simulated site."""
    count = (PAST_DAYS + days + 1) * STEPS
    told = create("site", Options(), ()).tell_past(MIDNIGHT.timestamp() + STEP_S * np.arange(count))
    return Year(MIDNIGHT, *told.T)


@cache
def days(count: int = 12) -> Days:
    return days_of(year(count), np.arange(count), (Persistence(), Persistence()), CAPACITY_KWH,
                   ZONE)


def typical(net: float = 0.0) -> Typical:
    """The same all day."""
    return Typical(ZONE, np.full((12, 24), net), np.full((12, 24), 0.3), np.full((12, 24), 0.05))


def record(*verdicts: Verdict) -> Record:
    return Record("run-1", "cloned", "2026-11-22T00:00:00+00:00", "a test", "MIT", 1,
                  verdicts=verdicts)


def actor(seed: int = 1, width: int = 96, *verdicts: Verdict, typical_day: Typical | None = None,
          ) -> Actor:
    """Of random weights."""
    rng = np.random.default_rng(seed)
    sizes = (FEATURES, width, width, 1)
    layers = [(rng.normal(0.0, size ** -0.5, (size, more)).astype(np.float32),
               rng.normal(0.0, 0.1, more).astype(np.float32))
              for size, more in zip(sizes, sizes[1:], strict=False)]
    return Actor(layers, typical_day or typical(), record(*verdicts))


def always(action: float, *verdicts: Verdict, typical_day: Typical | None = None) -> Actor:
    """One that says the same whatever it sees."""
    weights = np.zeros((FEATURES, 1), dtype=np.float32)
    return Actor([(weights, np.array([np.arctanh(action)], dtype=np.float32))],
                 typical_day or typical(), record(*verdicts))


LET = Verdict("edge", "packs at rest", True, "Deployed.")
SITE_LET = Verdict("site", "mpc", True, "Deployed.")
SITE_REFUSED = Verdict("site", "mpc", False, "Refused: it costs 3.00 a day more than mpc.")


def rest(states: Floats) -> Floats:
    """A policy whose packs do nothing: where PV leaves something over the plateau differs."""
    return np.where(states[:, 6] > 0, -0.375, 0.375)


def own_use(states: Floats) -> Floats:
    """What PV leaves over is stored, what the load lacks is discharged."""
    return np.where(states[:, 6] > 0, 0.375, -0.375)
