"""The objectives: what is wanted of the fleet, seen as a plan before anybody applies it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import streamlit as st

from components import blocks, charts, formats, parts
from components.api_client import LocalClient
from components.blocks import Html, LegendItem
from components.coordinator import (
    choice,
    differences,
    figures,
    form,
    journal,
    money,
    orders,
    price_file,
    reasons,
    stretches,
    tariffs,
    words,
)
from core.coordinator.asked import Coordination
from core.coordinator.plan import CONTROLLERS, Controller, Cost
from core.coordinator.problem import Objectives
from core.coordinator.settings import BOUNDS, SiteSettings, written
from core.coordinator.view import Ahead, Preview, SiteView
from core.errors import OrreryError

BASE = "coordinator_base"
NO_CHALLENGER = "none"
HEIGHT = 360
LEGEND = (LegendItem("new plan out", "discharge", "area"),
          LegendItem("new plan in", "charge", "area"),
          LegendItem("present plan", "text", "dash"))


def show(client: LocalClient, site: str) -> None:
    """Left what is wanted, right what comes of it."""
    known = choice.coordination(client)
    if known is None:
        return
    view = known.view(site)
    _renew(view)
    with st.container(key="coordinator_wishes"):
        with st.container(key="coordinator_asked", gap="xsmall"):
            asked = _asked(client, known, view)
        with st.container(key="coordinator_seen", gap="xsmall"):
            _seen(client, known, view, asked)
            parts.guarded("Who set what", journal.changes, known, view)


def _renew(view: SiteView) -> None:
    """Widgets begin anew where somebody changed what is set, or another site is looked at."""
    base = (view.site, written(msgspec.structs.replace(view.settings, override=None)))
    if st.session_state.get(BASE, base) != base:
        form.forget()
    st.session_state[BASE] = base


def _asked(client: LocalClient, known: Coordination, view: SiteView) -> SiteSettings:
    blocks.show(blocks.heading("Who steers"))
    controller, challenger = _steers(view)
    blocks.show(blocks.heading("What is wanted"))
    objectives = _objectives(view.settings.objectives, view.currency)
    blocks.show(blocks.heading("What energy costs"))
    cost = tariffs.chosen(known, view)
    price_file.show(client, known, view)
    blocks.show(blocks.heading("Limits of the connection", "empty: none"))
    with st.container(key="coordinator_limits"):
        into = _limit("Import at most, kW", view.settings.import_limit_kw, "import_limit")
        out = _limit("Export at most, kW", view.settings.export_limit_kw, "export_limit")
    curtails = st.toggle("PV can be held back", view.settings.pv_curtailable,
                         key=form.key("pv_curtailable"), help="The site's inverter does so by "
                         "itself, where export is limited or costs money")
    blocks.show(blocks.heading("How fast power changes"))
    ramp_s = st.number_input(
        "From rest to full power, seconds", 1.0, 600.0, view.settings.ramp_s, 5.0, "%.0f",
        key=form.key("ramp_s"), help="Of each pack; a limit that gets tighter is kept at once")
    return SiteSettings(controller=controller, challenger=challenger, objectives=objectives,
                        tariff=cost.tariff, prices=cost.prices, prices_from=cost.prices_from,
                        import_limit_kw=into, export_limit_kw=out, pv_curtailable=curtails,
                        ramp_s=float(ramp_s), override=view.settings.override)


def _limit(label: str, held: float | None, name: str) -> float | None:
    told = st.number_input(label, 0.0, 1e6, held, 10.0, "%.1f", key=form.key(name),
                           placeholder="no limit")
    return None if told is None else float(told)


def _steers(view: SiteView) -> tuple[Controller, Controller | None]:
    held = view.settings
    shut = {one.controller: one.held_back for one in view.controllers if one.held_back}
    controller: Controller = st.segmented_control(
        "Controller", [one for one in CONTROLLERS if one not in shut or one == held.controller],
        default=held.controller, required=True, format_func=words.NAMES.__getitem__,
        key=form.key("controller"), label_visibility="collapsed") or held.controller
    for one, why in shut.items():
        blocks.show(held_back(one, why, one == held.controller))
    options = [NO_CHALLENGER, *(one for one in CONTROLLERS if one not in (controller, "off"))]
    begin = options.index(held.challenger) if held.challenger in options else 0
    picked = st.selectbox(
        "In its shadow", options, index=begin, key=form.key("challenger"),
        format_func=lambda one: words.NAMES.get(one, "Nobody"),
        help="Plans beside the controller from the same forecasts, drives nothing, and is scored")
    challenger: Controller | None = next((one for one in CONTROLLERS if one == picked), None)
    missing = [f"{words.NAMES[one.controller]}: {one.missing}" for one in view.controllers
               if one.missing]
    if missing:
        blocks.show(blocks.note("Not ready: " + "; ".join(missing) + "."))
    for one in view.shadows:
        if one.controller == held.challenger:
            blocks.show(money.shadow(one))
    return controller, challenger


def held_back(controller: Controller, why: str, chosen: bool) -> Html:
    """What the gate said, where a person would look for the choice."""
    name = words.NAMES[controller]
    told = f"{name} is chosen, but may not drive" if chosen else f"{name} cannot be chosen"
    return Html(f'<div class="o o-coline">{blocks.symbol("block")}<span><b>{told}.</b> The gate: '
                f"{blocks.html(words.sentence(why))} It may plan in the shadow, where it is "
                "scored.</span></div>")


def _objectives(held: Objectives, currency: str) -> Objectives:
    unit = currency or "a"
    with st.container(key="coordinator_sliders"):
        cost = _slider("Save on energy, times its price", "cost", held.cost, 3.0, 0.1,
                       "1 counts energy as it is billed; 0 does not look at prices")
        wear = _slider("Spare the packs, times their wear", "wear", held.wear, 3.0, 0.1,
                       "1 counts wear as it costs; higher means fewer cycles")
        peak = _slider(f"Shave the peak, {unit} per kW", "peak_per_kw", held.peak_per_kw, 20.0,
                       0.5, "For each kW that the highest import of the month is raised")
        export = _slider(f"Use PV here, {unit} per kWh", "export_per_kwh", held.export_per_kwh,
                         1.0, 0.05, "Beside the tariff, against each kWh that is exported")
        reserve = _slider("Keep for an outage, % of capacity", "reserve", 100 * held.reserve, 90.0,
                          5.0, "Stays in the packs; using it costs "
                          f"{held.reserve_per_kwh:g} {unit} per kWh", "%.0f")
    setpoint, miss = _setpoint(held, unit)
    return replace(held, cost=cost, wear=wear, peak_per_kw=peak, export_per_kwh=export,
                   reserve=reserve / 100, setpoint_kw=setpoint, setpoint_per_kwh=miss)


def _slider(label: str, name: str, held: float, most: float, step: float, help_: str,
            shape: str = "%.2f") -> float:
    low, high = BOUNDS[name]
    top = max(most, held) if name == "reserve" else min(max(most, held), high)
    return float(st.slider(label, max(0.0, low), float(top), float(max(held, 0.0)), step,
                           shape, key=form.key(name), help=help_))


def _setpoint(held: Objectives, unit: str) -> tuple[float | None, float]:
    on = st.toggle("Hold the connection at a set-point", held.setpoint_kw is not None,
                   key=form.key("setpoint_on"))
    if not on:
        return None, held.setpoint_per_kwh
    with st.container(key="coordinator_setpoint"):
        low, high = BOUNDS["setpoint_kw"]
        told = st.number_input("Set-point, kW, import positive", low, high,
                               float(held.setpoint_kw or 0.0), 10.0, "%.1f",
                               key=form.key("setpoint_kw"))
        miss = st.number_input(f"Missing it costs, {unit} per kWh", 0.0,
                               BOUNDS["setpoint_per_kwh"][1], held.setpoint_per_kwh, 0.05, "%.2f",
                               key=form.key("setpoint_per_kwh"))
    return float(told), float(miss)


# -- what comes of it


def _seen(client: LocalClient, known: Coordination, view: SiteView, asked: SiteSettings) -> None:
    if asked.tariff is not None:  # both plans are told at the new prices
        view = replace(view, currency=asked.tariff.currency)
    changed = differences.told(view.settings, asked, view.currency)
    blocks.show(blocks.heading("What would come of it",
                               blocks.legend(LEGEND) if changed else ""))
    if not changed:
        blocks.show(blocks.state_box("tune", "Nothing is changed yet",
                                     "Move something: the plan that it would make stands here "
                                     "beside the present one, before anything is applied."))
        return
    blocks.show(Html("".join(f'<div class="o o-coline">{blocks.symbol("arrow_forward")}'
                             f"{blocks.html(one)}</div>" for one in changed)))
    seen = _preview(known, view, asked)
    if isinstance(seen, Preview):
        _picture(view, seen)
    elif asked.controller != "off":
        blocks.show(blocks.state_box("error", "No plan can be made so", words.sentence(seen),
                                     error=True))
    orders.apply_button(client, known, view, asked, changed,
                        seen if isinstance(seen, Preview) else None, isinstance(seen, Preview)
                        or asked.controller == "off")


def _preview(known: Coordination, view: SiteView, asked: SiteSettings) -> Preview | str:
    """Made once for the same wish and plan."""
    made = None if view.ahead is None else view.ahead.plan.made_at
    key = (view.site, written(asked), made)
    kept = st.session_state.get(form.SEEN)
    if kept is not None and kept[0] == key:
        found: Preview | str = kept[1]
        return found
    try:
        found = known.preview(view.site, asked)
    except OrreryError as error:
        found = str(error)
    st.session_state[form.SEEN] = key, found
    return found


def _picture(view: SiteView, seen: Preview) -> None:
    look = figures.Look(st.context.theme.type, st.context.timezone, view.currency,
                        (float(stretches.edges_s(seen.ahead.plan)[0]),
                         float(stretches.edges_s(seen.ahead.plan)[-1])), view.at.timestamp())
    with st.container(key="panel_coordinator_preview"):
        charts.show(figures.compared(seen.before, seen.ahead, look), key="coordinator_compared",
                    height=HEIGHT, view=view.site,
                    alt="The fleet's power and charge by the new plan and by the present one")
    blocks.show(_bill(view, seen), *reasons.not_met(seen.ahead, st.context.timezone, view.at))


def _bill(view: SiteView, seen: Preview) -> Html:
    before, after = seen.before, seen.ahead
    old: Cost | None = None if before is None else before.plan.cost
    new = after.plan.cost
    rows = [("Energy", None if old is None else old.energy, new.energy, 2),
            ("Wear", None if old is None else old.wear, new.wear, 2),
            ("Peak", None if old is None else old.demand, new.demand, 2),
            ("Left in the packs", None if old is None else -seen.left_before, -seen.left, 2),
            ("All", None if old is None else old.total - seen.left_before, new.total - seen.left,
             2),
            ("Through the packs, kWh", _moved(before), _moved(after), 0),
            ("Highest import, kW", _peak(before), _peak(after), 1)]
    lines = "".join(
        f'<div class="o-row o-coprev{" on" * (name == "All")}"><span class="nm">{name}</span>'
        f'<span class="num mut2">{_number(was, digits)}</span>'
        f'<span class="num">{_number(will, digits)}</span>'
        f'<span class="num">{_change(was, will, digits)}</span></div>'
        for name, was, will, digits in rows if name != "Peak" or new.demand or (was or 0))
    head = (f'<div class="o-row hd o-coprev"><span>24 hours, {blocks.html(view.currency)}</span>'
            '<span class="rt">present</span><span class="rt">new</span>'
            '<span class="rt">change</span></div>')
    return Html(f'<div class="o o-rows">{head}{lines}</div>'
                f'<div class="o o-note">{_solved(seen.solve_s)}, from the same packs and '
                "forecasts; both at the new prices. What is left counts as what it costs to store "
                "it when that is cheap.</div>")


def _solved(seconds: float) -> str:
    return "Made at once" if seconds < 0.0005 else \
        f"Solved in {formats.number(1000 * seconds)} ms"


def _moved(ahead: Ahead | None) -> float | None:
    """Charged and discharged [kWh]."""
    if ahead is None:
        return None
    return float(abs(ahead.plan.pack_kw).sum()) * ahead.outlook.step_h


def _peak(ahead: Ahead | None) -> float | None:
    return None if ahead is None else max(0.0, float(ahead.plan.grid_kw.max()))


def _number(value: float | None, digits: int) -> str:
    return formats.MISSING if value is None else formats.number(value, digits)


def _change(was: float | None, will: float | None, digits: int) -> str:
    if was is None or will is None:
        return formats.MISSING
    change = will - was
    return ("+" if round(change, digits) > 0 else "") + formats.number(change, digits)
