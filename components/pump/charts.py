"""The heat pump's figures; times are the viewer's wall clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components import formats
from components.charts import blank
from components.drawing import Drawing
from components.pump.lines import Floats, gone_from, grounded, held, means, steps, thin
from components.series_math import Span, local_ms
from components.tokens import rgba, tokens
from core.heatpump.account import FINE_CELLS_S
from core.heatpump.log import PumpLog
from core.quantities import QUANTITY

BRINE_BAND_K = (3.0, 4.0)
LABEL_ROOM = 0.055
"""Least distance of two names at the ends of lines, as a share of the height."""
WIDE, NARROW = 10, 4
SWITCH_AXIS: dict[str, Any] = {"range": [-0.1, 1.15], "tickvals": [0, 1], "fixedrange": True,
                               "showgrid": False}


@dataclass(frozen=True, slots=True)
class Frame:
    """What all figures of a page share. span: from, to [s]; wide: whether a figure has the
    whole width of the page."""

    theme: str | None
    zone: str | None
    span: Span

    @property
    def colour(self) -> dict[str, str]:
        return tokens(self.theme)

    def x(self, time_s: Floats) -> Floats:
        return local_ms(time_s, self.zone)


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity of the log in one chart; hue: a colour token."""

    quantity: str
    label: str
    hue: str
    dash: str = "solid"


TEMPERATURES = (
    Line("hot_water_c", "Hot water", "water"),
    Line("radiator_supply_c", "Radiators, out", "heat"),
    Line("radiator_return_c", "Radiators, back", "heat", "dot"),
    Line("indoor_c", "Indoor", "text"),
    Line("outdoor_c", "Outdoor", "text3", "dash"),
    Line("brine_in_c", "Brine, in", "charge"),
    Line("brine_out_c", "Brine, out", "charge", "dot"),
)


def temperatures(log: PumpLog, lines: Sequence[Line], late_s: float, frame: Frame) -> Drawing:
    """Each line with its name and last value at its end, pushed apart; what is no longer heard
    (`gone_from`) has no value there."""
    drawing = _of_time(frame)
    ends: dict[str, tuple[float, float]] = {}
    seen: list[float] = []
    for line in lines:
        values = log.column(line.quantity)
        _line(drawing, frame, thin(log, values), line.label, "°C", 1, line.hue, line.dash)
        known = values[np.isfinite(values)]
        last = float(known[-1])
        ends[line.label] = last, last if np.isnan(gone_from(log, values, late_s)) else np.nan
        seen += [float(known.min()), float(known.max())]
    low, high = min(seen, default=0.0), max(seen, default=1.0)
    air = max(0.06 * (high - low), 0.5)
    bounds = (low - air, high + air)
    drawing.update_yaxes(ticksuffix=" °C", range=list(bounds))
    _end_labels(drawing, ends, bounds, {line.label: line.hue for line in lines}, frame)
    return drawing


def _end_labels(drawing: Drawing, ends: Mapping[str, tuple[float, float]],
                bounds: tuple[float, float], hues: Mapping[str, str], frame: Frame) -> None:
    """Names at the right, in the order of their ends, none over another. ends: name -> where
    the line ends, and what to write there."""
    height = bounds[1] - bounds[0]
    at = {name: (end - bounds[0]) / height for name, (end, _) in ends.items()}
    placed = apart(sorted(at.values()), LABEL_ROOM)
    for (name, _), y in zip(sorted(at.items(), key=lambda item: item[1]), placed, strict=True):
        drawing.add_annotation(
            text=f"{name} <b>{formats.number(ends[name][1], 1)}</b>", x=1.005, xref="paper",
            xanchor="left", y=y, yref="paper", yanchor="middle",
            font={"size": 12, "color": frame.colour["text2"]})
    drawing.layout["margin"] = {"l": 4, "r": 132, "t": 10, "b": 4}


def apart(wanted: Sequence[float], least: float) -> list[float]:
    """Rising places 0..1 at least `least` from each other, near the wanted ones."""
    placed: list[float] = []
    for place in wanted:
        placed.append(max(place, placed[-1] + least) if placed else place)
    over = placed[-1] - 1.0 if placed else 0.0
    if over > 0:
        placed[-1] = 1.0
        for at in range(len(placed) - 2, -1, -1):
            placed[at] = min(placed[at], placed[at + 1] - least)
    return placed


def performance(log: PumpLog, deltas: Mapping[str, tuple[Floats, str]], compressor: Floats,
                frame: Frame) -> Drawing:
    """Delta T of brine and radiators with the band of the brine's; the compressor below."""
    drawing = _stacked(frame, (0.30, 1.0), (0.0, 0.20))
    if "Brine" in deltas:
        drawing.add_shape(type="rect", xref="paper", x0=0, x1=1, y0=BRINE_BAND_K[0],
                          y1=BRINE_BAND_K[1], layer="below", line={"width": 0},
                          fillcolor=rgba(frame.colour["charge"], 0.16))
        drawing.add_annotation(text="brine, 3 to 4 K", x=0, xref="paper", xanchor="left",
                               y=BRINE_BAND_K[1], yanchor="bottom",
                               font={"size": 11, "color": frame.colour["text3"]})
    for name, (values, hue) in deltas.items():
        _line(drawing, frame, thin(log, values), name, "K", 1, hue)
    drawing.update_yaxes(ticksuffix=" K")
    _switch(drawing, frame, log, compressor, "Compressor", "text", "y2")
    return drawing


