"""The time line of a playback: its words, its marks of alarms, its wall clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import groupby

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import formats
from components.blocks import Html
from components.markup import symbol

FORMAT = "ddd D MMM HH:mm:ss"
PARTS = 240
TIERS = ("", "info", "warning", "trip")


def words(when: datetime) -> str:
    """"Sat 21 Nov 16:20:05" on the viewer's wall clock."""
    return formats.local_time(when, st.context.timezone, seconds=True)


def time_line(when: datetime, said: Sequence[str]) -> Html:
    """The time that is shown, and what there is to know about it."""
    rest = "".join(f"<span>{escape(text)}</span>" for text in said)
    return Html(f'<div class="o o-then">{symbol("history")}<b><time datetime='
                f'"{when.isoformat()}">{escape(words(when))}</time></b>{rest}</div>')


def marks(worst: NDArray[np.int8] | None) -> Html:
    """When alarms called, by the worst tier of each part; an empty line where none did."""
    told = [] if worst is None else list(_runs(worst))
    bars = "".join(
        f'<i class="t{tier}" style="left:{100 * first / PARTS:.3f}%;'
        f'width:{100 * (last - first) / PARTS:.3f}%"></i>' for tier, first, last in told)
    alt = f' role="img" aria-label="{_spoken(told)}"' if told else ""
    return Html(f'<div class="o-called"{alt}>{bars}</div>')


def ends(low: datetime, high: datetime) -> Html:
    """What the line begins and ends with, by the wall clock; the day where there are several."""
    shape = "%H:%M" if low.date() == high.date() else "%a {day} %b %H:%M"
    first, last = (one.strftime(shape.format(day=one.day)) for one in (low, high))
    return Html(f'<div class="o-ends"><span>{first}</span><span>{last}</span></div>')


def _runs(worst: NDArray[np.int8]) -> list[tuple[int, int, int]]:
    """(tier, first, end) of neighbours with one tier."""
    found = []
    for tier, parts in groupby(range(len(worst)), key=lambda part: int(worst[part])):
        run = list(parts)
        if tier:
            found.append((tier, run[0], run[-1] + 1))
    return found


def _spoken(told: Sequence[tuple[int, int, int]]) -> str:
    counts = [(word, sum(tier == one for one, _, _ in told)) for tier, word in enumerate(TIERS)]
    return "Alarms called: " + ", ".join(formats.counted(count, word)
                                         for word, count in reversed(counts) if word and count)


def zoom_for(widths: Mapping[str, timedelta | None], ago: timedelta) -> str:
    """The closest look from the end of history that has what lies so far before it."""
    return next(name for name, width in widths.items() if width is None or ago <= width)


def offset_at(when: datetime) -> timedelta:
    """Of the viewer's wall clock from UTC at that time. The whole line keeps to it: a clock that
    is set back would bend it."""
    local = when.astimezone(formats.zone(st.context.timezone))
    return local.utcoffset() or timedelta(0)


def wall_of(when: datetime, offset: timedelta) -> datetime:
    """For the slider, whole seconds without a zone."""
    return (when.astimezone(UTC) + offset).replace(tzinfo=None, microsecond=0)


def moment_of(wall: datetime, offset: timedelta) -> datetime:
    """The inverse of `wall_of`."""
    return wall.replace(tzinfo=UTC) - offset
