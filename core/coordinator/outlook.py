"""What lies ahead of a site: load and PV told from their past, and the prices of its tariff."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.coordinator.forecasts import Forecaster, HourOfWeek, Past, with_now
from core.coordinator.meter import LOAD, PV, Meter, Metered
from core.coordinator.price_checks import MOST_PRICE, ahead_words
from core.coordinator.problem import Band, Floats, Outlook
from core.coordinator.records import Minute
from core.energy import wall_clock
from core.errors import RequestError
from core.tariff import Tariff, prices

PAST_DAYS = 84
DAY_S = 86_400.0
COMPLETE = 0.95
"""Part of a past from which on no more of it is asked for."""
ASSUMED_MOST = 2.0
"""A load that nothing is known of but its present value lies between none and so many times it."""
GUESSED = {"load": "stay as it is", "PV": "rise and set from what it is now, as on a clear day"}
SUNRISE_H, SUNSET_H, LEAST_SUN = 6.0, 18.0, 0.2
BUY, SELL = "import_price", "export_price"
LEAST_PRICE_DAYS = 14
"""Every hour of the week twice: below it nobody can tell how far off it may be."""
NEGATIVE = -math.inf
"""The least of a price: none."""
UTC = ZoneInfo("UTC")
NO_PAST: Mapping[str, Past] = {}
WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Expected:
    """words: what a person should know of it, each a sentence."""

    outlook: Outlook
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Priced:
    """Of steps ahead: import and export price [steps] [currency/kWh]; band: of import, as
    `Outlook.import_band`; words: what a person should know of it, each a sentence."""

    buy: Floats
    sell: Floats
    band: Band | None = None
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
             tariff: Tariff, start: datetime, steps: int, step_s: float,
             zone: ZoneInfo = UTC) -> Expected:
    """past, forecasters: of LOAD and PV, and the past of BUY and SELL where prices may lack; zone:
    whose weeks they go by. Raises RequestError, in words, where there is no price at all, or
    neither a past of the load nor its present."""
    if steps < 1:
        raise RequestError(f"A plan of {steps} steps plans nothing: give a horizon of 1 or more")
    load, load_words = _band(past[LOAD], now.load_kw, forecasters[LOAD], np.ones(steps), "load")
    pv, pv_words = _band(past[PV], now.pv_kw, forecasters[PV], sun(start, steps, step_s, zone),
                         "PV")
    told = prices_ahead(tariff, start, steps, step_s, past, zone)
    words = (*load_words, *pv_words, *told.words)
    return Expected(Outlook(start, step_s, load, pv, told.buy, told.sell, told.band), words)


def sun(start: datetime, steps: int, step_s: float, zone: ZoneInfo) -> Floats:
    """How PV goes on from what it is at `start`, as parts of that [steps]: half a sine from
    SUNRISE_H to SUNSET_H of the wall clock, for which no place has to be known. What shines below
    LEAST_SUN of the noon's says little of the day, and is taken for so much of it."""
    local_h = wall_clock(start.timestamp() + step_s * (np.arange(steps) + 0.5), zone) % DAY_S / 3600
    shape = np.maximum(np.sin(np.pi * (local_h - SUNRISE_H) / (SUNSET_H - SUNRISE_H)), 0.0)
    found: Floats = shape / max(float(shape[0]), LEAST_SUN)
    return found


def _band(past: Past, now_kw: float, forecaster: Forecaster, shape: Floats,
          what: str) -> tuple[Band, tuple[str, ...]]:
    """Magnitudes: nothing below 0. shape: where the past does not tell, how it goes on from what it
    is now, as parts of that [steps]."""
    steps = len(shape)
    try:
        found = forecaster.ahead(past, steps)
    except RequestError as error:
        if not math.isfinite(now_kw):
            raise RequestError(f"The {what} is not known, neither now nor before: see that its "
                               f"meter is connected ({error})") from error
        taken = max(0.0, now_kw) * shape
        how = GUESSED[what]
        return (with_now(Band(taken, np.zeros(steps), ASSUMED_MOST * taken), max(0.0, now_kw)),
                (f"too little is known of the {what}'s past: it is taken to {how}",))
    found = Band(*(np.maximum(one, 0.0) for one in (found.expected, found.low, found.high)))
    return with_now(found, now_kw), ()


