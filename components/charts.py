"""Plotly figures in the look of Orrery; pages show them with `show`.

Times are the viewer's wall clock. Colours come from the theme at hand; ticks and grid are
also set in blocks.css, because a change of the system's theme does not run the page again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go

from components import formats, plot
from components.drawing import Drawing
from components.series_math import (
    FloatArray,
    Span,
    alt,
    broken,
    gaps,
    has_data,
    known,
    local_ms,
    runs,
    steps,
)
from components.tokens import rgba, tokens
from core.ports import Series

__all__ = ["Limit", "add_band", "add_readings", "add_split", "alt", "blank", "gaps",
           "has_data", "show", "template", "trend_power_soc", "trend_range"]

_FAMILY = '"Source Sans", sans-serif'
_SMALLEST_GAP = 0.004
_SPOKEN_GAP = 0.09
_FAR = 2.0
_TICKS = [
    {"dtickrange": [None, 59_999], "value": "%H:%M:%S\n%-d %b"},
    {"dtickrange": [60_000, 86_399_999], "value": "%H:%M\n%-d %b"},
    {"dtickrange": [86_400_000, 604_799_999], "value": "%a %-d\n%b %Y"},
    {"dtickrange": [604_800_000, "M1"], "value": "%-d %b\n%Y"},
    {"dtickrange": ["M1", None], "value": "%b\n%Y"},
]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit in the unit of the chart; label: "trip limit"."""

    value: float
    label: str = "limit"


@cache
def template(theme: str | None) -> dict[str, Any]:
    """Axes, fonts and hover of every figure. Spikes and tick formats are ignored in a
    template: `_figure` sets them."""
    colour = tokens(theme)
    axis = {"showgrid": False, "zeroline": False, "ticks": "", "automargin": True,
            "gridcolor": colour["border"], "zerolinecolor": colour["border_strong"],
            "tickfont": {"color": colour["text3"], "size": 12}}
    layout = {
        "font": {"family": _FAMILY, "size": 13, "color": colour["text2"]},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 4, "r": 4, "t": 10, "b": 4}, "showlegend": False,
        "hovermode": "x unified", "separators": ".\u202f",
        "hoverlabel": {"bgcolor": colour["raised"], "bordercolor": colour["border"],
                       "font": {"color": colour["text"], "size": 13}},
        "xaxis": {**axis, "showline": True, "linecolor": colour["border"], "nticks": 7,
                  "tickangle": 0},
        "yaxis": {**axis, "showgrid": True, "nticks": 5},
    }
    scatter = [{"line": {"width": 1.6}, "connectgaps": False, "mode": "lines"}]
    checked: dict[str, Any] = go.layout.Template(
        layout=layout, data={"scatter": scatter}).to_plotly_json()
    return checked


def trend_power_soc(power: Series, soc: Series | None = None, *, theme: str | None = None,
                    zone: str | None = None, span: Span | None = None,
                    palette: str = "default") -> Drawing:
    """Power [kW] as two areas, discharging up and charging down, with the range between
    its readings as a band; state of charge [%] dashed on the right, 0 to 100."""
    colour = tokens(theme, palette)
    there = known(power)
    scale, unit = _power_scale(there)
    figure = blank(theme, power, span, zone, colour)
    add_split(figure, power, colour, zone, "Power", f"%{{y:.3~g}} {unit}", scale)
    figure.update_yaxes(ticksuffix=f" {unit}", tickformat=",~r",
                        range=_around_zero(there, scale))
    if soc is not None and has_data(soc):
        _add_soc(figure, soc, colour["text"], zone)
    return figure


def add_split(figure: Drawing, series: Series, colour: dict[str, str], zone: str | None,
              name: str, shape: str, scale: float = 1.0) -> None:
    """Two areas split at a true zero line, discharging (+ in `series`) and charging; a
    negative `scale` turns charging up. No area bridges a gap."""
    there = known(series)
    add_band(figure, series, colour["text3"], 0.25, zone, scale, stepped=True)
    for word, hue, side in (("Discharging", "discharge", 1), ("Charging", "charge", -1)):
        one_way = np.maximum(there.mean * side, 0) * side * np.float32(scale)
        time_s, height = steps(series, one_way)
        figure.add_scatter(x=local_ms(time_s, zone), y=height, name=word,
                           line={"width": 1, "shape": "hv", "color": colour[hue]},
                           fill="tozeroy", fillcolor=rgba(colour[hue], 0.38), hoverinfo="skip")
    add_readings(figure, series, shape, name, "rgba(0,0,0,0)", zone, scale)
    figure.add_hline(y=0, line={"width": 1.5, "color": colour["border_strong"]}, layer="above")


