"""What is not believed of prices, and what of them is odd and said: of import and export alike."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from core.coordinator.problem import Floats
from core.errors import RequestError
from core.tariff import PriceSeries

SINGLE = 20.0
"""No price is believed beyond so many times the highest median. By default that is 60 a kWh; of the
markets' own limits the highest is Australia's, some 20 AUD."""
SPIKE = 20.0
"""So many times the median is told as odd."""
JUMP = 20.0
"""By so much prices do not change from one day to the next: somebody changed the unit."""
QUIET = 0.02
"""A day without wind may well cost JUMP times as much as a holiday with it, whose prices are
smaller [currency/kWh]."""
LEAST = 0.001
"""Smaller prices all day are hardly told in their unit [currency/kWh]."""
MOST_OF = 0.9
ABOVE = 1e-9
"""What two sums of the same may differ by [currency/kWh]."""
MAY_BE = "some contracts are so, else see which price is which"
MOST_PRICE = 1e5
"""No price beyond is planned with, wherever it was kept: those that are read end far below, PIQP
plans up to 1e6 and gives up at 1e9 [currency/kWh]."""
ODD_PRICE = 10.0
"""A price beyond is believed, and said [currency/kWh]."""


def size(values: Floats) -> float:
    """What MOST_OF of the prices do not pass, whatever their sign: a few near 0, or a spike, say
    nothing of the unit."""
    return float(np.quantile(np.abs(values), MOST_OF))


def is_jump(old: float, new: float, *, same_hours: bool) -> bool:
    """Whether prices of these sizes [currency/kWh] cannot both be told in one unit. same_hours:
    they are told of the same hours, which do not change with the weather."""
    floor = LEAST if same_hours or new < LEAST else QUIET
    return max(old, new) >= JUMP * max(min(old, new), floor)


def check_sizes(series: PriceSeries, most_per_kwh: float) -> None:
    """most_per_kwh: the highest median. Raises RequestError for one beyond, and for a single price
    of more than SINGLE times it."""
    for what, values in (("price", series.import_per_kwh), ("export price", series.export_per_kwh)):
        sizes = np.abs(values)
        median, at = float(np.median(sizes)), int(np.argmax(sizes))
        if median > most_per_kwh:
            raise RequestError(
                f"A median {what} of {median:.4g} a kWh is not believed: see whether the prices "
                "are told per MWh or in cents and set `unit`, or allow more than "
                f"{most_per_kwh:g} by `most_per_kwh`")
        if sizes[at] > SINGLE * most_per_kwh:
            raise RequestError(
                f"The {what} of {_moment(series.time_s[at])} is {values[at]:.4g} a kWh; more than "
                f"{SINGLE * most_per_kwh:g} is not believed: correct it, or allow more by "
                f"`most_per_kwh` ({SINGLE:g} times it is the limit)")


def odd_words(series: PriceSeries, all_s: Floats, market: Floats,
              zone: ZoneInfo) -> tuple[str, ...]:
    """Missing, negative, odd, and a zone or a unit that seems wrong, each a sentence. all_s: of all
    rows; market: what was told of import, with nothing on top [currency/kWh]."""
    buy, sell = series.import_per_kwh, series.export_per_kwh
    words = [*_missing(series, all_s), *_of_column(series.time_s, buy, "", "import is paid for")]
    if not np.array_equal(buy, sell):
        words += [*_of_column(series.time_s, sell, "export ", "export costs"),
                  *_export_above(buy, sell)]
    if size(market) < LEAST:
        words.append(f"the market's prices are below {LEAST:g} a kWh: see that `unit` is theirs")
    return (*words, *_zone(all_s, series.hold_s, zone))


def ahead_words(buy: Floats, sell: Floats, past_buy: Floats, past_sell: Floats) -> list[str]:
    """What is odd about prices to plan with, each a sentence that stays the same while they do.
    past_buy, past_sell: of a week before, some of them NaN, none where that is not known."""
    words = []
    for kind, values, past in (("", buy, past_buy), ("export ", sell, past_sell)):
        worst = float(np.abs(values).max())
        if worst > ODD_PRICE:
            words.append(f"a{'n' if kind else ''} {kind}price of {worst:.2f} a kWh is unusual; see "
                         "that its unit is kWh, not MWh")
        before = past[np.isfinite(past)]
        if before.size and is_jump(size(before), size(values), same_hours=False):
            way = f"{JUMP:g} times" if size(values) > size(before) else f"1/{JUMP:g} of"
            words.append(f"{kind}prices ahead are {way} those of the week before, or beyond: see "
                         "that their unit has not changed")
    if float(np.mean(sell > buy + ABOVE)) > 0.5:  # in a cheap hour many contracts are so
        words.append(f"export is mostly paid more than import costs: {MAY_BE}")
    return words


def _missing(series: PriceSeries, all_s: Floats) -> list[str]:
    rows = round((all_s[-1] - all_s[0]) / series.hold_s) + 1
    lacking = rows - len(series.time_s)
    return [f"{lacking} of {rows} prices are missing"] if lacking else []


def _of_column(time_s: Floats, values: Floats, kind: str, negative: str) -> list[str]:
    words = []
    below = int(np.count_nonzero(values < 0))
    if below:
        words.append(f"{below} of {len(values)} {kind}prices are negative: {negative}")
    median = float(np.median(np.abs(values)))
    odd = np.abs(values) > SPIKE * median
    if median > 0 and odd.any():
        words.append(f"the {kind}price of {_moment(time_s[int(np.argmax(odd))])} is {SPIKE:g} "
                     "times the others or more")
    return words


def _export_above(buy: Floats, sell: Floats) -> list[str]:
    above = int(np.count_nonzero(sell > buy + ABOVE))
    return [f"{above} of {len(buy)} export prices are above those of import: {MAY_BE}"] \
        if above else []


def _zone(all_s: Floats, hold_s: float, zone: ZoneInfo) -> list[str]:
    begins = datetime.fromtimestamp(all_s[0], zone)
    whole_days = math.isclose((all_s[-1] - all_s[0] + hold_s) % 86_400.0, 0.0)
    if not whole_days or begins == begins.replace(hour=0, minute=0, second=0):
        return []
    return [f"the prices are of whole days, but begin at {begins:%H:%M} in {zone.key}: see that "
            "time_zone is theirs"]


def _moment(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%d %b %H:%M} UTC"
