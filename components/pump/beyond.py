"""What the numbers mean: COP against temperatures, starts, seasonal performance, findings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import streamlit as st

from components import blocks, charts, formats
from components.api_client import Client
from components.blocks import Html, LegendItem
from components.formats import Text
from components.pump import charts as plots
from components.pump import past, words
from components.pump.lines import Floats
from components.pump.shown import frame_of, link, view_of
from core.devices import Device
from core.heatpump.cop import WHOLE_DAY_SHARE, cop_series, daily_spf
from core.heatpump.cycles import DAY_H, starts_per_day
from core.heatpump.findings import findings
from core.heatpump.heat import flow_temperature_c
from core.heatpump.log import PumpLog
from core.heatpump.population import Population, Quantiles, population_of
from core.heatpump.report import Report, Window
from core.pump import PerformanceMap, Pump

HEIGHT_PX, DAYS = 230, 2.0
SEVERITY = {"alert": ("error", True), "warning": ("warning", True), "hint": ("lightbulb", False)}
MOST_DOTS = 600


def findings_of(client: Client, device: Device, shown: Window) -> None:
    """What is conspicuous, and where the pump stands among real ones."""
    report = past.told(client, device, shown)
    with st.container(key="panel_pump_findings", gap=None):
        _findings(report)


def show(client: Client, device: Device, shown: Window) -> None:
    """COP over temperatures, degree minutes, and what is counted by the day."""
    report = past.told(client, device, shown)
    with st.container(key="pump_thirds"):
        _against(report, "flow", "Flow temperature")
        _against(report, "source", "Outdoor temperature")
        _degree_minutes(report)
    days = past.days(client, device, shown)
    with st.container(key="pump_days"):
        _spf(client, days)
        _starts(client, days)


def _findings(report: Report) -> None:
    found = findings(report.log, report.pump, report.account)
    blocks.show(blocks.heading("Findings", "of the shown time, beside what real pumps reach"))
    boxes = [blocks.state_box(SEVERITY[one.severity][0], *words.finding(one),
                              error=SEVERITY[one.severity][1]) for one in found]
    blocks.show(_population(report), *(boxes or [blocks.note(
        "No finding: starts, brine, auxiliary heat, hot water and sensors stay within the limits "
        "that call for a look.")]))


def _population(report: Report) -> Html:
    """COP and starts beside the quantiles of real systems."""
    real = population_of(report.pump.medium)
    kind = "air source" if report.pump.medium == "air" else "ground source"
    cop = report.figures.cop
    cards = [
        _beside("COP", cop, real.spf, 2, f"{real.systems} {kind} pumps over a year"),
        _beside("Starts per hour", report.starts.per_hour, real.starts_per_hour, 2,
                _runs(report)),
    ]
    return Html(f"{blocks.grid(cards, columns=2)}{blocks.note(_cited(real))}")


def _cited(real: Population) -> str:
    few = "; so few that it is a hint only" if real.few else ""
    return f"Real pumps: {real.cited}{few}."


def _beside(label: str, value: float, real: Quantiles, decimals: int, note: str) -> Html:
    ends = (f"real: {formats.number(real.p10, decimals)} to {formats.number(real.p90, decimals)}, "
            f"median {formats.number(real.p50, decimals)}")
    return blocks.card(label, Text(formats.number(value, decimals), ""),
                       below=f"{ends}; {note}")


def _runs(report: Report) -> str:
    shortest = report.starts.shortest_s
    if report.starts.too_coarse:
        return words.TOO_COARSE
    if not math.isfinite(shortest):
        return "no whole run in this time"
    return f"shortest run {formats.age(shortest)}"


def _against(report: Report, what: str, label: str) -> None:
    """COP of each stretch over a temperature, with the curve of the model's map."""
    key, title = f"pump_scatter_{what}", f"COP over {label.lower()}"
    with st.container(key=f"panel_{key}", gap=None):
        if report.basis is None:
            blocks.show(blocks.heading(title), words.missing_box(
                "No COP", words.no_cop(report.account.possible, report.pump)))
            return
        log = report.log
        flow = flow_temperature_c(log, report.pump)
        axis = flow if what == "flow" else log.column("outdoor_c")
        dots, at, other = _dots(report, axis, flow, what)
        if not dots.size:
            blocks.show(blocks.heading(title), words.missing_box(
                "No COP in this time", "The pump ran too little, or the sensor is missing."))
            return
        curve = _curve(report.pump.performance, at, other, what, report.pump.medium)
        name = curve_name(report.pump, what, other)
        legend = blocks.legend([LegendItem("measured", "text", "point"),
                                LegendItem(name, "heat", "dash")])
        blocks.show(blocks.heading(title, "" if curve is None else legend))
        charts.show(plots.scatter(at, dots, "°C", curve, frame_of(report)), key=key,
                    height=HEIGHT_PX, alt=title, view=view_of(report))


def _dots(report: Report, axis: Floats, flow: Floats, what: str,
          ) -> tuple[Floats, Floats, float]:
    """COP and temperature of each stretch, and the mean of the other temperature."""
    assert report.basis is not None
    width_s = max(900.0, report.window.seconds / MOST_DOTS)
    found = cop_series(report.account, report.basis, "all", False, width_s)
    at = _bucket_means(report.log, axis, report.account.compressor_on, found.time_s,
                       found.bucket_s)
    known = np.isfinite(found.cop) & np.isfinite(at)
    other = source_c(report.log, report.pump.medium) if what == "flow" else flow
    running = (report.account.compressor_on > 0.5) & np.isfinite(other)
    mean = float(other[running].mean()) if running.any() else math.nan
    return found.cop[known], at[known], mean


