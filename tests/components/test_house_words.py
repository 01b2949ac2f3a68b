"""The words of a house: title, tiles, strip; nothing missing is written as a number."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from components.house import flow, words
from components.house.words import Flows
from core.devices import DeviceTable
from core.engine import SourceStatus
from core.household import Household
from core.houses import houses_in
from core.ports import SourceInfo
from tests.core.house_site import COUNTER, INVERTER, frame_of

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOTHING = Flows(math.nan, math.nan, math.nan, math.nan)


def household(**told: float) -> Household:
    table = DeviceTable([[COUNTER, INVERTER]])
    (house,) = houses_in([], [], ["home"], "orrery.toml")
    said = {name: value for name, value in told.items() if name != "soc_pct"}
    frame = frame_of(table, [(NOW, {"home_inverter": said,
                                    "home_shunt": {"soc_pct": told.get("soc_pct", math.nan)}})],
                     NOW)
    return Household(house, table, frame)


def title(**told: float) -> str:
    return "".join(str(part) for part in words.title(household(**told)))


@pytest.mark.parametrize(("told", "sentence"), [
    ({"solar_power_kw": 4.9, "load_power_kw": 2.6, "grid_power_kw": 0.0,
      "battery_power_kw": -2.3}, "The house runs on solar, 2.30 kW into the battery"),
    ({"solar_power_kw": 2.0, "load_power_kw": 3.2, "grid_power_kw": 0.0,
      "battery_power_kw": 1.2}, "The house runs on solar, 1.20 kW from the battery"),
    ({"solar_power_kw": 0.0, "load_power_kw": 0.4, "grid_power_kw": 0.0,
      "battery_power_kw": 0.4}, "The house runs on the battery"),
    ({"solar_power_kw": 5.0, "load_power_kw": 1.0, "grid_power_kw": -4.0,
      "battery_power_kw": 0.0}, "The house runs on solar, 4.00 kW to the grid"),
    ({"solar_power_kw": 0.02, "load_power_kw": 0.9, "grid_power_kw": 0.9,
      "battery_power_kw": 0.03}, "The house runs on the grid"),
    ({"soc_pct": 83.0, "battery_power_kw": 0.0}, "Battery at 83 %, idle"),
    ({"soc_pct": 0.0, "battery_power_kw": -3.0}, "Battery at 0 %, 3.00 kW charging"),
    ({"soc_pct": 50.0}, "Battery at 50 %"),
    ({}, "No reading of this house"),
])
def test_the_title_is_the_answer(told: dict[str, float], sentence: str) -> None:
    assert title(**told) == sentence


@pytest.mark.parametrize(("kw", "word"), [
    (0.0, "idle"), (0.05, "idle"), (-0.05, "idle"), (0.06, "importing"), (-0.06, "exporting"),
    (math.nan, "no data")])
def test_the_dead_band_of_the_grid_is_50_w(kw: float, word: str) -> None:
    assert words.grid_word(kw) == word


@pytest.mark.parametrize(("volts", "word", "check"), [
    (54.09, "normal, 52.0 to 58.0 V", False), (51.4, "check: below 52.0 V", True),
    (58.3, "check: above 58.0 V", True), (math.nan, "no reading", False)])
def test_voltage_is_normal_or_to_be_checked(volts: float, word: str, check: bool) -> None:
    assert words.voltage_word(volts, 48.0, "LFP") == words.Judged(word, check)


@pytest.mark.parametrize(("celsius", "word"), [
    (14.9, "cold"), (15.0, "optimal"), (30.0, "optimal"), (30.1, "hot"),
    (math.nan, "no reading")])
def test_temperature_words(celsius: float, word: str) -> None:
    assert words.temperature_word(celsius).word == word


def test_both_temperatures_and_the_weight_of_a_load() -> None:
    assert words.fahrenheit(25.9) == "78.6 °F"
    assert words.load_word(0.0595, 10.0) == "light"
    assert words.load_word(-2.1, 10.0) == "heavy"
    assert words.load_word(0.0, 10.0) == "idle"
    assert words.load_word(math.nan, 10.0) == "no reading"


def status(state: str, since_s: float = 840.0, stale_after_s: float = 60.0,
           period_s: float = 1.0) -> SourceStatus:
    info = SourceInfo("solark", "Sol-Ark", "live", period_s, stale_after_s, "discharge")
    return SourceStatus(info, state, NOW - timedelta(seconds=since_s))  # type: ignore[arg-type]


@pytest.mark.parametrize(("found", "age_s", "text"), [
    (status("live"), 2.0, "Sol-Ark: live, 2 s old"),
    (status("live", stale_after_s=450, period_s=180), 90.0,
     "Sol-Ark: live, 1 min old, asked every 3 min"),
    (status("live"), 840.0, "Sol-Ark: stale since Sat 21 Nov 11:46, 14 min old"),
    (status("lost"), 840.0, "Sol-Ark: lost since Sat 21 Nov 11:46, 14 min old"),
    (status("lost"), math.nan, "Sol-Ark: lost since Sat 21 Nov 11:46"),
    (status("waiting", 5.0), math.nan, "Sol-Ark: no reading yet, 5 s"),
])
def test_the_strip_says_since_when(found: SourceStatus, age_s: float, text: str) -> None:
    assert text in words.strip("Sol-Ark", found, age_s, NOW, "UTC")


def test_the_picture_tells_its_flows_in_words_and_moves_by_the_dead_band_alone() -> None:
    picture = flow.picture(Flows(4.9, 2.6, 0.03, -2.3), 63.4)
    assert 'aria-label="Solar producing 4.90 kW, Grid idle 30 W, Home using 2.60 kW, ' \
           'Battery charging 2.30 kW"' in picture
    assert picture.count('class="ln ') == 4
    assert 'class="ln left off"' in picture
    assert 'class="ln bottom out"' in picture
    assert 'class="ln top in"' in picture


def test_the_picture_of_nothing_has_no_number() -> None:
    picture = flow.picture(NOTHING, math.nan)
    assert picture.count(" off") == 4
    assert not any(character.isdigit() for character in
                   picture.partition('aria-label="')[2].partition('"')[0])
