"""The last hours of a pack as charts: voltage, residual, charge, resistance."""

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
from core.twin.study import DAY_S, Study
from core.twin.tasks import floats
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
    for key, figure, height, head, alt in (
            ("voltage", voltage(study, window), TALL,
             blocks.heading("Voltage of the mean cell", blocks.legend([
                 LegendItem("measured", "text4"), LegendItem("modelled", "grid", "dash"),
                 LegendItem("next 15 min", "grid", "dots")])),
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
    if study.soh_days.size > 1:
        blocks.show(blocks.heading("Health over time", blocks.legend([
            LegendItem("reported", "text", "dash"), LegendItem("estimated", "grid", "point")])))
        charts.show(health(study), key="twin_health", height=LOW, view=view,
                    alt="Health as it was reported, and as it is estimated now")


def health(study: Study) -> Drawing:
    """As its devices tell it over the whole history; the twin's own estimate stands at the end."""
    theme, zone = st.context.theme.type, st.context.timezone
    colour, judged = tokens(theme), study.judged
    now_s = judged.at.timestamp()
    times = now_s - DAY_S * (study.soh_days[-1] - study.soh_days)
    begun_s = float(times[0])
    air_s = AIR * (now_s - begun_s)
    figure = charts.blank(theme, None, (begun_s, now_s + air_s), zone, colour)
    _line(figure, times, 100.0 * study.soh_share, "Reported", "%{y:.1f} %",
          {"width": 1.4, "dash": "dash", "color": colour["text"]}, zone)
    if judged.soh.known:
        soh = judged.soh.times(100.0)
        figure.add_scatter(
            x=local_ms(np.array([now_s]), zone), y=np.array([soh.value]), mode="markers",
            name="Estimated", marker={"size": 7, "color": colour["grid"]},
            error_y={"type": "data", "symmetric": False, "array": [soh.high - soh.value],
                     "arrayminus": [soh.value - soh.low], "color": colour["grid"]},
            hovertemplate="Estimated %{y:.1f} %<extra></extra>")
    told = 100.0 * study.soh_share
    ends = [told.min(), told.max()] if not judged.soh.known else [
        min(told.min(), 100.0 * judged.soh.low), max(told.max(), 100.0 * judged.soh.high)]
    figure.update_yaxes(ticksuffix=" %", range=[float(ends[0]) - 1.0, float(ends[1]) + 1.0])
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
    if window is not None and window.answer.ahead_s:
        ahead_s = window.time_s[-1] + floats(window.answer.ahead_s).astype(np.float64)
        off_v = (window.answer.residual_mean_mv or 0.0) / 1000.0
        _line(figure, ahead_s, floats(window.answer.ahead_v) + off_v, "Next 15 min",
              "%{y:.3f} V", {"width": 1.8, "dash": "dot", "color": colour["grid"]}, zone)
    figure.update_yaxes(ticksuffix=" V", tickformat=".3f")
    return figure


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
        x = local_ms(times[part], zone)
        figure.add_scatter(x=np.concatenate((x, x[::-1])),
                           y=np.concatenate((high[there][part], low[there][part][::-1])),
                           fill="toself", fillcolor=rgba(hue, 0.2), hoverinfo="skip", mode="lines",
                           line={"width": 0, "color": "rgba(0,0,0,0)"}, name="interval")
