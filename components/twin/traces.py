"""A pack as charts: its last hours, and what was found of it over the years."""

from __future__ import annotations

import numpy as np
import streamlit as st

from components import blocks, charts
from components.blocks import LegendItem
from components.drawing import Drawing
from components.series_math import broken, known, local_ms, runs
from components.tokens import rgba, tokens
from components.twin import words
from core.ports import Series
from core.twin.interval import SIGMAS
from core.twin.models import Floats
from core.twin.past import Plate
from core.twin.study import Study
from core.twin.tasks import floats
from core.twin.trend import DAY_S, Line
from core.twin.windows import Window

LINK = "twin_traces"
TALL, LOW = 230, 130
AHEAD_S = 900.0
"""Of the axes after the record, for what is foretold."""
AIR = 0.02
"""Of an axis whose last point stands at the end."""


def show(study: Study, plate: Plate, window: Window | None) -> None:
    """Four charts that share zoom and hover."""
    view = f"{plate.id}"
    spread = study.followed.resistance_sigma
    foretold = [] if ahead(study, window) is None else [LegendItem("next 15 min", "grid", "dots")]
    for key, figure, height, head, alt in (
            ("voltage", voltage(study, window), TALL,
             blocks.heading("Voltage of the mean cell", blocks.legend([
                 LegendItem("measured", "text4"), LegendItem("modelled", "grid", "dash"),
                 *foretold])),
             "Measured and modelled voltage of the mean cell over the last hours"),
            ("residual", residual(study, plate), LOW,
             blocks.heading("Measured less modelled", "band: what the model may be off"),
             f"Measured less modelled voltage, {study.judged.rms_mv:.0f} mV root mean square"),
            ("charge", charge(study), LOW,
             blocks.heading("Charge", blocks.legend([
                 LegendItem("estimated", "grid"), LegendItem("reported", "text", "dash")])),
             "Estimated charge with its interval, and as it was reported")):
        _one(key, figure, height, head, alt, view)
    if np.isfinite(spread).any() and words.is_told(study.judged.resistance):
        _one("resistance", resistance(study), LOW,
             blocks.heading("Resistance", "multiple of a new cell's"),
             "Estimated resistance with its interval", view)
    _over_time(study, view)


def _over_time(study: Study, view: str) -> None:
    """What is kept of it, with from when to when."""
    zone = st.context.timezone
    for key, line, figure, head, what in (
            ("capacity", study.trend.capacity, capacity, "Capacity over time",
             "share of the rated one"),
            ("growth", study.trend.resistance, resistances, "Resistance over time",
             "multiple of a new cell's")):
        if line.time_s.size > 1:
            blocks.show(blocks.heading(head, f"{what}, {words.dates(line, zone)}, "
                                             "band: 90 % of each"))
            charts.show(figure(study), key=f"twin_{key}_trend", height=LOW, view=view,
                        alt=f"{head}, {words.dates(line, zone)}, with its interval")
        else:
            blocks.show(blocks.heading(head), blocks.note(words.no_line(line)))
    by_devices = study.judged.fade_by == "reported" and study.soh_days.size > 1
    if by_devices or study.trend.soh.time_s.size > 1:
        items = [LegendItem("reported", "text", "dash")] if by_devices else []
        blocks.show(blocks.heading("Health over time", blocks.legend(
            [*items, LegendItem("estimated", "grid", "point")])))
        charts.show(health(study), key="twin_health", height=LOW, view=view,
                    alt="Health as it is estimated, with its interval" + (
                        ", and as it was reported" if by_devices else ""))
    told = words.fade_by(study.judged)
    if told:
        blocks.show(blocks.note(told))


def capacity(study: Study) -> Drawing:
    """Each that was found [% of the rated one]."""
    return _kept(study.trend.capacity, 100.0, "Capacity", "%{y:.1f} %", " %")


def resistances(study: Study) -> Drawing:
    return _kept(study.trend.resistance, 1.0, "Resistance", "%{y:.2f} ×", " ×")


