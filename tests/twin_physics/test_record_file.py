"""A cell's record from a file: layouts, units, signs, holes."""

from __future__ import annotations

import gzip
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
