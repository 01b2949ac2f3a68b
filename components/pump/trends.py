"""Temperatures, performance, power and valve over the shown time."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import streamlit as st

from components import blocks, charts, formats
from components.api_client import Client
from components.blocks import LegendItem
from components.drawing import Drawing
from components.pump import charts as plots
from components.pump import past, words
from components.pump.lines import Floats, gone_from
from components.pump.shown import frame_of, link, view_of
from core.devices import Device
from core.heatpump import switches
from core.heatpump.findings import auxiliary_pct
from core.heatpump.report import Report, Window

TALL_PX, HEIGHT_PX = 340, 260


def show(client: Client, device: Device, shown: Window) -> None:
    """The temperatures alone: seven lines."""
    report = past.told(client, device, shown)
    late_s = client.status_of(device).info.stale_after_s
    with st.container(key="panel_pump_temperatures", gap=None):
        lines = [line for line in plots.TEMPERATURES if report.log.tells(line.quantity)]
        gone = [line for line in plots.TEMPERATURES if line not in lines]
        blocks.show(blocks.heading("Temperatures", f"{len(lines)} of {len(plots.TEMPERATURES)}"))
        if lines:
            told = ", ".join(line.label for line in lines)
            charts.show(plots.temperatures(report.log, lines, late_s, frame_of(report)),
                        key="pump_temperatures", height=TALL_PX, alt=f"Temperatures: {told}",
                        view=view_of(report), link=link(report))
        else:
            blocks.show(words.missing_box("No temperatures", "None was heard in this time."))
        notes = [_gone(report, line, late_s) for line in lines]
        notes += [_why(client, report, line) for line in gone]
        if any(notes):
            blocks.show(blocks.note("; ".join(note for note in notes if note)))


def _gone(report: Report, line: plots.Line, late_s: float) -> str:
    """Since when a line is no longer heard, "" where it is."""
    since_s = gone_from(report.log, report.log.column(line.quantity), late_s)
    if math.isnan(since_s):
        return ""
    at = formats.local_time(datetime.fromtimestamp(since_s, UTC), st.context.timezone)
    return f"{line.label}: not heard since {at}"


def _why(client: Client, report: Report, line: plots.Line) -> str:
    """Why a line is not in the chart."""
    refused = client.problems_of(report.device).get(line.quantity)
    if refused:
        return f"{line.label}: {refused}"
    if line.quantity in report.device.quantities:
        return f"{line.label}: its sensor was not heard in this time"
    return f"{line.label}: {words.reason(line.quantity, report.pump)}"


def pairs(client: Client, device: Device, shown: Window) -> None:
    """Performance beside power, the valve below them."""
    report = past.told(client, device, shown)
    on = switches.compressor(report.log)
    with st.container(key="pump_pair"):
        _performance(report, on)
        _power(report, on)
    _valve(report, on)


def _performance(report: Report, on: Floats) -> None:
    log = report.log
    out, back = report.pump.flow_pair
    water = "Radiators" if out.startswith("radiator") else "Heat carrier"
    deltas = {"Brine": (log.column("brine_in_c") - log.column("brine_out_c"), "charge"),
              water: (log.column(out) - log.column(back), "heat")}
    told = {name: pair for name, pair in deltas.items() if np.isfinite(pair[0]).any()}
    legend = blocks.legend([LegendItem(f"{name} \u0394T", hue, "line")
                            for name, (_, hue) in told.items()])
    _panel(report, "performance", "Performance", legend, bool(told),
           "Neither the brine nor the heating's water has two sensors here.",
           lambda: plots.performance(log, told, on, frame_of(report)))


def _power(report: Report, on: Floats) -> None:
    kw = report.account.electricity_kw
    strength = auxiliary_pct(report.log, report.pump, report.account) / 100
    rated = bool(np.isfinite(strength).any())
    level = strength if rated else switches.auxiliary(report.log, report.pump)
    shown = level if np.isfinite(level).any() else None
    legend = blocks.legend([LegendItem("Electric power", "grid", "area"),
                            LegendItem("Compressor", "text", "line"),
                            LegendItem("Auxiliary" if rated else "Auxiliary, on or off",
                                       "discharge", "line")])
    _panel(report, "power", "Power", legend, bool(np.isfinite(kw).any()),
           words.no_electricity(report.pump),
           lambda: plots.power(report.log, kw, on, shown, rated, frame_of(report)))


def _valve(report: Report, on: Floats) -> None:
    position, water = switches.water(report.log), report.log.column("hot_water_c")
    cycles = [(one.start_s, one.end_s) for one in report.water_cycles.cycles]
    legend = blocks.legend([LegendItem("Hot water", "water", "line"),
                            LegendItem("Hot-water cycle", "water", "band")])
    _panel(report, "valve", "Valve and hot water", legend, bool(np.isfinite(position).any()),
           words.reason("hot_water_valve", report.pump),
           lambda: plots.valve(report.log, position, on, water, cycles, frame_of(report)))


def _panel(report: Report, key: str, name: str, legend: blocks.Html, there: bool, why: str,
           draw: Callable[[], Drawing]) -> None:
    with st.container(key=f"panel_pump_{key}", gap=None):
        blocks.show(blocks.heading(name, legend))
        if not there:
            blocks.show(words.missing_box("Not measured", why))
            return
        zone = st.context.timezone
        start = formats.local_time(report.window.start, zone)
        charts.show(draw(), key=f"pump_{key}", height=HEIGHT_PX, alt=f"{name} since {start}",
                    view=view_of(report), link=link(report))
