"""From a report to the documented answer: pure functions. Missing is null, never 0 (law 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from core.clock import from_epoch
from core.heatpump import switches
from core.heatpump.account import BASES, Account, Basis
from core.heatpump.cop import Cop, Part, cop_over, cop_series
from core.heatpump.cycles import WaterCycle, compressor_starts, hot_water_cycles
from core.heatpump.energies import Energies
from core.heatpump.events import Event, events
from core.heatpump.log import Floats, PumpLog
from core.heatpump.report import Report
from core.heatpump.runtimes import Runtimes
from core.pump import AlarmTable, Pump
from services.gateway.heat_pump_shapes import (
    Charts,
    CopByBasis,
    CopChart,
    CopLines,
    CopTold,
    CyclesTold,
    CycleTold,
    EnergiesChart,
    EventTold,
    KpiTold,
    Line,
    LinesChart,
    RuntimesChart,
    StartsTold,
)

TEMPERATURES = ("outdoor_c", "indoor_c", "radiator_supply_c", "radiator_return_c",
                "hot_water_c", "brine_in_c", "brine_out_c")
DELTAS = {"brine_delta_k": ("brine_in_c", "brine_out_c"),
          "radiator_delta_k": ("radiator_supply_c", "radiator_return_c")}
NOT_TOLD = "this pump has no such reading"
MOST_POINTS, MOST_EVENTS = 1500, 50
# Width of a bucket of COP over time, by the longest range that it suits [s].
COP_BUCKETS: tuple[tuple[float, float], ...] = (
    (86_400.0, 900.0), (2 * 86_400.0, 3600.0), (8 * 86_400.0, 10_800.0))
WIDEST_COP_BUCKET_S = 86_400.0
ROUND_WIDTHS = (1, 2, 5, 10, 20, 30, 60, 120)
UNITS = {"cop": "", "compressor_h": "h", "compressor_share": "%", "hot_water_c": "°C",
         "electricity_kwh": "kWh", "cost": "", "auxiliary_h": "h", "auxiliary_share": "%",
         "water_cycles_per_day": "/d"}


def charts(told: Report) -> Charts:
    """All that a page of this pump and range draws."""
    log, pump = told.log, told.pump
    width = _width(log.size)
    time_s = log.time_s[::width].astype(np.int64).tolist()
    return Charts(
        start=iso(told.window.start.timestamp()), end=iso(told.window.end.timestamp()),
        step_s=log.step_s * width, time_s=time_s, energies=_energies(told.energies, told.basis),
        cop=_cop(told.account, told.basis, told.window.seconds), runtimes=_runtimes(told.runtimes),
        temperatures=_lines(log, pump, {name: log.column(name) for name in TEMPERATURES}, width),
        performance=_performance(log, pump, width), power=_power(log, pump, told.account, width),
        valve=_valve(log, pump, width), water_cycles=_cycles(log, told.account),
        starts=_starts(log), kpis=_kpis(told),
        events=[_event(one, pump.alarms) for one in events(log, pump, MOST_EVENTS)])


def iso(time_s: float) -> str:
    return from_epoch(time_s).isoformat()


def number(value: float, decimals: int = 3) -> float | None:
    return round(value, decimals) + 0.0 if math.isfinite(value) else None


def _width(cells: int) -> int:
    """How many cells one point of a line stands for."""
    least = max(-(-cells // MOST_POINTS), 1)
    return next((width for width in ROUND_WIDTHS if width >= least), least)


def _line(values: Floats, width: int, decimals: int = 3) -> Line:
    """Means of `width` cells, null where none of them is known."""
    if not values.size:
        return []
    begins = np.arange(0, values.size, width)
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(np.float64), begins)
    total = np.add.reduceat(np.where(known, values, 0.0), begins)
    means = np.divide(total, count, out=np.full(count.size, np.nan), where=count > 0)
    return [None if value != value else value  # noqa: PLR0124 - only NaN differs from itself
            for value in (np.round(means, decimals) + 0.0).tolist()]


def _lines(log: PumpLog, pump: Pump, columns: Mapping[str, Floats], width: int,
           made_of: Mapping[str, tuple[str, ...]] | None = None) -> LinesChart:
    """made_of: line -> quantities that it needs, where its name is not one itself."""
    absent: dict[str, str] = {}
    for name in columns:
        for quantity in (made_of or {}).get(name, (name,)):
            if quantity not in log.columns and name not in absent:
                absent[name] = pump.absent.get(quantity, NOT_TOLD)
    return LinesChart(lines={name: _line(values, width) for name, values in columns.items()
                             if name not in absent}, absent=absent)


def _performance(log: PumpLog, pump: Pump, width: int) -> LinesChart:
    deltas = {name: log.column(warm) - log.column(cold) for name, (warm, cold) in DELTAS.items()}
    return _switched(_lines(log, pump, deltas, width, DELTAS), log, width)


def _power(log: PumpLog, pump: Pump, account: Account, width: int) -> LinesChart:
    """Electric powers [W], as measured by whatever the pump has for them."""
    told = _lines(log, pump, {"auxiliary_pct": log.column("auxiliary_pct")}, width)
    lines, absent = dict(told.lines), dict(told.absent)
    if account.electricity_from:
        lines["electric_power_w"] = _line(account.electricity_kw * 1000, width, 1)
    else:
        absent["electric_power_w"] = pump.absent.get("electric_power_kw", NOT_TOLD)
    if account.auxiliary_from:
        lines["auxiliary_power_w"] = _line(account.auxiliary_kw * 1000, width, 1)
    share = switches.auxiliary(log, pump)
    if np.isfinite(share).any():
        lines["auxiliary_on"] = _line(share, width)
    return _switched(LinesChart(lines=lines, absent=absent), log, width)


def _valve(log: PumpLog, pump: Pump, width: int) -> LinesChart:
    names = ("hot_water_valve", "hot_water_c")
    return _switched(_lines(log, pump, {name: log.column(name) for name in names}, width),
                     log, width)


def _switched(chart: LinesChart, log: PumpLog, width: int) -> LinesChart:
    """With the compressor beside it."""
    on = switches.compressor(log)
    if np.isfinite(on).any():
        chart.lines["compressor_on"] = _line(on, width)
    else:
        chart.absent["compressor_on"] = NOT_TOLD
    return chart


def _cop(account: Account, basis: Basis | None, seconds: float) -> CopChart:
    by_basis = [_by_basis(account, one, tier) for tier, one in enumerate(BASES, start=1)]
    if basis is None:
        return CopChart(basis=None, by_basis=by_basis, over_time=None)
    bucket_s = next((width for most, width in COP_BUCKETS if seconds <= most),
                    WIDEST_COP_BUCKET_S)
    parts: tuple[Part, ...] = ("all", "space", "water")
    series = {part: cop_series(account, basis, part, True, bucket_s) for part in parts}
    whole = series["all"]
    lines = {part: _line(one.cop, 1) for part, one in series.items()}
    return CopChart(basis=basis, by_basis=by_basis, over_time=CopLines(
        bucket_s=whole.bucket_s, time_s=whole.time_s.astype(np.int64).tolist(), **lines))


def _by_basis(account: Account, basis: Basis, tier: int) -> CopByBasis:
    return CopByBasis(
        basis=basis, tier=tier, all=_cop_told(cop_over(account, basis)),
        space=_cop_told(cop_over(account, basis, "space")),
        water=_cop_told(cop_over(account, basis, "water")),
        without_auxiliary=_cop_told(cop_over(account, basis, "all", False)))


def _cop_told(cop: Cop) -> CopTold:
    return CopTold(cop=number(cop.value), heat_kwh=number(cop.heat_kwh),
                   electricity_kwh=number(cop.electricity_kwh), hours=round(cop.hours, 3),
                   running_h=number(cop.running_h), reason=cop.reason)


def _energies(told: Energies | None, basis: Basis | None) -> EnergiesChart:
    names = ("source_heat", "electricity", "auxiliary", "space_heat", "water_heat",
             "unsorted_heat", "losses")
    kwh = {f"{name}_kwh": None if told is None else number(getattr(told, name))
           for name in names}
    return EnergiesChart(
        basis=basis, reason="no_basis" if told is None else told.reason, **kwh,
        defrost_kwh=None if told is None else number(told.defrost_kwh),
        free_pct=None if told is None else number(100 * told.free_share, 2),
        coverage_pct=0.0 if told is None else round(100 * told.coverage, 2),
        meters_disagree=told is not None and told.meters_disagree)


def _runtimes(told: Runtimes) -> RuntimesChart:
    names = ("compressor_space", "compressor_water", "compressor_unsorted", "overlap",
             "auxiliary", "defrost", "idle")
    shares = {f"{name}_pct": number(100 * getattr(told, name), 4) for name in names}
    return RuntimesChart(
        **shares, compressor_h=number(told.compressor_h), known_h=round(told.known_h, 3),
        auxiliary_h=number(told.auxiliary_h) if told.auxiliary_known else None,
        unknown_h=round(told.unknown_h, 3), auxiliary_known=told.auxiliary_known,
        defrost_known=told.defrost_known)


def _cycles(log: PumpLog, account: Account) -> CyclesTold:
    told = hot_water_cycles(log, account)
    return CyclesTold(cycles=[_cycle(one) for one in told.cycles], count=told.count,
                      open=told.open, per_day=number(told.per_day))


def _cycle(one: WaterCycle) -> CycleTold:
    return CycleTold(
        start=iso(one.start_s), end=iso(one.end_s), minutes=round(one.minutes, 2),
        open_start=one.open_start, open_end=one.open_end, heat_kwh=number(one.heat_kwh),
        electricity_kwh=number(one.electricity_kwh), start_c=number(one.start_c, 2),
        end_c=number(one.end_c, 2), peak_c=number(one.peak_c, 2))


def _starts(log: PumpLog) -> StartsTold:
    told = compressor_starts(log)
    return StartsTold(
        count=number(told.count), per_hour=number(told.per_hour), per_day=number(told.per_day),
        shortest_run_min=number(told.shortest_s / 60, 2),
        median_run_min=number(told.median_s / 60, 2), from_counter=told.from_counter)


def _kpis(told: Report) -> dict[str, KpiTold]:
    return {name: _kpi(told, name) for name in UNITS}


def _kpi(told: Report, name: str) -> KpiTold:
    change, percent = told.change(name), UNITS[name] == "%"
    scale = 100.0 if percent else 1.0
    return KpiTold(value=number(scale * change.now), before=number(scale * change.before),
                   change=number(scale * change.difference),
                   change_pct=number(100 * change.relative, 2),
                   unit=told.currency if name == "cost" else UNITS[name])


def _event(one: Event, table: AlarmTable) -> EventTold:
    return EventTold(at=iso(one.time_s), kind=one.kind, what=one.what, value=number(one.value),
                     unit=one.unit, words=_event_words(one, table))


def _event_words(one: Event, table: AlarmTable) -> str:
    if one.kind == "alarm_bit":
        return table.bits.get(round(one.value), "")
    return code_words(one.value, table) if one.kind == "alarm" else ""


def code_words(code: float, table: AlarmTable) -> str:
    """"" without an alarm."""
    if not math.isfinite(code) or code == 0:
        return ""
    return table.codes.get(round(code), "not in the table") if code > 0 else "without a code"


def alarm_words(code: float, bits: Sequence[int], table: AlarmTable) -> list[str]:
    """Of all that is active."""
    said = [code_words(code, table)] if code_words(code, table) else []
    return [*said, *(table.bits[bit] for bit in bits)]
