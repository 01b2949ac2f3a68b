"""Prices of the hours ahead out of a file or an answer from a server: strictly read, and what is
odd about them said.

CSV with a line of titles, or JSON: rows (a list of objects) or columns (an object of lists). Times
are ISO 8601, or numbers of seconds or milliseconds since 1970 (in text, of 9 to 13 digits); those
without an offset are the wall clock of `PriceFormat.time_zone`.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np

from core.coordinator.price_checks import check_sizes, odd_words
from core.coordinator.problem import Floats
from core.errors import RequestError
from core.tariff import PriceSeries

Key = Annotated[str, msgspec.Meta(max_length=60)]
Factor = Annotated[float, msgspec.Meta(ge=-10, le=10)]
Added = Annotated[float, msgspec.Meta(ge=-100, le=100)]

PER_KWH = {"kWh": 1.0, "ct/kWh": 0.01, "MWh": 0.001}
MOST_BYTES = 2_000_000
MOST_ROWS = 40_000
"""A year of quarters of an hour."""
STEPS_S = (300.0, 900.0, 1800.0, 3600.0)
MILLISECONDS = 1e11
"""A larger number of seconds lies in the year 5138."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
MOST_TOLD = 1e9
"""No market tells a larger number, whatever its unit."""
SINCE_1970 = re.compile(r"\d{9,13}(\.\d+)?")
"""A time as text that is a number; a day alone has eight digits."""


class PriceFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How prices are told, and what comes on top. rows: key of the list of rows in JSON, "" = the
    whole. time, price: title, or key; export: of a price of its own for export, "" = none told.
    unit: of the prices told. time_zone: of times without an offset. Then import = told x
    import_factor + import_added, export = told x export_factor + export_added [currency/kWh].
    most_per_kwh: a median beyond means that the unit is wrong, of import or export, and no single
    price is believed beyond price_checks.SINGLE times it [currency/kWh]."""

    rows: Key = ""
    time: Key = "time"
    price: Key = "price"
    export: Key = ""
    unit: Literal["kWh", "ct/kWh", "MWh"] = "kWh"
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "UTC"
    import_factor: Factor = 1.0
    import_added: Added = 0.0
    export_factor: Factor = 1.0
    export_added: Added = 0.0
    most_per_kwh: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 3.0

    @property
    def zone(self) -> ZoneInfo:
        """Raises RequestError."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise RequestError(f"time_zone = {self.time_zone!r} is no time zone: give an IANA "
                               "name such as Europe/Stockholm") from error


PRESETS: Mapping[str, PriceFormat] = {
    "energy-charts": PriceFormat(time="unix_seconds", unit="MWh"),
    "awattar": PriceFormat(rows="data", time="start_timestamp", price="marketprice", unit="MWh"),
}
"""Of api.energy-charts.info/price and api.awattar.de/v1/marketdata."""
CURRENCIES: Mapping[str, str] = {"energy-charts": "EUR", "awattar": "EUR"}
"""What each preset tells prices in."""


@dataclass(frozen=True, slots=True)
class Prices:
    """words: what a person should know of it, each a sentence."""

    series: PriceSeries
    words: tuple[str, ...] = ()

    @property
    def median(self) -> float:
        """Of import [currency/kWh]."""
        return float(np.median(self.series.import_per_kwh))


Cell = str | float | int | None
Row = tuple[Cell, Cell, Cell]
"""Time, price, price for export."""


