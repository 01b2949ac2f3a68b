"""A pack as the physics needs it: what it is, how it is used, how healthy it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import streamlit as st

from core.alarms.records import AuditEntry
from core.config import Config
from core.engine import Snapshot
from core.errors import OrreryError
from core.ports import Series
from core.twin.agenda import Due
from core.twin.desk import Foretold
from core.twin.interval import Interval
from core.twin.kept import Kind, Own, ParameterFile, Recording
from core.twin.past import Plate
from core.twin.ports import Physics
from core.twin.rounds import Foreseen
from core.twin.study import Study, capacity_left
from core.twin.usage import METRICS, MOST_POINTS, SPAN, STANDARD, Used, used_in
from core.twin.windows import Window

FRESH_S, UNKNOWN_S = 300.0, 10.0
"""So long the use of a pack is kept for a screen, and that it is not known."""


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

    def twin_foreseen(self, pack: str) -> Foreseen: ...

    def twin_own(self, pack: str) -> Own: ...

    def twin_outlives(self) -> bool: ...

    def twin_watch(self, pack: str, task_id: str, by: str) -> None: ...

    def twin_keep(self, told: ParameterFile | Recording) -> None: ...

    def twin_drop(self, kind: Kind, name: str) -> None: ...

    def audit(self, entry: AuditEntry) -> None: ...

    @property
    def config(self) -> Config: ...

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]: ...


@dataclass(frozen=True, slots=True)
class Use:
    """used: STANDARD where `words` says why its own is not known."""

    used: Used
    words: str = ""


def use_of(client: TwinClient, plate: Plate) -> Use:
    """How a pack was used in the last week: as its ageing run took it, or as read not long ago."""
    foreseen, now = client.twin_foreseen(plate.id), client.now()
    if foreseen.used is not None:
        return Use(foreseen.used, foreseen.words)
    kept: tuple[str, datetime, Use] | None = st.session_state.get("twin_use")
    if kept is not None and kept[0] == plate.id and \
            0 <= (now - kept[1]).total_seconds() < (UNKNOWN_S if kept[2].words else FRESH_S):
        return kept[2]
    try:
        use = Use(used_in(client.series([plate.id], METRICS, now - SPAN, now, MOST_POINTS), plate))
    except OrreryError as error:
        use = Use(Used(STANDARD, 0.0, STANDARD.depth), str(error))
    st.session_state["twin_use"] = plate.id, now, use
    return use


def health_of(client: TwinClient, plate: Plate, study: Study | None) -> Interval:
    """By what its forecast begins (`core.twin.study.capacity_left`)."""
    told = client.snapshot().frame.value("soh_pct", plate.node) / 100.0
    return capacity_left(None if study is None else study.judged, told)
