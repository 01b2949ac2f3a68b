"""Two accounts of one battery's state of charge: how far apart, since when, which to trust."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.credibility import (
    MOVED_PCT,
    Change,
    Comparison,
    Trace,
    Verdict,
    change,
    compare,
    counted_soc,
    held_at,
    last_full_s,
    verdict,
)
from core.devices import Device
from core.ports import Series

GAP_FACTOR = 2.5
ALIGNED_PCT = 2.0
"""A smaller difference is alignment (the Energy Monitor's document)."""
VOLTS_FLOOR = 1.0
OF_A_COUNTER: dict[str, str] = {
    "never_synchronised": "an estimate that parts from the counter",
    "collapse": "an estimate that moves by more than what flowed"}
"""What a counter would be blamed for, in the words for an estimate, which does it by nature."""


@dataclass(frozen=True, slots=True)
class Account:
    """What one device tells of the battery. soc: % ; current: A, + discharging, of the same
    device or, where it has none, of the one that counts (`own_current` False)."""

    device: Device
    soc: Series
    current: Series
    own_current: bool
    stale_after_s: float


@dataclass(frozen=True, slots=True)
class Judged:
    """One account held against the ampere-hours. full_s: when it last said full, NaN = never
    within the window [s]."""

    account: Account
    change: Change
    full_s: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """difference: first minus second account, None where there is one alone. sentence: what
    to think; trusted: the device to believe, None where neither can be said."""

    judged: tuple[Judged, ...]
    difference: Comparison | None
    sentence: str
    trusted: Device | None


def current_of(power: Series, voltage: Series, max_age_s: float) -> Series:
    """The current that a power [kW] is at a voltage [V]: + as the power [A]."""
    volts = held_at(voltage.time_s, voltage.mean, power.time_s, max_age_s)
    amps = (power.mean * 1000 / np.where(volts > VOLTS_FLOOR, volts, np.nan)).astype(np.float32)
    return replace(power, minimum=amps, maximum=amps, mean=amps)


def trace_of(account: Account, capacity_ah: float) -> Trace:
    """SOC and current on the moments of the SOC. A mean SOC belongs to the middle of what it is
    the mean of; at its beginning, where the counting begins, it was half a step towards the one
    before. Without that a strong current looks like a step of the SOC."""
    soc = account.soc
    gap_s = GAP_FACTOR * max(soc.resolution_s, account.current.resolution_s)
    amps = held_at(account.current.time_s, account.current.mean, soc.time_s, gap_s)
    mean = soc.mean.astype(np.float64)
    begin = mean.copy()
    joined = np.diff(soc.time_s) <= gap_s
    begin[1:][joined] = (mean[1:][joined] + mean[:-1][joined]) / 2
    return Trace(soc.time_s, begin, amps, capacity_ah, gap_s,
                 account.stale_after_s + soc.resolution_s)


def judge(accounts: Sequence[Account], capacity_ah: float, now_s: float) -> Judgement:
    """At most the first two accounts, counted ones first. A capacity that is not known leaves
    each verdict unknown; the difference is told all the same."""
    accounts = accounts[:2]
    difference = _difference(accounts)
    judged = tuple(_judged(account, capacity_ah, now_s, _bias(difference, number))
                   for number, account in enumerate(accounts))
    trusted = _trusted(judged)
    return Judgement(judged, difference, _sentence(judged, difference, trusted), trusted)


def _difference(accounts: Sequence[Account]) -> Comparison | None:
    if len(accounts) < 2:
        return None
    first, second = (account.soc for account in accounts)
    if not first.time_s.size or not second.time_s.size:
        return None
    age_s = GAP_FACTOR * max(first.resolution_s, second.resolution_s)
    other = held_at(second.time_s, second.mean, first.time_s, age_s)
    return compare(first.time_s, first.mean, other)


def _bias(difference: Comparison | None, number: int) -> float:
    if difference is None:
        return math.nan
    return difference.bias_pct if number == 0 else -difference.bias_pct


def _judged(account: Account, capacity_ah: float, now_s: float, bias_pct: float) -> Judged:
    if not capacity_ah > 0:
        return Judged(account, Change(math.nan, math.nan), math.nan,
                      Verdict("unknown", "the battery's capacity is not configured"))
    trace = trace_of(account, capacity_ah)
    found = verdict(_since_full(trace), now_s, bias_pct)
    if account.device.soc_method == "estimated" and found.word in OF_A_COUNTER:
        found = replace(found, word="voltage_estimate", cause=OF_A_COUNTER[found.word])
    return Judged(account, change(trace), last_full_s(trace), found)


def _since_full(trace: Trace) -> Trace:
    """From the last full battery on, where a counter begins anew: what it was off by before is
    mended. The whole trace where that leaves too little to judge."""
    rows = trace.time_s >= last_full_s(trace)
    if not rows.any() or np.ptp(counted_soc(trace)[rows]) < MOVED_PCT:
        return trace
    return replace(trace, time_s=trace.time_s[rows], soc_pct=trace.soc_pct[rows],
                   current_a=trace.current_a[rows])


def _trusted(judged: Sequence[Judged]) -> Device | None:
    """Aligned before unknown before the rest; a counter before an estimate."""
    rank = {"aligned": 0, "unknown": 1, "never_synchronised": 2, "voltage_estimate": 3}
    usable = [one for one in judged if one.verdict.word in rank]
    best = min(usable, default=None, key=lambda one: (
        rank[one.verdict.word], one.account.device.soc_method != "counted"))
    return None if best is None else best.account.device


def _sentence(judged: Sequence[Judged], difference: Comparison | None,
              trusted: Device | None) -> str:
    if not judged:
        return "No source of this house tells a state of charge."
    believe = ("Believe neither until this is mended." if trusted is None
               else f"Believe {trusted.label}.")
    bad = [one for one in judged if one.verdict.word not in ("aligned", "unknown")]
    if bad:
        told = "; ".join(f"{one.account.device.label}: {one.verdict.cause}" for one in bad)
        return f"{told}. {believe}"
    if difference is None or math.isnan(difference.now_pct):
        return f"{judged[0].account.device.label}: {judged[0].verdict.cause}."
    apart = abs(difference.now_pct)
    if apart < ALIGNED_PCT:
        return f"The two agree within {apart:.1f} %."
    return f"They are {apart:.1f} % apart. {believe}"
