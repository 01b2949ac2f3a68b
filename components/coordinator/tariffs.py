"""What energy costs: as the house tells, flat, by time of use, or a series out of a file."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from components import blocks
from components.coordinator import form
from core.coordinator.settings import SiteSettings
from core.coordinator.view import SiteView
from core.houses import EVERY_DAY, PeriodConfig, TariffConfig

HOUSE, FLAT, BY_TIME, SERIES = "house", "flat", "time_of_use", "series:"
NAMES = {HOUSE: "As its house or a price source tells", FLAT: "Flat", BY_TIME: "Time of use"}
TAKEN = "coordinator_series_taken"
"""Name of the series that was just taken in: it is what a person wants to see a plan with."""
DAYS = {"Every day": EVERY_DAY, "Weekdays": (0, 1, 2, 3, 4), "Weekend": (5, 6)}
MOST_PERIODS = 6
PERIOD = PeriodConfig(from_hour=17, to_hour=21, import_per_kwh=0.40, export_per_kwh=0.05)


@dataclass(frozen=True, slots=True)
class Chosen:
    tariff: TariffConfig | None
    prices: str = ""


def chosen(view: SiteView) -> Chosen:
    """The widgets, with what is set as their beginning."""
    held = view.settings
    options = [*NAMES, *(SERIES + name for name in view.price_series)]
    kind = _kind(held)
    if kind not in options:
        options.append(kind)
    taken = SERIES + st.session_state.pop(TAKEN, "")
    if taken in options:
        st.session_state[form.key("tariff")] = taken
    picked = st.selectbox("Tariff", options, format_func=_name, key=form.key("tariff"),
                          index=0 if taken in options else options.index(kind)) or HOUSE
    if picked.startswith(SERIES):
        return Chosen(held.tariff, picked.removeprefix(SERIES))
    if picked == HOUSE:
        told = held.tariff if held.tariff is not None and held.tariff.kind == "measured" else None
        return Chosen(told)
    return Chosen(_flat(held, view.currency) if picked == FLAT else _by_time(held, view.currency))


def take(name: str) -> None:
    """Have the next form begin with that series."""
    st.session_state[TAKEN] = name


def _kind(held: SiteSettings) -> str:
    if held.prices:
        return SERIES + held.prices
    if held.tariff is None or held.tariff.kind == "measured":
        return HOUSE
    return held.tariff.kind


def _name(kind: str) -> str:
    return NAMES.get(kind, f"Prices: {kind.removeprefix(SERIES)}")


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


