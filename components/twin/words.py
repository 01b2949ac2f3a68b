"""What the twin found, in words. No Streamlit in here."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np

from components import formats
from core.clock import from_epoch
from core.topology import Topology
from core.twin.counting import LEAST_SWING
from core.twin.diagnosis import Verdict, Word
from core.twin.health import LEAST_MOVE_V, LEAST_MOVES
from core.twin.interval import Interval
from core.twin.life import FARTHEST_D, YEAR_D
from core.twin.study import TOLD_SIGMA, Judged, Study
from core.twin.trend import Line

VERDICTS: dict[Word, tuple[str, str]] = {
    "agrees": ("check_circle", "agrees"),
    "drifting": ("trending_up", "drifts"),
    "sign_inverted": ("swap_vert", "sign inverted"),
    "wrong_chemistry": ("science", "wrong chemistry"),
    "outside_window": ("width", "outside the model"),
    "does_not_fit": ("rule", "does not fit"),
    "too_little_data": ("hourglass_empty", "too little data"),
}
UNJUDGED = ("hourglass_top", "not judged yet")
TITLES: dict[Word, str] = {
    "agrees": "agrees with its model",
    "drifting": "drifts away from its model",
    "sign_inverted": "tells its current with the wrong sign",
    "wrong_chemistry": "is of another chemistry than was said",
    "outside_window": "is outside of what its model knows",
    "does_not_fit": "does not fit its model",
    "too_little_data": "has too little data for a verdict",
}
ADVICE: dict[Word, str] = {
    "sign_inverted": "Turn the sign of the current at its source.",
    "wrong_chemistry": "Correct the chemistry where the pack is described.",
    "outside_window": "Check the voltage's calibration and the number of cells.",
    "does_not_fit": "Check capacity and number of cells, or calibrate below.",
    "drifting": "Look at the cell that is furthest off, and at the current's sensor.",
}
NO_SOH = ("no charge between two well-known states yet, and its current has not moved enough to "
          "tell a resistance")


def name(topology: Topology, node: int) -> str:
    return topology.names[node]


def where(topology: Topology, node: int) -> str:
    """Above it, from the top."""
    return " › ".join(topology.names[one] for one in topology.path(node)[:-1])


def full_name(topology: Topology, node: int) -> str:
    """With the system that it is in."""
    path = topology.path(node)
    return topology.names[node] if len(path) < 2 else \
        f"{topology.names[node]}, {topology.names[path[0]]}"


def title(told: Judged | None) -> str:
    """After the pack's name."""
    if told is None:
        return "is being judged"
    if told.verdict.word == "agrees" and math.isfinite(told.rms_mv):
        return f"agrees within {formats.number(told.rms_mv)} mV"
    return TITLES[told.verdict.word]


def cause(told: Judged, zone: str | None) -> str:
    """"measured less modelled voltage has moved by +12 mV, since Sat 21 Nov 03:41", and what is
    wrong with the record."""
    words = short_cause(told.verdict)
    words = words[:1].upper() + words[1:]
    if told.verdict.since_s is not None:
        words += f", since {formats.local_time(from_epoch(told.verdict.since_s), zone)}"
    notes = "".join(f" {note[:1].upper()}{note[1:]}." for note in told.verdict.notes)
    return f"{words}.{notes}"


def short_cause(verdict: Verdict) -> str:
    """With a minus as screens write it."""
    return verdict.cause.replace(" -", " \u2212")


def sentence(note: str) -> str:
    """"8 of 31 currents were missing" as a sentence of its own, "" of nothing."""
    return f"{note[:1].upper()}{note[1:]}." if note else ""


def between(told: Interval, decimals: int, unit: str = "") -> str:
    """"90 to 94 %", "" where it is not known."""
    if not told.known:
        return ""
    words = f"{formats.number(told.low, decimals)} to {formats.number(told.high, decimals)}"
    return f"{words} {unit}".strip()


def life(years: Interval) -> tuple[str, str]:
    """Number and interval of a life [years]: "8.1" and "5.2 to 12.0", "over 100" of one that ends
    beyond what is told; not of NaN."""
    number = f"over {FARTHEST_D / YEAR_D:.0f}" if math.isinf(years.value) else longer(years.value)
    return number, span(years)


def span(told: Interval, decimals: int = 1) -> str:
    """"5.2 to 12.0", "5.2 or more", "" where not even its beginning is told."""
    if not math.isfinite(told.low):
        return ""
    ends = "or more" if math.isinf(told.high) else f"to {longer(told.high, decimals)}"
    return f"{longer(told.low, decimals)} {ends}"


def longer(x: float, decimals: int = 1) -> str:
    """No decimals of 20 and more."""
    return formats.number(x, decimals if x < 20 else 0)


def signed(x: float, decimals: int = 0) -> str:
    """"+12", "−3"."""
    return f"{'+' if x > 0 else ''}{formats.number(x, decimals)}"


def dates(line: Line, zone: str | None) -> str:
    """"3 Jun 2026 to 21 Nov 2026"; within one day its hours."""
    first, last = (from_epoch(float(line.time_s[row])).astimezone(formats.zone(zone))
                   for row in (0, -1))
    if first.date() == last.date():
        return f"{first.day} {first:%b %Y %H:%M} to {last:%H:%M}"
    return f"{first.day} {first:%b %Y} to {last.day} {last:%b %Y}"


def no_line(line: Line) -> str:
    """Why a quantity is not drawn over time."""
    found = "One was found so far" if line.time_s.size else "None was found yet"
    return f"{found}; it is drawn once two were, an hour or more apart."


def fade_by(judged: Judged) -> str:
    """What it loses a year and whose numbers say so, or why nothing does."""
    if judged.fade is None:
        why = judged.fade_words
        return f"{why[:1].upper()}{why[1:]}." if why else ""
    whose = "as its devices report it" if judged.fade_by == "reported" else \
        "by the capacities that the twin found"
    told = judged.fade_year.times(100.0)
    return (f"It loses {formats.number(told.value, 1)} % a year ({between(told, 1)}), {whose}.")


def is_told(resistance: Interval) -> bool:
    """Else the filter has learnt nothing of it."""
    return resistance.known and resistance.sigma <= TOLD_SIGMA


def no_capacity(study: Study | None) -> str:
    """Why none is known, and what would tell it."""
    none = "no charge between two rests that tell a charge, yet"
    rests = () if study is None else study.trend.count.rests
    if not rests:
        return none
    return (f"{none}; it rested at {formats.number(100 * rests[-1].soc)} %, and a rest "
            f"{formats.number(100 * LEAST_SWING)} % away from there tells it")


def soon(at: datetime, now: datetime) -> str:
    """"in 4 min", "now"."""
    left_s = (at - now).total_seconds()
    return "now" if left_s < 1 else f"in {formats.age(left_s)}"


def no_resistance(study: Study | None) -> str:
    """Why its record tells none: voltages tell it by how they answer changes of the current."""
    if study is None:
        return "its last hours are being read"
    rows = int(np.isfinite(np.diff(study.past.record.current_a)).sum())
    if rows < LEAST_MOVES:
        return f"{rows} changes of its current from minute to minute are known; it takes " \
               f"{LEAST_MOVES}"
    return (f"from minute to minute its current moves the voltage by less than "
            f"{1000 * LEAST_MOVE_V:.0f} mV: too little beside its sensors")
