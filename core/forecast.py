"""The state of charge of the next 24 hours, and how wrong the same forecast was before.

The baseline is a seasonal one: the battery's mean power in the same local hour of the week over
the last four weeks (Hyndman and Athanasopoulos, Forecasting, 3rd ed., 5.2). Its band is not a
model's own opinion but the 10th to 90th percentile of what it got wrong in a backtest
from one origin a day (rolling origin, ibid. 5.10), each with what was known then. Positive
power is discharging (law 1), NaN is missing (law 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.energy import SECONDS_PER_HOUR, Floats, checked, usable, wall_clock

Ints = NDArray[np.int64]
Towards = Literal["empty", "full"]

HOURS_AHEAD = 24
WEEKS_BACK = 4
HOURS_OF_WEEK = 168
FEWEST_OF_HOUR = 2  # fewer values of the same hour of the week: any day's same hour
HOUR_OF_THE_EPOCH = 72  # 1 January 1970 was a Thursday
KNOWN_HOURS = WEEKS_BACK * HOURS_OF_WEEK
ORIGIN_DAYS = 21  # of 35 days of history, so that each origin still knows two weeks
FEWEST_ORIGINS = 3
BAND = (0.1, 0.9)
ROUNDING_PCT = 1e-9


@dataclass(frozen=True, slots=True)
class History:
    """Hourly means: time_s float64[n], starts of hours, rising [s]; power_kw float64[n]
    [kW], + discharging; soc_pct float64[n] [%]. Hours may be absent, values NaN."""

    time_s: Floats
    power_kw: Floats
    soc_pct: Floats


@dataclass(frozen=True, slots=True)
class Expected:
    """Of each asked moment, float64[k] [kW]: the mean of the same hours of the past and their
    10th and 90th percentile; NaN where there is none."""

    mean_kw: Floats
    low_kw: Floats
    high_kw: Floats


@dataclass(frozen=True, slots=True)
class PastError:
    """What the baseline got wrong, all in % of SOC, over the same hours for all three.

    mean_abs_pct: mean absolute error over all origins and hours; by_hour_pct float64[24]: 1 to
    24 h ahead, NaN where nothing is known. persistence_pct: that of "SOC stays as it is";
    day_before_pct: that of "as in the same hour of the day before". low_pct, high_pct
    float64[24]: 10th and 90th percentile of actual minus forecast.
    """

    mean_abs_pct: float
    by_hour_pct: Floats
    persistence_pct: float
    day_before_pct: float
    origins: int
    low_pct: Floats
    high_pct: Floats


@dataclass(frozen=True, slots=True)
class Forecast:
    """SOC from now to 24 h later as straight lines between points: time_s float64[k] [s], the
    whole hours and wherever a line meets a bound; soc_pct, and the band low_pct to high_pct,
    which always holds soc_pct, float64[k] [%], NaN where not known. error: None where
    `reason` says why there is no band. reason also tells why soc_pct ends early."""

    time_s: Floats
    soc_pct: Floats
    low_pct: Floats
    high_pct: Floats
    error: PastError | None
    reason: str


@dataclass(frozen=True, slots=True)
class TimeTo:
    """hours until a level, between hours_low and hours_high [h]; infinite where it is not met
    within the forecast, NaN where nothing is known."""

    hours: float
    hours_low: float
    hours_high: float


@dataclass(frozen=True, slots=True)
class _Grid:
    """The complete hours before a moment, without holes, and two days of hours more.

    start: hours since 1970 of row 0. kw, soc_pct float64[n]; end_pct float64[n]: SOC at the
    end of each hour; hour int64[n + 48]: of the local week, 0 is Monday 0:00. now: n, the row
    of the hour that the moment lies in.
    """

    start: int
    kw: Floats
    soc_pct: Floats
    end_pct: Floats
    hour: Ints

    @property
    def now(self) -> int:
        return int(self.kw.size)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What one per cent holds [kWh], and between which SOC is kept [%]."""

    kwh_per_pct: float
    low_pct: float
    high_pct: float


