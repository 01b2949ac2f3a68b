"""A capacity out of two rests that lie further apart than a look reaches back, over restarts, with
an interval that holds the truth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from components.twin import words
from core.errors import GiveUpError
from core.twin.counting import (
    GOOD,
    MOST_RESTS,
    NO_COUNT,
    OFFSET_C,
    Count,
    KeptRest,
    Swing,
    carried,
)
from core.twin.interval import Interval
from core.twin.models import Floats
from core.twin.record import Record
from core.twin.trend import NO_TREND, Trend, packed, unpacked
from tests.twin.cells import LFP, NMC, live
from tests.twin.test_trend import study

AH, HELD = 100.0, 0.9
STEP_S, DAY_S = 60.0, 86_400.0
LOOK = int(6 * 3600 / STEP_S)
BEGAN_S = 1_700_000_000.0


def current_of_days(days: int, depth: float = 0.45) -> Floats:
    """Rest in the night, seven hours of charging, an hour's rest, six hours of discharging; the
    two rests are further apart than six hours. A trickle that is less than rest flows always."""
    hour = int(3600 / STEP_S)
    charge, discharge = (sign * depth * HELD * AH / hours * np.ones(hours * hour)
                         for sign, hours in ((-1.0, 7), (1.0, 6)))
    day = np.concatenate([np.zeros(9 * hour), charge, np.zeros(hour), discharge,
                          np.zeros(hour)])
    return np.tile(day, days)


def record_of(current_a: Floats, bias_a: float = 0.0, soc: float = 0.28, seed: int = 0) -> Record:
    """What its devices tell: the current with a sensor's bias."""
    made = live(NMC, HELD * AH, current_a, soc, step_s=STEP_S, noise_v=0.001, seed=seed).record
    return Record(made.time_s + BEGAN_S, current_a + bias_a, made.voltage_v)


def looked(record: Record, before: Count = NO_COUNT, every: int = 15,
           restart: int = -1) -> tuple[Count, dict[float, Swing]]:
    """As the desk looks: at six hours, each quarter of an hour. restart: what is kept crosses the
    store before the look at that row."""
    count, found = before, dict[float, Swing]()
    for end in range(LOOK, record.time_s.size + 1, every):
        if restart in range(end - every, end):
            count = unpacked(packed(Trend(count=count))).count
        count, swings = carried(count, record.part(slice(end - LOOK, end)), NMC, AH)
        found.update({swing.from_s: swing for swing in swings})
    return count, found


def test_a_day_with_a_long_charge_tells_a_capacity() -> None:
    """No window of six hours holds two of its rests."""
    record = record_of(current_of_days(2))
    alone = [swing for end in range(LOOK, record.time_s.size, 60) for swing in carried(
        NO_COUNT, record.part(slice(end - LOOK, end)), NMC, AH)[1]]
    assert alone == []
    _, found = looked(record)
    assert len(found) == 4
    for swing in found.values():
        assert swing.capacity_ah.low < HELD * AH < swing.capacity_ah.high
        assert swing.capacity_ah.sigma < GOOD * AH
        assert swing.to_s - swing.from_s > 6 * 3600


def test_a_restart_changes_nothing() -> None:
    record = record_of(current_of_days(1))
    assert looked(record, restart=int(12 * 3600 / STEP_S)) == looked(record)


def test_its_interval_holds_the_truth_under_a_biased_current() -> None:
    """The bias is what is said of a sensor: one standard deviation, either sign."""
    inside = []
    for seed in range(20):
        bias_a = OFFSET_C * AH * float(np.random.default_rng(seed).normal())
        _, found = looked(record_of(current_of_days(1), bias_a, seed=seed), every=60)
        inside += [one.capacity_ah.low <= HELD * AH <= one.capacity_ah.high
                   for one in found.values()]
    assert len(inside) == 40
    assert np.mean(inside) >= 0.9


