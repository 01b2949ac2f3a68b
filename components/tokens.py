"""The colours of Orrery: one dict a theme.

Chrome is steel grey; only data and alarms have hue, and red is alarm and nothing else.
The contrasts were measured against `surface`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Tokens = Mapping[str, str]
Theme = Literal["dark", "light"]
Palette = Literal["default", "seed"]

LOGO = Path(__file__).with_name("logo.svg")
MARK = Path(__file__).with_name("mark.svg")
PAGE_ICON = Path(__file__).with_name("page_icon.svg")

DARK: dict[str, str] = {
    "bg": "#0f1216", "surface": "#171b21", "raised": "#20262e", "inset": "#0b0d11",
    "border": "#2b323c", "border_strong": "#6d7987",
    "text": "#f3f5f7", "text2": "#c2cad3", "text3": "#94a0ad", "text4": "#7f8b98",
    "focus": "#f3f5f7", "stale": "#7f8b98",
    "charge": "#56b4e9", "discharge": "#e69f00", "idle": "#7f8b98",
    "solar": "#f7f04e", "grid": "#7f5be0", "load": "#c2cad3",
    "heat": "#a87a9b", "water": "#a8f0bb",
    "alarm": "#f0564f", "alarm_fill": "#d3302a", "on_alarm": "#ffffff",
    "primary": "#66788c", "on_primary": "#ffffff",
}

LIGHT: dict[str, str] = {
    "bg": "#f3f4f6", "surface": "#ffffff", "raised": "#e8ebef", "inset": "#fafbfc",
    "border": "#d5dae1", "border_strong": "#7c8794",
    "text": "#14181d", "text2": "#3a434e", "text3": "#59636f", "text4": "#656f7b",
    "focus": "#14181d", "stale": "#656f7b",
    "charge": "#0072b2", "discharge": "#bd6814", "idle": "#7c8794",
    "solar": "#c4bd3d", "grid": "#572d82", "load": "#3a434e",
    "heat": "#b782a7", "water": "#20a275",
    "alarm": "#b3201c", "alarm_fill": "#b3201c", "on_alarm": "#ffffff",
    "primary": "#3d4b5c", "on_primary": "#ffffff",
}

# The seeds' own code (green charging, red discharging): a choice, for it does not survive
# colour blindness and its red comes close to an alarm's.
SEED: dict[Theme, dict[str, str]] = {
    "dark": {"charge": "#22c55e", "discharge": "#ef4444"},
    "light": {"charge": "#15803d", "discharge": "#dc2626"},
}


def tokens(theme: str | None, palette: str = "default") -> dict[str, str]:
    """Colour of every token, "#rrggbb"; anything but "light" is the dark theme."""
    name: Theme = "light" if theme == "light" else "dark"
    base = LIGHT if name == "light" else DARK
    return {**base, **SEED[name]} if palette == "seed" else dict(base)


def rgba(colour: str, alpha: float) -> str:
    """"#rrggbb" with an opacity 0..1, as Plotly wants it."""
    red, green, blue = rgb(colour)
    return f"rgba({red},{green},{blue},{alpha:g})"


def rgb(colour: str) -> tuple[int, int, int]:
    """"#rrggbb" as three numbers 0..255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