def expected_power(history: History, at_s: ArrayLike, known_s: float, zone: ZoneInfo) -> Expected:
    """Battery power to be expected in the hours of at_s [k] [s], from the complete hours of the
    four weeks before known_s [s] alone: the same local hour of the week, or, where that has
    fewer than two values, the same hour of any day. RequestError for times that do not rise."""
    grid = _grid(history, known_s, math.nan, zone)
    kw, hour = grid.kw[-KNOWN_HOURS:], grid.hour[: grid.now][-KNOWN_HOURS:]
    there = np.isfinite(kw)
    kw, hour = kw[there], hour[there]
    asked = _hour_of_week(np.atleast_1d(np.asarray(at_s, np.float64)), zone)
    told = [_spread(kw, hour, int(one)) for one in asked]
    return Expected(*np.array(told, np.float64).reshape(-1, 3).T)


def _spread(kw: Floats, hour: Ints, asked: int) -> tuple[float, float, float]:
    """Mean, 10th and 90th percentile of what tells about one hour of the week."""
    same = kw[hour == asked]
    if same.size < FEWEST_OF_HOUR:
        same = kw[hour % 24 == asked % 24]
    if not same.size:
        return math.nan, math.nan, math.nan
    low, high = np.quantile(same, BAND)
    return float(same.mean()), float(low), float(high)


def forecast(history: History, now_s: float, soc_now_pct: float, capacity_kwh: float,
             reserve_pct: float, ceiling_pct: float, zone: ZoneInfo) -> Forecast:
    """SOC of the next 24 h, from soc_now_pct [%] at now_s [s], hour by hour at the expected
    power and the real capacity_kwh [kWh], kept between reserve and ceiling [%]; what lies
    outside of them already stays there until the power brings it back.

    The band is what the same forecast got wrong on up to 21 days before, in the same local
    hour; it holds soc_pct even where all errors lay to one side. RequestError for times that
    do not rise, bounds that do not rise in 0-100, and a capacity that is not above 0.
    """
    span = usable(soc_now_pct, reserve_pct, ceiling_pct, capacity_kwh).span_kwh
    bounds = _Bounds(span / (ceiling_pct - reserve_pct), reserve_pct, ceiling_pct)
    grid = _grid(history, now_s, bounds.kwh_per_pct, zone)
    kw = _means(grid, grid.now)[grid.hour[grid.now: grid.now + HOURS_AHEAD + 1]]
    times, soc = _walk(now_s, soc_now_pct, kw, bounds)
    error = _backtest(grid, bounds, zone)
    reason = _reason(soc_now_pct, capacity_kwh, kw, error)
    if error.origins < FEWEST_ORIGINS:
        unknown = np.full(times.size, np.nan)
        return Forecast(times, soc, unknown, unknown, None, reason)
    return Forecast(*_with_band(times, soc, error, bounds), error, reason)


def _reason(soc_pct: float, capacity_kwh: float, kw: Floats, error: PastError) -> str:
    """Why something is missing, the first cause alone; "" where nothing is."""
    if not math.isfinite(soc_pct):
        return "the state of charge is not known now"
    if not math.isfinite(capacity_kwh):
        return "the capacity of the battery is not known"
    unknown = int(np.count_nonzero(~np.isfinite(kw[:HOURS_AHEAD])))
    if unknown == HOURS_AHEAD:
        return "no battery power of the last four weeks is known"
    if error.origins < FEWEST_ORIGINS:
        return (f"a band needs {FEWEST_ORIGINS} past days to be checked against; "
                f"{error.origins} are known")
    return f"{unknown} of the next {HOURS_AHEAD} hours have no past" if unknown else ""


def _grid(history: History, now_s: float, kwh_per_pct: float, zone: ZoneInfo) -> _Grid:
    """Only hours that are over at now_s: nothing later is ever seen."""
    times, power = checked(history.time_s, history.power_kw)
    _, reported = checked(history.time_s, history.soc_pct)
    size = KNOWN_HOURS + (ORIGIN_DAYS + 1) * HOURS_AHEAD
    start = math.floor(now_s / SECONDS_PER_HOUR) - size
    row = np.floor(times / SECONDS_PER_HOUR).astype(np.int64) - start
    inside = (row >= 0) & (row < size)
    kw, soc_pct = np.full(size, np.nan), np.full(size, np.nan)
    kw[row[inside]], soc_pct[row[inside]] = power[inside], reported[inside]
    # From the hour alone: the mean of the next one would tell an origin about its future.
    end_pct = np.clip(soc_pct - kw / 2 / kwh_per_pct, 0.0, 100.0)
    starts_s = (start + np.arange(size + 2 * HOURS_AHEAD, dtype=np.float64)) * SECONDS_PER_HOUR
    return _Grid(start, kw, soc_pct, end_pct, _hour_of_week(starts_s, zone))


