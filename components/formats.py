"""Numbers, ages and times as a person reads them: U+2212 minus, U+202F thousands, "–" missing.

Zero is a value and missing is not zero (law 4): nothing here tests a number for truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.vocabulary import BY_NAME, Direction, Metric

MISSING = "–"
MINUS = "\u2212"
THIN_SPACE = "\u202f"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_WORDS: dict[str, str] = {"discharging": "discharging", "charging": "charging",
                          "idle": "idle", "unknown": "no data"}
_ICONS: dict[str, str] = {"discharging": "north", "charging": "south", "idle": "remove",
                          "unknown": "cloud_off"}
_HUES: dict[str, str] = {"discharging": "discharge", "charging": "charge", "idle": "idle",
                         "unknown": "stale"}


@dataclass(frozen=True, slots=True)
class Text:
    """A number as text and its unit, apart: the unit is written smaller."""

    number: str
    unit: str

    def __str__(self) -> str:
        return f"{self.number} {self.unit}" if self.unit else self.number


def number(x: float, decimals: int = 0) -> str:
    """`x` with `decimals`; "–" when it is not finite; never "−0"."""
    if not math.isfinite(x):
        return MISSING
    written = f"{abs(x):,.{decimals}f}".replace(",", THIN_SPACE)
    nothing = all(sign in "0." for sign in written)
    return written if x >= 0 or nothing else MINUS + written


def quantity(x: float, unit: str, decimals: int = 0) -> Text:
    """`x` in `unit` with `decimals`."""
    return Text(number(x, decimals), unit)


def power(kw: float) -> Text:
    """Power `kw` [kW]: W under 1000 W, then kW with three figures, then MW. Sign kept."""
    return _scaled(kw, ("W", "kW", "MW"))


def energy(kwh: float) -> Text:
    """Energy `kwh` [kWh]: Wh under 1000 Wh, then kWh with three figures, then MWh."""
    return _scaled(kwh, ("Wh", "kWh", "MWh"))


def magnitude(kw: float) -> Text:
    """Power without its sign [kW]: for beside a word that says the direction."""
    return power(abs(kw))


def _scaled(thousands: float, units: tuple[str, str, str]) -> Text:
    """`thousands` counts in the middle unit."""
    if not math.isfinite(thousands):
        return Text(MISSING, units[1])
    if round(abs(thousands) * 1000) < 1000:
        return Text(number(thousands * 1000), units[0])
    if round(abs(thousands)) < 1000:
        return Text(_three_figures(thousands), units[1])
    return Text(_three_figures(thousands / 1000), units[2])


def _three_figures(x: float) -> str:
    for decimals in (2, 1):
        if round(abs(x), decimals) < 10 ** (3 - decimals):
            return number(x, decimals)
    return number(x)


def value(metric: Metric | str, x: float, decimals: int | None = None) -> Text:
    """A reading of `metric` in its unit; power and its kin are scaled unless told decimals."""
    known = BY_NAME[metric] if isinstance(metric, str) else metric
    if known.name == "power_kw" and decimals is None:
        return power(x)
    return quantity(x, known.unit, known.decimals if decimals is None else decimals)




def direction_word(direction: Direction) -> str:
    """The word beside the number."""
    return _WORDS[direction]



def direction_icon(direction: Direction) -> str:
    """Name of the Material symbol."""
    return _ICONS[direction]


def direction_hue(direction: Direction) -> str:
    """Name of the colour token."""
    return _HUES[direction]


def age(seconds: float) -> str:
    """"2 s", "14 min", "3 h 05", "5 d"; "–" when never heard; a clock ahead of ours is "0 s"."""
    if not math.isfinite(seconds):
        return MISSING
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d}"
    return f"{whole // _DAY} d"


def counted(count: int, singular: str, plural: str = "") -> str:
    """"1 alarm", "2 alarms", "no alarms"."""
    if count == 1:
        return f"1 {singular}"
    many = plural if plural != "" else singular + "s"
    return f"no {many}" if count == 0 else f"{number(count)} {many}"


def zone(name: str | None) -> tzinfo:
    """A viewer's time zone (`st.context.timezone`); UTC where the name is not known."""
    if name is None or name == "":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def local_time(moment: datetime, zone_name: str | None = None, *, seconds: bool = False) -> str:
    """"Sat 21 Nov 03:41" for the viewer; raises ValueError on a naive datetime (law 3)."""
    local = _local(moment, zone_name)
    clock = "%H:%M:%S" if seconds else "%H:%M"
    return f"{local:%a} {local.day} {local:%b} {local.strftime(clock)}"



def _local(moment: datetime, zone_name: str | None) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("law 3: a time needs a zone; give datetime.now(UTC), not a naive one")
    return moment.astimezone(zone(zone_name))
