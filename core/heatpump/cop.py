"""The coefficient of performance: sum of heat over sum of electricity, over the cells that know
both. Never clipped, never made up: where it cannot be told it is NaN and says why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.energy import calendar_edges
from core.heatpump.account import Account, Basis
from core.heatpump.log import Flags, Floats

Part = Literal["all", "space", "water"]

# Below this much running no COP is told: a start is all delay of the water [s].
LEAST_RUNNING_S = 60.0
# A bucket needs the smaller of 10 min and a quarter of itself of running.
BUCKET_RUNNING_S, BUCKET_RUNNING_SHARE = 600.0, 0.25
# A day of which less is known is marked partial.
WHOLE_DAY_SHARE = 0.95
# emoncms myheatpump: condensing 2 K above the flow, evaporating 6 K below the source.
CONDENSING_OVER_K, EVAPORATING_UNDER_K = 2.0, 6.0
KELVIN = 273.15


@dataclass(frozen=True, slots=True)
class Cop:
    """value = heat_kwh / electricity_kwh [1], NaN where `reason` is not "": the name of what is
    missing, "never_together", "not_running" or "window_too_short" (for a counter's steps).
    hours: time of the cells that both are known in [h]; running_h: of the compressor in it."""

    value: float
    heat_kwh: float
    electricity_kwh: float
    hours: float
    running_h: float = math.nan
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CopSeries:
    """m buckets of bucket_s [s] that begin at time_s float64[m] [s since 1970]; bucket_s may be
    wider than asked for, where counters are too coarse for it. cop: NaN where too little ran;
    heat_kwh, electricity_kwh: NaN where nothing is known; running_h [h]."""

    time_s: Floats
    cop: Floats
    heat_kwh: Floats
    electricity_kwh: Floats
    running_h: Floats
    bucket_s: float


@dataclass(frozen=True, slots=True)
class DailySpf:
    """n local days: day, the date; time_s float64[n], their midnights [s since 1970]; day_h
    their length (23 or 25 where clocks change). spf: all heat over all electricity, the
    auxiliary heater's too; space, water: apart. partial: bool[n], less than 95 % of the day is
    known. hours: of the known cells."""

    day: tuple[date, ...]
    time_s: Floats
    day_h: Floats
    spf: Floats
    space: Floats
    water: Floats
    heat_kwh: Floats
    electricity_kwh: Floats
    hours: Floats
    partial: Flags


@dataclass(frozen=True, slots=True)
class Carnot:
    """share: heat over what an ideal machine would give for the same electricity, 0 to 1.
    ideal_cop: that machine's COP, weighted by electricity; hours: of the cells used."""

    share: float
    ideal_cop: float
    hours: float


@dataclass(frozen=True, slots=True)
class _Cells:
    heat_kwh: Floats
    electricity_kwh: Floats
    running_h: Floats
    both: Flags


def cop_over(account: Account, basis: Basis, part: Part = "all",
             with_auxiliary: bool = True) -> Cop:
    """The COP of the whole account. with_auxiliary: heat and electricity of the auxiliary
    heater on both sides, or on neither. Cells that stand count too: what the electronics and
    pumps draw then is in it (emoncms: "combined")."""
    cells = _cells(account, basis, part, with_auxiliary)
    hours = float(np.count_nonzero(cells.both)) * account.step_h
    if not hours:
        reason = (account.possible[basis] or _lacking(account, part, with_auxiliary)
                  or "never_together")
        return Cop(math.nan, math.nan, math.nan, 0.0, math.nan, reason)
    heat, electricity, running = (float(one[cells.both].sum()) for one in (
        cells.heat_kwh, cells.electricity_kwh, cells.running_h))
    finest_s = account.finest_s[basis]
    reason = ""
    if electricity <= 0 or running * 3600.0 < LEAST_RUNNING_S:
        reason = "not_running"
    elif finest_s > account.step_s and hours * 3600.0 < finest_s:
        reason = "window_too_short"
    return Cop(math.nan if reason else heat / electricity, heat, electricity, hours, running,
               reason)


def cop_series(account: Account, basis: Basis, part: Part = "all", with_auxiliary: bool = True,
               bucket_s: float = 3600.0) -> CopSeries:
    """The COP of each bucket; buckets stand on multiples of their width since 1970."""
    finest_s = account.finest_s[basis]
    width_s = max(1.0, math.ceil(finest_s / bucket_s - 1e-9)) * bucket_s
    if not account.time_s.size:
        nothing = np.zeros(0)
        return CopSeries(nothing, nothing, nothing, nothing, nothing, width_s)
    cells = _cells(account, basis, part, with_auxiliary)
    number = np.floor(account.time_s / width_s).astype(np.int64)
    heat, electricity, running, _ = _summed(cells, number - number[0],
                                            int(number[-1] - number[0]) + 1)
    least_h = min(BUCKET_RUNNING_S, BUCKET_RUNNING_SHARE * width_s) / 3600.0
    enough = (electricity > 0) & (running >= least_h - 1e-9)
    begins_s = (number[0] + np.arange(heat.size)) * width_s
    return CopSeries(begins_s, _ratio(heat, electricity, enough), heat, electricity, running,
                     width_s)


def daily_spf(account: Account, basis: Basis, zone: ZoneInfo) -> DailySpf:
    """The seasonal performance factor of each local day that the account touches."""
    if not account.time_s.size:
        nothing = np.zeros(0)
        return DailySpf((), nothing, nothing, nothing, nothing, nothing, nothing, nothing,
                        nothing, nothing.astype(np.bool_))
    start, end = (datetime.fromtimestamp(float(moment), UTC) for moment in (
        account.time_s[0], account.time_s[-1] + account.step_s))
    edges = calendar_edges(start, end, "day", zone)
    number = np.searchsorted(edges, account.time_s, side="right") - 1
    of = {part: _summed(_cells(account, basis, part, True), number, edges.size - 1)
          for part in ("all", "space", "water")}
    heat, electricity, _, count = of["all"]
    spf, space, water = (_ratio(of[part][0], of[part][1],
                                (of[part][1] > 0) & (of[part][2] * 3600.0 >= LEAST_RUNNING_S))
                         for part in of)
    day_h, hours = np.diff(edges) / 3600.0, count * account.step_h
    days = tuple(datetime.fromtimestamp(float(edge), zone).date() for edge in edges[:-1])
    return DailySpf(days, edges[:-1], day_h, spf, space, water, heat, electricity, hours,
                    hours < WHOLE_DAY_SHARE * day_h)


def carnot(account: Account, basis: Basis, source_c: Floats, flow_c: Floats) -> Carnot:
    """How close the compressor came to an ideal machine between the temperatures of source and
    flow [degC], float64[k]: sum of heat over sum of electricity x ideal COP, over the cells in
    which it runs. share and ideal_cop are NaN where nothing is known."""
    cells = _cells(account, basis, "all", False)
    ideal = ideal_cop(source_c, flow_c)
    used = cells.both & np.isfinite(ideal) & (cells.running_h > 0)
    electricity = float(cells.electricity_kwh[used].sum())
    if electricity <= 0:
        return Carnot(math.nan, math.nan, 0.0)
    most = float((cells.electricity_kwh[used] * ideal[used]).sum())
    return Carnot(float(cells.heat_kwh[used].sum()) / most, most / electricity,
                  float(np.count_nonzero(used)) * account.step_h)


def ideal_cop(source_c: Floats, flow_c: Floats) -> Floats:
    """(flow + 2 + 273.15) / ((flow + 2) - (source - 6)), the condensing and evaporating
    temperatures of emoncms' myheatpump; NaN where the source is that much warmer. [1]"""
    lift_k = flow_c + CONDENSING_OVER_K - (source_c - EVAPORATING_UNDER_K)
    return np.where(lift_k > 0, (flow_c + CONDENSING_OVER_K + KELVIN)
                    / np.where(lift_k > 0, lift_k, 1.0), np.nan)


def _cells(account: Account, basis: Basis, part: Part, with_auxiliary: bool) -> _Cells:
    flows = account.flows(basis)
    heat_kw, electricity_kw = flows.pair(with_auxiliary)
    running = account.compressor_on
    if part != "all":
        of_heat, of_drawn, of_time = (flows.water_share, flows.water_electricity_share,
                                      account.water_of_running)
        if part == "space":
            of_heat, of_drawn, of_time = 1.0 - of_heat, 1.0 - of_drawn, 1.0 - of_time
        heat_kw, electricity_kw, running = (
            heat_kw * of_heat, electricity_kw * of_drawn, running * of_time)
    both = np.isfinite(heat_kw) & np.isfinite(electricity_kw)
    # Unknown running does not forbid a COP: heat and electricity were known.
    running = np.where(np.isfinite(running), running, 1.0)
    return _Cells(heat_kw * account.step_h, electricity_kw * account.step_h,
                  running * account.step_h, both)


def _summed(cells: _Cells, number: NDArray[np.int64],
            count: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Heat, electricity and running of each bucket over the cells that know both, NaN without
    one; and the number of those cells."""
    number = number[cells.both]
    known = np.bincount(number, minlength=count).astype(np.float64)
    sums = [np.where(known > 0, np.bincount(number, one[cells.both], count), np.nan)
            for one in (cells.heat_kwh, cells.electricity_kwh, cells.running_h)]
    return sums[0], sums[1], sums[2], known


def _ratio(heat: Floats, electricity: Floats, usable: Flags) -> Floats:
    ratio: Floats = np.divide(heat, electricity, out=np.full(heat.shape, np.nan), where=usable)
    return ratio


def _lacking(account: Account, part: Part, with_auxiliary: bool) -> str:
    """What a possible basis lacks for this part and boundary."""
    if part != "all" and not np.isfinite(account.water).any():
        return "hot_water_valve"
    if not np.isfinite(account.auxiliary_kw).any():
        return "auxiliary_power_kw" if with_auxiliary or account.auxiliary_from == "" else ""
    return ""
