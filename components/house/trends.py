"""Battery trends: voltage, current and temperature over hours, days or a month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import pandas as pd
import streamlit as st

from components import blocks, formats, trends
from components import charts as plots
from components.api_client import Client
from components.blocks import Html, LegendItem
from components.drawing import Drawing
from components.formats import Text
from components.house import charts, choice
from components.house.now import battery_device
from components.series_math import alt, has_data
from core.devices import channel_id
from core.direction import DEAD_BAND_W
from core.errors import OrreryError
from core.houses import House
from core.ports import Series
from core.quantities import QUANTITY
from core.safe_band import NORMAL_TEMPERATURE_C, normal_voltage_v
from core.window_stats import WindowStats, share_below, window_stats

Drawn = dict[str, Callable[[Series], Drawing]]

RANGES_H: dict[str, float] = {"6 h": 6, "12 h": 12, "24 h": 24, "48 h": 48, "72 h": 72,
                              "7 d": 168, "30 d": 720}
DEFAULT_RANGE = "24 h"
QUANTITIES = ("voltage_v", "current_a", "temperature_c")
HEIGHT_PX = 230
CURRENT_LEGEND = (LegendItem("Charging", "charge", "area"),
                  LegendItem("Discharging", "discharge", "area"),
                  LegendItem("min to max", "text3", "band"))


def show(client: Client, house: House) -> None:
    """The panel with its range; refreshed at the page's pace."""
    with st.container(key="house_trend_tools", horizontal=True, vertical_alignment="center"):
        blocks.show(blocks.heading("Battery trends"), *trends.past_note(client))
        chosen = st.segmented_control(
            "Time range", list(RANGES_H), default=DEFAULT_RANGE, required=True, key="hours",
            label_visibility="collapsed", bind="query-params")
        choice.sign_tool()
        span_s = RANGES_H[chosen or DEFAULT_RANGE] * 3600
        found, end_s = _found(client, house, span_s)
        _download(found, house)
    if found:
        _panels(house, found, (end_s - span_s, end_s), choice.factor(_native(client, house)))


def _native(client: Client, house: House) -> str:
    device = battery_device(client.household(house.id))
    return "discharge" if device is None else device.native_sign


def _found(client: Client, house: House, span_s: float) -> tuple[dict[str, Series], float]:
    """Series by quantity, {} with a word where there are none; and the end [s]."""
    device, end = battery_device(client.household(house.id)), client.now()
    names = [] if device is None else [name for name in QUANTITIES if name in device.quantities]
    if device is None or not names:
        blocks.show(blocks.state_box("show_chart", "No battery to draw",
                                     "No source of this house measures a battery."))
        return {}, end.timestamp()
    try:
        series = client.channel_series([channel_id(device.id, name) for name in names],
                                       end - timedelta(seconds=span_s), end, charts.MOST_POINTS)
    except OrreryError as error:
        trends.unreadable(error)
        return {}, end.timestamp()
    if not series:
        trends.no_history(client)
    return dict(zip(names, series, strict=False)), end.timestamp()


def _panels(house: House, found: dict[str, Series], span: tuple[float, float],
            factor: float) -> None:
    frame = charts.Frame(st.context.theme.type, st.context.timezone, span)
    drawn: Drawn = {
        "voltage_v": lambda one: charts.with_band(
            one, "V", 2, normal_voltage_v(house.nominal_v, house.chemistry), "normal", frame),
        "current_a": lambda one: charts.split(one, "A", 1, factor, frame),
        "temperature_c": lambda one: charts.with_band(one, "°C", 1, NORMAL_TEMPERATURE_C,
                                                      "optimal", frame)}
    with st.container(key="house_charts"):
        for name in QUANTITIES:
            with st.container(key=f"panel_house_{name}", gap=None):
                aside = blocks.legend(CURRENT_LEGEND if name == "current_a"
                                      else trends.RANGE_LEGEND)
                label = f"Battery {QUANTITY[name].label.lower()}"
                blocks.show(blocks.heading(label, aside))
                _chart(found.get(name), name, label, drawn, frame)
    blocks.show(blocks.heading("Summary statistics", "time-weighted, gaps left out"),
                blocks.grid(_statistics(found, factor), columns=4))


def _chart(one: Series | None, name: str, label: str, drawn: Drawn, frame: charts.Frame) -> None:
    if one is None:
        blocks.show(blocks.state_box("show_chart", "Not measured",
                                     f"This battery tells no {label.lower()}."))
    elif not has_data(one):
        blocks.show(blocks.state_box("show_chart", "No readings",
                                     "Nothing was recorded in this time range."))
    else:
        plots.show(drawn[name](one), key=f"house_{name}", height=HEIGHT_PX,
                   alt=alt(one, label, frame.span, frame.zone),
                   view=f"{one.node_id} {frame.span[1] - frame.span[0]:.0f}")


def _statistics(found: dict[str, Series], factor: float) -> list[Html]:
    cards = []
    if "voltage_v" in found:
        cards.append(_mean_card("Mean voltage", window_stats(found["voltage_v"]), "V", 2))
    if "current_a" in found:
        turned = charts.scaled(found["current_a"], factor)
        cards.append(_mean_card("Mean current", window_stats(turned), "A", 1))
        cards.append(_charging_card(found))
    if "temperature_c" in found:
        cards.append(_mean_card("Mean temperature", window_stats(found["temperature_c"]),
                                "°C", 1))
    return cards


def _mean_card(label: str, stats: WindowStats, unit: str, decimals: int) -> Html:
    ends = (f"{formats.number(stats.lowest, decimals)} to "
            f"{formats.number(stats.highest, decimals)} {unit}, "
            f"std {formats.number(stats.spread, decimals)}")
    return blocks.card(label, formats.quantity(stats.mean, unit, decimals),
                       note=ends if stats.points else "no readings")


def _charging_card(found: dict[str, Series]) -> Html:
    """Share of the known time that charged by more than the dead band."""
    current = found["current_a"]
    volts = window_stats(found["voltage_v"]).mean if "voltage_v" in found else np.nan
    band_a = DEAD_BAND_W / volts if np.isfinite(volts) and volts > 0 else 1.0
    share = share_below(current, -band_a)
    hours = formats.age(share * window_stats(current).known_s)
    return blocks.card("Charging time", formats.quantity(100 * share, "%", 0)
                       if np.isfinite(share) else Text(formats.MISSING, "%"),
                       note=f"{hours}, above {formats.number(band_a, 1)} A")


def _download(found: dict[str, Series], house: House) -> None:
    """Exactly what the charts show."""
    st.download_button("CSV", lambda: csv(list(found.values())), f"{house.id}.csv", "text/csv",
                       icon=":material/download:", disabled=not found, key="house_csv",
                       on_click="ignore", help="The points of these charts, time in UTC")


def csv(found: Sequence[Series]) -> str:
    """One row a point: time, channel, lowest, highest, mean."""
    parts = [pd.DataFrame({
        "time_utc": pd.to_datetime(one.time_s, unit="s", utc=True), "channel": one.node_id,
        "lowest": one.minimum, "highest": one.maximum, "mean": one.mean}) for one in found]
    return str(pd.concat(parts).to_csv(index=False)) if parts else ""