def trend_range(series: Sequence[Series], unit: str, *, theme: str | None = None,
                zone: str | None = None, span: Span | None = None,
                limits: Sequence[Limit] = (), names: Sequence[str] = (),
                hues: Sequence[str] = ("text", "charge", "discharge", "grid", "water"),
                decimals: int = 2) -> Drawing:
    """Means as lines over their min to max bands. A gap splits line and band and is shaded
    where no series knows anything; limits are dotted red lines with their value."""
    colour = tokens(theme)
    told = [one for one in series if has_data(one)]
    figure = blank(theme, told[0] if len(told) == 1 else None, span, zone, colour)
    for place, one in enumerate(series):
        if not has_data(one):
            continue
        hue = hues[place % len(hues)]
        name = names[place] if place < len(names) else "Mean"
        add_band(figure, one, colour["text3" if hue == "text" else hue], 0.28, zone)
        add_readings(figure, one, f"%{{y:.{decimals}f}} {unit}", name, colour[hue], zone)
    figure.update_yaxes(ticksuffix=f" {unit}", tickformat=f",.{_tick_decimals(told)}f")
    _add_limits(figure, told, limits, unit, decimals, colour)
    return figure


def show(figure: Drawing, *, key: str, alt: str, height: int = 260, view: str = "",
         link: str = "") -> None:
    """One chart of the page; `alt` says in words what it shows. New data change it in place and
    keep a person's zoom; another `view` (what is seen, over which range) ends the zoom. Charts
    of time with the same `link` and `view` share zoom and hover."""
    plot.show(figure, key=key, alt=alt, height=height, view=view, link=link)


def blank(theme: str | None, series: Series | None, span: Span | None, zone: str | None,
          colour: dict[str, str]) -> Drawing:
    """A figure without data: axes of time over `span`, the gaps of `series` shaded."""
    figure = Drawing(template=template(theme))
    figure.update_xaxes(type="date", tickformatstops=_TICKS, hoverformat="%a %-d %b %H:%M:%S",
                        showspikes=True, spikecolor=colour["text4"], spikethickness=1,
                        spikedash="solid", spikemode="across")
    figure.update_yaxes(showspikes=False)
    if span is not None:
        ends = np.array(span)
        figure.update_xaxes(range=local_ms(ends, zone).tolist())
    if series is not None:
        shade_gaps(figure, series, span, zone, colour)
    return figure


def shade_gaps(figure: Drawing, series: Series, span: Span | None, zone: str | None,
               colour: dict[str, str], words_at: float = 0.78, axis: Span | None = None) -> None:
    """Gaps wide enough to be seen are shaded; wide enough to be read, they say how long, at
    the part words_at of the height. axis: what is drawn, where that is more than `span`."""
    times = known(series).time_s
    if times.size == 0:
        return
    drawn = axis or span or (float(times[0]), float(times[-1]))
    width = drawn[1] - drawn[0]
    for start, end in gaps(series, span):
        if end - start < _SMALLEST_GAP * width:
            continue
        left, right = local_ms(np.array([start, end]), zone).tolist()
        figure.add_shape(type="rect", xref="x", yref="paper", x0=left, x1=right, y0=0, y1=1,
                         fillcolor=rgba(colour["border"], 0.4), line={"width": 0}, layer="below")
        if end - start >= _SPOKEN_GAP * width:
            figure.add_annotation(
                x=(left + right) / 2, xref="x", y=words_at, yref="paper", yanchor="middle",
                text=f"no data<br>{formats.age(end - start)}",
                font={"size": 12, "color": colour["text3"]})


def add_band(figure: Drawing, series: Series, hue: str, alpha: float, zone: str | None,
             scale: float = 1.0, *, stepped: bool = False) -> None:
    """The range min..max, one closed shape a run, so that no gap is bridged."""
    there = known(series)
    if np.array_equal(there.minimum, there.maximum):
        return
    for part in runs(series):
        time_s, low, high = (there.time_s[part], there.minimum[part] * np.float32(scale),
                             there.maximum[part] * np.float32(scale))
        if stepped:
            time_s, low, high = _as_steps(time_s, low, high, series.resolution_s)
        x = local_ms(time_s, zone)
        figure.add_scatter(x=np.concatenate((x, x[::-1])), y=np.concatenate((high, low[::-1])),
                           fill="toself", fillcolor=rgba(hue, alpha), hoverinfo="skip",
                           line={"width": 0.8, "color": rgba(hue, alpha)}, name="range")


