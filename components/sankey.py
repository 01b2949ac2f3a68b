"""An energy balance as bands: what goes in at the left is what comes out at the right.

plotly.js has a trace for this in its full bundle alone (3.5 MB more); a balance around one
device needs no layout engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components import formats
from components.charts import template
from components.drawing import Drawing
from components.tokens import rgba, tokens

LEFT, HUB, RIGHT, WIDTH = 0.0, 0.5, 1.0, 0.014
PAD = 0.15
"""Room between two ends, as a share of the whole height: each keeps a line of text."""
CORNERS = 24
ALPHA = 0.30


@dataclass(frozen=True, slots=True)
class Stream:
    """One band: kwh >= 0 [kWh]; hue: a colour token; note: a word behind the number."""

    name: str
    kwh: float
    hue: str
    note: str = ""


def sankey(into: Sequence[Stream], out: Sequence[Stream], hub: str, theme: str | None) -> Drawing:
    """Both sides must sum to the same [kWh]; streams of nothing are left out."""
    colour = tokens(theme)
    drawing = Drawing(template=template(theme), hovermode="closest")
    drawing.update_xaxes(visible=False, range=[-0.01, 1.01], fixedrange=True)
    drawing.update_yaxes(visible=False, range=[-1.02, 0.09], fixedrange=True)
    total = sum(stream.kwh for stream in into)
    if total <= 0:
        return drawing
    for streams, side in ((into, LEFT), (out, RIGHT)):
        _side(drawing, [one for one in streams if one.kwh > 0], side, total, colour)
    _bar(drawing, HUB, 0.0, 1.0, colour["text3"])
    drawing.add_annotation(text=hub, x=HUB, y=0.02, xanchor="center", yanchor="bottom",
                           font={"size": 12, "color": colour["text3"]})
    return drawing


def _side(drawing: Drawing, streams: Sequence[Stream], side: float, total: float,
          colour: dict[str, str]) -> None:
    height = 1.0 - PAD * max(len(streams) - 1, 0)
    top = at_hub = 0.0
    for stream in streams:
        share = stream.kwh / total
        tall, tall_hub = share * height, share
        _band(drawing, stream, side, (top, tall), (at_hub, tall_hub), share, colour)
        _bar(drawing, side, top, tall, colour[stream.hue])
        _label(drawing, stream, side, top + tall / 2, colour)
        top += tall + PAD
        at_hub += tall_hub


def _band(drawing: Drawing, stream: Stream, side: float, end: tuple[float, float],
          hub: tuple[float, float], share: float, colour: dict[str, str]) -> None:
    run = np.linspace(0.0, 1.0, CORNERS)
    bend = run * run * (3.0 - 2.0 * run)
    x = side + (HUB - side) * run
    top = -(end[0] + (hub[0] - end[0]) * bend)
    low = -(end[0] + end[1] + (hub[0] + hub[1] - end[0] - end[1]) * bend)
    drawing.add_scatter(
        x=np.concatenate((x, x[::-1])), y=np.concatenate((top, low[::-1])), mode="lines",
        fill="toself", fillcolor=rgba(colour[stream.hue], ALPHA), line={"width": 0},
        hoveron="fills", hoverinfo="text", name=stream.name,
        text=f"{stream.name} {formats.energy(stream.kwh)}, {100 * share:.0f} %")


def _bar(drawing: Drawing, x: float, top: float, tall: float, colour: str) -> None:
    left = min(max(x - WIDTH / 2, 0.0), 1.0 - WIDTH)
    drawing.add_shape(type="rect", x0=left, x1=left + WIDTH, y0=-top, y1=-top - tall,
                      fillcolor=colour, line={"width": 0})


def _label(drawing: Drawing, stream: Stream, side: float, middle: float,
           colour: dict[str, str]) -> None:
    note = f" <span style='color:{colour['text3']}'>{stream.note}</span>" if stream.note else ""
    at_left = side == LEFT
    drawing.add_annotation(
        text=f"{stream.name} <b>{formats.energy(stream.kwh)}</b>{note}", y=-middle,
        x=2 * WIDTH if at_left else 1 - 2 * WIDTH, xanchor="left" if at_left else "right",
        yanchor="middle", font={"size": 13, "color": colour["text"]})
