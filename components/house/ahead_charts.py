"""Figures of what is to come and what was: forecast, the band of other days, energy bars."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from components import formats
from components.charts import add_readings, blank, template
from components.drawing import Drawing
from components.house.charts import Frame
from components.series_math import local_ms
from components.tokens import rgba, tokens
from core.forecast import Forecast
from core.normality import Profile
from core.ports import Series
from core.totals import Totals

FORECAST_ALPHA = 0.22
BARS_NAMED = 7


def soc_forecast(past: Series, forecast: Forecast, reserve_pct: float, now_s: float,
                 frame: Frame) -> Drawing:
    """The last hours as a line, the next 24 dotted within the band of their past errors."""
    colour = tokens(frame.theme)
    figure = blank(frame.theme, None, frame.span, frame.zone, colour)
    add_readings(figure, past, "%{y:.0f} %", "Measured", colour["text"], frame.zone)
    x = local_ms(forecast.time_s, frame.zone)
    there = np.isfinite(forecast.low_pct) & np.isfinite(forecast.high_pct)
    if there.any():
        figure.add_scatter(
            x=np.concatenate((x[there], x[there][::-1])), hoverinfo="skip", name="Band",
            y=np.concatenate((forecast.high_pct[there], forecast.low_pct[there][::-1])),
            fill="toself", fillcolor=rgba(colour["text3"], FORECAST_ALPHA), line={"width": 0})
    figure.add_scatter(x=x, y=forecast.soc_pct, name="Expected",
                       line={"width": 1.6, "dash": "dot", "color": colour["text"]},
                       hovertemplate="Expected %{y:.0f} %<extra></extra>")
    figure.add_vline(x=float(local_ms(np.array([now_s]), frame.zone)[0]),
                     line={"width": 1, "color": colour["text4"]})
    figure.add_hline(y=reserve_pct, line={"width": 1, "dash": "dot", "color": colour["text4"]})
    figure.add_annotation(text=f"reserve {formats.number(reserve_pct)} %", x=1, xref="paper",
                          xanchor="right", y=reserve_pct, yanchor="bottom",
                          font={"size": 11, "color": colour["text3"]})
    figure.update_yaxes(ticksuffix=" %", range=[0, 103], tickvals=[0, 50, 100],
                        ticktext=["0 %", "50 %", "100 %"])
    return figure


def profile_band(profile: Profile, frame: Frame) -> Drawing:
    """This window's power over the band of the other days, in bins of half an hour."""
    colour = tokens(frame.theme)
    figure = blank(frame.theme, None, frame.span, frame.zone, colour)
    x = local_ms(profile.time_s, frame.zone)
    there = np.isfinite(profile.low_kw) & np.isfinite(profile.high_kw)
    if there.any():
        figure.add_scatter(
            x=np.concatenate((x[there], x[there][::-1])), hoverinfo="skip", name="Other days",
            y=np.concatenate((profile.high_kw[there], profile.low_kw[there][::-1])),
            fill="toself", fillcolor=rgba(colour["text3"], 0.28), line={"width": 0})
        figure.add_scatter(x=x, y=profile.median_kw, name="Median",
                           line={"width": 1, "dash": "dot", "color": colour["text3"]},
                           hovertemplate="Median %{y:.2f} kW<extra></extra>")
    figure.add_scatter(x=x, y=profile.this_kw, name="This time",
                       line={"width": 1.8, "color": colour["text"]},
                       hovertemplate="This time %{y:.2f} kW<extra></extra>")
    figure.update_yaxes(ticksuffix=" kW", tickformat=",~r", rangemode="tozero")
    return figure


def energy_bars(totals: Totals, calendar: str, frame: Frame) -> Drawing:
    """What came in above zero, what went out below it; the load as a line of its own."""
    colour = tokens(frame.theme)
    figure = Drawing(template=template(frame.theme), barmode="relative", bargap=0.35)
    x = [bucket_name(float(start_s), calendar, frame.zone) for start_s in totals.edges_s[:-1]]
    for name, values, hue, alpha in (
            ("Solar", totals.solar_kwh, "solar", 0.85),
            ("Grid, in", totals.import_kwh, "grid", 0.85),
            ("Battery, out", totals.discharged_kwh, "discharge", 0.85),
            ("Grid, out", -totals.export_kwh, "grid", 0.5),
            ("Battery, in", -totals.charged_kwh, "charge", 0.85)):
        figure.add_bar(x=x, y=values, name=name, customdata=np.abs(values),
                       marker={"color": rgba(colour[hue], alpha)},
                       hovertemplate=f"{name} %{{customdata:.1f}} kWh<extra></extra>")
    figure.add_scatter(x=x, y=totals.load_kwh, name="Load", mode="lines+markers",
                       line={"width": 1.6, "color": colour["text"], "shape": "hvh"},
                       marker={"size": 4, "color": colour["text"]},
                       hovertemplate="Load %{y:.1f} kWh<extra></extra>")
    figure.add_hline(y=0, line={"width": 1.5, "color": colour["border_strong"]})
    figure.update_xaxes(type="category", nticks=BARS_NAMED)
    figure.update_yaxes(ticksuffix=" kWh", tickformat=",~r")
    return figure


def bucket_name(start_s: float, calendar: str, zone: str | None) -> str:
    """"20 Nov", "week 47", "Nov 2026", "2026"."""
    local = datetime.fromtimestamp(start_s, formats.zone(zone))
    words = {"day": f"{local.day} {local:%b}", "month": f"{local:%b %Y}",
             "week": f"week {local:%V}", "year": f"{local.year}"}
    return words[calendar]
