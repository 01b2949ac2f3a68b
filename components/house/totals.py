"""Energy of days, weeks, months and years, what it cost, and the battery's history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike, NDArray

from components import blocks, formats, trends
from components import charts as plots
from components.api_client import Client
from components.blocks import Html, LegendItem
from components.formats import Text
from components.house import ahead_charts, charts, past
from components.house.now import battery_device
from core import totals as sums
from core.energy import Calendar
from core.errors import OrreryError
from core.household import Household
from core.houses import House
from core.ports import Series
from core.quantities import QUANTITY
from core.tariff import PriceSeries, Tariff
from core.totals import Totals

PERIODS: dict[str, tuple[Calendar, int]] = {
    "Days": ("day", 14), "Weeks": ("week", 8), "Months": ("month", 13), "Years": ("year", 2)}
QUANTITIES = ("solar_power_kw", "load_power_kw", "grid_import_kw", "grid_export_kw",
              "battery_charge_kw", "battery_discharge_kw")
ENERGIES = (("Solar", "solar_kwh", "solar"), ("Load", "load_kwh", "load"),
            ("Grid, in", "import_kwh", "grid"), ("Grid, out", "export_kwh", "grid"),
            ("Battery, in", "charged_kwh", "charge"),
            ("Battery, out", "discharged_kwh", "discharge"))
"""Label, field of `core.totals.Sums`, colour."""
PRICES = ("import_price_per_kwh", "export_price_per_kwh")
LEGEND = (LegendItem("Solar", "solar", "area"), LegendItem("Grid", "grid", "area"),
          LegendItem("Battery, out", "discharge", "area"),
          LegendItem("Battery, in", "charge", "area"), LegendItem("Load", "text"))
NEGLIGIBLE = 0.05
# So much may be missing without a word: a restart, or the minutes since history was read.
MISSING_SHARE, MISSING_S = 0.01, 300.0
NAMED = 4
LONGEST_S = 400 * 86400.0
COUNTERS = ("deepest_discharge_ah", "last_discharge_ah", "average_discharge_ah",
            "total_drawn_ah", "charge_cycles", "since_full_s")


def show(client: Client, house: House) -> None:
    """Bars, sums beside the period before, and the battery's own account."""
    with st.container(key="house_total_tools", horizontal=True, vertical_alignment="center"):
        blocks.show(blocks.heading("Energy"))
        chosen = st.segmented_control("Period", list(PERIODS), default="Days", required=True,
                                      key="period", label_visibility="collapsed",
                                      bind="query-params")
    calendar, count = PERIODS[chosen or "Days"]
    household = client.household(house.id)
    try:
        found, tariff = _series(client, household), _tariff(client, household)
    except OrreryError as error:
        trends.unreadable(error)
        return
    if not found:
        blocks.show(blocks.state_box("bar_chart", "No energy yet",
                                     "No history of this house's solar, load, grid or battery."))
        return
    end = client.now()
    now_and_before = sums.totals(found, _begin(end, calendar, count, house), end, calendar,
                                 house.zone, tariff)
    _bars(now_and_before, house, calendar)
    _sums(now_and_before, house, calendar, end)
    _battery(client, household)


def _begin(end: datetime, calendar: Calendar, count: int, house: House) -> datetime:
    days = {"day": 1, "week": 7, "month": 30.5, "year": 366}[calendar] * (count - 1)
    return (end - timedelta(days=days)).astimezone(house.zone)


def _series(client: Client, household: Household) -> dict[str, Series]:
    """By quantity, those that the house measures and history knows."""
    told = {name: one for name in QUANTITIES if (one := household.told(name)) is not None}
    found = past.long_ago(client, tuple(one.channel for one in told.values()), LONGEST_S,
                          "hour")
    return {name: one for name, one in zip(told, found, strict=False) if one.mean.size}


def _tariff(client: Client, household: Household) -> Tariff | None:
    if not household.house.prices_measured:
        return household.house.tariff
    told = [household.told(name) for name in PRICES]
    channels = [one.channel for one in told if one is not None]
    found = past.long_ago(client, tuple(channels), LONGEST_S, "hour")
    if len(found) < 2 or not found[0].time_s.size:
        return None
    there = np.intersect1d(found[0].time_s, found[1].time_s)
    buy, sell = (one.mean[np.isin(one.time_s, there)].astype(np.float64) for one in found)
    return PriceSeries(there, buy, sell, found[0].resolution_s)


def _bars(totals: Totals, house: House, calendar: Calendar) -> None:
    frame = charts.Frame(st.context.theme.type, str(house.zone), (0.0, 0.0))
    with st.container(key="panel_house_totals", gap=None):
        blocks.show(blocks.heading("Where it came from, above; where it went, below",
                                   blocks.legend(LEGEND)))
        plots.show(ahead_charts.energy_bars(totals, calendar, frame), key="house_bars", height=280,
                   alt="Energy by " + calendar)
        words = partly_known_words(totals, calendar, str(house.zone))
        if words:
            blocks.show(blocks.note(words))


