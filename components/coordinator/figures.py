"""The plan as a picture: price, power and charge over one axis of time, the past beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components import charts, formats
from components.coordinator import stretches
from components.drawing import Drawing
from components.series_math import local_ms
from components.tokens import rgba, tokens
from core.coordinator.problem import Band, Floats
from core.coordinator.view import Ahead, Happened
from core.ports import Series

POWER, PRICE, CHARGE = "yaxis", "yaxis2", "yaxis3"
DOMAINS = {PRICE: (0.85, 1.0), POWER: (0.31, 0.79), CHARGE: (0.0, 0.25)}
PAST_ALPHA, PLANNED_ALPHA, BAND_ALPHA = 0.85, 0.42, 0.18
AIR = 0.08
LABEL_PCT = 10.0
"""So much room a label needs below its line, above which the charge comes and goes [%]."""


@dataclass(frozen=True, slots=True)
class Look:
    """How it is drawn. span_s: of the axis [s since 1970]; marked_s: begin and end of what is
    explained below, None for nothing."""

    theme: str | None
    zone: str | None
    currency: str
    span_s: tuple[float, float]
    now_s: float
    marked_s: tuple[float, float] | None = None


def plan(ahead: Ahead, past: Happened | None, look: Look) -> Drawing:
    """Left of now what happened, with the plan then in force dotted; right of it the plan."""
    figure, colour = _blank(look)
    scale, unit = power_scale(_highest(ahead, past))
    _mark(figure, look, colour)
    _power_ahead(figure, ahead, look, scale, unit, colour)
    if past is not None:
        charts.shade_gaps(figure, _heard(past), (look.span_s[0], look.now_s), look.zone, colour,
                          words_at=0.5, axis=look.span_s)
        _power_past(figure, past, look, scale, unit, colour)
    _prices(figure, ahead, past, look, colour)
    _charge(figure, ahead, past, look, colour)
    low, high = _ends([*_powers(ahead, past)], scale)
    figure.update_yaxes(POWER, ticksuffix=f" {unit}", tickformat=",~r", range=[low, high])
    figure.add_shape(type="line", xref="paper", x0=0, x1=1, yref="y", y0=0, y1=0, layer="above",
                     line={"width": 1.2, "color": colour["border_strong"]})
    _now(figure, look, colour)
    return figure


def compared(before: Ahead | None, after: Ahead, look: Look) -> Drawing:
    """Two plans over each other: bars are the new one, dashes the present."""
    figure, colour = _blank(look, {POWER: (0.42, 1.0), CHARGE: (0.0, 0.34)})
    plans = [one.plan.fleet_kw for one in (before, after) if one is not None]
    scale, unit = power_scale(max(float(np.abs(one).max(initial=0.0)) for one in plans))
    _bars(figure, stretches.edges_s(after.plan), after.plan.fleet_kw, look, scale, unit, colour,
          "New plan", PLANNED_ALPHA + 0.2)
    if before is not None:
        _steps(figure, stretches.edges_s(before.plan), scale * before.plan.fleet_kw, "Present plan",
               f"%{{y:,.3~r}} {unit}", {"width": 1.6, "dash": "dash", "color": colour["text"]},
               look)
    for one, name, line in ((before, "Present plan", {"width": 1.6, "dash": "dash",
                                                      "color": colour["text"]}),
                            (after, "New plan", {"width": 1.8, "color": colour["grid"]})):
        if one is not None:
            figure.add_scatter(x=local_ms(stretches.edges_s(one.plan), look.zone), y=one.soc_pct,
                               yaxis="y3", name=name, line=line,
                               hovertemplate=f"{name} %{{y:.0f}} %<extra></extra>")
    low, high = _ends(plans, scale)
    figure.update_yaxes(POWER, ticksuffix=f" {unit}", tickformat=",~r", range=[low, high])
    figure.add_hline(0, line={"width": 1.2, "color": colour["border_strong"]})
    return figure


def power_scale(highest_kw: float) -> tuple[float, str]:
    """Factor from kW and unit, so that the highest has one to three digits."""
    if highest_kw < 1:
        return 1000.0, "W"
    return (1.0, "kW") if highest_kw < 1000 else (0.001, "MW")


def _blank(look: Look, domains: dict[str, tuple[float, float]] | None = None,
           ) -> tuple[Drawing, dict[str, str]]:
    colour = tokens(look.theme)
    figure = charts.blank(look.theme, None, look.span_s, look.zone, colour)
    axis = {"showgrid": True, "gridcolor": colour["border"], "zeroline": False, "ticks": "",
            "nticks": 4, "tickfont": {"color": colour["text3"], "size": 12}, "automargin": True}
    chosen = DOMAINS if domains is None else domains
    for name, domain in chosen.items():
        figure.update_yaxes(name, **axis, domain=list(domain), anchor="x", fixedrange=True)
    figure.update_yaxes(CHARGE, range=[0, 103], tickvals=[0, 50, 100],
                        ticktext=["0 %", "50 %", "100 %"])
    figure.update_xaxes(anchor="y3", hoverformat="%a %-d %b %H:%M")
    figure.layout |= {"barmode": "overlay", "bargap": 0, "hoversubplots": "axis",
                      "margin": {"l": 4, "r": 6, "t": 20, "b": 4}}
    titles = {PRICE: f"Import price, {look.currency}/kWh" if look.currency else "Import price",
              POWER: "Power", CHARGE: "Charge"}
    for name, domain in chosen.items():
        figure.add_annotation(text=titles[name], x=0, xref="paper", xanchor="left", y=domain[1],
                              yref="paper", yanchor="bottom",
                              font={"size": 12, "color": colour["text3"]})
    return figure, colour


def _mark(figure: Drawing, look: Look, colour: dict[str, str]) -> None:
    if look.marked_s is None:
        return
    left, right = local_ms(np.array(look.marked_s), look.zone).tolist()
    figure.add_shape(type="rect", xref="x", yref="paper", x0=left, x1=right, y0=0, y1=1,
                     fillcolor=rgba(colour["text3"], 0.12), line={"width": 0}, layer="below")


def _now(figure: Drawing, look: Look, colour: dict[str, str]) -> None:
    at = float(local_ms(np.array([look.now_s]), look.zone)[0])
    figure.add_shape(type="line", xref="x", yref="paper", x0=at, x1=at, y0=0, y1=1,
                     line={"width": 1, "color": colour["text4"]})
    figure.add_annotation(text="now", x=at, xref="x", y=DOMAINS[POWER][1], yref="paper",
                          yanchor="bottom",
                          font={"size": 12, "color": colour["text2"]})


def _powers(ahead: Ahead, past: Happened | None) -> list[Floats]:
    told = [ahead.plan.fleet_kw, ahead.plan.grid_kw, ahead.outlook.load_kw.high,
            ahead.outlook.pv_kw.high]
    return told if past is None else [*told, past.fleet_kw, past.grid_kw, past.load_kw, past.pv_kw]


def _highest(ahead: Ahead, past: Happened | None) -> float:
    return max(float(np.nanmax(np.abs(one), initial=0.0)) for one in _powers(ahead, past))


def _ends(powers: Sequence[Floats], scale: float) -> tuple[float, float]:
    """Of the axis: all values and zero, with air."""
    low = min(0.0, *(float(np.nanmin(one, initial=0.0)) for one in powers)) * scale
    high = max(0.0, *(float(np.nanmax(one, initial=0.0)) for one in powers)) * scale
    air = max(AIR * (high - low), 1e-3)
    return low - air * (low < 0), high + air


def _power_ahead(figure: Drawing, ahead: Ahead, look: Look, scale: float, unit: str,
                 colour: dict[str, str]) -> None:
    edges, outlook = stretches.edges_s(ahead.plan), ahead.outlook
    _bars(figure, edges, ahead.plan.fleet_kw, look, scale, unit, colour, "Fleet, planned",
          PLANNED_ALPHA)
    for name, band, hue in (("Load", outlook.load_kw, "load"), ("PV", outlook.pv_kw, "solar")):
        _band(figure, edges, band, scale, colour[hue], look)
        _steps(figure, edges, scale * band.expected, f"{name}, expected", _shape(unit),
               {"width": 1.8, "dash": "dot", "color": colour[hue]}, look)
    _steps(figure, edges, scale * ahead.plan.grid_kw, "Grid, planned", _shape(unit),
           {"width": 1.6, "dash": "dot", "color": colour["grid"]}, look)


def _power_past(figure: Drawing, past: Happened, look: Look, scale: float, unit: str,
                colour: dict[str, str]) -> None:
    edges = past_edges_s(past)
    _bars(figure, edges, past.fleet_kw, look, scale, unit, colour, "Fleet", PAST_ALPHA)
    for name, values, hue in (("Load", past.load_kw, "load"), ("PV", past.pv_kw, "solar"),
                              ("Grid", past.grid_kw, "grid")):
        _steps(figure, edges, scale * values, name, _shape(unit),
               {"width": 1.6, "color": colour[hue]}, look)
    _steps(figure, edges, scale * past.planned_kw, "Fleet, as planned", _shape(unit),
           {"width": 1.4, "dash": "dot", "color": colour["text"]}, look)


def _heard(past: Happened) -> Series:
    """Where anything at all is known."""
    columns = np.stack([past.load_kw, past.pv_kw, past.fleet_kw, past.soc_pct])
    there = np.where(np.isfinite(columns).any(axis=0), 1.0, np.nan).astype(np.float32)
    return Series("", "", past.time_s, there, there, there, past.span_s)


def past_edges_s(past: Happened) -> Floats:
    """[n + 1] [s since 1970]."""
    return np.append(past.time_s, past.time_s[-1] + past.span_s)


def _prices(figure: Drawing, ahead: Ahead, past: Happened | None, look: Look,
            colour: dict[str, str]) -> None:
    line: dict[str, object] = {"width": 1.6, "color": colour["text"]}
    shape = f"%{{y:.3f}} {look.currency}"
    edges, price, band = (stretches.edges_s(ahead.plan), ahead.outlook.import_price,
                          ahead.outlook.import_band)
    told = [price]
    if band is not None:
        told += [band.low, band.high]
        _band(figure, edges, band, 1.0, colour["text3"], look, "y2")
    for steps, foretold in _runs(band, len(price)):
        _steps(figure, edges[steps.start:steps.stop + 1], price[steps],
               f"Import price{', expected' * foretold}", shape,
               {**line, "dash": "dot"} if foretold else line, look, "y2")
    if past is not None:
        told.append(past.import_price)
        _steps(figure, past_edges_s(past), past.import_price, "Import price", shape, line, look,
               "y2")
    low, high = _ends(told, 1.0)
    figure.update_yaxes(PRICE, range=[low, high], nticks=3, tickformat=",~r")


def _runs(band: Band | None, count: int) -> list[tuple[slice, bool]]:
    """Steps in a row of which the price is known, or foretold."""
    foretold = np.zeros(count, bool) if band is None else band.high > band.low
    ends = [*(np.flatnonzero(np.diff(foretold)) + 1).tolist(), count]
    begins = [0, *ends[:-1]]
    return [(slice(begin, end), bool(foretold[begin]))
            for begin, end in zip(begins, ends, strict=True)]


def _charge(figure: Drawing, ahead: Ahead, past: Happened | None, look: Look,
            colour: dict[str, str]) -> None:
    edges = stretches.edges_s(ahead.plan)
    x = local_ms(edges, look.zone)
    figure.add_scatter(
        x=np.concatenate((x, x[::-1])), yaxis="y3", fill="toself", hoverinfo="skip",
        y=np.concatenate((ahead.soc_high_pct, ahead.soc_low_pct[::-1])), mode="lines",
        fillcolor=rgba(colour["text3"], BAND_ALPHA), line={"width": 0}, name="emptiest to fullest")
    figure.add_scatter(x=x, y=ahead.soc_pct, yaxis="y3", name="Charge, planned",
                       line={"width": 1.6, "dash": "dot", "color": colour["text"]},
                       hovertemplate="Charge, planned %{y:.0f} %<extra></extra>")
    if past is not None:
        middle = past.time_s + past.span_s / 2
        for name, values, line in (
                ("Charge, as planned", past.planned_soc_pct, {"width": 1.2, "dash": "dot"}),
                ("Charge", past.soc_pct, {"width": 1.6})):
            figure.add_scatter(x=local_ms(middle, look.zone), y=values, yaxis="y3", name=name,
                               line={**line, "color": colour["text"]},
                               hovertemplate=f"{name} %{{y:.0f}} %<extra></extra>")
    for word, level in limits_of_charge(ahead):
        figure.add_shape(type="line", xref="paper", x0=0, x1=1, yref="y3", y0=level, y1=level,
                         line={"width": 1, "dash": "dot", "color": colour["text4"]}, layer="below")
        figure.add_annotation(text=f"{word} {formats.number(level)} %", x=1, xref="paper",
                              xanchor="right", y=level, yref="y3",
                              yanchor="bottom" if level < LABEL_PCT else "top",
                              font={"size": 12, "color": colour["text3"]})


def limits_of_charge(ahead: Ahead) -> list[tuple[str, float]]:
    """Floor, or the reserve where that is above it, and ceiling [%]."""
    lowest = ("reserve", ahead.reserve_pct) if ahead.reserve_pct > ahead.floor_pct else (
        "floor", ahead.floor_pct)
    return [lowest, ("ceiling", ahead.ceiling_pct)]


def _shape(unit: str) -> str:
    return f"%{{y:,.3~r}} {unit}"


def _steps(figure: Drawing, edges_s: Floats, values: Floats, name: str, shape: str,
           line: dict[str, object], look: Look, axis: str = "y") -> None:
    """Each value held over its span; what is not known is a gap."""
    figure.add_scatter(x=local_ms(edges_s, look.zone), y=np.append(values, values[-1]), name=name,
                       yaxis=axis, mode="lines", line={**line, "shape": "hv"},
                       hovertemplate=f"{name} {shape}<extra></extra>")


def _band(figure: Drawing, edges_s: Floats, band: Band, scale: float, hue: str, look: Look,
          axis: str = "y") -> None:
    x = local_ms(np.repeat(edges_s, 2)[1:-1], look.zone)
    low, high = (scale * np.repeat(one, 2) for one in (band.low, band.high))
    figure.add_scatter(x=np.concatenate((x, x[::-1])), y=np.concatenate((high, low[::-1])),
                       yaxis=axis, fill="toself", fillcolor=rgba(hue, BAND_ALPHA), hoverinfo="skip",
                       mode="lines", line={"width": 0}, name="what most of it lies within")


def _bars(figure: Drawing, edges_s: Floats, values: Floats, look: Look, scale: float, unit: str,
          colour: dict[str, str], name: str, alpha: float) -> None:
    """Discharging up, charging down; a span of no length, in autumn, has no bar."""
    x = local_ms(edges_s, look.zone)
    for word, hue, sign in (("discharging", "discharge", 1.0), ("charging", "charge", -1.0)):
        one_way = np.where(values * sign > 0, scale * values, np.nan)
        figure.add_bar(x=x[:-1], y=one_way, width=np.diff(x), offset=0, name=f"{name}, {word}",
                       marker={"color": rgba(colour[hue], alpha), "line": {"width": 0}},
                       hovertemplate=f"{name}, {word} %{{y:,.3~r}} {unit}<extra></extra>")
