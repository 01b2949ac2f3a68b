"""A cell's record from a file: layouts, units, signs, holes."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RequestError
from core.twin.record_file import Sign, read_record

HEADS = (
    "time,voltage,current,temperature", "Time [s],Current [A],Voltage [V],Temperature [degC]",
    "Test_Time(s),Voltage(V),Current(A)", "time/s;Ecell/V;I/mA", "t\tU\tI",
    "time_s,voltage_mv,current_ma,temperature_k", "Time [h],Current [A],Voltage [V]",
)
RECORDS = Path(__file__).parents[1] / "data" / "twin"
OHM = 0.05
SCALES = {"ma": 1000.0, "mv": 1000.0, "h": 1.0 / 3600.0, "k": 1.0}


def written(head: str, time_s: np.ndarray, current_a: np.ndarray, voltage_v: np.ndarray) -> str:
    """A file with that head; kelvin where the head says so."""
    delimiter = max(",;\t", key=head.count)
    columns = []
    for name in head.lower().replace("[", "_").replace("(", "_").replace("/", "_").split(delimiter):
        unit = name.strip("])").rpartition("_")[2]
        values = (time_s if name.startswith("t") and "emp" not in name else
                  np.full(time_s.size, 298.15 if unit == "k" else 25.0) if "emp" in name else
                  current_a if name.startswith(("c", "i")) else voltage_v)
        columns.append(values * SCALES.get(unit, 1.0))
    rows = [delimiter.join(f"{value:.9g}" for value in row) for row in zip(*columns, strict=True)]
    return "\n".join([head, *rows]) + "\n"


def pulses(points: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """time [s], current [A] with + discharging, voltage [V]."""
    time_s = np.arange(points, dtype=float) * 2.0
    current = np.where((np.arange(points) // 20) % 3 == 1, 2.0, -0.5)
    return time_s, current, 3.7 - OHM * current


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("turned", [1.0, -1.0])
def test_the_usual_layouts(head: str, turned: float) -> None:
    time_s, current, voltage = pulses()
    record = read_record(written(head, time_s, turned * current, voltage))
    assert record.step_s == pytest.approx(2.0)
    assert np.allclose(record.current_a, current, atol=1e-6)
    assert np.allclose(record.voltage_v, voltage, atol=1e-6)
    assert ("turned" in record.note) == (turned < 0)
    assert record.temperature_c is None or record.temperature_c == pytest.approx(25.0)


@pytest.mark.parametrize(("sign", "factor"), [("discharge_positive", 1.0),
                                              ("discharge_negative", -1.0)])
def test_a_sign_that_a_person_tells_is_believed(sign: Sign, factor: float) -> None:
    time_s, current, voltage = pulses()
    record = read_record(written(HEADS[0], time_s, current, voltage), sign=sign)
    assert np.allclose(record.current_a, factor * current)


@pytest.mark.parametrize("turned", [1.0, -1.0])
def test_the_sign_of_a_steady_current_is_told_by_the_charge(turned: float) -> None:
    time_s = np.arange(0.0, 1000.0, 10.0)
    record = read_record(written(HEADS[0], time_s, np.full(100, turned),
                                 3.9 - 4e-4 * time_s))
    assert np.allclose(record.current_a, 1.0)


def test_a_clock_that_went_back_in_a_file_is_told() -> None:
    time_s, current, voltage = pulses()
    assert read_record(written(HEADS[0], time_s, current, voltage)).note == ""
    time_s[100:] -= 10.0
    note = read_record(written(HEADS[0], time_s, current, voltage)).note
    assert note == ("its time goes back once, and the rows were put in order; 5 rows with the time "
                    "of another were left out")


@given(st.integers(30, 150), st.integers(20, 40))
@settings(max_examples=20, deadline=None)
def test_a_hole_stays_a_hole(first: int, length: int) -> None:
    time_s, current, voltage = pulses()
    keep = (np.arange(200) < first) | (np.arange(200) >= first + length)
    record = read_record(written(HEADS[0], time_s[keep], current[keep], voltage[keep]))
    missing = np.isnan(record.voltage_v)
    assert missing[first:first + length].all()
    assert not missing[:first].any()
    assert not missing[first + length + 1:].any()


def test_rows_out_of_order_and_twice() -> None:
    time_s, current, voltage = pulses()
    head, *rows = written(HEADS[0], time_s, current, voltage).strip().splitlines()
    record = read_record("\n".join([head, *reversed(rows), *rows[:50]]))
    assert np.allclose(record.voltage_v, voltage, atol=1e-6)


def test_moments_in_iso_8601_and_a_longer_grid() -> None:
    rows = [f"2026-03-01T00:{second // 60:02d}:{second % 60:02d},{3.7 - OHM * (second % 2)},"
            f"{second % 2}" for second in range(600)]
    record = read_record("\n".join(["timestamp,voltage,current", *rows]), step_s=10.0)
    assert record.current_a.size == 60
    assert record.step_s == 10.0


@pytest.mark.parametrize("name", ["nmc_wltp", "lfp_wltp"])
@pytest.mark.parametrize("turned", [False, True])
def test_real_drives_tell_their_sign(name: str, turned: bool) -> None:
    text = gzip.decompress((RECORDS / f"{name}.csv.gz").read_bytes()).decode()
    told = read_record(text, step_s=1.0, sign="discharge_negative" if turned else "auto")
    moved_ah = np.nansum(told.current_a) / 3600.0
    assert (moved_ah < 0) == turned
    assert told.voltage_v.size > 5000
    assert ("turned" in told.note) == turned


@pytest.mark.parametrize(("text", "words"), [
    ("", "no row names"), ("a,b,c\n1,2,3\n", "no row names"),
    ("time,voltage,current\n", "no times"), ("time,voltage,current\nx,1,1\n", "no times"),
    ("time,voltage,current\n" + "1,3.7,1\n" * 30, "rows with a time of their own"),
    ("time,voltage,current\n" + "".join(f"{k},,\n" for k in range(30)), "both a voltage"),
    ("time,voltage,current\n" + "".join(f"{k},400,{k % 2}\n" for k in range(30)), "no cell's"),
    ("time,voltage,current\n0,3.7,1\n" + "".join(f"{k}e6,3.7,1\n" for k in range(1, 30)),
     "longer step"),
])
def test_what_is_no_record_is_told(text: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_record(text, step_s=1.0)


# -- what the usual spreadsheets make of numbers

EUROPEAN = "time [s];voltage [V];current [A]"


def spelt(rows: Sequence[str], head: str = EUROPEAN, before: str = "") -> str:
    return before + "\n".join([head, *rows]) + "\n"


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("before", ["", "Made by a cycler, channel 3, day 1, cell 4, ok\n\n"])
def test_a_decimal_comma(delimiter: str, before: str) -> None:
    """More commas than delimiters, also before the head: whose own delimiter counts."""
    time_s, current, voltage = pulses()
    text = spelt([f"{at:.1f};{volts:.3f};{amps:.2f}".replace(".", ",")
                  for at, volts, amps in zip(time_s, voltage, current, strict=True)], before=before)
    record = read_record(text.replace(";", delimiter))
    assert np.allclose(record.current_a, current)
    assert np.allclose(record.voltage_v, voltage, atol=1e-3)
    assert record.step_s == 2.0


def test_a_decimal_comma_in_quotes_exponents_and_moments() -> None:
    rows = [f'"2026-03-01 00:00:{second:02d},500","3,{700 - second}","{second % 2},5E-01"'
            for second in range(60)]
    record = read_record(spelt(rows, "time,voltage,current"))
    assert record.voltage_v[:2] == pytest.approx([3.7, 3.699])
    assert record.current_a[:2] == pytest.approx([0.05, 0.15])


def test_voltages_of_three_digits_after_the_comma_tell_by_themselves() -> None:
    """3,700 V is 3.7 V or no cell's; as millivolts both may be meant."""
    rows = [f"{second};3,{700 - second};1,{500 + second % 2}" for second in range(60)]
    assert read_record(spelt(rows)).voltage_v[0] == pytest.approx(3.7)
    with pytest.raises(RequestError, match="between thousands"):
        read_record(spelt(rows, "time [s];voltage [mV];current [mA]"))


