"""The reasons of a time hour by hour: what binds in each, and what one more would be worth."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from components import blocks, formats
from components.blocks import Html
from components.coordinator import stretches, words
from components.coordinator.stretches import Stretch
from core.coordinator.plan import Binding, Plan
from core.coordinator.view import Ahead, SiteView

HEAD = Html('<div class="o-row hd o-cohour"><span>From</span><span class="rt">Fleet</span>'
            '<span class="rt">A stored kWh</span><span>Binds; one more would save</span></div>')
NOTHING = "nothing"


def show(view: SiteView, ahead: Ahead, one: Stretch) -> None:
    """Nothing of a time within one hour: it is told as a whole."""
    found = hours(ahead.plan, one, st.context.timezone)
    if len(found) < 2:
        return
    with st.expander("Hour by hour", key="coordinator_hours"):
        blocks.show(Html(f'<div class="o o-rows">{HEAD}'
                         + "".join(row(view, ahead, each) for each in found) + "</div>"))


def hours(plan: Plan, one: Stretch, zone: str | None) -> list[range]:
    """The steps of a stretch, cut where an hour of the wall clock begins."""
    cuts = [step for step in one.steps if step == one.first or _hour(plan, step, zone) != _hour(
        plan, step - 1, zone)]
    return [range(begin, end) for begin, end in zip(cuts, [*cuts[1:], one.last], strict=True)]


def _hour(plan: Plan, step: int, zone: str | None) -> int:
    return stretches.moment(plan, step).astimezone(formats.zone(zone)).hour


def row(view: SiteView, ahead: Ahead, steps: range) -> str:
    plan, part = ahead.plan, slice(steps.start, steps.stop)
    when = words.clock(stretches.moment(plan, steps.start), st.context.timezone, view.at)
    worth = formats.MISSING if plan.energy_worth is None else formats.number(
        float(np.mean(plan.energy_worth[part])), 3)
    held = stretches.binding_in(plan, steps)
    told = "; ".join(binding(each, steps, view.currency) for each in held) or (
        NOTHING if plan.energy_worth is not None else "not known to this controller")
    return (f'<div class="o-row o-cohour"><span class="num">{escape(when)}</span>'
            f'<span class="num rt">{escape(words.signed(float(plan.fleet_kw[part].mean())))}</span>'
            f'<span class="num rt">{worth}</span><span class="mut">{escape(told)}</span></div>')


def binding(held: Binding, steps: range, currency: str) -> str:
    """"import limit 0.045 EUR/kW"."""
    unit = f"{currency}/{held.unit}" if currency else f"a {held.unit}"
    return f"{held.limit} {formats.number(held.worth_in(steps), 3)} {unit}"
