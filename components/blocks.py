"""The building blocks of every page: functions that return HTML, and `show` for st.html.

One import for a page: the rows of `components.rows` and the pieces of `components.markup`
are here too. What `st.html` draws cannot be clicked, for it replaces its nodes when the text
changes; `press_rows` lays real buttons over it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

import streamlit as st
from numpy.typing import ArrayLike

from components import formats
from components.formats import Text
from components.markup import (
    EMPTY,
    Content,
    Html,
    code,
    direction_mark,
    html,
    join,
    markdown,
    pill,
    strong,
    symbol,
    tier_pill,
)
from components.rows import (
    ALARM_HEAD,
    HOUSE_HEAD,
    SYSTEM_HEAD,
    AlarmRow,
    Pair,
    PressRow,
    SourceRow,
    SystemRow,
    alarm_row,
    alarm_rows,
    details,
    full_scale,
    source_rows,
    system_row,
    system_rows,
)
from components.sparkline import sparkline
from components.tokens import DARK, tokens
from core.vocabulary import Direction

__all__ = [
    "ALARM_HEAD", "EMPTY", "HOUSE_HEAD", "STYLE", "SYSTEM_HEAD", "Alarm", "AlarmRow", "Content",
    "Html", "LegendItem", "Pair", "PressRow", "SourceRow", "SystemRow", "Text", "alarm_row",
    "alarm_rows", "card", "code", "details", "direction_mark", "grid", "heading", "html", "join",
    "legend", "markdown", "note", "pill", "press_alarms", "press_rows", "press_systems", "show",
    "show_page_style", "show_style", "source_rows", "state_box", "strong", "style", "symbol",
    "system_row", "system_rows", "tier_pill", "title",
]

_CSS = Path(__file__).with_name("blocks.css")
PRESSED, PRESS_HOLDS_S = "pressed_", 10.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """The part of a title that is an alarm: "2 alarms"."""

    text: str


def style(theme: str | None = None, palette: str = "default") -> Html:
    """The <style> of all blocks. Colours follow the browser's theme by themselves; `theme`
    is for dialogs and popovers alone, which lie outside of what Streamlit themes."""
    dark, light = _palettes(palette)
    variables = "".join(f"--o-{name.replace('_', '-')}:light-dark({light[name]},{dark[name]});"
                        for name in DARK)
    outside = "" if theme is None else (
        f"[role=dialog],[data-baseweb=popover]{{color-scheme:{_theme(theme)}}}")
    return Html(f"<style>:root{{{variables}--o-r:6px}}{_rules()}{outside}</style>")


@lru_cache(maxsize=1)
def _rules() -> str:
    return _CSS.read_text(encoding="utf-8")


def _theme(theme: str) -> str:
    return "light" if theme == "light" else "dark"


def _palettes(palette: str) -> tuple[dict[str, str], dict[str, str]]:
    return tokens("dark", palette), tokens("light", palette)


STYLE = style()


def title(*parts: Content | Alarm, sub: Sequence[Content] = ()) -> Html:
    """The answer as the page's <h1>: `title("5 systems, ", power(1240), " discharging, ",
    Alarm("2 alarms"), sub=[pill("live", "Live"), "newest 1 s ago"])`."""
    answer = "".join(_title_part(part) for part in parts)
    below = "".join(item if isinstance(item, Html) else f"<span>{html(item)}</span>"
                    for item in sub)
    return Html(f'<div class="o o-title"><h1 class="o-h">{answer}</h1>'
                f'<div class="o-sub">{below}</div></div>')


def _title_part(part: Content | Alarm) -> str:
    if isinstance(part, Alarm):
        return f'<span class="al">{escape(part.text)}</span>'
    return html(part, "o-u")


def heading(text: str, aside: Content = "") -> Html:
    """The head of a panel or of rows; `aside` (a word or a legend) stands at the right."""
    right = aside if isinstance(aside, Html) else f"<span>{html(aside)}</span>"
    return Html(f'<div class="o o-h2"><b role="heading" aria-level="2">{escape(text)}</b>'
                f'{right}</div>')


def card(label: str, reading: Text, *, hue: str = "", age_s: float | None = None,
         direction: Direction | None = None, icon: str = "", note: str = "",
         history: ArrayLike | None = None, stale: bool = False, alarm: bool = False,
         below: str = "", help: str = "") -> Html:
    """One number with its age [s], word and history (oldest first, NaN = gap).

    below: a second, quieter line, which may wrap; help: what the number means, shown under the
    pointer.

    hue: a colour token; it fills the swatch and the last point, never the number. direction
    gives arrow and word; otherwise `icon` (a Material symbol) and `note` stand there.
    """
    classes = "o-card" + " stale" * stale + " alarm" * alarm
    swatch = f'<i class="sw-{escape(hue)}"></i>' if hue != "" else ""
    aged = "" if age_s is None else f'<span class="ag">{formats.age(age_s)}</span>'
    colour = f' style="--c:var(--o-{escape(hue)})"' if hue != "" else ""
    line = "" if history is None else sparkline(history, hue if hue != "" else "text2")
    quiet = f'<div class="bl">{escape(below)}</div>' if below else ""
    meant = f' title="{escape(help)}"' if help else ""
    return Html(
        f'<div class="{classes}"{colour}{meant}>'
        f'<div class="lb">{swatch}<span>{escape(label)}</span>{aged}</div>'
        f'<div class="v">{html(reading, "o-u")}</div>'
        f"{_card_state(direction, icon, note)}{quiet}{line}</div>")


def _card_state(direction: Direction | None, icon: str, note: str) -> str:
    word, colour = note, ""
    if direction is not None:
        icon = formats.direction_icon(direction)
        colour = f' style="--c:var(--o-{formats.direction_hue(direction)})"'
        word = formats.direction_word(direction) if note == "" else note
    mark = symbol(icon) if icon else ""
    return f'<div class="st"{colour}>{mark}<span>{escape(word)}</span></div>'


def grid(cards: Iterable[Html], columns: int = 6) -> Html:
    """Cards, at most `columns` side by side, two on a phone."""
    return Html(f'<div class="o o-grid" style="--n:{columns}">{"".join(cards)}</div>')


def state_box(icon: str, what: str, why: Content = "", do: Content = "", *,
              error: bool = False, height_px: int = 0) -> Html:
    """Nothing to show: what, why and what to do. An error is a solid frame, never red."""
    reason = f"<div>{html(why)}</div>" if why else ""
    advice = f'<div class="do">{html(do)}</div>' if do else ""
    return Html(f'<div class="o o-state{" err" * error}" style="--h:{height_px}px">'
                f"{symbol(icon)}<div><b>{escape(what)}</b>{reason}{advice}</div></div>")



def note(text: Content) -> Html:
    """A quiet line."""
    return Html(f'<div class="o o-note">{html(text)}</div>')


@dataclass(frozen=True, slots=True)
class LegendItem:
    """shape: "area", "line", "dash", "dots", "band" or "point"; hue: a colour token."""

    label: str
    hue: str
    shape: str = "line"


_SHAPES: dict[str, str] = {"area": "", "line": "l", "dash": "d", "dots": "t", "band": "b",
                           "point": "o"}


def legend(items: Iterable[LegendItem]) -> Html:
    """A legend in HTML: it wraps on a phone, where Plotly's took four lines."""
    parts = "".join(f'<span><i class="{_SHAPES[item.shape]}" '
                    f'style="--c:var(--o-{escape(item.hue)})"></i>{escape(item.label)}</span>'
                    for item in items)
    return Html(f'<div class="o-lg">{parts}</div>')


def show_style(theme: str | None, palette: str = "default") -> None:
    """First thing of every run; takes no room on the page."""
    st.html(style(theme, palette))


def show_page_style(package: str) -> None:
    """What only one page needs: components/PACKAGE/PACKAGE.css; "" for a page without."""
    st.html(f"<style>{_page_rules(package)}</style>")


@lru_cache(maxsize=16)
def _page_rules(package: str) -> str:
    if not package:
        return ""
    return Path(__file__).with_name(package).joinpath(f"{package}.css").read_text(encoding="utf-8")


def press_rows(rows: Sequence[PressRow], *, key: str, head: Html = EMPTY) -> str | None:
    """Rows that can be pressed: a button without a face lies over each, so that focus stays
    while the numbers below it change. Returns the id of the one that was pressed, also where it
    is no longer among `rows`: a refresh may take away what a person just pressed."""
    with st.container(key=f"rows_{key}", gap=None):
        if head != "":
            show(head)
        for row in rows:
            with st.container(key=f"hit_{key}_{row.id}", gap=None):
                show(row.html)
                st.button(markdown(row.label), key=f"press_{key}_{row.id}", width="stretch",
                          on_click=_press, args=(key, row.id))
    return _pressed(key)


def _press(key: str, row_id: str) -> None:
    """Streamlit calls it before it draws anew, with the rows that the person saw."""
    st.session_state[PRESSED + key] = row_id, time.monotonic()


def _pressed(key: str) -> str | None:
    """None also where a press has waited for rows that were not drawn for long."""
    row_id, at_s = st.session_state.pop(PRESSED + key, (None, 0.0))
    return row_id if time.monotonic() - at_s < PRESS_HOLDS_S else None


def press_systems(rows: Mapping[str, SystemRow], *, key: str, full_kw: float | None = None,
                  head: Html = SYSTEM_HEAD) -> str | None:
    """`system_rows` that can be pressed; keys are ids, the answer is the pressed one."""
    scale = full_scale(row.power_kw for row in rows.values()) if full_kw is None else full_kw
    return press_rows([PressRow(row_id, f"Open {row.name}", system_row(row, scale))
                       for row_id, row in rows.items()], key=key, head=head)


def press_alarms(rows: Mapping[str, AlarmRow], *, key: str, compact: bool = False) -> str | None:
    """`alarm_rows` that can be pressed; keys are ids, the answer is the pressed one."""
    return press_rows([PressRow(row_id, f"Open {row.element}", alarm_row(row, compact=compact))
                       for row_id, row in rows.items()], key=key,
                      head=EMPTY if compact else ALARM_HEAD)


def show(*blocks: Html) -> None:
    """One element of the page for all `blocks`; empty ones are left out."""
    st.html("".join(blocks))