def _hour_of_week(time_s: Floats, zone: ZoneInfo) -> Ints:
    local = np.floor(wall_clock(time_s, zone) / SECONDS_PER_HOUR).astype(np.int64)
    hour: Ints = (local + HOUR_OF_THE_EPOCH) % HOURS_OF_WEEK
    return hour


def _means(grid: _Grid, row: int) -> Floats:
    """Expected power of each hour of the week, float64[168] [kW], from the four weeks before
    `row` alone."""
    kw, hour = grid.kw[max(row - KNOWN_HOURS, 0): row], grid.hour[max(row - KNOWN_HOURS, 0): row]
    there = np.isfinite(kw)
    of_week, count = _mean_of(kw[there], hour[there], HOURS_OF_WEEK)
    of_day, _ = _mean_of(kw[there], hour[there] % 24, 24)
    return np.where(count >= FEWEST_OF_HOUR, of_week, np.tile(of_day, 7))


def _mean_of(kw: Floats, group: Ints, groups: int) -> tuple[Floats, Ints]:
    count = np.bincount(group, minlength=groups)
    total = np.bincount(group, weights=kw, minlength=groups)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count


def _walk(now_s: float, soc_pct: float, kw: Floats, bounds: _Bounds) -> tuple[Floats, Floats]:
    """Times and SOC from now over the rest of this hour and the next ones to 24 h later, with a
    point where a bound is met; kw float64[25], of this hour on."""
    end_s = now_s + HOURS_AHEAD * SECONDS_PER_HOUR
    this_hour = math.floor(now_s / SECONDS_PER_HOUR)
    times, path = [now_s], [soc_pct]
    for ahead, power in enumerate(kw):
        until_s = min((this_hour + ahead + 1) * SECONDS_PER_HOUR, end_s)
        if until_s <= times[-1]:
            break
        speed = -float(power) / bounds.kwh_per_pct / SECONDS_PER_HOUR
        met_s, level = _step(times[-1], path[-1], speed, until_s, bounds)
        if met_s < until_s:
            times.append(met_s)
            path.append(level)
        times.append(until_s)
        path.append(level)
    return np.array(times), np.array(path)


def _step(from_s: float, soc_pct: float, speed: float, until_s: float, bounds: _Bounds,
          ) -> tuple[float, float]:
    """Where SOC at `speed` [%/s] is at until_s, and since when it stands on a bound [s]."""
    free = soc_pct + speed * (until_s - from_s)
    level = min(max(free, min(bounds.low_pct, soc_pct)), max(bounds.high_pct, soc_pct))
    if not math.isfinite(free):
        return until_s, math.nan
    if level == free or level == soc_pct:
        return until_s, level
    return from_s + (level - soc_pct) / speed, level


def _backtest(grid: _Grid, bounds: _Bounds, zone: ZoneInfo) -> PastError:
    """The same forecast from the same local hour of each of the last days, with what was known
    then, against what came, 1 to 24 h ahead."""
    rows = _origins(grid, zone)
    ahead = rows[:, np.newaxis] + np.arange(HOURS_AHEAD)
    kw = np.array([_means(grid, row)[grid.hour[row: row + HOURS_AHEAD]] for row in rows])
    begin = grid.end_pct[rows - 1]
    came = np.append(grid.end_pct, np.full(2 * HOURS_AHEAD, np.nan))[ahead]
    error = came - _walk_all(begin, kw, bounds)
    stayed = came - begin[:, np.newaxis]
    repeated = came - grid.end_pct[ahead - HOURS_AHEAD]
    judged = np.isfinite(error + stayed + repeated)
    low, high = np.array([_percentiles(error[judged[:, hour], hour])
                          for hour in range(HOURS_AHEAD)]).T
    by_hour = np.array([_mean_abs(error[judged[:, hour], hour]) for hour in range(HOURS_AHEAD)])
    return PastError(_mean_abs(error[judged]), by_hour, _mean_abs(stayed[judged]),
                     _mean_abs(repeated[judged]), int(judged.any(axis=1).sum()), low, high)


