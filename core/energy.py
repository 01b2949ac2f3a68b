"""Energy arithmetic: from series of power and current to kWh, Ah, cycles and hours.

One rule of integration everywhere, the one that the charts draw: a value holds until the next
one (step-hold). A step wider than `gap_s` is a gap: nobody knows what flowed, so it is left out
and told as coverage. NaN and infinities are missing (law 4). Positive is discharging (law 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.direction import direction
from core.errors import RequestError

Floats = NDArray[np.float64]
Calendar = Literal["day", "week", "month", "year"]

SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86_400.0
GAP_FACTOR = 2.5  # a step of a Series wider than so many resolutions is a gap (core/ports.py)
# Victron's charge cycle: falls below 65 %, then rises above 90 % (VRM manual, conventions.md).
CYCLE_LOW_PCT, CYCLE_HIGH_PCT = 65.0, 90.0
# Round-trip efficiency below this share of the capacity in each direction is mostly SOC error.
EFFICIENCY_MIN_SHARE = 0.5
EFFICIENCY_MIN_COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy per bucket: charged_kwh and discharged_kwh float64[k] [kWh], both >= 0 and NaN
    where nothing is known; coverage float64[k], the known share of each bucket's time."""

    charged_kwh: Floats
    discharged_kwh: Floats
    coverage: Floats


@dataclass(frozen=True, slots=True)
class Efficiency:
    """share: round trip, 0 to 1, NaN where `reason` says why there is none."""

    share: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Usable:
    """left_kwh above the floor, room_kwh below the ceiling, span_kwh between them [kWh]."""

    left_kwh: float
    room_kwh: float
    span_kwh: float


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """hours until `towards` at the mean power, between hours_low and hours_high [h]; infinite
    where the recent power also stood still or turned; NaN where towards is "nothing"."""

    towards: Literal["empty", "full", "nothing"]
    hours: float
    hours_low: float
    hours_high: float


