"""Inside of the mean cell over its last window: what the physics makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import streamlit as st

from components import blocks, formats, parts
from components import charts as plots
from components.blocks import Html, LegendItem
from components.drawing import Drawing
from components.series_math import local_ms
from components.tokens import tokens
from components.twin import asked, words
from components.twin.subject import TwinClient
from core.twin.models import Floats
from core.twin.tasks import floats
from core.twin.windows import Window

EVERY_S, WAITING_S = 20.0, 2.0
CHART_PX = 150
LINK = "twin_window"
SHAPES = {"solid": "line", "dash": "dash", "dot": "dots"}


@dataclass(frozen=True, slots=True)
class Line:
    """key: of a state as it crosses; factor: to the chart's unit."""

    key: str
    name: str
    hue: str
    factor: float = 1.0
    dash: str = "solid"


@dataclass(frozen=True, slots=True)
class Plot:
    """One chart: what it shows, in which unit, with so many decimals. least: its axis spans so much
    at least, so that what rests looks so."""

    title: str
    unit: str
    decimals: int
    least: float
    lines: tuple[Line, ...]


PLOTS = (
    Plot("Lithium, negative", "", 3, 0.01, (
        Line("negative_surface", "at the surface", "discharge"),
        Line("negative_mean", "mean", "text", dash="dash"))),
    Plot("Lithium, positive", "", 3, 0.01, (
        Line("positive_surface", "at the surface", "charge"),
        Line("positive_mean", "mean", "text", dash="dash"))),
    Plot("Overpotentials", "mV", 1, 4.0, (
        Line("negative_reaction_v", "negative", "discharge", 1000.0),
        Line("positive_reaction_v", "positive", "charge", 1000.0),
        Line("concentration_v", "concentration", "grid", 1000.0),
        Line("electrolyte_v", "electrolyte", "heat", 1000.0),
        Line("electrode_v", "electrodes", "water", 1000.0))),
    Plot("Cell voltage", "V", 3, 0.02, (
        Line("measured_v", "measured", "text"),
        Line("modelled_v", "modelled", "charge", dash="dot"),
        Line("ocv_v", "at rest", "text3", dash="dash"))),
    Plot("Temperature", "°C", 1, 1.0, (
        Line("measured_c", "measured", "text"),
        Line("temperature_c", "modelled", "heat", dash="dot"))),
    Plot("Heat made, each cell", "W", 2, 0.2, (Line("heat_w", "modelled", "heat", dash="dot"),)),
)


def show(client: TwinClient, pack: str) -> None:
    """The whole panel; it follows what it waits for."""
    waited = waits(client, pack)
    parts.live(_panel, "twin_internals", WAITING_S if waited else EVERY_S, client, pack, waited)


def waits(client: TwinClient, pack: str) -> bool:
    """For its first window, which comes within seconds of a look."""
    return asked.missing(client.physics) is None and client.twin_window(pack) is None


def _panel(client: TwinClient, pack: str, waited: bool) -> None:
    window = client.twin_window(pack)
    if waited and window is not None:
        st.rerun()  # the page stops asking every two seconds
    if window is None:
        blocks.show(blocks.heading("Inside of the cell"), _waiting(client, pack))
        return
    if window.answer.failed:
        blocks.show(blocks.heading("Inside of the cell"), blocks.state_box(
            "error", "The last window has no answer", window.answer.failed, error=True))
        return
    end = formats.local_time(datetime.fromtimestamp(float(window.time_s[-1]), UTC),
                             st.context.timezone)
    blocks.show(blocks.heading("Inside of the cell", f"{window.model}, "
                               f"{formats.age(float(np.ptp(window.time_s)))} until {end}"))
    with st.container(key="twin_inside"):
        for plot in PLOTS:
            _one(plot, columns(window), window)
    blocks.show(blocks.note(_note(window)))


def _waiting(client: TwinClient, pack: str) -> Html:
    lost = asked.missing(client.physics)
    if lost is not None:
        return lost
    due = client.twin_window_due(pack)
    when = formats.local_time(due.at, st.context.timezone)
    before = f", {formats.counted(due.before, 'pack')} before it" if due.before else ""
    return blocks.state_box("hourglass_top", "No window yet",
                            f"The physics models each pack's last minutes in turn; this one is due "
                            f"at {when}{before}.", "It comes by itself.")


