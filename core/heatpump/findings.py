"""What a log says beyond its numbers: how the pump runs, and what its sensors hide."""

from __future__ import annotations

import numpy as np

from core.heatpump import switches
from core.heatpump.account import Account
from core.heatpump.cycles import compressor_starts, hot_water_cycles
from core.heatpump.finding import ALL_ON, SEVERITIES, Code, Finding, Severity, settled
from core.heatpump.findings_trends import brine_falling, falling_cop
from core.heatpump.log import Flags, Floats, PumpLog
from core.heatpump.population import AIR, population_of
from core.pump import Pump

__all__ = ["Code", "Finding", "Severity", "auxiliary_pct", "findings"]

# Starts an hour need so much known time to mean something [h].
STARTS_FROM_H = 12.0
# A run shorter than this wears the compressor more than it heats [s]; and so many of them.
SHORT_RUN_S, SHORT_RUNS = 600.0, 4
# Husdata's README for its Homey app: the brine's delta T should be 3 to 4 K, and an auxiliary
# heater above 50 % is an alert.
BRINE_BAND_K = (3.0, 4.0)
# Less beside the band is what sensors of 0.1 K do not tell [K].
BRINE_SLACK_K = 0.1
AUXILIARY_ALERT_PCT, AUXILIARY_FROM_H = 50.0, 0.5
STEADY_FROM_H = 1.0
# The tank may stay this much below what is wanted [K].
SETPOINT_SLACK_K = 1.0
# A valve that gives a tank less than this in so long a run does not reach it [K, s].
STUCK_RISE_K, STUCK_RUN_S = 1.0, 3600.0
# Less than this over the condenser is no heat [K]; told from this long [h] and this share.
NO_HEAT_K, NO_HEAT_FROM_H, NO_HEAT_SHARE = 0.5, 0.5, 0.2
# Flat from this long [h]; lost from this long [s].
FLAT_FROM_H, LOST_FROM_S = 24.0, 3600.0


def findings(log: PumpLog, pump: Pump, account: Account) -> list[Finding]:
    """All findings of a log, the gravest first. None of them without enough known time."""
    found = [*_short_cycling(log, pump), *falling_cop(log, pump, account),
             *_brine_delta(log, pump), *_auxiliary_high(log, pump, account),
             *brine_falling(log, pump), *_water_never_reached(log, account),
             *_valve_stuck(log, account), *_without_heat(log, pump), *_sensors(log, pump)]
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))


def _short_cycling(log: PumpLog, pump: Pump) -> list[Finding]:
    """Starts an hour above nine of ten real pumps, or half of the runs shorter than 10 min."""
    starts = compressor_starts(log)
    if starts.known_h < STARTS_FROM_H or starts.too_coarse:
        return []
    own = population_of(pump.medium).starts_per_hour
    # Seven ground-source systems are few: there the wider quantile of both counts.
    limit = max(own.p90, AIR.starts_per_hour.p90)
    short = int(np.count_nonzero(starts.run_s < SHORT_RUN_S))
    many_short = short >= SHORT_RUNS and 2 * short >= starts.run_s.size
    if starts.per_hour <= limit and not many_short:
        return []
    grave = starts.per_hour > limit and many_short or starts.per_hour > 2 * limit
    numbers = {"starts_per_hour": starts.per_hour, "p50_per_hour": own.p50,
               "p90_per_hour": own.p90, "limit_per_hour": limit, "short_runs": float(short),
               "runs": float(starts.run_s.size), "median_run_min": starts.median_s / 60.0}
    return [Finding("short_cycling", "alert" if grave else "warning", numbers)]


def _brine_delta(log: PumpLog, pump: Pump) -> list[Finding]:
    if pump.medium != "brine":
        return []
    delta_k = log.column("brine_in_c") - log.column("brine_out_c")
    steady = settled(switches.compressor(log), log.step_s) & np.isfinite(delta_k)
    hours = float(np.count_nonzero(steady)) * log.step_h
    if hours < STEADY_FROM_H:
        return []
    low, high = BRINE_BAND_K
    median = float(np.median(delta_k[steady]))
    off_k = max(low - median, median - high)
    if off_k < BRINE_SLACK_K:
        return []
    numbers = {"delta_k": median, "low_k": low, "high_k": high, "hours": hours}
    return [Finding("brine_delta_low" if median < low else "brine_delta_high",
                    "warning" if off_k > 1.0 else "hint", numbers)]


def _auxiliary_high(log: PumpLog, pump: Pump, account: Account) -> list[Finding]:
    level_pct = auxiliary_pct(log, pump, account)
    above = level_pct > AUXILIARY_ALERT_PCT
    hours = float(np.count_nonzero(above)) * log.step_h
    if hours < AUXILIARY_FROM_H:
        return []
    known_h = float(np.count_nonzero(np.isfinite(level_pct))) * log.step_h
    numbers = {"hours": hours, "share": hours / known_h, "limit_pct": AUXILIARY_ALERT_PCT,
               "highest_pct": float(np.nanmax(level_pct))}
    return [Finding("auxiliary_high", "alert", numbers, _run_began(log, above))]


