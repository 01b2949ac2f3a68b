"""Where the sites are: dots over a graticule, without tiles and without any network.

Streamlit fetches a base map for every deck whose views are all `MapView`s and that names no
style. An `OrthographicView` has none; the Mercator projection is done here instead, which
also lets a map run across the date line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pydeck as pdk

from components import formats
from components.tokens import rgb, tokens
from core.vocabulary import Direction

_NORTHERNMOST_DEG = 84.0
_STEPS_DEG = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
_LEAST_SPAN_DEG = 0.5
_LONE_SPAN_DEG = 8.0
_LINES = 4
_MOST_NAMES = 14
_LONGEST_NAME = 28

# For each deck pydeck looks on disk for its notebook extra, and imports a part of it anew: 1 ms.
pdk.bindings.deck.has_jupyter_extra = lambda: False

Point = tuple[float, float]
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Site:
    """A place on Earth [degrees, north and east positive]. tier: its worst alarm's, 0 none;
    detail: "412 kW discharging, 2 alarms", shown with the name under the pointer."""

    name: str
    latitude_deg: float
    longitude_deg: float
    direction: Direction = "unknown"
    tier: int = 0
    stale: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Window:
    """Part of the plane: x is degrees of longitude east of -180 and may pass 180, y is the
    Mercator northing in the same unit."""

    left: float
    right: float
    bottom: float
    top: float

    @property
    def middle(self) -> Point:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2


def site_deck(sites: Sequence[Site], theme: str | None, *, palette: str = "default",
              width_px: int = 300, height_px: int = 320) -> pdk.Deck | None:
    """A map of the sites that have a place, all of them in view on a box of `width_px` x
    `height_px` or more; None when none has."""
    placed = [site for site in sites if _has_place(site)]
    if not placed:
        return None
    colour = tokens(theme, palette)
    points = _points(placed)
    window = _window(points)
    layers = [*_graticule(window, colour), *_dots(placed, points, colour)]
    view = pdk.View(type="OrthographicView", id="sites", flipY=False,
                    controller={"scrollZoom": False, "dragRotate": False})
    return pdk.Deck(
        layers=layers, views=[view], map_provider=None, map_style=None,
        initial_view_state=_view_state(window, width_px, height_px),
        tooltip={"text": "{name}\n{detail}", "style": {
            "background": colour["raised"], "color": colour["text"], "borderRadius": "6px",
            "border": f"1px solid {colour['border']}", "fontSize": "13px"}})


def _has_place(site: Site) -> bool:
    return math.isfinite(site.latitude_deg) and math.isfinite(site.longitude_deg)


def northing(latitude_deg: float) -> float:
    """Mercator northing [degrees of longitude at the equator]."""
    held = min(max(latitude_deg, -_NORTHERNMOST_DEG), _NORTHERNMOST_DEG)
    return math.degrees(math.log(math.tan(math.pi / 4 + math.radians(held) / 2)))


def _points(sites: Sequence[Site]) -> list[Point]:
    """Places in the plane: the widest empty stretch of longitude is left outside, so that
    sites at 179 and -179 are neighbours."""
    east = [site.longitude_deg % 360 for site in sites]
    start = _after_widest_gap(sorted(set(east)))
    x = [start + (longitude - start) % 360 for longitude in east]
    shift = 360 if min(x) >= 180 else 0
    return [(at - shift, northing(site.latitude_deg)) for at, site in zip(x, sites, strict=True)]


def _after_widest_gap(east: list[float]) -> float:
    """The longitude from which going east all are met soonest."""
    spans = [(after - before) % 360 for before, after in zip(east[-1:] + east, east, strict=False)]
    return east[spans.index(max(spans))]


def _window(points: Sequence[Point]) -> _Window:
    """All points with room around them; a lone site sees the region that it lies in."""
    least = _LONE_SPAN_DEG if len(set(points)) == 1 else _LEAST_SPAN_DEG
    (left, right), (bottom, top) = (_roomy(axis, least) for axis in zip(*points, strict=True))
    return _Window(left, right, bottom, top)


def _roomy(values: Sequence[float], least: float) -> Point:
    low, high = min(values), max(values)
    half = max(0.75 * (high - low), least / 2)
    return (low + high) / 2 - half, (low + high) / 2 + half


def _view_state(window: _Window, width_px: int, height_px: int) -> pdk.ViewState:
    x, y = window.middle
    zoom = min(math.log2(width_px / (window.right - window.left)),
               math.log2(height_px / (window.top - window.bottom)))
    return pdk.ViewState(target=[x, y, 0], zoom=zoom, min_zoom=zoom - 2, max_zoom=zoom + 8)


def _graticule(window: _Window, colour: dict[str, str]) -> list[pdk.Layer]:
    """Meridians and parallels over and around the window, each with its degrees."""
    span = max(window.right - window.left, window.top - window.bottom)
    step = next((step for step in _STEPS_DEG if step * _LINES >= span), _STEPS_DEG[-1])
    x, y = window.middle
    meridians = _multiples(x - 3 * span, x + 3 * span, step)
    parallels = [degrees for degrees in _multiples(-80.0, 80.0, step)
                 if abs(northing(degrees) - y) <= 2 * span]
    low, high = northing(-_NORTHERNMOST_DEG), northing(_NORTHERNMOST_DEG)
    bottom, top = max(low, y - 2 * span), min(high, y + 2 * span)
    lines: Rows = [{"from": [at, bottom], "to": [at, top]} for at in meridians]
    lines += [{"from": [meridians[0], northing(at)], "to": [meridians[-1], northing(at)]}
              for at in parallels]
    marks: Rows = [{"at": [at, window.bottom], "text": _degrees((at + 180) % 360 - 180, "EW")}
                   for at in meridians if abs(at - x) < 2 * span]
    marks += [{"at": [window.left, northing(at)], "text": _degrees(at, "NS")}
              for at in parallels]
    return [
        pdk.Layer("LineLayer", lines, id="graticule", get_source_position="from",
                  get_target_position="to", get_color=rgb(colour["border"]), get_width=1),
        _texts("degrees", marks, colour["text4"], 11, offset=(3, -7), anchor="start"),
    ]


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(index * step, 6) for index in range(first, last + 1)]


def _degrees(degrees: float, sides: str) -> str:
    if degrees in (0, 180, -180):
        return f"{abs(degrees):g}°"
    return f"{abs(degrees):g}° {sides[0] if degrees > 0 else sides[1]}"


def _dots(sites: Sequence[Site], points: Sequence[Point], colour: dict[str, str]
          ) -> list[pdk.Layer]:
    rows: Rows = [_row(site, point, colour) for site, point in zip(sites, points, strict=True)]
    rings = [row for row in rows if row["ring"] > 0]
    named = [row for row in rows if len(rows) <= _MOST_NAMES or row["ring"] > 0]
    common: dict[str, Any] = {"get_position": "at", "radius_units": "'pixels'",
                              "line_width_units": "'pixels'", "stroked": True}
    return [
        pdk.Layer("ScatterplotLayer", rings, id="alarms", filled=False, get_radius=11,
                  get_line_width="ring", get_line_color=rgb(colour["alarm"]), **common),
        pdk.Layer("ScatterplotLayer", rows, id="sites", pickable=True, get_radius=6,
                  get_fill_color="fill", get_line_color="line", get_line_width=2, **common),
        _texts("names", named, colour["text"], 13, offset=(0, 22), anchor="middle",
               behind=rgb(colour["surface"])),
    ]


def _row(site: Site, point: Point, colour: dict[str, str]) -> dict[str, Any]:
    """A trip's ring is thick, a warning's thin (rule 4); a silent site is hollow."""
    hue = colour["stale" if site.stale else formats.direction_hue(site.direction)]
    word = "no data" if site.stale else formats.direction_word(site.direction)
    name = inert(site.name)
    return {
        "at": list(point), "name": name, "text": _shortened(name),
        "detail": inert(site.detail if site.detail != "" else word),
        "fill": rgb(colour["surface"] if site.stale else hue), "line": rgb(hue),
        "ring": {2: 1.5, 3: 3.5}.get(site.tier, 0),
    }


def _texts(layer: str, rows: Rows, colour: str, size: int, *, offset: tuple[int, int],
           anchor: str, behind: tuple[int, int, int] | None = None) -> pdk.Layer:
    """Texts in CSS px; on the colour `behind`, so that they can be read over lines."""
    ground = {} if behind is None else {
        "background": True, "get_background_color": [*behind, 210], "background_padding": [3, 1]}
    return pdk.Layer("TextLayer", rows, id=layer, get_position="at", get_text="text",
                     get_size=size, get_color=rgb(colour), get_pixel_offset=list(offset),
                     get_text_anchor=f"'{anchor}'", get_alignment_baseline="'center'",
                     font_family="'Source Sans, sans-serif'", character_set="'auto'", **ground)


def inert(text: str) -> str:
    """`text` that deck.gl's JSON reader takes for text: it runs strings that begin with @@."""
    return " " + text if text.startswith("@@") else text


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME - 1] + "…"
