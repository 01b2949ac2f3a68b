"""The grammar of filters, held against Python's own evaluation of the same expressions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.filter import COLUMNS, DEEPEST, LONGEST, FilterError, TextColumn, parse

WORDS = ("temperature", "soc", "power", "voltage")
LEVELS = ("cell", "rack")
LITERALS = (0, 1, 2.5, 30, 45, -3)
VALUES = st.one_of(st.sampled_from([*map(float, LITERALS), math.nan]), st.floats(-100, 100))


class Rows:
    """n elements: numbers by column, names and ids as texts, levels by code."""

    def __init__(self, size: int, **numbers: list[float]) -> None:
        self.size = size
        self._numbers = {name: np.array(values, np.float32) for name, values in numbers.items()}
        self.names = [f"cell {i}" for i in range(size)]

    def number(self, column: str) -> np.ndarray:
        return self._numbers.get(column, np.full(self.size, np.nan, np.float32))

    def text(self, column: str) -> TextColumn:
        if column in ("name", "id"):
            return TextColumn(self.names)
        return TextColumn(LEVELS, np.arange(self.size, dtype=np.int32) % 3 - 1)


def matching(text: str, rows: Rows, fahrenheit: bool = False) -> list[bool]:
    return parse(text, ("side",), fahrenheit).matches(rows).mask.tolist()


@dataclass(frozen=True)
class Sentence:
    """An expression as the grammar writes it and as Python evaluates it for one element; truths
    are True, False or None, numbers float32 or NaN."""

    text: str
    python: object

    def of(self, row: dict[str, np.float32]) -> object:
        return self.python(row)  # type: ignore[operator]


def _known(value: object) -> bool:
    return bool(np.isfinite(value))  # type: ignore[call-overload]


def _literal(value: float) -> Sentence:
    text = f"{value}" if value >= 0 else f"(-{-value})"
    return Sentence(text, lambda row: np.float32(value))


def _arithmetic(left: Sentence, sign: str, right: Sentence) -> Sentence:
    def python(row: dict[str, np.float32]) -> np.float32:
        a, b = left.of(row), right.of(row)
        with np.errstate(all="ignore"):
            if sign == "/":
                return np.float32(np.nan) if b == 0 else a / b  # type: ignore[operator]
            return {"+": a + b, "-": a - b, "*": a * b}[sign]  # type: ignore[operator]
    return Sentence(f"({left.text} {sign} {right.text})", python)


def _compare(left: Sentence, sign: str, right: Sentence) -> Sentence:
    def python(row: dict[str, np.float32]) -> bool | None:
        a, b = left.of(row), right.of(row)
        if not (_known(a) and _known(b)):
            return None
        return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b,  # type: ignore[operator]
                     "=": a == b, "!=": a != b}[sign])
    return Sentence(f"{left.text} {sign} {right.text}", python)


def _and(left: Sentence, right: Sentence) -> Sentence:
    def python(row: dict[str, np.float32]) -> bool | None:
        a, b = left.of(row), right.of(row)
        return False if a is False or b is False else (None if None in (a, b) else True)
    return Sentence(f"({left.text}) and ({right.text})", python)


def _or(left: Sentence, right: Sentence) -> Sentence:
    def python(row: dict[str, np.float32]) -> bool | None:
        a, b = left.of(row), right.of(row)
        return True if a is True or b is True else (None if None in (a, b) else False)
    return Sentence(f"({left.text} or {right.text})", python)


def _not(one: Sentence) -> Sentence:
    def python(row: dict[str, np.float32]) -> bool | None:
        inner = one.of(row)
        return None if inner is None else not inner
    return Sentence(f"not ({one.text})", python)


COLUMN = st.sampled_from(WORDS).map(
    lambda word: Sentence(word, lambda row: row[COLUMNS[word][0]]))
NUMBER = st.recursive(
    st.one_of(COLUMN, st.sampled_from(LITERALS).map(_literal)),
    lambda inner: st.builds(_arithmetic, inner, st.sampled_from("*/"), inner), max_leaves=4)
TRUTH = st.recursive(
    st.builds(_compare, NUMBER, st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
              st.sampled_from(LITERALS).map(_literal)),
    lambda inner: st.one_of(st.builds(_and, inner, inner), st.builds(_or, inner, inner),
                            inner.map(_not)), max_leaves=6)


@settings(max_examples=60)
@given(TRUTH, st.lists(st.tuples(*[VALUES] * len(WORDS)), min_size=1, max_size=6))
def test_a_filter_matches_what_python_evaluates(sentence: Sentence,
                                                elements: list[tuple[float, ...]]) -> None:
    columns = {COLUMNS[word][0]: [element[at] for element in elements]
               for at, word in enumerate(WORDS)}
    rows = Rows(len(elements), **columns)
    expected = [sentence.of({name: np.float32(values[at]) for name, values in columns.items()})
                is True for at in range(len(elements))]
    assert matching(sentence.text, rows) == expected


def test_sums_need_one_dimension_and_keep_it() -> None:
    rows = Rows(2, soc_pct=[20.0, 60.0], temperature_c=[50.0, 50.0])
    assert matching("soc + 10 - 5 < 30 %", rows) == [True, False]
    with pytest.raises(FilterError, match="temperature cannot be set against a share") as error:
        parse("soc + temperature > 3")
    assert error.value.at == len("soc + ")


def test_what_is_not_known_never_matches_not_even_under_not() -> None:
    rows = Rows(2, temperature_c=[math.nan, 20.0])
    assert matching("temperature > 45", rows) == [False, False]
    assert matching("not temperature > 45", rows) == [False, True]
    assert matching("temperature != 45", rows) == [False, True]
    assert matching("temperature > 45 or not (temperature > 45)", rows) == [False, True]


def test_a_division_by_zero_is_unknown_and_counted() -> None:
    rows = Rows(3, power_kw=[1.0, 1.0, 1.0], soc_pct=[0.0, 10.0, 0.0],
                temperature_c=[1.0, 1.0, 50.0])
    found = parse("power / soc > 0.05").matches(rows)
    assert found.mask.tolist() == [False, True, False]
    assert found.undivided == 2
    saved = parse("power / soc > 0.05 or temperature > 45").matches(rows)
    assert saved.mask.tolist() == [False, True, True]
    assert saved.undivided == 1, "what matches for another reason is not left out"
    assert parse("1 / 0 > 3").matches(rows).undivided == 3


def test_chains_and_precedence_are_pythons() -> None:
    rows = Rows(4, soc_pct=[10.0, 30.0, 50.0, 90.0])
    assert matching("20 < soc <= 50", rows) == [False, True, True, False]
    assert matching("soc < 20 or soc > 40 and soc < 60", rows) == [True, False, True, False]
    assert matching("not soc < 20 and soc < 40", rows) == [False, True, False, False]
    assert matching("soc - 10 - 10 > 8 + 2 * 5", rows) == [False, False, True, True]


def test_units_convert_and_a_bare_number_is_in_the_unit_on_screen() -> None:
    rows = Rows(2, power_kw=[0.4, 600.0], temperature_c=[45.1, 20.0], voltage_v=[3.3, 3.4],
                age_s=[59.0, 61.0])
    assert matching("power > 500 W", rows) == [False, True]
    assert matching("power >= 0.6 MW", rows) == [False, True]
    assert matching("voltage <= 3300 mV", rows) == [True, False]
    assert matching("age > 1 min", rows) == [False, True]
    assert matching("temperature > 113 °F", rows) == [True, False]
    shown = Rows(1, temperature_c=[113.2])
    assert matching("temperature > 113 and temperature > 45 °C", shown, fahrenheit=True) == [True]
    with pytest.raises(FilterError, match="a voltage cannot be set against a share"):
        parse("soc > 30 V")


def test_texts_are_compared_without_capitals() -> None:
    rows = Rows(12)
    assert matching('name contains "CELL_1"', rows) == [i in (1, 10, 11) for i in range(12)]
    assert matching("name = 'cell 3'", rows) == [i == 3 for i in range(12)]
    assert matching("level = Rack", rows) == [i % 3 == 2 for i in range(12)]
    unknown = [i % 3 == 0 for i in range(12)]
    assert matching("side != rack", rows) == [i % 3 == 1 for i in range(12)]
    assert not any(np.array(matching("not side = cell", rows)) & unknown)


def test_alarms_have_names() -> None:
    rows = Rows(4, alarm=[0.0, 1.0, 2.0, 3.0])
    assert matching("alarm >= warning", rows) == [False, False, True, True]
    assert matching("alarm = none", rows) == [True, False, False, False]


@pytest.mark.parametrize(("text", "at", "why"), [
    ("", 0, "ends too early"),
    ("temperature >", 13, "ends too early"),
    ("temprature > 45", 0, "'temprature' is no column; there are power, soc"),
    ("temperature > 45 an soc < 3", 17, 'expected "and", "or"'),
    ("temperature", 0, "nothing is compared"),
    ("soc > 3 and 5", 12, "nothing is compared"),
    ("(soc > 3", 8, r"a \) is missing"),
    ("soc > 3)", 7, 'expected "and", "or" or the end'),
    ("soc >> 3", 5, "expected a number"),
    ("soc > (power > 3)", 6, "expected a number or a column"),
    ("name > 3", 5, "name is a text"),
    ("name = and", 7, "expected a word"),
    ("soc § 3", 4, "'§' has no meaning"),
    ("   @soc > 3", 3, "'@' has no meaning"),
    ('name = "x', 7, "has no meaning"),
    ("__import__('os').system('x')", 16, "'.' has no meaning"),
    ("__import__('os')", 0, "is no column"),
    ("soc.__class__ > 3", 3, "has no meaning"),
    ("\u202esoc > 3", 0, "has no meaning"),
])
def test_a_wrong_filter_is_pointed_at(text: str, at: int, why: str) -> None:
    with pytest.raises(FilterError, match=why) as error:
        parse(text)
    assert error.value.at == at
    shown, mark = error.value.caret.split("\n")
    assert shown == text
    assert mark == " " * at + "^"


@pytest.mark.parametrize("text", ["(" * 60 + "soc > 3" + ")" * 60, "not " * 60 + "soc > 3",
                                  "- " * 60 + "soc > 3"])
def test_nesting_is_bounded(text: str) -> None:
    with pytest.raises(FilterError, match=f"more than {DEEPEST} deep"):
        parse(text)


def test_a_long_filter_is_refused_at_once() -> None:
    with pytest.raises(FilterError, match=f"at most {LONGEST} characters, this one has 10000"):
        parse("a" * 10_000)
    fits = "soc > 3" + " or soc > 3" * 44
    assert len(fits) <= LONGEST
    assert matching(fits, Rows(1, soc_pct=[4.0])) == [True]


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_filter_error(text: str) -> None:
    assert 0 <= _error_at(text) <= len(text)


def _error_at(text: str) -> int:
    try:
        parse(text).matches(Rows(1))
    except FilterError as error:
        return error.at
    return 0