def priced(tariff: Tariff, start: datetime, steps: int,
           step_s: float) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Import and export price [steps] [currency/kWh] and words, as `prices_ahead` without a
    past."""
    told = prices_ahead(tariff, start, steps, step_s)
    return told.buy, told.sell, told.words


def prices_ahead(tariff: Tariff, start: datetime, steps: int, step_s: float,
                 past: Mapping[str, Past] = NO_PAST, zone: ZoneInfo = UTC) -> Priced:
    """Means of each step. What the tariff does not know yet is foretold by the hour of the week
    where `past` (of BUY and SELL, up to `start`) is long enough; else it is taken as a day before,
    or as the mean of what is known. A price beyond MOST_PRICE is none. Raises RequestError where
    nothing ahead is known."""
    day = round(DAY_S / step_s)
    before = start - timedelta(seconds=day * step_s)
    columns = [step_prices(tariff, before, day + steps, step_s, which) for which in (0, 1)]
    known = (np.abs(columns[0]) <= MOST_PRICE) & (np.abs(columns[1]) <= MOST_PRICE)
    buy, sell = (_filled(one, known, day)[day:] for one in columns)
    known, words = known[day:], _wild_words(np.concatenate([one[day:] for one in columns]))
    if not known.any():
        raise RequestError("; ".join([*words, "No price is known from "
                                      f"{start:%d %b %H:%M} UTC on: take in newer prices, or "
                                      "choose another tariff"]))
    band = None
    if not known.all():
        last = start + timedelta(seconds=step_s * int(np.flatnonzero(known)[-1] + 1))
        foretold = foretold_prices(past, steps, zone)
        how = "taken as the same hour of the day before, or as their mean"
        if foretold is not None:
            bought, sold = foretold
            buy, sell = np.where(known, buy, bought.expected), np.where(known, sell, sold.expected)
            band = Band(buy, np.where(known, buy, bought.low), np.where(known, buy, bought.high))
            how = "foretold by the hour of the week"
        words.append(f"prices are known until {last:%d %b %H:%M} UTC: what lacks is {how}")
    words += ahead_words(buy[known], sell[known], _week(past, BUY, day), _week(past, SELL, day))
    return Priced(buy, sell, band, tuple(words))


def _wild_words(values: Floats) -> list[str]:
    wild = values[np.abs(values) > MOST_PRICE]
    return [f"a price of {wild[0]:.3g} a kWh is not believed, and taken as not known"] \
        if wild.size else []


def _week(past: Mapping[str, Past], name: str, day: int) -> Floats:
    """Of the week up to a day ago: of the last day a tariff tells prices itself that it may have in
    a new unit."""
    return past[name].values[-(WEEK_DAYS + 1) * day:-day] if name in past else np.zeros(0)


def foretold_prices(past: Mapping[str, Past], steps: int,
                    zone: ZoneInfo) -> tuple[Band, Band] | None:
    """Of import and export for the steps after the past, None where it is too short."""
    found = [past.get(name) for name in (BUY, SELL)]
    bands = [HourOfWeek(zone, NEGATIVE).ahead(one, steps) for one in found
             if one is not None and long_enough(one)]
    return (bands[0], bands[1]) if len(bands) == len(found) else None


def long_enough(past: Past) -> bool:
    """Whether prices can be foretold from it."""
    return int(np.isfinite(past.values).sum()) >= LEAST_PRICE_DAYS * past.steps_a_day


def step_prices(tariff: Tariff, start: datetime, steps: int, step_s: float,
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
