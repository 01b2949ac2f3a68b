"""A figure on the page, or what to do where the charts' part of the viewer is not built."""

from __future__ import annotations

import plotly.graph_objects as go
import plotly.io as pio
from orrery_spheres import plot

from components import blocks


def show(figure: go.Figure, *, key: str, alt: str, height: int, view: str = "") -> None:
    """One element for each `key`, whatever the data; dragging zooms in time until `view`
    changes."""
    if not plot.is_built():
        blocks.show(blocks.state_box("show_chart", "Charts cannot be drawn here",
                                     "Their part of the viewer's bundle is missing.",
                                     "`make setup` builds it; then start the app again.",
                                     height_px=height))
        return
    text = pio.to_json(figure, validate=False, engine="json")
    plot.plot(text, key=key, alt=alt, height=height, view=view)
