"""The Energy Monitor's figures; times are the viewer's wall clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from components import formats
from components.charts import add_band, add_readings, add_split, blank
from components.drawing import Drawing
from components.series_math import Span, has_data, known
from components.tokens import rgba, tokens
from core.ports import Series

BAND_ALPHA = 0.10
NARROW_TICKS = 4
MOST_POINTS = 440
"""Of one chart: about one for each pixel of its width."""
AIR = 0.08


@dataclass(frozen=True, slots=True)
class Frame:
    """What all figures of a page share. span: from, to [s]."""

    theme: str | None
    zone: str | None
    span: Span


def scaled(series: Series, factor: float) -> Series:
    """`series` times `factor`; lowest and highest change places under a negative one."""
    low, high = series.minimum, series.maximum
    if factor < 0:
        low, high = high, low
    by = np.float32(factor)
    return replace(series, minimum=low * by, maximum=high * by, mean=series.mean * by)


def with_band(series: Series, unit: str, decimals: int, normal: tuple[float, float] | None,
              words: str, frame: Frame) -> Drawing:
    """A line over its range, and the band in which it is normal."""
    colour = tokens(frame.theme)
    figure = blank(frame.theme, series, frame.span, frame.zone, colour)
    figure.update_xaxes(nticks=NARROW_TICKS)
    if normal is not None:
        _add_normal(figure, normal, words, unit, colour)
    add_band(figure, series, colour["text3"], 0.28, frame.zone)
    add_readings(figure, series, f"%{{y:.{decimals}f}} {unit}", "Mean", colour["text"],
                 frame.zone)
    figure.update_yaxes(ticksuffix=f" {unit}", tickformat=f",.{min(decimals, 1)}f",
                        range=_around(known(series), normal))
    return figure


def _add_normal(figure: Drawing, normal: tuple[float, float], words: str, unit: str,
                colour: dict[str, str]) -> None:
    low, high = normal
    figure.add_hrect(y0=low, y1=high, fillcolor=rgba(colour["text3"], BAND_ALPHA), layer="below",
                     line={"width": 1, "dash": "dot", "color": colour["text4"]})
    figure.add_annotation(
        text=f"{words} {formats.number(low, 0)} to {formats.number(high, 0)} {unit}",
        x=0, xref="paper", xanchor="left", y=high, yanchor="bottom",
        font={"size": 11, "color": colour["text3"]})


def _around(series: Series, normal: tuple[float, float] | None) -> list[float]:
    ends = [float(np.min(series.minimum)), float(np.max(series.maximum)), *(normal or ())]
    low, high = min(ends), max(ends)
    air = max(AIR * (high - low), 0.1)
    return [low - air, high + 2 * air]


def split(series: Series, unit: str, decimals: int, factor: float, frame: Frame) -> Drawing:
    """Charging and discharging as two areas; `factor` -1 turns charging up."""
    colour = tokens(frame.theme)
    figure = blank(frame.theme, series, frame.span, frame.zone, colour)
    figure.update_xaxes(nticks=NARROW_TICKS)
    add_split(figure, series, colour, frame.zone, "Mean", f"%{{y:.{decimals}f}} {unit}", factor)
    there = known(scaled(series, factor))
    low, high = min(float(there.minimum.min()), 0.0), max(float(there.maximum.max()), 0.0)
    air = max(AIR * (high - low), 0.1)
    figure.update_yaxes(ticksuffix=f" {unit}", tickformat=",~r", range=[low - air, high + air])
    return figure


def lines(told: Mapping[str, Series], hues: Sequence[str], unit: str, frame: Frame,
          ends: tuple[float, float] | None = None) -> Drawing:
    """Several sources over one axis; each with its name at the end."""
    colour = tokens(frame.theme)
    figure = blank(frame.theme, None, frame.span, frame.zone, colour)
    for (name, series), hue in zip(told.items(), hues, strict=False):
        if has_data(series):
            add_readings(figure, series, f"%{{y:.1f}} {unit}", name, colour[hue], frame.zone)
    figure.update_yaxes(ticksuffix=f" {unit}", tickformat=",~r")
    if ends is not None:
        figure.update_yaxes(range=list(ends))
    return figure
