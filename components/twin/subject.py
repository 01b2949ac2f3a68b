"""A pack as the physics needs it: what it is, how it is used, how healthy it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
import streamlit as st

from core.engine import Snapshot
from core.errors import OrreryError, RequestError
from core.ports import Series
from core.twin.agenda import Due
from core.twin.desk import Foretold
from core.twin.interval import UNKNOWN, Interval
from core.twin.models import Floats
from core.twin.past import Plate
from core.twin.ports import Physics
from core.twin.study import Study
from core.twin.usage import STANDARD, Used, used_as
from core.twin.windows import Window

USE_SPAN = timedelta(days=7)
USE_POINTS = 1000
FRESH_S, UNKNOWN_S = 300.0, 10.0
"""So long the use of a pack is kept for a screen, and that it is not known."""
METRICS = ("current_a", "soc_pct", "temperature_c")


class TwinClient(Protocol):
    """What the panels ask of the client."""

    @property
    def physics(self) -> Physics | str: ...

    def now(self) -> datetime: ...

    def snapshot(self) -> Snapshot: ...

    def twin_plate(self, pack: str) -> Plate: ...

    def twin_study(self, pack: str) -> Study | None: ...

    def twin_window(self, pack: str) -> Window | None: ...

    def twin_window_due(self, pack: str) -> Due: ...

    def twin_predictions(self, pack: str) -> Foretold: ...

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]: ...


@dataclass(frozen=True, slots=True)
class Use:
    """used: STANDARD where `words` says why its own is not known."""

    used: Used
    words: str = ""


def use_of(client: TwinClient, plate: Plate) -> Use:
    """How a pack was used in the last week, as read not long ago."""
    now = client.now()
    kept: tuple[str, datetime, Use] | None = st.session_state.get("twin_use")
    if kept is not None and kept[0] == plate.id and \
            0 <= (now - kept[1]).total_seconds() < (UNKNOWN_S if kept[2].words else FRESH_S):
        return kept[2]
    try:
        use = Use(_used(client.series([plate.id], METRICS, now - USE_SPAN, now, USE_POINTS), plate))
    except OrreryError as error:
        use = Use(Used(STANDARD, 0.0, STANDARD.depth), str(error))
    st.session_state["twin_use"] = plate.id, now, use
    return use


def _used(told: Sequence[Series], plate: Plate) -> Used:
    """Raises RequestError."""
    if not told or not told[0].time_s.size:
        raise RequestError("nothing is known of its current in the last week")
    current = told[0]
    step_s = np.minimum(np.diff(current.time_s, append=current.time_s[-1] + current.resolution_s),
                        2.0 * current.resolution_s)
    amperes = current.mean.astype(np.float64) / (1 if plate.series else plate.cells)
    low, high = plate.model.window
    soc = low + (high - low) * _at(told[1], current.time_s) / 100.0
    warmth = told[2].mean[np.isfinite(told[2].mean)]
    return used_as(step_s, amperes / plate.full_ah, soc,
                   float(warmth.mean(dtype=np.float64)) if warmth.size else math.nan)


def _at(series: Series, time_s: Floats) -> Floats:
    """At these times, NaN where nothing is known of either side."""
    known = np.isfinite(series.mean)
    if not known.any():
        return np.full(time_s.size, np.nan)
    return np.interp(time_s, series.time_s[known], series.mean[known], left=np.nan, right=np.nan)


def health_of(client: TwinClient, plate: Plate, study: Study | None) -> Interval:
    """1 = new: as measured, else as its devices say it, without an interval then."""
    if study is not None and study.judged.soh.known:
        return study.judged.soh
    told = client.snapshot().frame.value("soh_pct", plate.node) / 100.0
    return Interval(told, told, told) if math.isfinite(told) else UNKNOWN