@pytest.mark.parametrize(("row", "words"), [
    ("{0},000;3.7;1.5", "with a comma .'1,000'. and with a point .'3.7'."),
    ("{0};3,7;1.234,5", "with a comma"), ("{0};3,7;1,234,567", "between thousands"),
])
def test_thousands_that_could_be_fractions_are_refused(row: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_record(spelt([row.format(second) for second in range(1, 60)]))


def test_a_decimal_comma_between_commas_is_refused() -> None:
    """And a comma at the end of each row is none."""
    rows = [f"{second},0,3,{700 - second},1,5" for second in range(60)]
    with pytest.raises(RequestError, match="more columns than the head"):
        read_record(spelt(rows, "time,voltage,current"))
    rows = [f"{second},3.{700 - second},{second % 2}," for second in range(60)]
    assert read_record(spelt(rows, "time,voltage,current")).voltage_v[0] == pytest.approx(3.7)


@pytest.mark.parametrize(("head", "factor"), [("timestamp", 1000.0), ("timestamp [ms]", 1000.0),
                                              ("timestamp", 1.0), ("timestamp [s]", 1.0)])
def test_moments_since_1970_in_milliseconds(head: str, factor: float) -> None:
    time_s, current, voltage = pulses()
    rows = [f"{factor * (1.7e9 + at):.0f},{volts:.3f},{amps}"
            for at, volts, amps in zip(time_s, voltage, current, strict=True)]
    record = read_record(spelt(rows, f"{head},voltage,current"))
    assert record.step_s == 2.0
    assert np.allclose(record.current_a, current)
    assert ("milliseconds since 1970" in record.note) == (head == "timestamp" and factor > 1.0)


def test_a_time_that_is_no_moment_needs_a_unit() -> None:
    rows = [f"{1_700_000_000_000_000 + second * 1_000_000},3.{700 - second},{second % 2}"
            for second in range(60)]
    with pytest.raises(RequestError, match="in seconds"):
        read_record(spelt(rows, "time,voltage,current"))


@pytest.mark.parametrize(("unit", "told", "mean_c"), [
    (" [degF]", 77.0, 25.0), (" [F]", 50.0, 10.0), ("", 59.0, 59.0), (" [C]", 77.0, 77.0),
    ("", 298.15, 25.0), (" [K]", 298.15, 25.0), ("", 77.0, None), ("", 140.0, None)])
def test_a_temperature_that_is_no_cell_s_needs_a_unit(unit: str, told: float,
                                                      mean_c: float | None) -> None:
    text = spelt([f"{second},3.{700 - second},{second % 2},{told}" for second in range(60)],
                 f"time,voltage,current,temperature{unit}")
    if mean_c is None:
        with pytest.raises(RequestError, match="name the unit"):
            read_record(text)
    else:
        assert read_record(text).temperature_c == pytest.approx(mean_c)