def _origins(grid: _Grid, zone: ZoneInfo) -> Ints:
    """Rows of the hour that now is in, on each of the days before by the local clock."""
    local = datetime.fromtimestamp((grid.start + grid.now) * SECONDS_PER_HOUR, zone)
    moments = [(local - timedelta(days=day)).timestamp() for day in range(1, ORIGIN_DAYS + 1)]
    return np.floor(np.array(moments) / SECONDS_PER_HOUR).astype(np.int64) - grid.start


def _walk_all(begin: Floats, kw: Floats, bounds: _Bounds) -> Floats:
    """SOC at the end of each hour float64[m, 24] from begin [m] at kw [m, 24]."""
    path = np.empty(kw.shape)
    soc = begin
    for hour in range(kw.shape[1]):
        soc = np.clip(soc - kw[:, hour] / bounds.kwh_per_pct,
                      np.minimum(bounds.low_pct, soc), np.maximum(bounds.high_pct, soc))
        path[:, hour] = soc
    return path


def _mean_abs(error: Floats) -> float:
    return float(np.abs(error).mean()) if error.size else math.nan


def _percentiles(error: Floats) -> tuple[float, float]:
    if error.size < FEWEST_ORIGINS:
        return math.nan, math.nan
    low, high = np.quantile(error, BAND)
    return float(low), float(high)


def _with_band(times: Floats, soc: Floats, error: PastError, bounds: _Bounds,
               ) -> tuple[Floats, Floats, Floats, Floats]:
    """Times, SOC and its band, with a point wherever one of them meets a bound."""
    hours = np.arange(HOURS_AHEAD + 1) * SECONDS_PER_HOUR
    fine = np.union1d(times, times[0] + hours)
    soc = np.interp(fine, times, soc)
    below = np.interp(fine - fine[0], hours, np.append(0.0, np.minimum(error.low_pct, 0.0)))
    above = np.interp(fine - fine[0], hours, np.append(0.0, np.maximum(error.high_pct, 0.0)))
    low, high = soc + below, soc + above
    ends = min(bounds.low_pct, soc[0]), max(bounds.high_pct, soc[0])
    met = [_meets(fine, line, end) for line in (low, high) for end in ends]
    finest = np.unique(np.concatenate([fine, *met]))
    low, soc, high = (np.clip(np.interp(finest, fine, line), *ends) for line in (low, soc, high))
    return finest, soc, low, high


def _meets(times: Floats, line: Floats, level: float) -> Floats:
    """The times within steps at which a line passes a level."""
    off = line - level
    step = np.flatnonzero(off[:-1] * off[1:] < 0)
    share = off[step] / (off[step] - off[step + 1])
    met: Floats = times[step] + share * (times[step + 1] - times[step])
    return met


def time_to(ahead: Forecast, level_pct: float, towards: Towards) -> TimeTo:
    """When SOC first comes down ("empty") or up ("full") to a level [%], from the start of the
    forecast; the interval is when the band's lower and upper line do."""
    sooner, later = ahead.low_pct, ahead.high_pct
    if towards == "full":
        sooner, later = later, sooner
    return TimeTo(*(_hours_to(ahead.time_s, line, level_pct, towards)
                    for line in (ahead.soc_pct, sooner, later)))


def _hours_to(times: Floats, line: Floats, level: float, towards: Towards) -> float:
    above = line - level if towards == "empty" else level - line
    met = np.flatnonzero(above <= ROUNDING_PCT)
    if not met.size:
        return math.inf if np.isfinite(above).all() else math.nan
    at = int(met[0])
    if at == 0:
        return 0.0
    # A line that was not known before it met the level may have met it earlier.
    share = above[at - 1] / (above[at - 1] - above[at])
    return float(times[at - 1] + share * (times[at] - times[at - 1]) - times[0]) / SECONDS_PER_HOUR