def _kept(line: Line, scale: float, name: str, shape: str, suffix: str) -> Drawing:
    theme, zone = st.context.theme.type, st.context.timezone
    colour = tokens(theme)
    figure = charts.blank(theme, None, _with_air(line.time_s[0], line.time_s[-1]), zone, colour)
    _add_kept(figure, line, scale, name, shape, colour["grid"], zone)
    figure.update_yaxes(ticksuffix=suffix)
    return figure


def _with_air(begun_s: float, ended_s: float) -> tuple[float, float]:
    return float(begun_s), float(ended_s + AIR * (ended_s - begun_s))


def _add_kept(figure: Drawing, line: Line, scale: float, name: str, shape: str, hue: str,
              zone: str | None) -> None:
    """Points with a band: between two of them nothing was measured."""
    x, value = local_ms(line.time_s, zone), scale * line.value
    wide = scale * SIGMAS * line.sigma
    _shape(figure, x, value - wide, value + wide, hue)
    figure.add_scatter(x=x, y=value, mode="markers", name=name,
                       marker={"size": 4, "color": hue},
                       hovertemplate=f"{name} {shape}<extra></extra>")


def health(study: Study) -> Drawing:
    """As its devices tell it over the whole history, and as the twin estimates it: what is kept
    of that, or the newest alone."""
    theme, zone = st.context.theme.type, st.context.timezone
    colour, judged, kept = tokens(theme), study.judged, study.trend.soh
    now_s = judged.at.timestamp()
    soh = judged.soh.times(100.0)
    told, times = np.empty(0), np.empty(0)
    if judged.fade_by == "reported":
        told = 100.0 * study.soh_share
        times = now_s - DAY_S * (study.soh_days[-1] - study.soh_days)
    moments = np.concatenate([times, kept.time_s, [now_s]])
    figure = charts.blank(theme, None, _with_air(moments.min(), now_s), zone, colour)
    if told.size:
        _line(figure, times, told, "Reported", "%{y:.1f} %",
              {"width": 1.4, "dash": "dash", "color": colour["text"]}, zone)
    if kept.time_s.size > 1:
        _add_kept(figure, kept, 100.0, "Estimated", "%{y:.1f} %", colour["grid"], zone)
    elif soh.known:
        figure.add_scatter(
            x=local_ms(np.array([now_s]), zone), y=np.array([soh.value]), mode="markers",
            name="Estimated", marker={"size": 7, "color": colour["grid"]},
            error_y={"type": "data", "symmetric": False, "array": [soh.high - soh.value],
                     "arrayminus": [soh.value - soh.low], "color": colour["grid"]},
            hovertemplate="Estimated %{y:.1f} %<extra></extra>")
    wide = SIGMAS * kept.sigma
    ends = np.concatenate([told, 100.0 * (kept.value - wide), 100.0 * (kept.value + wide),
                           [soh.low, soh.high] if soh.known else []])
    figure.update_yaxes(ticksuffix=" %", range=[float(ends.min()) - 1.0, float(ends.max()) + 1.0])
    return figure


def _one(key: str, figure: Drawing, height: int, head: blocks.Html, alt: str, view: str) -> None:
    blocks.show(head)
    charts.show(figure, key=f"twin_{key}", alt=alt, height=height, view=view, link=LINK)


def voltage(study: Study, window: Window | None) -> Drawing:
    figure, zone, colour = _blank(study)
    record = study.past.record
    charts.add_readings(figure, _series(record.time_s, record.voltage_v), "%{y:.3f} V", "Measured",
                        colour["text4"], zone)
    _line(figure, record.time_s, study.followed.modelled_v, "Modelled", "%{y:.3f} V",
          {"width": 1.4, "dash": "dash", "color": colour["grid"]}, zone)
    foretold = ahead(study, window)
    if foretold is not None:
        _line(figure, *foretold, "Next 15 min", "%{y:.3f} V",
              {"width": 1.8, "dash": "dot", "color": colour["grid"]}, zone)
    figure.update_yaxes(ticksuffix=" V", tickformat=".3f")
    return figure


def ahead(study: Study, window: Window | None) -> tuple[Floats, Floats] | None:
    """Times and voltages that the last window foretells; None once all of them are measured."""
    if window is None or not window.answer.ahead_s:
        return None
    time_s = window.time_s[-1] + floats(window.answer.ahead_s).astype(np.float64)
    if time_s[-1] <= study.past.record.time_s[-1]:
        return None
    return time_s, floats(window.answer.ahead_v) + window.answer.off_v