def read_csv(text: str, form: PriceFormat) -> Prices:
    """Titles in the first line, `,` or `;` between; `;` allows decimal commas. Raises
    RequestError naming line, value and what is allowed."""
    _check_size(len(text))
    lines = text.lstrip("\ufeff").splitlines()
    mark = ";" if lines and ";" in lines[0] else ","
    reader = csv.DictReader(io.StringIO("\n".join(lines)), delimiter=mark, strict=True)
    try:
        titles = [title.strip() for title in reader.fieldnames or ()]
        wanted = [name for name in (form.time, form.price, form.export) if name]
        lacking = [name for name in wanted if name not in titles]
        if lacking:
            raise RequestError(f"The prices have no column {lacking[0]!r}; the columns are "
                               f"{', '.join(titles)[:200] or 'none'}")
        reader.fieldnames = titles
        rows = [(row[form.time], _point(row[form.price], mark),
                 _point(row[form.export], mark) if form.export else None) for row in reader]
    except csv.Error as error:
        raise RequestError(f"The prices are no CSV: {error}") from error
    return _prices(rows, form)


def read_json(body: bytes | str, form: PriceFormat) -> Prices:
    """Raises RequestError as `read_csv`."""
    _check_size(len(body))
    try:
        told: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RequestError(f"The prices are no JSON: {error}") from error
    return read_told(told, form)


def read_told(told: object, form: PriceFormat) -> Prices:
    """Of decoded JSON; raises RequestError as `read_csv`."""
    if form.rows:
        told = told.get(form.rows) if isinstance(told, dict) else None
    if isinstance(told, dict):
        return _prices(_of_columns(told, form), form)
    if isinstance(told, list):
        return _prices([_of_row(row, form, number) for number, row in enumerate(told)], form)
    raise RequestError("The prices are neither rows nor columns" + (
        f" under {form.rows!r}" if form.rows else "") + ": see what the file or the server tells")


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise RequestError(f"The prices have {size} bytes; at most {MOST_BYTES} are read")


def _point(cell: str | None, mark: str) -> str | None:
    return cell.replace(",", ".") if cell is not None and mark == ";" else cell


def _of_columns(told: dict[str, object], form: PriceFormat) -> list[Row]:
    columns = []
    for name in (form.time, form.price, form.export):
        if not name:
            continue
        values = told.get(name)
        if not isinstance(values, list):
            raise RequestError(f"The prices have no list {name!r}; there are "
                               f"{', '.join(str(key) for key in told)[:200] or 'none'}")
        columns.append(values)
    if len({len(values) for values in columns}) > 1:
        raise RequestError("The lists of times and of prices are not of one length")
    return [(row[0], row[1], row[2] if form.export else None)
            for row in zip(*columns, strict=True)]


def _of_row(row: object, form: PriceFormat, number: int) -> Row:
    if not isinstance(row, dict) or form.time not in row or form.price not in row:
        raise RequestError(f"Row {number + 1} of the prices has no {form.time!r} and "
                           f"{form.price!r}")
    return row[form.time], row[form.price], row.get(form.export) if form.export else None


def _prices(rows: Sequence[Row], form: PriceFormat) -> Prices:
    """Checked: in order, each time once, in a regular step, of a plausible size."""
    if not 1 <= len(rows) <= MOST_ROWS:
        raise RequestError(f"The prices have {len(rows)} rows; 1 to {MOST_ROWS} are read")
    time_s = _times([row[0] for row in rows], form)
    scale = PER_KWH[form.unit]
    told = np.array([_number(row[1], number) for number, row in enumerate(rows)]) * scale
    own = np.array([_number(row[2], number) for number, row in enumerate(rows)]) * scale
    step_s = _step(time_s)
    known = np.isfinite(told)
    if not known.any():
        raise RequestError("None of the rows has a price")
    export = np.where(np.isfinite(own), own, told) if form.export else told
    buy = form.import_factor * told + form.import_added
    sell = form.export_factor * export + form.export_added
    series = PriceSeries(time_s[known], buy[known], sell[known], step_s)
    check_sizes(series, form.most_per_kwh)
    return Prices(series, odd_words(series, time_s, told[known], form.zone))


