"""Numbers as a person reads them: golden texts and properties (law 4)."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import formats
from core.vocabulary import DIRECTIONS

NAN = float("nan")


@pytest.mark.parametrize(("kw", "words"), [
    (0.0, "0 W"), (-0.0, "0 W"), (0.0004, "0 W"), (-0.0004, "0 W"), (0.0595, "60 W"),
    (-0.0595, "−60 W"), (0.9994, "999 W"), (0.9996, "1.00 kW"), (1.2, "1.20 kW"),
    (9.994, "9.99 kW"), (9.996, "10.0 kW"), (56.44, "56.4 kW"), (99.96, "100 kW"),
    (-412.3, "−412 kW"), (999.4, "999 kW"), (999.6, "1.00 MW"), (1240.0, "1.24 MW"),
    (1_240_000.0, "1\u202f240 MW"), (NAN, "– kW"), (math.inf, "– kW"),
])
def test_power_reads_like_this(kw: float, words: str) -> None:
    assert str(formats.power(kw)) == words


@given(st.floats(-1e6, 1e6))
def test_power_says_what_it_was_given(kw: float) -> None:
    text = formats.power(kw)
    factor = {"W": 1e-3, "kW": 1.0, "MW": 1e3}[text.unit]
    read = float(text.number.replace("−", "-").replace("\u202f", "")) * factor
    assert math.isclose(read, kw, rel_tol=0.0051, abs_tol=0.0006)
    assert "-" not in text.number
    assert text.number not in ("−0", "−0.0", "−0.00")


@given(st.floats(0.001, 1e6))
def test_power_shows_three_figures_at_most_four(kw: float) -> None:
    text = formats.power(kw)
    digits = sum(sign.isdigit() for sign in text.number)
    assert digits == 3 or text.unit == "W" or kw >= 999_500


@pytest.mark.parametrize(("seconds", "words"), [
    (0, "0 s"), (2.9, "2 s"), (59.99, "59 s"), (60, "1 min"), (850, "14 min"), (3599, "59 min"),
    (3600, "1 h 00"), (11_100, "3 h 05"), (86_399, "23 h 59"), (86_400, "1 d"), (432_000, "5 d"),
    (-3, "0 s"), (NAN, "–"), (math.inf, "–"),
])
def test_age_reads_like_this(seconds: float, words: str) -> None:
    assert formats.age(seconds) == words


@pytest.mark.parametrize(("metric", "x", "decimals", "words"), [
    ("soc_pct", 0.0, 0, "0 %"), ("soc_pct", 58.25, None, "58.2 %"),
    ("voltage_v", 3.66, 3, "3.660 V"), ("voltage_v", 53.614, None, "53.61 V"),
    ("temperature_c", -4.06, None, "−4.1 °C"), ("power_kw", 1240, None, "1.24 MW"),
    ("current_a", NAN, None, "– A"),
])
def test_a_value_has_the_decimals_and_unit_of_its_metric(
        metric: str, x: float, decimals: int | None, words: str) -> None:
    assert str(formats.value(metric, x, decimals)) == words


def test_every_direction_has_word_icon_and_hue() -> None:
    for way in DIRECTIONS:
        assert formats.direction_word(way)
        assert formats.direction_icon(way)
        assert formats.direction_hue(way)


@pytest.mark.parametrize(("count", "words"), [
    (0, "no alarms"), (1, "1 alarm"), (2, "2 alarms"), (1500, "1\u202f500 alarms")])
def test_counted(count: int, words: str) -> None:
    assert formats.counted(count, "alarm") == words


def test_local_time_is_the_viewers() -> None:
    moment = datetime(2026, 11, 21, 2, 41, 7, tzinfo=UTC)
    assert formats.local_time(moment, "Europe/Berlin") == "Sat 21 Nov 03:41"
    assert formats.local_time(moment, "America/New_York", seconds=True) == "Fri 20 Nov 21:41:07"
    assert formats.local_time(moment, "../../etc/passwd") == "Sat 21 Nov 02:41"
    assert formats.local_time(moment, None) == "Sat 21 Nov 02:41"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="law 3"):
        formats.local_time(datetime(2026, 11, 21))  # noqa: DTZ001
