"""All that a page or an API tells of one pump over one span of time, computed once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from core.devices import Device, channel_id
from core.errors import GiveUpError, RequestError
from core.heatpump.account import BASES, Account, Basis, account
from core.heatpump.change import Change, against
from core.heatpump.cop import Cop, cop_over
from core.heatpump.cycles import Starts, WaterCycles, compressor_starts, hot_water_cycles
from core.heatpump.energies import Energies, energies
from core.heatpump.hours import HOUR_S, QUANTITIES, with_hours
from core.heatpump.log import Floats, PumpLog, log_of
from core.heatpump.runtimes import Runtimes, runtimes
from core.houses import House
from core.ports import Series, Tier
from core.pump import Pump
from core.tariff import Tariff, costs

RANGES: dict[str, timedelta] = {
    "1h": timedelta(hours=1), "6h": timedelta(hours=6), "24h": timedelta(hours=24),
    "7d": timedelta(days=7), "30d": timedelta(days=30), "90d": timedelta(days=90)}
CUSTOM = "custom"
# The grid of the arithmetic: longest span -> its step [s]; the last is for everything longer.
STEPS: tuple[tuple[timedelta, float], ...] = (
    (timedelta(days=8), 60.0), (timedelta(days=120), 300.0))
WIDEST_STEP_S = 3600.0
HOUR = timedelta(seconds=HOUR_S)
LONGEST = timedelta(days=800)
# Quantities of which no figure and no chart is made: the machine's own hours.
NOT_READ = ("compressor_h", "compressor_space_h", "compressor_water_h", "auxiliary_h",
            "auxiliary_1_h", "auxiliary_2_h")
# What `figures` needs.
OF_FIGURES = (
    "compressor_on", "compressor_hz", "compressor_pct", "compressor_power_kw",
    "electric_power_kw", "electricity_kwh", "auxiliary_kwh", "auxiliary_power_kw",
    "auxiliary_pct", "auxiliary_1_on", "auxiliary_2_on", "hot_water_valve", "hot_water_c",
    "defrost_on", "heat_power_kw", "heat_kwh", "space_heat_kwh", "water_heat_kwh", "flow_lpm",
    "brine_in_c", "outdoor_c", "condenser_out_c", "condenser_in_c", "radiator_supply_c",
    "radiator_return_c", *QUANTITIES)
# Figures that are sums over time -> of how much time.
SUMS = {"compressor_h": "known_h", "auxiliary_h": "known_h", "electricity_kwh": "electricity_h",
        "cost": "electricity_h"}
AS_MUCH_KNOWN = 0.95
# The end of a window stands on multiples of this [s], so that one answer serves all who ask
# within it.
PACES: tuple[tuple[timedelta, float], ...] = (
    (timedelta(hours=25), 15.0), (timedelta(days=8), 120.0))
SLOWEST_PACE_S = 600.0


class SeriesOf(Protocol):
    """`ChannelHistory.series`, or what stands for it."""

    def __call__(self, channel_ids: Sequence[str], start: datetime, end: datetime,
                 max_points: int = 1000, tier: Tier = "auto") -> list[Series]: ...


@dataclass(frozen=True, slots=True)
class Window:
    """key: of RANGES or CUSTOM. start, end (UTC); step_s: of the arithmetic's grid [s]."""

    key: str
    start: datetime
    end: datetime
    step_s: float

    @property
    def span(self) -> tuple[float, float]:
        """[s since 1970]"""
        return self.start.timestamp(), self.end.timestamp()

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def before(self) -> Window:
        """As long, and ending where this one begins."""
        return Window(self.key, self.start - (self.end - self.start), self.start, self.step_s)


@dataclass(frozen=True, slots=True)
class Figures:
    """The six numbers of one window, NaN = not known. compressor_h, auxiliary_h [h] and their
    shares of the known time 0..1; hot_water_c: mean [°C]; electricity_kwh [kWh]; cost in the
    house's currency; water_cycles_per_day [1/d]. known_h, electricity_h: of how much time the
    runtimes, and the electricity, are known [h]."""

    cop: float
    compressor_h: float
    compressor_share: float
    hot_water_c: float
    electricity_kwh: float
    cost: float
    auxiliary_h: float
    auxiliary_share: float
    water_cycles_per_day: float
    known_h: float
    electricity_h: float


@dataclass(frozen=True, slots=True)
class Report:
    """basis: the best possible one, None without. cops: of every basis, "" in `reason` where it
    can be told. changes: name of a figure -> against the window before."""

    device: Device
    pump: Pump
    window: Window
    log: PumpLog
    account: Account
    basis: Basis | None
    cops: Mapping[Basis, Cop]
    energies: Energies | None
    runtimes: Runtimes
    water_cycles: WaterCycles
    starts: Starts
    figures: Figures
    before: Figures
    currency: str

    def change(self, figure: str) -> Change:
        """Of a field of Figures against the window before; a sum only where both windows know
        about as much of their time: else the silence would look like a change."""
        found = against(getattr(self.figures, figure), getattr(self.before, figure))
        if figure not in SUMS:
            return found
        least_h, most_h = sorted(getattr(one, SUMS[figure]) for one in (self.figures, self.before))
        if least_h >= AS_MUCH_KNOWN * most_h:
            return found
        return Change(found.now, found.before, math.nan, math.nan)


