"""The power-flow picture: solar, grid, home and battery around the house's switchboard.

Dashes run the way of the power; an arrow and a word say the same to who does not see them move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from components import blocks, formats
from components.blocks import Html
from components.house.words import DEAD_BAND_KW, Flows, grid_word, one_way_word
from core.direction import direction

Side = Literal["top", "left", "right", "bottom"]

FULL_KW = 8.0
THINNEST_PX, THICKEST_PX = 2.0, 9.0
SLOWEST_S, FASTEST_S = 2.4, 0.5
# towards the middle, away from it
ARROWS: dict[Side, tuple[str, str]] = {
    "top": ("south", "north"), "bottom": ("north", "south"),
    "left": ("east", "west"), "right": ("west", "east")}


@dataclass(frozen=True, slots=True)
class Limb:
    """One corner of the picture. inward_kw: + towards the middle [kW], NaN = not known."""

    side: Side
    name: str
    icon: str
    hue: str
    inward_kw: float
    word: str
    note: str = ""


def picture(now: Flows, soc_pct: float) -> Html:
    """The whole picture; `alt` is in its label."""
    limbs = [
        Limb("top", "Solar", "wb_sunny", "solar", now.solar,
             one_way_word(now.solar, "producing")),
        Limb("left", "Grid", "electric_meter", "grid", now.grid, grid_word(now.grid)),
        Limb("right", "Home", "home", "load", -now.load, one_way_word(now.load, "using")),
        Limb("bottom", "Battery", "battery_horiz_075", _battery_hue(now.battery), now.battery,
             formats.direction_word(direction(now.battery, math.nan)),
             str(formats.quantity(soc_pct, "%", 0)))]
    told = ", ".join(f"{limb.name} {limb.word} {_amount(limb)}" for limb in limbs)
    return Html(f'<div class="o o-flow" role="img" aria-label="{told}">'
                f'{"".join(_corner(limb) + _line(limb) for limb in limbs)}'
                f'<div class="hub">{blocks.symbol("bolt")}</div></div>')


def _battery_hue(kw: float) -> str:
    return formats.direction_hue(direction(kw, math.nan))


def _amount(limb: Limb) -> str:
    return str(formats.magnitude(limb.inward_kw)) if math.isfinite(limb.inward_kw) else ""


def _corner(limb: Limb) -> str:
    note = f"<small>{limb.note}</small>" if limb.note else ""
    return (f'<div class="nd {limb.side}" style="--c:var(--o-{limb.hue})">'
            f"{blocks.symbol(limb.icon)}<div><span>{limb.name} {note}</span>"
            f"<b>{blocks.html(formats.magnitude(limb.inward_kw))}</b>"
            f"<em>{limb.word}</em></div></div>")


def _line(limb: Limb) -> str:
    """A line whose width and pace tell the power; it stands still within the dead band."""
    kw = abs(limb.inward_kw)
    if not kw > DEAD_BAND_KW:
        return f'<div class="ln {limb.side} off"></div>'
    share = min(kw / FULL_KW, 1.0)
    width = THINNEST_PX + (THICKEST_PX - THINNEST_PX) * math.sqrt(share)
    pace = SLOWEST_S - (SLOWEST_S - FASTEST_S) * math.sqrt(share)
    way = "in" if limb.inward_kw > 0 else "out"
    arrow = ARROWS[limb.side][0 if way == "in" else 1]
    return (f'<div class="ln {limb.side} {way}" style="--c:var(--o-{limb.hue});'
            f'--w:{width:.1f}px;--s:{pace:.2f}s"><i></i>{blocks.symbol(arrow)}</div>')