def power(log: PumpLog, kw: Floats, compressor: Floats, auxiliary: Floats | None, rated: bool,
          frame: Frame) -> Drawing:
    """Electric power [W] as an area; below it compressor and auxiliary heater [%]. auxiliary: how
    much of the heater is on, or, where not `rated`, whether it is: 0 to 1."""
    drawing = _stacked(frame, (0.36, 1.0), (0.0, 0.26))
    time_s, watts = thin(log, 1000 * kw)
    _area(drawing, frame, time_s, watts, "grid", 0.25, name="Power", line={},
          hovertemplate="Power %{y:,.0f} W<extra></extra>")
    drawing.update_yaxes(ticksuffix=" W", tickformat=",~r", rangemode="tozero")
    _switch(drawing, frame, log, compressor, "Compressor", "text", "y2")
    if auxiliary is not None:
        begins, share = means(log, auxiliary)
        drawing.add_scatter(
            x=frame.x(begins), y=share, name="Auxiliary", yaxis="y2", mode="lines",
            line={"width": 1.4, "shape": "hv", "color": frame.colour["discharge"]},
            customdata=100 * share, hovertemplate="Auxiliary %{customdata:.0f} %"
            + ("" if rated else " of the time") + "<extra></extra>")
        if rated:
            drawing.update_yaxes("yaxis2", ticktext=["0 %", "100 %"])
    return drawing


def valve(log: PumpLog, position: Floats, compressor: Floats, water_c: Floats,
          cycles: Sequence[Span], frame: Frame) -> Drawing:
    """Hot water over valve and compressor; each hot-water cycle is shaded through all."""
    drawing = _stacked(frame, (0.46, 1.0), (0.23, 0.37), (0.0, 0.14))
    for start_s, end_s in cycles:
        left, right = frame.x(np.array([start_s, end_s]))
        drawing.add_shape(type="rect", x0=float(left), x1=float(right), yref="paper", y0=0, y1=1,
                          layer="below", line={"width": 0},
                          fillcolor=rgba(frame.colour["water"], 0.16))
    _line(drawing, frame, thin(log, water_c), "Hot water", "°C", 1, "water")
    drawing.update_yaxes(ticksuffix=" °C")
    _switch(drawing, frame, log, position, "Valve", "heat", "y2", ("heating", "water"))
    _switch(drawing, frame, log, compressor, "Compressor", "text", "y3")
    return drawing


def _switch(drawing: Drawing, frame: Frame, log: PumpLog, share: Floats, name: str, hue: str,
            axis: str, words: tuple[str, str] = ("off", "on")) -> None:
    time_s, state = held(*steps(log, share))
    said = np.where(np.isfinite(state), np.where(state > 0, words[1], words[0]), "not known")
    if log.step_s > FINE_CELLS_S:
        time_s, state = held(*means(log, share))
        said = np.array([f"{words[1]} {formats.number(100 * on)} %" for on in state.tolist()])
    _area(drawing, frame, time_s, state, hue, 0.18, name=name, yaxis=axis, line={"shape": "hv"},
          text=said.tolist(), hovertemplate=f"{name} %{{text}}<extra></extra>")
    drawing.update_yaxes(axis.replace("y", "yaxis"), ticktext=list(words), **SWITCH_AXIS)


def _area(drawing: Drawing, frame: Frame, time_s: Floats, values: Floats, hue: str, alpha: float,
          line: Mapping[str, str], **trace: Any) -> None:
    """A line over its area; a gap is a gap in both."""
    filled = {"fill": "tozeroy", "fillcolor": rgba(frame.colour[hue], alpha)}
    if np.isnan(values).any():
        ground_s, ground = grounded(time_s, values)
        drawing.add_scatter(x=frame.x(ground_s), y=ground, name=trace["name"],
                            yaxis=trace.get("yaxis", "y"), mode="lines", hoverinfo="skip",
                            line={"width": 0, **line}, **filled)
        filled = {}
    drawing.add_scatter(x=frame.x(time_s), y=values, mode="lines", **filled, **trace,
                        line={"width": 1.4, "color": frame.colour[hue], **line})


