"""The state of a house in words: no Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from components import blocks, formats
from components.blocks import Content, Html
from core.direction import DEAD_BAND_W, direction
from core.engine import SourceStatus
from core.household import Household
from core.safe_band import LIGHT_C_RATE, NORMAL_TEMPERATURE_C, normal_voltage_v
from core.vocabulary import Direction

DEAD_BAND_KW = DEAD_BAND_W / 1000
HEAVY_WITHOUT_CAPACITY_KW = 2.0
FEEDERS = {"solar": "solar", "battery": "the battery", "grid": "the grid"}

State = Literal["live", "waiting", "stale", "lost"]


@dataclass(frozen=True, slots=True)
class Flows:
    """Powers of a house [kW], NaN = not known. battery: + discharging; grid: + import."""

    solar: float
    load: float
    grid: float
    battery: float


def flows(household: Household) -> Flows:
    return Flows(household.value("solar_power_kw"), household.value("load_power_kw"),
                 household.value("grid_power_kw"), household.value("battery_power_kw"))


def battery_way(household: Household) -> Direction:
    """By 50 W: a house's battery is small."""
    return direction(household.value("battery_power_kw"), math.nan)


def grid_word(kw: float) -> str:
    if not math.isfinite(kw):
        return "no data"
    if abs(kw) <= DEAD_BAND_KW:
        return "idle"
    return "importing" if kw > 0 else "exporting"


def one_way_word(kw: float, active: str) -> str:
    """For what flows one way alone: solar and load."""
    if not math.isfinite(kw):
        return "no data"
    return active if kw > DEAD_BAND_KW else "idle"


def title(household: Household) -> list[Content]:
    """"The house runs on solar, ", 1.2 kW, " from the battery"."""
    now = flows(household)
    giving = {name: kw for name, kw in (("solar", now.solar), ("battery", now.battery),
                                        ("grid", now.grid)) if kw > DEAD_BAND_KW}
    if giving and math.isfinite(now.load):
        main = max(giving, key=lambda name: giving[name])
        rest = {name: kw for name, kw in giving.items() if name != main}
        return [f"The house runs on {FEEDERS[main]}", *_also(now, rest)]
    soc = household.value("soc_pct")
    if not math.isfinite(soc):
        return ["No reading of this house"]
    way = battery_way(household)
    parts: list[Content] = ["Battery at ", formats.quantity(soc, "%", 0)]
    if way in ("charging", "discharging"):
        parts += [", ", formats.magnitude(now.battery), f" {way}"]
    return parts if way == "unknown" or len(parts) > 2 else [*parts, ", idle"]


def _also(now: Flows, rest: dict[str, float]) -> list[Content]:
    """What else flows, the largest first, at most two."""
    told = [(kw, f" from {FEEDERS[name]}") for name, kw in rest.items()]
    told += [(-kw, words) for kw, words in ((now.battery, " into the battery"),
                                            (now.grid, " to the grid")) if kw < -DEAD_BAND_KW]
    parts: list[Content] = []
    for kw, words in sorted(told, reverse=True)[:2]:
        parts += [", ", formats.power(kw), words]
    return parts


@dataclass(frozen=True, slots=True)
class Judged:
    """A word about a reading, and whether it asks for a look."""

    word: str
    check: bool = False


def voltage_word(volts: float, nominal_v: float, chemistry: str | None) -> Judged:
    """"normal" or "check, below 52.0 V"."""
    if not math.isfinite(volts):
        return Judged("no reading")
    band = normal_voltage_v(nominal_v, chemistry)
    if band is None:
        return Judged("nominal voltage is not configured")
    if volts < band[0]:
        return Judged(f"check: below {formats.number(band[0], 1)} V", True)
    if volts > band[1]:
        return Judged(f"check: above {formats.number(band[1], 1)} V", True)
    return Judged(f"normal, {formats.number(band[0], 1)} to {formats.number(band[1], 1)} V")


def load_word(kw: float, capacity_kwh: float) -> str:
    """"light" or "heavy", by a fifth of the capacity in an hour."""
    if not math.isfinite(kw):
        return "no reading"
    if abs(kw) <= DEAD_BAND_KW:
        return "idle"
    light_kw = (capacity_kwh * LIGHT_C_RATE if math.isfinite(capacity_kwh)
                else HEAVY_WITHOUT_CAPACITY_KW)
    return "light" if abs(kw) <= light_kw else "heavy"


def temperature_word(celsius: float) -> Judged:
    """"optimal", "cold" or "hot", by 15 to 30 °C."""
    if not math.isfinite(celsius):
        return Judged("no reading")
    low, high = NORMAL_TEMPERATURE_C
    if celsius < low:
        return Judged("cold", True)
    return Judged("hot", True) if celsius > high else Judged("optimal")


def fahrenheit(celsius: float) -> str:
    return str(formats.quantity(celsius * 9 / 5 + 32, "°F", 1))


def state_of(status: SourceStatus, age_s: float) -> State:
    """Of a device: lost when its source is, stale when only its values are old."""
    if status.state == "lost":
        return "lost"
    if not math.isfinite(age_s):
        return "waiting"
    return "stale" if age_s > status.info.stale_after_s else "live"


def strip(label: str, status: SourceStatus, age_s: float, now: datetime,
          zone: str | None) -> Html:
    """"Sol-Ark: live, 12 s old", "lost since 03:27"."""
    state = state_of(status, age_s)
    aged = f", {formats.age(age_s)} old" if math.isfinite(age_s) else ""
    if state == "live":
        paced = "" if status.info.period_s < 5 else (
            f", asked every {formats.age(status.info.period_s)}")
        return blocks.pill("live", f"{label}: live{aged}{paced}")
    if state == "waiting":
        waited_s = (now - status.since).total_seconds()
        return blocks.pill("silent", f"{label}: no reading yet, {formats.age(waited_s)}")
    since = status.since if state == "lost" else _last_heard(now, age_s)
    return blocks.pill("stale" if state == "stale" else "silent",
                       f"{label}: {state} since {formats.local_time(since, zone)}{aged}")


def _last_heard(now: datetime, age_s: float) -> datetime:
    return datetime.fromtimestamp(now.timestamp() - age_s, now.tzinfo)


def troubles(statuses: Sequence[SourceStatus]) -> list[str]:
    """What lost sources say of themselves."""
    return [f"{status.info.label}: {status.error}" for status in statuses
            if status.state == "lost" and status.error]
