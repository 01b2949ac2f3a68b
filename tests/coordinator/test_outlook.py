"""What lies ahead of a site, and what is said where something of it is missing or odd."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.clock import ManualClock
from core.coordinator.forecasts import Past, Persistence
from core.coordinator.meter import LOAD, PV, Metered, NoMeter, on_grid
from core.coordinator.outlook import Memory, expected, priced
from core.coordinator.records import Minute
from core.coordinator.scoring import scored
from core.errors import RequestError
from core.ports import Series
from core.tariff import FlatTariff, Period, PriceSeries, TimeOfUseTariff
from tests.coordinator.fleet import HOUR_S, NOON, MeterOfTest, load_at

STEP_S, DAY = 600.0, 144
FLAT = FlatTariff(0.3, 0.1)


def series(hours: int, first: float = 0.0, **changes: float) -> PriceSeries:
    time_s = NOON.timestamp() + HOUR_S * (np.arange(hours) + first)
    buy = np.full(hours, 0.2)
    for place, value in changes.items():
        buy[int(place.removeprefix("at"))] = value
    return PriceSeries(time_s, buy, 0.5 * buy, HOUR_S)


def past_of(values: np.ndarray) -> Past:
    return Past(NOON - timedelta(seconds=STEP_S * len(values)), STEP_S, values)


def forecasters() -> dict[str, Persistence]:
    return {LOAD: Persistence(), PV: Persistence()}


def test_prices_are_means_of_each_step() -> None:
    periods = [Period(17, 21, frozenset(range(7)), FlatTariff(0.5, 0.0))]
    tariff = TimeOfUseTariff(ZoneInfo("UTC"), periods, FLAT)
    buy, sell, words = priced(tariff, NOON + timedelta(hours=4, minutes=30), 2, HOUR_S)
    assert buy == pytest.approx([0.4, 0.5])
    assert sell == pytest.approx([0.05, 0.0])
    assert words == ()


def test_negative_prices_are_prices_and_a_hundredfold_one_is_said() -> None:
    buy, _, words = priced(series(2, at1=-0.4), NOON, 2, HOUR_S)
    assert buy.tolist() == [0.2, -0.4]
    assert words == ()
    _, _, words = priced(series(2, at1=20.0), NOON, 2, HOUR_S)
    assert "20.00 a kWh is unusual" in words[0]


def test_missing_prices_are_those_of_the_day_before_and_it_is_said() -> None:
    buy, _, words = priced(series(30, -24.0, at3=0.9), NOON, 24, HOUR_S)
    assert buy[3] == pytest.approx(0.2), "known"
    assert buy[10] == pytest.approx(0.2)
    known = series(30, -24.0, at10=0.9)
    buy, _, words = priced(known, NOON, 24, HOUR_S)
    assert buy[10] == pytest.approx(0.9), "as it was a day before"
    assert words[0].startswith("prices are known until 01 Mar 18:00 UTC")


def test_no_price_at_all_is_a_refusal_that_says_what_to_do() -> None:
    with pytest.raises(RequestError, match="take in newer prices"):
        priced(series(5, -48.0), NOON, 24, HOUR_S)


def test_load_and_pv_are_told_from_their_past_and_begin_with_now() -> None:
    hours = (np.arange(7 * DAY) + 0.5) * STEP_S / HOUR_S
    past = {LOAD: past_of(load_at((hours + 12.0) % 24.0)), PV: past_of(np.zeros(7 * DAY))}
    told = expected(past, Metered(9.0, 0.0), forecasters(), FLAT, NOON, DAY, STEP_S)
    load = told.outlook.load_kw
    assert load.expected[0] == 9.0
    assert load.expected[1:] == pytest.approx(past[LOAD].values[-DAY + 1:])
    assert told.words == ()


def test_what_nobody_knows_stays_as_it_is_or_stops_the_plan() -> None:
    nothing = {LOAD: past_of(np.full(DAY, np.nan)), PV: past_of(np.full(DAY, np.nan))}
    told = expected(nothing, Metered(4.0, 1.0), forecasters(), FLAT, NOON, 6, STEP_S)
    assert told.outlook.net_kw.tolist() == [3.0] * 6
    assert told.outlook.load_kw.high.tolist() == [8.0] * 6
    assert "too little is known of the load's past" in told.words[0]
    with pytest.raises(RequestError, match="PV is not known"):
        expected(nothing, Metered(4.0), forecasters(), FLAT, NOON, 6, STEP_S)


def test_a_memory_asks_once_for_the_past_and_then_for_what_is_new() -> None:
    clock = ManualClock(NOON)
    meter = MeterOfTest(clock)
    memory = Memory(meter, STEP_S)
    first = memory.take([], NOON)
    assert len(first[LOAD].values) == 84 * DAY
    minute = Minute(NOON.timestamp() + 60.0, 77.0, *[float("nan")] * 8, 0, {})
    second = memory.take([minute], NOON + timedelta(seconds=STEP_S))
    assert meter.asked[1] == NOON, "one step alone"
    assert second[LOAD].values[-1] == 77.0, "what was heard counts before what is told"
    assert second[LOAD].values[-2] == pytest.approx(first[LOAD].values[-1])
    memory.take([], NOON + timedelta(seconds=STEP_S))
    assert len(meter.asked) == 2


def test_a_past_that_comes_later_is_asked_for_again() -> None:
    meter = MeterOfTest(ManualClock(NOON), broken=True)
    memory = Memory(meter, STEP_S)
    assert np.isnan(memory.take([], NOON)[LOAD].values).all()
    meter.broken = False
    assert np.isfinite(memory.take([], NOON)[LOAD].values).all()


def test_hours_of_history_fill_their_steps() -> None:
    mean = np.array([1.0, 3.0], np.float32)
    told = Series("meter", "load", NOON.timestamp() + np.array([0.0, HOUR_S]), mean, mean, mean,
                  HOUR_S)
    found = on_grid([told], NOON.timestamp(), 14, STEP_S)
    assert found[:12].tolist() == 6 * [1.0] + 6 * [3.0]
    assert np.isnan(found[12:]).all()
    assert np.isnan(on_grid([], NOON.timestamp(), 2, STEP_S)).all()


def test_packs_alone_use_and_make_nothing_else() -> None:
    meter = NoMeter()
    assert (meter.now().load_kw, meter.now().pv_kw, meter.prices()) == (0.0, 0.0, None)
    assert meter.past(NOON, 3, STEP_S)[LOAD].tolist() == [0.0, 0.0, 0.0]


def test_yesterday_s_forecast_is_scored_once() -> None:
    values = np.tile(np.arange(DAY, dtype=np.float64), 10)
    values[-DAY:] += 2.0
    past = {LOAD: past_of(values), PV: past_of(np.full(10 * DAY, np.nan))}
    (told,) = scored(past, forecasters(), NOON, [])
    assert (told.what, told.error, told.persistence_error, told.days) == ("load", 2.0, 2.0, 1)
    assert scored(past, forecasters(), NOON, [told]) == [], "told already, and PV is not known"
    tomorrow = {LOAD: Past(past[LOAD].start, STEP_S, np.concatenate([values, values[-DAY:]])),
                PV: past[PV]}
    (next_,) = scored(tomorrow, forecasters(), NOON + timedelta(days=1), [told])
    assert (next_.error, next_.days) == (1.0, 2), "a mean of both days"
