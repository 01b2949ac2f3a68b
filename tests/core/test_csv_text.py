from __future__ import annotations

import csv
import io
import math

import pytest

from core.csv_text import csv_text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"])
def test_a_formula_stays_text(start: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_text([[f"{start}cmd|'/c calc'!A0"]]), newline=""))
    assert row == [f"'{start}cmd|'/c calc'!A0"]


@pytest.mark.parametrize("told", ["x;=1+1", "x; =1+1", "x\t@SUM(1)", 'x;"=1+1', "x;;+1", "a;b;＝1"])
def test_no_formula_begins_where_another_country_separates_cells(told: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_text([[told]]), newline=""))
    for cell in (part for by in (";", "\t") for part in row[0].split(by)):
        assert not cell.strip(' "').startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert row[0].replace("'", "") == told


def test_numbers_keep_their_sign_and_missing_is_empty() -> None:
    assert csv_text([["a; b = c"]]) == "a; b = c\r\n"
    assert csv_text([["a, \"b\"", -1.5, 0.0, math.nan, None]]) == '"a, ""b""",-1.5,0.0,,\r\n'