def two_rests(days_apart: float) -> Record:
    """Discharged by 0.5 in between, slowly enough to be no rest."""
    rest = np.zeros(int(3600 / STEP_S))
    rows = int(days_apart * DAY_S / STEP_S)
    slow = np.full(rows, 0.5 * HELD * AH / (days_apart * 24.0))
    lively = slow + 5.0 * np.where(np.arange(rows) // 10 % 2, 1.0, -1.0)
    return record_of(np.concatenate([rest, lively, rest, np.full(60, 20.0)]), soc=0.85)


def test_rests_days_apart_tell_it_with_a_wider_interval() -> None:
    sigmas = []
    for days in (1.0, 3.0):
        _, found = looked(two_rests(days), every=120)
        (swing,) = found.values()
        assert swing.capacity_ah.low < HELD * AH < swing.capacity_ah.high
        sigmas.append(swing.capacity_ah.sigma)
    assert sigmas[1] > 1.5 * sigmas[0]


def test_a_rest_whose_count_is_too_old_is_forgotten() -> None:
    count, found = looked(two_rests(6.0), every=240)
    assert found == {}
    assert all(rest.soc < 0.5 for rest in count.rests), "the newest alone"


def test_what_may_have_flowed_unseen_widens_and_then_ends_it() -> None:
    record = record_of(current_of_days(1))
    charging = int(12 * 3600 / STEP_S)

    def torn(minutes: int) -> Interval | None:
        """Of the charge that it tears."""
        keep = np.ones(record.time_s.size, np.bool_)
        keep[charging:charging + minutes] = False
        found = looked(Record(*(column[keep] for column in (
            record.time_s, record.current_a, record.voltage_v))))[1]
        return next((swing.capacity_ah for swing in found.values()
                     if swing.from_s < BEGAN_S + 12 * 3600), None)

    whole, short = torn(1), torn(10)
    assert whole is not None
    assert short is not None
    assert short.sigma > 1.3 * whole.sigma
    assert short.low < HELD * AH < short.high
    assert torn(90) is None


def test_one_long_record_tells_what_the_looks_tell() -> None:
    record = record_of(current_of_days(2))
    _, whole = carried(NO_COUNT, record, NMC, AH)
    _, found = looked(record)
    assert [swing.from_s for swing in whole] == list(found)
    for one in whole:
        assert one.capacity_ah.value == pytest.approx(found[one.from_s].capacity_ah.value, rel=0.02)


def test_a_flat_curve_keeps_no_rest() -> None:
    current = current_of_days(1, depth=0.3)
    made = live(LFP, AH, current, 0.4, step_s=STEP_S).record
    count, swings = carried(NO_COUNT, made, LFP, AH)
    assert (count.rests, swings) == ((), [])


def test_a_clock_that_jumped_does_not_stop_the_count() -> None:
    record = record_of(current_of_days(1))
    ahead = replace(NO_COUNT, until_s=BEGAN_S + 400 * DAY_S)
    assert carried(ahead, record, NMC, AH) == carried(NO_COUNT, record, NMC, AH)
    once, _ = carried(NO_COUNT, record, NMC, AH)
    assert carried(once, record.part(slice(0, 500)), NMC, AH) == (once, [])
    blind = Record(record.time_s, np.full(record.time_s.size, math.nan), record.voltage_v)
    assert carried(once, blind, NMC, AH) == (once, [])


def test_what_is_kept_is_bounded_and_damage_is_found() -> None:
    rest = np.zeros(20)
    wave = np.concatenate([np.concatenate([rest, np.full(12, sign * 20.0)])
                           for sign in (1.0, -1.0)])
    count, _ = carried(NO_COUNT, record_of(np.tile(wave, 40), soc=0.6), NMC, AH)
    assert len(count.rests) == MOST_RESTS
    assert unpacked(packed(Trend(count=count))).count == count
    with pytest.raises(GiveUpError, match="damaged"):
        unpacked(packed(Trend(count=replace(count, used_ah=math.nan))))


def test_the_page_says_which_rest_would_tell_it() -> None:
    assert words.no_capacity(None) == "no charge between two rests that tell a charge, yet"
    found = study(NMC, 0.0, NO_TREND, depth=0.05)
    rest = KeptRest(BEGAN_S, 0.251, 0.01, 0.0, 0.0)
    told = replace(found, trend=Trend(count=replace(NO_COUNT, rests=(rest,))))
    assert words.no_capacity(told).endswith(
        "; it rested at 25 %, and a rest 20 % away from there tells it")
