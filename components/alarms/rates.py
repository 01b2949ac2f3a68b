"""How many alarms came in each ten minutes of the last day, by severity, against a flood."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import blocks, charts, formats
from components.api_client import LocalClient
from components.blocks import LegendItem
from components.drawing import Drawing
from components.series_math import local_ms
from components.tokens import rgba, tokens
from core.alarms.rates import FLOOD_ABOVE
from core.alarms.records import RATE_WINDOW, TRIP, AlarmQuery, Transition
from core.alarms.states import State
from core.limits import TIERS

DAY = timedelta(hours=24)
PARTS = int(DAY / RATE_WINDOW)
MOST = 50_000
HEIGHT_PX = 200
CACHE_S = 60
_LEGEND = (LegendItem("Trips", "alarm-fill", "point"), LegendItem("Warnings", "alarm", "area"),
           LegendItem("Infos", "text4", "area"),
           LegendItem(f"Flood above {FLOOD_ABOVE}", "text3", "dash"))


def show(client: LocalClient) -> None:
    """A bar a ten minutes."""
    if client.alarm_store is None:
        return
    end = client.now()
    lines, theme = _raised(client, id(client.journal)), st.context.theme.type
    counts = counted(lines, end)
    with st.container(key="panel_alarm_rates", gap=None):
        blocks.show(blocks.heading("Alarms per 10 minutes, last 24 hours",
                                   blocks.legend(_LEGEND)))
        if len(lines) == MOST:
            blocks.show(blocks.note(f"Of the newest {formats.number(MOST)} alarms."))
        charts.show(figure(counts, end, theme, st.context.timezone), key="alarm_rates",
                    height=HEIGHT_PX, alt=alt(counts))


@st.cache_data(ttl=CACHE_S, max_entries=8, show_spinner=False)
def _raised(_client: LocalClient, _journal: int) -> list[Transition]:
    """Of the last day; one reading of the store serves all viewers."""
    store, end = _client.alarm_store, _client.now()
    if store is None:
        return []
    asked = AlarmQuery(end - DAY, end, states=(State.UNACKNOWLEDGED,), limit=MOST)
    return [line for line in store.history(asked) if line.raises]


def counted(lines: Iterable[Transition], end: datetime) -> NDArray[np.int64]:
    """int64[tier 1..3, PARTS], the newest part last; it ends at `end`."""
    counts = np.zeros((TRIP, PARTS), dtype=np.int64)
    for line in lines:
        part = PARTS - 1 - (end - line.at) // RATE_WINDOW
        if 0 <= part < PARTS and line.tier:
            counts[line.tier - 1, part] += 1
    return counts


def figure(counts: NDArray[np.int64], end: datetime, theme: str | None,
           zone: str | None) -> Drawing:
    """Bars on top of each other, trips at the bottom."""
    colour = tokens(theme)
    width_s = RATE_WINDOW.total_seconds()
    edges_s = end.timestamp() - width_s * np.arange(PARTS, -1, -1, dtype=np.float64)
    drawing = charts.blank(theme, None, (float(edges_s[0]), float(edges_s[-1])), zone, colour)
    drawing.layout["barmode"] = "stack"
    fills = {3: colour["alarm_fill"], 2: rgba(colour["alarm"], 0.45), 1: colour["text4"]}
    x = local_ms(edges_s[:-1] + width_s / 2, zone)
    for tier, fill in fills.items():
        drawing.add_bar(x=x, y=counts[tier - 1], name=TIERS[tier].capitalize(),
                        width=0.9 * 1000 * width_s, marker={"color": fill, "line": {"width": 0}},
                        hovertemplate=f"{TIERS[tier].capitalize()} %{{y}}<extra></extra>")
    drawing.add_hline(y=FLOOD_ABOVE, line={"width": 1.2, "dash": "dash",
                                           "color": colour["text3"]})
    highest = max(int(counts.sum(axis=0).max()), FLOOD_ABOVE)
    drawing.update_yaxes(range=[0, 1.1 * highest], rangemode="nonnegative", tickformat="d")
    return drawing


def alt(counts: NDArray[np.int64]) -> str:
    """The chart in a sentence."""
    each = counts.sum(axis=0)
    return (f"{formats.counted(int(each.sum()), 'alarm')} in 24 hours, at most "
            f"{formats.number(int(each.max()))} in ten minutes, "
            f"{formats.counted(int((each > FLOOD_ABOVE).sum()), 'part')} above {FLOOD_ABOVE}")
