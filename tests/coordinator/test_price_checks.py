"""Sizes of prices, of import and export alike: what is refused, what is said, what is believed."""

from __future__ import annotations

import numpy as np
import pytest

from core.coordinator.price_belief import jumped
from core.coordinator.prices import PriceFormat, Prices, read_csv
from core.errors import RequestError

OWN = PriceFormat(export="export")


def rows(buy: list[float], sell: list[float], form: PriceFormat = OWN, date: int = 2) -> Prices:
    lines = [f"2026-03-{date:02d}T{hour:02d}:00,{one},{other}"
             for hour, (one, other) in enumerate(zip(buy, sell, strict=True))]
    return read_csv("\n".join(["time,price,export", *lines]), form)


def flat(buy: float, sell: float, form: PriceFormat = OWN, date: int = 2) -> Prices:
    return rows([buy] * 24, [sell] * 24, form, date)


def test_ordinary_prices_of_both_are_not_spoken_of() -> None:
    assert flat(0.30, 0.08).words == ()
    assert flat(0.30, 0.30).words == (), "paid alike is not paid more"
    assert flat(0.30, 0.0).words == (), "nothing is paid for export"


def test_export_in_another_unit_is_refused() -> None:
    with pytest.raises(RequestError, match="median export price of 80 a kWh.*MWh or in cents"):
        flat(0.20, 80.0)
    with pytest.raises(RequestError, match="median price of 200 a kWh"):
        flat(200.0, 0.08)


@pytest.mark.parametrize("spike", [61.0, -61.0, 5_000.0, 1e9])
def test_no_single_price_is_believed_beyond_sixty(spike: float) -> None:
    spiky, plain = [*[0.2] * 5, spike, *[0.2] * 18], [0.2] * 24
    with pytest.raises(RequestError, match="The price of 02 Mar 05:00 UTC is .* more than 60"):
        rows(spiky, plain)
    with pytest.raises(RequestError, match="The export price of 02 Mar 05:00 UTC"):
        rows(plain, spiky)
    if abs(spike) < 100.0:
        dear = PriceFormat(export="export", most_per_kwh=5.0)
        assert spike in rows(spiky, plain, dear).series.import_per_kwh, "where that is allowed"


def test_what_is_odd_of_export_is_said() -> None:
    sell = [-0.01, 0.90, *[0.04] * 22]
    assert rows([0.30] * 24, sell).words == (
        "1 of 24 export prices are negative: export costs",
        "the export price of 02 Mar 01:00 UTC is 20 times the others or more",
        "1 of 24 export prices are above those of import: some contracts are so, else see which "
        "price is which")
    assert flat(0.08, 0.30).words[0].startswith("24 of 24 export prices are above")
    one = PriceFormat()
    assert rows([-0.01, 9.0, *[0.04] * 22], [0.0] * 24, one).words == (
        "1 of 24 prices are negative: import is paid for",
        "the price of 02 Mar 01:00 UTC is 20 times the others or more"), "alike is said once"


def test_a_unit_that_changes_from_day_to_day_is_found() -> None:
    form = PriceFormat(export="export", most_per_kwh=1000.0)
    day, next_day = flat(0.25, 0.08, form), flat(0.28, 0.07, form, date=3)
    for before, after in ((day, next_day), (next_day, day), (day, day)):
        assert jumped(before, after, form) == ""
    for buy, sell, what in ((25.0, 0.08, "prices"), (0.25, 8.0, "export prices"),
                            (0.00025, 0.08, "prices"), (0.25, 0.00008, "export prices")):
        for date in (2, 3):
            wrong = flat(buy, sell, form, date)
            told = jumped(day, wrong, form)
            assert told.startswith(f"{what} ")
            assert ("of the same hours" in told) == (date == 2)
            assert "`unit`" in told


def test_a_unit_shows_through_what_comes_on_top() -> None:
    form = PriceFormat(import_added=0.20, export_factor=0.0, export_added=0.08)
    plain, cheap = flat(0.1, 0.0, form), flat(0.0001, 0.0, form)
    assert np.ptp([plain.median, cheap.median]) < 0.2
    assert "`unit`" in jumped(plain, cheap, form)
    assert jumped(plain, plain, form) == ""


@pytest.mark.parametrize(("before", "after"), [(0.004, 0.12), (0.12, 0.004), (0.0, 0.3)])
def test_weather_changes_other_hours_and_never_the_same_ones(before: float, after: float) -> None:
    assert jumped(flat(before, 0.0), flat(after, 0.0, date=3), OWN) == ""
    assert "`unit`" in jumped(flat(before, 0.0), flat(after, 0.0), OWN)
    told = rows([before] * 12, [0.0] * 12)
    both = rows([*[before] * 12, *[after] * 12], [0.0] * 24)
    assert jumped(told, both, OWN) == "", "the hours after those are other hours"