def _as_steps(time_s: FloatArray, low: FloatArray, high: FloatArray, width_s: float
              ) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Every value held until the next one, the last for `width_s`."""
    edges = np.append(time_s, time_s[-1] + width_s)
    return np.repeat(edges, 2)[1:-1], np.repeat(low, 2), np.repeat(high, 2)


def add_readings(figure: Drawing, series: Series, shape: str, name: str, colour: str,
                 zone: str | None, scale: float = 1.0) -> None:
    """The mean as a line; hovering tells it with its lowest and highest."""
    there, factor = known(series), np.float32(scale)
    time_s, mean = broken(series, there.mean * factor)
    _, low = broken(series, there.minimum * factor)
    _, high = broken(series, there.maximum * factor)
    ranged = not np.array_equal(there.minimum, there.maximum)
    number = shape.partition("}")[0].partition(":")[2]
    extra = f" <i>%{{customdata[0]:{number}}} to %{{customdata[1]:{number}}}</i>" if ranged else ""
    figure.add_scatter(x=local_ms(time_s, zone), y=mean, name=_plain(name),
                       line={"width": 1.6, "color": colour},
                       customdata=np.column_stack((low, high)) if ranged else None,
                       hovertemplate=f"{_plain(name)} {shape}{extra}<extra></extra>")


def _add_soc(figure: Drawing, soc: Series, colour: str, zone: str | None) -> None:
    time_s, mean = broken(soc, known(soc).mean)
    figure.add_scatter(x=local_ms(time_s, zone), y=mean, yaxis="y2", name="State of charge",
                       line={"width": 1.6, "dash": "dash", "color": colour},
                       hovertemplate="State of charge %{y:.1f} %<extra></extra>")
    figure.update_yaxes(
        "yaxis2", overlaying="y", side="right", showgrid=False, showspikes=False,
        range=[0, 100], tickmode="array", tickvals=[0, 50, 100],
        ticktext=["0", "50", "100 %"], fixedrange=True)


def _power_scale(series: Series) -> tuple[float, str]:
    """Factor from kW and unit, so that the highest value has one to three digits."""
    highest = float(np.max(np.abs((series.minimum, series.maximum)), initial=0.0))
    if highest < 1:
        return 1000.0, "W"
    return (1.0, "kW") if highest < 1000 else (0.001, "MW")


def _around_zero(series: Series, scale: float) -> list[float]:
    """Range of the axis: all values and zero, with air at both ends."""
    low = min(float(np.min(series.minimum, initial=0.0)) * scale, 0.0)
    high = max(float(np.max(series.maximum, initial=0.0)) * scale, 0.0)
    air = max(0.08 * (high - low), 1e-6)
    return [low - air, high + air]


def _extent(series: Sequence[Series]) -> tuple[float, float]:
    return (min(float(np.nanmin(one.minimum)) for one in series),
            max(float(np.nanmax(one.maximum)) for one in series))


def _tick_decimals(series: Sequence[Series]) -> int:
    """As many as five ticks over the data need, at most 4, so that all of them look alike."""
    if not series:
        return 0
    low, high = _extent(series)
    step = (high - low) / 5 if high > low else max(abs(high), 1e-3) / 50
    return min(max(0, -math.floor(math.log10(step))), 4)


def _add_limits(figure: Drawing, series: Sequence[Series], limits: Sequence[Limit], unit: str,
                decimals: int, colour: dict[str, str]) -> None:
    """A limit near the data is a line; a far one is told at the edge, for a line there would
    press the data flat."""
    if not series:
        return
    low, high = _extent(series)
    reach = _FAR * max(high - low, 10.0 ** -decimals)
    ends = [low, high]
    for limit in limits:
        text = f"{_plain(limit.label)} {formats.number(limit.value, decimals)} {unit}"
        font = {"size": 12, "color": colour["alarm"]}
        if low - reach <= limit.value <= high + reach:
            ends = [min(ends[0], limit.value), max(ends[1], limit.value)]
            figure.add_hline(y=limit.value, layer="below",
                             line={"width": 1.5, "dash": "dot", "color": colour["alarm"]})
            figure.add_annotation(text=text, font=font, bgcolor=colour["surface"], x=1,
                                  xref="paper", xanchor="right", y=limit.value,
                                  yanchor="bottom")
        else:
            above = limit.value > high
            figure.add_annotation(text=("↑ " if above else "↓ ") + text, font=font, x=1,
                                  xref="paper", xanchor="right", y=1 if above else 0,
                                  yref="paper", yanchor="top" if above else "bottom")
    air = max(0.12 * (ends[1] - ends[0]), 10.0 ** -decimals)
    figure.update_yaxes(range=[ends[0] - air, ends[1] + air])


def _plain(text: str) -> str:
    """Text for Plotly, which reads a few tags and %{...}: names are text (law 11)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "%\u200b{")