def columns(window: Window) -> dict[str, Floats]:
    """By key of `Line`, at the window's times."""
    told = {name: floats(values).astype(np.float64)
            for name, values in window.answer.states.items()}
    return {**told, "measured_v": window.voltage_v, "measured_c": window.temperature_c,
            "modelled_v": floats(window.answer.voltage_v).astype(np.float64)}


def _one(plot: Plot, told: Mapping[str, Floats], window: Window) -> None:
    lines = [line for line in plot.lines
             if line.key in told and np.isfinite(told[line.key]).any()]
    if not lines:
        return
    with st.container(key=f"panel_twin_{plot.lines[0].key}", gap=None):
        legend = blocks.legend(LegendItem(line.name, line.hue, SHAPES[line.dash])
                               for line in lines)
        blocks.show(blocks.heading(plot.title, legend))
        span_s = float(window.time_s[0]), float(window.time_s[-1])
        plots.show(figure(st.context.theme.type, st.context.timezone, plot, window.time_s, told,
                          span_s),
                   key=f"twin_{plot.lines[0].key}", height=CHART_PX, link=LINK,
                   alt=alt(plot, lines, told))


def figure(theme: str | None, zone: str | None, plot: Plot, time_s: Floats,
           told: Mapping[str, Floats], span_s: tuple[float, float]) -> Drawing:
    """Lines over the viewer's wall clock, from one moment to the other."""
    colour = tokens(theme)
    drawing = plots.blank(theme, None, span_s, zone, colour)
    drawing.update_xaxes(nticks=4)
    x = local_ms(time_s, zone)
    unit = f" {plot.unit}" if plot.unit else ""
    for line in plot.lines:
        if line.key in told:
            holed = not np.isfinite(told[line.key]).all()  # a point between two holes has no line
            drawing.add_scatter(
                x=x, y=line.factor * told[line.key], name=line.name,
                mode="lines+markers" if holed else "lines",
                marker={"size": 4, "color": colour[line.hue]},
                line={"width": 1.6, "color": colour[line.hue], "dash": line.dash},
                hovertemplate=f"{line.name} %{{y:.{plot.decimals}f}}{unit}<extra></extra>")
    drawing.update_yaxes(ticksuffix=unit, nticks=4, tickformat=f".{plot.decimals}f",
                         **_range(plot, told))
    return drawing


def _range(plot: Plot, told: Mapping[str, Floats]) -> dict[str, list[float]]:
    """Nothing where the lines span enough by themselves."""
    values = np.concatenate([line.factor * told[line.key] for line in plot.lines
                             if line.key in told] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if not values.size or float(np.ptp(values)) >= plot.least:
        return {}
    middle = float(values.min() + values.max()) / 2.0
    return {"range": [middle - plot.least / 2.0, middle + plot.least / 2.0]}


def alt(plot: Plot, lines: list[Line], told: Mapping[str, Floats]) -> str:
    """The chart in words."""
    parts_ = [f"{line.name} {formats.number(line.factor * _last(told[line.key]), plot.decimals)} "
              f"{plot.unit}".rstrip() for line in lines]
    return f"{plot.title}, last: {', '.join(parts_)}."


def _last(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known[-1])


def _note(window: Window) -> str:
    answer = window.answer
    rms = "no measured voltage to compare with" if answer.residual_rms_mv is None else \
        f"measured less modelled: {formats.number(answer.residual_rms_mv, 1)} mV root mean square"
    note = f" {words.sentence(answer.note)}" if answer.note else ""
    return (f"{window.parameter_set}; {rms}. Lithium is the share of an electrode's sites that are "
            "taken, at its particles' surface and on their mean. Voltages are modelled at the mean "
            "of the measured temperature. The modelled temperature is that of the parameter set's "
            "own cell: it begins as measured, its heat warms it, and the measured mean cools it. "
            f"How the pack itself is cooled is not known.{note}")
