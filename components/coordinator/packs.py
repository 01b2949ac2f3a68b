"""The last allocation, pack by pack: what was asked, why, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import streamlit as st

from components import blocks, formats
from components.api_client import LocalClient
from components.blocks import Html, PressRow
from components.coordinator import choice, stretches, words
from core.coordinator.view import Allocated, Delivery, LeftOut, PackShare, SiteView
from core.vocabulary import Direction

FLEET = "pages/fleet.py"
SHOW, SCREEN = "coordinator_packs_show", "coordinator_packs_screen"
ALL, DIFFERENT, UNDELIVERED = "All", "Not an equal share", "Not delivered"
ROWS = 25
DELIVERIES: dict[Delivery, tuple[str, str]] = {
    "delivered": ("check", "delivered"), "on its way": ("schedule", "on its way"),
    "refused": ("block", "not taken"), "silent": ("cloud_off", "silent")}
HEAD = Html('<div class="o o-row hd o-copack"><span>Pack</span><span class="rt">Asked</span>'
            '<span class="ct">between what it can take and give</span>'
            '<span class="rt">Measured</span><span class="rt">Charge</span><span>Taken</span>'
            "<span>Why</span></div>")


def show(client: LocalClient, site: str) -> None:
    """One screen of rows, those that need a look first; a press opens the pack's page."""
    known = choice.coordination(client)
    if known is None:
        return
    view = known.view(site)
    if view.allocated is None:
        blocks.show(blocks.state_box(
            "battery_unknown", "Nothing is allocated",
            "No plan and no override is in force, so that each pack goes its own way."))
    else:
        _allocated(view, view.allocated)
    _named("Not planned with", "and what to do", view.left_out)
    _named("Planned with for less than they say", "by the digital twin, never for more",
           view.narrowed)
    if view.settings.controller != "off":
        blocks.show(blocks.note(words.silent(view.silence)))


def _allocated(view: SiteView, last: Allocated) -> None:
    blocks.show(blocks.heading(_head(view, last), told(view, last)))
    chosen = st.segmented_control("Show", [ALL, DIFFERENT, UNDELIVERED], default=ALL, required=True,
                                  key=SHOW, label_visibility="collapsed") or ALL
    found = wanted(last.shares, chosen)
    if not found:
        blocks.show(blocks.state_box("done_all", {
            DIFFERENT: "Every pack has an equal share",
            UNDELIVERED: "Every pack takes what it is asked"}.get(chosen, "No pack")))
        return
    last_screen = (len(found) - 1) // ROWS
    screen = min(int(st.session_state.get(SCREEN, 0)), last_screen)
    shown = found[screen * ROWS:(screen + 1) * ROWS]
    full = max([1e-9, *(max(one.charge_kw, one.discharge_kw) for one in last.shares
                        if math.isfinite(one.charge_kw + one.discharge_kw))])
    pressed = blocks.press_rows(
        [PressRow(one.element, f"Open {one.label}", row(one, full)) for one in shown],
        key="coordinator_packs", head=HEAD)
    if last_screen:
        _turn(screen, last_screen, len(found))
    if pressed is not None:
        st.switch_page(FLEET, query_params={"pack": pressed})


def _head(view: SiteView, last: Allocated) -> str:
    return f"Last allocation, {formats.age((view.at - last.at).total_seconds())} ago"


def told(view: SiteView, last: Allocated) -> str:
    """"plan: 42.0 kW in over 24 packs, until 05:41"."""
    by = {"plan": "by the plan", "override": "by the override", "nothing": "by nobody"}[last.source]
    text = (f"{by}: {words.signed(last.sum_kw)} over {formats.counted(len(last.shares), 'pack')}, "
            f"holds until {formats.local_time(last.valid_until, st.context.timezone)}")
    return f"{text}; {last.words}" if last.words else text


def wanted(shares: Sequence[PackShare], chosen: str) -> list[PackShare]:
    """Not delivered first, then those that differ, each by name."""
    kept = [one for one in shares if chosen == ALL or (chosen == DIFFERENT and one.why)
            or (chosen == UNDELIVERED and one.delivery in ("refused", "silent"))]
    return sorted(kept, key=lambda one: (one.delivery not in ("refused", "silent"), not one.why,
                                         one.label))


def _turn(screen: int, last_screen: int, count: int) -> None:
    with st.container(key="coordinator_pages", horizontal=True, horizontal_alignment="right",
                      vertical_alignment="center"):
        blocks.show(blocks.note(f"{screen * ROWS + 1} to {min((screen + 1) * ROWS, count)} of "
                                f"{formats.number(count)}"))
        for by, icon, name in ((-1, "chevron_left", "Packs before"),
                               (1, "chevron_right", "More packs")):
            if st.button(name, key=f"coordinator_page_{by}", icon=f":material/{icon}:",
                         disabled=not 0 <= screen + by <= last_screen):
                st.session_state[SCREEN] = screen + by
                st.rerun(scope="fragment")


def row(one: PackShare, full_kw: float) -> Html:
    """full_kw: the half width of the bar, one for all packs so that they compare."""
    way = _way(one.asked_kw)
    icon, word = DELIVERIES[one.delivery]
    off = one.delivery in ("refused", "silent")
    why = "; ".join(part for part in (one.refusal, one.why) if part) or "an equal share"
    asked = "rests" if way == "idle" else str(formats.magnitude(one.asked_kw))
    return Html(
        f'<div class="o o-row o-copack{" off" * off}"><span class="nm">{escape(one.label)}</span>'
        f'<span class="num" style="--c:var(--o-{formats.direction_hue(way)})">'
        f'<i class="arrow">{blocks.symbol(formats.direction_icon(way))}</i>{escape(asked)}</span>'
        f"{_bar(one, full_kw, way)}"
        f'<span class="num mea">{escape(words.signed(one.power_kw))}</span>'
        f'<span class="num soc">{blocks.html(formats.quantity(one.soc_pct, "%"))}</span>'
        f'<span class="del">{blocks.symbol(icon)} {word}</span>'
        f'<span class="mut why">{escape(why)}</span></div>')


def _way(kw: float) -> Direction:
    if abs(kw) < stretches.IDLE_KW / 10:
        return "idle"
    return "discharging" if kw > 0 else "charging"


def _bar(one: PackShare, full_kw: float, way: Direction) -> str:
    """What it can take and give as a trough, what it was asked as a bar, an equal share as a
    tick."""
    def at(kw: float) -> float:
        return 50 + 50 * min(max(kw / full_kw, -1.0), 1.0)

    known = math.isfinite(one.charge_kw + one.discharge_kw)
    low, high = (at(-one.charge_kw), at(one.discharge_kw)) if known else (50.0, 50.0)
    left, right = sorted((50.0, at(one.asked_kw)))
    return (f'<span class="box" style="--c:var(--o-{formats.direction_hue(way)})">'
            f'<i class="can" style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
            f'<i class="ask" style="left:{left:.1f}%;width:{right - left:.1f}%"></i>'
            f'<i class="even" style="left:{at(one.equal_kw):.1f}%"></i></span>')


def _named(title: str, sub: str, packs: Sequence[LeftOut]) -> None:
    if not packs:
        return
    more = len(packs) - ROWS
    blocks.show(blocks.heading(title, sub), Html("".join(
        f'<div class="o o-colimit"><span>{escape(one.label)}<small>{escape(one.why)}</small></span>'
        "</div>" for one in packs[:ROWS])))
    if more > 0:
        blocks.show(blocks.note(f"And {formats.counted(more, 'more pack')}."))
