"""How earlier forecasts of a pack's capacity came true, in words. No Streamlit in here."""

from __future__ import annotations

import math
from datetime import date

from components import formats
from core.clock import from_epoch
from core.twin.promises import AHEAD_D, Kind, Score
from core.twin.study import Study

WHOSE: dict[Kind, str] = {"law": "its own fade", "physics": "the ageing model",
                          "both": "both together"}


def lines(study: Study | None, zone: str | None) -> list[str]:
    """One of each kind of forecast that met a capacity, and when the next one is due."""
    if study is None:
        return []
    told = study.trend.promises.scores(study.judged.at.timestamp())
    if not told:
        return ["No forecast of it was kept yet, so that none can be compared: one is, each month, "
                "as soon as its health and a forecast are known."]
    found = [*(_score(one) for one in told if one.count), _next(told, zone)]
    return [line for line in found if line] or [
        "The forecasts of it that were kept met no health at their time."]


def _score(told: Score) -> str:
    unmeasured = f"; at {told.unmeasured} more no health was found" if told.unmeasured else ""
    return (f"What {WHOSE[told.kind]} foretold {formats.number(AHEAD_D[0])} days or more ahead was "
            f"{formats.number(told.error_pct, 2)} % off on average in "
            f"{formats.counted(told.count, 'comparison')} "
            f"({formats.number(told.still_pct, 2)} % had nothing changed), "
            f"{formats.number(100 * told.covered)} % within the interval{unmeasured}.")


def _next(told: list[Score], zone: str | None) -> str:
    """Of those that wait."""
    waiting = sum(one.waiting for one in told)
    due_s = min((one.next_s for one in told if math.isfinite(one.next_s)), default=math.nan)
    if not waiting:
        return ""
    names = ", ".join(WHOSE[one.kind] for one in told)
    wait, whose = ("wait", "their") if waiting > 1 else ("waits", "its")
    return (f"{formats.counted(waiting, 'forecast')} by {names} {wait} to be compared with the "
            f"health at {whose} time, the first on {_day(due_s, zone)}.")


def _day(time_s: float, zone: str | None) -> str:
    day: date = from_epoch(time_s).astimezone(formats.zone(zone)).date()
    return f"{day.day} {day:%b %Y}"