def auxiliary_pct(log: PumpLog, pump: Pump, account: Account) -> Floats:
    """How much of the auxiliary heater is on [%], float64[k]: its own per cent, else its power
    over the rated one, else the steps of 3 and 6 kW. NaN where nobody told what it is rated for."""
    if log.tells("auxiliary_pct"):
        return log.column("auxiliary_pct")
    steps = sum(switches.STEPS_KW)
    rated_kw = pump.auxiliary_kw if pump.auxiliary_kw > 0 else steps
    if log.tells("auxiliary_power_kw") and not pump.auxiliary_kw > 0:
        return np.full(log.size, np.nan)
    return 100.0 * account.auxiliary_kw / rated_kw


def _water_never_reached(log: PumpLog, account: Account) -> list[Finding]:
    wanted, tank = log.column("hot_water_setpoint_c"), log.peak("hot_water_c")
    known = np.isfinite(wanted) & np.isfinite(tank)
    cycles = hot_water_cycles(log, account)
    whole = [one for one in cycles.cycles if not (one.open_start or one.open_end)]
    if len(whole) < 2 or not known.any():
        return []
    short_k = wanted[known] - tank[known]
    if float(short_k.min()) <= SETPOINT_SLACK_K:
        return []
    numbers = {"highest_c": float(tank[known].max()), "wanted_c": float(np.median(wanted[known])),
               "cycles": float(len(whole))}
    return [Finding("water_never_reached", "warning", numbers, None, "hot_water_c")]


def _valve_stuck(log: PumpLog, account: Account) -> list[Finding]:
    """The newest turn to hot water in which the compressor ran for an hour and the tank never
    warmed by 1 K."""
    on = np.where(np.isfinite(account.compressor_on), account.compressor_on, 0.0)
    ran_s = np.append(0.0, np.cumsum(on)) * log.step_s
    tank = log.column("hot_water_c")
    for cycle in reversed(hot_water_cycles(log, account).cycles):
        begun, last = np.searchsorted(log.time_s + log.step_s / 2, [cycle.start_s, cycle.end_s])
        run_s = float(ran_s[last] - ran_s[begun])
        rise_k = _most_rise(tank[begun:last])
        if run_s >= STUCK_RUN_S and rise_k < STUCK_RISE_K:
            numbers = {"run_h": run_s / 3600.0, "rise_k": rise_k, "tank_c": cycle.end_c}
            return [Finding("valve_stuck", "alert", numbers, cycle.start_s, "hot_water_valve")]
    return []


def _most_rise(values: Floats) -> float:
    """The most that the known values rose from any of them to a later one; NaN of none."""
    known = values[np.isfinite(values)]
    return float((known - np.minimum.accumulate(known)).max()) if known.size else np.nan


def _without_heat(log: PumpLog, pump: Pump) -> list[Finding]:
    """The compressor runs and the water comes out as it went in. Sensors behind the valve do
    not count while it stands to hot water."""
    on, (out, back) = switches.compressor(log), pump.flow_pair
    delta_k = log.column(out) - log.column(back)
    usable = settled(on, log.step_s) & np.isfinite(delta_k)
    usable &= ~(switches.defrost(log) > 0)
    if out.startswith("radiator") or back.startswith("radiator"):
        usable &= ~(switches.water(log) > 1 - ALL_ON)
    cold = usable & (delta_k < NO_HEAT_K)
    hours = float(np.count_nonzero(cold)) * log.step_h
    usable_h = float(np.count_nonzero(usable)) * log.step_h
    share = hours / usable_h if usable_h else 0.0
    if hours < NO_HEAT_FROM_H or share < NO_HEAT_SHARE:
        return []
    numbers = {"hours": hours, "share": share, "limit_k": NO_HEAT_K,
               "delta_k": float(np.median(delta_k[cold]))}
    return [Finding("running_without_heat", "alert", numbers, _run_began(log, cold))]


def _sensors(log: PumpLog, pump: Pump) -> list[Finding]:
    """Quantities that the pump should tell and does not, no longer, or, though it runs, always
    the same."""
    found: list[Finding] = []
    heard = log.known()
    heard_h = float(np.count_nonzero(heard)) * log.step_h
    if heard_h * 3600.0 < LOST_FROM_S:
        return found
    last_heard_s = float(log.time_s[heard][-1])
    ran = float(np.nansum(switches.compressor(log))) * log.step_h >= STEADY_FROM_H
    for name, values in log.columns.items():
        known = np.flatnonzero(np.isfinite(values))
        if not known.size:
            if name not in pump.absent:
                found.append(Finding("sensor_absent", "hint", {"hours": heard_h}, None, name))
            continue
        until_s = float(log.time_s[known[-1]]) + log.step_s
        if last_heard_s - until_s >= LOST_FROM_S:
            numbers = {"hours": (last_heard_s - until_s) / 3600.0}
            found.append(Finding("sensor_lost", "warning", numbers, until_s, name))
        elif ran and name.endswith("_c") and "setpoint" not in name:
            found += _flat(log, name, values[known])
    return found


def _flat(log: PumpLog, name: str, values: Floats) -> list[Finding]:
    hours = values.size * log.step_h
    if hours < FLAT_FROM_H or values.min() != values.max():
        return []
    if log.peak(name)[np.isfinite(log.peak(name))].max() != values[0]:
        return []
    return [Finding("sensor_flat", "warning", {"hours": hours, "value_c": float(values[0])},
                    None, name)]


def _run_began(log: PumpLog, chosen: Flags) -> float:
    """When the newest run of chosen cells began [s since 1970]."""
    rows = np.flatnonzero(chosen)
    breaks = np.flatnonzero(np.diff(rows) > 1)
    return float(log.time_s[rows[breaks[-1] + 1] if breaks.size else rows[0]])
