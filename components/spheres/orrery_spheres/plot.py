"""A Plotly figure as a Streamlit component: one chart a key, changed in place by new data."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import streamlit as st

from orrery_spheres import assets_dir

__all__ = ["is_built", "plot"]

COMPONENT = "orrery-spheres.plot"
SCRIPT = "plot.js"


def is_built() -> bool:
    """Whether the bundle is there."""
    return (assets_dir() / SCRIPT).is_file()


@cache
def _renderer() -> Any:
    return st.components.v2.component(COMPONENT, js=SCRIPT, isolate_styles=False)


def plot(figure: str, *, key: str, alt: str, height: int, view: str = "",
         link: str = "") -> None:
    """Draw `figure`, the text of `plotly.io.to_json`, `height` CSS pixels high.

    `alt` is its accessible name. A person zooms in time by dragging; the zoom lives on while
    new data arrive, until a double click or another `view`. Charts of one page with the same
    `view` and the same `link`, unless that is empty, share the zoom, and each marks the moment
    that another one is pointed at; for this their layout must say that `type` of an x axis is
    "date".
    """
    told = json.dumps({"key": key, "alt": alt, "height": height, "view": view, "link": link},
                      ensure_ascii=False, separators=(",", ":"))
    # Bytes go as they are; text inside of JSON would have each quotation mark escaped.
    _renderer()(key=key, data=f'{told[:-1]},"figure":{figure}}}'.encode(), height=height)