def residual(study: Study, plate: Plate) -> Drawing:
    figure, zone, colour = _blank(study)
    off_mv = 1000.0 * plate.model.voltage_error_v
    figure.add_hrect(-off_mv, off_mv, fillcolor=rgba(colour["text3"], 0.12), line={"width": 0},
                     layer="below")
    figure.add_hline(0, line={"width": 1, "color": colour["border_strong"]}, layer="below")
    _line(figure, study.past.record.time_s, 1000.0 * study.followed.residual_v, "Residual",
          "%{y:.1f} mV", {"width": 1.4, "color": colour["text2"]}, zone)
    figure.update_yaxes(ticksuffix=" mV", rangemode="tozero")
    return figure


def charge(study: Study) -> Drawing:
    figure, zone, colour = _blank(study)
    times, soc = study.past.record.time_s, 100.0 * study.followed.soc
    wide = 100.0 * SIGMAS * study.followed.soc_sigma
    _band(figure, times, np.maximum(soc - wide, 0.0), np.minimum(soc + wide, 100.0),
          colour["grid"], zone)
    _line(figure, times, soc, "Estimated", "%{y:.1f} %", {"width": 1.6, "color": colour["grid"]},
          zone)
    _line(figure, times, study.past.soc_pct, "Reported", "%{y:.1f} %",
          {"width": 1.4, "dash": "dash", "color": colour["text"]}, zone)
    figure.update_yaxes(ticksuffix=" %")
    return figure


def resistance(study: Study) -> Drawing:
    figure, zone, colour = _blank(study)
    times, ratio = study.past.record.time_s, study.followed.resistance
    wide = SIGMAS * study.followed.resistance_sigma
    _band(figure, times, ratio - wide, ratio + wide, colour["grid"], zone)
    _line(figure, times, ratio, "Resistance", "%{y:.2f} ×",
          {"width": 1.6, "color": colour["grid"]}, zone)
    figure.update_yaxes(ticksuffix=" ×")
    return figure


def _blank(study: Study) -> tuple[Drawing, str | None, dict[str, str]]:
    theme, zone = st.context.theme.type, st.context.timezone
    colour = tokens(theme)
    record = study.past.record
    span = (float(record.time_s[0]), float(record.time_s[-1]) + AHEAD_S)
    figure = charts.blank(theme, None, span, zone, colour)
    charts.shade_gaps(figure, _series(record.time_s, record.voltage_v),
                      (span[0], span[1] - AHEAD_S), zone, colour)
    return figure, zone, colour


def _series(time_s: Floats, values: Floats) -> Series:
    """As the charts take it."""
    told = values.astype(np.float32)
    step_s = float(np.median(np.diff(time_s))) if time_s.size > 1 else 1.0
    return Series("", "", time_s, told, told, told, step_s)


def _line(figure: Drawing, time_s: Floats, values: Floats, name: str, shape: str,
          line: dict[str, object], zone: str | None) -> None:
    """Gaps stay gaps."""
    times, told = broken(_series(time_s, values), values)
    figure.add_scatter(x=local_ms(times, zone), y=told, name=name, line=line, mode="lines",
                       hovertemplate=f"{name} {shape}<extra></extra>")


def _band(figure: Drawing, time_s: Floats, low: Floats, high: Floats, hue: str,
          zone: str | None) -> None:
    """The interval that holds 90 %, one shape a piece without a gap."""
    series = _series(time_s, low + high)
    times = known(series).time_s
    there = np.isfinite(low + high)
    for part in runs(series):
        _shape(figure, local_ms(times[part], zone), low[there][part], high[there][part], hue)


def _shape(figure: Drawing, x: Floats, low: Floats, high: Floats, hue: str) -> None:
    figure.add_scatter(x=np.concatenate((x, x[::-1])), y=np.concatenate((high, low[::-1])),
                       fill="toself", fillcolor=rgba(hue, 0.2), hoverinfo="skip", mode="lines",
                       line={"width": 0, "color": "rgba(0,0,0,0)"}, name="interval")
