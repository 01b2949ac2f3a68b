"""Capacity over the years from now, with what was told until now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from components import formats
from components.charts import template
from components.drawing import Drawing
from components.tokens import rgba, tokens
from core.twin.fade import END
from core.twin.life import YEAR_D, Life
from core.twin.study import Study

BAND_ALPHA = 0.22
LOWEST_PCT = 60.0
SEEN = 0.01


def figure(theme: str | None, lives: Sequence[tuple[Life, str]], study: Study | None) -> Drawing:
    """lives: with the token of each one's colour; the first has its band."""
    colour = tokens(theme)
    drawing = Drawing(template=template(theme))
    drawing.update_xaxes(ticksuffix=" y", hoverformat=".1f", showspikes=True,
                         spikecolor=colour["text4"], spikethickness=1, spikedash="solid")
    first = lives[0][0]
    _band(drawing, first, colour)
    for life, hue in lives:
        drawing.add_scatter(x=life.at_d / YEAR_D, y=100 * life.band.value, mode="lines",
                            line={"width": 1.6, "dash": "dot", "color": colour[hue]},
                            hovertemplate="%{y:.1f} %<extra></extra>")
    lowest = min(float(100 * life.band.value.min()) for life, _ in lives)
    highest = max(100.0, max(float(100 * life.band.value.max()) for life, _ in lives))
    if study is not None and _seen(study, first):
        past = (study.soh_days - study.soh_days[-1]) / YEAR_D
        drawing.add_scatter(x=past, y=100 * study.soh_share, mode="lines",
                            line={"width": 1.6, "color": colour["charge"]},
                            hovertemplate=f"{_whose(study)} %{{y:.1f}} %<extra></extra>")
    drawing.add_hline(100 * END, line={"width": 1, "dash": "dot", "color": colour["text4"]})
    drawing.add_annotation(text=f"{100 * END:.0f} %", x=1, xref="paper", xanchor="right",
                           y=100 * END, yanchor="bottom",
                           font={"size": 12, "color": colour["text3"]})
    drawing.update_yaxes(ticksuffix=" %", range=[max(LOWEST_PCT, min(lowest, 78.0) - 2.0),
                                                 highest + 1.0])
    return drawing


def _whose(study: Study) -> str:
    return "Estimated" if study.judged.fade_by == "estimated" else "Reported"


def reported(study: Study | None, life: Life) -> bool:
    """Whether its devices told enough of its health to be seen beside the life ahead."""
    return study is not None and study.judged.fade_by == "reported" and _seen(study, life)


def _seen(study: Study, life: Life) -> bool:
    return study.soh_days.size > 1 and bool(study.soh_days[-1] > SEEN * life.at_d[-1])


def _band(drawing: Drawing, life: Life, colour: dict[str, str]) -> None:
    low, high = 100 * life.band.low, 100 * life.band.high
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return
    x = life.at_d / YEAR_D
    drawing.add_scatter(x=np.concatenate((x, x[::-1])), mode="lines", hoverinfo="skip",
                        y=np.concatenate((high, np.maximum(low, LOWEST_PCT - 5.0)[::-1])),
                        fill="toself", fillcolor=rgba(colour["text3"], BAND_ALPHA),
                        line={"width": 0})


def alt(life: Life) -> str:
    """The chart in words."""
    last = f"{formats.number(100 * float(life.band.value[-1]), 1)} % after " \
           f"{formats.number(float(life.at_d[-1]) / YEAR_D, 1)} years"
    return f"Capacity from {formats.number(100 * float(life.band.value[0]), 1)} % now to {last}."
