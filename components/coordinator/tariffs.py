"""What energy costs: as the house tells, day-ahead by a source, flat, by time of use, or a series
out of a file; each with how good it is now."""

from __future__ import annotations

import math
from dataclasses import dataclass

import streamlit as st

from components import blocks
from components.blocks import Html
from components.coordinator import form, words
from core.coordinator.asked import Coordination
from core.coordinator.price_states import PriceState
from core.coordinator.settings import SiteSettings
from core.coordinator.view import SiteView
from core.errors import OrreryError
from core.houses import EVERY_DAY, PeriodConfig, TariffConfig

HOUSE, FLAT, BY_TIME = "house", "flat", "time_of_use"
SOURCE, SERIES = "source:", "series:"
NAMES = {HOUSE: "As its house tells", FLAT: "Flat", BY_TIME: "Time of use"}
ICONS = {"fresh": "check", "stale": "schedule", "missing": "help"}
TAKEN = "coordinator_series_taken"
"""Name of the series that was just taken in: it is what a person wants to see a plan with."""
DAYS = {"Every day": EVERY_DAY, "Weekdays": (0, 1, 2, 3, 4), "Weekend": (5, 6)}
MOST_PERIODS = 6
PERIOD = PeriodConfig(from_hour=17, to_hour=21, import_per_kwh=0.40, export_per_kwh=0.05)


@dataclass(frozen=True, slots=True)
class Chosen:
    """As of `SiteSettings`."""

    tariff: TariffConfig | None
    prices: str = ""
    prices_from: str = ""


def chosen(known: Coordination, view: SiteView) -> Chosen:
    """The widgets, with what is set as their beginning."""
    held = view.settings
    states = _states(known, view)
    kind = _kind(held)
    options = list(dict.fromkeys([
        HOUSE, *(one for one in states if one.startswith(SOURCE)), FLAT, BY_TIME,
        *(one for one in states if one.startswith(SERIES)), kind]))
    taken = SERIES + st.session_state.pop(TAKEN, "")
    if taken in options:
        st.session_state[form.key("tariff")] = taken
    picked = st.selectbox("Tariff", options, key=form.key("tariff"),
                          format_func=lambda one: name(one, states.get(one)),
                          index=0 if taken in options else options.index(kind)) or HOUSE
    if picked in states:
        blocks.show(state(states[picked], view))
    told_in = states[picked].currency if picked in states else ""
    if picked.startswith(SERIES):
        return Chosen(_in(held, told_in or _currency(view.currency)),
                      prices=picked.removeprefix(SERIES))
    if picked.startswith(SOURCE):
        return Chosen(_in(held, told_in or _currency(view.currency)),
                      prices_from=picked.removeprefix(SOURCE))
    if picked == HOUSE:
        told = held.tariff if kind == HOUSE else None
        return Chosen(told)
    return Chosen(_flat(held, view.currency) if picked == FLAT else _by_time(held, view.currency))


def _states(known: Coordination, view: SiteView) -> dict[str, PriceState]:
    """By option; {} where they cannot be read, which is said."""
    prefix = {"house": HOUSE, "source": SOURCE, "series": SERIES}
    try:
        return {prefix[one.kind] + one.name: one for one in known.price_states(view.site)}
    except OrreryError as error:
        blocks.show(blocks.note(f"Which prices there are cannot be read: {error}"))
        return {}


def name(option: str, state: PriceState | None) -> str:
    """"Day-ahead prices of Market (fresh)"."""
    standing = f" ({state.standing})" if state is not None else ""
    if option.startswith(SOURCE):
        label = option.removeprefix(SOURCE) if state is None else state.label
        return f"Day-ahead prices of {label}{standing}"
    return NAMES.get(option, f"Prices: {option.removeprefix(SERIES)}") + standing


def state(one: PriceState, view: SiteView) -> Html:
    """"Fresh: known until Mon 00:00, 0.08 to 0.31 EUR/kWh in the next 24 h."."""
    until = "" if one.until is None else \
        f"known until {words.clock(one.until, st.context.timezone, view.at)}"
    span = words.span(one.low, one.high, one.currency or view.currency)
    ahead = f"{span} in the next 24 h" if math.isfinite(one.low) else ""
    told = ", ".join(part for part in (until, ahead) if part)
    why = f" {words.sentence(one.words)}" if one.words else ""
    return Html(f'<div class="o o-coline">{blocks.symbol(ICONS[one.standing])}<span>'
                f"<b>{one.standing.capitalize()}</b>{blocks.html(f': {told}.' if told else '.')}"
                f"{blocks.html(why)}</span></div>")


