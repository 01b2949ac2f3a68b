"""How long it will last: usable energy, time to go, and the state of charge for 24 hours."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from components import blocks, formats, trends
from components import charts as plots
from components.api_client import Client
from components.blocks import Html, LegendItem
from components.formats import Text
from components.house import ahead_charts, charts, past
from components.series_math import has_data
from core.devices import channel_id
from core.energy import TimeLeft, Usable, time_left, usable
from core.errors import OrreryError
from core.forecast import Forecast, History, forecast, time_to
from core.household import Household
from core.houses import House
from core.ports import Series

HISTORY_S = 35 * 86400.0
BEFORE_S, AFTER_S = 12 * 3600.0, 24 * 3600.0
RECENT_S = 900.0
HOURS_AHEAD = 24
MOSTLY = 0.8
LEGEND = (LegendItem("Measured", "text"), LegendItem("Expected", "text", "dots"),
          LegendItem("80 % of past errors", "text3", "band"))


def show(client: Client, house: House) -> None:
    """Three numbers beside the chart of yesterday evening to tomorrow."""
    household = client.household(house.id)
    blocks.show(blocks.heading("How long will it last", "the same hour of the week, 4 weeks"))
    if not math.isfinite(house.capacity_kwh):
        blocks.show(blocks.state_box(
            "battery_unknown", "The capacity of this battery is not known",
            "Without it no energy and no time can be told.",
            f"Add capacity_kwh to the house \u201c{house.id}\u201d in orrery.toml."))
        return
    soc = household.told("soc_pct")
    if soc is None or not math.isfinite(soc.usable):
        blocks.show(blocks.state_box("battery_unknown", "No state of charge now",
                                     "An outlook begins with a live reading."))
        return
    try:
        ahead = _ahead(client, household, soc.usable)
        recent_kw = _recent_power(client, household)
    except OrreryError as error:
        trends.unreadable(error)
        return
    store = usable(soc.usable, house.reserve_pct, house.ceiling_pct, house.capacity_kwh)
    with st.container(key="house_outlook"):
        with st.container(key="panel_house_forecast", gap=None):
            _chart(client, household, ahead)
        blocks.show(blocks.grid(_cards(house, store, recent_kw, ahead), columns=1))


def _history(client: Client, household: Household) -> History | None:
    """Hourly means of the battery's power and state of charge."""
    power, soc = household.told("battery_power_kw"), household.told("soc_pct")
    if power is None or soc is None:
        return None
    found = past.long_ago(client, (power.channel, soc.channel), HISTORY_S, "hour")
    if len(found) < 2 or not has_data(found[0]):
        return None
    times = np.union1d(found[0].time_s, found[1].time_s)
    return History(times, *(_on(times, one) for one in found))


def _on(times: np.ndarray, series: Series) -> np.ndarray:
    """Hours of which most is known: the mean of some minutes tells little of an hour."""
    there = (np.ones(series.mean.size, bool) if series.known_s is None
             else series.known_s >= MOSTLY * series.resolution_s)
    values = np.full(times.size, np.nan)
    values[np.searchsorted(times, series.time_s[there])] = series.mean[there]
    return values


def _ahead(client: Client, household: Household, soc_pct: float) -> Forecast | None:
    history, house = _history(client, household), household.house
    if history is None:
        return None
    return forecast(history, client.now().timestamp(), soc_pct, house.capacity_kwh,
                    house.reserve_pct, house.ceiling_pct, house.zone)


def _recent_power(client: Client, household: Household) -> np.ndarray:
    told = household.told("battery_power_kw")
    if told is None:
        return np.empty(0)
    found = past.recent(client, (told.channel,), RECENT_S, 120)
    return found[0].mean if found else np.array([told.usable])


def _cards(house: House, store: Usable, recent_kw: np.ndarray,
           ahead: Forecast | None) -> list[Html]:
    left = time_left(store, recent_kw, house.capacity_kwh)
    above = f"above the reserve of {formats.number(house.reserve_pct)} %, room for " \
            f"{formats.energy(store.room_kwh)}"
    return [blocks.card("Usable", formats.energy(store.left_kwh), note=above),
            _present(left, house), _expected(house, left, ahead)]


def _present(left: TimeLeft, house: House) -> Html:
    """At the power of the last 15 minutes."""
    label = "At the recent power"
    if left.towards == "nothing":
        return blocks.card(label, Text("idle", ""), note="hardly any, as the mean of 15 minutes")
    note = f"{_goal(left.towards, house)}, {_between(left.hours_low, left.hours_high)}"
    return blocks.card(label, Text(_hours(left.hours), ""), note=note)


def _expected(house: House, left: TimeLeft, ahead: Forecast | None) -> Html:
    """At the load that this hour of the week usually has."""
    label = "At the expected power"
    if ahead is None:
        return blocks.card(label, Text(formats.MISSING, ""), note="needs some days of history")
    towards = "full" if left.towards == "full" else "empty"
    level = house.ceiling_pct if towards == "full" else house.reserve_pct
    found = time_to(ahead, level, towards)
    note = f"{_goal(towards, house)}, {_between(found.hours_low, found.hours_high)}"
    return blocks.card(label, Text(_hours(found.hours), ""), note=note)


def _goal(towards: str, house: House) -> str:
    level = house.ceiling_pct if towards == "full" else house.reserve_pct
    return f"to {formats.number(level)} %"


def _between(low_h: float, high_h: float) -> str:
    if not math.isfinite(low_h):
        return "no interval yet" if math.isnan(low_h) else f"not within {HOURS_AHEAD} h"
    if not math.isfinite(high_h):
        return f"{_hours(low_h)} or longer"
    return f"{_hours(low_h)} to {_hours(high_h)}"


def _hours(hours: float) -> str:
    """"6 h 20"."""
    if math.isnan(hours):
        return formats.MISSING
    if math.isinf(hours):
        return f"> {HOURS_AHEAD} h"
    return formats.age(round(hours * 60) * 60)


def _chart(client: Client, household: Household, ahead: Forecast | None) -> None:
    now_s = client.now().timestamp()
    frame = charts.Frame(st.context.theme.type, st.context.timezone,
                         (now_s - BEFORE_S, now_s + AFTER_S))
    blocks.show(blocks.heading("State of charge, expected", blocks.legend(LEGEND)))
    if ahead is None:
        blocks.show(blocks.state_box("query_stats", "No outlook yet",
                                     "It needs a few days of history of this battery."))
        return
    told = household.told("soc_pct")
    assert told is not None
    measured = past.recent(client, (channel_id(told.device.id, "soc_pct"),), BEFORE_S, 300)
    plots.show(ahead_charts.soc_forecast(measured[0], ahead, household.house.reserve_pct, now_s,
                                   frame),
               key="house_forecast", height=250,
               alt=f"State of charge, expected {formats.number(float(ahead.soc_pct[-1]))} % "
                   "in 24 hours.")
    blocks.show(blocks.note(_honesty(ahead)))


def _honesty(ahead: Forecast) -> str:
    """How wrong it was: measured, and beside the simplest guess."""
    if ahead.error is None:
        return ahead.reason
    error = ahead.error
    return (f"Over the last {error.origins} days it was off by "
            f"{formats.number(error.mean_abs_pct, 1)} % on the mean, "
            f"{formats.number(float(error.by_hour_pct[-1]), 1)} % after 24 h. For comparison: "
            f"\u201cas the day before\u201d {formats.number(error.day_before_pct, 1)} %, "
            f"\u201cit stays as it is\u201d {formats.number(error.persistence_pct, 1)} %.")
