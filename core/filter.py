"""Filters such as `temperature > 45 and soc < 30`: a small grammar, parsed here and never run.

    filter     = any {"or" any};  any = not {"and" not};  not = {"not"} comparison
    comparison = sum {("<" | "<=" | ">" | ">=" | "=" | "!=") sum}    a chain, as in 20 < soc < 80
               | text ("=" | "!=" | "contains") (word | "quoted")
    sum        = product {("+" | "-") product};  product = sign {("*" | "/") sign}
    sign       = {"-"} (number [unit] | column | "(" filter ")")

What is not known (NaN, a division by zero) makes a comparison neither true nor false, also under
"not"; an element matches only where the whole is true (law 4). A bare number is in the unit in
which its column is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.errors import RequestError
from core.topology import FloatArray

LONGEST = 500
DEEPEST = 32

Bools: TypeAlias = NDArray[np.bool_]
Kind = Literal["number", "text", "truth"]

COLUMNS: Mapping[str, tuple[str, str]] = {
    "power": ("power_kw", "power"), "soc": ("soc_pct", "share"),
    "voltage": ("voltage_v", "voltage"), "current": ("current_a", "current"),
    "temperature": ("temperature_c", "temperature"), "soh": ("soh_pct", "share"),
    "age": ("age_s", "time"), "capacity": ("capacity_kwh", "energy"), "alarm": ("alarm", "tier"),
}
"""Word -> (column, dimension). A column's own name and the aliases below do as well."""
ALIASES: Mapping[str, str] = {
    **{column: word for word, (column, _) in COLUMNS.items()},
    "temp": "temperature", "charge": "soc", "health": "soh", "alarms": "alarm", "volts": "voltage",
    "amps": "current",
}
TEXTS = ("name", "id", "level", "chemistry", "state")
TIERS: Mapping[str, float] = {"none": 0.0, "info": 1.0, "warning": 2.0, "trip": 3.0}
UNITS: Mapping[str, tuple[str, float]] = {
    "w": ("power", 1e-3), "kw": ("power", 1.0), "mw": ("power", 1e3), "%": ("share", 1.0),
    "v": ("voltage", 1.0), "mv": ("voltage", 1e-3), "a": ("current", 1.0),
    "s": ("time", 1.0), "min": ("time", 60.0), "h": ("time", 3600.0),
    "wh": ("energy", 1e-3), "kwh": ("energy", 1.0), "mwh": ("energy", 1e3),
    "c": ("temperature", 1.0), "°c": ("temperature", 1.0), "degc": ("temperature", 1.0),
    "f": ("temperature", 1.0), "°f": ("temperature", 1.0), "degf": ("temperature", 1.0),
}
"""Small letters -> (dimension, factor into the column's unit)."""
KEYWORDS = ("and", "or", "not", "contains")
_TOKEN = re.compile(r"""\s*(?:
    (?P<number>(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(?:[eE][+-]?\d{1,2}(?![\w.]))?)
  | (?P<text>"[^"]*"|'[^']*')
  | (?P<word>[^\W\d]\w*|°[cCfF]\b|%)
  | (?P<sign><=|>=|!=|<>|==|[-+*/()<>=])
)""", re.VERBOSE)
_COMPARE: Mapping[str, Callable[[FloatArray, FloatArray], Bools]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
    "=": np.equal, "!=": np.not_equal,
}
_SAME = {"==": "=", "<>": "!="}


class FilterError(RequestError):
    """at: index of the character that does not fit. `caret` shows it."""

    def __init__(self, text: str, at: int, why: str) -> None:
        super().__init__(f"at character {at + 1}: {why}")
        self.at = at
        self.caret = f"{text}\n{' ' * at}^"


@dataclass(frozen=True, slots=True)
class TextColumn:
    """values: different texts, case folded; codes: int[n], index into them, -1 unknown. None:
    values are the n texts themselves."""

    values: Sequence[str]
    codes: NDArray[np.int32] | None = None


