"""Lists of systems, alarms and sources, and the details of one element, as HTML strings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from components import formats
from components.markup import Content, Html, html, pill, symbol, tier_pill
from core.vocabulary import Direction

SYSTEM_HEAD = Html(
    '<div class="o-row hd o-site"><span>System</span><span>Direction</span>'
    '<span class="rt">Power</span><span class="ct">charge | discharge</span>'
    '<span>State of charge</span><span></span><span class="rt">Age</span></div>')
HOUSE_HEAD = Html(SYSTEM_HEAD.replace("<span>System</span>", "<span>House</span>"))
ALARM_HEAD = Html(
    '<div class="o-row hd o-alr"><span>State</span><span>Element</span><span>What</span>'
    "<span>Since</span><span>Acknowledged</span></div>")


@dataclass(frozen=True, slots=True)
class SystemRow:
    """power_kw: + discharging [kW], NaN missing. soc_pct [%]. age_s [s]. tier: the worst
    alarm's (0 none). pills: made by `blocks.pill`. note: a word under a silent row."""

    name: str
    direction: Direction
    power_kw: float
    soc_pct: float
    age_s: float
    stale: bool = False
    tier: int = 0
    pills: tuple[Html, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """tier: 1 info, 2 warning, 3 trip. what: "3.66 V, trip limit 3.65 V". since: "03:37:12,
    4 min". who: who acknowledged it. state: "" (active), "cleared" or "shelved"."""

    tier: int
    element: str
    what: str
    since: str
    who: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """kind: "live", "simulated" or "recorded". note: what is wrong, "" when nothing is."""

    label: str
    age_s: float
    stale: bool = False
    kind: str = "live"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of the details; note: the id of the leaf that an extreme comes from."""

    label: str
    value: Content
    note: str = ""


@dataclass(frozen=True, slots=True)
class PressRow:
    """A row under a button; label: what the button is called, "Open System 2"."""

    id: str
    label: str
    html: Html


def system_rows(rows: Sequence[SystemRow], *, full_kw: float | None = None,
                head: bool = True) -> Html:
    """Rows in the caller's order. full_kw: the power at the end of the bars [kW]; without
    it the smallest of 1, 2, 5, 10 ... that holds every row."""
    scale = full_kw if full_kw is not None else full_scale(row.power_kw for row in rows)
    body = "".join(system_row(row, scale) for row in rows)
    return Html(f'<div class="o o-rows">{SYSTEM_HEAD if head else ""}{body}</div>')


def system_row(row: SystemRow, full_kw: float) -> Html:
    """One row, to stand inside of `.o-rows`; full_kw: the end of the power bar [kW]."""
    classes = "o-row o-site" + " old" * row.stale + (f" t{row.tier}" if row.tier > 1 else "")
    power = formats.magnitude(row.power_kw)
    pills = "".join(row.pills)
    note = f'<span class="mut">{escape(row.note)}</span>' if row.note else ""
    return Html(
        f'<div class="{classes}" style="--c:var(--o-{formats.direction_hue(row.direction)})">'
        f'<span class="nm" title="{escape(row.name)}">{escape(row.name)}</span>'
        f'<span class="sta">{symbol(formats.direction_icon(row.direction))} '
        f"{formats.direction_word(row.direction)}</span>"
        f'<span class="num pw">{html(power)}</span>{_power_bar(row.power_kw, full_kw)}'
        f'{_soc_bar(row.soc_pct)}<span class="alc">{pills}{note}</span>'
        f'<span class="agc">{formats.age(row.age_s)}</span></div>')


def full_scale(powers_kw: Iterable[float]) -> float:
    """1, 2 or 5 times a power of ten [kW], so that the bars do not breathe."""
    highest = max((abs(kw) for kw in powers_kw if math.isfinite(kw)), default=0.0)
    if highest <= 0:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(highest))
    return next(step * decade for step in (1, 2, 5, 10) if step * decade >= highest)


def _power_bar(kw: float, full_kw: float) -> str:
    """Zero in the middle, charging to the left, discharging to the right."""
    if not math.isfinite(kw):
        return '<span class="o-dv"></span>'
    half = min(abs(kw) / full_kw, 1.0) * 50
    left = 50 - half if kw < 0 else 50.0
    return (f'<span class="o-dv"><div style="left:{left:.1f}%;width:{half:.1f}%"></div></span>')


def _soc_bar(soc_pct: float) -> str:
    width = min(max(soc_pct, 0.0), 100.0) if math.isfinite(soc_pct) else 0.0
    return (f'<span class="o-soc"><span class="b"><div style="width:{width:.1f}%"></div></span>'
            f'<span class="num">{html(formats.quantity(soc_pct, "%"))}</span></span>')


def alarm_rows(rows: Sequence[AlarmRow], *, compact: bool = False) -> Html:
    """Alarms in the caller's order; compact: two lines a row, for beside other things."""
    head = "" if compact else ALARM_HEAD
    return Html(f'<div class="o o-rows">{head}'
                f'{"".join(alarm_row(row, compact=compact) for row in rows)}</div>')


def alarm_row(row: AlarmRow, *, compact: bool = False) -> Html:
    """One row, to stand inside of `.o-rows`."""
    over = row.state == "cleared"
    bar = f" t{row.tier}" if row.tier > 1 and row.state == "" else ""
    classes = "o-row o-alr" + " o-alc" * compact + bar + " clr" * over
    mark = tier_pill(row.tier) if row.state == "" else pill(row.state, row.state.capitalize())
    cells = [f"<span>{mark}</span>", f'<span class="nm">{escape(row.element)}</span>',
             f"<span>{escape(row.what)}</span>", f'<span class="mut">{escape(row.since)}</span>']
    if not compact:
        cells.append(f'<span class="mut">{escape(row.who)}</span>')
    return Html(f'<div class="{classes}">{"".join(cells)}</div>')


_SOURCE_ICONS: dict[str, str] = {"live": "radio_button_checked", "simulated": "science",
                                 "recorded": "movie"}


def source_rows(rows: Iterable[SourceRow]) -> Html:
    """The sources with their ages, for the sidebar; a silent one has its age in bold."""
    return Html(f'<div class="o o-src">{"".join(_source_row(row) for row in rows)}</div>')


def _source_row(row: SourceRow) -> str:
    name = "link_off" if row.stale else _SOURCE_ICONS.get(row.kind, _SOURCE_ICONS["live"])
    note = f"<small>{escape(row.note)}</small>" if row.note else ""
    return (f'{symbol(name)}<span class="n">{escape(row.label)}{note}</span>'
            f'<span class="a{" old" * row.stale}">{formats.age(row.age_s)}</span>')


def details(name: str, state: Sequence[Html], pairs: Iterable[Pair], note: Content = "") -> Html:
    """One element: name, state (marks and pills), key and value pairs, a note."""
    lines = "".join(f"<span>{escape(pair.label)}</span>{_pair_value(pair)}" for pair in pairs)
    below = f'<div class="o-note">{html(note)}</div>' if note else ""
    return Html(f'<div class="o o-det"><div class="nm">{escape(name)}</div>'
                f'<div class="sta">{"".join(state)}</div>'
                f'<div class="o-kv">{lines}</div>{below}</div>')


def _pair_value(pair: Pair) -> str:
    note = f"<small>{escape(pair.note)}</small>" if pair.note else ""
    return f"<span>{html(pair.value)}{note}</span>"

