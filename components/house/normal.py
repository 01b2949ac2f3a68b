"""Was this normal? One window against the same hours of the days before it."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import streamlit as st

from components import blocks, formats, trends
from components import charts as plots
from components.api_client import Client
from components.blocks import Html, LegendItem
from components.house import ahead_charts, charts, past
from components.series_math import has_data
from core.errors import OrreryError
from core.household import Household
from core.houses import House
from core.normality import Normality, Window, judge_window, last_night, profile, sentence
from core.ports import Series

WINDOWS = ("Last night", "Today so far", "Yesterday", "Own hours")
DAYS = {"7 days": 7, "28 days": 28}
MEASURES = {"Load": "load_power_kw", "Battery": "battery_discharge_kw",
            "Grid": "grid_import_kw"}
HISTORY_S = 31 * 86400.0
LEGEND = (LegendItem("This time", "text"), LegendItem("10 to 90 % of the other days", "text3",
                                                      "band"))


def show(client: Client, house: House) -> None:
    """The choice, the sentence, the band."""
    with st.container(key="house_normal_tools", horizontal=True, vertical_alignment="center"):
        blocks.show(blocks.heading("Was this normal?"))
        which = st.segmented_control("Window", WINDOWS, default=WINDOWS[0], required=True,
                                     key="normal_window", label_visibility="collapsed")
        days = st.segmented_control("Against", list(DAYS), default="28 days", required=True,
                                    key="normal_days", label_visibility="collapsed")
        measure = st.segmented_control("What", list(MEASURES), default="Load", required=True,
                                       key="normal_what", label_visibility="collapsed")
    window = _window(which or WINDOWS[0], client.now(), house)
    household = client.household(house.id)
    told = household.told(MEASURES[measure or "Load"])
    if told is None:
        blocks.show(blocks.state_box("query_stats", "Not measured",
                                     f"No source of this house measures “{measure}”."))
        return
    try:
        found = _series(client, household, told.channel)
    except OrreryError as error:
        trends.unreadable(error)
        return
    if not found or not has_data(found[0]):
        blocks.show(blocks.state_box("query_stats", "No history yet",
                                     "The days before are needed to say what is normal."))
        return
    _answer(house, window, found, DAYS[days or "28 days"], measure or "Load")


def _series(client: Client, household: Household, channel: str) -> list[Series]:
    soc = household.told("soc_pct")
    channels = (channel,) if soc is None else (channel, soc.channel)
    return past.long_ago(client, channels, HISTORY_S, "minute")


def _answer(house: House, window: Window, found: list[Series], days: int, what: str) -> None:
    power, soc = found[0], found[1] if len(found) > 1 else None
    normality = judge_window(window, power, soc, days, house.zone)
    frame = charts.Frame(st.context.theme.type, str(house.zone), (window.start_s, window.end_s))
    with st.container(key="panel_house_normal", gap=None):
        blocks.show(blocks.heading(sentence(normality, what), blocks.legend(LEGEND)))
        plots.show(ahead_charts.profile_band(profile(window, power, days, house.zone), frame),
                   key="house_profile", height=240, alt=sentence(normality, what))
        blocks.show(blocks.grid(_cards(normality), columns=3), *_clock(house))


def _clock(house: House) -> list[Html]:
    """Which clock the hours are of, where it is not the reader's."""
    if str(house.zone) == st.context.timezone:
        return []
    return [blocks.note(f"Hours and days are the house's own, {house.zone}.")]


def _cards(normality: Normality) -> list[Html]:
    this = normality.this
    return [
        blocks.card("Energy", formats.energy(this.energy_kwh),
                    note=_against(normality.energy_word, normality.energy_band, "kWh", 1)),
        blocks.card("Battery fell by", formats.quantity(this.depth_pct, "%", 0),
                    note=_against(normality.depth_word, normality.depth_band, "%", 0)),
        blocks.card("Peak", formats.power(this.peak_kw),
                    note=_against(normality.peak_word, normality.peak_band, "kW", 1))]


def _against(word: str, band: tuple[float, float], unit: str, decimals: int) -> str:
    if word == "unknown":
        return "too few days to say"
    between = f"{formats.number(band[0], decimals)} to {formats.number(band[1], decimals)} {unit}"
    return f"usual, {between}" if word == "usual" else f"{word} than usual, {between}"


def _window(which: str, now: datetime, house: House) -> Window:
    """In the house's own days."""
    if which == "Last night":
        return last_night(now, house.zone)
    local = now.astimezone(house.zone)
    midnight = datetime.combine(local.date(), time(), house.zone)
    if which == "Today so far":
        return Window(midnight.timestamp(), now.timestamp(), "Today so far")
    if which == "Yesterday":
        before = datetime.combine(local.date() - timedelta(days=1), time(), house.zone)
        return Window(before.timestamp(), midnight.timestamp(), "Yesterday")
    return _own_hours(local, house)


def _own_hours(local: datetime, house: House) -> Window:
    """Hours of a day that the person chooses."""
    with st.container(key="house_own_hours", horizontal=True):
        day = st.date_input("Day", local.date() - timedelta(days=1), key="normal_day",
                            max_value=local.date())
        begin = st.time_input("From", time(6), key="normal_from")
        end = st.time_input("To", time(12), key="normal_to")
    start = datetime.combine(day, begin, house.zone)
    stop = datetime.combine(day, end, house.zone)
    if stop <= start:
        stop = datetime.combine(day + timedelta(days=1), end, house.zone)
    return Window(start.timestamp(), min(stop, max(local, start + timedelta(minutes=30)))
                  .timestamp(), f"{start:%a} {start.day} {start:%b}")