def window(key: str, now: datetime) -> Window:
    """A range of RANGES that ends about now; raises RequestError."""
    if key not in RANGES:
        raise RequestError(f"range = {key[:40]!r} is not allowed; allowed: " + ", ".join(RANGES))
    length = RANGES[key]
    pace_s = next((pace for most, pace in PACES if length <= most), SLOWEST_PACE_S)
    late_s = now.timestamp() % pace_s
    end = now - timedelta(seconds=late_s)
    return Window(key, end - length, end, _step_s(length))


def between(start: datetime, end: datetime) -> Window:
    """A span that a person wrote; raises RequestError."""
    if start.tzinfo is None or end.tzinfo is None or end <= start:
        raise RequestError("a span needs two times with a zone, the end after the start")
    if end - start > LONGEST:
        raise RequestError(f"at most {LONGEST.days} days can be shown at once")
    return Window(CUSTOM, start, end, _step_s(end - start))


def _step_s(length: timedelta) -> float:
    return next((step for most, step in STEPS if length <= most), WIDEST_STEP_S)


def read_log(series_of: SeriesOf, device: Device, asked: Window,
             only: Sequence[str] = ()) -> PumpLog:
    """The log of a pump, of its quantities that are in `only` where that is not empty; an energy
    log's registers, which tell the hour before, are read one hour on. Raises OrreryError as
    `series_of` does."""
    names = [name for name in device.quantities
             if (name in only if only else name not in NOT_READ)]
    hourly = [name for name in names if name in QUANTITIES]
    log = _read(series_of, device, asked, [name for name in names if name not in QUANTITIES])
    if not hourly:
        return log
    later = replace(asked, start=asked.start + HOUR, end=asked.end + HOUR)
    return with_hours(log, _read(series_of, device, later, hourly))


def _read(series_of: SeriesOf, device: Device, asked: Window, names: Sequence[str]) -> PumpLog:
    most = math.ceil(asked.seconds / asked.step_s) + 2
    tier: Tier = "hour" if asked.step_s >= WIDEST_STEP_S else "minute"
    found = series_of([channel_id(device.id, name) for name in names], asked.start, asked.end,
                      most, tier)
    return log_of(dict(zip(names, found, strict=False)), asked.start, asked.end, asked.step_s)


def report(series_of: SeriesOf, device: Device, house: House, asked: Window) -> Report:
    """Raises OrreryError where history cannot be read, GiveUpError for what is no heat pump."""
    if device.pump is None:
        raise GiveUpError(f"{device.id} is no heat pump")
    log = read_log(series_of, device, asked)
    earlier = read_log(series_of, device, asked.before, OF_FIGURES)
    told, before = account(log, device.pump), account(earlier, device.pump)
    basis = told.best
    return Report(
        device, device.pump, asked, log, told, basis,
        {one: cop_over(told, one) for one in BASES},
        None if basis is None else energies(told, basis), runtimes(log, device.pump),
        hot_water_cycles(log, told, basis), compressor_starts(log),
        figures(log, told, basis, device.pump, house),
        figures(earlier, before, basis, device.pump, house), house.currency)


def figures(log: PumpLog, told: Account, basis: Basis | None, pump: Pump, house: House) -> Figures:
    """The six numbers of a log."""
    ran = runtimes(log, pump)
    kwh, cost = electricity(told, house.tariff)
    cop = math.nan if basis is None else cop_over(told, basis).value
    known_h = ran.known_h
    return Figures(
        cop, ran.compressor_h, _share(ran.compressor_h, known_h), _mean(log.column("hot_water_c")),
        kwh, cost, ran.auxiliary_h if ran.auxiliary_known else math.nan,
        _share(ran.auxiliary_h, known_h) if ran.auxiliary_known else math.nan,
        hot_water_cycles(log, told, basis).per_day, known_h,
        float(np.count_nonzero(np.isfinite(told.electricity_kw))) * told.step_h)


def electricity(told: Account, tariff: Tariff | None) -> tuple[float, float]:
    """[kWh] over the cells that know it, NaN without one; and what it cost, NaN without a
    tariff."""
    known = np.isfinite(told.electricity_kw)
    if not known.any():
        return math.nan, math.nan
    kwh = told.electricity_kw[known] * told.step_h
    if tariff is None:
        return float(kwh.sum()), math.nan
    begin_s, end_s = float(told.time_s[0]), float(told.time_s[-1]) + told.step_s
    paid = costs(told.time_s, told.electricity_kw, np.zeros(told.time_s.size), tariff,
                 [begin_s, end_s], told.step_s, told.step_s).paid
    return float(kwh.sum()), float(paid[0])


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _share(hours: float, of_hours: float) -> float:
    return hours / of_hours if of_hours > 0 else math.nan