def _number(cell: Cell, row: int) -> float:
    """NaN for an empty cell."""
    if cell is None or cell == "":
        return math.nan
    try:
        value = float(cell) if not isinstance(cell, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not abs(value) <= MOST_TOLD:
        raise RequestError(f"Row {row + 1} of the prices has {str(cell)[:40]!r}: give a number up "
                           f"to {MOST_TOLD:g}, or nothing where there is no price")
    return value


def _times(cells: Sequence[Cell], form: PriceFormat) -> Floats:
    """Strictly rising [s]; a wall clock's hour that comes twice in autumn is taken in turn."""
    zone = form.zone
    found: list[float] = []
    for row, cell in enumerate(cells):
        when = _time(cell, row, zone)
        if found and when <= found[-1]:
            again = _time(cell, row, zone, fold=1)
            if again <= found[-1]:
                raise RequestError(f"Row {row + 1} of the prices, {str(cell)[:40]}, is not after "
                                   "the row before: sort the rows, each time once")
            when = again
        found.append(when)
    return np.array(found)


def _time(cell: Cell, row: int, zone: ZoneInfo, fold: int = 0) -> float:
    """Seconds since 1970."""
    number = _since_1970(cell)
    if number is None:
        moment_s = _wall_time(cell, row, zone, fold)
    else:
        moment_s = number / 1000.0 if number > MILLISECONDS else number
    if not EARLIEST.timestamp() <= moment_s <= LATEST.timestamp():
        raise RequestError(f"Row {row + 1} of the prices has the time {str(cell)[:40]!r}: give "
                           f"one between {EARLIEST.year} and {LATEST.year}")
    return moment_s


def _since_1970(cell: Cell) -> float | None:
    """Seconds or milliseconds; None where the cell is no number."""
    if isinstance(cell, str):
        return float(cell) if SINCE_1970.fullmatch(cell.strip()) else None
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return None
    try:
        return float(cell)
    except OverflowError:
        return math.inf


def _wall_time(cell: Cell, row: int, zone: ZoneInfo, fold: int) -> float:
    """Of a year that no zone can show it is NaN."""
    try:
        when = datetime.fromisoformat(str(cell).strip())
    except ValueError as error:
        raise RequestError(f"Row {row + 1} of the prices has the time {str(cell)[:40]!r}: write it "
                           "as 2026-11-22T14:00+01:00") from error
    if when.tzinfo is not None:
        return when.timestamp()
    local = when.replace(tzinfo=zone, fold=fold)
    try:
        shown = local.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return math.nan
    if shown != when:
        raise RequestError(f"Row {row + 1} of the prices has {str(cell)[:40]}, which no clock in "
                           f"{zone.key} shows: see that time_zone is that of the prices")
    return local.timestamp()


def _step(time_s: Floats) -> float:
    """[s]; raises RequestError for one that no market has."""
    if len(time_s) == 1:
        return STEPS_S[-1]
    steps, counts = np.unique(np.diff(time_s), return_counts=True)
    step_s = float(steps[np.argmax(counts)])
    if step_s not in STEPS_S or (steps % step_s).any():
        allowed = ", ".join(f"{one / 60:.0f}" for one in STEPS_S)
        raise RequestError(f"The prices come every {step_s / 60:g} minutes or not evenly; allowed "
                           f"are steps of {allowed} minutes")
    return step_s


def newest_first(known: Prices | None, told: Prices) -> Prices:
    """Both together, what is told now before what was known, a week back."""
    if known is None or known.series.hold_s != told.series.hold_s:
        return told
    old, new = known.series, told.series
    oldest_s = new.time_s[-1] - timedelta(days=7).total_seconds()
    kept = ~np.isin(old.time_s, new.time_s) & (old.time_s >= oldest_s)
    time_s = np.concatenate([old.time_s[kept], new.time_s])
    order = np.argsort(time_s)
    buy = np.concatenate([old.import_per_kwh[kept], new.import_per_kwh])[order]
    sell = np.concatenate([old.export_per_kwh[kept], new.export_per_kwh])[order]
    return Prices(PriceSeries(time_s[order], buy, sell, new.hold_s), told.words)
