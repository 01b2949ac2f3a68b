"""Hot-water cycles, starts and runs of the compressor, defrosts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.energy import calendar_edges
from core.heatpump import switches
from core.heatpump.account import Account, Basis
from core.heatpump.counters import carried, increments
from core.heatpump.log import Floats, PumpLog
from core.heatpump.spans import Spans, spans

# A valve that turned for less was no hot-water cycle [s].
SHORTEST_CYCLE_S = 120.0
# In wider cells two cycles or starts run together and are too few [s].
COUNTABLE_STEP_S = 600.0
DAY_H = 24.0
KNOWN_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class WaterCycle:
    """One charge of the tank: start_s, end_s [s since 1970]; open_start, open_end: it began
    before, or ended after, what is known. heat_kwh, electricity_kwh: within it, NaN where not
    known. start_c, end_c, peak_c: the tank's temperature [degC]."""

    start_s: float
    end_s: float
    open_start: bool
    open_end: bool
    heat_kwh: float
    electricity_kwh: float
    start_c: float
    end_c: float
    peak_c: float

    @property
    def minutes(self) -> float:
        return (self.end_s - self.start_s) / 60.0


@dataclass(frozen=True, slots=True)
class WaterCycles:
    """cycles: in order, those open at an edge included. count: all; open: how many of them are
    open at either edge. per_day: beginnings seen over the known days, so that a cycle is
    counted once however a window cuts it; NaN where nothing is known. too_coarse: the cells are
    so wide that cycles run together; then per_day is NaN."""

    cycles: tuple[WaterCycle, ...]
    count: int
    open: int
    per_day: float
    known_days: float
    too_coarse: bool


@dataclass(frozen=True, slots=True)
class Starts:
    """time_s: float64[n], each start seen on the grid [s since 1970]. count: of the pump's own
    counter where it has one (then from_counter), else of the grid. per_hour, per_day: over the
    known time (emoncms: over elapsed time); NaN where nothing is known. run_s, run_start_s:
    float64[m], the complete runs; shortest_s, median_s of them. known_h [h]. too_coarse: the
    cells are so wide that starts run together and no counter tells them; then count is NaN."""

    time_s: Floats
    count: float
    per_hour: float
    per_day: float
    from_counter: bool
    run_start_s: Floats
    run_s: Floats
    known_h: float
    too_coarse: bool

    @property
    def shortest_s(self) -> float:
        return float(self.run_s.min()) if self.run_s.size else math.nan

    @property
    def median_s(self) -> float:
        return float(np.median(self.run_s)) if self.run_s.size else math.nan


@dataclass(frozen=True, slots=True)
class PerDay:
    """day: local dates; time_s: float64[n], their midnights [s since 1970]; count float64[n],
    NaN where nothing of the day is known; known_h: float64[n]."""

    day: tuple[date, ...]
    time_s: Floats
    count: Floats
    known_h: Floats


@dataclass(frozen=True, slots=True)
class Defrosts:
    """start_s, seconds: float64[n]; per_day over the known time; hours: all together;
    heat_kwh: taken back in them (>= 0), NaN where no heat is known. known: whether the pump
    tells defrosts at all."""

    start_s: Floats
    seconds: Floats
    per_day: float
    hours: float
    heat_kwh: float
    known: bool


def hot_water_cycles(log: PumpLog, account: Account, basis: Basis | None = None) -> WaterCycles:
    """Every turn of the valve to hot water and back that took at least 2 min. basis: of the
    heat within, None = the best. Cycles open at an edge stay, however short."""
    valve = switches.water(log)
    known_h = float(np.count_nonzero(np.isfinite(valve))) * log.step_h
    found = spans(valve, log.time_s, log.step_s)
    is_open = found.open_start | found.open_end
    found = found.only(is_open | (found.seconds >= SHORTEST_CYCLE_S))
    is_open = found.open_start | found.open_end
    heat, electricity = _drawn(found, account, basis or account.best)
    tank = carried(log.column("hot_water_c"), log.step_s)
    cycles = tuple(
        WaterCycle(*ends, *flags, *energy, *temperatures)
        for ends, flags, energy, temperatures in zip(
            zip(found.start_s.tolist(), found.end_s.tolist(), strict=True),
            zip(found.open_start.tolist(), found.open_end.tolist(), strict=True),
            zip(heat.tolist(), electricity.tolist(), strict=True),
            _temperatures(tank, found), strict=True))
    began, coarse = float(np.count_nonzero(~found.open_start)), log.step_s > COUNTABLE_STEP_S
    return WaterCycles(cycles, len(cycles), int(np.count_nonzero(is_open)),
                       began * DAY_H / known_h if known_h and not coarse else math.nan,
                       known_h / DAY_H, coarse)


