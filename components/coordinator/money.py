"""What it earned: today so far and yesterday, against no battery, rules and perfect foresight."""

from __future__ import annotations

import math
from html import escape

import streamlit as st

from components import blocks, formats
from components.blocks import Html
from components.coordinator import words
from core.coordinator.plan import Cost
from core.coordinator.show import FIRST_DAY
from core.coordinator.view import (
    PER_KWH,
    DayCost,
    ForecastScore,
    Shadow,
    SiteView,
    Watched,
)

HEAD = Html('<div class="o o-row hd o-cobill"><span>Today with</span><span>Saved</span>'
            '<span></span><span class="rt">Energy and peak</span><span class="rt">Wear</span>'
            "</div>")
UNJUDGED = "The first account of today comes with a plan."
COLD = "Judged every ten minutes, from what the meter told."


def cards(view: SiteView, counted: Watched | None) -> None:
    """Today so far and yesterday in numbers."""
    today, yesterday = view.today, view.yesterday
    shown = [*_today(today), broken(today, counted)]
    if yesterday is not None and yesterday.happened is not None:
        shown += _yesterday(yesterday)
    blocks.show(blocks.grid(shown, columns=6))


def show(view: SiteView) -> None:
    """The bill of today row by row, the challenger, and how forecasts came true."""
    today = view.today
    blocks.show(blocks.heading("Today so far, against others", _covered(today)))
    if today is None or today.happened is None:
        why = UNJUDGED if today is None else words.sentence(today.words)
        blocks.show(blocks.state_box("payments", "Not told yet", why, COLD))
    else:
        blocks.show(_bill(today, today.currency))
    if view.yesterday is not None and view.yesterday.words:
        blocks.show(blocks.note(f"Yesterday: {view.yesterday.words}"))
    elif view.yesterday is None and view.drives:
        blocks.show(blocks.note(f"{FIRST_DAY}."))
    _shadows(view)
    _forecasts(view)


def _covered(day: DayCost | None) -> str:
    """"captured 91 % of what was possible; 97 % of it is known; told of 96 % of the packs'
    capacity: the rest was not heard"."""
    partly = day.words if day is not None and day.happened is not None else ""
    known = f"{formats.number(100 * day.known)} % of it is known" if (
        day is not None and 0 < day.known < 0.995) else ""
    unkept = words.unkept(day.currency) if day is not None and day.happened is not None else ""
    return "; ".join(part for part in (words.captured(day), known, partly, unkept) if part)


def _today(day: DayCost | None) -> list[Html]:
    if day is None or day.happened is None:
        return [blocks.card(f"{what} today", formats.quantity(math.nan, ""), note="not told yet")
                for what in ("Saved", "Captured", "Wear")]
    return [
        blocks.card("Saved today", words.kept(day.saved, day.currency),
                    note=words.unkept(day.currency) or "against no battery"),
        blocks.card("Captured today", formats.quantity(day.captured_pct, "%"),
                    note="of what was possible" if math.isfinite(day.captured_pct)
                    else "nothing was possible yet"),
        blocks.card("Wear today", words.kept(day.happened.wear, day.currency),
                    note="of all packs")]


def broken(day: DayCost | None, counted: Watched | None) -> Html:
    """So often packs were measured beyond their limits; what the day's account finds beside it."""
    count = math.nan if counted is None else float(counted.violations)
    steps = 0 if day is None else day.account_violations
    note = "counted while packs are steered" if counted is None else (
        f"as measured in {formats.age(60.0 * counted.minutes)}")
    if steps:
        note += f"; {formats.counted(steps, 'step')} beyond a limit of charge"
    return blocks.card("Limits broken today", formats.quantity(count, ""),
                       alarm=count > 0 or steps > 0, note=note)


def _yesterday(day: DayCost) -> list[Html]:
    happened = day.happened or Cost(math.nan, math.nan)
    worn = f"wear {words.kept(happened.wear, day.currency)}"
    return [blocks.card("Saved yesterday", words.kept(day.saved, day.currency),
                        note=", ".join(filter(None, (worn, words.unkept(day.currency))))),
            blocks.card("Captured yesterday", formats.quantity(day.captured_pct, "%"),
                        note="of what was possible" if math.isfinite(day.captured_pct)
                        else "nothing was possible")]


