"""Energy, shares and cost of a house by calendar buckets, and its battery's own account.

All quantities are laid on one time base first, so that "only over what both know" is one mask:
shares, cost and balance count the time in which all that they need is known, and no other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.energy import (
    CYCLE_HIGH_PCT,
    CYCLE_LOW_PCT,
    SECONDS_PER_HOUR,
    Calendar,
    Floats,
    calendar_edges,
    closed,
    equivalent_full_cycles,
    integral,
    positive,
    self_consumption,
    self_sufficiency,
    victron_cycles,
)
from core.errors import RequestError
from core.ports import Series
from core.tariff import Tariff, costs

SOLAR, LOAD = "solar_power_kw", "load_power_kw"
IMPORT, EXPORT = "grid_import_kw", "grid_export_kw"
CHARGE, DISCHARGE = "battery_charge_kw", "battery_discharge_kw"
ENERGY_OF = {SOLAR: "solar_kwh", LOAD: "load_kwh", IMPORT: "import_kwh", EXPORT: "export_kwh",
             CHARGE: "charged_kwh", DISCHARGE: "discharged_kwh"}
QUANTITIES = tuple(ENERGY_OF)
BALANCE = {SOLAR: 1.0, IMPORT: 1.0, DISCHARGE: 1.0, LOAD: -1.0, EXPORT: -1.0, CHARGE: -1.0}
"""What flows in counts up, what flows out counts down; the sum is what nobody explains."""

COMPARABLE_COVERAGE = 0.9
DISCHARGE_PCT = 5.0
FULL_PCT = 99.5
FULL_CYCLES_WORDS = "charge in and out over twice the capacity"
VICTRON_CYCLES_WORDS = (f"each fall below {CYCLE_LOW_PCT:.0f} % followed by a rise above "
                        f"{CYCLE_HIGH_PCT:.0f} %, as Victron counts")
DISCHARGE_WORDS = (f"a fall of at least {DISCHARGE_PCT:.0f} %, until the state of charge rises "
                   f"{DISCHARGE_PCT:.0f} % again")


@dataclass(frozen=True, slots=True)
class Account:
    """What totals were made from, on one time base: kw by quantity, float64[n] from time_s
    float64[n] [s] on, each held until the next, NaN where not known. until_s: nothing counts
    from there on [s]."""

    time_s: Floats
    kw: Mapping[str, Floats]
    zone: ZoneInfo
    calendar: Calendar
    tariff: Tariff | None
    until_s: float


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one span from start_s to end_s [s], NaN where not known: energies [kWh]; shares 0 to
    1; paid, earned and cost = paid - earned [currency]. coverage: the share of the span in
    which every measured quantity is known, 0 to 1. unexplained_kwh: solar + import +
    discharged - load - export - charged, e.g. losses of conversion."""

    start_s: float
    end_s: float
    solar_kwh: float
    load_kwh: float
    import_kwh: float
    export_kwh: float
    charged_kwh: float
    discharged_kwh: float
    unexplained_kwh: float
    self_consumption: float
    self_sufficiency: float
    paid: float
    earned: float
    cost: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two spans that are equally long by the local clock; reason: "" or why they should not
    be compared: too little of one is known."""

    now: Sums
    before: Sums
    reason: str


@dataclass(frozen=True, slots=True)
class Totals:
    """As Sums, one each bucket: edges_s float64[k + 1] [s], the rest float64[k]. The last
    bucket counts up to account.until_s, also its coverage. overall: of all buckets."""

    edges_s: Floats
    solar_kwh: Floats
    load_kwh: Floats
    import_kwh: Floats
    export_kwh: Floats
    charged_kwh: Floats
    discharged_kwh: Floats
    unexplained_kwh: Floats
    self_consumption: Floats
    self_sufficiency: Floats
    paid: Floats
    earned: Floats
    cost: Floats
    coverage: Floats
    overall: Sums
    account: Account


@dataclass(frozen=True, slots=True)
class BatteryHistory:
    """Discharges by DISCHARGE_WORDS: the deepest, the last (which may still run: `running`) and
    the mean of those that have ended, as a fall of SOC [%] and at the capacity [Ah];
    discharges: how many have ended. full_cycles by FULL_CYCLES_WORDS, victron_cycles by
    VICTRON_CYCLES_WORDS, drawn_ah in all [Ah], since_full_s since SOC was last 99.5 % or more
    [s]; NaN where nothing is known or it never happened."""

    deepest_pct: float
    deepest_ah: float
    last_pct: float
    last_ah: float
    average_pct: float
    average_ah: float
    discharges: int
    running: bool
    full_cycles: float
    victron_cycles: float
    drawn_ah: float
    since_full_s: float


def totals(found: Mapping[str, Series], start: datetime, end: datetime, calendar: Calendar,
           zone: ZoneInfo, tariff: Tariff | None = None) -> Totals:
    """By the local days, weeks, months or years that hold [start, end); nothing after `end`
    counts. found: by quantity, of QUANTITIES; what is absent is not known, neither are sums
    that need it. tariff: None where nobody knows a price.

    Raises RequestError as `core.energy.calendar_edges` and `checked` do.
    """
    edges = calendar_edges(start, end, calendar, zone)
    times, kw = _together(found)
    account = Account(times, kw, zone, calendar, tariff, end.timestamp())
    counted = np.append(edges[:-1], min(edges[-1], account.until_s))
    overall = sums(account, float(counted[0]), float(counted[-1]))
    return Totals(edges_s=edges, overall=overall, account=account, **_columns(account, counted))


def sums(account: Account, start_s: float, end_s: float) -> Sums:
    """Of one span [s]; RequestError unless it ends after its start."""
    columns = _columns(account, np.array([start_s, end_s]))
    return Sums(start_s=start_s, end_s=end_s,
                **{name: float(column[0]) for name, column in columns.items()})


def _together(found: Mapping[str, Series]) -> tuple[Floats, dict[str, Floats]]:
    """All of QUANTITIES on one time base, NaN where not known."""
    told = {name: _closed(found[name]) for name in QUANTITIES if name in found}
    times = np.unique(np.concatenate([np.zeros(0), *(own for own, _ in told.values())]))
    return times, {name: _held(*told[name], times) if name in told
                   else np.full(times.size, np.nan) for name in QUANTITIES}


def _closed(series: Series) -> tuple[Floats, Floats]:
    return closed(series.time_s, series.mean, series.resolution_s, series.known_s)


def _held(own_s: Floats, values: Floats, times: Floats) -> Floats:
    row = np.searchsorted(own_s, times, side="right") - 1
    return np.append(values, np.nan)[row]


def _columns(account: Account, edges: Floats) -> dict[str, Floats]:
    """float64[k] by the names that Sums and Totals share."""
    columns = {ENERGY_OF[name]: _kwh(account, {name: 1.0}, edges) for name in QUANTITIES}
    paid, earned, net = _money(account, edges)
    return {**columns, "unexplained_kwh": _kwh(account, BALANCE, edges, signed=True),
            "self_consumption": _share(account, SOLAR, EXPORT, edges),
            "self_sufficiency": _share(account, LOAD, IMPORT, edges),
            "paid": paid, "earned": earned, "cost": net, "coverage": _coverage(account, edges)}


def _kwh(account: Account, weights: Mapping[str, float], edges: Floats, signed: bool = False,
         ) -> Floats:
    """The weighted sum of some quantities, over the time in which all of them are known."""
    power = np.zeros(account.time_s.size)
    for name, weight in weights.items():
        power = power + weight * account.kw[name]
    kwh = _integral(account.time_s, power, edges)[0] / SECONDS_PER_HOUR
    # Rounding of the cumulation may leave -1e-17 where nothing flowed.
    return kwh if signed else np.maximum(kwh, 0.0)


def _integral(times: Floats, value: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """The time base has closed its gaps: each value stands until the next row."""
    return integral(times, value, edges, _any_step(times))


def _any_step(times: Floats) -> float:
    return float(np.ptp(times)) + 1.0 if times.size else 1.0


def _share(account: Account, whole: str, lost: str, edges: Floats) -> Floats:
    """Share of `whole` that is not `lost`, by the rules of core.energy."""
    both = np.isfinite(account.kw[whole] + account.kw[lost])
    of_both = [_integral(account.time_s, np.where(both, account.kw[name], np.nan), edges)[0]
               for name in (whole, lost)]
    rule = self_consumption if whole == SOLAR else self_sufficiency
    return np.array([rule(float(one), float(other))
                     for one, other in zip(*of_both, strict=True)], np.float64)


def _money(account: Account, edges: Floats) -> tuple[Floats, Floats, Floats]:
    """paid, earned, net [currency]."""
    if account.tariff is None:
        return (np.full(edges.size - 1, np.nan),) * 3
    found = costs(account.time_s, account.kw[IMPORT], account.kw[EXPORT], account.tariff, edges,
                  _any_step(account.time_s))
    return found.paid, found.earned, found.net


def _coverage(account: Account, edges: Floats) -> Floats:
    """Of what is measured at all: a house without solar panels is fully known without."""
    told = [kw for kw in account.kw.values() if np.isfinite(kw).any()]
    if not told:
        return np.zeros(edges.size - 1)
    covered_s = _integral(account.time_s, np.sum(told, axis=0), edges)[1]
    return np.minimum(covered_s / np.diff(edges), 1.0)


def compare(now: Totals, end: datetime) -> Pair:
    """The bucket that `end` lies in or ends, up to `end`, beside the same stretch of the bucket
    before: as many days and hours by the local clock, but never beyond its end (31 days of
    March against all of February). RequestError where `end` has no zone."""
    if end.tzinfo is None:
        raise RequestError("the time to compare at needs a zone")
    account = now.account
    begin_s = _bucket_start_s(end - timedelta(microseconds=1), account)
    before_s = _bucket_start_s(datetime.fromtimestamp(begin_s, account.zone)
                               - timedelta(days=1), account)
    passed = (end.astimezone(account.zone).replace(tzinfo=None)
              - datetime.fromtimestamp(begin_s, account.zone).replace(tzinfo=None))
    until = datetime.fromtimestamp(before_s, account.zone) + passed
    this = sums(account, begin_s, end.timestamp())
    before = sums(account, before_s, min(until.timestamp(), begin_s))
    return Pair(this, before, _incomparable(this, before))


def _bucket_start_s(moment: datetime, account: Account) -> float:
    later = moment + timedelta(seconds=1)
    return float(calendar_edges(moment, later, account.calendar, account.zone)[0])


def _incomparable(this: Sums, before: Sums) -> str:
    for one, name in ((before, "the span before"), (this, "this span")):
        if one.coverage < COMPARABLE_COVERAGE:
            return f"only {100 * one.coverage:.0f} % of {name} is known"
    return ""


def battery_history(soc: Series, current: Series, capacity_ah: float, now_s: float = math.nan,
                    ) -> BatteryHistory:
    """From the past SOC and current (+ discharging), for a device without counters of its own.

    capacity_ah: real capacity [Ah]. now_s: NaN takes the end of the SOC's last row [s]. A
    discharge is a fall of SOC of at least 5 % from a local maximum to the lowest point before
    SOC has risen 5 % again; the Ah are that fall at the capacity, since a count over gaps would
    miss some. A current that is a mean over a time of both directions counts too few cycles.
    Raises RequestError for times that do not rise and a capacity that is not above 0.
    """
    per_pct = positive("capacity_ah", capacity_ah) / 100
    falls, is_running = discharges(np.asarray(soc.mean, np.float64))
    ended = falls[:-1] if is_running else falls
    deepest, last = (float(falls.max()), float(falls[-1])) if falls.size else (math.nan, math.nan)
    average = float(ended.mean()) if ended.size else math.nan
    drawn_ah, charged_ah = _flowed_ah(current)
    return BatteryHistory(
        deepest, deepest * per_pct, last, last * per_pct, average, average * per_pct,
        int(ended.size), is_running,
        equivalent_full_cycles(charged_ah, drawn_ah, capacity_ah),
        victron_cycles(soc.mean), drawn_ah, _since_full_s(soc, now_s))


def _flowed_ah(current: Series) -> tuple[float, float]:
    """Drawn and charged in all [Ah]."""
    times, amperes = _closed(current)
    if times.size < 2:
        return math.nan, math.nan
    ends = times[[0, -1]]
    out, into = (float(_integral(times, np.maximum(part, 0.0), ends)[0][0]) / SECONDS_PER_HOUR
                 for part in (amperes, -amperes))
    return out, into


def _since_full_s(soc: Series, now_s: float) -> float:
    """Since the end of the last row at 99.5 % or more; NaN when there is none."""
    times, values = _closed(soc)
    full = np.flatnonzero(values >= FULL_PCT)
    if not full.size:
        return math.nan
    end_s = now_s if math.isfinite(now_s) else float(times[-1])
    return max(end_s - float(times[full[-1] + 1]), 0.0)


def discharges(soc_pct: Floats) -> tuple[Floats, bool]:
    """The depth of each discharge of SOC [n] in order, float64[m] [%], and whether the last
    still runs, as `battery_history` defines one."""
    depths: list[float] = []
    soc = _turns(soc_pct)
    highest = lowest = float(soc[0]) if soc.size else math.nan
    for turn in soc[1:].tolist():
        falling = highest - lowest >= DISCHARGE_PCT
        if falling and turn - lowest >= DISCHARGE_PCT:
            depths.append(highest - lowest)
            highest = lowest = turn
        elif not falling and turn > highest:
            highest = lowest = turn
        else:
            lowest = min(lowest, turn)
    is_running = highest - lowest >= DISCHARGE_PCT
    if is_running:
        depths.append(highest - lowest)
    return np.array(depths, np.float64), is_running


def _turns(soc_pct: Floats) -> Floats:
    """The known values between which SOC only rises or only falls, the ends included."""
    soc = soc_pct[np.isfinite(soc_pct)]
    soc = soc[np.append(True, np.diff(soc) != 0)] if soc.size else soc
    if soc.size < 2:
        return soc
    rises = np.diff(soc) > 0
    turns: Floats = soc[np.concatenate([[True], rises[1:] != rises[:-1], [True]])]
    return turns
