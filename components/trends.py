"""Trends of one element: power with state of charge, voltage, temperature."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import streamlit as st

from components import blocks, charts, describe, session
from components.api_client import Client
from components.blocks import Html, LegendItem
from components.drawing import Drawing
from components.series_math import local_ms
from components.tokens import tokens
from core.errors import OrreryError
from core.paint import fahrenheit
from core.ports import Series

RANGES_S: dict[str, float] = {"15 min": 900, "1 h": 3600, "6 h": 21600, "24 h": 86400,
                              "7 d": 604800}
DEFAULT_RANGE = "1 h"
STEPS_PER_RANGE, FASTEST_S, SLOWEST_S = 120, 5.0, 60.0
PAST_S = 2.0
AFTER = 0.2
"""How much of a range lies after a moment of the past that is older than the range."""
MOST_POINTS = 600
METRICS = ("power_kw", "soc_pct", "voltage_v", "temperature_c")
POWER_LEGEND = (LegendItem("Discharging", "discharge", "area"),
                LegendItem("Charging", "charge", "area"),
                LegendItem("State of charge, right", "text", "dash"),
                LegendItem("min to max", "text3", "band"))
RANGE_LEGEND = (LegendItem("mean", "text", "line"), LegendItem("min to max", "text3", "band"))


def show(client: Client, place: int, temperature: str = "C") -> None:
    """The panel of what is selected, else of the place itself; refreshed by itself. temperature:
    "C" or "F"."""
    st.fragment(_panel, key=session.TRENDS)(client, place, temperature)


def _panel(client: Client, place: int, temperature: str) -> None:
    topology = client.topology
    chosen_node = session.selected_node(topology, place)
    node = place if chosen_node is None else chosen_node
    with st.container(key="trend_tools", horizontal=True, vertical_alignment="center"):
        what = describe.name(topology, node) if node else "the whole site"
        blocks.show(blocks.heading(f"Trends of {what}"))
        chosen = st.segmented_control(
            "Time range", list(RANGES_S), default=DEFAULT_RANGE, required=True, key="range",
            label_visibility="collapsed", bind="query-params")
    range_s = RANGES_S[chosen or DEFAULT_RANGE]
    every_s = refresh_s(range_s) if client.past is None else PAST_S
    st.fragment(_plots, run_every=every_s, key="trend_plots")(client, node, range_s, temperature)


def refresh_s(range_s: float) -> float:
    """Seconds until a plot has moved by a visible step; at most a minute."""
    return min(max(range_s / STEPS_PER_RANGE, FASTEST_S), SLOWEST_S)


def end_of(present: datetime, past: datetime | None, width: timedelta) -> datetime:
    """Where a range ends: at the present while that shows `past` too."""
    if past is None or past >= present - width:
        return present
    return min(present, past + AFTER * width)


def _plots(client: Client, node: int, range_s: float, temperature: str) -> None:
    end = end_of(client.present(), client.past, timedelta(seconds=range_s))
    start = end - timedelta(seconds=range_s)
    try:
        series = client.series([client.topology.ids[node]], METRICS, start, end, MOST_POINTS)
    except OrreryError as error:
        unreadable(error)
        return
    if not series:
        no_history(client)
        return
    with st.container():  # all in one, so that what is written instead takes its place at once
        found = dict(zip(METRICS, series, strict=True))
        if temperature == "F":
            found["temperature_c"] = _in_fahrenheit(found["temperature_c"])
        _charts(client, node, found, (start.timestamp(), end.timestamp()), f"°{temperature}")


def _in_fahrenheit(one: Series) -> Series:
    return replace(one, minimum=fahrenheit(one.minimum), maximum=fahrenheit(one.maximum),
                   mean=fahrenheit(one.mean))


def _charts(client: Client, node: int, found: dict[str, Series],
            span: tuple[float, float], degrees: str) -> None:
    theme, zone = st.context.theme.type, st.context.timezone
    power, soc = found["power_kw"], found["soc_pct"]
    view = f"{client.topology.ids[node]} {span[1] - span[0]:.0f}"
    with st.container(key="panel_power", gap=None):
        blocks.show(blocks.heading("Power and state of charge", blocks.legend(POWER_LEGEND)),
                    *past_note(client))
        if charts.has_data(power) or charts.has_data(soc):
            charts.show(_at(charts.trend_power_soc(power, soc, theme=theme, zone=zone, span=span),
                            client.past),
                        key="trend_power", alt=charts.alt(power, "Power", span, zone), view=view)
        else:
            empty(client, node)
    with st.container(key="trend_pair"):
        for metric, name, unit, decimals in (("voltage_v", "Voltage", "V", _volts(client, node)),
                                             ("temperature_c", "Temperature", degrees, 1)):
            one = found[metric]
            with st.container(key=f"panel_{metric}", gap=None):
                blocks.show(blocks.heading(name, blocks.legend(RANGE_LEGEND)))
                if charts.has_data(one):
                    charts.show(_at(charts.trend_range([one], unit, theme=theme, zone=zone,
                                                       span=span, decimals=decimals), client.past),
                                key=f"trend_{metric}", height=220, view=view,
                                alt=charts.alt(one, name, span, zone))
                else:
                    empty(client, node, name)


def _at(figure: Drawing, past: datetime | None) -> Drawing:
    """With a line at the moment that the rest of the page shows."""
    if past is not None:
        (x,) = local_ms(np.array([past.timestamp()]), st.context.timezone).tolist()
        figure.add_vline(x=x, xref="x", layer="above",
                         line={"width": 1.5, "color": tokens(st.context.theme.type)["text"]})
    return figure


def unreadable(error: OrreryError) -> None:
    """In place of a plot: the store failed."""
    blocks.show(blocks.state_box("history_off", "History cannot be read", str(error), error=True))


def no_history(client: Client) -> None:
    """In place of a plot: nothing is stored, and why."""
    why = client.snapshot().history_error or "It is switched off in the configuration."
    blocks.show(blocks.state_box("history_off", "There is no history", why))


def past_note(client: Client) -> list[Html]:
    """Why the left of a plot is still empty, while the past is being told. It belongs
    into the element of the heading, so that no element of the panel comes and goes."""
    work = client.backfill()
    if work is None or not work.running:
        return []
    kind, verb = ("simulated", "simulated") if work.simulated else ("live", "written")
    return [blocks.pill(kind, f"The past is being {verb}: {100 * work.progress:.0f} %")]


def _volts(client: Client, node: int) -> int:
    return 3 if describe.is_cell(client.topology, node) else 1


def empty(client: Client, node: int, what: str = "") -> None:
    work = client.backfill()
    if node == 0 and what == "Voltage":
        words = "The grid connection itself has no DC voltage; choose a system."
    elif work is not None and work.running:
        words = f"The past is being written: {100 * work.progress:.0f} %."
    else:
        words = "Nothing was recorded in this time range."
    blocks.show(blocks.state_box("show_chart", "No readings", words))
