"""What lies ahead of a site: load and PV told from their past, and the prices of its tariff."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from core.coordinator.forecasts import Forecaster, Past, with_now
from core.coordinator.meter import LOAD, PV, Meter, Metered
from core.coordinator.problem import Band, Floats, Outlook
from core.coordinator.records import Minute
from core.errors import RequestError
from core.tariff import Tariff, prices

PAST_DAYS = 84
DAY_S = 86_400.0
COMPLETE = 0.95
"""Part of a past from which on no more of it is asked for."""
ASSUMED_MOST = 2.0
"""A load that nothing is known of but its present value lies between none and so many times it."""
ODD_PRICE = 10.0
"""A price beyond is believed, and said [currency/kWh]."""


@dataclass(frozen=True, slots=True)
class Expected:
    """words: what a person should know of it, each a sentence."""

    outlook: Outlook
    words: tuple[str, ...] = ()


class Memory:
    """Load and PV of a site's last PAST_DAYS in steps of step_s [s], kept up by what is heard. For
    one thread."""

    def __init__(self, meter: Meter, step_s: float) -> None:
        self._meter, self._step_s = meter, step_s
        self._steps = round(PAST_DAYS * DAY_S / step_s)
        self._end: datetime | None = None
        self._values = {name: np.full(self._steps, np.nan) for name in (LOAD, PV)}

    def take(self, minutes: Sequence[Minute], end: datetime) -> dict[str, Past]:
        """The past up to `end`, a whole step: what the meter remembers, and over it `minutes`,
        which were heard since the last time."""
        self._move(end)
        start = end - timedelta(seconds=self._steps * self._step_s)
        times = column(minutes, "time_s")
        for name, own in ((LOAD, "load_kw"), (PV, "pv_kw")):
            means = step_means(times, column(minutes, own), start, self._steps, self._step_s)
            known = np.isfinite(means)
            self._values[name][known] = means[known]
        return {name: Past(start, self._step_s, values.copy())
                for name, values in self._values.items()}

    def _move(self, end: datetime) -> None:
        new = self._steps if self._end is None else min(self._steps, max(0, round(
            (end - self._end).total_seconds() / self._step_s)))
        self._end = end
        for name, values in self._values.items():
            self._values[name] = np.concatenate([values[new:], np.full(new, np.nan)])
        # A past that is still being written is asked for again.
        whole = np.isfinite(self._values[LOAD]).mean() < COMPLETE
        count = self._steps if whole else new
        if count:
            told = self._meter.past(end - timedelta(seconds=count * self._step_s), count,
                                    self._step_s)
            for name, values in self._values.items():
                empty = np.isnan(values[-count:])
                values[-count:][empty] = told[name][empty]


def column(minutes: Sequence[Minute], name: str) -> Floats:
    return np.array([getattr(one, name) for one in minutes], dtype=np.float64)


def step_means(time_s: Floats, values: Floats, start: datetime, steps: int,
               step_s: float) -> Floats:
    """Of the values [n] that are known in each step, [steps], NaN where there is none."""
    at = np.floor((time_s - start.timestamp()) / step_s).astype(np.int64)
    good = np.isfinite(values) & (at >= 0) & (at < steps)
    counts = np.bincount(at[good], minlength=steps)
    sums = np.bincount(at[good], weights=values[good], minlength=steps)
    means: Floats = np.divide(sums, counts, out=np.full(steps, np.nan), where=counts > 0)
    return means


def expected(past: Mapping[str, Past], now: Metered, forecasters: Mapping[str, Forecaster],
             tariff: Tariff, start: datetime, steps: int, step_s: float) -> Expected:
    """past, forecasters: of LOAD and PV. Raises RequestError, in words, where there is no price at
    all, or neither a past of the load nor its present."""
    if steps < 1:
        raise RequestError(f"A plan of {steps} steps plans nothing: give a horizon of 1 or more")
    load, load_words = _band(past[LOAD], now.load_kw, forecasters[LOAD], steps, "load")
    pv, pv_words = _band(past[PV], now.pv_kw, forecasters[PV], steps, "PV")
    buy, sell, price_words = priced(tariff, start, steps, step_s)
    words = (*load_words, *pv_words, *price_words)
    return Expected(Outlook(start, step_s, load, pv, buy, sell), words)


def _band(past: Past, now_kw: float, forecaster: Forecaster, steps: int,
          what: str) -> tuple[Band, tuple[str, ...]]:
    """Magnitudes: nothing below 0."""
    try:
        found = forecaster.ahead(past, steps)
    except RequestError as error:
        if not math.isfinite(now_kw):
            raise RequestError(f"The {what} is not known, neither now nor before: see that its "
                               f"meter is connected ({error})") from error
        flat = np.full(steps, max(0.0, now_kw))
        return (Band(flat, np.zeros(steps), ASSUMED_MOST * flat),
                (f"too little is known of the {what}'s past: it is taken to stay as it is",))
    found = Band(*(np.maximum(one, 0.0) for one in (found.expected, found.low, found.high)))
    return with_now(found, now_kw), ()


def priced(tariff: Tariff, start: datetime, steps: int,
           step_s: float) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Import and export price [steps] [currency/kWh], means of each step, a missing one as a day
    before, or as the mean of what is known. Raises RequestError where none is known."""
    day = round(DAY_S / step_s)
    before = start - timedelta(seconds=day * step_s)
    columns = [_step_prices(tariff, before, day + steps, step_s, which) for which in (0, 1)]
    known = np.isfinite(columns[0]) & np.isfinite(columns[1])
    buy, sell = (_filled(one, known, day)[day:] for one in columns)
    known = known[day:]
    if not known.any():
        raise RequestError(f"No price is known from {start:%d %b %H:%M} UTC on: take in newer "
                           "prices, or choose another tariff")
    words = []
    if not known.all():
        last = start + timedelta(seconds=step_s * int(np.flatnonzero(known)[-1] + 1))
        words.append(f"prices are known until {last:%d %b %H:%M} UTC: what lacks is taken as the "
                     "same hour of the day before, or as their mean")
    worst = float(np.abs(buy).max())
    if worst > ODD_PRICE:
        words.append(f"a price of {worst:.2f} a kWh is unusual; see that its unit is kWh, not MWh")
    return buy, sell, tuple(words)


def _step_prices(tariff: Tariff, start: datetime, steps: int, step_s: float,
                 which: int) -> Floats:
    """Means over time of the spans in each step; NaN where any part has no price."""
    begin = start.timestamp()
    edges, *columns = prices(tariff, begin, begin + steps * step_s)
    grid = begin + step_s * np.arange(steps + 1)
    cuts = np.union1d(edges, grid)
    span = np.clip(np.searchsorted(edges, cuts[:-1], side="right") - 1, 0, len(edges) - 2)
    at = np.clip(np.searchsorted(grid, cuts[:-1], side="right") - 1, 0, steps - 1)
    worth = np.bincount(at, weights=columns[which][span] * np.diff(cuts), minlength=steps)
    found: Floats = worth / step_s
    return found


def _filled(values: Floats, known: np.ndarray[tuple[int], np.dtype[np.bool_]],
            day: int) -> Floats:
    found = np.where(known, values, np.nan)
    for at in np.flatnonzero(~known):
        found[at] = found[at - day] if at >= day else np.nan
    found[np.isnan(found)] = float(values[known].mean()) if known.any() else np.nan
    return found