def _bill(day: DayCost, currency: str | None) -> Html:
    """Savings against no battery; bars share one scale."""
    without = day.no_battery
    known = [("No battery", without), ("Rule-based control", day.rule_based),
             ("What happened", day.happened), ("Perfect foresight", day.perfect)]
    saved = [math.nan if cost is None or without is None else without.total - cost.total
             for _, cost in known]
    full = max((abs(one) for one in saved if math.isfinite(one)), default=0.0) or 1.0
    rows = "".join(_bill_row(name, cost, value, full, currency, name == "What happened")
                   for (name, cost), value in zip(known, saved, strict=True))
    return Html(f'<div class="o o-rows">{HEAD}{rows}</div>')


def _bill_row(name: str, cost: Cost | None, saved: float, full: float, currency: str | None,
              on: bool) -> str:
    width = 100 * max(saved, 0.0) / full if math.isfinite(saved) else 0.0
    spent = formats.number(cost.energy + cost.demand, 2) if cost is not None else formats.MISSING
    wear = formats.number(cost.wear, 2) if cost is not None else formats.MISSING
    return (f'<div class="o-row o-cobill{" on" * on}"><span class="nm">{escape(name)}</span>'
            f'<span class="bar"><i style="width:{width:.1f}%"></i></span>'
            f'<span class="num">{blocks.html(words.kept(saved, currency))}</span>'
            f'<span class="num mut2 spent">{spent}</span>'
            f'<span class="num mut2 worn">{wear}</span></div>')


def _shadows(view: SiteView) -> None:
    if view.shadows:
        blocks.show(blocks.heading("In the shadow", "plans beside it, drives nothing"),
                    Html("".join(shadow(one) for one in view.shadows)))


def shadow(one: Shadow) -> Html:
    """"RL would have paid 12.30 EUR, MPC 13.10 EUR: ... 6 % less"."""
    change = one.cost - one.champion_cost
    better = "less" if change < 0 else "more"
    since = formats.local_time(one.since, st.context.timezone)
    told = (f"{words.NAMES[one.controller]} would have paid {words.kept(one.cost, one.currency)}, "
            f"{words.NAMES[one.champion]} {words.kept(one.champion_cost, one.currency)}")
    unkept = f"Told {words.unkept(one.currency)}. " if one.currency is None else ""
    return Html(f'<div class="o o-colimit"><span>{escape(told)}<small>since {escape(since)}, '
                f'{formats.counted(one.runs, "plan")} scored. {unkept}{escape(one.words)}</small>'
                f'</span><span class="num">{escape(str(words.kept(abs(change), one.currency)))} '
                f"{better}</span></div>")


def _forecasts(view: SiteView) -> None:
    if view.forecasts:
        blocks.show(blocks.heading("Forecasts, scored", "mean error"),
                    Html("".join(forecast(one, view.currency) for one in view.forecasts)))


def forecast(one: ForecastScore, currency: str) -> Html:
    """"Load: blend, over 7 days; 82 % came inside its band; persistence 4.10, ..."."""
    price = one.unit == PER_KWH
    digits, unit = (3, f"{currency}/kWh" if currency else PER_KWH) if price else (2, one.unit)
    others = [f"{name} {formats.number(error, digits)}" for name, error in (
        ("persistence", one.persistence_error), ("hour of the week", one.hour_of_week_error))
        if error is not None and name != one.method]
    covered = f"; {formats.number(one.covered_pct)} % came inside its band" if math.isfinite(
        one.covered_pct) else ""
    beside = f"; beside it {', '.join(others)}" if others else ""
    return Html(f'<div class="o o-colimit"><span>{escape(words.capital(one.what))}'
                f"<small>{escape(one.method)}, over {formats.counted(one.days, 'day')}{covered}"
                f'{beside}</small></span><span class="num">{formats.number(one.error, digits)} '
                f"{escape(unit)}</span></div>")