def _in(held: SiteSettings, currency: str) -> TariffConfig:
    """What prices of elsewhere are in; as it is where that is so already."""
    if held.tariff is not None and held.tariff.currency == currency:
        return held.tariff
    return TariffConfig(kind="measured", currency=currency)


def take(name: str) -> None:
    """Have the next form begin with that series."""
    st.session_state[TAKEN] = name


def _kind(held: SiteSettings) -> str:
    if held.prices:
        return SERIES + held.prices
    if held.prices_from:
        return SOURCE + held.prices_from
    if held.tariff is None or held.tariff.kind == "measured":
        return HOUSE
    return held.tariff.kind


def _flat(held: SiteSettings, currency: str) -> TariffConfig:
    before = held.tariff or TariffConfig(kind="flat", currency=_currency(currency),
                                         import_per_kwh=0.30, export_per_kwh=0.05)
    with st.container(key="coordinator_flat"):
        code, buy, sell = _base(before)
    return TariffConfig(kind="flat", currency=code, import_per_kwh=buy, export_per_kwh=sell)


def _currency(told: str) -> str:
    return told or "EUR"


def _base(before: TariffConfig, word: str = "") -> tuple[str, float, float]:
    code = st.text_input("Currency", before.currency, max_chars=3, key=form.key("currency"),
                         help="Three letters, such as EUR")
    buy = st.number_input(f"Import{word}, per kWh", -100.0, 100.0, before.import_per_kwh, 0.01,
                          "%.3f", key=form.key("import"))
    sell = st.number_input(f"Export{word}, per kWh", -100.0, 100.0, before.export_per_kwh, 0.01,
                           "%.3f", key=form.key("export"))
    good = code.strip().upper()
    if len(good) != 3 or not good.isascii() or not good.isalpha():
        blocks.show(blocks.note(f"A currency is three letters; {before.currency} stays."))
        good = before.currency
    return good, float(buy), float(sell)


def _by_time(held: SiteSettings, currency: str) -> TariffConfig:
    before = held.tariff if held.tariff is not None and held.tariff.kind == BY_TIME else \
        TariffConfig(kind="time_of_use", currency=_currency(currency), import_per_kwh=0.20,
                     export_per_kwh=0.05, periods=[PERIOD])
    with st.container(key="coordinator_flat"):
        code, buy, sell = _base(before, " otherwise")
    count = int(st.number_input("Times with other prices", 0, MOST_PERIODS,
                                len(before.periods), key=form.key("periods")))
    periods = [_period(number, before.periods[number] if number < len(before.periods) else PERIOD)
               for number in range(count)]
    return TariffConfig(kind="time_of_use", currency=code, import_per_kwh=buy, export_per_kwh=sell,
                        periods=periods)


def _period(number: int, before: PeriodConfig) -> PeriodConfig:
    with st.container(key=f"coordinator_period_{number}"):
        begin = st.number_input("From, h", 0, 24, before.from_hour, key=form.key(f"from_{number}"))
        end = st.number_input("To, h", 0, 24, before.to_hour, key=form.key(f"to_{number}"))
        days = dict(DAYS)
        if before.weekdays not in days.values():
            days["As set"] = before.weekdays
        names = list(days)
        at = list(days.values()).index(before.weekdays)
        day = st.selectbox("On", names, index=at, key=form.key(f"days_{number}")) or names[at]
        buy = st.number_input("Import", -100.0, 100.0, before.import_per_kwh, 0.01, "%.3f",
                              key=form.key(f"buy_{number}"))
        sell = st.number_input("Export", -100.0, 100.0, before.export_per_kwh, 0.01, "%.3f",
                               key=form.key(f"sell_{number}"))
    return PeriodConfig(from_hour=int(begin), to_hour=int(end), weekdays=days[day],
                        import_per_kwh=float(buy), export_per_kwh=float(sell))


