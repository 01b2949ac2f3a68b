"""Prices as files and servers tell them: what is read, what is refused, what is said to be odd."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.coordinator.outlook import priced
from core.coordinator.price_checks import MOST_PRICE
from core.coordinator.prices import (
    MOST_BYTES,
    PRESETS,
    PriceFormat,
    newest_first,
    read_csv,
    read_json,
)
from core.coordinator.problem import Outlook
from core.errors import RequestError
from core.tariff import prices
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.cases import band, site

PLAIN = PriceFormat()
STOCKHOLM = PriceFormat(time_zone="Europe/Stockholm")


HUGE = b"9" * 400
"""No float holds it."""


def day(date: str = "2026-03-02", hours: int = 24, price: float = 0.2) -> str:
    rows = [f"{date}T{hour:02d}:00,{price + 0.01 * hour:.3f}" for hour in range(hours)]
    return "\n".join(["time,price", *rows])


def at(series: object, when: datetime) -> tuple[float, float]:
    _, buy, sell = prices(series, when.timestamp(), when.timestamp() + 1)  # type: ignore[arg-type]
    return float(buy[0]), float(sell[0])


def test_a_csv_of_a_day() -> None:
    told = read_csv(day(), STOCKHOLM)
    assert len(told.series.time_s) == 24
    assert told.series.hold_s == 3600.0
    assert told.words == ()
    noon = datetime(2026, 3, 2, 12, 30, tzinfo=ZoneInfo("Europe/Stockholm"))
    assert at(told.series, noon) == (pytest.approx(0.32), pytest.approx(0.32))
    later = datetime(2026, 3, 3, 0, 0, 1, tzinfo=ZoneInfo("Europe/Stockholm"))
    assert math.isnan(at(told.series, later)[0]), "nobody knows it yet"


def test_semicolons_decimal_commas_a_mark_and_titles_of_ones_own() -> None:
    text = "\ufeff Tid ; Pris ; Sälj \r\n2026-03-02 00:00;0,25;-0,01\r\n2026-03-02 01:00;0,30;\r\n"
    told = read_csv(text, PriceFormat(time="Tid", price="Pris", export="Sälj"))
    assert told.series.import_per_kwh.tolist() == [0.25, 0.30]
    assert told.series.export_per_kwh.tolist() == [-0.01, 0.30], "import where none is told"


def test_what_comes_on_top() -> None:
    form = PriceFormat(unit="MWh", import_factor=1.25, import_added=0.10, export_factor=1.0,
                       export_added=-0.02)
    told = read_csv("time,price\n2026-03-02T00:00Z,80\n2026-03-02T00:15Z,-40", form)
    assert told.series.hold_s == 900.0
    assert told.series.import_per_kwh.tolist() == pytest.approx([0.20, 0.05])
    assert told.series.export_per_kwh.tolist() == pytest.approx([0.06, -0.06])


@pytest.mark.parametrize("unit_s", [1, 0.001])
def test_times_of_a_csv_may_be_numbers(unit_s: float) -> None:
    first = 1772406000
    rows = [f"{(first + 3600 * hour) / unit_s:.0f},0.2" for hour in range(3)]
    told = read_csv("\n".join(["time,price", *rows]), STOCKHOLM)
    assert told.series.time_s.tolist() == [first, first + 3600.0, first + 7200.0]
    told = read_csv(f"time,price\n {first}.0 ,0.2\n{first + 900}.0,0.2", STOCKHOLM)
    assert told.series.time_s.tolist() == [first, first + 900.0], "as spreadsheets write them"


@pytest.mark.parametrize(("name", "body"), [
    ("energy-charts", {"license_info": "", "unix_seconds": [1772406000, 1772409600],
                       "price": [80.0, None], "unit": "EUR / MWh", "deprecated": False}),
    ("awattar", {"object": "list", "url": "/at/v1/marketdata", "data": [
        {"start_timestamp": 1772406000000, "end_timestamp": 1772409600000, "marketprice": 80.0,
         "unit": "Eur/MWh"},
        {"start_timestamp": 1772409600000, "end_timestamp": 1772413200000, "marketprice": None,
         "unit": "Eur/MWh"}]})])
def test_servers_that_are_known_by_name(name: str, body: object) -> None:
    told = read_json(json.dumps(body), PRESETS[name])
    assert told.series.time_s.tolist() == [1772406000.0]
    assert told.series.import_per_kwh.tolist() == [0.08]
    assert told.series.hold_s == 3600.0
    assert told.words == ("1 of 2 prices are missing",)


def test_hours_of_a_changed_clock() -> None:
    """25 hours in autumn, of which one is written twice; 23 in spring."""
    hours = [*range(3), 2, *range(3, 24)]
    rows = [f"2026-10-25 {hour:02d}:00,{number}" for number, hour in enumerate(hours)]
    told = read_csv("\n".join(["time,price", *rows]), msgspec.structs.replace(
        STOCKHOLM, unit="ct/kWh"))
    assert np.diff(told.series.time_s).tolist() == [3600.0] * 24
    assert told.words == ()
    rows = [f"2026-03-29 {hour:02d}:00,1" for hour in range(24) if hour != 2]
    assert np.diff(read_csv("\n".join(["time,price", *rows]), STOCKHOLM).series.time_s
                   ).tolist() == [3600.0] * 22


def test_a_wrong_zone_is_found() -> None:
    """Times that no clock there shows, and whole days that do not begin at midnight."""
    with pytest.raises(RequestError, match="no clock in Europe/Stockholm.*time_zone"):
        read_csv(day("2026-03-29"), STOCKHOLM)
    told = read_csv(day(), PLAIN)
    assert told.words == ()
    rows = [f"2026-03-{1 + (hour + 23) // 24:02d}T{(hour + 23) % 24:02d}:00Z,0.2"
            for hour in range(24)]
    utc = read_csv("\n".join(["time,price", *rows]), PLAIN)
    assert "begin at 23:00 in UTC: see that time_zone" in utc.words[0]
    assert read_csv("\n".join(["time,price", *rows]), STOCKHOLM).words == ()
    with pytest.raises(RequestError, match="Mars"):
        read_csv(day(), PriceFormat(time_zone="Mars/Olympus"))


def test_missing_negative_and_odd_prices_are_said() -> None:
    lines = day().splitlines()
    lines[5] = lines[5].split(",")[0] + ","
    del lines[9:11]
    lines[12] = lines[12].split(",")[0] + ",-0.05"
    lines[15] = lines[15].split(",")[0] + ",25"
    told = read_csv("\n".join(lines), PLAIN)
    assert told.words == ("3 of 24 prices are missing",
                          "1 of 21 prices are negative: import is paid for",
                          "the price of 02 Mar 16:00 UTC is 20 times the others or more")
    gap = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    assert math.isnan(at(told.series, gap)[0]), "a gap is a gap"


@pytest.mark.parametrize("factor", [100.0, 1000.0])
def test_a_hundred_times_is_the_wrong_unit(factor: float) -> None:
    rows = [f"2026-03-02T{hour:02d}:00,{factor * 0.2}" for hour in range(24)]
    text = "\n".join(["time,price", *rows])
    with pytest.raises(RequestError, match="MWh or in cents.*most_per_kwh"):
        read_csv(text, PLAIN)
    assert read_csv(text, PriceFormat(most_per_kwh=300.0)).median == pytest.approx(factor * 0.2)


def test_new_prices_come_before_old_ones() -> None:
    old = read_csv(day("2026-03-02"), PLAIN)
    new = read_csv(day("2026-03-02", hours=12, price=0.5), PLAIN)
    both = newest_first(old, new).series
    assert both.import_per_kwh[[0, 11, 12]].tolist() == pytest.approx([0.5, 0.61, 0.32])
    assert (np.diff(both.time_s) == 3600.0).all()
    later = read_csv(day("2026-03-20"), PLAIN)
    assert newest_first(old, later).series.time_s[0] == later.series.time_s[0], "a week is kept"
    assert newest_first(None, new) is new
    quarters = replace(new, series=replace(new.series, hold_s=900.0))
    assert newest_first(old, quarters) is quarters


@pytest.mark.parametrize(("text", "says"), [
    ("", "no column 'time'; the columns are none"),
    ("when,price\n1,2", "no column 'time'; the columns are when, price"),
    ("time,price", "0 rows"),
    ("time,price\nyesterday,0.2", "Row 1.*'yesterday'.*2026-11-22T14:00"),
    ("time,price\n2026-03-02T00:00Z,cheap", "Row 1.*'cheap'.*a number"),
    ("time,price\n2026-03-02T00:00Z,nan", "Row 1.*'nan'"),
    ("time,price\n2026-03-02T00:00Z,1e999", "Row 1"),
    ("time,price\n2026-03-02T00:00Z,-1e300", "Row 1.*'-1e300'.*up to 1e"),
    ("time,price\n9999-12-31T23:59,1", "Row 1.*between 2000 and 2100"),
    ("time,price\n0001-01-01T00:00,1", "Row 1.*between 2000 and 2100"),
    ("time,price\n202603020000,0.2", "Row 1.*'202603020000'.*between 2000 and 2100"),
    ("time,price\n20260302123,0.2", "Row 1.*between 2000 and 2100"),
    ("time,price\n2026-03-02T00:00Z,", "None of the rows"),
    ("time,price\n1926-03-02T00:00Z,0.2", "between 2000 and 2100"),
    ("time,price\n2026-03-02T01:00Z,0.2\n2026-03-02T00:00Z,0.2", "Row 2.*sort the rows"),
    ("time,price\n2026-03-02T01:00Z,0.2\n2026-03-02T01:00Z,0.2", "Row 2.*each time once"),
    ("time,price\n2026-03-02T00:00Z,0.2\n2026-03-02T00:07Z,0.2", "every 7 minutes"),
    ("time,price\n2026-03-02T00:00Z", "None of the rows"),
    ('time,price\n"2026', "no CSV"),
    ("time,price\n" + 45_000 * "2026-03-02T00:00Z,0.2\n", "45000 rows"),
    ("x" * (MOST_BYTES + 1), "at most")])
def test_files_that_are_refused_say_what_to_do(text: str, says: str) -> None:
    for zone in ("UTC", "America/Los_Angeles", "Asia/Tokyo"):
        with pytest.raises(RequestError, match=says):
            read_csv(text, PriceFormat(time_zone=zone))


@pytest.mark.parametrize(("body", "says"), [
    (b"<html>", "no JSON"), (b"\xff\xfe", "no JSON"), (b"[" * 50_000, "no JSON"), (b"3", "neither"),
    (b"[1]", "Row 1"), (b'[{"time": 1}]', "Row 1"), (b"[]", "0 rows"),
    (b'{"time": 5, "price": [1]}', "no list 'time'; there are time, price"),
    (b'{"price": [1]}', "no list 'time'"), (b'{"time": [1, 2], "price": [1]}', "one length"),
    (b'[{"time": true, "price": 1}]', "the time 'True'"),
    (b'[{"time": 1772406000, "price": true}]', "'True'"),
    (b'[{"time": 1772406000, "price": {"a": 1}}]', "give a number"),
    (b'[{"time": [], "price": 1}]', "the time"), (b'[{"time": 1e300, "price": 1}]', "between"),
    (b'[{"time": 1772406000, "price": %s}]' % HUGE, "Row 1.*'9999.*a number"),
    (b'[{"time": 1772406000, "price": -%s}]' % HUGE, "Row 1.*a number"),
    (b'[{"time": %s, "price": 1}]' % HUGE, "Row 1.*between"),
    (b'[{"time": -%s, "price": 1}]' % HUGE, "Row 1.*between")])
def test_answers_that_are_refused_say_what_to_do(body: bytes, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        read_json(body, PLAIN)
    with pytest.raises(RequestError, match=r"under 'data'|no JSON"):
        read_json(body, PriceFormat(rows="data"))


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="time,price\n;0123456789-:TZ.+\"e ", max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    for told in (text, f"time,price\n{text}"):
        with suppress(RequestError):
            assert np.isfinite(read_csv(told, PLAIN).series.import_per_kwh).all()


def test_a_real_day_ahead_answer_is_read_and_planned_with() -> None:
    """18 July 2024 in Germany, sun at noon and a dear evening (tests/data/prices/README.md)."""
    answer = (Path(__file__).parents[1] / "data/prices/energy_charts_2024_07_18.json").read_text()
    told = read_json(answer, PRESETS["energy-charts"])
    assert (told.words, told.series.hold_s, len(told.series.time_s)) == ((), 3600.0, 29)
    start = datetime(2024, 7, 18, 2, tzinfo=UTC)
    buy, sell, words = priced(told.series, start, 144, 600.0)
    assert words == ()
    per_mwh = np.array(json.loads(answer)["price"][:24])
    assert 1000.0 * buy == pytest.approx(np.repeat(per_mwh, 6))
    assert per_mwh[16] == 227.6
    problem = site(4, 144, 1, step_h=1 / 6, energy_value=None)
    zero = band(np.zeros(144))
    problem = replace(problem, outlook=Outlook(start, 600.0, zero, zero, buy, sell))
    plan = MpcPlanner().plan(problem, start, 30.0)
    by_hour = plan.fleet_kw.reshape(24, 6).mean(axis=1)
    assert by_hour[16] > 0.9 * problem.packs.discharge_kw.sum(), "the dearest hour"
    assert by_hour[9] == by_hour[7:12].min() < -1.0, "the cheapest"
    wild = replace(problem.outlook, import_price=np.r_[MOST_PRICE, buy[1:]])
    assert MpcPlanner().plan(replace(problem, outlook=wild), start, 30.0).standing == "planned"
    bought, sold = (np.average(per_mwh, weights=way) for way in (
        by_hour.clip(max=0.0), by_hour.clip(min=0.0)))
    assert bought < 65.0 < 130.0 < sold
    assert plan.cost.total < 0.0