def source_c(log: PumpLog, medium: str) -> Floats:
    """What the pump draws its heat from."""
    return log.column("outdoor_c") if medium == "air" else log.column("brine_in_c")


def _bucket_means(log: PumpLog, values: Floats, on: Floats, begins_s: Floats, bucket_s: float,
                  ) -> Floats:
    """Mean of each bucket while the compressor runs."""
    if not begins_s.size:
        return np.empty(0)
    number = np.floor((log.time_s - begins_s[0]) / bucket_s).astype(np.int64)
    used = np.isfinite(values) & (on > 0.5) & (number >= 0) & (number < begins_s.size)
    count = np.bincount(number[used], minlength=begins_s.size).astype(np.float64)
    total = np.bincount(number[used], values[used], begins_s.size)
    return np.divide(total, count, out=np.full(count.size, np.nan), where=count > 0)


def _curve(known: PerformanceMap | None, at: Floats, other: float, what: str, medium: str,
           ) -> tuple[Floats, Floats] | None:
    """The maker's COP over the same temperatures; None without a map, and over the outdoor
    temperature of a ground-source pump, on which it does not depend."""
    if known is None or not math.isfinite(other) or not _depends(what, medium):
        return None
    line = np.linspace(float(at.min()), float(at.max()), 24)
    fixed = np.full(line.size, other)
    cop = known.cop(fixed, line) if what == "flow" else known.cop(line, fixed)
    there = np.isfinite(cop)
    return (line[there], cop[there]) if there.any() else None


def curve_name(pump: Pump, what: str, other: float) -> str:
    """"Danfoss DHP-H 10, brine at 0 °C": whose curve it is, and at which other temperature; of a
    map with one source temperature alone it is that one. "" without a map."""
    known = pump.performance
    if known is None:
        return ""
    source = "outdoor air" if pump.medium == "air" else "brine"
    sources = {point.source_c for point in known.points}
    if what == "flow" and len(sources) == 1:
        other = sources.pop()
    at = f"{source if what == 'flow' else 'flow'} at {formats.quantity(other, '°C')}"
    return f"{known.model}, {at}"


def _depends(what: str, medium: str) -> bool:
    """Whether a maker's COP depends on the axis."""
    return what == "flow" or medium != "brine"


def _degree_minutes(report: Report) -> None:
    with st.container(key="panel_pump_minutes", gap=None):
        blocks.show(blocks.heading("Degree minutes", "what heat the house lacks"))
        if not report.log.tells("degree_minutes"):
            blocks.show(words.missing_box("Not told", words.reason("degree_minutes",
                                                                   report.pump)))
            return
        charts.show(plots.degree_minutes(report.log, frame_of(report)), key="pump_minutes",
                    height=HEIGHT_PX, alt="Degree minutes", view=view_of(report),
                    link=link(report))


def _spf(client: Client, report: Report) -> None:
    """One bar a local day of the house."""
    with st.container(key="panel_pump_spf", gap=None):
        blocks.show(blocks.heading("Seasonal performance factor, by day",
                                   f"{_days(report)}; paler: not whole"))
        if report.basis is None:
            blocks.show(words.missing_box("No performance factor", words.no_cop(
                report.account.possible, report.pump)))
            return
        found = daily_spf(report.account, report.basis, _zone(client, report))
        charts.show(plots.bars(day_labels(found.day), found.spf, "SPF", "",
                               2, "heat", frame_of(report), found.partial.tolist()),
                    key="pump_spf", height=HEIGHT_PX, alt="Seasonal performance factor by day",
                    view=view_of(report))


def _starts(client: Client, report: Report) -> None:
    with st.container(key="panel_pump_starts", gap=None):
        per_hour = report.starts.per_hour
        aside = (f"{_days(report)}; {formats.number(per_hour, 2)} per hour; paler: not whole"
                 if math.isfinite(per_hour) else "not known")
        blocks.show(blocks.heading("Compressor starts, by day", aside))
        found = starts_per_day(report.log, _zone(client, report))
        if not np.isfinite(found.count).any():
            blocks.show(words.missing_box("Not known", words.TOO_COARSE.capitalize()
                                          if report.starts.too_coarse else
                                          "Nobody heard the compressor in this time."))
            return
        partial = found.known_h < WHOLE_DAY_SHARE * DAY_H
        charts.show(plots.bars(day_labels(found.day), found.count, "Starts", "", 0, "text3",
                               frame_of(report), partial.tolist()),
                    key="pump_starts", height=HEIGHT_PX, alt="Compressor starts by day",
                    view=view_of(report))


def day_labels(days: Sequence[date]) -> list[str]:
    """"3 Jan"; with the year where one day would be called as another."""
    short = [f"{day.day} {day:%b}" for day in days]
    return short if len(set(short)) == len(short) else [f"{day.day} {day:%b %Y}" for day in days]


def _days(report: Report) -> str:
    return f"the last {report.window.seconds / 86400:.0f} days"


def _zone(client: Client, report: Report) -> ZoneInfo:
    return client.house(report.device.house).zone
