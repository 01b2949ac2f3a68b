"""What lies ahead of a site, and what is said where something of it is missing or odd."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from core.clock import ManualClock
from core.coordinator.forecasts import Past, Persistence
from core.coordinator.meter import LOAD, PV, Metered, NoMeter, on_grid
from core.coordinator.outlook import (
    BUY,
    LEAST_PRICE_DAYS,
    SELL,
    UTC,
    Memory,
    expected,
    priced,
    prices_ahead,
)
from core.coordinator.problem import Band, Outlook
from core.coordinator.records import Minute
from core.coordinator.scoring import scored
from core.coordinator.view import ForecastScore
from core.errors import RequestError
from core.ports import Series
from core.tariff import FlatTariff, Period, PriceSeries, TimeOfUseTariff
from store.records.packed import packed, unpacked
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
    buy, sell, words = priced(series(2, at1=-0.4), NOON, 2, HOUR_S)
    assert buy.tolist() == [0.2, -0.4]
    assert sell.tolist() == [0.1, -0.2]
    assert words == (), "export costs less than import brings, in that hour alone"
    _, _, words = priced(series(2, at1=20.0), NOON, 2, HOUR_S)
    assert words == ("a price of 20.00 a kWh is unusual; see that its unit is kWh, not MWh",)
    _, _, words = priced(FlatTariff(0.20, 80.0), NOON, 2, HOUR_S)
    assert words == ("an export price of 80.00 a kWh is unusual; see that its unit is kWh, not MWh",
                     "export is mostly paid more than import costs: some contracts are so, else "
                     "see which price is which")


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_price_that_no_solver_plans_with_is_none(sign: float) -> None:
    """As prices that were kept before they were checked, or those of another source."""
    buy, sell, words = priced(series(48, -24.0, at30=1e300 * sign), NOON, 24, HOUR_S)
    assert buy.tolist() == [0.2] * 24, "as a day before"
    assert sell.tolist() == [0.1] * 24
    assert words[0] == f"a price of {sign:.0f}e+300 a kWh is not believed, and taken as not known"
    with pytest.raises(RequestError, match="not believed.*No price is known"):
        priced(FlatTariff(0.2, 1e300), NOON, 24, HOUR_S)


@pytest.mark.parametrize(("factor", "says"), [
    (100.0, "are 20 times those of the week before"), (0.001, "are 1/20 of those"), (5.0, "")])
def test_prices_in_another_unit_are_said_by_the_week_before(factor: float, says: str) -> None:
    """After a restart nobody else remembers them; the last day is told anew with the prices."""
    past = {name: past_of(np.concatenate([np.full(13 * DAY, price), np.full(DAY, factor * price)]))
            for name, price in ((BUY, 0.2), (SELL, 0.1))}
    for buy, sell, kind in ((factor * 0.2, 0.1, "prices"), (0.2, factor * 0.1, "export prices")):
        told = prices_ahead(FlatTariff(buy, sell), NOON, DAY, STEP_S, past)
        assert any(word.startswith(f"{kind} ahead {says}") for word in told.words) == bool(says)
    night = {name: past_of(np.full(DAY, np.nan)) for name in (BUY, SELL)}
    assert prices_ahead(FLAT, NOON, DAY, STEP_S, night).words == ()


def test_missing_prices_are_those_of_the_day_before_and_it_is_said() -> None:
    buy, _, words = priced(series(30, -24.0, at3=0.9), NOON, 24, HOUR_S)
    assert buy[3] == pytest.approx(0.2), "known"
    assert buy[10] == pytest.approx(0.2)
    known = series(30, -24.0, at10=0.9)
    buy, _, words = priced(known, NOON, 24, HOUR_S)
    assert buy[10] == pytest.approx(0.9), "as it was a day before"
    assert words[0].startswith("prices are known until 01 Mar 18:00 UTC")


def week_prices(days: int, until_h: int = 0) -> np.ndarray:
    """By hours, up to so long after NOON, a Sunday: dear on working days, and a cent up and down
    by weeks."""
    hours = np.arange(-24 * days, until_h) + 12.0 + 6 * 24.0  # of the week, from Monday
    dear = np.where(hours % 168 < 120, 0.4, 0.2)
    found: np.ndarray = dear + np.where(hours // 168 % 2 == 0, 0.01, -0.01)
    return found


def prices_of(days: int) -> dict[str, Past]:
    buy = np.repeat(week_prices(days), 6)
    return {BUY: past_of(buy), SELL: past_of(0.5 * buy)}


def test_missing_prices_are_foretold_by_the_hour_of_the_week_with_a_band() -> None:
    """Known until Sunday evening; Monday is dear, which the day before does not tell."""
    known = series(30, -18.0)
    told = prices_ahead(known, NOON, DAY, STEP_S, prices_of(28))
    assert told.buy[:72] == pytest.approx(0.2)
    assert told.buy[72:] == pytest.approx(0.4, abs=1e-9)
    assert told.sell[72:] == pytest.approx(0.2, abs=1e-9)
    assert told.band is not None
    assert told.band.expected.tolist() == told.buy.tolist()
    assert (told.band.high[:72] == told.band.low[:72]).all(), "what is known is sure"
    wide = (told.band.high - told.band.low)[72:]
    assert wide.min() > 0.02, "a cent up and down, and each week is not in its own mean"
    assert wide.max() < 0.04
    assert told.words == ("prices are known until 02 Mar 00:00 UTC: what lacks is foretold by the "
                          "hour of the week",)


@pytest.mark.parametrize("past", [
    {}, prices_of(LEAST_PRICE_DAYS - 1), {BUY: prices_of(28)[BUY]},
    {BUY: past_of(np.full(28 * DAY, np.nan)), SELL: past_of(np.full(28 * DAY, np.nan))}])
def test_too_short_a_past_foretells_no_price(past: dict[str, Past]) -> None:
    told = prices_ahead(series(30, -18.0), NOON, DAY, STEP_S, past)
    assert told.band is None
    assert told.buy[72:] == pytest.approx(0.2)
    assert "the same hour of the day before" in told.words[0]


def test_what_is_known_is_not_foretold() -> None:
    told = prices_ahead(FLAT, NOON, DAY, STEP_S, prices_of(28))
    assert (told.band, told.words) == (None, ())
    assert told.buy.tolist() == [0.3] * DAY


def test_a_run_of_before_opens_and_a_band_of_prices_is_kept() -> None:
    load = np.ones(2)
    band = Band(load, 0.5 * load, 2.0 * load)
    outlook = Outlook(NOON, STEP_S, band, band, load, load, band)
    again = unpacked(Outlook, packed(outlook), "runs")
    assert again.import_band is not None
    assert again.import_band.high.tolist() == [2.0, 2.0]
    plain = msgspec.msgpack.decode(packed(outlook))
    del plain["import_band"]
    assert unpacked(Outlook, msgspec.msgpack.encode(plain), "runs").import_band is None


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


def test_what_nobody_knows_goes_on_from_now_or_stops_the_plan() -> None:
    nothing = {LOAD: past_of(np.full(DAY, np.nan)), PV: past_of(np.full(DAY, np.nan))}
    told = expected(nothing, Metered(4.0, 1.0), forecasters(), FLAT, NOON, DAY, STEP_S)
    load, pv = told.outlook.load_kw, told.outlook.pv_kw
    assert load.expected.tolist() == [4.0] * DAY
    assert load.high.tolist() == [4.0] + [8.0] * (DAY - 1)
    assert pv.expected[[0, 18, 36, 108]] == pytest.approx([1.0, 0.6925, 0.0, 0.0218], abs=1e-3)
    assert not pv.expected[36:108].any(), "the sun does not shine all night"
    assert pv.expected[-1] == pytest.approx(1.0, abs=1e-3), "and tomorrow as today"
    assert "too little is known of the load's past: it is taken to stay" in told.words[0]
    assert "PV's past: it is taken to rise and set" in told.words[1]
    with pytest.raises(RequestError, match="PV is not known"):
        expected(nothing, Metered(4.0), forecasters(), FLAT, NOON, 6, STEP_S)


def test_a_morning_s_sun_is_not_taken_for_a_hundredth_of_the_noon_s() -> None:
    nothing = {LOAD: past_of(np.full(DAY, np.nan)), PV: past_of(np.full(DAY, np.nan))}
    dawn = NOON.replace(hour=6)
    told = expected(nothing, Metered(4.0, 1.0), forecasters(), FLAT, dawn, DAY, STEP_S)
    assert told.outlook.pv_kw.expected[0] == 1.0
    assert told.outlook.pv_kw.expected.max() == pytest.approx(5.0, abs=1e-2)
    stockholm = ZoneInfo("Europe/Stockholm")
    told = expected(nothing, Metered(4.0, 1.0), forecasters(), FLAT, dawn, DAY, STEP_S, stockholm)
    assert int(told.outlook.pv_kw.expected.argmax()) in (29, 30), "eleven of UTC is their noon"


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
    (told,) = scored(past, forecasters(), NOON, [], UTC)
    assert (told.what, told.error, told.persistence_error, told.days) == ("load", 2.0, 2.0, 1)
    assert scored(past, forecasters(), NOON, [told], UTC) == [], "told already, and PV is not known"
    tomorrow = {LOAD: Past(past[LOAD].start, STEP_S, np.concatenate([values, values[-DAY:]])),
                PV: past[PV]}
    assert told.hour_of_week_error == pytest.approx(13 / 6), "it tells means of hours"
    (next_,) = scored(tomorrow, forecasters(), NOON + timedelta(days=1), [told], UTC)
    assert (next_.error, next_.days) == (1.0, 2), "a mean of both days"


def test_a_price_is_scored_by_the_hour_of_the_week_beside_persistence() -> None:
    """Monday comes dear, which Sunday did not tell."""
    values, tuesday = np.repeat(week_prices(28, 36), 6), NOON + timedelta(hours=36)
    past = {BUY: Past(NOON - timedelta(days=28), STEP_S, values)}
    told = scored(past, {}, tuesday, [], UTC)
    (one,) = told
    assert (one.what, one.method, one.unit) == ("price", "hour of the week", "a kWh")
    assert one.error == one.hour_of_week_error
    assert one.error == pytest.approx(0.01, abs=1e-6), "a cent up or down"
    assert one.persistence_error == pytest.approx(0.2, abs=0.03)
    assert one.covered_pct == 100.0
    short = Past(tuesday - timedelta(days=14), STEP_S, values[-LEAST_PRICE_DAYS * DAY:])
    assert scored({BUY: short}, {}, tuesday, [], UTC) == [], "13 days foretell no price"
    assert scored(past, {}, tuesday, told, UTC) == []


def test_a_score_of_before_begins_anew_so_that_all_are_of_the_same_days() -> None:
    values = np.tile(np.arange(DAY, dtype=np.float64), 10)
    past = {LOAD: past_of(values), PV: past_of(np.full(10 * DAY, np.nan))}
    old = ForecastScore("load", "persistence", 9.0, 9.0, 50.0, "kW", 20, NOON - timedelta(days=1))
    (told,) = scored(past, forecasters(), NOON, [old], UTC)
    assert (told.days, told.error) == (1, 0.0)
    assert told.hour_of_week_error
