"""Why the plan is as it is: what binds, what one more kW or kWh is worth, what cannot be met."""

from __future__ import annotations

import math
from datetime import datetime
from html import escape

import numpy as np
import streamlit as st

from components import blocks, formats
from components.blocks import Html, Pair, PressRow
from components.coordinator import choice, hourly, stretches, words
from components.coordinator.stretches import Stretch
from core.coordinator.plan import Binding, Exceeded
from core.coordinator.problem import Band
from core.coordinator.view import Ahead, SiteView

HEAD = Html('<div class="o o-row hd o-cowhy"><span>When</span><span>Fleet</span>'
            '<span class="rt">Price</span><span>Why</span></div>')


def show(view: SiteView, ahead: Ahead) -> None:
    """Times of one behaviour; a press tells all of one."""
    one = chosen(view, ahead)
    found = [each for each in stretches.stretches(ahead) if each.end > view.at]
    blocks.show(blocks.heading("Why?", "press a time for its reasons"))
    if ahead.plan.controller == "rl" and ahead.plan.words:
        blocks.show(blocks.note(words.sentence(ahead.plan.words)))
    zone = st.context.timezone
    rows = [PressRow(each.start.isoformat(), f"Why from {words.clock(each.start, zone, view.at)}",
                     _row(view, ahead, each, each.first == one.first)) for each in found]
    pressed = blocks.press_rows(rows, key="coordinator_why", head=HEAD)
    if pressed is not None:
        choice.choose_hour(datetime.fromisoformat(pressed))
        st.rerun(scope="fragment")
    _hour(view, ahead, one)


def chosen(view: SiteView, ahead: Ahead) -> Stretch:
    """Of the hour that the address names, else the present one."""
    found = stretches.stretches(ahead)
    when = choice.hour()
    if when is None or stretches.step_at(ahead.plan, when) is None:
        when = view.at
    return found[stretches.at(found, when)]


def _row(view: SiteView, ahead: Ahead, one: Stretch, on: bool) -> Html:
    zone = st.context.timezone
    place = stretches.stretches(ahead).index(one)
    power = "" if one.way == "idle" else str(formats.magnitude(one.fleet_kw))
    told = blocks.direction_mark(one.way, words.DOES[one.way].capitalize())
    return Html(
        f'<div class="o o-row o-cowhy{" on" * on}"><span class="num">'
        f"{words.clock(one.start, zone, view.at)} to {words.clock(one.end, zone, view.at)}</span>"
        f'<span>{told} <b>{escape(power)}</b></span>'
        f'<span class="num">{words.prices(one, "").removesuffix(" a kWh")}</span>'
        f'<span class="mut">{escape(words.why(view, ahead, place, zone))}</span></div>')


def _hour(view: SiteView, ahead: Ahead, one: Stretch) -> None:
    zone, currency = st.context.timezone, view.currency
    part = slice(one.first, one.last)
    pairs = [
        Pair("Load expected", _mean(ahead.outlook.load_kw, part), _within(
            ahead.outlook.load_kw, part)),
        Pair("PV expected", _mean(ahead.outlook.pv_kw, part), _within(ahead.outlook.pv_kw, part)),
        Pair("Grid planned", words.grid(float(ahead.plan.grid_kw[part].mean()))),
        Pair("Import price", words.prices(one, currency)),
        Pair("Export price", words.price(one.export_price, currency)),
        Pair("Charge", f"{formats.number(float(ahead.soc_pct[one.first]))} to "
             f"{formats.number(float(ahead.soc_pct[one.last]))} %"),
        Pair("One more kWh stored is worth", _worth(ahead, part, currency))]
    blocks.show(Html('<div class="o-cosay">'), blocks.details(
        f"{words.clock(one.start, zone, view.at)} to {words.clock(one.end, zone, view.at)}",
        [blocks.direction_mark(one.way, words.DOES[one.way].capitalize())], pairs), Html("</div>"),
        blocks.heading("Limits that bind then", "what one more would save in this time"),
        _bindings(stretches.binding_in(ahead.plan, one.steps), ahead, one, currency))
    hourly.show(view, ahead, one)
    missed = not_met(ahead, zone, view.at)
    if missed:
        blocks.show(*missed)


def _mean(band: Band, part: slice) -> str:
    return str(formats.power(float(band.expected[part].mean())))


def _within(band: Band, part: slice) -> str:
    low, high = float(band.low[part].mean()), float(band.high[part].mean())
    return f"most likely {formats.power(low)} to {formats.power(high)}"


def _worth(ahead: Ahead, part: slice, currency: str) -> str:
    known = ahead.plan.energy_worth
    if known is None:
        return "not known to this controller"
    return words.price(float(np.mean(known[part])), currency)


def _bindings(held: list[Binding], ahead: Ahead, one: Stretch, currency: str) -> Html:
    if not held:
        known = ahead.plan.energy_worth is not None
        return blocks.note("None: more power or room would save nothing." if known else
                           "This controller does not know: it follows rules, no limit has a price.")
    return Html("".join(_binding(each, one, currency) for each in held))


def _binding(held: Binding, one: Stretch, currency: str) -> Html:
    inside = sum(step in one.steps for step in held.steps)
    when = "all of this time" if inside == len(one.steps) else \
        f"{formats.number(100 * inside / len(one.steps))} % of this time"
    saved = held.worth_in(one.steps)
    worth = f"{formats.number(saved, 3)} {currency}/{held.unit}" if math.isfinite(
        saved) else formats.MISSING
    return Html(f'<div class="o o-colimit"><span>{escape(words.capital(held.limit))}'
                f'<small>{when}</small></span><span class="num">{escape(worth)}</span></div>')


def not_met(ahead: Ahead, zone: str | None, now: datetime) -> list[Html]:
    """Of the whole plan: what cannot be met must not hide in an hour."""
    if not ahead.plan.exceeded:
        return []
    return [blocks.heading("What could not be met", "its most, and why"),
            Html("".join(_not_met(each, ahead, zone, now) for each in ahead.plan.exceeded))]


def _not_met(one: Exceeded, ahead: Ahead, zone: str | None, now: datetime) -> Html:
    when = words.clock(stretches.moment(ahead.plan, one.step), zone, now)
    return Html(f'<div class="o o-colimit"><span>{escape(words.capital(one.limit))}, {when}'
                f'<small>{escape(one.why)}</small></span><span class="num">'
                f"{formats.number(one.by, 1)} {one.unit}</span></div>")