def checked(time_s: ArrayLike, value: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64[n], what is not finite in `value` as NaN.

    Raises RequestError when they are not one-dimensional of one length, or when the times
    are not finite and strictly rising.
    """
    times = np.asarray(time_s, np.float64)
    values = np.asarray(value, np.float64)
    if times.ndim != 1 or times.shape != values.shape:
        raise RequestError(f"times {times.shape} and values {values.shape} must be two lists "
                           "of one length")
    if not np.isfinite(times).all():
        raise RequestError("a time is missing or infinite: leave such a row out")
    late = np.flatnonzero(np.diff(times) <= 0)
    if late.size:
        raise RequestError(f"times must rise strictly; row {int(late[0]) + 1} does not: "
                           "sort the rows and drop duplicates")
    return times, np.where(np.isfinite(values), values, np.nan)


def positive(name: str, value: float) -> float:
    """`value`, or NaN when missing; raises RequestError when it is not above zero."""
    if value <= 0 or math.isinf(value):
        raise RequestError(f"{name} = {value!r}; it must be a number above 0")
    return value


@dataclass(frozen=True, slots=True)
class Running:
    """The running integral of held values, a polyline, so that any span is exact and cutting
    one in two never changes its sum. corners_s float64[m] [s], rising; area [value x s] and
    covered_s [s] float64[m], summed up to each corner; all empty where nothing is known."""

    corners_s: Floats
    area: Floats
    covered_s: Floats

    def between(self, start_s: ArrayLike, end_s: ArrayLike) -> tuple[Floats, Floats]:
        """Integral from start_s to end_s (of one shape [s]), NaN where nothing is known, and
        the seconds that it covers."""
        starts, ends = np.asarray(start_s, np.float64), np.asarray(end_s, np.float64)
        if not self.corners_s.size:
            return np.full(starts.shape, np.nan), np.zeros(starts.shape)
        covered_s = self._rise(self.covered_s, starts, ends)
        # A span that only touches a value differs from nothing by rounding of the cumulation.
        covered_s = np.where(covered_s > 1e-6, covered_s, 0.0)
        return np.where(covered_s > 0, self._rise(self.area, starts, ends), np.nan), covered_s

    def _rise(self, heights: Floats, starts: Floats, ends: Floats) -> Floats:
        rise: Floats = (np.interp(ends, self.corners_s, heights)
                        - np.interp(starts, self.corners_s, heights))
        return rise


def running(time_s: ArrayLike, value: ArrayLike, gap_s: float, last_s: float = 0.0) -> Running:
    """The running integral of `value` [n] held from time_s [n] to the next, but not over a step
    wider than `gap_s`. last_s: how long the last value stands, a Series' resolution_s [s].

    Raises RequestError as `checked` does, and for a gap_s that is not above 0.
    """
    times, values = checked(time_s, value)
    step_s = np.append(np.diff(times), max(last_s, 0.0))[: times.size]
    known = np.isfinite(values) & (step_s <= positive("gap_s", gap_s))
    step_s, values, times = step_s[known], values[known], times[known]
    corners_s = np.stack([times, times + step_s], axis=1).ravel()
    return Running(corners_s, _heights(values * step_s), _heights(step_s))


def _heights(area: Floats) -> Floats:
    """The sums before and after each of `area` [n], float64[2 n]."""
    total = np.cumsum(area)
    return np.stack([total - area, total], axis=1).ravel()


def integral(time_s: ArrayLike, value: ArrayLike, edges_s: ArrayLike, gap_s: float,
             last_s: float = 0.0) -> tuple[Floats, Floats]:
    """Integral of `value` between successive `edges_s`, and the seconds that it covers.

    time_s, value: [n]; edges_s: [k + 1] rising [s]. last_s: how long the last value stands,
    a Series' resolution_s [s]. Returns float64[k] [value x s], NaN where nothing is known, and
    float64[k] [s]. Raises RequestError as `checked` does, and for edges that do not rise.
    """
    edges, _ = checked(edges_s, np.zeros(np.shape(edges_s)))
    return running(time_s, value, gap_s, last_s).between(edges[:-1], edges[1:])


def closed(time_s: ArrayLike, value: ArrayLike, resolution_s: float,
           known_s: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """A series of means (`core.ports.Series`) as held values that end: a NaN where a row's own
    time ends. Then nothing is lost at a gap, and nothing is made up in it.

    A row's own time is its known_s [n] [s], counted from its beginning, because nobody kept
    which part of it was known. Without known_s it goes on to the next row, but before a gap
    (a step wider than 2.5 resolutions [s]) and after the last row it is one resolution.
    Returns times and values float64[m >= n]. Raises RequestError as `checked` does.
    """
    times, values = checked(time_s, value)
    step_s = np.append(np.diff(times), np.inf)[: times.size]
    if known_s is None:
        own_s = np.full(times.size, positive("resolution_s", resolution_s))
        ends = np.flatnonzero(step_s > GAP_FACTOR * own_s)
    else:
        _, own_s = checked(times, known_s)
        values = np.where(own_s > 0, values, np.nan)
        ends = np.flatnonzero((own_s > 0) & (own_s < step_s))
    return (np.insert(times, ends + 1, times[ends] + own_s[ends]),
            np.insert(values, ends + 1, np.nan))


def wall_clock(time_s: ArrayLike, zone: ZoneInfo) -> Floats:
    """Seconds that read as the local wall clock when taken for UTC, of the shape of time_s [s];
    across a change of clocks they jump. Offsets are asked once a UTC day."""
    times = np.asarray(time_s, np.float64)
    days, row = np.unique(np.floor(times / SECONDS_PER_DAY).ravel(), return_inverse=True)
    begins = np.array([_offset_s(day * SECONDS_PER_DAY, zone) for day in days])
    ends = np.array([_offset_s((day + 1) * SECONDS_PER_DAY, zone) for day in days])
    offset_s = begins[row] if days.size else np.zeros(0)
    for place in np.flatnonzero((begins != ends)[row]) if days.size else ():
        offset_s[place] = _offset_s(float(times.flat[place]), zone)
    local: Floats = times + offset_s.reshape(times.shape)
    return local


def _offset_s(time_s: float, zone: ZoneInfo) -> float:
    offset = datetime.fromtimestamp(time_s, zone).utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


def energy(time_s: ArrayLike, power_kw: ArrayLike, edges_s: ArrayLike, gap_s: float,
           last_s: float = 0.0) -> Energy:
    """Charged and discharged energy between the edges, split at zero before it is summed.

    For grid power (+ import) discharged is imported and charged is exported.
    Raises RequestError as `integral` does.
    """
    times, power = checked(time_s, power_kw)
    charged, covered_s = integral(times, np.maximum(-power, 0.0), edges_s, gap_s, last_s)
    discharged, _ = integral(times, np.maximum(power, 0.0), edges_s, gap_s, last_s)
    coverage = np.minimum(covered_s / np.diff(np.asarray(edges_s, np.float64)), 1.0)
    # Rounding of the cumulation may leave -1e-17 where nothing flowed.
    return Energy(np.maximum(charged / SECONDS_PER_HOUR, 0.0),
                  np.maximum(discharged / SECONDS_PER_HOUR, 0.0), coverage)


def counted_ah(time_s: ArrayLike, current_a: ArrayLike, edges_s: ArrayLike, gap_s: float,
               last_s: float = 0.0) -> Floats:
    """Net charge taken out between the edges, float64[k] [Ah]; + discharging.

    Raises RequestError as `integral` does.
    """
    return integral(time_s, current_a, edges_s, gap_s, last_s)[0] / SECONDS_PER_HOUR


def calendar_edges(start: datetime, end: datetime, calendar: Calendar, zone: ZoneInfo) -> Floats:
    """Starts of the local days, Monday weeks, months or years that hold [start, end), and the
    end of the last: float64[k + 1], seconds since 1970. Days have 23 or 25 h where clocks change.

    Raises RequestError for a time without a zone or an end that is not after the start.
    """
    if start.tzinfo is None or end.tzinfo is None or end <= start:
        raise RequestError("a span needs two times with a zone, the end after the start")
    day = _first_day(start.astimezone(zone).date(), calendar)
    edges: list[float] = []
    while not edges or edges[-1] < end.timestamp():
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        edges.append(midnight.astimezone(UTC).timestamp())
        day = _next_day(day, calendar)
    # A zone that skipped a whole day (Samoa 2011) has two edges at one moment.
    return np.unique(np.array(edges, np.float64))


def _first_day(day: date, calendar: Calendar) -> date:
    if calendar == "week":
        return day - timedelta(days=day.weekday())
    if calendar == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if calendar == "year" else day


def _next_day(day: date, calendar: Calendar) -> date:
    if calendar == "year":
        return day.replace(year=day.year + 1)
    if calendar == "month":
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if calendar == "week" else 1)


def equivalent_full_cycles(charged_kwh: float, discharged_kwh: float, rated_kwh: float) -> float:
    """Throughput / (2 x rated energy) (conventions.md). RequestError when rated_kwh <= 0."""
    return (charged_kwh + discharged_kwh) / (2 * positive("rated_kwh", rated_kwh))


def victron_cycles(soc_pct: ArrayLike) -> float:
    """How often SOC [n] [%] fell below 65 % and later rose above 90 %; NaN when all missing."""
    soc = np.asarray(soc_pct, np.float64)
    if not np.isfinite(soc).any():
        return math.nan
    low = soc[(soc < CYCLE_LOW_PCT) | (soc > CYCLE_HIGH_PCT)] < CYCLE_LOW_PCT
    return float(np.count_nonzero(low[:-1] & ~low[1:]))


def round_trip_efficiency(charged_kwh: float, discharged_kwh: float, soc_change_pct: float,
                          capacity_kwh: float, coverage: float) -> Efficiency:
    """Round-trip efficiency corrected for the change of SOC (rise > 0) in the window.

    With the same loss e both ways the store changes by S = e x charged - discharged / e;
    solved for e, the round trip is e squared. Without it a window that ends fuller looks
    lossy (Zendure #1490). RequestError when capacity_kwh <= 0.
    """
    least_kwh = EFFICIENCY_MIN_SHARE * positive("capacity_kwh", capacity_kwh)
    if not math.isfinite(charged_kwh + discharged_kwh + soc_change_pct + capacity_kwh + coverage):
        return Efficiency(math.nan, "energy, SOC or capacity is not known")
    if coverage < EFFICIENCY_MIN_COVERAGE:
        return Efficiency(math.nan, f"only {coverage:.0%} of the window is known")
    if min(charged_kwh, discharged_kwh) < least_kwh:
        return Efficiency(math.nan, "the window is too short: it needs "
                                    f"{least_kwh:.1f} kWh in each direction")
    stored_kwh = soc_change_pct / 100 * capacity_kwh
    root = math.sqrt(stored_kwh**2 + 4 * charged_kwh * discharged_kwh)
    share = ((stored_kwh + root) / (2 * charged_kwh)) ** 2
    if share > 1:
        return Efficiency(math.nan, "more came out than went in: check the sign, the SOC and "
                                    "the capacity")
    return Efficiency(share)


def self_consumption(solar_kwh: float, export_kwh: float) -> float:
    """Share of the solar energy not exported, 0 to 1; NaN without solar energy. Exporting
    what was once bought can pass the solar energy: then 0."""
    return _share_kept(solar_kwh, export_kwh)


def self_sufficiency(load_kwh: float, import_kwh: float) -> float:
    """Share of the load not imported, 0 to 1; NaN without load. Charging a battery from the
    grid can import more than the load: then 0."""
    return _share_kept(load_kwh, import_kwh)


def _share_kept(whole_kwh: float, lost_kwh: float) -> float:
    if not math.isfinite(whole_kwh + lost_kwh) or whole_kwh <= 0:
        return math.nan
    return max(1 - lost_kwh / whole_kwh, 0.0)


def usable(soc_pct: float, floor_pct: float, ceiling_pct: float, real_capacity_kwh: float,
           ) -> Usable:
    """Energy between the floor, SOC and the ceiling [%] at the real capacity, i.e. rated x SOH
    (sunsynk #554). NaN stays NaN. RequestError unless 0 <= floor < ceiling <= 100 and the
    capacity is above 0."""
    if not 0 <= floor_pct < ceiling_pct <= 100:
        raise RequestError(f"floor {floor_pct} % and ceiling {ceiling_pct} % must rise in 0-100")
    per_pct = positive("real_capacity_kwh", real_capacity_kwh) / 100
    left, room = np.maximum([soc_pct - floor_pct, ceiling_pct - soc_pct], 0.0) * per_pct
    return Usable(float(left), float(room), (ceiling_pct - floor_pct) * per_pct)


def time_left(store: Usable, recent_power_kw: ArrayLike, real_capacity_kwh: float) -> TimeLeft:
    """Time to go or to full at the mean of evenly spaced recent power [n] [kW]; the interval
    is that of its 10th and 90th percentile, widened to hold the mean. Idle by core.direction.
    """
    power = np.asarray(recent_power_kw, np.float64)
    power = power[np.isfinite(power)]
    mean = float(power.mean()) if power.size else math.nan
    word = direction(mean, real_capacity_kwh)
    if word not in ("charging", "discharging"):
        return TimeLeft("nothing", math.nan, math.nan, math.nan)
    to_empty = word == "discharging"
    speed = power if to_empty else -power
    slow, fast = np.quantile(speed, [0.1, 0.9])
    energy_kwh = store.left_kwh if to_empty else store.room_kwh
    low, hours, high = (_hours(energy_kwh, float(kw)) for kw in
                        (max(fast, abs(mean)), abs(mean), min(slow, abs(mean))))
    return TimeLeft("empty" if to_empty else "full", hours, low, high)


def _hours(energy_kwh: float, speed_kw: float) -> float:
    if math.isnan(energy_kwh):
        return math.nan
    return energy_kwh / speed_kw if speed_kw > 0 else math.inf