class Columns(Protocol):
    """The elements that a filter is asked about, n of them."""

    @property
    def size(self) -> int: ...

    def number(self, column: str) -> FloatArray:
        """float32[n] of one of COLUMNS, in the unit in which it is shown, NaN unknown."""
        ...

    def text(self, column: str) -> TextColumn:
        """Of one of TEXTS or of the filter's attributes."""
        ...


@dataclass(frozen=True, slots=True)
class Matches:
    """mask: bool[n]. undivided: elements left out because something was divided by zero."""

    mask: Bools
    undivided: int


@dataclass(slots=True)
class _Asked:
    columns: Columns
    undivided: Bools | None = None


@dataclass(frozen=True, slots=True)
class _Truth:
    """Of n elements: known to be so, known not to be so, neither."""

    yes: Bools
    no: Bools


Numbers = Callable[[_Asked], FloatArray]
Truths = Callable[[_Asked], _Truth]


@dataclass(frozen=True, slots=True)
class _Part:
    """dimension: of a number, "" where any fits. at: where it begins."""

    kind: Kind
    at: int
    number: Numbers | None = None
    truth: Truths | None = None
    text: str = ""
    dimension: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter."""

    text: str
    _root: Truths

    def matches(self, columns: Columns) -> Matches:
        """Which of the elements match."""
        asked = _Asked(columns)
        with np.errstate(all="ignore"):
            mask = self._root(asked).yes
        lost = 0 if asked.undivided is None else int(np.count_nonzero(asked.undivided & ~mask))
        return Matches(mask, lost)


def parse(text: str, attributes: Sequence[str] = (), fahrenheit: bool = False) -> Filter:
    """The filter that `text` says; raises FilterError.

    attributes: further text columns. fahrenheit: temperatures are shown in °F, and so are bare
    numbers beside them.
    """
    if len(text) > LONGEST:
        raise FilterError(text[:LONGEST], LONGEST, f"a filter has at most {LONGEST} characters, "
                                                   f"this one has {len(text)}")
    return Filter(text, _Parser(text, attributes, fahrenheit).whole())


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Parser:
    """Recursive descent over the tokens; at most DEEPEST levels deep."""

    def __init__(self, text: str, attributes: Sequence[str], fahrenheit: bool) -> None:
        self._text, self._fahrenheit = text, fahrenheit
        self._texts = (*TEXTS, *attributes)
        self._tokens = self._split()
        self._next = 0
        self._depth = 0

    def whole(self) -> Truths:
        part = self._any()
        if self._peek().kind != "end":
            self._stop(self._peek(), 'expected "and", "or" or the end')
        return self._truth(part)

    def _split(self) -> list[_Token]:
        found, at = [], 0
        while at < len(self._text.rstrip()):
            match = _TOKEN.match(self._text, at)
            if match is None:
                start = at + len(self._text[at:]) - len(self._text[at:].lstrip())
                raise FilterError(self._text, start, f"{self._text[start]!r} has no meaning here")
            kind = match.lastgroup or ""
            token = match[kind] if kind == "text" else match[kind].lower()
            found.append(_Token(kind, _SAME.get(token, token), match.start(kind)))
            at = match.end()
        return [*found, _Token("end", "", len(self._text.rstrip()))]

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> _Token | None:
        """The next token, when it is a sign or word among `texts`."""
        token = self._peek()
        if token.kind == "text" or token.text not in texts or token.kind == "end":
            return None
        self._next += 1
        return token

    def _stop(self, token: _Token, why: str) -> NoReturn:
        raise FilterError(self._text, token.at, why)

    def _fail(self, part: _Part, why: str) -> NoReturn:
        raise FilterError(self._text, part.at, why)

    # -- truths

    def _any(self) -> _Part:
        part = self._all()
        while self._take("or"):
            left, right = self._truth(part), self._truth(self._all())
            part = _Part("truth", part.at, truth=_either(left, right))
        return part

    def _all(self) -> _Part:
        part = self._not()
        while self._take("and"):
            left, right = self._truth(part), self._truth(self._not())
            part = _Part("truth", part.at, truth=_both(left, right))
        return part

    def _not(self) -> _Part:
        token = self._take("not")
        if token is None:
            return self._comparison()
        with self._deeper(token):
            return _Part("truth", token.at, truth=_opposite(self._truth(self._not())))

    def _truth(self, part: _Part) -> Truths:
        if part.truth is None:
            self._fail(part, "nothing is compared here: write for example temperature > 45")
        return part.truth

    def _comparison(self) -> _Part:
        first = self._sum()
        if first.kind == "text":
            return self._text_match(first)
        steps: list[Truths] = []
        left = first
        while sign := self._take(*_COMPARE):
            right = self._sum()
            self._same_dimension(left, right)
            steps.append(_compared(sign.text, self._number(left), self._number(right)))
            left = right
        if not steps:
            return first
        truth = steps[0]
        for step in steps[1:]:
            truth = _both(truth, step)
        return _Part("truth", first.at, truth=truth)

    def _text_match(self, column: _Part) -> _Part:
        sign = self._take("=", "!=", "contains")
        if sign is None:
            self._stop(self._peek(), f"{column.text} is a text: go on with =, != or contains")
        wanted = self._peek()
        if wanted.kind not in ("word", "text", "number") or wanted.text in KEYWORDS:
            self._stop(wanted, 'expected a word or a "quoted text"')
        self._next += 1
        needle = wanted.text[1:-1] if wanted.kind == "text" else wanted.text
        found = _text_found(column.text, needle.casefold(), whole=sign.text != "contains")
        return _Part("truth", column.at, truth=_opposite(found) if sign.text == "!=" else found)

    # -- numbers

    def _number(self, part: _Part) -> Numbers:
        if part.number is None:
            self._fail(part, "expected a number or a column here")
        return part.number

    def _same_dimension(self, left: _Part, right: _Part) -> str:
        if left.dimension and right.dimension and left.dimension != right.dimension:
            self._fail(right, f"a {right.dimension} cannot be set against a {left.dimension}")
        return left.dimension or right.dimension

    def _sum(self) -> _Part:
        part = self._product()
        while sign := self._take("+", "-"):
            right = self._product()
            step = np.add if sign.text == "+" else np.subtract
            part = _Part("number", part.at, dimension=self._same_dimension(part, right),
                         number=_reckoned(step, self._number(part), self._number(right)))
        return part

    def _product(self) -> _Part:
        part = self._signed()
        while sign := self._take("*", "/"):
            right = self._signed()
            left_number, right_number = self._number(part), self._number(right)
            number = (_divided(left_number, right_number) if sign.text == "/"
                      else _reckoned(np.multiply, left_number, right_number))
            kept = part.dimension if not right.dimension else ""
            part = _Part("number", part.at, number=number, dimension=kept)
        return part

    def _signed(self) -> _Part:
        minus = self._take("-")
        if minus is None:
            return self._atom()
        with self._deeper(minus):
            part = self._signed()
            number = self._number(part)
        return _Part("number", minus.at, dimension=part.dimension,
                     number=lambda asked: np.negative(number(asked)))

    def _atom(self) -> _Part:
        token = self._peek()
        if opened := self._take("("):
            with self._deeper(opened):
                part = self._any()
                if not self._take(")"):
                    self._stop(self._peek(), "a ) is missing")
            return _Part(part.kind, opened.at, part.number, part.truth, part.text, part.dimension)
        if token.kind == "number":
            self._next += 1
            return self._literal(token)
        if token.kind == "word" and token.text not in KEYWORDS:
            return self._column(token)
        self._stop(token, "expected a number, a column or (" if token.kind != "end"
                   else "the filter ends too early")

    def _literal(self, token: _Token) -> _Part:
        value = float(token.text)
        unit = self._peek()
        if unit.kind != "word" or unit.text not in UNITS:
            return _Part("number", token.at, number=_constant(value))
        self._next += 1
        dimension, factor = UNITS[unit.text]
        if dimension == "temperature":
            value = self._shown_temperature(value, unit.text.endswith("f"))
        return _Part("number", token.at, number=_constant(value * factor), dimension=dimension)

    def _shown_temperature(self, value: float, fahrenheit: bool) -> float:
        if fahrenheit is self._fahrenheit:
            return value
        return (value - 32) / 1.8 if fahrenheit else value * 1.8 + 32

    def _column(self, token: _Token) -> _Part:
        self._next += 1
        word = ALIASES.get(token.text, token.text)
        if word in COLUMNS:
            column, dimension = COLUMNS[word]
            return _Part("number", token.at, dimension=dimension,
                         number=lambda asked: asked.columns.number(column))
        if token.text in TIERS:
            return _Part("number", token.at, number=_constant(TIERS[token.text]),
                         dimension="tier")
        if token.text in self._texts:
            return _Part("text", token.at, text=token.text)
        self._stop(token, f"{token.text[:40]!r} is no column; there are "
                   + ", ".join([*COLUMNS, *self._texts]))

    def _deeper(self, token: _Token) -> _Deeper:
        return _Deeper(self, token)

    def enter(self, token: _Token) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            self._stop(token, f"nested more than {DEEPEST} deep")

    def leave(self) -> None:
        self._depth -= 1


class _Deeper:
    """One level of nesting."""

    def __init__(self, parser: _Parser, token: _Token) -> None:
        self._parser, self._token = parser, token

    def __enter__(self) -> None:
        self._parser.enter(self._token)

    def __exit__(self, *_: object) -> None:
        self._parser.leave()


def _both(left: Truths, right: Truths) -> Truths:
    def ask(asked: _Asked) -> _Truth:
        one, other = left(asked), right(asked)
        return _Truth(one.yes & other.yes, one.no | other.no)
    return ask


def _either(left: Truths, right: Truths) -> Truths:
    return _opposite(_both(_opposite(left), _opposite(right)))


def _opposite(inner: Truths) -> Truths:
    def ask(asked: _Asked) -> _Truth:
        found = inner(asked)
        return _Truth(found.no, found.yes)
    return ask


def _compared(sign: str, left: Numbers, right: Numbers) -> Truths:
    def ask(asked: _Asked) -> _Truth:
        one, other = left(asked), right(asked)
        known = np.isfinite(one) & np.isfinite(other)
        so, size = _COMPARE[sign](one, other), asked.columns.size
        return _Truth(np.broadcast_to(so & known, size), np.broadcast_to(~so & known, size))
    return ask


def _constant(value: float) -> Numbers:
    number = np.array(value, dtype=np.float32)
    return lambda asked: number


def _reckoned(step: Callable[[FloatArray, FloatArray], FloatArray], left: Numbers,
              right: Numbers) -> Numbers:
    return lambda asked: step(left(asked), right(asked))


def _divided(left: Numbers, right: Numbers) -> Numbers:
    def ask(asked: _Asked) -> FloatArray:
        above, below = left(asked), right(asked)
        zero = below == 0
        if zero.any():
            mine = np.broadcast_to(zero, asked.columns.size)
            asked.undivided = mine if asked.undivided is None else asked.undivided | mine
        return np.where(zero, np.float32(np.nan), above / below)
    return ask


def _text_found(column: str, needle: str, *, whole: bool) -> Truths:
    """Small and capital letters alike; in a name "_" is a blank, so that cell_7 is Cell 7."""
    wanted = needle.replace("_", " ") if column == "name" else needle
    return lambda asked: _one_text(asked.columns.text(column), wanted, whole)


def _one_text(texts: TextColumn, needle: str, whole: bool) -> _Truth:
    found = np.array([needle == value if whole else needle in value for value in texts.values],
                     dtype=bool)
    if texts.codes is None:
        return _Truth(found, ~found)
    known = texts.codes >= 0
    if not found.size:
        return _Truth(known & False, known & False)
    yes = found[texts.codes] & known
    return _Truth(yes, ~yes & known)