def cop(whole: tuple[Floats, Floats], parts: Mapping[str, tuple[Floats, Floats, str]],
        bucket_s: float, mean: float, frame: Frame) -> Drawing:
    """COP of each bucket as a bar from its beginning [s]; its parts by name as dots
    (beginnings [s], values, hue). `mean` over the whole window is dashed."""
    drawing = _of_time(frame)
    time_s, values = whole
    drawing.layout["bargap"] = 0.06
    drawing.add_bar(x=frame.x(time_s + bucket_s / 2), y=values, name="COP",
                    width=1000 * bucket_s * 0.94,
                    marker={"color": rgba(frame.colour["text3"], 0.30)},
                    hovertemplate="COP %{y:.2f}<extra></extra>")
    for name, (begins_s, told, hue) in parts.items():
        drawing.add_scatter(
            x=frame.x(begins_s + bucket_s / 2), y=told, name=name, mode="markers",
            marker={"size": 6, "color": frame.colour[hue]},
            hovertemplate=f"{name} %{{y:.2f}}<extra></extra>")
    if np.isfinite(mean):
        drawing.add_hline(y=mean, line={"width": 1.2, "dash": "dash",
                                        "color": frame.colour["text2"]})
        drawing.add_annotation(text=f"mean {formats.number(mean, 2)}", x=0, xref="paper",
                               xanchor="left", y=mean, yanchor="bottom",
                               bgcolor=frame.colour["surface"],
                               font={"size": 12, "color": frame.colour["text2"]})
    drawing.update_yaxes(rangemode="tozero", tickformat=".1f")
    return drawing


def degree_minutes(log: PumpLog, frame: Frame) -> Drawing:
    """The controller's own measure of what heat the house lacks."""
    drawing = _of_time(frame)
    _line(drawing, frame, thin(log, log.column("degree_minutes")), "Degree minutes", "°min", 0,
          "text")
    drawing.add_hline(y=0, line={"width": 1, "color": frame.colour["border_strong"]})
    return drawing


def bars(days: Sequence[str], values: Floats, name: str, unit: str, decimals: int, hue: str,
         frame: Frame, partial: Sequence[bool] = ()) -> Drawing:
    """One bar a day; a day that is not whole is paler."""
    drawing = Drawing(template=blank(frame.theme, None, None, None, frame.colour)
                      .layout["template"], bargap=0.35)
    pale = [rgba(frame.colour[hue], 0.35 if one else 0.85) for one in partial]
    drawing.add_bar(x=list(days), y=values, name=name,
                    marker={"color": pale or rgba(frame.colour[hue], 0.85)},
                    hovertemplate=f"{name} %{{y:.{decimals}f}} {unit}<extra></extra>")
    drawing.update_xaxes(type="category", nticks=7)
    drawing.update_yaxes(rangemode="tozero", tickformat=f".{decimals}f")
    return drawing


def scatter(x: Floats, values: Floats, unit: str, curve: tuple[Floats, Floats] | None,
            frame: Frame) -> Drawing:
    """COP against a temperature; `curve` is that of a model's map."""
    drawing = Drawing(template=blank(frame.theme, None, None, None, frame.colour)
                      .layout["template"], hovermode="closest")
    drawing.add_scatter(x=x, y=values, mode="markers", name="Measured",
                        marker={"size": 5, "color": rgba(frame.colour["text"], 0.55)},
                        hovertemplate=f"COP %{{y:.2f}} at %{{x:.1f}} {unit}<extra></extra>")
    if curve is not None:
        drawing.add_scatter(x=curve[0], y=curve[1], mode="lines", name="By the map",
                            line={"width": 1.6, "dash": "dash", "color": frame.colour["heat"]},
                            hovertemplate="COP %{y:.2f} by the map, at %{x:.1f} "
                            + f"{unit}<extra></extra>")
    drawing.update_xaxes(ticksuffix=f" {unit}", zeroline=False)
    drawing.update_yaxes(tickformat=".1f")
    return drawing


def _of_time(frame: Frame) -> Drawing:
    return blank(frame.theme, None, frame.span, frame.zone, frame.colour)


def _stacked(frame: Frame, *domains: tuple[float, float]) -> Drawing:
    """Several heights over one axis of time, the first at the top."""
    drawing = _of_time(frame)
    lowest = "y" if len(domains) == 1 else f"y{len(domains)}"
    drawing.update_xaxes(anchor=lowest)
    for number, domain in enumerate(domains, 1):
        axis = "yaxis" if number == 1 else f"yaxis{number}"
        drawing.update_yaxes(axis, domain=list(domain), showspikes=False)
        if number > 1:
            drawing.update_yaxes(axis, anchor="x")
    return drawing


def _line(drawing: Drawing, frame: Frame, points: tuple[Floats, Floats], name: str, unit: str,
          decimals: int, hue: str, dash: str = "solid") -> None:
    time_s, values = points
    drawing.add_scatter(
        x=frame.x(time_s), y=values.astype(np.float32), name=name, mode="lines",
        line={"width": 1.6, "color": frame.colour[hue], "dash": dash},
        hovertemplate=f"{name} %{{y:.{decimals}f}} {unit}<extra></extra>")


def label_of(quantity: str) -> str:
    return QUANTITY[quantity].label