def compressor_starts(log: PumpLog) -> Starts:
    """The starts of the compressor: the increments of its counter where there is one, else the
    rising edges on the grid."""
    on = switches.compressor(log)
    found = spans(on, log.time_s, log.step_s)
    known_h = float(np.count_nonzero(np.isfinite(on))) * log.step_h
    from_counter = log.tells("compressor_starts")
    began = found.start_s[~found.open_start]
    count = float(began.size)
    if from_counter:
        counted = increments(log.peak("compressor_starts"), log.step_s)
        count, known_h = float(np.nansum(counted.rise)), float(np.nansum(counted.since_s)) / 3600.0
    coarse = log.step_s > COUNTABLE_STEP_S
    if not known_h or (coarse and not from_counter):
        count = math.nan
    per_hour = count / known_h if known_h else math.nan
    whole = found.only(~found.open_start & ~found.open_end & (not coarse))
    return Starts(began, count, per_hour, per_hour * DAY_H, from_counter, whole.start_s,
                  whole.seconds, known_h, not from_counter and coarse)


def starts_per_day(log: PumpLog, zone: ZoneInfo) -> PerDay:
    """Starts of the compressor on each local day that the log touches; NaN where the cells are so
    wide that starts run together and no counter tells them."""
    if not log.size:
        return PerDay((), np.zeros(0), np.zeros(0), np.zeros(0))
    start, end = (datetime.fromtimestamp(moment, UTC)
                  for moment in (float(log.time_s[0]), log.end_s))
    edges = calendar_edges(start, end, "day", zone)
    days = edges.size - 1
    if log.tells("compressor_starts"):
        counted = increments(log.peak("compressor_starts"), log.step_s)
        day = _day_of(log.time_s, edges)
        # What rose during a silence over midnight belongs to nobody knows which day.
        known = log.time_s - counted.since_s >= edges[day] - log.step_s
        count = np.bincount(day[known], counted.rise[known], days)
    else:
        on = switches.compressor(log)
        known = np.isfinite(on) & (log.step_s <= COUNTABLE_STEP_S)
        found = spans(on, log.time_s, log.step_s)
        count = np.bincount(_day_of(found.start_s[~found.open_start], edges), minlength=days)
    cells = np.bincount(_day_of(log.time_s[known], edges), minlength=days)
    known_h: Floats = cells.astype(np.float64) * log.step_h
    return PerDay(tuple(datetime.fromtimestamp(float(edge), zone).date() for edge in edges[:-1]),
                  edges[:-1], np.where(known_h > 0, count, np.nan), known_h)


def defrosts(log: PumpLog, account: Account, basis: Basis | None = None) -> Defrosts:
    """The defrosts of a log and the heat that they took back by a basis, None = the best."""
    share = switches.defrost(log)
    known_h = float(np.count_nonzero(np.isfinite(share))) * log.step_h
    found = spans(share, log.time_s, log.step_s)
    began = float(np.count_nonzero(~found.open_start))
    chosen = basis or account.best
    taken = math.nan
    if chosen is not None and known_h:
        heat_kw = account.flows(chosen).pump_heat_kw
        within = (share > 0) & np.isfinite(heat_kw)
        taken = float(np.maximum(-heat_kw[within], 0.0).sum()) * log.step_h
    return Defrosts(found.start_s, found.seconds, began * DAY_H / known_h if known_h else math.nan,
                    float(found.seconds.sum()) / 3600.0 if known_h else math.nan, taken,
                    known_h > 0)


def _day_of(time_s: Floats, edges: Floats) -> NDArray[np.int64]:
    return (np.searchsorted(edges, time_s, side="right") - 1).astype(np.int64)


def _drawn(found: Spans, account: Account, basis: Basis | None) -> tuple[Floats, Floats]:
    """Heat and electricity to hot water within each span; NaN where none is known."""
    if basis is None:
        nothing = np.full(found.first.size, np.nan)
        return nothing, nothing
    flows = account.flows(basis)
    return (_within(flows.heat_kw * flows.water_share * account.step_h, found),
            _within(flows.electricity_kw * flows.water_electricity_share * account.step_h, found))


def _within(values: Floats, found: Spans) -> Floats:
    """Sum of `values` over the cells of each span, NaN where less than KNOWN_SHARE of them are
    known: the sum of the others would be too little."""
    known = np.isfinite(values)
    total = np.append(0.0, np.cumsum(np.where(known, values, 0.0)))
    count = np.append(0, np.cumsum(known))
    share = (count[found.last + 1] - count[found.first]) / (found.last + 1 - found.first)
    return np.where(share >= KNOWN_SHARE, total[found.last + 1] - total[found.first], np.nan)


def _temperatures(tank_c: Floats, found: Spans) -> list[tuple[float, float, float]]:
    """The tank at the start, at the end and at its hottest within each span."""
    told = []
    for first, last in zip(found.first.tolist(), found.last.tolist(), strict=True):
        within = tank_c[first:last + 1]
        within = within[np.isfinite(within)]
        told.append((float(within[0]), float(within[-1]), float(within.max()))
                    if within.size else (math.nan,) * 3)
    return told
