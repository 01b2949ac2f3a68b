"""A recorded year as days to learn from, days to choose on and days to be judged on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from core.coordinator.forecasts import Forecaster
from core.coordinator.policy import Typical
from core.coordinator.problem import Floats
from services.coordinator.rl.days import I64, STEPS, Days, Year, days_of, fixed_days, typical

CHOOSE_EVERY = 8
"""Of the days that are learnt from, one in so many only chooses between policies."""
MADE_UP = 0.3
"""Part of the days that are learnt from with prices that never were, so that a policy knows more
than one tariff."""
SEED = 11
HOURS = np.arange(2 * STEPS) / (STEPS / 24.0)


@dataclass(frozen=True, slots=True)
class Prepared:
    """which: numbers of the days that are judged on."""

    learnt_from: Days
    chosen_on: Days
    evaluated: Days
    which: I64
    typical: Typical


def prepared(year: Year, capacity_kwh: float, zone: str,
             forecaster: Callable[[], Forecaster]) -> Prepared:
    """Raises RequestError for too few days, or gaps."""
    evaluated, others = fixed_days(year.days)
    chosen = others[::CHOOSE_EVERY]
    learnt = np.setdiff1d(others, chosen)
    parts = [days_of(year, which, (forecaster(), forecaster()), capacity_kwh, zone)
             for which in (learnt, chosen, evaluated)]
    return Prepared(with_other_prices(parts[0]), parts[1], parts[2], evaluated,
                    typical(year, capacity_kwh, zone, evaluated))


def with_other_prices(days: Days, part: float = MADE_UP, seed: int = SEED) -> Days:
    """Some of them with prices of a market: two peaks, a valley at noon, noise from hour to hour;
    their mean as it was."""
    rng = np.random.default_rng(seed)
    buy, sell = days.buy.copy(), days.sell.copy()
    for at in np.flatnonzero(rng.random(len(days)) < part):
        mean = float(days.buy[at].mean())
        buy[at] = mean * _market(rng)
        sell[at] = buy[at] * rng.uniform(0.1, 0.9) if rng.random() < 0.5 else days.sell[at]
    return replace(days, buy=buy, sell=np.minimum(sell, buy))


def _market(rng: np.random.Generator) -> Floats:
    """Around 1, constant within hours."""
    hours = np.floor(HOURS)
    peaks = rng.uniform(0.0, 0.6) * np.exp(-((hours % 24 - rng.uniform(6, 9)) / 2.0) ** 2)
    peaks += rng.uniform(0.2, 0.9) * np.exp(-((hours % 24 - rng.uniform(17, 20)) / 2.5) ** 2)
    valley = rng.uniform(0.0, 0.6) * np.exp(-((hours % 24 - 13.0) / 3.0) ** 2)
    noise = np.cumsum(rng.normal(0.0, 0.05, 48))
    shape = 1.0 + peaks - valley + np.repeat(noise - noise.mean(), STEPS // 24)
    found: Floats = shape / max(float(np.abs(shape).mean()), 0.1)
    return found
