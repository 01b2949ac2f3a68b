"""All sources: state, age, a day of coverage, what is wrong and what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import blocks, describe, formats
from components.api_client import Client
from components.blocks import Content, Html
from components.connections.lines import called, traffic
from core.engine import SourceStatus
from core.errors import OrreryError

PARTS, DAY = 96, timedelta(days=1)
KNOWN = 0.5
KIND_ICONS = {"live": "sensors", "recorded": "movie", "simulated": "science"}


def head(client: Client) -> None:
    """The answer as a title: "3 of 4 sources live; Sol-Ark silent for 14 min"."""
    now, statuses = client.now(), client.snapshot().sources
    rows = [(status.info.name, describe.source_row(status, now)) for status in statuses]
    silent = [(name, row.age_s) for name, row in rows if row.stale]
    words: list[Content] = [f"{len(rows) - len(silent)} of {len(rows)} sources live"]
    if silent:
        name, age_s = silent[0]
        since = f" silent for {formats.age(age_s)}" if math.isfinite(age_s) else " never heard"
        words.append(f"; {called(statuses)[name]}{since}")
    blocks.show(blocks.title(*words, sub=[formats.local_time(now, st.context.timezone)]))


def rows(client: Client) -> None:
    """One row a source, those that are silent first."""
    now = client.now()
    statuses = sorted(client.snapshot().sources,
                      key=lambda status: not describe.source_row(status, now).stale)
    labels = called(statuses)
    told = [_row(status, labels[status.info.name], _coverage(client, status.info.name),
                 traffic(status, client.talk_with(status.info.name), client.present()), now)
            for status in statuses]
    blocks.show(blocks.heading("Sources", "the last 24 hours of each"),
                Html(f'<div class="o o-rows o-links">{"".join(told)}</div>'))


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def _coverage(_client: Client, name: str) -> NDArray[np.float64]:
    """Share of each quarter of an hour; empty where history cannot tell."""
    end = _client.now()
    try:
        return _client.coverage(name, end - DAY, end, PARTS)
    except OrreryError:
        return np.empty(0)


def _row(status: SourceStatus, label: str, coverage: NDArray[np.float64], says: Sequence[str],
         now: datetime) -> str:
    info, row = status.info, describe.source_row(status, now)
    state = "live" if not row.stale else "waiting" if status.state == "waiting" else "silent"
    trouble = f'<div class="why">{escape(status.error)}</div>' if status.error else ""
    told = f'<div class="says">{escape(" · ".join(says))}</div>' if says else ""
    age = formats.age(row.age_s) if math.isfinite(row.age_s) else "never heard"
    return (f'<div class="o-row o-link{" old" if row.stale else ""}">'
            f'<span class="nm">{blocks.symbol(KIND_ICONS[info.kind])} {escape(label)}</span>'
            f'<span>{state}</span><span class="num">{age}</span>{_strip(coverage)}'
            f'<span class="mut">{escape(info.name)}, {info.kind}, every '
            f"{formats.age(info.period_s)}</span>"
            f"{told}{trouble}</div>")


def _strip(coverage: NDArray[np.float64]) -> str:
    """The day as a line of quarters of an hour; what is not known stays empty."""
    if not coverage.size:
        return '<span class="mut">no history of it</span>'
    runs, label = [], f"heard {100 * float(coverage.mean()):.0f} % of the last 24 hours"
    edges = np.flatnonzero(np.diff(np.concatenate(([0], coverage >= KNOWN, [0]))))
    for start, end in edges.reshape(-1, 2):
        runs.append(f'<i style="left:{100 * start / coverage.size:.2f}%;'
                    f'width:{100 * (end - start) / coverage.size:.2f}%"></i>')
    return (f'<span class="cov" role="img" aria-label="{label}" title="{label}">'
            f'{"".join(runs)}</span>')