def partly_known_words(totals: Totals, calendar: Calendar, zone: str) -> str:
    """Which bars count less than their time, because the rest of it is not known; "" for none."""
    ends_s = np.append(totals.edges_s[1:-1], min(totals.edges_s[-1], totals.account.until_s))
    partly = (totals.coverage > 0) & _lacks(totals.coverage, ends_s - totals.edges_s[:-1])
    names = [ahead_charts.bucket_name(float(start_s), calendar, zone)
             for start_s in totals.edges_s[:-1][partly]]
    if not names:
        return ""
    which = ", ".join(names) if len(names) <= NAMED else f"{len(names)} of these {calendar}s"
    return f"Only a part is known of {which}: what flowed in the rest was not recorded."


def _lacks(coverage: ArrayLike, span_s: ArrayLike) -> NDArray[np.bool_]:
    missing_s = (1.0 - np.asarray(coverage)) * span_s
    return missing_s > np.maximum(MISSING_S, MISSING_SHARE * np.asarray(span_s))


def _sums(totals: Totals, house: House, calendar: Calendar, end: datetime) -> None:
    """The running period beside the same stretch of the one before."""
    pair = sums.compare(totals, end)
    word = {"day": "Today", "week": "This week", "month": "This month",
            "year": "This year"}[calendar]
    known = known_words(pair.now)
    aside = known or f"beside the same part of the {calendar} before"
    cards = _sum_cards(pair, house, calendar)
    blocks.show(blocks.heading(word, aside), blocks.grid(cards, columns=5))


def known_words(now: sums.Sums) -> str:
    """"known for 12 min of 16 h 00"; "" where next to nothing is missing."""
    span_s = now.end_s - now.start_s
    if not _lacks(now.coverage, span_s):
        return ""
    if now.coverage == 0:
        return "not known"
    return f"known for {formats.age(now.coverage * span_s)} of {formats.age(span_s)}"


def _sum_cards(pair: sums.Pair, house: House, calendar: Calendar) -> list[Html]:
    now, before = pair.now, pair.before
    cards = [_energy_card(label, getattr(now, name), getattr(before, name), hue,
                          pair, calendar)
             for label, name, hue in ENERGIES]
    cards += [
        _share_card("Self-consumption", now.self_consumption, before.self_consumption,
                    "of the solar energy stays here"),
        _share_card("Self-sufficiency", now.self_sufficiency, before.self_sufficiency,
                    "of the load is not bought")]
    if math.isfinite(now.cost):
        cards.append(blocks.card("Cost", Text(formats.number(now.cost, 2), house.currency),
                                 note=_change(now.cost, before.cost, pair, calendar)))
    return cards


def _energy_card(label: str, kwh: float, before_kwh: float, hue: str, pair: sums.Pair,
                 calendar: Calendar) -> Html:
    return blocks.card(label, formats.energy(kwh), hue=hue,
                       note=_change(kwh, before_kwh, pair, calendar))


def _share_card(label: str, share: float, before: float, words: str) -> Html:
    earlier = f", before {formats.number(100 * before)} %" if math.isfinite(before) else ""
    return blocks.card(label, formats.quantity(100 * share, "%"), note=words + earlier)


def _change(value: float, before: float, pair: sums.Pair, calendar: Calendar) -> str:
    """"+12 % on the day before", or why there is no share."""
    if not math.isfinite(value + before):
        return "nothing to compare with"
    if pair.reason:
        return "too little known to compare"
    if abs(before) < NEGLIGIBLE:
        return "none before"
    share = 100 * (value - before) / abs(before)
    sign = "+" if share > 0 else ""
    return f"{sign}{formats.number(share)} % on the {calendar} before"


def _battery(client: Client, household: Household) -> None:
    device = battery_device(household)
    if device is None:
        return
    own = [_counter(household, device, name) for name in COUNTERS if name in device.quantities]
    cards = own or _counted(client, household)
    if cards:
        aside = f"as {device.label} counts" if own else "computed from its history"
        cycles = sums.VICTRON_CYCLES_WORDS if own else sums.FULL_CYCLES_WORDS
        blocks.show(blocks.heading("Battery history", aside), blocks.grid(cards, columns=6),
                    blocks.note(f"Cycles: {cycles}."))


def _counter(household: Household, device: object, name: str) -> Html:
    told = household.told(name)
    value = math.nan if told is None else told.usable
    label = QUANTITY[name].label
    if name == "since_full_s":
        return blocks.card(label, Text(formats.age(value), ""), note="last full battery")
    return blocks.card(label, formats.quantity(value, QUANTITY[name].unit))


def _counted(client: Client, household: Household) -> Sequence[Html]:
    """Where the device keeps no counters: from SOC and current as far as history goes."""
    house = household.house
    soc, current = household.told("soc_pct"), household.told("current_a")
    if soc is None or current is None or not math.isfinite(house.capacity_ah):
        return []
    found = past.long_ago(client, (soc.channel, current.channel), LONGEST_S, "hour")
    if len(found) < 2 or not found[0].mean.size:
        return []
    told = sums.battery_history(*found, house.capacity_ah)
    return [
        blocks.card("Deepest discharge", formats.quantity(told.deepest_ah, "Ah")),
        blocks.card("Last discharge", formats.quantity(told.last_ah, "Ah")),
        blocks.card("Average discharge", formats.quantity(told.average_ah, "Ah")),
        blocks.card("Drawn in all", formats.quantity(told.drawn_ah, "Ah")),
        blocks.card("Full cycles", Text(formats.number(told.full_cycles, 1), "")),
        blocks.card("Since full", Text(formats.age(told.since_full_s), ""))]


